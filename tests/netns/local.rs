//! Programs on the gateway, unchanged: sshd, BIRD (OSPF and BGP) and keepalived (VRRP) as Debian has them, reached and
//! reaching out through the host's kernel, under the README's rules: a PR and a LO chain for each of three zones, SSH
//! for the macro's two addresses, everything else dropped and logged.

mod programs;

use crate::address::Family;
use crate::gateway::{Device, Gateway};
use crate::host::{Host, Namespace, script};
use crate::limits;
use crate::servers::port;
use crate::wait;
use crate::world::{Middle, World};
use programs::{Bird, Keepalived, Sshd};
use std::fs;

/// The macro has two addresses of each family.
const RULES: &str = "
  *tproxy
  :PREROUTING ACCEPT
  :OUTPUT ACCEPT
  :PRns1 -
  :PRns2 -
  :PRns3 -
  -A PREROUTING -i ns1 ! -d 10.0.1.1,fd00:1::1 -j PRns1
  -A PREROUTING -i ns2 ! -d 10.0.2.1,fd00:2::1 -j PRns2
  -A PREROUTING -i ns3 ! -d 10.0.3.1,fd00:3::1 -j PRns3
  -A PRns1 -p tcp --dport 8000:8099 -j TPROXY --on-port 50000
  COMMIT
  *filter
  :INPUT DROP
  :FORWARD DROP
  :OUTPUT DROP
  :LOns1 -
  :LOns2 -
  :LOns3 -
  -A INPUT -m tproxy -j ACCEPT
  -A INPUT -p icmp -j ACCEPT
  -A INPUT -p ipv6-icmp -j ACCEPT
  -A INPUT -i ns1 -j LOns1
  -A INPUT -i ns2 -j LOns2
  -A INPUT -i ns3 -j LOns3
  -A LOns1 -s SSH_PERMITTED -p tcp --dport 22 -j ACCEPT
  -A LOns1 -s SSH_PERMITTED -p tcp --dport 2222 -j ACCEPT
  -A LOns1 -p udp --dport 9000 -j ACCEPT
  -A LOns1 -j LOG --log-prefix \"LOns1: \" --log-level info
  -A LOns1 -j DROP
  -A LOns2 -p ospf -j ACCEPT
  -A LOns2 -s 10.0.2.99 -p tcp --dport 179 -j ACCEPT
  -A LOns2 -j DROP
  -A LOns3 -d 224.0.0.18 -p vrrp -j ACCEPT
  -A LOns3 -j DROP
  -A OUTPUT -m tproxy -j ACCEPT
  -A OUTPUT -p icmp -j ACCEPT
  -A OUTPUT -p ipv6-icmp -j ACCEPT
  -A OUTPUT -p igmp -j ACCEPT
  -A OUTPUT -o ns2 -p ospf -j ACCEPT
  -A OUTPUT -o ns2 -d 10.0.2.99 -p tcp --dport 179 -j ACCEPT
  -A OUTPUT -o ns2 -p tcp --dport 8001 -j ACCEPT
  -A OUTPUT -o ns2 -p tcp --dport 8002 -j REJECT --reject-with tcp-reset
  -A OUTPUT -o ns3 -d 224.0.0.18 -p vrrp -j ACCEPT
  COMMIT
";
const MACROS: &str = "macros:\n  SSH_PERMITTED: [10.0.1.99, 10.0.1.3, \"fd00:1::99\", \"fd00:1::3\"]\n";

/// A world whose gateway has its kernel in it, on all three networks.
fn world(middle: Middle, device: Device) -> Option<(World, Gateway)> {
    let mut world = World::new(middle)?;
    world.take_gateway().stop();
    let socket = world.directory().join("local.sock");
    let mut config = Gateway::configuration(device, world.slot().core(), &socket);
    for n in 1..=3 {
        let end = format!("\"fd00:{n}::1/64\"] }}");
        assert!(config.contains(&end));
        config = config.replace(&end, &format!("\"fd00:{n}::1/64\"], kernel: true }}"));
    }
    let (before, rest) = config.split_once("rules: |").expect("the rules are in the file");
    let (_, after) = rest.split_once("\ncontrol:").expect("the control section follows");
    let path = world.directory().join("local.yaml");
    fs::write(&path, format!("{before}{MACROS}rules: |{RULES}control:{after}")).expect("a file");
    let gateway = Gateway::start(&world.router, &path, &socket);
    if middle == Middle::Tap {
        // The devices have gone with the first gateway.
        world.move_taps();
        [&world.client, &world.server, &world.other].iter().for_each(|host| host.configure_device());
    }
    Some((world, gateway))
}

