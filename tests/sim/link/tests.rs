//! A cable does what its conditions say, and the same twice.

use super::*;

const FRAMES: u64 = 10_000;

/// Sends numbered frames of an unknown ethertype, a millisecond apart, and gives what arrives when.
fn run(conditions: Conditions) -> (Vec<(Instant, Bytes)>, Fates) {
    let mut wire = Wire::new(conditions, Random::new(5));
    let mut arrived = Vec::new();
    for i in 0..FRAMES {
        let now = Instant::from_micros(i * 1_000);
        let mut frame = [0; 100];
        frame[20..28].copy_from_slice(&i.to_be_bytes());
        frame[12] = 0x08;
        wire.send(now, Bytes::copy_from_slice(&frame));
    }
    while let Some(at) = wire.next() {
        arrived.push((at, wire.take(at).expect("it has arrived")));
    }
    (arrived, wire.fates())
}

#[test]
fn a_clean_cable_delivers_everything_in_order() {
    let (arrived, fates) = run(Conditions::CLEAN);
    assert_eq!((arrived.len() as u64, fates.delivered), (FRAMES, FRAMES));
    assert!(arrived.windows(2).all(|pair| pair[0].1[20..28] < pair[1].1[20..28]));
    assert_eq!(arrived[0].0, Instant::ZERO + Conditions::CLEAN.delay);
}

#[test]
fn shares_are_what_was_asked_for() {
    let conditions = Conditions { loss: 0.1, duplication: 0.05, corruption: 0.2, ..Conditions::CLEAN };
    let (_, fates) = run(conditions);
    assert!((900..1_100).contains(&fates.lost), "{fates:?}");
    assert!((350..550).contains(&fates.duplicated), "{fates:?}");
    assert!((1_600..2_100).contains(&fates.corrupted), "{fates:?}");
    assert_eq!(fates.delivered, FRAMES - fates.lost + fates.duplicated);
}

#[test]
fn reordered_frames_arrive_late() {
    let (arrived, _) = run(Conditions { reorder: 0.1, delay: Duration::from_millis(2), ..Conditions::CLEAN });
    let late = arrived.windows(2).filter(|pair| pair[0].1[20..28] > pair[1].1[20..28]).count();
    assert!((500..1_500).contains(&late), "{late}");
}

#[test]
fn a_frame_is_held_back_as_long_as_was_said() {
    let held = Duration::from_micros(2_500);
    let (arrived, _) = run(Conditions { reorder: 0.1, held: Some(held), ..Conditions::CLEAN });
    let sent =
        |frame: &Bytes| Instant::from_micros(1_000 * u64::from_be_bytes(frame[20..28].try_into().expect("eight")));
    let mut under_way: Vec<Duration> = arrived.iter().map(|(at, frame)| *at - sent(frame)).collect();
    under_way.sort();
    under_way.dedup();
    assert_eq!(under_way, [Conditions::CLEAN.delay, Conditions::CLEAN.delay + held]);
}

#[test]
fn a_rate_is_kept_and_a_full_queue_loses() {
    // 100 bytes a millisecond are sent; 80 a millisecond can pass.
    let (arrived, fates) = run(Conditions { rate: Some(640_000), queue: 5_000, ..Conditions::CLEAN });
    let last = arrived.last().expect("some arrive").0;
    let passed = arrived.len() as f64 * 800.0 / (last.as_micros() as f64 / 1e6);
    assert!((passed - 640_000.0).abs() < 5_000.0, "{passed}");
    assert!(fates.overflowed > FRAMES / 10, "{fates:?}");
}

#[test]
fn the_same_seed_gives_the_same_cable() {
    let conditions = Conditions::bad(&mut Random::new(3));
    assert_eq!(run(conditions).0, run(conditions).0);
}
