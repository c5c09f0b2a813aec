//! Packets built by another's encoder are read as they were meant; every way to be malformed is reached; no bytes at all
//! make the reader panic.

use std::collections::HashSet;
use std::ops::Range;

use proptest::prelude::*;

use super::testing::*;
use super::*;

mod malformed;

fn read(frame: &[u8]) -> Result<Packet, Malformed> {
    parse(frame, RxChecks::default())
}

fn ip_of(packet: &Packet) -> &Ip {
    let Network::Ip(ip) = &packet.network else { panic!("not IP: {packet:?}") };
    ip
}

#[test]
fn tcp_in_both_families() {
    for v6 in [false, true] {
        let frame = tcp_frame(v6, b"hello");
        let packet = read(&frame).expect("a valid frame");
        assert_eq!((packet.link.source, packet.link.destination, packet.link.vlan), (HOST, GATE, None));
        let ip = ip_of(&packet);
        assert_eq!((ip.source, ip.destination), pair(v6));
        assert_eq!((ip.protocol, ip.ttl, ip.fragment), (PROTOCOL_TCP, 61, None));
        assert_eq!(ip.header.len(), if v6 { 40 } else { 20 });
        let Transport::Tcp { header, payload } = &ip.kind else { panic!("{ip:?}") };
        assert_eq!((header.src_port, header.dst_port, header.seq.0), (40000, 80, 0x0102_0304));
        assert!(header.flags.contains(tcp::Flags::SYN));
        assert_eq!(&frame[payload.clone()], b"hello");
        assert_eq!(ip.source_socket().port(), 40000);
        assert_eq!(ip.destination_socket().port(), 80);
    }
}

#[test]
fn udp_in_both_families_and_its_own_end() {
    for v6 in [false, true] {
        let mut frame = udp_frame(v6, b"question");
        frame.extend_from_slice(&[0xee; 7]); // padding of the link
        let packet = read(&frame).expect("a valid frame");
        let ip = ip_of(&packet);
        let Transport::Udp { source_port, destination_port, payload } = &ip.kind else { panic!("{ip:?}") };
        assert_eq!((*source_port, *destination_port), (40000, 53));
        assert_eq!(&frame[payload.clone()], b"question");
        assert_eq!(ip.transport.end, frame.len() - 7, "padding is not the datagram's");
    }
}

#[test]
fn udp_without_checksum_is_ipv4s_right() {
    let mut frame = udp_frame(false, b"x");
    frame[40..42].fill(0);
    assert!(read(&frame).is_ok());
}

#[test]
fn echo_in_both_families() {
    for v6 in [false, true] {
        let frame = echo_frame(v6, b"ping");
        let packet = read(&frame).expect("a valid frame");
        let Transport::Icmp(icmp::Message::EchoRequest(echo)) = &ip_of(&packet).kind else { panic!("{packet:?}") };
        assert_eq!((echo.identifier, echo.sequence), (77, 3));
        assert_eq!(&frame[echo.data.clone()], b"ping");
        assert_eq!(ip_of(&packet).source_socket().port(), 77);
    }
}

#[test]
fn a_good_word_of_the_device_spares_the_check() {
    let mut frame = tcp_frame(false, b"hello");
    let last = frame.len() - 1;
    frame[last] ^= 1;
    assert_eq!(read(&frame), Err(Malformed::TcpChecksum));
    let good = RxChecks { l4_checksum_good: true, ..RxChecks::default() };
    assert!(parse(&frame, good).is_ok());
    frame[24] ^= 1;
    assert_eq!(parse(&frame, good), Err(Malformed::Ipv4Checksum));
    assert!(parse(&frame, RxChecks { ip_checksum_good: true, ..good }).is_ok());
}

#[test]
fn vlan_tags() {
    let tagged = |control: u16| {
        let mut frame = tcp_frame(false, b"hello");
        frame.splice(12..12, [0x81, 0x00, (control >> 8) as u8, control as u8]);
        frame
    };
    let link = |control| read(&tagged(control)).expect("one tag is read").link;
    assert_eq!((link(7).vlan, link(7).len), (Some(7), 18));
    assert_eq!(link(0xe000).vlan, None, "a tag with a priority only");
    assert_eq!(link(0xe00c).vlan, Some(12));
    let stripped = RxChecks { vlan: Some(0x2009), ..RxChecks::default() };
    assert_eq!(parse(&tcp_frame(true, b""), stripped).map(|packet| packet.link.vlan), Ok(Some(9)));
}

#[test]
fn fragments_are_not_opened() {
    let mut frame = tcp_frame(false, &[0; 36]);
    frame[20..22].copy_from_slice(&0x2000u16.to_be_bytes());
    fix_ipv4(&mut frame);
    let packet = read(&frame).expect("a first fragment");
    let first = ip_of(&packet).fragment.expect("is one");
    assert!(first.is_first() && first.more && ip_of(&packet).kind == Transport::Other);

    frame[20..22].copy_from_slice(&0x0010u16.to_be_bytes());
    fix_ipv4(&mut frame);
    let packet = read(&frame).expect("a last fragment");
    assert_eq!(ip_of(&packet).fragment.map(|fragment| (fragment.offset, fragment.more)), Some((128, false)));
}

/// An IPv6 frame whose extension headers are `extensions` and whose upper layer is a SYN.
fn extended(first: u8, extensions: &[u8]) -> Vec<u8> {
    let mut frame = tcp_frame(true, b"");
    frame.splice(54..54, extensions.iter().copied());
    frame[20] = first;
    let length = (frame.len() - 54) as u16;
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    frame
}

