//! Garbage at the gateway's door: it goes on serving, every bad frame has a name, and nothing stays behind.

use crate::address::Family;
use crate::host::{DEVICE, script};
use crate::limits;
use crate::servers::page;
use crate::wait::Deadline;
use crate::world::{Middle, World};
use std::time::Duration;

#[test]
fn af_packet_serves_through_a_flood_of_garbage() {
    serves_through_a_flood(Middle::AfPacket);
}

#[test]
fn tap_serves_through_a_flood_of_garbage() {
    serves_through_a_flood(Middle::Tap);
}

fn serves_through_a_flood(middle: Middle) {
    let Some(world) = World::new(middle) else { return };
    let seconds = std::env::var("LIMPID_FLOOD_S").ok().and_then(|text| text.parse().ok()).unwrap_or(limits::FLOOD_S);
    let malformed_before = malformed(&world);
    let flood = world.client.namespace.start(&[
        "/usr/bin/python3",
        &script("flood.py"),
        DEVICE,
        &gateway_mac(&world),
        &seconds.to_string(),
        "1",
    ]);
    let deadline = Deadline::after(Duration::from_secs(seconds));
    let mut pages = 0;
    while !deadline.passed() {
        for family in Family::BOTH {
            fetch(&world, family);
            pages += 1;
        }
    }
    let sent = flood.finish(limits::PROGRAM).successful().json();
    eprintln!("{pages} pages during the flood: {sent}");
    assert!(world.gateway().is_running(), "the gateway has ended");
    assert!(sent["sent"].as_u64() > Some(1000 * seconds), "that was no flood: {sent}");
    assert!(malformed(&world) > malformed_before, "garbage arrived and none of it was counted as malformed");
    for family in Family::BOTH {
        fetch(&world, family);
    }
}

#[track_caller]
fn fetch(world: &World, family: Family) {
    let url = format!("http://{}/", family.server_at(80));
    let curl = world.client.namespace.run(&["curl", "-sS", "-g", "-m", "10", &url]).successful();
    assert_eq!(curl.stdout, page("ns2"));
}

/// What was counted of packets that are none.
#[track_caller]
fn malformed(world: &World) -> u64 {
    let status = world.limpid(&["status"]);
    MALFORMED.iter().map(|name| crate::gateway::counter(&status, name)).sum()
}

/// A few of the names that this flood makes move, from each layer.
const MALFORMED: [&str; 5] = [
    "malformed_arp_unsupported",
    "malformed_ipv4_checksum",
    "malformed_ipv4_frame_short",
    "malformed_ipv6_frame_short",
    "malformed_tcp_checksum",
];

/// The gateway's Ethernet address, as the client has resolved it.
#[track_caller]
fn gateway_mac(world: &World) -> String {
    let gateway = Family::V4.gateway(1).to_string();
    let shown = world.client.namespace.run(&["ip", "neigh", "show", &gateway, "dev", DEVICE]).successful().stdout;
    let mac = shown.split_whitespace().skip_while(|word| *word != "lladdr").nth(1);
    mac.unwrap_or_else(|| panic!("the client has not resolved {gateway}: {shown}")).to_owned()
}
