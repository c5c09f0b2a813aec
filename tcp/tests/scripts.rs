//! Given these segments at these times, these come out: one test for each behaviour.
//!
//! A segment that came out is `(sequence number from our ISN, bytes of payload, flags by first letter)`.

mod peer;

use std::time::Duration;

use peer::{Script, config, header, opening, options};
use tcp::{
    Config, Connection, Discard, Error, Flags, Header, IcmpError, IcmpKind, Instant, KeepAlive, Opening, Options,
    PeerSyn, SeqNumber, Signals, State, Timestamp, TimestampClock,
};

fn seg(seq: u32, len: usize, flags: &str) -> (u32, usize, String) {
    (seq, len, flags.into())
}

// ---- RFC 9293, 3.5: the handshake -------------------------------------------------------------------------------------

#[test]
fn syn_is_repeated_with_backoff_and_given_up() {
    let mut script = Script::connecting(&Config { syn_retries: 3, ..config() }, opening());
    let start = script.now;
    let mut at = Vec::new();
    while let Some(deadline) = script.connection.deadline() {
        script.now = deadline;
        let signals = script.connection.handle_timeout(deadline);
        match &script.brief()[..] {
            [one] => assert_eq!(*one, seg(0, 0, "S")),
            [] => assert_eq!(signals, Signals::CLOSED | Signals::RESET),
            more => panic!("{more:?}"),
        }
        at.push((deadline - start).as_secs());
    }
    assert_eq!(at, [1, 3, 7, 15]);
    assert_eq!(script.connection.error(), Some(Error::TimedOut));
}

#[test]
fn a_refused_connection_says_so() {
    let mut script = Script::connecting(&config(), opening());
    assert_eq!(script.give(header(0, 0, Flags::RST | Flags::ACK), b""), Err(Discard::HandshakeAck));
    script.silent();
    assert_eq!(script.give(header(0, 1, Flags::RST), b""), Err(Discard::HandshakeReset));
    assert_eq!(script.give(header(0, 1, Flags::RST | Flags::ACK), b""), Ok(Signals::CLOSED | Signals::RESET));
    assert_eq!((script.connection.error(), script.connection.is_closed()), (Some(Error::Refused), true));
}

#[test]
fn an_old_syn_ack_is_reset_and_the_right_one_still_counts() {
    let mut script = Script::connecting(&config(), opening());
    assert_eq!(script.give(header(77, 9_000, Flags::SYN | Flags::ACK), b""), Err(Discard::HandshakeAck));
    assert_eq!(script.brief(), [seg(9_000, 0, "R")]);
    assert!(script.give(header(0, 1, Flags::SYN | Flags::ACK), b"").is_ok());
    assert_eq!(script.state(), State::Established);
}

#[test]
fn simultaneous_open_by_the_figure() {
    // RFC 9293, figure 8.
    let mut script = Script::connecting(&config(), opening());
    assert_eq!(script.give(Header { options: options(), ..header(0, 0, Flags::SYN) }, b""), Ok(Signals::empty()));
    assert_eq!(script.state(), State::SynReceived);
    assert_eq!(script.brief(), [seg(0, 0, "SA")]);
    let syn_ack = Header { options: options(), ..header(0, 1, Flags::SYN | Flags::ACK) };
    assert_eq!(script.give(syn_ack, b""), Ok(Signals::ESTABLISHED | Signals::WRITABLE));
    assert_eq!(script.state(), State::Established);
}

fn accepted(syn: Options) -> (Script, Header) {
    let mut script = Script::connecting(&config(), opening());
    let opening = Opening { window_scale: Some(3), timestamp: Some(TimestampClock::with_offset(7)), ..opening() };
    let syn = Header { options: syn, ..header(0, 0, Flags::SYN) };
    script.connection = Connection::accept(script.now, (40_000, 80), &config(), &syn, opening);
    let out = script.poll();
    assert_eq!(out[0].brief(), seg(0, 0, "SA"));
    assert_eq!(out[0].ack(), 1);
    (script, out[0].header)
}

#[test]
fn accept_answers_only_what_was_asked_and_repeats_for_a_repeated_syn() {
    let (mut script, syn_ack) = accepted(Options { mss: Some(900), ..Options::default() });
    assert_eq!(syn_ack.options, Options { mss: Some(1_000), ..Options::default() });
    assert_eq!(script.give(header(0, 0, Flags::SYN), b""), Err(Discard::Duplicate));
    assert_eq!(script.brief(), [seg(0, 0, "SA")]);
    assert_eq!(
        script.give(header(1, 1, Flags::ACK), b"hello"),
        Ok(Signals::ESTABLISHED | Signals::WRITABLE | Signals::READABLE)
    );
    assert_eq!(script.read(), b"hello");
    assert_eq!(script.connection.mss(), 900);
}

