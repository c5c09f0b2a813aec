//! One test for each attack, named after it.

mod peer;

use peer::{Script, config, header, opening, options};
use tcp::{
    Config, Connection, Discard, Flags, Header, IcmpError, IcmpKind, Instant, Options, SeqNumber, Signals, State,
    reset_for,
};

/// RFC 5961, 3: a RST that only guesses the window.
#[test]
fn blind_rst() {
    let mut script = Script::established();
    assert_eq!(script.give(header(50, 1, Flags::RST), b""), Err(Discard::ResetChallenged));
    assert_eq!(script.brief(), [(1, 0, "A".into())]);
    assert_eq!(script.give(header(30_000, 1, Flags::RST), b""), Err(Discard::ResetOutside));
    assert_eq!(script.give(header(0, 1, Flags::RST), b""), Err(Discard::ResetOutside));
    script.silent();
    assert_eq!(script.state(), State::Established);
    // The real one: the challenge told its sender the number.
    assert_eq!(script.give(header(1, 1, Flags::RST), b""), Ok(Signals::CLOSED | Signals::RESET));
    assert_eq!(script.connection.error(), Some(tcp::Error::Reset));
    assert!(script.connection.is_closed());
}

/// RFC 5961, 4: a SYN into an open connection, anywhere.
#[test]
fn blind_syn() {
    let mut script = Script::established();
    for seq in [0, 1, 50, 1 << 30] {
        assert_eq!(script.give(header(seq, 1, Flags::SYN), b""), Err(Discard::SynChallenged));
        assert_eq!(script.brief(), [(1, 0, "A".into())]);
    }
    assert_eq!(script.state(), State::Established);
}

/// RFC 5961, 5: data whose ACK was never in any window.
#[test]
fn blind_data() {
    let mut script = Script::established();
    for (ack, discard) in [(1 << 30, Discard::AckAhead), (0u32.wrapping_sub(70_000), Discard::AckStale)] {
        assert_eq!(script.give(header(1, ack, Flags::ACK), b"evil"), Err(discard));
        assert_eq!(script.brief(), [(1, 0, "A".into())]);
    }
    assert_eq!(script.give(header(1, 1, Flags::empty()), b"evil"), Err(Discard::NoAck));
    assert_eq!(script.connection.readable(), 0);
}

/// CVE-2016-5696: the limit on challenges is the connection's own, and is kept.
#[test]
fn challenge_flood() {
    let mut script = Script::established();
    let mut challenges = 0;
    for _ in 0..1_000 {
        script.give(header(60, 1, Flags::RST), b"").unwrap_err();
        challenges += script.poll().len();
    }
    assert_eq!(challenges, 10);
    script.wait(5_000);
    script.give(header(60, 1, Flags::RST), b"").unwrap_err();
    assert_eq!(script.poll().len(), 1);
}

/// Two ends that each hold the other's segments unacceptable must not answer each other for ever.
#[test]
fn ack_storm() {
    let mut script = Script::established();
    let mut answers = 0;
    for _ in 0..1_000 {
        script.give(header(0x4000_0000, 1, Flags::ACK), b"").unwrap_err();
        answers += script.poll().len();
    }
    assert_eq!(answers, 10);
}

/// CVE-2019-11479: a peer that announces a tiny MSS makes us send more headers than data.
#[test]
fn tiny_mss() {
    for mss in [0, 1, 48, 88] {
        let mut script = Script::established_with(&config(), opening(), Options { mss: Some(mss), ..options() });
        assert_eq!(script.connection.mss(), 216);
        script.limit = 216;
        script.write(10_000);
        assert!(script.poll().iter().all(|out| out.payload.len() == 216), "{mss}");
    }
}

/// The same by ICMP (RFC 5927, 7), and from nowhere.
#[test]
fn tiny_path_mtu_and_blind_icmp() {
    let mut script = Script::established();
    script.write(5_000);
    assert_eq!(script.poll().len(), 5);
    let mut too_big = |seq: u32, mtu| {
        let error = IcmpError { kind: IcmpKind::TooBig { mtu }, seq: SeqNumber(peer::OURS + seq) };
        script.connection.handle_icmp(script.now, error);
        script.connection.mss()
    };
    assert_eq!(too_big(70_000, 520), 1_000);
    assert_eq!(too_big(0, 520), 1_000);
    assert_eq!(too_big(1, 520), 500);
    assert_eq!(too_big(1, 68), 216);
    assert_eq!(too_big(1, 1_500), 216);
    // Hard errors abort nothing once synchronized.
    for kind in [IcmpKind::Unreachable { hard: true }, IcmpKind::TimeExceeded] {
        assert_eq!(
            script.connection.handle_icmp(script.now, IcmpError { kind, seq: SeqNumber(peer::OURS + 1) }),
            Signals::empty()
        );
    }
    assert_eq!(script.state(), State::Established);
}

