//! Cycles become microseconds without loss that matters, and clocks go forward.

use std::time::Duration;

use super::{Clock, micros, micros_per_cycle};

#[test]
fn cycles_become_microseconds() {
    for rate in [1_000_000_000, 2_099_998_000, 3_700_000_000, 24_000_000] {
        let per_cycle = micros_per_cycle(rate);
        let year = 365 * 24 * 3_600;
        for seconds in [1, 3_600, year] {
            let got = micros(rate * seconds, per_cycle);
            let exact = seconds * 1_000_000;
            assert!(got.abs_diff(exact) <= 1 + exact / 10_000_000, "{rate} cycles/s, {seconds} s: {got}");
        }
    }
}

#[test]
fn manual_time_moves_by_hand_only() {
    let (clock, hand) = Clock::manual();
    let start = clock.now();
    assert_eq!(clock.now(), start);
    hand.set(start + Duration::from_millis(5));
    assert_eq!(clock.clone().now() - start, Duration::from_millis(5));
}

#[test]
fn real_time_goes_forward() {
    for clock in [Clock::monotonic(), Clock::cycles()] {
        let start = clock.now();
        let mut last = start;
        while last - start < Duration::from_micros(200) {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }
}
