//! Learned after so many, forgotten after so long, for one client and name only.

use std::net::IpAddr;
use std::time::Duration;

use super::{Learning, Pins};
use crate::tls::limits;

const MINUTE: Duration = Duration::from_secs(60);
const LEARNING: Learning = Learning { after: 3, keep: Duration::from_secs(3_600) };

fn ip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

#[test]
fn learned_and_forgotten() {
    let mut pins = Pins::default();
    for (at, learned) in [(0, false), (1, false), (2, true)] {
        assert!(!pins.is_pinned("s", ip(1), "a.example", MINUTE * at));
        assert_eq!(pins.aborted("s", ip(1), "a.example", LEARNING, MINUTE * at), learned);
    }
    assert!(pins.is_pinned("s", ip(1), "a.example", MINUTE * 61));
    assert!(!pins.is_pinned("s", ip(2), "a.example", MINUTE * 3));
    assert!(!pins.is_pinned("s", ip(1), "b.example", MINUTE * 3));
    assert!(!pins.is_pinned("other", ip(1), "a.example", MINUTE * 3));
    assert!(!pins.is_pinned("s", ip(1), "a.example", MINUTE * 62));
    assert!(!pins.aborted("s", ip(1), "a.example", LEARNING, MINUTE * 63), "it begins anew");
}

#[test]
fn bad_luck_now_and_then_is_no_pin() {
    let mut pins = Pins::default();
    for at in 0..10 {
        assert!(!pins.aborted("s", ip(1), "a.example", LEARNING, limits::PIN_SUSPECT * at));
    }
    for _ in 0..10 {
        assert!(!pins.aborted("s", ip(2), "a.example", LEARNING, MINUTE));
        pins.cleared("s", ip(2), "a.example");
    }
}

#[test]
fn memory_is_bounded() {
    let mut pins = Pins::default();
    for number in 0..3 * limits::PINS_MAX {
        pins.aborted("s", ip(1), &number.to_string(), LEARNING, MINUTE);
        assert!(pins.0.len() <= limits::PINS_MAX);
    }
}