#[test]
fn accept_resets_an_ack_of_something_else_and_repeats_the_syn_ack() {
    let (mut script, _) = accepted(options());
    assert_eq!(script.give(header(1, 500, Flags::ACK), b""), Err(Discard::HandshakeAck));
    assert_eq!(script.brief(), [seg(500, 0, "R")]);
    assert_eq!(script.wait(1_000).iter().map(peer::Out::brief).collect::<Vec<_>>(), [seg(0, 0, "SA")]);
    assert_eq!(script.give(header(1, 0, Flags::RST), b""), Ok(Signals::CLOSED | Signals::RESET));
}

#[test]
fn what_was_written_and_shut_down_early_goes_after_the_handshake() {
    let mut script = Script::connecting(&config(), opening());
    script.write(500);
    script.connection.shutdown(script.now);
    script.silent();
    script.give(Header { options: options(), ..header(0, 1, Flags::SYN | Flags::ACK) }, b"").unwrap();
    assert_eq!(script.brief(), [seg(1, 500, "FPA")]);
    assert_eq!(script.state(), State::FinWait1);
}

#[test]
fn unreachable_ends_only_the_handshake() {
    let mut script = Script::connecting(&config(), opening());
    let error = |seq| IcmpError { kind: IcmpKind::Unreachable { hard: false }, seq: SeqNumber(peer::OURS + seq) };
    assert_eq!(script.connection.handle_icmp(script.now, error(5)), Signals::empty());
    assert_eq!(script.connection.handle_icmp(script.now, error(0)), Signals::CLOSED | Signals::RESET);
    assert_eq!(script.connection.error(), Some(Error::Unreachable));
}

// ---- The mirrored handshake -------------------------------------------------------------------------------------------

#[test]
fn a_mirrored_handshake_carries_numbers_options_and_clocks_across() {
    let now = Instant::from_micros(9_000_000_000);
    let mut chunks = Vec::new();
    let client_options = Options {
        mss: Some(1_400),
        window_scale: Some(9),
        sack_permitted: true,
        timestamp: Some(Timestamp { value: 0xffff_fff0, echo: 0 }),
        ..Options::default()
    };
    let client_syn = Header { options: client_options, ..header(0, 0, Flags::SYN) };
    let peer = PeerSyn::from(&client_syn);
    let mut server: Connection<bytes::Bytes> =
        Connection::connect(now, (40_000, 80), &config(), Opening::mirror(now, &peer, 1_460));
    let out = server.poll_transmit(now, 1_460, &mut chunks).unwrap();
    assert_eq!((out.seq, out.options), (client_syn.seq, client_options));

    // A server without window scale and SACK, whose SYN-ACK comes 30 ms later.
    let later = now + Duration::from_millis(30);
    let options =
        Options { mss: Some(1_300), timestamp: Some(Timestamp { value: 7, echo: 0xffff_fff0 }), ..Options::default() };
    let syn_ack = Header { seq: SeqNumber(77), ack: out.seq + 1, options, ..header(0, 0, Flags::SYN | Flags::ACK) };
    let segment = tcp::Segment { header: syn_ack, payload: Default::default(), ecn: tcp::Ecn::NotCapable };
    assert!(server.handle_segment(later, segment).unwrap().contains(Signals::ESTABLISHED));
    let out = server.poll_transmit(later, 1_460, &mut chunks).unwrap();
    assert_eq!(out.options.timestamp, Some(Timestamp { value: 0xffff_fff0_u32.wrapping_add(30), echo: 7 }));

    let opening = Opening::mirror(later, &server.peer_syn().unwrap(), 1_460);
    let mut client: Connection<bytes::Bytes> = Connection::accept(later, (80, 40_000), &config(), &client_syn, opening);
    let out = client.poll_transmit(later, 1_460, &mut chunks).unwrap();
    assert_eq!((out.seq, out.ack), (SeqNumber(77), client_syn.seq + 1));
    assert_eq!(out.options, Options { timestamp: Some(Timestamp { value: 7, echo: 0xffff_fff0 }), ..options });
}

// ---- RFC 5681, 6298, 6582, 8985: loss --------------------------------------------------------------------------------