#[test]
fn ipv6_extension_headers_lead_to_the_upper_layer() {
    // Hop-by-hop with router alert and PadN, destination options, routing type 4, atomic fragment.
    let chain =
        [[60, 0, 5, 2, 0, 0, 1, 0], [43, 0, 1, 4, 0, 0, 0, 0], [44, 0, 4, 0, 0, 0, 0, 0], [6, 0, 0, 0, 0, 0, 0, 9]];
    let packet = extended(0, chain.as_flattened());
    let packet = read(&packet).expect("a valid chain");
    let ip = ip_of(&packet);
    assert_eq!((ip.protocol, ip.fragment, ip.header.len()), (PROTOCOL_TCP, None, 40 + 32));
    assert!(matches!(ip.kind, Transport::Tcp { .. }));

    let later = extended(44, &[6, 0, 0, 8, 0, 0, 0, 9]);
    let later = read(&later).expect("a last fragment");
    let fragment = ip_of(&later).fragment.expect("is one");
    assert_eq!((fragment.offset, fragment.more, fragment.identification), (8, false, 9));
}

/// Whatever the bytes were: what was read lies within them.
fn check_ranges(frame: &[u8], packet: &Packet) {
    let within = |outer: &Range<usize>, inner: &Range<usize>| {
        assert!(outer.start <= inner.start && inner.start <= inner.end && inner.end <= outer.end, "{packet:?}");
    };
    let Network::Ip(ip) = &packet.network else { return };
    let whole = 0..frame.len();
    within(&whole, &ip.header);
    within(&whole, &ip.transport);
    assert_eq!(ip.header.end, ip.transport.start);
    match &ip.kind {
        Transport::Tcp { payload, .. } | Transport::Udp { payload, .. } => within(&ip.transport, payload),
        Transport::Icmp(icmp::Message::EchoRequest(echo) | icmp::Message::EchoReply(echo)) => {
            within(&ip.transport, &echo.data);
        }
        Transport::Icmp(icmp::Message::Error(error)) => within(&ip.transport, &error.quote.bytes),
        _ => {}
    }
}

fn valid_frame() -> impl Strategy<Value = Vec<u8>> {
    (any::<bool>(), 0..3usize, proptest::collection::vec(any::<u8>(), 0..200))
        .prop_map(|(v6, kind, payload)| [tcp_frame, udp_frame, echo_frame][kind](v6, &payload))
}

/// The device's word for checksums makes mutations reach further than the first check.
const TRUSTING: RxChecks = RxChecks { ip_checksum_good: true, l4_checksum_good: true, vlan: None };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_never_panic(mut frame in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..4usize) {
        let ethertype = [ethernet::IPV4, ethernet::IPV6, ethernet::ARP, ethernet::VLAN][kind];
        if let Some(field) = frame.get_mut(12..14) {
            field.copy_from_slice(&ethertype.to_be_bytes());
        }
        if let Some(version) = frame.get_mut(14) {
            *version = *version & 0x0f | if kind == 0 { 0x40 } else { 0x60 };
        }
        for rx in [RxChecks::default(), TRUSTING] {
            if let Ok(packet) = parse(&frame, rx) {
                check_ranges(&frame, &packet);
            }
        }
    }

    #[test]
    fn mutated_packets_never_panic(
        mut frame in valid_frame(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        fix in any::<bool>(),
    ) {
        for (at, value) in changes {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        if fix {
            frame.truncate(cut.index(frame.len() + 1));
        }
        if let Ok(packet) = parse(&frame, TRUSTING) {
            check_ranges(&frame, &packet);
        }
        if let Ok(packet) = read(&frame) {
            check_ranges(&frame, &packet);
        }
    }

    /// What we take for TCP or UDP, etherparse does too, and finds the same in it.
    #[test]
    fn etherparse_agrees(
        mut frame in valid_frame(),
        changes in proptest::collection::vec((14..60usize, any::<u8>()), 0..3),
    ) {
        for (at, value) in changes {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        let Ok(packet) = parse(&frame, TRUSTING) else { return Ok(()) };
        let Network::Ip(ip) = &packet.network else { return Ok(()) };
        // It opens more than we do: AH, mobility headers, fragments' ends.
        if !matches!(ip.kind, Transport::Tcp { .. } | Transport::Udp { .. }) {
            return Ok(());
        }
        let other = etherparse::SlicedPacket::from_ethernet(&frame).expect("we read it");
        let (source, destination) = match other.net.as_ref().expect("IP") {
            etherparse::NetSlice::Ipv4(v4) => {
                (v4.header().source_addr().into(), v4.header().destination_addr().into())
            }
            etherparse::NetSlice::Ipv6(v6) => {
                (IpAddr::V6(v6.header().source_addr()), IpAddr::V6(v6.header().destination_addr()))
            }
            etherparse::NetSlice::Arp(_) => panic!("we read IP"),
        };
        prop_assert_eq!((ip.source, ip.destination), (source, destination));
        match (&ip.kind, other.transport) {
            (Transport::Tcp { header, payload }, Some(etherparse::TransportSlice::Tcp(tcp))) => {
                prop_assert_eq!((header.src_port, header.dst_port), (tcp.source_port(), tcp.destination_port()));
                prop_assert_eq!((header.seq.0, header.window), (tcp.sequence_number(), tcp.window_size()));
                prop_assert_eq!(&frame[payload.clone()], tcp.payload());
            }
            (Transport::Udp { source_port, payload, .. }, Some(etherparse::TransportSlice::Udp(udp))) => {
                prop_assert_eq!(*source_port, udp.source_port());
                prop_assert_eq!(&frame[payload.clone()], udp.payload());
            }
            (_, other) => prop_assert!(false, "etherparse found {:?}", other),
        }
    }
}
