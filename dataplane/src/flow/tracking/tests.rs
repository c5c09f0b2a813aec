//! Scripts of segments with the state and lifetime after each; then every cell of the table, and random input.

use std::time::Duration;

use ::tcp::{Flags, Header, Options, SeqNumber};
use proptest::prelude::*;

use super::tcp::{State, TcpTracking};
use super::{Direction, Invalid, Tracking, Update, View};
use crate::limits;

const CLIENT: Direction = Direction::Original;
const SERVER: Direction = Direction::Reply;
const SYN: Flags = Flags::SYN;
const ACK: Flags = Flags::ACK;
const FIN: Flags = Flags::FIN.union(Flags::ACK);
const RST: Flags = Flags::RST;

/// Client numbers from 1000, server numbers from 5000; windows of 1000 bytes.
fn segment(flags: Flags, seq: u32, ack: u32) -> Header {
    Header {
        src_port: 40000,
        dst_port: 80,
        seq: SeqNumber(seq),
        ack: SeqNumber(ack),
        flags,
        window: 1000,
        urgent: 0,
        options: Options::default(),
    }
}

struct Connection(TcpTracking);

impl Connection {
    fn opened() -> Connection {
        let (tracking, lifetime) = TcpTracking::new(&segment(SYN, 999, 0), 0).expect("a SYN opens");
        assert_eq!((tracking.state(), lifetime), (State::SynSent, limits::TRACK_SYN_SENT));
        Connection(tracking)
    }

    fn established() -> Connection {
        let mut connection = Connection::opened();
        connection.live(SERVER, segment(SYN | ACK, 4999, 1000), 0, State::SynRecv, limits::TRACK_SYN_RECV);
        connection.live(CLIENT, segment(ACK, 1000, 5000), 0, State::Established, limits::TRACK_ESTABLISHED);
        connection
    }

    #[track_caller]
    fn live(&mut self, direction: Direction, header: Header, payload: usize, state: State, lifetime: Duration) {
        assert_eq!(self.0.update(direction, &header, payload), Ok(Update::Live(lifetime)));
        assert_eq!(self.0.state(), state);
    }

    /// Answered so, and nothing changed.
    #[track_caller]
    fn unmoved(&mut self, direction: Direction, header: Header, payload: usize, answer: Result<Update, Invalid>) {
        let before = self.0;
        assert_eq!(self.0.update(direction, &header, payload), answer);
        assert_eq!(self.0, before);
    }
}

#[test]
fn a_connection_from_syn_to_time_wait() {
    let mut it = Connection::established();
    it.live(CLIENT, segment(ACK, 1000, 5000), 100, State::Established, limits::TRACK_UNACKNOWLEDGED);
    it.live(SERVER, segment(ACK, 5000, 1100), 500, State::Established, limits::TRACK_UNACKNOWLEDGED);
    it.live(CLIENT, segment(ACK, 1100, 5500), 0, State::Established, limits::TRACK_ESTABLISHED);
    it.live(SERVER, segment(FIN, 5500, 1100), 0, State::FinWait, limits::TRACK_FIN_WAIT);
    it.live(CLIENT, segment(ACK, 1100, 5501), 0, State::CloseWait, limits::TRACK_CLOSE_WAIT);
    it.live(CLIENT, segment(ACK, 1100, 5501), 200, State::CloseWait, limits::TRACK_CLOSE_WAIT);
    it.live(SERVER, segment(ACK, 5501, 1300), 0, State::CloseWait, limits::TRACK_CLOSE_WAIT);
    it.live(CLIENT, segment(FIN, 1300, 5501), 0, State::LastAck, limits::TRACK_LAST_ACK);
    it.live(SERVER, segment(ACK, 5501, 1301), 0, State::TimeWait, limits::TRACK_TIME_WAIT);
    it.live(CLIENT, segment(FIN, 1300, 5501), 0, State::TimeWait, limits::TRACK_TIME_WAIT);
    it.unmoved(CLIENT, segment(SYN, 90_000, 0), 0, Ok(Update::Over));
    it.unmoved(SERVER, segment(SYN, 70_000, 0), 0, Ok(Update::Over));
}

