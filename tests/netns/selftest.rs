//! The TCP checks of the kernel's own tproxy selftests (`nft_tproxy_tcp.sh`), against Limpid.
//!
//! The topology is theirs; so is the order: pings first, then who is proxied. There the proxy answers with its own text; ours
//! is unseen by design, so that `limpid flows` says who was proxied and the servers say whom they saw.
//! Left out: connections of the router itself, in both of their modes. The gateway has no clients of its own.

use crate::address::Family;
use crate::limits;
use crate::on_every_device;
use crate::servers::port;
use crate::world::World;
use serde_json::Value;
use std::net::SocketAddr;

on_every_device!(everyone_pings_everyone, ns1_reaches_ns2_through_the_proxy, ns1_reaches_ns3_untouched);

fn everyone_pings_everyone(world: &World, family: Family) {
    for n in 1..=3 {
        assert!(world.client.ping(family.gateway(n)), "ns1 pings the router's {}", family.gateway(n));
    }
    for (from, name) in [(&world.client, "ns1"), (&world.server, "ns2"), (&world.other, "ns3")] {
        for target in [family.client(), family.server(), family.other()] {
            assert!(from.ping(target), "{name} pings {target}");
        }
    }
}

fn ns1_reaches_ns2_through_the_proxy(world: &World, family: Family) {
    let flow = reaches(world, family.server_at(port::SELFTEST), "ns2", &family.client().to_string());
    assert_eq!((&flow["step"], &flow["service"]), (&"proxy".into(), &"plug".into()), "{flow}");
    assert_eq!((&flow["client_zone"], &flow["server_zone"]), (&"clients".into(), &"servers".into()), "{flow}");
}

fn ns1_reaches_ns3_untouched(world: &World, family: Family) {
    let to = SocketAddr::from((family.other(), port::SELFTEST));
    let flow = reaches(world, to, "ns3", &family.client().to_string());
    assert_eq!((&flow["step"], &flow["service"]), (&"forward".into(), &Value::Null), "{flow}");
}

/// The server called `name` answers at `to` and sees `client`; the flow as the gateway lists it.
#[track_caller]
fn reaches(world: &World, to: SocketAddr, name: &str, client: &str) -> Value {
    let mut held = world.client.start_client(&["read-held", &to.ip().to_string(), &to.port().to_string()]);
    let answer = held.wait_for("held", limits::VISIBLE);
    let seen: Value = serde_json::from_str(answer["received"].as_str().unwrap_or_default()).unwrap_or_default();
    assert_eq!((&seen["server"], &seen["peer"]), (&name.into(), &client.into()), "{answer}");
    assert_eq!(seen["peer_port"], answer["local_port"]);
    let source = SocketAddr::new(client.parse().expect("an address"), 0);
    let listed = || world.flows_to(to).into_iter().find(|flow| same_host(&flow["source"], source));
    let flow = crate::wait::until(&format!("a flow to {to} in limpid flows"), limits::VISIBLE, listed);
    held.go_on();
    assert_eq!(held.finish(limits::VISIBLE).successful().json()["result"], "ok");
    flow
}

fn same_host(listed: &Value, source: SocketAddr) -> bool {
    let listed = listed.as_str().and_then(|text| text.parse::<SocketAddr>().ok());
    listed.is_some_and(|listed| listed.ip() == source.ip())
}
