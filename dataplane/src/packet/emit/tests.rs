//! What is written is read as it was meant, by us and by etherparse, checksums included.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::*;
use crate::limits;
use crate::packet::testing::*;
use crate::packet::{Arp, Ip, Network, Packet, RxChecks, Transport, arp, icmp, ndp, parse};

const SOFTWARE: Offloads =
    Offloads { ipv4_checksum: false, tcp_checksum: false, udp_checksum: false, tso: false, multi_segment: false };
const HARDWARE: Offloads =
    Offloads { ipv4_checksum: true, tcp_checksum: true, udp_checksum: true, tso: true, multi_segment: true };

fn link(vlan: Option<u16>) -> LinkOut {
    LinkOut { source: GATE, destination: HOST, vlan }
}

fn ip_out(v6: bool) -> IpOut {
    let (source, destination) = pair(v6);
    IpOut { source, destination, ttl: 33, tos: 0xb9, identification: 0x1234, flow_label: 0x54321 }
}

fn header() -> ::tcp::Header {
    let options = ::tcp::Options { mss: Some(1460), window_scale: Some(7), ..::tcp::Options::default() };
    ::tcp::Header {
        src_port: 4000,
        dst_port: 80,
        seq: ::tcp::SeqNumber(7),
        ack: ::tcp::SeqNumber(9),
        flags: ::tcp::Flags::SYN | ::tcp::Flags::ACK,
        window: 1000,
        urgent: 0,
        options,
    }
}

/// Reads with every check in software.
fn read(frame: &TestFrame) -> (Packet, Ip) {
    let packet = parse(&frame.bytes, RxChecks::default()).expect("what we write is valid");
    let Network::Ip(ip) = packet.network.clone() else { panic!("not IP") };
    (packet, ip)
}

fn check_tcp(v6: bool, vlan: Option<u16>, pieces: &[&[u8]]) {
    let mut frame = TestFrame::new();
    let out = ip_out(v6);
    tcp(&mut frame, &link(vlan), &out, &header(), pieces.iter().copied(), &SOFTWARE, None).expect("room");
    assert_eq!(frame.offload, None, "nothing is left to the device");
    let (packet, ip) = read(&frame);
    assert_eq!((packet.link.source, packet.link.destination, packet.link.vlan), (GATE, HOST, vlan));
    assert_eq!((ip.source, ip.destination, ip.ttl, ip.tos), (out.source, out.destination, 33, 0xb9));
    assert_eq!((ip.dont_fragment, ip.flow_label), (true, if v6 { 0x54321 } else { 0 }));
    let Transport::Tcp { header: read, payload } = ip.kind else { panic!("not TCP") };
    assert_eq!(read, header());
    assert_eq!(frame.bytes[payload], pieces.concat());

    let other = SlicedPacket::from_ethernet(&frame.bytes).expect("etherparse reads it");
    let Some(TransportSlice::Tcp(tcp)) = other.transport else { panic!("etherparse finds no TCP") };
    let sum = match other.net.expect("IP") {
        NetSlice::Ipv4(v4) => {
            let header = v4.header().to_header();
            assert_eq!((header.header_checksum, header.identification), (header.calc_header_checksum(), 0x1234));
            tcp.calc_checksum_ipv4(header.source, header.destination)
        }
        NetSlice::Ipv6(v6) => tcp.calc_checksum_ipv6(v6.header().source(), v6.header().destination()),
        NetSlice::Arp(_) => panic!("etherparse finds ARP"),
    };
    assert_eq!(sum.expect("short enough"), tcp.checksum());
}

#[test]
fn segments_in_both_families() {
    for v6 in [false, true] {
        check_tcp(v6, None, &[]);
        check_tcp(v6, Some(77), &[b"odd", b"", b"and even", b"!"]);
    }
}

proptest! {
    #[test]
    fn pieces_of_any_length(
        v6 in any::<bool>(),
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
    ) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        check_tcp(v6, None, &pieces);
    }
}

