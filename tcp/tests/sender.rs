//! What a sender does, segment by segment: needless timeouts, explicit congestion notification, pacing.

mod peer;

use peer::{Out, Script, config, header, opening, options};
use tcp::{Config, Connection, Ecn, Flags, Header, Info, Options, Segment};

fn brief(out: &[Out]) -> Vec<(u32, usize)> {
    out.iter().map(|out| (out.brief().0, out.brief().1)).collect()
}

// ---- RFC 5682, 2.1: a timeout that was needless ------------------------------------------------------------------------

/// Ten segments in flight, ten more written, and the first sent again after a timeout. The peer has neither SACK nor
/// timestamps.
fn timed_out() -> Script {
    let bare = Options { mss: Some(1_000), ..Options::default() };
    let mut script = Script::established_with(&config(), opening(), bare);
    script.write(20_000);
    assert_eq!(script.poll().len(), 10);
    assert_eq!(brief(&script.wait(300)), [(1, 1_000)]);
    script
}

fn info(script: &Script) -> Info {
    script.connection.info()
}

#[test]
fn f_rto_takes_back_a_timeout_when_originals_arrive() {
    let mut script = timed_out();
    script.ack(1_001, &[]).unwrap();
    assert_eq!(brief(&script.poll()), [(10_001, 1_000), (11_001, 1_000)], "step 2b: two new segments");
    script.ack(2_001, &[]).unwrap();
    assert_eq!((info(&script).ca_state, info(&script).undone, info(&script).lost), ("open", 1, 0), "step 3b");
    assert!(info(&script).snd_cwnd >= 10_000, "{:?}", info(&script));
    // Duplicates that the needless retransmission provokes mean nothing.
    for _ in 0..4 {
        script.ack(2_001, &[]).unwrap();
    }
    assert!(script.poll().iter().all(|out| out.brief().0 >= 12_001));
}

#[test]
fn f_rto_goes_on_repairing_when_duplicates_follow() {
    let mut script = timed_out();
    script.ack(1_001, &[]).unwrap();
    assert_eq!(script.poll().len(), 2);
    script.ack(1_001, &[]).unwrap();
    assert_eq!(brief(&script.poll())[0], (1_001, 1_000), "step 3a: what is missing goes again");
    assert_eq!((info(&script).ca_state, info(&script).undone), ("loss", 0));
    assert!(info(&script).snd_cwnd <= 3_000);
}

#[test]
fn f_rto_sends_nothing_new_after_a_first_duplicate() {
    let mut script = timed_out();
    script.ack(1, &[]).unwrap();
    assert!(script.poll().iter().all(|out| out.brief().0 < 10_001), "step 2a");
    script.ack(10_001, &[]).unwrap();
    assert_eq!((info(&script).ca_state, info(&script).undone), ("open", 0));
}

// ---- RFC 3168: explicit congestion notification ------------------------------------------------------------------------

fn with_ecn() -> Config {
    Config { ecn: true, ..config() }
}

/// In SYN-SENT with a SYN that asks for ECN, answered with these flags beside SYN and ACK.
fn answered(flags: Flags) -> Script {
    let mut script = Script::connecting(&Config { ecn: false, ..config() }, opening());
    script.connection = Connection::connect(script.now, (40_000, 80), &with_ecn(), opening());
    assert_eq!(script.poll()[0].header.flags, Flags::SYN | Flags::ECE | Flags::CWR);
    script.wait(10);
    script.give(Header { options: options(), ..header(0, 1, Flags::SYN | Flags::ACK | flags) }, b"").unwrap();
    script.poll();
    script
}

/// What comes out now: offset, flags, and the codepoint its IP header gets.
fn marked(script: &mut Script) -> Vec<(u32, Flags, Ecn)> {
    let (mut out, mut chunks) = (Vec::new(), Vec::new());
    while let Some(header) = script.connection.poll_transmit(script.now, 1_000, &mut chunks) {
        out.push((header.seq.since(opening().isn), header.flags, script.connection.ecn_codepoint()));
    }
    out
}

fn arrives(script: &mut Script, seq: u32, flags: Flags, ecn: Ecn) {
    let header = header(seq, 1, Flags::ACK | flags);
    let payload = [bytes::Bytes::from_static(&[7; 10])].into_iter().collect();
    script.connection.handle_segment(script.now, Segment { header, payload, ecn }).unwrap();
}

#[test]
fn ecn_is_used_only_if_both_syns_ask_for_it() {
    for (flags, agreed) in [(Flags::ECE, true), (Flags::empty(), false), (Flags::ECE | Flags::CWR, false)] {
        let mut script = answered(flags);
        assert_eq!(info(&script).ecn, agreed, "{flags:?}");
        script.write(1_000);
        let codepoint = if agreed { Ecn::Capable0 } else { Ecn::NotCapable };
        assert_eq!(marked(&mut script), [(1, Flags::ACK | Flags::PSH, codepoint)]);
    }
    for (config, asked, answer) in [
        (with_ecn(), Flags::ECE | Flags::CWR, Flags::ECE),
        (with_ecn(), Flags::ECE, Flags::empty()),
        (config(), Flags::ECE | Flags::CWR, Flags::empty()),
    ] {
        let mut script = Script::connecting(&self::config(), opening());
        let syn = Header { options: options(), ..header(0, 0, Flags::SYN | asked) };
        script.connection = Connection::accept(script.now, (40_000, 80), &config, &syn, opening());
        assert_eq!(marked(&mut script), [(0, Flags::SYN | Flags::ACK | answer, Ecn::NotCapable)]);
    }
}