#[test]
fn a_lost_tail_is_probed_and_repaired_without_a_timeout() {
    let mut script = Script::established();
    script.write(3_000);
    assert_eq!(script.brief(), [seg(1, 1_000, "A"), seg(1_001, 1_000, "A"), seg(2_001, 1_000, "PA")]);
    script.wait(10);
    // Two round trips of 10 ms and a little after sending.
    let out = script.wait(30);
    assert_eq!(out.iter().map(peer::Out::brief).collect::<Vec<_>>(), [seg(2_001, 1_000, "PA")]);
    script.wait(10);
    script.ack(1, &[(2_001, 3_001)]).unwrap();
    script.wait(3);
    let out = script.poll();
    assert!(out.iter().any(|out| out.brief().0 == 1), "{out:?}");
    assert_eq!(script.connection.info().timeouts, 0);
}

#[test]
fn three_segments_beyond_a_hole_repair_it_at_once() {
    let mut script = Script::established();
    script.write(5_000);
    script.poll();
    script.wait(10);
    for end in [2_001, 3_001] {
        script.ack(1, &[(1_001, end)]).unwrap();
        script.silent();
    }
    script.ack(1, &[(1_001, 4_001)]).unwrap();
    assert_eq!(script.brief(), [seg(1, 1_000, "A")]);
    let info = script.connection.info();
    assert_eq!((info.ca_state, info.sacked, info.snd_ssthresh), ("recovery", 3_000, 7_000));
    script.wait(10);
    script.ack(5_001, &[]).unwrap();
    let info = script.connection.info();
    assert_eq!((info.ca_state, info.snd_cwnd), ("open", 7_000));
}

#[test]
fn without_sack_three_duplicates_and_then_a_hole_a_round_trip() {
    let bare = Options { mss: Some(1_000), ..Options::default() };
    let mut script = Script::established_with(&config(), opening(), bare);
    script.write(20_000);
    assert_eq!(script.poll().len(), 10);
    script.wait(10);
    // Limited transmit (RFC 3042): the first two duplicates let a new segment out each.
    for seq in [10_001, 11_001] {
        script.ack(1, &[]).unwrap();
        assert_eq!(script.brief(), [seg(seq, 1_000, "A")]);
    }
    script.ack(1, &[]).unwrap();
    assert_eq!(script.poll()[0].brief(), seg(1, 1_000, "A"));
    script.wait(10);
    // A partial acknowledgment: the next hole goes again at once.
    script.ack(3_001, &[]).unwrap();
    assert_eq!(script.poll()[0].brief(), seg(3_001, 1_000, "A"));
    assert_eq!(script.connection.info().ca_state, "recovery");
    script.ack(12_001, &[]).unwrap();
    assert_eq!(script.connection.info().ca_state, "open");
}

#[test]
fn timeouts_back_off_and_end_the_connection_with_a_reset() {
    let bare = Options { mss: Some(1_000), ..Options::default() };
    let mut script = Script::established_with(&Config { retries: 4, ..config() }, opening(), bare);
    script.write(500);
    script.poll();
    let start = script.now;
    let mut at = Vec::new();
    while script.connection.error().is_none() {
        let deadline = script.connection.deadline().unwrap();
        script.now = deadline;
        script.connection.handle_timeout(deadline);
        let last = script.connection.error().is_some();
        let out = script.brief();
        if out.is_empty() {
            // Too early, which it may be.
            continue;
        }
        assert_eq!(out, [if last { seg(501, 0, "RA") } else { seg(1, 500, "PA") }]);
        at.push((deadline - start).as_millis());
    }
    // RTO = 10 ms + 200 ms, doubled each time.
    assert_eq!(at, [210, 630, 1_470, 3_150, 6_510]);
    assert_eq!(script.connection.error(), Some(Error::TimedOut));
    assert!(script.connection.is_closed());
}

#[test]
fn a_spurious_timeout_is_taken_back() {
    let mut script = Script::with_timestamps();
    script.write(5_000);
    script.poll();
    // The path stalls: probe and timeout send again what is only late.
    let again = script.wait(600);
    assert!(!again.is_empty() && script.connection.info().timeouts > 0);
    let info = script.connection.info();
    assert_eq!((info.ca_state, info.snd_cwnd), ("loss", 988));
    // The acknowledgment of the original, by its echo from before the retransmission.
    script.timestamp = Some(Timestamp { value: 200, echo: 1_010 });
    script.ack(1 + 988, &[]).unwrap();
    let info = script.connection.info();
    assert_eq!((info.ca_state, info.undone, info.lost), ("open", 1, 0));
    assert!(info.snd_cwnd >= 9_880, "{}", info.snd_cwnd);
}

