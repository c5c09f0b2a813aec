//! Datagrams in fragments: put together, decided, and cut again; and the attacks that live on fragments.

use std::time::Duration;

use bytes::Bytes;
use sim::frame::{self, Ip, Link};
use sim::{HostId, Town, for_each_seed};

use crate::LONG;
use crate::udp::{TAKEN, datagram, heard, say};

/// The intranet may speak to the DMZ without a proxy.
const FORWARDED: (&str, &str) = (":FORWARD DROP\n", ":FORWARD ACCEPT\n");
const FAMILIES: [(&str, &str); 2] = [("192.168.1.2:5000", "10.0.0.2:53"), ("[fd00:1::2]:5000", "[fd00:2::2]:53")];

/// A piece of a packet: offset, and whether more follows.
pub(crate) type Place = (usize, usize, bool);

/// The frame of one piece of `packet`, written by hand.
fn piece(link: &Link, packet: &Ip, id: u16, (from, to, more): Place) -> Bytes {
    let whole = frame::ip(link, packet);
    let v6 = packet.source.is_ipv6();
    let start = 14 + if v6 { 40 } else { 20 };
    let body = &whole[start + from..start + to];
    let mut out = whole[..start].to_vec();
    if v6 {
        out[18..20].copy_from_slice(&(8 + body.len() as u16).to_be_bytes());
        let next = std::mem::replace(&mut out[20], 44);
        let offset = (from as u16 | u16::from(more)).to_be_bytes();
        out.extend([next, 0, offset[0], offset[1], 0, 0]);
        out.extend(id.to_be_bytes());
    } else {
        out[16..18].copy_from_slice(&(20 + body.len() as u16).to_be_bytes());
        out[18..20].copy_from_slice(&id.to_be_bytes());
        out[20..22].copy_from_slice(&((from / 8) as u16 | if more { 0x2000 } else { 0 }).to_be_bytes());
        out[24..26].fill(0);
        let sum = frame::sum(&[&out[14..34]]);
        out[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    out.extend_from_slice(body);
    out.into()
}

pub(crate) fn send(town: &mut Town, packet: &Ip, id: u16, places: &[Place]) {
    send_from(town, town.client, "intra", packet, id, places);
}

/// The same from a host on another interface of the gateway.
pub(crate) fn send_from(town: &mut Town, host: HostId, interface: &str, packet: &Ip, id: u16, places: &[Place]) {
    let destination = town.world.gateway.mac_of(interface);
    send_to(town, host, destination, packet, id, places);
}

pub(crate) fn send_to(town: &mut Town, sender: HostId, destination: [u8; 6], packet: &Ip, id: u16, places: &[Place]) {
    let link = Link { destination, source: town.world.get(sender).mac, vlan: None };
    for place in places {
        let frame = piece(&link, packet, id, *place);
        town.world.get_mut(sender).send_frame(frame);
    }
}

pub(crate) fn long(from: &str, to: &str, length: usize) -> Ip {
    let text: Vec<u8> = (0..length).map(|byte| (byte % 251) as u8).collect();
    datagram(from.parse().expect("one end"), to.parse().expect("the other"), &text)
}

fn soon(town: &mut Town) {
    town.world.run(Duration::from_millis(100));
}

/// A town in which everybody knows everybody's station address.
fn town(seed: u64, change: (&str, &str)) -> Town {
    let mut town = Town::changed(seed, &[change]);
    for (client, server) in FAMILIES {
        say(&mut town.world, town.client, client, server, b"hello");
    }
    soon(&mut town);
    assert_eq!(heard(&mut town.world, town.server).len(), 2);
    town
}

/// Fragments that the gateway put on a port's cable: their payloads in order, and the longest packet.
pub(crate) fn fragments_out(town: &mut Town, port: u16) -> (Vec<u8>, usize, usize) {
    let seen = town.world.capture.take().unwrap_or_default();
    let mut pieces: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut longest = 0;
    for seen in seen.iter().filter(|seen| seen.port.0 == port && seen.by_gateway) {
        let ip = &seen.frame[14..];
        let word = |at: usize| usize::from(u16::from_be_bytes([ip[at], ip[at + 1]]));
        let piece = match (ip[0] >> 4, ip[6]) {
            (4, _) if word(6) & 0x3fff != 0 => {
                assert_eq!(frame::sum(&[&ip[..20]]), 0, "the header's sum");
                longest = longest.max(word(2));
                ((word(6) & 0x1fff) * 8, ip[20..word(2)].to_vec())
            }
            (6, 44) => {
                longest = longest.max(40 + word(4));
                (word(42) & !7, ip[48..40 + word(4)].to_vec())
            }
            _ => continue,
        };
        pieces.push(piece);
    }
    pieces.sort();
    let count = pieces.len();
    (pieces.into_iter().flat_map(|(_, bytes)| bytes).collect(), longest, count)
}

#[test]
fn a_long_datagram_passes_in_fragments_forwarded_and_proxied() {
    for_each_seed(2, |seed| {
        for change in [FORWARDED, TAKEN] {
            for (client, server) in FAMILIES {
                let mut town = town(seed, change);
                town.world.record();
                let packet = long(client, server, 4_000);
                // Out of order, and one of them twice.
                send(&mut town, &packet, 7, &[(1_400, 2_800, true), (2_800, 4_008, false), (1_400, 2_800, true)]);
                soon(&mut town);
                assert_eq!(town.world.gateway.audit().fragmented, 1);
                send(&mut town, &packet, 7, &[(0, 1_400, true)]);
                soon(&mut town);
                let (bytes, longest, count) = fragments_out(&mut town, 1);
                // The sum that frame::ip fills in is the only difference.
                assert_eq!((bytes[..6].to_vec(), &bytes[8..]), (packet.payload[..6].to_vec(), &packet.payload[8..]));
                assert!(longest <= 1_500 && count == 3, "{count} of {longest}");
                assert_eq!(town.world.gateway.counter("fragment_duplicate"), 1);
                assert_eq!(town.world.gateway.counter("reassembled"), 1);
                // The hosts of the simulator take no fragments.
                town.world.get_mut(town.server).faults.clear();
                town.world.settle(LONG);
            }
        }
    });
}

#[test]
fn what_fits_leaves_whole_over_ipv4() {
    let (client, server) = FAMILIES[0];
    let mut town = town(1, TAKEN);
    let packet = long(client, server, 1_000);
    send(&mut town, &packet, 7, &[(0, 504, true), (504, 1_008, false)]);
    soon(&mut town);
    let heard = heard(&mut town.world, town.server);
    assert_eq!((heard.len(), heard[0].2.len()), (1, 1_000));
    town.world.settle(LONG);
    town.world.no_faults();
}

#[test]
fn teardrop_and_its_kin_end_their_datagram() {
    let attacks: [&[Place]; 4] = [
        &[(0, 800, true), (792, 1_600, false)],
        &[(0, 800, true), (400, 600, true)],
        &[(800, 1_600, false), (0, 808, true)],
        // The last piece ends before one that is there.
        &[(1_600, 2_400, true), (800, 1_000, false)],
    ];
    for (client, server) in FAMILIES {
        for (number, attack) in attacks.iter().enumerate() {
            let mut town = town(2, TAKEN);
            let packet = long(client, server, 3_000);
            send(&mut town, &packet, number as u16, attack);
            soon(&mut town);
            assert_eq!(town.world.gateway.counter("fragment_overlap"), 1, "{number}: {}", town.world.gateway.state());
            // RFC 5722, 4: what comes later of that datagram is dropped too.
            send(&mut town, &packet, number as u16, &[(0, 1_200, true), (1_200, 3_008, false)]);
            soon(&mut town);
            assert_eq!(heard(&mut town.world, town.server), []);
            assert_eq!(town.world.gateway.counter("fragment_of_dropped"), 2);
            town.world.settle(LONG);
        }
    }
}

#[test]
fn tiny_first_fragments_are_no_way_around_the_rules() {
    let (client, server) = FAMILIES[0];
    let mut town = town(3, TAKEN);
    let mut packet = long(client, server, 100);
    packet.protocol = frame::TCP;
    // RFC 1858, 3: a first fragment of eight bytes has ports and no flags.
    send(&mut town, &packet, 1, &[(0, 8, true), (8, 108, false)]);
    soon(&mut town);
    assert_eq!(town.world.gateway.counter("fragment_tiny"), 1);
    assert_eq!(town.world.gateway.counter("fragment_of_dropped"), 1);
    town.world.settle(LONG);
}

#[test]
fn a_datagram_of_crumbs_is_given_up() {
    let (client, server) = FAMILIES[0];
    let mut town = town(4, TAKEN);
    let packet = long(client, server, 2_000);
    let crumbs: Vec<Place> = (0..200).map(|at| (at * 8, at * 8 + 8, true)).collect();
    send(&mut town, &packet, 1, &crumbs);
    soon(&mut town);
    assert_eq!(town.world.gateway.counter("fragment_too_many"), 1);
    town.world.settle(LONG);
}

#[test]
fn who_never_finishes_has_so_many_datagrams_and_others_theirs() {
    let (client, server) = FAMILIES[0];
    let mut town = town(5, TAKEN);
    let packet = long(client, server, 1_000);
    for id in 0..80 {
        send(&mut town, &packet, id, &[(0, 504, true)]);
    }
    soon(&mut town);
    assert_eq!(town.world.gateway.audit().fragmented, 64);
    assert_eq!(town.world.gateway.counter("fragment_source_limit"), 16);
    // Somebody else.
    let other = long("[fd00:1::2]:5000", "[fd00:2::2]:53", 1_000);
    send(&mut town, &other, 1, &[(0, 504, true), (504, 1_008, false)]);
    soon(&mut town);
    assert_eq!(heard(&mut town.world, town.server).len(), 1);
    town.world.run(Duration::from_secs(31));
    assert_eq!(town.world.gateway.counter("fragment_timed_out"), 64);
    assert_eq!(town.world.gateway.audit().fragmented, 0);
    town.world.settle(LONG);
}
