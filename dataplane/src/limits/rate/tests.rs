//! A bucket gives its burst at once, its rate for ever, and no more.

use std::time::Duration;

use tcp::Instant;

use super::{Rate, TokenBucket};

#[test]
fn burst_then_rate() {
    let mut bucket = TokenBucket::new(Rate::new(10, 5));
    let start = Instant::from_micros(7_000_000);
    let taken = (0..100).filter(|_| bucket.take(start)).count();
    assert_eq!(taken, 5, "the burst");
    assert!(!bucket.take(start + Duration::from_millis(99)));
    assert!(bucket.take(start + Duration::from_millis(100)), "one every 100 ms");
    let later = start + Duration::from_secs(60);
    let taken = (0..100).filter(|_| bucket.take(later)).count();
    assert_eq!(taken, 5, "rest fills it to the burst, not beyond");
}

#[test]
fn rate_over_a_long_time() {
    let mut bucket = TokenBucket::new(Rate::new(1_000, 1));
    let taken = (0..1_000_000u64).filter(|&at| bucket.take(Instant::from_micros(at * 10))).count();
    assert_eq!(taken, 10_000, "10 s at 1,000/s");
}