/// CVE-2018-5390: crumbs out of order. Bounded in bytes by the window and in runs by the limit; nothing is delivered, the
/// rest is refused by name, and the connection lives.
#[test]
fn reassembly_exhaustion() {
    let mut script = Script::established();
    let mut refused = 0;
    for i in 0..9_000u32 {
        match script.data(3 + 2 * i, b"x") {
            Err(Discard::ReassemblyFull) => refused += 1,
            Ok(_) => {}
            Err(other) => panic!("{other:?}"),
        }
        script.poll();
    }
    let info = script.connection.info();
    assert_eq!((info.reassembly, info.unread), (512, 0));
    assert_eq!(refused, 9_000 - 512);
    assert_eq!(script.data(1, b"ab"), Ok(Signals::READABLE));
    assert_eq!(script.read(), b"abx");
}

/// Savage et al. 1999: acknowledging what was not received yet, to make us send faster. What was never sent cannot be
/// acknowledged; and what was is no more than both windows allowed.
#[test]
fn optimistic_ack() {
    let mut script = Script::established();
    script.write(100_000);
    let sent = script.poll().len();
    assert_eq!(sent, 10);
    assert_eq!(script.ack(10_002, &[]), Err(Discard::AckAhead));
    assert_eq!(script.connection.info().snd_cwnd, 10_000);
    // ACK division: many small steps do not widen the window more than their bytes.
    script.poll();
    for i in 1..=100 {
        script.ack(1 + i * 10, &[]).unwrap();
    }
    assert!(script.connection.info().snd_cwnd <= 11_000, "{}", script.connection.info().snd_cwnd);
}

/// SACK blocks for what was never sent, inverted, or a whole window wide.
#[test]
fn lying_sack() {
    let mut script = Script::established();
    script.write(5_000);
    script.poll();
    script.ack(1, &[(5_001, 9_001), (3_001, 2_001), (0x8000_0000, 0x9000_0000)]).unwrap();
    let info = script.connection.info();
    assert_eq!((info.sacked, info.lost), (0, 0));
    // Claimed and then taken back: after the timeout all of it goes again, and arrives.
    script.ack(1, &[(1_001, 5_001)]).unwrap();
    script.poll();
    script.ack(1_001, &[(1_001, 5_001)]).unwrap();
    script.silent();
    let again = script.wait(3_000);
    assert!(again.iter().any(|out| out.brief().0 == 1_001), "{again:?}");
}

/// CVE-2019-11477, 11478: SACK blocks that cut what is in flight to crumbs, in every order, thousands of times. What is
/// counted stays within what was sent, what is sent again stays within reason, and the connection lives.
#[test]
fn sack_storm() {
    let mut script = Script::established();
    script.write(10_000);
    assert_eq!(script.poll().len(), 10);
    script.wait(10);
    let mut sent = 0;
    for i in 0..5_000u32 {
        let crumb = 2 + (i * 7_919) % 9_990;
        let other = 2 + (i * 104_729) % 9_990;
        script.ack(1, &[(crumb, crumb + 1), (other, other + 3), (crumb, 10_001)]).unwrap();
        sent += script.poll().iter().map(|out| out.payload.len()).sum::<usize>();
        let info = script.connection.info();
        assert!(info.sacked < 10_000 && info.sacked + info.lost <= 10_000, "{info:?}");
    }
    assert!(sent <= 10_000, "sent again: {sent} bytes");
    script.ack(10_001, &[]).unwrap();
    script.silent();
    assert_eq!((script.connection.info().ca_state, script.connection.unacked()), ("open", 0));
}

/// A window that stays closed, but is answered for: the connection stays, however long (RFC 9293, 3.8.6.1).
#[test]
fn zero_window_for_ever_but_answered() {
    let mut script = Script::established();
    script.window = 0;
    script.ack(1, &[]).unwrap();
    script.write(3_000);
    script.silent();
    let (mut probes, mut longest) = (0, 0);
    for _ in 0..200 {
        let before = script.now;
        while script.connection.deadline().is_some() && script.poll().is_empty() {
            let deadline = script.connection.deadline().unwrap();
            script.now = deadline;
            assert_eq!(script.connection.handle_timeout(deadline), Signals::empty());
            let out = script.poll();
            if !out.is_empty() {
                assert_eq!(out[0].brief(), (0, 0, "A".into()));
                break;
            }
        }
        probes += 1;
        longest = longest.max((script.now - before).as_secs());
        script.ack(1, &[]).unwrap();
    }
    assert_eq!((probes, script.state(), longest), (200, State::Established, 120));
    // And it goes on where it stopped.
    script.window = 60_000;
    script.ack(1, &[]).unwrap();
    assert_eq!(script.brief().len(), 3);
}

