//! What a sender does, segment by segment: needless timeouts, explicit congestion notification, pacing.

mod peer;

use peer::{Out, Script, config, opening};
use tcp::{Info, Options};

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