#[test]
fn a_repeated_syn_does_without_ecn() {
    let mut script = Script::connecting(&config(), opening());
    script.connection = Connection::connect(script.now, (40_000, 80), &with_ecn(), opening());
    script.poll();
    assert_eq!(script.wait(1_000)[0].header.flags, Flags::SYN);
    let answer = Flags::SYN | Flags::ACK | Flags::ECE;
    script.give(Header { options: options(), ..header(0, 1, answer) }, b"").unwrap();
    assert!(!info(&script).ecn);
}

#[test]
fn marks_are_echoed_on_everything_until_the_peer_has_slowed_down() {
    let mut script = answered(Flags::ECE);
    arrives(&mut script, 1, Flags::empty(), Ecn::CongestionExperienced);
    assert_eq!(marked(&mut script), [(1, Flags::ACK | Flags::ECE, Ecn::NotCapable)]);
    script.write(500);
    assert_eq!(marked(&mut script), [(1, Flags::ACK | Flags::PSH | Flags::ECE, Ecn::Capable0)]);
    arrives(&mut script, 11, Flags::CWR, Ecn::Capable0);
    assert_eq!(marked(&mut script), [(501, Flags::ACK, Ecn::NotCapable)]);
    arrives(&mut script, 21, Flags::CWR, Ecn::CongestionExperienced);
    assert_eq!(marked(&mut script)[0].1, Flags::ACK | Flags::ECE, "marked anew");
}

#[test]
fn an_echo_reduces_the_window_once_a_round_trip_and_is_answered_on_new_data() {
    let mut script = answered(Flags::ECE);
    script.write(60_000);
    assert_eq!(marked(&mut script).len(), 10);
    script.wait(10);
    let echo = |ack| Header { window: 60_000, ..header(1, ack, Flags::ACK | Flags::ECE) };
    script.give(echo(1_001), b"").unwrap();
    assert_eq!(info(&script).snd_cwnd, info(&script).snd_ssthresh);
    let reduced = info(&script).snd_cwnd;
    assert!((7_000..=8_000).contains(&reduced), "CUBIC's seven tenths: {reduced}");
    for ack in [2_001, 3_001, 4_001, 5_001] {
        script.give(echo(ack), b"").unwrap();
        assert!(info(&script).snd_cwnd >= reduced, "the same round trip");
    }
    let out = marked(&mut script);
    assert_eq!(out[0], (10_001, Flags::ACK | Flags::CWR, Ecn::Capable0));
    assert!(out.len() > 1 && out[1..].iter().all(|(_, flags, _)| !flags.contains(Flags::CWR)), "once: {out:?}");
    // Everything that was in flight at the reduction is acknowledged: the next echo is news.
    script.give(echo(11_001), b"").unwrap();
    assert!(info(&script).snd_cwnd < reduced, "{:?}", info(&script));
}

#[test]
fn what_is_sent_again_is_not_ecn_capable() {
    let mut script = answered(Flags::ECE);
    script.write(5_000);
    marked(&mut script);
    script.wait(10);
    script.ack(1, &[(1_001, 5_001)]).unwrap();
    assert_eq!(marked(&mut script), [(1, Flags::ACK, Ecn::NotCapable)]);
}

// ---- Pacing ------------------------------------------------------------------------------------------------------------

#[test]
fn a_paced_window_is_spread_over_the_round_trip_by_deadlines() {
    let mut script = Script::established_with(&Config { pacing: true, ..config() }, opening(), options());
    script.write(30_000);
    let start = script.now;
    let mut sent = vec![(0, script.poll().len())];
    // The round trip is 10 ms; nothing is acknowledged, the initial window of ten segments goes out.
    while let Some(at) = script.connection.deadline().filter(|at| *at < start + std::time::Duration::from_millis(15)) {
        script.now = at;
        script.connection.handle_timeout(at);
        sent.push(((at - start).as_millis(), script.poll().len()));
    }
    assert_eq!(sent.iter().map(|(_, segments)| segments).sum::<usize>(), 10, "{sent:?}");
    assert!(sent.len() >= 4 && sent.iter().all(|(_, segments)| *segments <= 4), "{sent:?}");
    // Slow start's pace is two windows a round trip.
    assert!((3..=5).contains(&sent.last().unwrap().0), "{sent:?}");
    // The wait is no loss: nothing went again.
    assert_eq!(info(&script).total_retrans, 0);
}
