//! What a budget lets through at once, in a second, and after a long pause.

use std::time::Duration;

use super::*;

const START: Instant = Instant::from_micros(5_000_000);

fn taken(budget: &mut Budget, now: Instant, len: usize) -> usize {
    (0..1_000_000).take_while(|_| budget.take(now, len)).count()
}

#[test]
fn packets_are_bounded_at_once_and_over_time() {
    let mut budget = Budget::new(10_000, 1 << 40);
    assert_eq!(taken(&mut budget, START, 60), 100, "ten milliseconds' worth");
    let later: usize = (1..=1_000).map(|ms| taken(&mut budget, START + Duration::from_millis(ms), 60)).sum();
    assert_eq!(later, 10_000);
}

#[test]
fn bytes_are_bounded_whatever_the_packets() {
    let mut budget = Budget::new(1_000_000, 1_000_000);
    assert_eq!(taken(&mut budget, START, 1_514), 64, "no less than two bursts of full frames");
    let later: usize = (1..=1_000).map(|ms| taken(&mut budget, START + Duration::from_millis(ms), 1_514)).sum();
    assert_eq!(later, 1_000_000 / 1_514);
    assert!(!budget.take(START + Duration::from_secs(1), 1_514));
    assert!(budget.has_some(START + Duration::from_secs(1)), "a smaller one may pass");
}

#[test]
fn a_pause_fills_it_and_no_more() {
    let mut budget = Budget::new(10_000_000, 100_000_000_000);
    let full = taken(&mut budget, START, 0);
    assert_eq!(full, 100_000);
    assert_eq!(taken(&mut budget, START + Duration::from_secs(1 << 30), 0), full);
}

#[test]
fn what_has_gone_already_is_accounted_for_and_time_does_not_run_backwards() {
    let mut budget = Budget::new(1, 1_000_000);
    for _ in 0..64 {
        assert!(budget.has_some(START));
        budget.charge(START, 100);
    }
    assert!(!budget.has_some(START));
    assert!(!budget.has_some(START - Duration::from_secs(1)));
    assert!(budget.has_some(START + Duration::from_secs(1)));
}

/// A burst that was taken for one token is owed: over time no more passes than the rate says.
#[test]
fn bursts_are_made_up_for() {
    let mut budget = Budget::new(200, 1 << 40);
    let mut heard = 0;
    for ms in 0..10_000 {
        let now = START + Duration::from_millis(ms);
        if budget.has_some(now) {
            (0..32).for_each(|_| budget.charge(now, 60));
            heard += 32;
        }
    }
    assert!((2_000..=2_000 + 64 + 32).contains(&heard), "{heard}");
}