/// What becomes of a connection.
fn tries(from: &Namespace, address: &str, port: u16) -> String {
    within(limits::SILENCE_S, from, address, port)
}

/// Nobody answers.
#[track_caller]
fn is_dropped(from: &Namespace, address: &str, port: u16) {
    assert_eq!(within(limits::AT_ONCE_S, from, address, port), "timeout", "{address} {port}");
}

fn within(seconds: f64, from: &Namespace, address: &str, port: u16) -> String {
    let (port, timeout) = (port.to_string(), seconds.to_string());
    let words = ["/usr/bin/python3", &script("client.py"), "connect", address, &port, "--timeout", &timeout];
    let result = from.run(&words).successful().json();
    result["result"].as_str().unwrap_or_default().to_owned()
}

fn counter(world: &World, gateway: &Gateway, name: &str) -> u64 {
    crate::gateway::counter(&gateway.json(&world.router, &["status"]), name)
}

#[test]
fn programs_on_the_gateway_run_unchanged_under_the_readmes_rules() {
    let Some((world, gateway)) = world(Middle::AfPacket, Device::AfPacket) else { return };
    let mut sshd = Sshd::start(&world.router);
    // Beside the world's host, others of the intranet: one that the macro names, and one that it does not.
    for address in ["10.0.1.3/24", "10.0.1.4/24"] {
        world.client.namespace.ip(&["addr", "add", address, "dev", "eth0"]);
    }
    who_is_named_logs_in(&world, &mut sshd);
    who_is_not_is_dropped_and_logged(&world, &gateway);
    what_nobody_listens_for_is_refused_and_pings_are_answered(&world);
    the_proxies_serve_beside_it(&world);
    a_program_reaches_out_as_output_says(&world);
    ospf_and_bgp_with_a_router_behind(&world, &gateway);
    vrrp_with_another_router(&world);
    a_flood_to_a_program_leaves_the_proxies_alone(&world, &gateway);
    sshd.outlives(&world.client, || {
        gateway.signal("KILL");
        let path = world.directory().join("local.yaml");
        let ended = gateway.finish(limits::STOP);
        assert_eq!(ended.code(), 128 + 9, "{ended:?}");
        Gateway::start(&world.router, &path, &world.directory().join("local.sock"))
    });
}

fn who_is_named_logs_in(world: &World, sshd: &mut Sshd) {
    for (from, gateway) in [("10.0.1.99", "10.0.1.1"), ("10.0.1.3", "10.0.1.1"), ("fd00:1::99", "fd00:1::1")] {
        let said = sshd.log_in(&world.client.namespace, from, gateway, "echo $SSH_CONNECTION").successful().stdout;
        let words: Vec<&str> = said.split_whitespace().collect();
        assert_eq!((words[0], words[2], words[3]), (from, gateway, "22"), "sshd sees who it is: {said}");
    }
    // More than a window, both ways.
    let words = "head -c 3000000 /dev/zero | sha256sum; head -c 3000000 /dev/zero";
    let said = sshd.log_in(&world.client.namespace, "10.0.1.99", "10.0.1.1", words).successful().stdout;
    assert!(said.len() > 3_000_000, "{} bytes", said.len());
}