/// The same, unanswered: given up after the configured number of probes, with a RST.
#[test]
fn zero_window_and_silence() {
    let mut script = Script::established_with(&Config { retries: 5, ..config() }, opening(), options());
    script.window = 0;
    script.ack(1, &[]).unwrap();
    script.write(3_000);
    script.silent();
    let out = script.wait(3_600_000);
    assert_eq!(out.len(), 7, "six probes and a RST: {out:?}");
    assert!(out[6].header.flags.contains(Flags::RST));
    assert_eq!(script.connection.error(), Some(tcp::Error::TimedOut));
}

/// What both squatters do: a window that stays closed, and an answer to every probe. Gives how many probes they got.
fn squat(script: &mut Script) -> usize {
    let mut probes = 0;
    while !script.connection.is_closed() {
        script.now = script.connection.deadline().expect("it does not wait for ever");
        script.connection.handle_timeout(script.now);
        probes += script.poll().iter().filter(|out| !out.header.flags.contains(Flags::RST)).count();
        assert!(probes < 100, "it waits for ever");
        if !script.connection.is_closed() {
            script.ack(1, &[]).unwrap();
            script.silent();
        }
    }
    probes
}

fn with_closed_window() -> Script {
    let mut script = Script::established();
    script.window = 0;
    script.ack(1, &[]).unwrap();
    script.write(3_000);
    script.silent();
    script
}

/// FIN-WAIT-1 squatting: what was written before the close, and the FIN, would be held for ever.
#[test]
fn fin_wait_1_squatting() {
    let mut script = with_closed_window();
    script.connection.close(script.now);
    assert_eq!(script.state(), State::FinWait1);
    assert_eq!(squat(&mut script), 8);
    assert_eq!(script.connection.error(), Some(tcp::Error::TimedOut));
}

/// RFC 6429: many connections with closed windows, each answered for, hold memory until there is none left. Kept for ever
/// while there is enough (`zero_window_for_ever_but_answered`), not when it is short.
#[test]
fn zero_window_squatting_under_memory_pressure() {
    let mut script = with_closed_window();
    script.connection.set_memory_pressure(true);
    assert_eq!(squat(&mut script), 8);
    assert_eq!(script.connection.error(), Some(tcp::Error::TimedOut));
}

/// ICMP into a handshake that the peer began: whoever guesses a port cannot end it, nor make its segments small.
#[test]
fn icmp_in_listen() {
    let mut script = Script::connecting(&config(), opening());
    let syn = header(0, 0, Flags::SYN);
    script.connection = Connection::accept(script.now, (40_000, 80), &config(), &syn, opening());
    script.poll();
    for kind in [
        IcmpKind::Unreachable { hard: true },
        IcmpKind::Unreachable { hard: false },
        IcmpKind::TimeExceeded,
        IcmpKind::TooBig { mtu: 68 },
    ] {
        let error = IcmpError { kind, seq: SeqNumber(peer::OURS) };
        assert_eq!(script.connection.handle_icmp(script.now, error), Signals::empty());
    }
    assert_eq!(script.state(), State::SynReceived);
    assert_eq!(script.give(header(1, 1, Flags::ACK), b""), Ok(Signals::ESTABLISHED | Signals::WRITABLE));
    assert_eq!(script.connection.mss(), 536, "what the SYN without an option means");
}

/// RFC 7323, 3.2: who knows the numbers but not the timestamps leaves them out. Dropped in silence; a RST needs none.
#[test]
fn segment_without_timestamps() {
    let mut script = Script::with_timestamps();
    script.timestamp = None;
    assert_eq!(script.data(1, b"evil"), Err(Discard::TimestampMissing));
    assert_eq!(script.give(header(1, 1, Flags::ACK), b""), Err(Discard::TimestampMissing));
    script.silent();
    assert_eq!((script.connection.readable(), script.state()), (0, State::Established));
    assert_eq!(script.give(header(1, 1, Flags::RST), b""), Ok(Signals::CLOSED | Signals::RESET));
}

/// PAWS compares for 24 days: a peer that was silent for longer is not locked out by its own clock.
#[test]
fn a_timestamp_is_forgotten_after_24_days() {
    const DAY: u64 = 86_400_000;
    let mut script = Script::with_timestamps();
    script.timestamp = script.timestamp.map(|timestamp| tcp::Timestamp { value: 50, ..timestamp });
    script.wait(23 * DAY);
    assert_eq!(script.data(1, b"x"), Err(Discard::TimestampOld));
    script.poll();
    script.wait(2 * DAY);
    assert_eq!(script.data(1, b"x"), Ok(Signals::READABLE));
}

