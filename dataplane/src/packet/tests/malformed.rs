//! One frame for every way to be malformed.

use super::*;
use crate::limits;

/// A valid frame, spoilt.
fn spoilt(mut frame: Vec<u8>, spoil: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    spoil(&mut frame);
    frame
}

/// The same with its IPv4 header checksum put right again.
fn spoilt_v4(frame: Vec<u8>, spoil: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = spoilt(frame, spoil);
    fix_ipv4(&mut frame);
    frame
}

fn v4() -> Vec<u8> {
    tcp_frame(false, b"hello")
}

fn v6() -> Vec<u8> {
    tcp_frame(true, b"hello")
}

/// A SYN of 20 bytes, spoilt, its checksum right.
fn segment(spoil: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = spoilt(tcp_frame(false, b""), spoil);
    fix_ipv4(&mut frame);
    fix_upper(&mut frame, 34, 16, Some(PROTOCOL_TCP));
    frame
}

fn arp_frame(spoil: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let arp = Arp {
        operation: arp::Operation::Request,
        sender_mac: HOST,
        sender: HOST_V4,
        target_mac: MacAddress::ZERO,
        target: GATE_V4,
    };
    let link = emit::LinkOut { source: HOST, destination: MacAddress::BROADCAST, vlan: None };
    let mut frame = TestFrame::new();
    emit::arp(&mut frame, &link, &arp).expect("room");
    spoilt(frame.bytes, spoil)
}

/// An IPv4 frame with options (padded to words by the caller).
fn with_options(options: &[u8]) -> Vec<u8> {
    spoilt_v4(v4(), |frame| {
        frame.splice(34..34, options.iter().copied());
        frame[14] += (options.len() / 4) as u8;
        let total = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&total.to_be_bytes());
    })
}

/// A frame with an ICMP message of these bytes behind an IP header; checksum right.
fn icmp_frame(v6: bool, message: &[u8]) -> Vec<u8> {
    let mut frame = echo_frame(v6, b"");
    let start = frame.len() - 8;
    frame.truncate(start);
    frame.extend_from_slice(message);
    if v6 {
        frame[18..20].copy_from_slice(&(message.len() as u16).to_be_bytes());
        fix_upper(&mut frame, start, 2, Some(PROTOCOL_ICMPV6));
    } else {
        frame[16..18].copy_from_slice(&(message.len() as u16 + 20).to_be_bytes());
        fix_ipv4(&mut frame);
        fix_upper(&mut frame, start, 2, None);
    }
    frame
}

/// A neighbour discovery frame, spoilt, with its checksum right.
fn nd_frame(advertisement: bool, spoil: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let group = ndp::solicited_node(GATE_V6);
    let mac = MacAddress::for_group(group.into()).expect("a group");
    let link = emit::LinkOut { source: HOST, destination: mac, vlan: None };
    let mut frame = TestFrame::new();
    if advertisement {
        let message = emit::Advertisement { target: HOST_V6, solicited: false, overrides: true };
        emit::neighbour_advertisement(&mut frame, &link, HOST_V6, group, &message).expect("room");
    } else {
        emit::neighbour_solicitation(&mut frame, &link, HOST_V6, group, GATE_V6).expect("room");
    }
    let mut frame = spoilt(frame.bytes, spoil);
    let length = (frame.len() - 54) as u16;
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    fix_upper(&mut frame, 54, 2, Some(PROTOCOL_ICMPV6));
    frame
}

fn set_v4(frame: Vec<u8>, at: usize, address: [u8; 4]) -> Vec<u8> {
    spoilt_v4(frame, |frame| frame[at..at + 4].copy_from_slice(&address))
}

fn set_v6(frame: Vec<u8>, at: usize, address: std::net::Ipv6Addr) -> Vec<u8> {
    spoilt(frame, |frame| frame[at..at + 16].copy_from_slice(&address.octets()))
}

const SOURCE_V4: usize = 26;
const DESTINATION_V4: usize = 30;
const SOURCE_V6: usize = 22;
const DESTINATION_V6: usize = 38;