#[test]
fn only_a_plain_syn_begins_a_flow() {
    let cases = [
        (ACK, Invalid::NotOpening),
        (SYN | ACK, Invalid::NotOpening),
        (FIN, Invalid::NotOpening),
        (RST, Invalid::NotOpening),
        (Flags::empty(), Invalid::Flags),
        (SYN | Flags::FIN, Invalid::Flags),
        (SYN | RST, Invalid::Flags),
        (Flags::FIN, Invalid::Flags),
        (Flags::FIN | Flags::PSH | Flags::URG, Invalid::Flags),
    ];
    for (flags, reason) in cases {
        assert_eq!(TcpTracking::new(&segment(flags, 1, 1), 0).err(), Some(reason), "{flags:?}");
    }
    assert!(TcpTracking::new(&segment(SYN | Flags::ECE | Flags::CWR, 1, 0), 0).is_ok());
}

#[test]
fn a_refusal_closes_and_a_forged_one_does_not() {
    let mut it = Connection::opened();
    it.unmoved(SERVER, segment(RST | ACK, 0, 1001), 0, Err(Invalid::ResetOutside));
    it.unmoved(SERVER, segment(RST, 0, 1000), 0, Err(Invalid::ResetOutside));
    it.live(SERVER, segment(RST | ACK, 0, 1000), 0, State::Close, limits::TRACK_CLOSE);
    it.unmoved(CLIENT, segment(SYN, 2000, 0), 0, Ok(Update::Over));
}

#[test]
fn a_reset_must_be_in_the_window() {
    let mut it = Connection::established();
    it.live(CLIENT, segment(ACK, 1000, 5000), 100, State::Established, limits::TRACK_UNACKNOWLEDGED);
    it.live(SERVER, segment(ACK, 5000, 1100), 0, State::Established, limits::TRACK_ESTABLISHED);
    it.unmoved(CLIENT, segment(RST, 1099, 0), 0, Err(Invalid::ResetOutside));
    it.unmoved(CLIENT, segment(RST, 2101, 0), 0, Err(Invalid::ResetOutside));
    it.live(CLIENT, segment(RST, 1100, 0), 0, State::Close, limits::TRACK_CLOSE);
}

#[test]
fn a_segment_outside_the_window_neither_prolongs_nor_moves() {
    let mut it = Connection::established();
    it.unmoved(CLIENT, segment(ACK, 2001, 5000), 10, Ok(Update::Keep));
    it.unmoved(CLIENT, segment(FIN, 9000, 5000), 0, Ok(Update::Keep));
    it.unmoved(SERVER, segment(FIN, 5000, 1001), 0, Ok(Update::Keep));
    it.unmoved(SERVER, segment(FIN, 5000, 1000u32.wrapping_sub(66_001)), 0, Ok(Update::Keep));
    it.unmoved(SERVER, segment(FIN, 3000, 1000), 0, Ok(Update::Keep));
    // The last byte that is permitted, and a repetition, belong.
    it.live(CLIENT, segment(ACK, 2000, 5000), 0, State::Established, limits::TRACK_UNACKNOWLEDGED);
}

#[test]
fn windows_are_scaled_only_when_both_offered_it() {
    for both in [false, true] {
        let with = |mut header: Header, scale: Option<u8>| {
            header.options.window_scale = scale;
            header
        };
        let (tracking, _) = TcpTracking::new(&with(segment(SYN, 999, 0), Some(20)), 0).expect("a SYN opens");
        let mut it = Connection(tracking);
        let answer = with(segment(SYN | ACK, 4999, 1000), both.then_some(2));
        it.live(SERVER, answer, 0, State::SynRecv, limits::TRACK_SYN_RECV);
        it.live(CLIENT, segment(ACK, 1000, 5000), 0, State::Established, limits::TRACK_ESTABLISHED);
        // The client's 1000 << 14 (RFC 7323 2.3: not 20) reach far; without scaling, 1000 do not.
        let far = segment(ACK, 5000 + (1000 << 14), 1000);
        if both {
            it.live(SERVER, far, 0, State::Established, limits::TRACK_UNACKNOWLEDGED);
            it.unmoved(SERVER, segment(ACK, 5001 + (1000 << 14), 1000), 1, Ok(Update::Keep));
        } else {
            it.unmoved(SERVER, far, 0, Ok(Update::Keep));
        }
    }
}

#[test]
fn a_closed_window_shortens_the_life() {
    let mut it = Connection::established();
    let closed = Header { window: 0, ..segment(ACK, 5000, 1000) };
    it.live(SERVER, closed, 0, State::Established, limits::TRACK_UNACKNOWLEDGED);
    it.live(CLIENT, segment(ACK, 1000, 5000), 1, State::Established, limits::TRACK_UNACKNOWLEDGED);
    it.live(SERVER, segment(ACK, 5000, 1001), 0, State::Established, limits::TRACK_ESTABLISHED);
}

