//! The mirrored handshake on the wire: each side sees the other's numbers and options, as if nobody were between.

use std::net::IpAddr;

use sim::frame::{self, Network, TCP};
use sim::host::sockets::Habits;
use sim::world::Captured;
use sim::{Step, Town, for_each_seed};
use tcp::{Flags, Header};

use crate::{LONG, SERVERS, at, hand};

/// A TCP segment on a cable.
struct Seen {
    port: u16,
    by_gateway: bool,
    ttl: u8,
    tos: u8,
    ends: ((IpAddr, u16), (IpAddr, u16)),
    header: Header,
    payload: usize,
}

fn segments(capture: &[Captured]) -> Vec<Seen> {
    let seen = capture.iter().filter_map(|captured| {
        let Ok((_, Network::Ip(ip))) = frame::parse(&captured.frame) else { return None };
        let (header, length) = (ip.protocol == TCP).then(|| Header::parse(&ip.payload).ok()).flatten()?;
        Some(Seen {
            port: captured.port.0,
            by_gateway: captured.by_gateway,
            ttl: ip.ttl,
            tos: ip.tos,
            ends: ((ip.source, header.src_port), (ip.destination, header.dst_port)),
            header,
            payload: ip.payload.len() - length,
        })
    });
    seen.collect()
}

/// The first segment with these flags on that port, by the gateway or by a host.
fn first(seen: &[Seen], port: u16, by_gateway: bool, flags: Flags) -> &Seen {
    let mask = Flags::SYN | Flags::ACK | Flags::RST | Flags::FIN;
    let found = seen.iter().find(|seen| {
        seen.port == port && seen.by_gateway == by_gateway && seen.header.flags.intersection(mask) == flags
    });
    found.unwrap_or_else(|| panic!("no {flags:?} on port {port}, by gateway: {by_gateway}"))
}

/// Runs a short exchange between hosts of these habits and gives all segments.
fn exchange(seed: u64, address: &str, client: Habits, server: Habits, mtu_of_server_side: u16) -> Vec<Seen> {
    let mtu = format!("dmz:   {{ mtu: {mtu_of_server_side}, port:");
    let mut town = Town::changed(seed, &[("dmz:   { port:", &mtu)]);
    town.world.get_mut(town.client).tcp.habits = client;
    town.world.get_mut(town.server).tcp.habits = server;
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
    town.world.record();
    let bytes = sim::Pattern { key: 4, len: 30_000 };
    town.world.connect(town.client, &at(address, 80), &[Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish]);
    town.world.finish(LONG);
    town.world.settle(LONG);
    town.world.no_faults();
    segments(town.world.capture.as_deref().unwrap_or_default())
}

const SYN: Flags = Flags::SYN;
const SYN_ACK: Flags = Flags::SYN.union(Flags::ACK);

#[test]
fn each_side_sees_the_others_numbers_and_options() {
    for_each_seed(5, |seed| {
        for address in SERVERS {
            let client = Habits { window_scale: Some((seed % 15) as u8), ..Habits::MODERN };
            let server = Habits { window_scale: Some(9), ..Habits::MODERN };
            let seen = exchange(seed, address, client, server, 1500);
            let (asked, passed) = (first(&seen, 0, false, SYN), first(&seen, 1, true, SYN));
            assert_eq!(passed.ends, asked.ends, "the server sees the client's address and port");
            assert_eq!(passed.header.seq, asked.header.seq, "the server sees the client's initial number");
            assert_eq!(without_time(passed), without_time(asked));
            assert_eq!(passed.header.window, asked.header.window);
            let (answered, back) = (first(&seen, 1, false, SYN_ACK), first(&seen, 0, true, SYN_ACK));
            assert_eq!(back.ends, answered.ends);
            assert_eq!(back.header.seq, answered.header.seq, "the client sees the server's initial number");
            assert_eq!(without_time(back), without_time(answered));
            assert_eq!(back.header.window, answered.header.window);
            let (of_client, at_server) = (asked.header.options.timestamp, passed.header.options.timestamp);
            let ticks = at_server.expect("timestamps").value.wrapping_sub(of_client.expect("timestamps").value);
            assert!(ticks < 10, "the client's clock goes on: {ticks} ticks later");
        }
    });
}

/// Options but for the timestamp's value and echo.
fn without_time(seen: &Seen) -> (Option<u16>, Option<u8>, bool, bool) {
    let options = seen.header.options;
    (options.mss, options.window_scale, options.sack_permitted, options.timestamp.is_some())
}