#[test]
fn checksums_left_to_the_device() {
    for v6 in [false, true] {
        let (mut soft, mut hard) = (TestFrame::new(), TestFrame::new());
        tcp(&mut soft, &link(None), &ip_out(v6), &header(), [b"abc".as_slice()].into_iter(), &SOFTWARE, None)
            .expect("room");
        tcp(&mut hard, &link(None), &ip_out(v6), &header(), [b"abc".as_slice()].into_iter(), &HARDWARE, None)
            .expect("room");
        let l3_len = if v6 { 40 } else { 20 };
        let expected =
            TxOffload { l2_len: 14, l3_len, ipv6: v6, ipv4_checksum: !v6, tcp_checksum: true, ..TxOffload::default() };
        assert_eq!(hard.offload, Some(expected));
        // Finishing the sum as a device does gives what software gave.
        let start = 14 + usize::from(l3_len);
        let sum = ::tcp::checksum::finish(::tcp::checksum::sum(&hard.bytes[start..], 0));
        hard.bytes[start + 16..start + 18].copy_from_slice(&sum.to_be_bytes());
        if !v6 {
            assert_eq!(hard.bytes[24..26], [0, 0]);
            fix_ipv4(&mut hard.bytes);
        }
        assert_eq!(hard.bytes, soft.bytes);
    }
}

#[test]
fn long_runs_are_cut_by_the_device() {
    for v6 in [false, true] {
        let payload = vec![7; 30_000];
        let mut frame = TestFrame::with_limits(2048, 65_535);
        let pieces = payload.chunks(1448);
        tcp(&mut frame, &link(None), &ip_out(v6), &header(), pieces, &HARDWARE, Some(1448)).expect("room");
        let offload = frame.offload.expect("the device has work");
        assert_eq!((offload.tso_mss, usize::from(offload.l4_len)), (1448, header().len()));
        assert!(offload.tcp_checksum && offload.ipv4_checksum != v6);
        let start = 14 + usize::from(offload.l3_len);
        let (source, destination) = pair(v6);
        let pseudo = ::tcp::checksum::pseudo_header(source, destination, 6, 0);
        assert_eq!(frame.bytes[start + 16..start + 18], (!::tcp::checksum::finish(pseudo)).to_be_bytes());

        let mut short = TestFrame::new();
        tcp(&mut short, &link(None), &ip_out(v6), &header(), payload[..1448].chunks(99), &HARDWARE, Some(1448))
            .expect("room");
        assert_eq!(short.offload.map(|offload| offload.tso_mss), Some(0), "one segment is not cut");
    }
}