#[test]
fn a_client_that_forgot_resets_what_the_server_remembers() {
    // RFC 9293 3.5.1, figure 9: the old server answers a new SYN with an ACK; the client resets it and begins anew.
    let mut it = Connection::opened();
    it.unmoved(SERVER, segment(ACK, 777_000, 300_000), 0, Ok(Update::Keep));
    it.live(CLIENT, segment(RST, 300_000, 0), 0, State::Close, limits::TRACK_CLOSE);
    it.unmoved(CLIENT, segment(SYN, 999, 0), 0, Ok(Update::Over));
}

#[test]
fn a_syn_with_another_number_is_the_one_that_counts() {
    let mut it = Connection::opened();
    it.live(CLIENT, segment(SYN, 899_999, 0), 0, State::SynSent, limits::TRACK_SYN_SENT);
    it.unmoved(SERVER, segment(SYN | ACK, 4999, 900_001), 0, Ok(Update::Keep));
    it.live(SERVER, segment(SYN | ACK, 4999, 900_000), 0, State::SynRecv, limits::TRACK_SYN_RECV);
}

#[test]
fn both_may_open_at_once() {
    let mut it = Connection::opened();
    it.live(SERVER, segment(SYN, 4999, 0), 0, State::SynSent2, limits::TRACK_SYN_SENT);
    it.live(CLIENT, segment(SYN | ACK, 999, 5000), 0, State::SynRecv, limits::TRACK_SYN_RECV);
    it.live(CLIENT, segment(ACK, 1000, 5000), 0, State::Established, limits::TRACK_ESTABLISHED);
}

#[test]
fn sequence_numbers_wrap() {
    let (tracking, _) = TcpTracking::new(&segment(SYN, u32::MAX, 0), 0).expect("a SYN opens");
    let mut it = Connection(tracking);
    it.live(SERVER, segment(SYN | ACK, u32::MAX - 1, 0), 0, State::SynRecv, limits::TRACK_SYN_RECV);
    it.live(CLIENT, segment(ACK, 0, u32::MAX), 50, State::Established, limits::TRACK_UNACKNOWLEDGED);
    it.live(SERVER, segment(ACK, u32::MAX, 50), 10, State::Established, limits::TRACK_UNACKNOWLEDGED);
    it.live(CLIENT, segment(ACK, 50, 9), 0, State::Established, limits::TRACK_ESTABLISHED);
}