#[test]
fn a_fin_is_repeated_until_acknowledged() {
    let mut script = Script::established();
    script.connection.shutdown(script.now);
    assert_eq!(script.brief(), [seg(1, 0, "FA")]);
    let again = script.wait(2_000);
    assert!(again.len() >= 2 && again.iter().all(|out| out.brief() == seg(1, 0, "FA")), "{again:?}");
    assert_eq!(script.ack(2, &[]), Ok(Signals::WRITABLE));
    assert_eq!(script.state(), State::FinWait2);
    assert!(script.connection.finished());
}

#[test]
fn offload_gives_whole_segments_and_fast_retransmit_cuts_them() {
    let mut script = Script::established();
    script.limit = 65_535;
    script.write(9_500);
    assert_eq!(script.brief(), [seg(1, 9_500, "PA")]);
    script.wait(10);
    script.ack(1_001, &[(2_001, 9_501)]).unwrap();
    assert_eq!(script.brief(), [seg(1_001, 1_000, "A")]);
}

#[test]
fn a_smaller_path_sends_again_in_smaller_pieces_and_keeps_its_window() {
    let mut script = Script::established();
    script.write(2_000);
    script.poll();
    let cwnd = script.connection.info().snd_cwnd;
    let error = IcmpError { kind: IcmpKind::TooBig { mtu: 620 }, seq: SeqNumber(peer::OURS + 1) };
    script.connection.handle_icmp(script.now, error);
    script.limit = 600;
    assert_eq!(script.brief(), [seg(1, 600, "A"), seg(601, 400, "A"), seg(1_001, 600, "A"), seg(1_601, 400, "PA")]);
    assert_eq!(script.connection.info().snd_cwnd, cwnd);
}

// ---- Receiving --------------------------------------------------------------------------------------------------------

/// Past the quick acknowledgments of the start.
fn settled() -> (Script, u32) {
    let mut script = Script::established();
    let mut seq = 1;
    for _ in 0..16 {
        script.data(seq, &[0; 100]).unwrap();
        seq += 100;
        assert_eq!(script.poll().len(), 1);
        script.read();
    }
    (script, seq)
}

#[test]
fn acknowledgments_wait_for_a_second_segment_or_forty_milliseconds() {
    let (mut script, seq) = settled();
    script.data(seq, &[0; 1_000]).unwrap();
    script.silent();
    script.data(seq + 1_000, &[0; 1_000]).unwrap();
    let out = script.poll();
    assert_eq!((out.len(), out[0].ack()), (1, seq + 2_000));
    script.data(seq + 2_000, &[0; 10]).unwrap();
    script.silent();
    assert_eq!(script.wait(39), []);
    assert_eq!(script.wait(1)[0].ack(), seq + 2_010);
}

#[test]
fn an_answer_carries_the_acknowledgment() {
    let (mut script, seq) = settled();
    script.data(seq, b"request").unwrap();
    script.write(50);
    let out = script.poll();
    assert_eq!((out.len(), out[0].ack(), out[0].payload.len()), (1, seq + 7, 50));
}

#[test]
fn holes_are_reported_at_once_and_repairs_too() {
    let mut script = Script::established();
    script.data(1_001, &[1; 1_000]).unwrap();
    let blocks = |out: &peer::Out| -> Vec<(u32, u32)> {
        out.header.options.sack.as_slice().iter().map(|(a, b)| (a.0 - peer::THEIRS, b.0 - peer::THEIRS)).collect()
    };
    let out = script.poll();
    assert_eq!((out[0].ack(), blocks(&out[0])), (1, vec![(1_001, 2_001)]));
    script.data(3_001, &[3; 1_000]).unwrap();
    assert_eq!(blocks(&script.poll()[0]), [(3_001, 4_001), (1_001, 2_001)]);
    // D-SACK (RFC 2883): the duplicate first.
    script.data(3_001, &[3; 1_000]).unwrap();
    assert_eq!(blocks(&script.poll()[0]), [(3_001, 4_001), (3_001, 4_001), (1_001, 2_001)]);
    assert_eq!(script.data(1, &[0; 1_000]), Ok(Signals::READABLE));
    let out = script.poll();
    assert_eq!((out[0].ack(), blocks(&out[0])), (2_001, vec![(3_001, 4_001)]));
    assert_eq!(script.data(1, &[0; 1_000]), Err(Discard::Duplicate));
    assert_eq!(blocks(&script.poll()[0]), [(1, 1_001), (3_001, 4_001)]);
}

