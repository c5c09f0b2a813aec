use std::time::Duration;

use bytes::Bytes;

use super::half_open::patience;
use super::*;
use crate::options::{Options, Timestamp};
use crate::state::State;

const START: Instant = Instant::from_micros(90_000_000);

fn flow(port: u16) -> Flow {
    Flow { local: "10.0.0.1:80".parse().unwrap(), remote: std::net::SocketAddr::new("10.0.0.2".parse().unwrap(), port) }
}

fn full() -> Options {
    let timestamp = Some(Timestamp { value: 70, echo: 0 });
    Options { mss: Some(1_400), window_scale: Some(7), sack_permitted: true, timestamp, ..Options::default() }
}

fn syn(port: u16, options: Options) -> Header {
    Header {
        src_port: port,
        dst_port: 80,
        seq: SeqNumber(u32::MAX),
        ack: SeqNumber(0),
        flags: Flags::SYN,
        window: 8_000,
        urgent: 0,
        options,
    }
}

fn listener(half_open: usize, backlog: usize) -> Listener {
    Listener::new(ListenConfig { backlog, half_open, ..ListenConfig::default() }, [9; 16])
}

fn give(listener: &mut Listener, now: Instant, header: Header, text: &'static [u8]) -> Outcome<Bytes> {
    let payload = Some(Bytes::from_static(text)).filter(|text| !text.is_empty()).into_iter().collect();
    let segment = Segment { header, payload, ecn: crate::Ecn::NotCapable };
    listener.handle_segment(now, &flow(header.src_port), segment)
}

fn reply(outcome: Outcome<Bytes>) -> Header {
    match outcome {
        Outcome::Reply(header) => header,
        other => panic!("{other:?}"),
    }
}

fn refusal(outcome: Outcome<Bytes>) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn established(outcome: Outcome<Bytes>) -> Connection<Bytes> {
    match outcome {
        Outcome::Established(connection, _) => connection,
        other => panic!("{other:?}"),
    }
}

/// The ACK that answers a SYN-ACK.
fn last_ack(syn: &Header, answer: &Header) -> Header {
    let timestamp = answer.options.timestamp.map(|theirs| Timestamp { value: 75, echo: theirs.value });
    let options = Options { timestamp, ..Options::default() };
    Header { seq: syn.seq + 1, ack: answer.seq + 1, flags: Flags::ACK, options, ..*syn }
}

#[test]
fn a_handshake_makes_a_connection_that_knows_its_round_trip() {
    let mut listener = listener(4, 4);
    let syn = syn(1, full());
    let answer = reply(give(&mut listener, START, syn, b""));
    assert_eq!((answer.flags, answer.ack, answer.options.mss), (Flags::SYN | Flags::ACK, SeqNumber(0), Some(1_460)));
    assert_eq!((listener.half_open(), answer.options.timestamp.unwrap().echo), (1, 70));
    let now = START + Duration::from_millis(30);
    let mut connection = established(give(&mut listener, now, last_ack(&syn, &answer), b"hello"));
    assert_eq!((connection.state(), listener.half_open(), listener.deadline()), (State::Established, 0, None));
    assert_eq!(connection.read().as_deref(), Some(&b"hello"[..]));
    let info = connection.info();
    assert_eq!((info.rtt_us, info.snd_wscale, info.sack, info.timestamps), (30_000, 7, true, true));
    assert_eq!(info.snd_wnd, 8_000 << 7);
    let ack = connection.poll_transmit(now, 1_000, &mut Vec::new()).unwrap();
    assert_eq!((ack.seq, ack.ack), (answer.seq + 1, syn.seq + 6));
}

#[test]
fn the_connections_own_syn_ack_would_say_the_same() {
    for options in [full(), Options::default(), Options { mss: Some(536), window_scale: Some(0), ..Options::default() }]
    {
        let mut listener = listener(4, 4);
        let syn = syn(1, options);
        let answer = reply(give(&mut listener, START, syn, b""));
        let opening = listener.opening(&flow(1), answer.seq);
        let mut connection: Connection<Bytes> =
            Connection::accept(START, (80, 1), &listener.config.connection, &syn, opening);
        assert_eq!(connection.poll_transmit(START, 1_000, &mut Vec::new()), Some(answer));
    }
}

