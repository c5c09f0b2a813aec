//! Kinds and numbers of errors say the same in both directions.

use super::*;

const UNREACHABLES: [Unreachable; 9] = [
    Unreachable::Net,
    Unreachable::Host,
    Unreachable::Protocol,
    Unreachable::Port,
    Unreachable::SourceRouteFailed,
    Unreachable::AdminProhibited,
    Unreachable::NetAdminProhibited,
    Unreachable::HostAdminProhibited,
    Unreachable::Other,
];

#[test]
fn what_is_sent_is_understood() {
    let others = [
        ErrorKind::TooBig { mtu: 1280 },
        ErrorKind::TimeExceeded { reassembly: false },
        ErrorKind::TimeExceeded { reassembly: true },
        ErrorKind::ParameterProblem { pointer: 40 },
    ];
    for kind in UNREACHABLES.map(ErrorKind::Unreachable).into_iter().chain(others) {
        let v4 = kind.wire(false).error_v4().expect("an error in IPv4");
        let v6 = kind.wire(true).error_v6().expect("an error in IPv6");
        match kind {
            ErrorKind::Unreachable(Unreachable::Other) => {
                assert_eq!((v4, v6), (ErrorKind::Unreachable(Unreachable::Host), v4));
            }
            ErrorKind::Unreachable(Unreachable::NetAdminProhibited | Unreachable::HostAdminProhibited) => {
                assert_eq!((v4, v6), (kind, ErrorKind::Unreachable(Unreachable::AdminProhibited)));
            }
            _ => assert_eq!((v4, v6), (kind, kind)),
        }
    }
}

/// The numbers as IANA lists them.
#[test]
fn numbers_of_the_families() {
    let v4 = |kind, code, rest| Wire { kind, code, rest }.error_v4();
    let v6 = |kind, code, rest| Wire { kind, code, rest }.error_v6();
    let unreachable = |what| Some(ErrorKind::Unreachable(what));
    assert_eq!(v4(3, 0, 0), unreachable(Unreachable::Net));
    assert_eq!(v4(3, 1, 0), unreachable(Unreachable::Host));
    assert_eq!(v4(3, 2, 0), unreachable(Unreachable::Protocol));
    assert_eq!(v4(3, 3, 0), unreachable(Unreachable::Port));
    assert_eq!(v4(3, 4, 0xabcd_0578), Some(ErrorKind::TooBig { mtu: 1400 }));
    assert_eq!(v4(3, 13, 0), unreachable(Unreachable::AdminProhibited));
    assert_eq!(v4(3, 99, 0), unreachable(Unreachable::Other));
    assert_eq!(v4(11, 0, 0), Some(ErrorKind::TimeExceeded { reassembly: false }));
    assert_eq!(v4(12, 0, 20 << 24), Some(ErrorKind::ParameterProblem { pointer: 20 }));
    for not_error in [0, 4, 5, 8, 9, 13] {
        assert_eq!(v4(not_error, 0, 0), None);
    }
    assert_eq!(v6(1, 0, 0), unreachable(Unreachable::Net));
    assert_eq!(v6(1, 1, 0), unreachable(Unreachable::AdminProhibited));
    assert_eq!(v6(1, 3, 0), unreachable(Unreachable::Host));
    assert_eq!(v6(1, 4, 0), unreachable(Unreachable::Port));
    assert_eq!(v6(2, 0, 1400), Some(ErrorKind::TooBig { mtu: 1400 }));
    assert_eq!(v6(3, 1, 0), Some(ErrorKind::TimeExceeded { reassembly: true }));
    assert_eq!(v6(4, 1, 6), unreachable(Unreachable::Protocol));
    assert_eq!(v6(4, 0, 40), Some(ErrorKind::ParameterProblem { pointer: 40 }));
    assert_eq!(v6(128, 0, 0), None);
}

#[test]
fn hard_errors_are_those_that_waiting_does_not_cure() {
    let hard: Vec<_> = UNREACHABLES.into_iter().filter(|kind| kind.is_hard()).collect();
    let expected = [
        Unreachable::Protocol,
        Unreachable::Port,
        Unreachable::AdminProhibited,
        Unreachable::NetAdminProhibited,
        Unreachable::HostAdminProhibited,
    ];
    assert_eq!(hard, expected);
}

#[test]
fn an_mtu_that_ipv4_cannot_say_is_cut() {
    assert_eq!(ErrorKind::TooBig { mtu: 70_000 }.wire(false).rest, 0xffff);
}

/// Quotes are read though their lengths, checksums and ends are not what they were.
#[test]
fn quotes_of_careless_routers() {
    let mut quoted = crate::packet::testing::tcp_frame(false, b"hello")[14..14 + 28].to_vec();
    quoted[2..4].fill(0xff); // total length in the wrong order, as some stacks quote it
    quoted[8] = 0;
    quoted[10..12].fill(0);
    let quote = Quote::parse_v4(&quoted, 0..28).expect("enough to find the flow");
    assert_eq!((quote.source_port, quote.destination_port, quote.protocol), (40000, 80, 6));
    assert_eq!(quote.source_socket().to_string(), "192.168.1.10:40000");

    quoted[6] = 0x20; // a first fragment of a length that no fragment has
    assert_eq!(Quote::parse_v4(&quoted, 0..28).map(|quote| quote.source_port), Ok(40000));
    quoted[7] = 9; // a later one: there are no ports in it
    assert_eq!(Quote::parse_v4(&quoted, 0..28).map(|quote| (quote.source_port, quote.seq)), Ok((0, None)));
    for len in 0..28 {
        assert_eq!(Quote::parse_v4(&quoted[..len], 0..len), Err(Malformed::IcmpQuoteTruncated));
    }
}

#[test]
fn quoted_echoes_have_their_identifier() {
    for v6 in [false, true] {
        let frame = crate::packet::testing::echo_frame(v6, b"ping");
        let quoted = &frame[14..];
        let whole = 0..quoted.len();
        let quote = if v6 { Quote::parse_v6(quoted, whole) } else { Quote::parse_v4(quoted, whole) };
        assert_eq!(quote.map(|quote| (quote.source_port, quote.destination_port)), Ok((77, 77)));
    }
}