#[test]
fn the_window_closes_and_reading_opens_it_unasked() {
    let mut script = Script::established();
    let mut seq = 1;
    for _ in 0..20 {
        script.data(seq, &[0; 1_000]).unwrap();
        script.poll();
        seq += 1_000;
    }
    assert_eq!(script.connection.info().rcv_wnd, 0);
    assert!(script.data(seq, &[0; 1]).is_ok() || script.connection.readable() == 20_000);
    assert_eq!(script.poll()[0].header.window, 0);
    script.connection.read().unwrap();
    script.silent();
    script.connection.read().unwrap();
    let out = script.poll();
    assert_eq!((out.len(), out[0].header.window), (1, 2_000));
}

#[test]
fn timestamps_echo_and_protect() {
    let mut script = Script::with_timestamps();
    let give = |script: &mut Script, seq, value, text: &[u8]| {
        script.timestamp = Some(Timestamp { value, echo: 1_000 });
        script.give(header(seq, 1, Flags::ACK), text)
    };
    assert_eq!(give(&mut script, 1, 110, b"new"), Ok(Signals::READABLE));
    assert_eq!(script.poll()[0].header.options.timestamp.unwrap().echo, 110);
    // A hole: the echo stays with what was acknowledged last (RFC 7323, 4.3).
    give(&mut script, 10, 120, b"early").unwrap();
    assert_eq!(script.poll()[0].header.options.timestamp.unwrap().echo, 110);
    // An old duplicate from before the sequence number wrapped.
    assert_eq!(give(&mut script, 4, 109, b"old"), Err(Discard::TimestampOld));
    assert_eq!(script.poll().len(), 1);
    script.timestamp = None;
    assert_eq!(script.give(header(4, 1, Flags::ACK), b"bare"), Err(Discard::TimestampMissing));
    script.silent();
    // After 24 days of silence a timestamp says nothing.
    script.wait(25 * 86_400_000);
    assert_eq!(give(&mut script, 4, 5, b"later!"), Ok(Signals::READABLE));
}

// ---- Sending small, and little ----------------------------------------------------------------------------------------

#[test]
fn a_silly_window_is_waited_out_and_then_used() {
    let mut script = Script::established();
    script.write(3_000);
    script.poll();
    // All acknowledged, but only crumbs of window: less than half of what it ever was.
    script.window = 300;
    script.ack(3_001, &[]).unwrap();
    script.write(5_000);
    script.silent();
    let out = script.wait(400);
    assert_eq!(out.iter().map(peer::Out::brief).collect::<Vec<_>>(), [seg(3_001, 300, "A")]);
}

#[test]
fn nagle_holds_small_segments_back_only_where_asked_for() {
    for (nagle, count) in [(false, 2), (true, 1)] {
        let mut script = Script::established_with(&Config { nagle, ..config() }, opening(), options());
        script.write(10);
        let mut sent = script.poll().len();
        script.write(10);
        sent += script.poll().len();
        assert_eq!(sent, count);
        script.ack(11, &[]).unwrap();
        assert_eq!(script.poll().len(), 2 - count);
    }
}

// ---- RFC 9293, 3.6: closing -------------------------------------------------------------------------------------------

#[test]
fn half_close_each_way() {
    let mut script = Script::established();
    assert_eq!(
        script.give(header(1, 1, Flags::ACK | Flags::FIN), b"last"),
        Ok(Signals::READABLE | Signals::PEER_FINISHED)
    );
    assert_eq!(script.state(), State::CloseWait);
    assert!(!script.connection.peer_finished());
    assert_eq!(script.read(), b"last");
    assert!(script.connection.peer_finished());
    assert_eq!(script.poll()[0].ack(), 6);
    script.write(1_000);
    assert_eq!(script.brief(), [seg(1, 1_000, "PA")]);
    script.connection.shutdown(script.now);
    assert_eq!(script.brief(), [seg(1_001, 0, "FA")]);
    assert_eq!(script.state(), State::LastAck);
    assert_eq!(script.give(header(6, 1_002, Flags::ACK), b""), Ok(Signals::CLOSED | Signals::WRITABLE));
    assert!(script.connection.is_closed() && script.connection.error().is_none());
}