fn who_is_not_is_dropped_and_logged(world: &World, gateway: &Gateway) {
    let from = |source: &str| {
        let (timeout, target) = (limits::AT_ONCE_S.to_string(), "10.0.1.1");
        let code = format!(
            "import socket\ntry: socket.create_connection(('{target}', 22), {timeout}, ('{source}', 0)); print('connected')\n\
             except OSError as failure: print(type(failure).__name__)"
        );
        world.client.namespace.run(&["/usr/bin/python3", "-c", &code]).successful().stdout.trim().to_owned()
    };
    assert_eq!(from("10.0.1.3"), "connected");
    assert_eq!(from("10.0.1.4"), "TimeoutError");
    is_dropped(&world.server.namespace, "10.0.2.1", 22);
    is_dropped(&world.other.namespace, "10.0.3.1", 22);
    // Not by an address of another network's interface either.
    is_dropped(&world.server.namespace, "10.0.1.1", 22);
    is_dropped(&world.other.namespace, "fd00:3::1", 22);
    wait::until("what was dropped is in the log", limits::VISIBLE, || {
        let log = gateway.said();
        let has = |words: &[&str]| log.lines().any(|line| words.iter().all(|word| line.contains(word)));
        let logged = has(&["LOns1: IN=ns1", "SRC=10.0.1.4 DST=10.0.1.1", "DPT=22"])
            && has(&["flow denied", "filter LOns1", "10.0.1.4:", "clients"])
            && has(&["flow denied", "filter LOns2", "10.0.2.99:"])
            && has(&["flow denied", "filter LOns3", "10.0.3.99:"]);
        logged.then_some(())
    });
}

fn what_nobody_listens_for_is_refused_and_pings_are_answered(world: &World) {
    assert_eq!(tries(&world.client.namespace, "10.0.1.1", 2222), "ECONNREFUSED");
    assert_eq!(tries(&world.client.namespace, "fd00:1::1", 2222), "ECONNREFUSED");
    for family in Family::BOTH {
        assert!(world.client.ping(family.gateway(1)));
        assert!(ping(&world.router, &family.address(2, 99).to_string()), "a program pings");
    }
}

fn ping(from: &Namespace, target: &str) -> bool {
    from.run(&["ping", "-n", "-c", "1", "-W", "2", target]).code() == 0
}

fn the_proxies_serve_beside_it(world: &World) {
    let server = Family::V4.server().to_string();
    assert_eq!(tries(&world.client.namespace, &server, port::MIRRORED + port::ECHO), "connected");
}

fn a_program_reaches_out_as_output_says(world: &World) {
    for server in [Family::V4.server().to_string(), Family::V6.server().to_string()] {
        assert_eq!(tries(&world.router, &server, 8001), "connected");
        assert_eq!(tries(&world.router, &server, 8002), "ECONNREFUSED", "REJECT tells the program");
        is_dropped(&world.router, &server, 8003);
    }
}

/// Over taps: a packet socket puts fragments together by itself, as far as its frames are long.
#[test]
fn large_datagrams_pass_both_ways() {
    let Some((world, gateway)) = world(Middle::Tap, Device::Tap) else { return };
    let before = counter(&world, &gateway, "reassembled");
    let mut echo = world.router.start(&["/usr/bin/python3", "-c", programs::UDP_ECHO, "9000"]);
    echo.wait_for("listening", limits::VISIBLE);
    for address in ["10.0.1.1", "fd00:1::1"] {
        for length in ["100", "1472", "5000", "40000"] {
            let words = ["/usr/bin/python3", "-c", programs::UDP_ASK, address, "9000", length];
            let said = world.client.namespace.run(&words).successful().json();
            assert_eq!(said["result"], "same", "{length} bytes to {address} and back: {said}");
        }
    }
    for (from, target) in [
        (&world.client.namespace, "10.0.1.1"),
        (&world.client.namespace, "fd00:1::1"),
        (&world.router, "10.0.2.99"),
        (&world.router, "fd00:2::99"),
    ] {
        let words = ["ping", "-n", "-c", "1", "-W", "2", "-s", "3000", target];
        assert_eq!(from.run(&words).code(), 0, "a large ping to {target}");
    }
    // Each way in two families, the two lengths that one packet does not hold.
    assert!(counter(&world, &gateway, "reassembled") >= before + 8);
    drop(echo);
    assert_eq!(gateway.stop().code(), 0);
}

