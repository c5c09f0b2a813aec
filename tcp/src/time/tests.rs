use super::*;

#[test]
fn differences_saturate_and_sums_do_not_wrap() {
    let early = Instant::from_micros(5);
    let late = early + Duration::from_micros(7);
    assert_eq!(late - early, Duration::from_micros(7));
    assert_eq!(early - late, Duration::ZERO);
    assert_eq!(Instant::from_micros(u64::MAX) + Duration::MAX, Instant::from_micros(u64::MAX));
    assert_eq!(early - Duration::from_secs(1), Instant::ZERO);
}