#[test]
fn simultaneous_close_ends_in_time_wait() {
    let mut script = Script::established();
    script.connection.shutdown(script.now);
    assert_eq!(script.brief(), [seg(1, 0, "FA")]);
    assert_eq!(script.give(header(1, 1, Flags::ACK | Flags::FIN), b""), Ok(Signals::PEER_FINISHED));
    assert_eq!((script.state(), script.brief()), (State::Closing, vec![seg(2, 0, "A")]));
    assert_eq!(script.give(header(2, 2, Flags::ACK), b""), Ok(Signals::CLOSED | Signals::WRITABLE));
    assert_eq!(script.state(), State::TimeWait);
}

#[test]
fn time_wait_may_be_reused_by_what_is_later_only() {
    let close = |script: &mut Script| {
        script.connection.shutdown(script.now);
        script.poll();
        script.give(header(1, 2, Flags::FIN | Flags::ACK), b"").unwrap();
        assert_eq!(script.state(), State::TimeWait);
    };
    let mut plain = Script::established();
    let syn = |seq| header(seq, 0, Flags::SYN);
    assert!(!plain.connection.may_reuse(&syn(100_000)));
    close(&mut plain);
    assert!(plain.connection.may_reuse(&syn(100_000)));
    assert!(!plain.connection.may_reuse(&syn(2)));
    assert!(!plain.connection.may_reuse(&header(100_000, 0, Flags::SYN | Flags::ACK)));
    let mut stamped = Script::with_timestamps();
    close(&mut stamped);
    let stamp = |value, seq| Header {
        options: Options { timestamp: Some(Timestamp { value, echo: 0 }), ..Options::default() },
        ..syn(seq)
    };
    assert!(stamped.connection.may_reuse(&stamp(101, 0)));
    assert!(!stamped.connection.may_reuse(&stamp(99, 100_000)));
    assert!(stamped.connection.may_reuse(&stamp(100, 100_000)));
}

#[test]
fn abort_resets_and_close_with_unread_data_does_too() {
    let mut script = Script::established();
    script.connection.abort();
    assert!(!script.connection.is_closed());
    assert_eq!(script.brief(), [seg(1, 0, "RA")]);
    assert!(script.connection.is_closed());
    let mut script = Script::established();
    script.data(1, b"unread").unwrap();
    script.connection.close(script.now);
    assert_eq!(script.brief(), [seg(1, 0, "RA")]);
    let mut script = Script::established();
    script.connection.close(script.now);
    script.poll();
    assert_eq!(script.data(1, b"nobody reads this"), Ok(Signals::CLOSED | Signals::RESET));
    assert_eq!(script.brief(), [seg(2, 0, "RA")]);
}

#[test]
fn what_came_before_a_reset_can_still_be_read() {
    let mut script = Script::established();
    script.data(1, b"the end").unwrap();
    assert_eq!(script.give(header(8, 1, Flags::RST | Flags::ACK), b""), Ok(Signals::CLOSED | Signals::RESET));
    assert_eq!(script.read(), b"the end");
}

// ---- Watching the peer ------------------------------------------------------------------------------------------------

#[test]
fn keep_alive_asks_and_gives_up() {
    let keepalive = KeepAlive { idle: Duration::from_secs(100), interval: Duration::from_secs(10), probes: 3 };
    let mut script = Script::established_with(&Config { keepalive: Some(keepalive), ..config() }, opening(), options());
    assert_eq!(script.wait(99_000), []);
    let out = script.wait(1_500);
    assert_eq!(out.iter().map(peer::Out::brief).collect::<Vec<_>>(), [seg(0, 0, "A")]);
    script.ack(1, &[]).unwrap();
    assert_eq!(script.wait(90_000), []);
    let out = script.wait(60_000);
    assert_eq!(out.len(), 4, "three probes and a RST: {out:?}");
    assert_eq!(script.connection.error(), Some(Error::TimedOut));
}

#[test]
fn keep_alives_of_the_peer_are_answered() {
    let mut script = Script::established();
    assert_eq!(script.give(header(0, 1, Flags::ACK), b""), Err(Discard::Duplicate));
    assert_eq!(script.brief(), [seg(1, 0, "A")]);
}

#[test]
fn the_user_timeout_ends_what_stays_unacknowledged() {
    let user_timeout = Some(Duration::from_secs(5));
    let mut script = Script::established_with(&Config { user_timeout, ..config() }, opening(), options());
    assert_eq!(script.wait(60_000), []);
    script.write(100);
    script.poll();
    script.wait(4_999);
    assert_eq!(script.state(), State::Established);
    script.wait(1);
    assert_eq!(script.connection.error(), Some(Error::TimedOut));
}