#[test]
fn the_answer_is_repeated_by_our_timer_and_given_up() {
    let mut listener = listener(4, 4);
    let answer = reply(give(&mut listener, START, syn(1, Options::default()), b""));
    give(&mut listener, START + Duration::from_millis(200), syn(2, full()), b"");
    let mut at = Vec::new();
    while let Some(deadline) = listener.deadline() {
        assert!(listener.poll_transmit(deadline - Duration::from_micros(1)).is_none());
        while let Some((to, header)) = listener.poll_transmit(deadline) {
            if to == flow(1) {
                assert_eq!((header.seq, header.options), (answer.seq, answer.options));
                at.push((deadline - START).as_secs());
            }
        }
    }
    assert_eq!((at, listener.half_open(), listener.timed_out()), (vec![1, 3, 7, 15, 31], 0, 2));
    assert_eq!(patience(6).as_secs(), 63);
}

#[test]
fn a_repeated_syn_is_answered_but_not_at_once_and_another_one_not_at_all() {
    let mut listener = listener(4, 4);
    let syn = syn(1, full());
    let answer = reply(give(&mut listener, START, syn, b""));
    let soon = START + Duration::from_millis(499);
    assert_eq!(refusal(give(&mut listener, soon, syn, b"")), Refusal::RepeatedSyn);
    let later = START + Duration::from_millis(500);
    assert_eq!(reply(give(&mut listener, later, syn, b"")).seq, answer.seq);
    let other = Header { seq: SeqNumber(12), ..syn };
    assert_eq!(refusal(give(&mut listener, later, other, b"")), Refusal::RepeatedSyn);
}

#[test]
fn a_full_backlog_lets_the_handshake_wait() {
    let mut listener = listener(8, 1);
    let syns = [syn(1, full()), syn(2, full())];
    let answers = syns.map(|syn| reply(give(&mut listener, START, syn, b"")));
    established(give(&mut listener, START, last_ack(&syns[0], &answers[0]), b""));
    let ack = last_ack(&syns[1], &answers[1]);
    assert_eq!(refusal(give(&mut listener, START, ack, b"")), Refusal::BacklogFull);
    assert_eq!(refusal(give(&mut listener, START, syn(3, full()), b"")), Refusal::BacklogFull);
    // The SYN-ACK goes out again, is answered again, and by then there is room.
    let (to, again) = listener.poll_transmit(START + Duration::from_secs(1)).unwrap();
    assert_eq!((to, again.seq), (flow(2), answers[1].seq));
    listener.taken();
    let connection = established(give(&mut listener, START + Duration::from_secs(1), ack, b""));
    // Sent twice, so nobody knows which one was answered (Karn).
    assert_eq!(connection.info().rtt_us, 0);
}

#[test]
fn syn_flood_is_answered_by_cookies_that_remember() {
    let mut listener = listener(16, 4);
    for port in 0..16 {
        reply(give(&mut listener, START, syn(1_000 + port, full()), b""));
    }
    let syn = syn(1, full());
    let answer = reply(give(&mut listener, START, syn, b""));
    assert_eq!(listener.half_open(), 16);
    let now = START + Duration::from_millis(50);
    let connection = established(give(&mut listener, now, last_ack(&syn, &answer), b"x"));
    let info = connection.info();
    assert_eq!((info.snd_wscale, info.sack, info.timestamps, info.snd_mss), (7, true, true, 1_288));
    assert_eq!((connection.state(), info.rtt_us), (State::Established, 0));
    // Its number is believed once more, as Linux does, but no guess is.
    let guess = Header { ack: SeqNumber(77), ..last_ack(&syn, &answer) };
    assert!(reply(give(&mut listener, now, guess, b"")).flags.contains(Flags::RST));
}

#[test]
fn a_cookie_without_timestamps_agrees_on_the_size_only() {
    let mut listener = listener(0, 4);
    let syn = syn(1, Options { timestamp: None, ..full() });
    let answer = reply(give(&mut listener, START, syn, b""));
    assert_eq!(answer.options, Options { mss: Some(1_460), ..Options::default() });
    let connection = established(give(&mut listener, START, last_ack(&syn, &answer), b""));
    let info = connection.info();
    assert_eq!((info.snd_wscale, info.sack, info.timestamps, info.snd_mss), (0, false, false, 1_300));
}