fn of_link_and_arp() -> Vec<(Malformed, Vec<u8>)> {
    vec![
        (Malformed::EthernetTruncated, v4()[..13].to_vec()),
        (Malformed::EthernetTruncated, Vec::new()),
        (Malformed::EthernetSource, spoilt(v4(), |frame| frame[6] = 1)),
        (Malformed::EthernetSource, spoilt(v4(), |frame| frame[6..12].fill(0))),
        (
            Malformed::VlanTruncated,
            spoilt(v4(), |frame| {
                frame[12..14].copy_from_slice(&[0x81, 0]);
                frame.truncate(17);
            }),
        ),
        (Malformed::VlanStacked, spoilt(v4(), |frame| frame[12..14].copy_from_slice(&[0x88, 0xa8]))),
        (
            Malformed::VlanStacked,
            spoilt(v4(), |frame| {
                frame.splice(12..12, [0x81, 0, 0, 1, 0x81, 0, 0, 2]);
            }),
        ),
        (Malformed::LinkMulticast, spoilt(v6(), |frame| frame[..6].fill(0xff))),
        (Malformed::LinkMulticast, spoilt(v4(), |frame| frame[..6].fill(0xff))),
        (Malformed::LinkMulticast, spoilt(udp_frame(false, b""), |frame| frame[0] = 1)),
        (Malformed::ArpTruncated, arp_frame(|frame| frame.truncate(41))),
        (Malformed::ArpUnsupported, arp_frame(|frame| frame[15] = 6)),
        (Malformed::ArpUnsupported, arp_frame(|frame| frame[21] = 3)),
        (Malformed::ArpSender, arp_frame(|frame| frame[22] = 1)),
        (Malformed::ArpSender, arp_frame(|frame| frame[28] = 224)),
        (
            Malformed::ArpSender,
            arp_frame(|frame| {
                frame[21] = 2;
                frame[28..32].fill(0);
            }),
        ),
    ]
}

fn of_ipv4() -> Vec<(Malformed, Vec<u8>)> {
    vec![
        (Malformed::Ipv4Truncated, v4()[..33].to_vec()),
        (Malformed::Ipv4Version, spoilt_v4(v4(), |frame| frame[14] = 0x65)),
        (Malformed::Ipv4HeaderLength, spoilt_v4(v4(), |frame| frame[14] = 0x44)),
        (
            Malformed::Ipv4HeaderTruncated,
            spoilt(v4(), |frame| {
                frame[14] = 0x4f;
                frame.truncate(70);
            }),
        ),
        (Malformed::Ipv4TotalLength, spoilt_v4(v4(), |frame| frame[16..18].copy_from_slice(&[0, 19]))),
        (
            Malformed::Ipv4FrameShort,
            spoilt(v4(), |frame| {
                frame.pop();
            }),
        ),
        (Malformed::Ipv4Checksum, spoilt(v4(), |frame| frame[24] ^= 0x80)),
        (Malformed::Ipv4Options, with_options(&[7, 1, 0, 0])),
        (Malformed::Ipv4Options, with_options(&[1, 1, 7, 9])),
        (Malformed::Ipv4Options, with_options(&[1, 1, 1, 7])),
        (Malformed::Ipv4SourceRoute, with_options(&[1, 131, 3, 4])),
        (Malformed::Ipv4SourceRoute, with_options(&[137, 3, 4, 0])),
        (Malformed::FragmentLength, spoilt_v4(v4(), |frame| frame[20] = 0x20)),
        (Malformed::FragmentOverrun, spoilt_v4(v4(), |frame| frame[20..22].copy_from_slice(&[0x1f, 0xff]))),
        (Malformed::SourceMulticast, set_v4(v4(), SOURCE_V4, [224, 0, 0, 1])),
        (Malformed::SourceBroadcast, set_v4(v4(), SOURCE_V4, [255; 4])),
        (Malformed::SourceLoopback, set_v4(v4(), SOURCE_V4, [127, 0, 0, 1])),
        (Malformed::SourceUnspecified, set_v4(v4(), SOURCE_V4, [0, 1, 2, 3])),
        (Malformed::DestinationLoopback, set_v4(v4(), DESTINATION_V4, [127, 1, 1, 1])),
        (Malformed::DestinationUnspecified, set_v4(v4(), DESTINATION_V4, [0; 4])),
        (Malformed::Land, set_v4(v4(), DESTINATION_V4, HOST_V4.octets())),
    ]
}

