//! Phases of a program's flow: what a packet makes of them, and how long they last.

use super::*;

/// A TCP packet with these flags.
fn segment(flags: tcp::Flags) -> Ip {
    let mut bytes = [0; 20];
    (bytes[0], bytes[3], bytes[12], bytes[13]) = (156, 22, 5 << 4, flags.bits() as u8);
    let (header, _) = tcp::Header::parse(&bytes).expect("a header");
    Ip {
        source: "192.0.2.9".parse().expect("an address"),
        destination: "192.0.2.1".parse().expect("an address"),
        protocol: 6,
        ttl: 64,
        tos: 0,
        flow_label: 0,
        dont_fragment: true,
        fragment: None,
        header: 0..20,
        transport: 20..40,
        kind: Transport::Tcp { header, payload: 40..40 },
    }
}

#[test]
fn a_connection_is_open_when_who_began_it_has_heard_the_answer() {
    let (syn, ack) = (segment(tcp::Flags::SYN), segment(tcp::Flags::ACK));
    let opening = Phase::Opening.after(Direction::Original, &syn);
    assert_eq!(opening, Phase::Opening);
    assert_eq!(opening.lifetime(&syn), limits::TRACK_SYN_RECV);
    let answered = opening.after(Direction::Reply, &segment(tcp::Flags::SYN | tcp::Flags::ACK));
    assert_eq!(answered, Phase::Answered);
    assert!(answered.makes_room(), "a SYN-ACK proves nothing of who sent the SYN");
    let open = answered.after(Direction::Original, &ack);
    assert_eq!(open, Phase::Open);
    assert!(!open.makes_room());
    assert_eq!(open.lifetime(&ack), limits::TRACK_ESTABLISHED);
}

#[test]
fn fin_and_rst_end_it_soon() {
    let fin = segment(tcp::Flags::FIN | tcp::Flags::ACK);
    let closing = Phase::Open.after(Direction::Reply, &fin);
    assert_eq!((closing, closing.lifetime(&fin)), (Phase::Closing, limits::TRACK_TIME_WAIT));
    let rst = segment(tcp::Flags::RST);
    let reset = closing.after(Direction::Original, &rst);
    assert_eq!((reset, reset.lifetime(&rst)), (Phase::Reset, limits::TRACK_CLOSE));
    assert_eq!(reset.after(Direction::Original, &segment(tcp::Flags::ACK)), Phase::Reset);
}

#[test]
fn the_kernels_packets_have_sides_of_their_own() {
    let own = "192.0.2.1".parse().expect("an address");
    let link_local = "fe80::1".parse().expect("an address");
    assert_eq!(kernel_side(InterfaceId(1), own), kernel_side(InterfaceId(2), own));
    assert_ne!(kernel_side(InterfaceId(1), link_local), kernel_side(InterfaceId(2), link_local));
    for interface in [0, control::limits::INTERFACES_MAX as u16 - 1] {
        assert!(usize::from(kernel_side(InterfaceId(interface), link_local).0) >= control::limits::INTERFACES_MAX);
        assert_ne!(kernel_side(InterfaceId(interface), link_local), kernel_side(InterfaceId(interface), own));
    }
}
