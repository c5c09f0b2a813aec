use super::*;
use crate::seq::SeqNumber;

const SEGMENT: u64 = 1_000;

fn growth(now: Instant, bytes: u64, rtt: Duration) -> Growth {
    let una = Position::of_syn(SeqNumber(1));
    Growth { now, bytes, sample: Some(rtt), smoothed: rtt, una, nxt: una }
}

/// Acknowledges a window's worth of single segments per round trip.
fn rounds(congestion: &mut Congestion, now: &mut Instant, rtt: Duration, count: u64) {
    // Somewhere after everything an earlier call acknowledged.
    let mut una = Position::of_syn(SeqNumber(1)) + now.as_micros() * 1_000;
    for _ in 0..count {
        *now += rtt;
        let end = una + congestion.window();
        while una < end {
            una += SEGMENT;
            congestion.grow(&Growth { una, nxt: end + congestion.window(), ..growth(*now, SEGMENT, rtt) });
        }
    }
}

#[test]
fn the_initial_window_of_rfc_6928() {
    assert_eq!(initial_window(1_460), 14_600);
    assert_eq!(initial_window(536), 5_360);
    assert_eq!(initial_window(9_000), 18_000);
}

#[test]
fn slow_start_doubles_and_leaves_when_the_round_trip_time_rises() {
    let (mut congestion, mut now) = (Congestion::new(Algorithm::Cubic, SEGMENT), Instant::ZERO);
    rounds(&mut congestion, &mut now, Duration::from_millis(40), 3);
    assert_eq!(congestion.window(), 80_000);
    rounds(&mut congestion, &mut now, Duration::from_millis(60), 7);
    assert!(!congestion.in_slow_start(), "{congestion:?}");
    assert!(congestion.window() < 80_000 * 6, "{}", congestion.window());
}

#[test]
fn newreno_halves_and_climbs_by_a_segment_per_round_trip() {
    let (mut congestion, mut now) = (Congestion::new(Algorithm::NewReno, SEGMENT), Instant::ZERO);
    congestion.set_window(100_000);
    congestion.on_loss(u64::MAX);
    assert_eq!(congestion.threshold(), 50_000);
    congestion.set_window(congestion.threshold());
    rounds(&mut congestion, &mut now, Duration::from_millis(50), 10);
    assert!((59_000..=60_000).contains(&congestion.window()), "{}", congestion.window());
}

#[test]
fn cubic_falls_to_seven_tenths_and_is_back_after_k() {
    let (mut congestion, mut now) = (Congestion::new(Algorithm::Cubic, SEGMENT), Instant::ZERO);
    congestion.set_window(1_000_000);
    congestion.on_loss(u64::MAX);
    congestion.set_window(congestion.threshold());
    assert_eq!(congestion.window(), 700_000);
    // K = cbrt(300 / 0.4) = 9.1 s
    rounds(&mut congestion, &mut now, Duration::from_millis(100), 91);
    assert!((980_000..1_020_000).contains(&congestion.window()), "{}", congestion.window());
    rounds(&mut congestion, &mut now, Duration::from_millis(100), 60);
    assert!(congestion.window() > 1_060_000, "{}", congestion.window());
}

#[test]
fn cubic_is_not_slower_than_reno_on_short_paths() {
    let (mut congestion, mut now) = (Congestion::new(Algorithm::Cubic, SEGMENT), Instant::ZERO);
    congestion.set_window(20_000);
    congestion.on_loss(u64::MAX);
    congestion.set_window(congestion.threshold());
    rounds(&mut congestion, &mut now, Duration::from_millis(1), 100);
    // Reno's rate with this beta: 14 + 0.53 a round until 20, then 1 a round.
    assert!(congestion.window() > 90_000, "{}", congestion.window());
}

#[test]
fn a_loss_that_was_none_is_taken_back() {
    let mut congestion = Congestion::new(Algorithm::Cubic, SEGMENT);
    congestion.set_window(77_000);
    let before = congestion.on_loss(u64::MAX);
    congestion.on_timeout();
    assert_eq!(congestion.window(), SEGMENT);
    congestion.undo(before);
    assert_eq!((congestion.window(), congestion.threshold()), (77_000, u64::MAX));
}

