//! Frames against bytes that others have written, and against themselves.

use super::*;

/// An echo request as Linux sent it: `ping -s 8`, captured by tcpdump.
const ECHO: [u8; 50] = [
    0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45, 0x00, 0x00, 0x24, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01,
    0x26, 0xd7, 0x0a, 0x00, 0x00, 0x01, 0x0a, 0x00, 0x00, 0x02, 0x08, 0x00, 0xed, 0xc1, 0x12, 0x34, 0x00, 0x01, 1, 2,
    3, 4, 5, 6, 7, 8,
];

#[test]
fn the_checksum_of_rfc_1071() {
    // RFC 1071, 3: the sum of these is ddf2.
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(!sum(&[&bytes]), 0xddf2);
    assert_eq!(sum(&[&bytes[..4], &bytes[4..]]), sum(&[&bytes]));
    assert_eq!(sum(&[&[0xff]]), 0x00ff);
}

#[test]
fn every_flipped_bit_behind_the_addresses_is_noticed() {
    let header = [0x45, 0, 0, 36, 0, 0, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let mut frame = ECHO;
    frame[24..26].copy_from_slice(&sum(&[&header]).to_be_bytes());
    frame[36..38].fill(0);
    let value = sum(&[&frame[34..]]);
    frame[36..38].copy_from_slice(&value.to_be_bytes());
    let (_, Network::Ip(ip)) = parse(&Bytes::copy_from_slice(&frame)).expect("a good frame") else { panic!("IP") };
    assert_eq!((ip.source.to_string(), ip.protocol, ip.payload.len()), ("10.0.0.1".to_owned(), ICMP, 16));
    for bit in 14 * 8..frame.len() * 8 {
        let mut bad = frame;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(parse(&Bytes::copy_from_slice(&bad)).is_err(), "bit {bit}");
    }
}

#[test]
fn what_is_written_can_be_read() {
    for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
        for (protocol, length) in [(TCP, 20), (UDP, 9), (UDP, 8), (if source.len() == 8 { ICMP } else { ICMPV6 }, 11)] {
            let payload = Bytes::from(vec![0; length]);
            let (source, destination) = (source.parse().expect("one"), destination.parse().expect("two"));
            let packet = Ip { source, destination, protocol, ttl: 7, tos: 0xb9, payload };
            let link = Link { destination: [2; 6], source: [4; 6], vlan: Some(77) };
            let frame = ip(&link, &packet);
            let (read_link, Network::Ip(read)) = parse(&frame).expect("a good frame") else { panic!("IP") };
            assert_eq!(read_link, link);
            assert_eq!((read.source, read.destination), (source, destination));
            assert_eq!((read.protocol, read.ttl, read.tos, read.payload.len()), (protocol, 7, 0xb9, length));
        }
    }
}

#[test]
fn short_frames_are_faults() {
    for length in 0..ECHO.len() {
        assert!(parse(&Bytes::copy_from_slice(&ECHO[..length])).is_err(), "{length} bytes");
    }
}

#[test]
fn the_solicited_node_address_of_rfc_4291() {
    let target = "4037::1:800:200e:8c6c".parse().expect("an address");
    let (group, mac) = solicited_node(target);
    assert_eq!(group.to_string(), "ff02::1:ff0e:8c6c");
    assert_eq!(mac, [0x33, 0x33, 0xff, 0x0e, 0x8c, 0x6c]);
}
