//! Table nat between real hosts: who is spoken to instead of whom, and whose address the server's log shows.

use std::fs;

use serde_json::Value;

use crate::address::Family;
use crate::on_every_device;
use crate::servers::{page, port};
use crate::world::World;

/// The gateway's rules with a table nat, in front of table filter; and what that lets pass of it.
const RULES: [(&str, &str); 2] = [
    (
        "  *filter\n",
        "  *nat
  -A PREROUTING -i ns1 -p tcp -d 10.0.3.99 --dport 8580 -j DNAT --to-destination 10.0.2.99:80
  -A PREROUTING -i ns1 -p tcp -d fd00:3::99 --dport 8580 -j DNAT --to-destination [fd00:2::99]:80
  -A PREROUTING -i ns1 -d 10.0.3.98 -j DNAT --to-destination 10.0.2.99
  -A PREROUTING -i ns1 -d fd00:3::98 -j DNAT --to-destination fd00:2::99
  -A PREROUTING -i ns1 -p tcp --dport 8500:8579 -j REDIRECT --to-ports 50000
  -A POSTROUTING -o ns2 -p tcp --dport 8200:8299 -j MASQUERADE
  COMMIT
  *filter
",
    ),
    (
        "  -A FORWARD -p icmp -j ACCEPT\n",
        "  -A INPUT -i ns1 -m conntrack --ctstate DNAT -j ACCEPT
  -A FORWARD -i ns1 -o ns2 -m conntrack --ctstate DNAT -j ACCEPT
  -A FORWARD -p icmp -j ACCEPT
",
    ),
];

on_every_device!(clients_are_led_and_hidden);

fn clients_are_led_and_hidden(world: &World, family: Family) {
    let config = world.gateway().config();
    let text = fs::read_to_string(config).expect("the configuration");
    let text = RULES.iter().fold(text, |text, (old, new)| {
        assert!(text.contains(old), "the configuration has no {old:?}");
        text.replacen(old, new, 1)
    });
    fs::write(config, text).expect("the configuration");
    world.gateway().cli(&world.router, &["reload"]).successful();

    led_to_another_host(world, family);
    led_to_a_proxy(world, family);
    hidden_behind_the_gateway(world, family);
    let pinged = family.address(3, 98);
    assert!(world.client.ping(pinged), "{pinged} is {}", family.server());
}

/// DNAT: the page of ns2 at the address of ns3.
fn led_to_another_host(world: &World, family: Family) {
    let other = std::net::SocketAddr::new(family.address(3, 99), 8_580);
    let url = format!("http://{other}/led.html?{family:?}");
    fs::write(world.servers().documents().join("led.html"), page("ns2")).expect("a page");
    let words = ["curl", "-sS", "-g", "-m", "10", "-w", "%{stderr}%{local_port} %{remote_ip}", &url];
    let curl = world.client.namespace.run(&words).successful();
    assert_eq!(curl.stdout, page("ns2"));
    let (client_port, remote) = curl.stderr.trim().split_once(' ').expect("curl names its port and its server");
    assert_eq!(remote, family.address(3, 99).to_string());
    let client_port = client_port.parse().expect("a port");
    world.servers().wait_for_request(&format!("/led.html?{family:?}"), family.client(), client_port);
}

/// What the server says of who spoke to it, and what the client knows of that.
fn whoami(world: &World, family: Family, port: u16) -> (Value, Value) {
    let answer = world.client.client(&["read", &family.server().to_string(), &port.to_string()]);
    let seen = serde_json::from_str(answer["received"].as_str().unwrap_or_default()).unwrap_or_default();
    (seen, answer)
}

/// REDIRECT to a listener: the plug speaks to the server that was meant, as the client.
fn led_to_a_proxy(world: &World, family: Family) {
    let proxied = port::UNTOUCHED + port::WHOAMI;
    let before = world.counter("sessions_served");
    let (seen, answer) = whoami(world, family, proxied);
    assert_eq!(seen["server"], "ns2", "{answer}");
    assert_eq!((&seen["peer"], &seen["peer_port"]), (&family.client().to_string().into(), &answer["local_port"]));
    world.wait_for_counter("sessions_served", before);
}

/// MASQUERADE: the server sees the gateway, and the client nothing of that.
fn hidden_behind_the_gateway(world: &World, family: Family) {
    let (seen, answer) = whoami(world, family, port::FORWARDED + port::WHOAMI);
    assert_eq!(seen["server"], "ns2", "{answer}");
    assert_eq!(seen["peer"], *family.gateway(2).to_string(), "{answer}");
    assert_eq!(seen["peer_port"], answer["local_port"], "nobody else has that port");
}