#[test]
fn idling_halves_the_window_per_timeout_but_not_below_the_initial_one() {
    let mut congestion = Congestion::new(Algorithm::Cubic, SEGMENT);
    congestion.set_window(100_000);
    congestion.on_idle(Duration::from_secs(1), Duration::from_millis(600));
    assert_eq!(congestion.window(), 50_000);
    congestion.on_idle(Duration::from_secs(3_600), Duration::from_millis(200));
    assert_eq!(congestion.window(), 10_000);
}

#[test]
fn the_threshold_is_at_least_two_segments() {
    for algorithm in [Algorithm::Cubic, Algorithm::NewReno] {
        let mut congestion = Congestion::new(algorithm, SEGMENT);
        congestion.set_window(0);
        assert_eq!(congestion.window(), SEGMENT);
        congestion.on_loss(u64::MAX);
        assert_eq!(congestion.threshold(), 2 * SEGMENT);
    }
}

#[test]
fn a_loss_falls_from_what_was_used_of_the_window() {
    let (mut congestion, una) = (Congestion::new(Algorithm::NewReno, SEGMENT), Position::of_syn(SeqNumber(1)));
    congestion.set_window(100_000);
    for i in 1..5 {
        let (una, now) = (una + i * 20_000, Instant::from_micros(i * 50_000));
        let smoothed = Duration::from_millis(50);
        congestion.on_use(&Use { now, acked: 20_000, una, nxt: una + 20_000, smoothed, limited: false });
    }
    congestion.on_loss(30_000);
    assert_eq!(congestion.threshold(), 15_000, "RFC 7661, 4.4.1: of the larger of pipeACK and what is in flight");
    congestion.set_window(100_000);
    congestion.on_loss(30_000);
    assert_eq!(congestion.threshold(), 50_000, "no sample yet: validated");
}

/// RFC 9438, 4.8: "K is set to 0, and W_max is set to the congestion window size at the beginning of the current congestion
/// avoidance stage".
#[test]
fn after_a_timeout_cubic_begins_where_slow_start_ends() {
    let (mut congestion, mut now) = (Congestion::new(Algorithm::Cubic, SEGMENT), Instant::ZERO);
    congestion.set_window(1_000_000);
    congestion.on_loss(u64::MAX);
    congestion.on_timeout();
    assert_eq!((congestion.window(), congestion.threshold()), (SEGMENT, 700_000));
    congestion.set_window(700_000);
    // W(t) = 0.4 * t^3 + 700 after 10 s is 1,100 segments; with the old W_max it would be 1,000, K being 9.1 s.
    rounds(&mut congestion, &mut now, Duration::from_millis(100), 100);
    assert!((1_080_000..1_130_000).contains(&congestion.window()), "{}", congestion.window());
}

/// RFC 9438, 4.7: a second loss below W_max lowers W_max further: who has more gives way to who is new.
#[test]
fn cubic_converges_fast_below_the_last_maximum() {
    let mut cubic = Cubic::default();
    assert_eq!(cubic.on_loss(1_000_000, SEGMENT), 700_000);
    assert_eq!(cubic.on_loss(900_000, SEGMENT), 630_000);
    let growth = growth(Instant::from_micros(1), SEGMENT, Duration::from_millis(100));
    assert!(cubic.grow(630_000, SEGMENT, SEGMENT, &growth) >= 630_000);
    // W_max = 900 * 1.7 / 2 = 765; K = cbrt(135 / 0.4) = 7 s. There the window stands still, 100 below where the loss was.
    let at = Growth { now: Instant::from_micros(6_900_000), ..growth };
    let grown = cubic.grow(764_000, SEGMENT, 764_000, &at);
    assert!((764_000..766_000).contains(&grown), "{grown}");
}

/// RFC 9438, 5.8: time in which the application did not use the window is not time on the curve.
#[test]
fn cubic_does_not_jump_after_little_use() {
    let (mut congestion, mut now) = (Congestion::new(Algorithm::Cubic, SEGMENT), Instant::ZERO);
    congestion.set_window(100_000);
    congestion.on_loss(u64::MAX);
    congestion.set_window(congestion.threshold());
    rounds(&mut congestion, &mut now, Duration::from_millis(100), 20);
    let una = Position::of_syn(SeqNumber(1));
    let used = Use { now, acked: 0, una, nxt: una, smoothed: Duration::from_millis(100), limited: false };
    congestion.on_use(&used);
    let before = congestion.window();
    now += Duration::from_secs(20);
    rounds(&mut congestion, &mut now, Duration::from_millis(100), 1);
    assert!(congestion.window() < before + before / 10, "{before} {}", congestion.window());
}