/// The table as Linux has it, columns: SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE.
///
/// `-` passes without effect, `!` is invalid, `*` begins anew (Linux: SYN_SENT at once; in the reply direction it
/// depends on the version).
const TABLE: &[(Direction, Flags, [&str; 8])] = &[
    (CLIENT, SYN, ["SYN_SENT", "-", "-", "-", "-", "-", "*", "*"]),
    (CLIENT, SYN.union(ACK), ["!", "-", "-", "-", "-", "-", "-", "-"]),
    (CLIENT, FIN, ["!", "FIN_WAIT", "FIN_WAIT", "LAST_ACK", "LAST_ACK", "LAST_ACK", "TIME_WAIT", "CLOSE"]),
    (CLIENT, ACK, ["!", "ESTABLISHED", "ESTABLISHED", "CLOSE_WAIT", "CLOSE_WAIT", "TIME_WAIT", "TIME_WAIT", "CLOSE"]),
    (CLIENT, RST, ["CLOSE"; 8]),
    (SERVER, SYN, ["SYN_SENT2", "!", "!", "!", "!", "!", "*", "*"]),
    (SERVER, SYN.union(ACK), ["SYN_RECV", "-", "-", "-", "-", "-", "-", "-"]),
    (SERVER, FIN, ["!", "FIN_WAIT", "FIN_WAIT", "LAST_ACK", "LAST_ACK", "LAST_ACK", "TIME_WAIT", "CLOSE"]),
    (SERVER, ACK, ["-", "SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "CLOSE_WAIT", "TIME_WAIT", "TIME_WAIT", "CLOSE"]),
    (SERVER, RST.union(ACK), ["CLOSE"; 8]),
];

/// A connection in the nth column's state; the client's next number is 1000, the server's 5000.
fn in_state(column: usize) -> Connection {
    let mut it = Connection::opened();
    let steps = [
        (SERVER, segment(SYN | ACK, 4999, 1000)),
        (CLIENT, segment(ACK, 1000, 5000)),
        (CLIENT, segment(FIN, 1000, 5000)),
        (SERVER, segment(ACK, 5000, 1001)),
        (SERVER, segment(FIN, 5000, 1001)),
        (CLIENT, segment(ACK, 1001, 5001)),
        (CLIENT, segment(RST, 1001, 5001)),
    ];
    for (direction, header) in &steps[..column] {
        it.0.update(*direction, header, 0).expect("the script is sound");
    }
    it
}

#[test]
fn the_table_is_that_of_linux() {
    let columns = ["SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"];
    for (column, name) in columns.into_iter().enumerate() {
        assert_eq!(in_state(column).0.state().name(), name);
        for (direction, flags, row) in TABLE {
            let mut it = in_state(column);
            let header = match direction {
                // Numbers that fit every state: the newest seen.
                Direction::Original => {
                    segment(*flags, if column < 3 { 1000 } else { 1001 }, if column < 5 { 5000 } else { 5001 })
                }
                Direction::Reply => {
                    segment(*flags, if column < 5 { 5000 } else { 5001 }, if column < 3 { 1000 } else { 1001 })
                }
            };
            let before = it.0.state().name();
            let answer = it.0.update(*direction, &header, 0);
            let after = it.0.state().name();
            let got = match answer {
                Ok(Update::Live(_)) => after,
                Ok(Update::Keep) if after == before => "-",
                Ok(Update::Over) if after == before => "*",
                Err(Invalid::State) if after == before => "!",
                other => panic!("{name} {direction:?} {flags:?}: {other:?}"),
            };
            assert_eq!(got, row[column], "{name} {direction:?} {flags:?}");
        }
    }
}

#[test]
fn datagrams_live_longer_once_answered() {
    let (mut udp, lifetime) = Tracking::new(View::Udp).expect("any datagram begins a flow");
    assert_eq!((lifetime, udp.name()), (Duration::from_secs(30), "UNREPLIED"));
    assert_eq!(udp.update(CLIENT, View::Udp), Ok(Update::Live(limits::TRACK_UDP)));
    assert_eq!(udp.update(SERVER, View::Udp), Ok(Update::Live(limits::TRACK_UDP_REPLIED)));
    assert_eq!(udp.update(CLIENT, View::Udp), Ok(Update::Live(Duration::from_secs(120))));
    assert_eq!(udp.name(), "REPLIED");
    let (mut icmp, lifetime) = Tracking::new(View::Icmp).expect("any query begins a flow");
    assert_eq!((lifetime, icmp.update(SERVER, View::Icmp)), (limits::TRACK_ICMP, Ok(Update::Live(limits::TRACK_ICMP))));
    let (mut other, lifetime) = Tracking::new(View::Other).expect("any packet begins a flow");
    assert_eq!(
        (lifetime, other.update(SERVER, View::Other)),
        (limits::TRACK_OTHER, Ok(Update::Live(limits::TRACK_OTHER)))
    );
}

#[test]
fn reasons_have_their_places() {
    for (index, reason) in Invalid::ALL.iter().enumerate() {
        assert_eq!(reason.index(), index);
        assert!(reason.sentence().ends_with('.') && !reason.name().is_empty());
    }
}

proptest! {
    /// Nothing that is sent panics; what is refused or passes without effect changes nothing.
    #[test]
    fn any_segments_are_survived(
        segments in prop::collection::vec((any::<bool>(), any::<u16>(), any::<u32>(), any::<u32>(), any::<u16>(), 0..3000usize), 0..60),
        near in any::<bool>(),
    ) {
        let mut tracking = Connection::opened().0;
        for (reply, flags, seq, ack, window, payload) in segments {
            let (seq, ack) = if near { (1000 + seq % 5000, 1000 + ack % 5000) } else { (seq, ack) };
            let header = Header { window, ..segment(Flags::from_bits_truncate(flags), seq, ack) };
            let before = tracking;
            let direction = if reply { SERVER } else { CLIENT };
            match tracking.update(direction, &header, payload) {
                Ok(Update::Live(lifetime)) => prop_assert!(lifetime >= limits::TRACK_CLOSE && lifetime <= limits::TRACK_ESTABLISHED),
                Ok(Update::Keep | Update::Over) | Err(_) => prop_assert_eq!(tracking, before),
            }
        }
    }
}