fn of_ipv6() -> Vec<(Malformed, Vec<u8>)> {
    let address = |text: &str| text.parse().expect("an address");
    vec![
        (Malformed::Ipv6Truncated, v6()[..53].to_vec()),
        (Malformed::Ipv6Version, spoilt(v6(), |frame| frame[14] = 0x45)),
        (Malformed::Ipv6FrameShort, v6()[..60].to_vec()),
        (Malformed::Ipv6Jumbogram, extended(0, &[6, 0, 0xc2, 4, 0, 1, 0, 0])),
        (Malformed::Ipv6ExtensionTruncated, extended(60, &[6, 9, 0, 0, 0, 0, 0, 0])),
        (
            Malformed::Ipv6ExtensionTruncated,
            spoilt(v6(), |frame| {
                frame[18..20].copy_from_slice(&[0, 1]);
                frame[20] = 60;
            }),
        ),
        (
            Malformed::Ipv6ExtensionTruncated,
            spoilt(v6(), |frame| {
                frame[18..20].copy_from_slice(&[0, 7]);
                frame[20] = 44;
            }),
        ),
        (Malformed::Ipv6ExtensionOrder, extended(60, &[0, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0])),
        (Malformed::Ipv6ExtensionOrder, extended(44, &[44, 0, 0, 0, 0, 0, 0, 9, 6, 0, 0, 0, 0, 0, 0, 9])),
        (Malformed::Ipv6ExtensionCount, extended(60, [[60, 0, 1, 4, 0, 0, 0, 0]; 9].as_flattened())),
        (Malformed::Ipv6Options, extended(0, &[6, 0, 1, 9, 0, 0, 0, 0])),
        (Malformed::Ipv6OptionRefused, extended(0, &[6, 0, 0x9e, 4, 0, 0, 0, 0])),
        (Malformed::Ipv6RoutingType0, extended(43, &[6, 0, 0, 0, 0, 0, 0, 0])),
        (Malformed::FragmentLength, extended(44, &[6, 0, 0, 1, 0, 0, 0, 9])),
        (Malformed::FragmentOverrun, extended(44, &[6, 0, 0xff, 0xf8, 0, 0, 0, 9])),
        (Malformed::SourceMulticast, set_v6(v6(), SOURCE_V6, address("ff02::1"))),
        (Malformed::SourceLoopback, set_v6(v6(), SOURCE_V6, address("::1"))),
        (Malformed::SourceUnspecified, set_v6(v6(), SOURCE_V6, address("::"))),
        (Malformed::DestinationLoopback, set_v6(v6(), DESTINATION_V6, address("::1"))),
        (Malformed::DestinationUnspecified, set_v6(v6(), DESTINATION_V6, address("::"))),
        (Malformed::MappedAddress, set_v6(v6(), SOURCE_V6, address("::ffff:192.168.1.4"))),
        (Malformed::MappedAddress, set_v6(v6(), DESTINATION_V6, address("::ffff:192.168.1.4"))),
        (Malformed::Land, set_v6(v6(), DESTINATION_V6, HOST_V6)),
    ]
}

fn of_tcp_and_udp() -> Vec<(Malformed, Vec<u8>)> {
    let udp_length = |length: u8| spoilt(udp_frame(false, b"x"), |frame| frame[39] = length);
    let shorter = |frame: Vec<u8>, len: u8| {
        spoilt_v4(frame, |frame| {
            frame.truncate(14 + usize::from(len));
            frame[17] = len;
        })
    };
    vec![
        (Malformed::TcpTruncated, shorter(v4(), 39)),
        (Malformed::TcpDataOffset, segment(|frame| frame[46] = 0x40)),
        (Malformed::TcpDataOffset, segment(|frame| frame[46] = 0x60)),
        (Malformed::TcpChecksum, spoilt(v4(), |frame| frame[50] ^= 1)),
        (Malformed::TcpPortZero, segment(|frame| frame[34..36].fill(0))),
        (Malformed::TcpPortZero, segment(|frame| frame[36..38].fill(0))),
        (Malformed::TcpFlags, segment(|frame| frame[47] = 0)),
        (Malformed::TcpFlags, segment(|frame| frame[47] = 0x03)),
        (Malformed::TcpFlags, segment(|frame| frame[47] = 0x06)),
        (Malformed::TcpDestination, segment(|frame| frame[30..34].copy_from_slice(&[224, 0, 0, 5]))),
        (Malformed::TcpDestination, segment(|frame| frame[30..34].fill(255))),
        (Malformed::UdpTruncated, shorter(udp_frame(false, b""), 27)),
        (Malformed::UdpLength, udp_length(7)),
        (Malformed::UdpLength, udp_length(10)),
        (Malformed::UdpChecksum, spoilt(udp_frame(true, b"x"), |frame| frame[62] ^= 1)),
        (Malformed::UdpChecksumMissing, spoilt(udp_frame(true, b"x"), |frame| frame[60..62].fill(0))),
        (Malformed::UdpPortZero, spoilt(udp_frame(false, b""), |frame| frame[36..38].fill(0))),
    ]
}