fn ospf_and_bgp_with_a_router_behind(world: &World, gateway: &Gateway) {
    let directory = world.directory();
    let ours = Bird::start(&world.router, directory, "ours", &programs::bird("10.0.2.1", "lim-ns2", "10.0.2.99", ""));
    let network = "protocol static { ipv4; route 198.18.0.0/24 unreachable; }";
    let theirs = Bird::start(
        &world.server.namespace,
        directory,
        "theirs",
        &programs::bird("10.0.2.99", "eth0", "10.0.2.1", network),
    );
    wait::until("the OSPF neighbours are adjacent, and BGP is up", limits::SETTLE, || {
        let ospf =
            ours.says("show ospf neighbors").contains("Full") && theirs.says("show ospf neighbors").contains("Full");
        let bgp = ours.says("show protocols bgp1").contains("Established");
        (ospf && bgp).then_some(())
    });
    wait::until("what OSPF has learned is in the host's kernel", limits::SETTLE, || {
        let routes = world.router.run(&["ip", "route"]).successful().stdout;
        routes.lines().any(|line| line.starts_with("198.18.0.0/24") && line.contains("lim-ns2")).then_some(())
    });
    assert!(ours.says("show route protocol bgp1").contains("198.18.0.0/24"));
    let flows = gateway.json(&world.router, &["flows"]);
    let listed = flows["flows"]
        .as_array()
        .expect("flows")
        .iter()
        .any(|flow| flow["step"] == "local" && flow["protocol"] == "tcp" && flow.to_string().contains(":179"));
    assert!(listed, "{flows}");
}

fn vrrp_with_another_router(world: &World) {
    let directory = world.directory();
    let other = Keepalived::start(&world.other.namespace, directory, "other", &programs::keepalived("eth0", 150));
    other.waits_for("Entering MASTER STATE");
    let ours = Keepalived::start(&world.router, directory, "ours", &programs::keepalived("lim-ns3", 100));
    ours.waits_for("Entering BACKUP STATE");
    // Ours hears the other's advertisements: it stays what it is for as long as these come.
    assert!(!ours.said().contains("Entering MASTER STATE"), "{}", ours.said());
    drop(other);
    ours.waits_for("Entering MASTER STATE");
    // And ours are heard.
    let lower = Keepalived::start(&world.other.namespace, directory, "lower", &programs::keepalived("eth0", 50));
    lower.waits_for("Entering BACKUP STATE");
    lower.hears_advertisements(&world.other);
    assert!(!lower.said().contains("Entering MASTER STATE"), "{}", lower.said());
}

/// More than the rate to a port that INPUT accepts, while a proxied connection is used.
fn a_flood_to_a_program_leaves_the_proxies_alone(world: &World, gateway: &Gateway) {
    let before = counter(world, gateway, "to_kernel");
    let mut flood = world.client.namespace.start(&["/usr/bin/python3", "-c", programs::UDP_FLOOD, "10.0.1.1", "9000"]);
    flood.wait_for("flooding", limits::VISIBLE);
    let server = Family::V4.server().to_string();
    for _ in 0..20 {
        assert_eq!(tries(&world.client.namespace, &server, port::MIRRORED + port::ECHO), "connected");
    }
    let sent = flood.finish(limits::PROGRAM).successful().json();
    let (sent, seconds) = (sent["sent"].as_u64().expect("a number"), sent["seconds"].as_f64().expect("seconds"));
    let passed = counter(world, gateway, "to_kernel") - before;
    // 20,000 a second, and what the bucket held.
    assert!(passed as f64 <= 20_000.0 * (seconds + 2.0) + 1_000.0, "{passed} of {sent} in {seconds} s");
    eprintln!("{sent} datagrams in {seconds} s: {passed} to the kernel");
}

impl Sshd {
    /// A session that is open goes on when the gateway is killed and started anew.
    fn outlives(&mut self, client: &Host, restart: impl FnOnce() -> Gateway) {
        let mut session = self.open(
            &client.namespace,
            "10.0.1.99",
            "10.0.1.1",
            "while read line; do echo \"{\\\"heard\\\": $line}\"; done",
        );
        session.tell("1");
        session.wait_for("heard", limits::VISIBLE);
        let gateway = restart();
        session.tell("2");
        wait::until("the session goes on", limits::VISIBLE, || session.stdout().contains(": 2}").then_some(()));
        drop(session);
        assert_eq!(gateway.stop().code(), 0);
    }
}