/// A relay passes on the crumbs that it was sent: however little they are, no more than so many are held.
#[test]
fn crumbs_to_send_are_bounded_in_pieces() {
    let mut script = Script::established();
    script.window = 0;
    script.ack(1, &[]).unwrap();
    for _ in 0..4_096 {
        assert!(script.connection.writable() > 0);
        script.write(1);
    }
    assert_eq!((script.connection.writable(), script.connection.pieces()), (0, 4_096));
}

/// FIN-WAIT-2 squatting: a peer that never finishes, when nobody listens any more.
#[test]
fn fin_wait_2_squatting() {
    let mut script = Script::established();
    script.connection.close(script.now);
    assert_eq!(script.brief(), [(1, 0, "FA".into())]);
    script.ack(2, &[]).unwrap();
    assert_eq!(script.state(), State::FinWait2);
    script.wait(59_000);
    assert_eq!(script.state(), State::FinWait2);
    script.wait(2_000);
    assert!(script.connection.is_closed());
    // Half-closed, it may last.
    let mut script = Script::established();
    script.connection.shutdown(script.now);
    script.poll();
    script.ack(2, &[]).unwrap();
    script.wait(86_400_000);
    assert_eq!(script.state(), State::FinWait2);
    assert_eq!(script.give(header(1, 2, Flags::ACK), b"late"), Ok(Signals::READABLE));
}

/// RFC 1337: a RST, old data or an old ACK do not end TIME-WAIT early.
#[test]
fn time_wait_assassination() {
    let mut script = Script::established();
    script.connection.shutdown(script.now);
    script.poll();
    let fin = header(1, 2, Flags::FIN | Flags::ACK);
    assert_eq!(script.give(fin, b""), Ok(Signals::PEER_FINISHED | Signals::CLOSED | Signals::WRITABLE));
    script.poll();
    assert_eq!(script.state(), State::TimeWait);
    assert_eq!(script.give(header(2, 2, Flags::RST), b""), Err(Discard::TimeWaitReset));
    script.wait(30_000);
    // The FIN again: acknowledged, and TIME-WAIT begins anew.
    assert_eq!(script.give(fin, b""), Err(Discard::Duplicate));
    assert_eq!(script.brief(), [(2, 0, "A".into())]);
    script.wait(59_000);
    assert_eq!(script.state(), State::TimeWait);
    script.wait(2_000);
    assert!(script.connection.is_closed());
}

/// A segment of garbage flags and numbers, in every state: no panic, no output without end.
#[test]
fn random_segments_in_every_state() {
    use rand::{RngExt, SeedableRng};
    for seed in 0..300 {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut script = if seed % 3 == 0 { Script::with_timestamps() } else { Script::established() };
        script.write(rng.random_range(0..20_000));
        for _ in 0..200 {
            let near = |rng: &mut rand_chacha::ChaCha8Rng| match rng.random_range(0..4) {
                0 => rng.random_range(0..30_000),
                1 => rng.random(),
                2 => rng.random_range(0..3),
                _ => 0u32.wrapping_sub(rng.random_range(0..30_000)),
            };
            let (seq, ack) = (near(&mut rng), near(&mut rng));
            let flags =
                if rng.random_bool(0.7) { Flags::ACK } else { Flags::from_bits_truncate(rng.random_range(0..512)) };
            let mut segment = Header { window: rng.random(), ..header(seq, ack, flags) };
            for _ in 0..rng.random_range(0..4) {
                segment.options.sack.push(
                    SeqNumber(peer::OURS.wrapping_add(near(&mut rng))),
                    SeqNumber(peer::OURS.wrapping_add(near(&mut rng))),
                );
            }
            let payload = vec![0; rng.random_range(0..1_500)];
            let _ = script.give(segment, &payload);
            script.poll();
            match rng.random_range(0..20) {
                0 => drop(script.wait(rng.random_range(0..3_000))),
                1 => drop(script.read()),
                2 => script.connection.shutdown(script.now),
                _ => {}
            }
            let info = script.connection.info();
            assert!(info.unread + info.reassembly <= 20_004);
        }
    }
}

/// What belongs to nobody is reset, and the reset is one that a connection in SYN-SENT believes.
#[test]
fn a_reset_for_nobody_refuses_a_connection() {
    let now = Instant::ZERO;
    let mut connection = Connection::<bytes::Bytes>::connect(now, (1, 2), &config(), opening());
    let mut chunks = Vec::new();
    let syn = connection.poll_transmit(now, 1_000, &mut chunks).unwrap();
    let reset = reset_for(&syn, 0).unwrap();
    let segment = tcp::Segment { header: reset, payload: Default::default(), ecn: tcp::Ecn::NotCapable };
    assert_eq!(connection.handle_segment(now, segment), Ok(Signals::CLOSED | Signals::RESET));
    assert_eq!(connection.error(), Some(tcp::Error::Refused));
}