#[test]
fn cookies_are_believed_only_while_there_were_any() {
    let mut sender = listener(0, 4);
    let syn = syn(1, full());
    let answer = reply(give(&mut sender, START, syn, b""));
    let mut other = listener(4, 4);
    assert!(reply(give(&mut other, START, last_ack(&syn, &answer), b"")).flags.contains(Flags::RST));
    let late = START + Duration::from_secs(181);
    assert!(reply(give(&mut sender, late, last_ack(&syn, &answer), b"")).flags.contains(Flags::RST));
    let mut without = Listener::new(ListenConfig { half_open: 0, cookies: false, ..ListenConfig::default() }, [9; 16]);
    assert_eq!(refusal(give(&mut without, START, syn, b"")), Refusal::TableFull);
}

#[test]
fn resets_and_nonsense() {
    let mut listener = listener(4, 4);
    let syn = syn(1, full());
    let answer = reply(give(&mut listener, START, syn, b""));
    // RFC 5961: a RST that only guesses leaves the record; the right one removes it.
    let reset = |seq| Header { flags: Flags::RST, seq: SeqNumber(seq), ..syn };
    let right = syn.seq.0.wrapping_add(1);
    for _ in 0..limits::CHALLENGE_ACKS_MAX {
        let challenge = reply(give(&mut listener, START, reset(right.wrapping_add(500)), b""));
        let expected = (Flags::ACK, answer.seq + 1, syn.seq + 1, answer.options.timestamp);
        assert_eq!((challenge.flags, challenge.seq, challenge.ack, challenge.options.timestamp), expected);
    }
    for (seq, left) in [(right.wrapping_add(500), 1), (right.wrapping_sub(1), 1), (right, 0)] {
        assert_eq!(refusal(give(&mut listener, START, reset(seq), b"")), Refusal::Reset);
        assert_eq!(listener.half_open(), left);
    }
    let reset = reply(give(&mut listener, START, last_ack(&syn, &answer), b""));
    assert_eq!((reset.flags, reset.seq), (Flags::RST, answer.seq + 1));
    for flags in [Flags::FIN, Flags::SYN | Flags::FIN, Flags::empty(), Flags::PSH] {
        assert_eq!(refusal(give(&mut listener, START, Header { flags, ..syn }, b"")), Refusal::NotAnOpening);
    }
}

#[test]
fn an_ack_beyond_the_window_or_without_timestamps_does_not_complete_it() {
    let mut listener = listener(4, 4);
    let syn = syn(1, full());
    let answer = reply(give(&mut listener, START, syn, b""));
    let ack = last_ack(&syn, &answer);
    let beyond = Header { seq: ack.seq + 900_000, ..ack };
    assert!(matches!(refusal(give(&mut listener, START, beyond, b"x")), Refusal::Unacceptable(Discard::BeyondWindow)));
    let bare = Header { options: Options::default(), ..ack };
    assert!(matches!(refusal(give(&mut listener, START, bare, b"")), Refusal::Unacceptable(Discard::TimestampMissing)));
    assert_eq!(listener.half_open(), 1);
    established(give(&mut listener, START, ack, b""));
}

#[test]
fn the_table_is_bounded_and_its_places_are_used_again() {
    let mut listener = listener(3, 100);
    for round in 0..50u16 {
        for port in 0..3u16 {
            reply(give(&mut listener, START, syn(round * 3 + port, full()), b""));
        }
        assert_eq!(listener.half_open(), 3);
        for port in 0..3u16 {
            let port = round * 3 + [1, 0, 2][usize::from(port % 3)];
            let reset = Header { flags: Flags::RST, seq: SeqNumber(0), ..syn(port, full()) };
            give(&mut listener, START, reset, b"");
        }
        assert_eq!((listener.half_open(), listener.deadline()), (0, None));
    }
}

#[test]
fn no_configuration_repeats_a_syn_ack_more_than_seven_times() {
    let connection = Config { syn_ack_retries: 200, ..Config::default() };
    let config = ListenConfig { backlog: 4, half_open: 4, connection, ..ListenConfig::default() };
    let mut listener = Listener::new(config, [9; 16]);
    reply(give(&mut listener, START, syn(1, full()), b""));
    let mut again = 0;
    while let Some(deadline) = listener.deadline() {
        while listener.poll_transmit(deadline).is_some() {
            again += 1;
        }
    }
    assert_eq!((again, listener.half_open(), listener.timed_out()), (7, 0, 1));
}

#[test]
fn a_table_has_at_most_2_to_the_20_places() {
    assert_eq!(HalfOpen::new(usize::MAX, [1; 16]).capacity(), 1 << 20);
    assert_eq!(HalfOpen::new(7, [1; 16]).capacity(), 7);
}
