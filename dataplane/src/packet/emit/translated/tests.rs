//! Translated datagrams have the sums that another's encoder gives them; quotes come back as they were.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::{Change, Ends, restore, translate};
use crate::packet::{PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP};

fn ends(v6: bool, number: u16) -> Ends {
    let address = |last: u16| -> IpAddr {
        if v6 {
            [0xfd00, number, 0, 0, 0, 0, 0, last].into()
        } else {
            Ipv4Addr::new(10, (number >> 8) as u8, number as u8, last as u8).into()
        }
    };
    Ends {
        source: SocketAddr::new(address(1), number.max(1)),
        destination: SocketAddr::new(address(2), number.wrapping_mul(7).max(1)),
    }
}

/// A packet by another's hand; its headers' length beside it.
fn packet(protocol: u8, ends: &Ends, text: &[u8]) -> (Vec<u8>, usize) {
    let (from, to) = (ends.source, ends.destination);
    let (builder, header) = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (PacketBuilder::ipv4(from.octets(), to.octets(), 64), 20),
        (IpAddr::V6(from), IpAddr::V6(to)) => (PacketBuilder::ipv6(from.octets(), to.octets(), 64), 40),
        _ => unreachable!("one family"),
    };
    let mut out = Vec::new();
    let written = match protocol {
        PROTOCOL_TCP => builder.tcp(from.port(), to.port(), 1, 2).write(&mut out, text),
        PROTOCOL_UDP => builder.udp(from.port(), to.port()).write(&mut out, text),
        PROTOCOL_ICMP => builder.icmpv4_echo_request(from.port(), 9).write(&mut out, text),
        _ => builder.icmpv6_echo_request(from.port(), 9).write(&mut out, text),
    };
    written.expect("it is written");
    (out, header)
}

proptest! {
    #[test]
    fn sums_are_those_of_a_packet_made_anew(
        v6: bool, before: u16, after: u16, kind in 0..3usize, text in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let protocol = [PROTOCOL_TCP, PROTOCOL_UDP, if v6 { PROTOCOL_ICMPV6 } else { PROTOCOL_ICMP }][kind];
        let (from, to) = (ends(v6, before), ends(v6, after));
        let (mut given, header) = packet(protocol, &from, &text);
        let (wanted, _) = packet(protocol, &to, &text);
        prop_assert!(translate(&mut given, header, protocol, &to));
        prop_assert_eq!(&given, &wanted);
        restore(&mut given, &from);
        prop_assert_eq!(given, packet(protocol, &from, &text).0);
    }

    #[test]
    fn quotes_cut_anywhere_are_no_trouble(v6: bool, bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut bytes = bytes;
        restore(&mut bytes, &ends(v6, 7));
    }
}

#[test]
fn a_datagram_without_sum_stays_without() {
    let (from, to) = (ends(false, 1), ends(false, 2));
    let (mut given, header) = packet(PROTOCOL_UDP, &from, b"x");
    given[header + 6..header + 8].fill(0);
    assert!(translate(&mut given, header, PROTOCOL_UDP, &to));
    assert_eq!(given[header + 6..header + 8], [0, 0]);
}

#[test]
fn rfc_1624_4_example() {
    // RFC 1624 4: m = 0x5555, m' = 0x3285, HC = 0xDD2F gives HC' = 0x0000, which equation 2 gets wrong.
    let mut change = Change::default();
    change.write(&mut [0x55, 0x55], &[0x32, 0x85]);
    assert_eq!(change.apply(0xdd2f), 0x0000);
}