#[test]
fn datagrams_in_both_families() {
    for v6 in [false, true] {
        for offloads in [SOFTWARE, HARDWARE] {
            let mut frame = TestFrame::new();
            let pieces = [b"que".as_slice(), b"stion"].into_iter();
            udp(&mut frame, &link(Some(4)), &ip_out(v6), 5000, 53, pieces, &offloads).expect("room");
            assert_eq!(frame.offload.is_some_and(|offload| offload.udp_checksum), offloads.udp_checksum);
            let rx = RxChecks { ip_checksum_good: true, l4_checksum_good: offloads.udp_checksum, vlan: None };
            let packet = parse(&frame.bytes, rx).expect("valid");
            let Network::Ip(Ip { kind: Transport::Udp { source_port, destination_port, payload }, .. }) =
                packet.network
            else {
                panic!("not UDP")
            };
            assert_eq!((source_port, destination_port, &frame.bytes[payload]), (5000, 53, b"question".as_slice()));
        }
    }
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_all_ones() {
    let out = ip_out(true);
    let mut frame = TestFrame::new();
    udp(&mut frame, &link(None), &out, 1, 1, std::iter::once([0, 0].as_slice()), &SOFTWARE).expect("room");
    let sum: [u8; 2] = frame.bytes[60..62].try_into().expect("two bytes");
    // With its own sum as payload the datagram's sum becomes zero.
    let mut frame = TestFrame::new();
    udp(&mut frame, &link(None), &out, 1, 1, std::iter::once(sum.as_slice()), &SOFTWARE).expect("room");
    assert_eq!(frame.bytes[60..62], [0xff, 0xff]);
    read(&frame);
}

proptest! {
    /// Only the TTL and, for its sake, IPv4's checksum change, whatever they were.
    #[test]
    fn forwarded_packets_are_one_hop_older(v6 in any::<bool>(), ttl in 1..=255u8, id in any::<u16>(), vlan in any::<bool>()) {
        let mut received = tcp_frame(v6, b"hello");
        if v6 {
            received[21] = ttl;
        } else {
            received[22] = ttl;
            received[18..20].copy_from_slice(&id.to_be_bytes());
            fix_ipv4(&mut received);
        }
        let mut frame = TestFrame::new();
        let vlan = vlan.then_some(5);
        forwarded(&mut frame, &link(vlan), &received[14..]).expect("room");
        let (packet, ip) = read(&frame);
        prop_assert_eq!((packet.link.source, packet.link.destination, packet.link.vlan), (GATE, HOST, vlan));
        prop_assert_eq!(ip.ttl, ttl - 1);
        let mut back = frame.bytes[packet.link.len..].to_vec();
        if v6 { back[7] += 1 } else { back[8] += 1 }
        back.splice(0..0, received[..14].iter().copied());
        if !v6 {
            fix_ipv4(&mut back);
        }
        prop_assert_eq!(&back, &received);
        // In its own buffer it becomes the same, padding gone.
        let mut own = TestFrame::new();
        own.push(&received).and_then(|()| own.push(&[0; 7])).expect("room");
        redirected(&mut own, &link(vlan), 14..received.len()).expect("room");
        prop_assert_eq!(own.bytes, frame.bytes);
    }
}

#[test]
fn echo_replies() {
    for v6 in [false, true] {
        let mut frame = TestFrame::new();
        echo_reply(&mut frame, &link(None), &ip_out(v6), 77, 3, b"ping", &SOFTWARE).expect("room");
        let Transport::Icmp(icmp::Message::EchoReply(echo)) = read(&frame).1.kind else { panic!("not an echo reply") };
        assert_eq!((echo.identifier, echo.sequence, &frame.bytes[echo.data]), (77, 3, b"ping".as_slice()));
    }
}

#[test]
fn errors_quote_as_much_as_may_be() {
    for (v6, longest) in [(false, limits::ICMPV4_ERROR_MAX), (true, limits::ICMPV6_ERROR_MAX)] {
        let offending = tcp_frame(v6, &[5; 1400]);
        let kind = icmp::ErrorKind::TooBig { mtu: 1400 };
        let mut frame = TestFrame::new();
        let wire = kind.wire(v6);
        icmp_error(&mut frame, &link(None), &ip_out(v6), wire, &offending[14..], &SOFTWARE).expect("room");
        assert_eq!(frame.bytes.len() - 14, longest);
        let Transport::Icmp(icmp::Message::Error(error)) = read(&frame).1.kind else { panic!("not an error") };
        assert_eq!((error.kind, error.wire), (kind, wire));
        let (source, destination) = pair(v6);
        assert_eq!((error.quote.source, error.quote.destination), (source, destination));
        assert_eq!((error.quote.source_port, error.quote.destination_port), (40000, 80));
        assert_eq!(error.quote.seq, Some(::tcp::SeqNumber(0x0102_0304)));
        let quoted = &frame.bytes[error.quote.bytes];
        assert_eq!(quoted, &offending[14..14 + quoted.len()]);
    }
}

#[test]
fn a_cut_quote_loses_its_extensions() {
    let mut frame = TestFrame::new();
    let wire = icmp::Wire { kind: 11, code: 0, rest: 0x0020_0000 };
    let quote = &tcp_frame(false, &[5; 1400])[14..];
    icmp_error(&mut frame, &link(None), &ip_out(false), wire, quote, &SOFTWARE).expect("room");
    let Transport::Icmp(icmp::Message::Error(error)) = read(&frame).1.kind else { panic!("not an error") };
    assert_eq!(error.wire.rest, 0);
}

#[test]
fn a_made_up_quote_names_the_flow() {
    for v6 in [false, true] {
        let mut quote = [0; QUOTE_MAX];
        let len = quote_tcp(&ip_out(v6), &header(), 100, &mut quote);
        let mut frame = TestFrame::new();
        let wire = icmp::ErrorKind::Unreachable(icmp::Unreachable::Port).wire(v6);
        icmp_error(&mut frame, &link(None), &ip_out(v6), wire, &quote[..len], &SOFTWARE).expect("room");
        let Transport::Icmp(icmp::Message::Error(error)) = read(&frame).1.kind else { panic!("not an error") };
        assert_eq!((error.quote.source_port, error.quote.seq), (4000, Some(::tcp::SeqNumber(7))));
    }
}

#[test]
fn arp_messages() {
    let message =
        Arp { operation: arp::Operation::Reply, sender_mac: GATE, sender: GATE_V4, target_mac: HOST, target: HOST_V4 };
    for vlan in [None, Some(9)] {
        let mut frame = TestFrame::new();
        arp(&mut frame, &link(vlan), &message).expect("room");
        let packet = parse(&frame.bytes, RxChecks::default()).expect("valid");
        assert_eq!((packet.network, packet.link.vlan), (Network::Arp(message), vlan));
    }
}

#[test]
fn neighbour_discovery_messages() {
    let read_nd = |frame: &TestFrame| match read(frame).1 {
        Ip { kind: Transport::Icmp(icmp::Message::Neighbour(message)), ttl: 255, .. } => message,
        other => panic!("not neighbour discovery: {other:?}"),
    };
    let group = ndp::solicited_node(HOST_V6);
    assert_eq!(group.to_string(), "ff02::1:ff00:10");
    let to_group = LinkOut { destination: MacAddress::for_group(group.into()).expect("a group"), ..link(None) };
    assert_eq!(to_group.destination.to_string(), "33:33:ff:00:00:10");

    let mut frame = TestFrame::new();
    neighbour_solicitation(&mut frame, &to_group, GATE_V6, group, HOST_V6).expect("room");
    let expected = ndp::Message::Solicitation { target: HOST_V6, source_link: Some(GATE) };
    assert_eq!(read_nd(&frame), expected);

    let mut frame = TestFrame::new();
    neighbour_solicitation(&mut frame, &to_group, std::net::Ipv6Addr::UNSPECIFIED, group, HOST_V6).expect("room");
    assert_eq!(read_nd(&frame), ndp::Message::Solicitation { target: HOST_V6, source_link: None });

    let mut frame = TestFrame::new();
    let message = Advertisement { target: GATE_V6, solicited: true, overrides: false };
    neighbour_advertisement(&mut frame, &link(None), GATE_V6, HOST_V6, &message).expect("room");
    let expected = ndp::Message::Advertisement {
        target: GATE_V6,
        target_link: Some(GATE),
        router: true,
        solicited: true,
        overrides: false,
    };
    assert_eq!(read_nd(&frame), expected);
}

#[test]
fn a_full_frame_says_so() {
    let payload = [0; 100];
    for len_max in 0..14 + 20 + header().len() + 100 {
        let mut frame = TestFrame::with_limits(2048, len_max);
        let pieces = std::iter::once(payload.as_slice());
        let written = tcp(&mut frame, &link(None), &ip_out(false), &header(), pieces, &SOFTWARE, None);
        assert_eq!(written, Err(Full));
    }
    let mut frame = TestFrame::with_limits(60, 2048);
    let pieces = std::iter::once(payload.as_slice());
    let written = tcp(&mut frame, &link(None), &ip_out(true), &header(), pieces, &SOFTWARE, None);
    assert_eq!(written, Err(Full), "headers do not fit the first segment");
    let mut frame = TestFrame::with_limits(2048, 100_000);
    let written = udp(&mut frame, &link(None), &ip_out(false), 1, 2, [0; 66_000].chunks(1000), &SOFTWARE);
    assert_eq!(written, Err(Full), "more than IP can carry");
}

#[test]
#[should_panic(expected = "of no family")]
fn mixed_families_are_a_bug() {
    let ip = IpOut::new(HOST_V4.into(), FAR_V6.into());
    let _ = udp(&mut TestFrame::new(), &link(None), &ip, 1, 2, std::iter::empty(), &SOFTWARE);
}
