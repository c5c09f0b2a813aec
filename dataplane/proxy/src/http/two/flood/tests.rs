//! Rates: so many at once, and then as many as time brings; what answers us costs nothing.

use std::time::Duration;

use super::{Budget, Meter};
use crate::http::event::Event;
use crate::http::limits::{self, Rate};

#[test]
fn a_budget_fills_with_time_and_no_further_than_its_burst() {
    let rate = Rate { burst: 3, per_second: 2 };
    let mut budget = Budget { left: u64::MAX, at: Duration::ZERO };
    let mut take = |millis| budget.take(rate, Duration::from_millis(millis));
    assert_eq!([0; 4].map(&mut take), [true, true, true, false]);
    assert_eq!([499, 500, 500].map(&mut take), [false, true, false]);
    assert_eq!([100_000; 4].map(&mut take), [true, true, true, false]);
}

#[test]
fn answers_to_us_are_no_flood() {
    let mut meter = Meter::of_server(Duration::ZERO);
    for _ in 0..limits::PINGS.burst * 2 {
        meter.incoming(&[0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        meter.incoming(&[0, 0, 0, 4, 1, 0, 0, 0, 0]);
    }
    assert_eq!(meter.flood(), None);
    for _ in 0..=limits::PINGS.burst {
        meter.incoming(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
    assert_eq!(meter.flood(), Some(Event::TwoPingFlood));
}