#[test]
fn nothing_is_answered_before_the_server_is() {
    let seen = exchange(2, SERVERS[0], Habits::MODERN, Habits::MODERN, 1500);
    let order: Vec<(u16, bool, Flags)> =
        seen.iter().take(4).map(|seen| (seen.port, seen.by_gateway, seen.header.flags)).collect();
    assert_eq!(order, [(0, false, SYN), (1, true, SYN), (1, false, SYN_ACK), (0, true, SYN_ACK)]);
}

#[test]
fn an_option_one_side_lacks_is_offered_to_neither() {
    for (client, server) in [(Habits::PLAIN, Habits::MODERN), (Habits::MODERN, Habits::PLAIN)] {
        let seen = exchange(3, SERVERS[1], client, server, 1500);
        let back = first(&seen, 0, true, SYN_ACK);
        assert_eq!(without_time(back), without_time(first(&seen, 1, false, SYN_ACK)));
        assert_eq!(back.header.options.window_scale, None);
        assert!(!back.header.options.sack_permitted && back.header.options.timestamp.is_none());
        assert!(
            seen.iter().all(|seen| seen.header.flags.contains(Flags::SYN) || seen.header.options.timestamp.is_none())
        );
    }
}

#[test]
fn the_segment_size_is_clamped_to_the_narrow_side() {
    for (address, headers) in [(SERVERS[0], 40), (SERVERS[1], 60)] {
        let seen = exchange(4, address, Habits::MODERN, Habits::MODERN, 1400);
        assert_eq!(first(&seen, 1, true, SYN).header.options.mss, Some(1400 - headers));
        let back = first(&seen, 0, true, SYN_ACK).header.options.mss.expect("a size");
        assert!(back <= 1500 - headers);
        let longest = seen.iter().filter(|seen| seen.port == 1 && seen.by_gateway).map(|seen| seen.payload).max();
        assert!(longest <= Some(usize::from(1400 - headers)), "{longest:?}");
    }
}

#[test]
fn the_gateway_does_not_change_who_sends_marked_packets() {
    let seen = exchange(5, SERVERS[0], Habits::MODERN, Habits::MODERN, 1500);
    assert!(seen.iter().all(|seen| seen.ttl > 32 && seen.tos & 0xfc == 0), "no DSCP of our own invention");
    let syn = first(&seen, 1, true, SYN);
    assert!(syn.ttl < 64, "a router takes one off the time to live: {}", syn.ttl);
}

/// The IPv4 identification of a frame without a tag.
fn identification(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[18], frame[19]])
}

#[test]
fn identification_class_and_window_of_a_syn_are_the_clients_own() {
    let mut town = Town::new(6);
    let (client, server) = (hand::attacker(&mut town), hand::puppet(&mut town));
    let syn = Header { window: 4_321, ..hand::syn((4_000, 80), 7) };
    let mut segment = vec![0; syn.len()];
    syn.emit(&mut segment);
    let address = |text: &str| text.parse().expect("an address");
    let (source, destination) = (address(hand::ATTACKER), address(hand::PUPPET));
    let ip = frame::Ip { source, destination, protocol: TCP, ttl: 60, tos: 0x28, payload: segment.into() };
    let link = frame::Link { destination: [2, 0, 0, 0, 0xff, 0], source: town.world.get(client).mac, vlan: None };
    let mut bytes = frame::ip(&link, &ip).to_vec();
    bytes[18..20].copy_from_slice(&0x1234u16.to_be_bytes());
    bytes[24..26].fill(0);
    let sum = frame::sum(&[&bytes[14..34]]);
    bytes[24..26].copy_from_slice(&sum.to_be_bytes());
    town.world.record();
    town.world.get_mut(client).send_frame(bytes.into());
    town.world.run(std::time::Duration::from_millis(1_500));
    let capture = town.world.capture.clone().unwrap_or_default();
    let passed = |captured: &&Captured| captured.by_gateway && captured.port.0 == 1;
    let syns: Vec<&Captured> = capture.iter().filter(passed).filter(|c| c.frame[12..14] == [8, 0]).collect();
    let numbers: Vec<u16> = syns.iter().map(|captured| identification(&captured.frame)).collect();
    assert_eq!(numbers, [0x1234, 0x1235], "the second is our repetition");
    let Ok((_, Network::Ip(seen))) = frame::parse(&syns[0].frame) else { panic!("an IP packet") };
    assert_eq!((seen.ttl, seen.tos), (59, 0x28));
    assert_eq!(hand::received(&mut town, server)[0].0.window, 4_321);
    town.world.settle(LONG);
}
