//! What is answered with an error, what never is, and how often.

use std::time::Duration;

use control::InterfaceId;

use super::*;
use crate::packet::icmp::Unreachable;
use crate::packet::testing::*;
use crate::packet::{RxChecks, parse};

const NOW: Instant = Instant::from_micros(1_000_000);

fn routes() -> Routes {
    let networks = ["192.168.1.1/24", "fd00:1::1/64"].map(|text| text.parse().expect("a network"));
    let far = ["203.0.113.9/24", "2001:db8::9/64"].map(|text| text.parse().expect("a network"));
    Routes::from_parts([networks.to_vec(), far.to_vec()].into_iter(), std::iter::empty())
}

fn read(frame: &[u8]) -> Packet {
    parse(frame, RxChecks::default()).expect("a valid frame")
}

fn permit(frame: &[u8]) -> Result<(), Withheld> {
    IcmpErrors::new(1).permit(NOW, &read(frame), &routes())
}

fn spoilt(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    if frame[14] >> 4 == 4 {
        fix_ipv4(&mut frame);
    }
    frame
}

fn udp_v4() -> Vec<u8> {
    // Without checksum, so that addresses may be exchanged.
    spoilt(udp_frame(false, b"x"), 40, &[0, 0])
}

#[test]
fn what_may_be_answered() {
    for v6 in [false, true] {
        assert_eq!(permit(&tcp_frame(v6, b"x")), Ok(()));
        assert_eq!(permit(&udp_frame(v6, b"x")), Ok(()));
        assert_eq!(permit(&echo_frame(v6, b"x")), Ok(()), "an echo request is no error");
    }
    let first = spoilt(udp_frame(false, &[0; 8]), 20, &[0x20, 0]);
    assert_eq!(permit(&first), Ok(()), "a first fragment");
}

#[test]
fn what_never_is() {
    let mut error = TestFrame::new();
    let link = LinkOut { source: HOST, destination: GATE, vlan: None };
    let ip = IpOut::new(HOST_V4.into(), FAR_V4.into());
    let wire = ErrorKind::Unreachable(Unreachable::Port).wire(false);
    let quote = &tcp_frame(false, b"x")[14..];
    emit::icmp_error(&mut error, &link, &ip, wire, quote, &Offloads::default()).expect("room");
    let mut solicitation = TestFrame::new();
    emit::neighbour_solicitation(&mut solicitation, &link, HOST_V6, GATE_V6, GATE_V6).expect("room");
    let mut arp = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 10, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 10];
    arp.extend_from_slice(&[192, 168, 1, 10, 0, 0, 0, 0, 0, 0, 192, 168, 1, 1]);
    let icmp = |kind: u8| {
        let mut frame = spoilt(echo_frame(false, b""), 34, &[kind]);
        fix_upper(&mut frame, 34, 2, None);
        frame
    };
    let mut icmpv6 = spoilt(echo_frame(true, b""), 54, &[100]);
    fix_upper(&mut icmpv6, 54, 2, Some(58));

    let table = [
        (Withheld::NotIp, arp),
        (Withheld::AboutError, error.bytes),
        (Withheld::AboutError, solicitation.bytes),
        (Withheld::AboutError, icmp(5)),
        (Withheld::AboutError, icmp(4)),
        (Withheld::AboutError, icmpv6),
        (Withheld::AboutFragment, spoilt(udp_v4(), 20, &[0, 9])),
        (Withheld::AboutGroup, spoilt(udp_v4(), 30, &[224, 0, 0, 1])),
        (Withheld::AboutGroup, spoilt(udp_v4(), 30, &[255; 4])),
        (Withheld::AboutGroup, spoilt(udp_v4(), 30, &[203, 0, 113, 255])),
        (Withheld::AboutGroup, spoilt(udp_v4(), 0, &[0xff; 6])),
        (Withheld::ToNobody, spoilt(udp_v4(), 26, &[192, 168, 1, 255])),
        (Withheld::ToNobody, spoilt(udp_v4(), 26, &[192, 168, 1, 1])),
    ];
    for (expected, frame) in table {
        assert_eq!(permit(&frame), Err(expected), "{frame:02x?}");
    }
}

#[test]
fn each_receiver_has_a_rate_and_all_have_one() {
    let mut errors = IcmpErrors::new(1);
    let host = |n: u32| IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + n));
    let mut permitted = |now, n: u32| errors.permit_relay(now, host(n));
    let one: Vec<_> = (0..100).map(|_| permitted(NOW, 0)).collect();
    assert_eq!(one.iter().filter(|result| result.is_ok()).count(), limits::ICMP_ERRORS_BURST_EACH as usize);
    assert_eq!(one.last(), Some(&Err(Withheld::RateEach)));
    let all: Vec<_> = (1..1000).map(|n| permitted(NOW, n)).collect();
    let rest = limits::ICMP_ERRORS_BURST - limits::ICMP_ERRORS_BURST_EACH;
    assert_eq!(all.iter().filter(|result| result.is_ok()).count(), rest as usize);
    assert!(all.contains(&Err(Withheld::RateTotal)));
    assert_eq!(permitted(NOW + Duration::from_secs(1), 0), Ok(()));
}

#[test]
fn the_error_names_the_packet_and_its_sender() {
    for v6 in [false, true] {
        let frame = tcp_frame(v6, &[1; 600]);
        let offending = read(&frame);
        let source = routes().source_for(InterfaceId(0), pair(v6).0).expect("an address");
        let link = LinkOut { source: GATE, destination: HOST, vlan: None };
        let kind = ErrorKind::TimeExceeded { reassembly: false };
        let mut out = TestFrame::new();
        write(&mut out, &link, source, kind, &offending, &frame, &Offloads::default()).expect("room");
        let packet = read(&out.bytes);
        let Network::Ip(ip) = &packet.network else { panic!("not IP") };
        assert_eq!((ip.source, ip.destination), (source, pair(v6).0));
        let Transport::Icmp(Message::Error(error)) = &ip.kind else { panic!("not an error") };
        assert_eq!((error.kind, error.quote.source_port), (kind, 40000));
        assert_eq!(permit(&out.bytes), Err(Withheld::AboutError));
    }
}

#[test]
fn reasons_have_names() {
    for (place, withheld) in Withheld::ALL.iter().enumerate() {
        assert_eq!(withheld.index(), place);
        assert!(!withheld.name().is_empty() && withheld.sentence().len() > 20);
    }
    assert_eq!(Withheld::ALL.last(), Some(&Withheld::RateEach));
}