fn of_icmp() -> Vec<(Malformed, Vec<u8>)> {
    let mut quote = vec![3, 1, 0, 0, 0, 0, 0, 0];
    quote.extend_from_slice(&v4()[14..14 + 27]);
    let mut quote6 = vec![1, 3, 0, 0, 0, 0, 0, 0];
    quote6.extend_from_slice(&v6()[14..14 + 47]);
    vec![
        (Malformed::IcmpTruncated, icmp_frame(false, &[8, 0, 0, 0, 0, 0, 0])),
        (Malformed::IcmpChecksum, spoilt(echo_frame(false, b"x"), |frame| frame[42] ^= 1)),
        (Malformed::IcmpQuoteTruncated, icmp_frame(false, &quote)),
        (Malformed::IcmpQuoteTruncated, icmp_frame(false, &[3, 1, 0, 0, 0, 0, 0, 0])),
        (Malformed::IcmpQuoteTruncated, icmp_frame(true, &quote6)),
        (Malformed::Icmpv6Truncated, icmp_frame(true, &[128, 0, 0, 0, 0, 0, 0])),
        (
            Malformed::Icmpv6Truncated,
            spoilt(echo_frame(true, b""), |frame| {
                frame.truncate(57);
                frame[19] = 3;
            }),
        ),
        (Malformed::Icmpv6Checksum, spoilt(echo_frame(true, b"x"), |frame| frame[62] ^= 1)),
        (Malformed::NdHopLimit, nd_frame(false, |frame| frame[21] = 254)),
        (Malformed::NdCode, nd_frame(false, |frame| frame[55] = 1)),
        (Malformed::NdTruncated, nd_frame(false, |frame| frame.truncate(54 + 23))),
        (Malformed::NdOption, nd_frame(false, |frame| frame[79] = 0)),
        (Malformed::NdOption, nd_frame(false, |frame| frame[79] = 2)),
        (Malformed::NdOption, nd_frame(false, |frame| frame[80] = 1)),
        (Malformed::NdOption, nd_frame(true, |frame| frame.push(0))),
        (
            Malformed::NdOption,
            nd_frame(false, |frame| frame.extend([14, 1, 0, 0, 0, 0, 0, 0].repeat(limits::ND_OPTIONS_MAX))),
        ),
        (Malformed::NdTarget, nd_frame(false, |frame| frame[62] = 0xff)),
        (Malformed::NdSource, nd_frame(false, |frame| frame[22..38].fill(0))),
        (Malformed::NdSolicited, nd_frame(true, |frame| frame[58] = 0x60)),
    ]
}

#[test]
fn every_way_to_be_malformed() {
    let table = [of_link_and_arp(), of_ipv4(), of_ipv6(), of_tcp_and_udp(), of_icmp()].concat();
    for (expected, frame) in &table {
        assert_eq!(read(frame), Err(*expected), "{frame:02x?}");
    }
    let reached: HashSet<_> = table.iter().map(|(kind, _)| *kind).collect();
    let missing: Vec<_> = Malformed::ALL.iter().filter(|kind| !reached.contains(kind)).collect();
    assert!(missing.is_empty(), "not reached: {missing:?}");
}

#[test]
fn what_was_spoilt_was_good() {
    for frame in [v4(), v6(), segment(|_| {}), arp_frame(|_| {}), nd_frame(false, |_| {}), nd_frame(true, |_| {})] {
        read(&frame).expect("good before it is spoilt");
    }
    let many = nd_frame(false, |frame| frame.extend([14, 1, 0, 0, 0, 0, 0, 0].repeat(limits::ND_OPTIONS_MAX - 1)));
    read(&many).expect("as many options as are walked");
    read(&with_options(&[1, 1, 1, 0])).expect("harmless options");
    read(&with_options(&[7, 3, 4, 0])).expect("a record of the route is carried");
}
