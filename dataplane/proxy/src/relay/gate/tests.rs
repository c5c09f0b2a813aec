//! Buckets at exact times, and what passes in all.

use std::time::Duration;

use proptest::prelude::*;

use super::{Gate, Rate};
use crate::limits::{GATE_QUANTUM, GATE_WAIT_MIN};

const SECOND: Duration = Duration::from_secs(1);

fn rate(bytes_per_s: u64, burst: u64) -> Option<Rate> {
    Some(Rate { bytes_per_s, burst })
}

#[test]
fn nothing_limited_needs_no_gate() {
    assert_eq!(Gate::new(None, None, SECOND), None);
}

#[test]
fn a_bucket_empties_and_fills() {
    let mut gate = Gate::new(None, rate(1_000, 3_000), SECOND).expect("there is a rate");
    assert!(gate.is_open(SECOND));
    assert_eq!((gate.pass(1_000), gate.pass(5_000), gate.pass(1)), (1_000, 2_000, 0));
    assert!(!gate.is_open(SECOND));
    let quantum = Duration::from_millis(GATE_QUANTUM) + Duration::from_nanos(1);
    assert_eq!(gate.closed_until(), Some(SECOND + quantum), "as soon as there is enough for a segment");
    gate.look_anew();
    assert!(gate.is_open(SECOND + quantum) && gate.has_waited() && gate.closed_until().is_none());
    assert_eq!(gate.pass(5_000), GATE_QUANTUM as usize);
    assert!(gate.is_open(60 * SECOND));
    assert_eq!(gate.pass(5_000), 3_000, "no more than the burst is saved");
}

#[test]
fn a_small_burst_opens_with_less_than_a_segment() {
    let mut gate = Gate::new(None, rate(1_000_000_000, 10), SECOND).expect("there is a rate");
    assert_eq!(gate.pass(100), 10);
    assert!(!gate.is_open(SECOND));
    assert_eq!(gate.closed_until(), Some(SECOND + GATE_WAIT_MIN), "not as often as the rate would have it");
}

#[test]
fn so_many_bytes_in_all() {
    let mut gate = Gate::new(Some(5), rate(1, 100), SECOND).expect("there is a limit");
    assert_eq!((gate.pass(3), gate.is_used_up()), (3, false));
    assert_eq!((gate.pass(3), gate.is_used_up(), gate.pass(1)), (2, true, 0));
    let mut gate = Gate::new(Some(50), rate(1, 10), SECOND).expect("there is a limit");
    assert_eq!(gate.pass(100), 10);
    gate.hurry();
    assert!(gate.is_open(SECOND));
    assert_eq!((gate.pass(100), gate.is_used_up()), (40, true), "in a hurry the rate does not count, the sum does");
}

proptest! {
    #[test]
    fn never_more_than_burst_and_rate(
        bytes_per_s in 1..=2_000_000_u64,
        burst in 1..=100_000_u64,
        steps in proptest::collection::vec((0..3_000_000_000_u64, 1..100_000_usize), 1..40),
    ) {
        let mut gate = Gate::new(None, rate(bytes_per_s, burst), Duration::ZERO).expect("there is a rate");
        let (mut now, mut passed) = (Duration::ZERO, 0_u128);
        for (wait, bytes) in steps {
            now += Duration::from_nanos(wait);
            if gate.is_open(now) {
                passed += gate.pass(bytes) as u128;
            } else {
                prop_assert!(gate.closed_until() > Some(now));
                let open_at = gate.closed_until().expect("it is closed");
                prop_assert!(gate.is_open(open_at), "it opens when it said");
                now = open_at;
            }
            prop_assert!(passed <= u128::from(burst) + now.as_nanos() * u128::from(bytes_per_s) / 1_000_000_000);
        }
    }
}
