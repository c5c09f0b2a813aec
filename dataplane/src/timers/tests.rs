//! The wheel against a sorted list: nothing rings early, nothing is late, nothing is lost, however time jumps.

use std::time::Duration;

use proptest::prelude::*;
use tcp::Instant;

use super::{TimerId, Wheel};

fn at(micros: u64) -> Instant {
    Instant::from_micros(micros)
}

/// All that rings when asked again and again with `budget`.
fn drain(wheel: &mut Wheel<u32>, now: Instant, budget: usize) -> Vec<u32> {
    let mut all = Vec::new();
    loop {
        let mut rung = Vec::new();
        wheel.expire(now, budget, &mut rung);
        assert!(rung.len() <= budget, "no more than its budget");
        all.append(&mut rung);
        if wheel.next().is_none_or(|next| next > now) {
            return all;
        }
    }
}

#[test]
fn it_rings_at_the_tick_and_not_before() {
    let mut wheel = Wheel::new(at(0));
    wheel.set(at(1), 1);
    wheel.set(at(1_000), 2);
    wheel.set(at(1_001), 3);
    assert_eq!(drain(&mut wheel, at(999), 9), [0u32; 0]);
    assert_eq!(wheel.next(), Some(at(1_000)));
    assert_eq!(drain(&mut wheel, at(1_000), 9), [1, 2]);
    assert_eq!(drain(&mut wheel, at(1_999), 9), [0u32; 0]);
    assert_eq!(drain(&mut wheel, at(2_000), 9), [3]);
    assert!(wheel.is_empty() && wheel.next().is_none());
}

#[test]
fn what_is_past_rings_at_once() {
    let mut wheel = Wheel::new(at(5_000_000));
    wheel.set(at(0), 1);
    wheel.set(at(5_000_000), 2);
    assert_eq!(wheel.next(), Some(at(5_000_000)));
    assert_eq!(drain(&mut wheel, at(5_000_000), 9), [1, 2]);
}

#[test]
fn the_end_of_time_is_reached() {
    let mut wheel = Wheel::new(at(7));
    wheel.set(at(u64::MAX - 1), 1);
    wheel.set(at(u64::MAX / 2), 2);
    assert_eq!(drain(&mut wheel, at(u64::MAX / 2 - 1), 9), [0u32; 0]);
    assert_eq!(drain(&mut wheel, at(u64::MAX - 1), 9), [2]);
    assert_eq!(wheel.len(), 1, "its tick, rounded up, is after all time");
}

#[test]
fn a_budget_leaves_the_rest_for_the_next_turn() {
    let mut wheel = Wheel::new(at(0));
    for item in 0..1_000 {
        wheel.set(at(300_000_000), item);
    }
    let now = at(300_000_000);
    let mut turns = 0;
    let mut all = Vec::new();
    while !wheel.is_empty() {
        let mut rung = Vec::new();
        wheel.expire(now, 10, &mut rung);
        assert!(rung.len() <= 10);
        assert!(wheel.is_empty() || wheel.next().is_some_and(|next| next <= now), "there is more to do now");
        all.extend(rung);
        turns += 1;
    }
    assert!((100..200).contains(&turns), "moving down costs turns, few: {turns}");
    assert_eq!(all, (0..1_000).collect::<Vec<u32>>(), "in the order they were set");
}

#[test]
fn memory_is_reused() {
    let mut wheel = Wheel::new(at(0));
    let mut rung = Vec::new();
    for round in 0..1_000u64 {
        for item in 0..8u32 {
            wheel.set(at(round * 1_000_000 + u64::from(item) * 100_000), item);
        }
        wheel.expire(at((round + 1) * 1_000_000), 100, &mut rung);
        assert_eq!(rung.len(), 8);
        rung.clear();
    }
    assert_eq!(wheel.nodes.len(), 8);
}

#[derive(Clone, Debug)]
enum Step {
    /// Set so long from now.
    Set(u64),
    /// Let so much time pass.
    Pass(u64),
}

/// Times of every size, microseconds to years.
fn span() -> impl Strategy<Value = u64> {
    (0..48u32, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![3 => span().prop_map(Step::Set), 2 => span().prop_map(Step::Pass)]
}

proptest! {
    #[test]
    fn it_behaves_as_a_sorted_list(
        start in span(),
        steps in prop::collection::vec(step(), 0..200),
        budget in 1..20usize,
    ) {
        let mut now = at(start);
        let mut wheel = Wheel::new(now);
        let mut model: Vec<(Instant, u32)> = Vec::new();
        for (item, step) in (0u32..).zip(steps) {
            match step {
                Step::Set(micros) => {
                    let when = now + Duration::from_micros(micros);
                    wheel.set(when, item);
                    model.push((when, item));
                }
                Step::Pass(micros) => {
                    now += Duration::from_micros(micros);
                    let rung = drain(&mut wheel, now, budget);
                    let tick = |instant: Instant| instant.as_micros().div_ceil(1_000);
                    let present = now.as_micros() / 1_000;
                    let mut expected: Vec<(u64, u32)> =
                        model.extract_if(.., |(when, _)| tick(*when) <= present).map(|(when, item)| (tick(when), item)).collect();
                    let mut got = rung.clone();
                    got.sort_unstable();
                    expected.sort_unstable_by_key(|&(_, item)| item);
                    prop_assert_eq!(&got, &expected.iter().map(|&(_, item)| item).collect::<Vec<_>>());
                }
            }
            prop_assert_eq!(wheel.len(), model.len());
            let soonest = model.iter().map(|&(when, _)| at(when.as_micros().div_ceil(1_000) * 1_000)).min();
            match (wheel.next(), soonest) {
                (None, None) => {}
                (Some(next), Some(soonest)) => prop_assert!(next <= soonest.max(now), "{next:?} is no lower bound of {soonest:?}"),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    /// Whoever sleeps until `next` each time gets everything in its tick, in few steps.
    #[test]
    fn following_next_rings_everything_in_its_tick(spans in prop::collection::vec(span(), 1..50)) {
        let mut wheel = Wheel::new(at(0));
        for (item, &micros) in (0u32..).zip(&spans) {
            wheel.set(at(micros), item);
        }
        let mut steps = 0;
        while let Some(next) = wheel.next() {
            let mut rung = Vec::new();
            wheel.expire(next, 100, &mut rung);
            for item in rung {
                prop_assert_eq!(spans[item as usize].div_ceil(1_000) * 1_000, next.as_micros());
            }
            steps += 1;
            prop_assert!(steps <= 11 * spans.len(), "a level at a time at most");
        }
        prop_assert!(wheel.is_empty());
    }
}

#[test]
fn what_was_taken_back_does_not_ring_and_leaves_nothing() {
    let mut wheel = Wheel::new(at(0));
    let ids: Vec<_> = (0..10).map(|item| wheel.set(at(1_000 * (1 + u64::from(item) * 97)), item)).collect();
    for item in [0, 9, 4] {
        wheel.cancel(ids[item as usize]);
    }
    wheel.cancel(ids[4]);
    wheel.cancel(TimerId::default());
    assert_eq!(wheel.len(), 7);
    assert_eq!(drain(&mut wheel, at(1_000_000), 9), [1, 2, 3, 5, 6, 7, 8]);
    assert!(wheel.is_empty() && wheel.next().is_none());
    // A stale one is nobody's, though its node is used again.
    let again = wheel.set(at(2_000_000), 11);
    for id in ids {
        wheel.cancel(id);
    }
    assert_eq!(wheel.len(), 1);
    let mut moved = again;
    wheel.replace(&mut moved, at(1_500_000), 12);
    assert_eq!(drain(&mut wheel, at(3_000_000), 9), [12]);
    assert_eq!(wheel.nodes.len(), 10, "no more than there were at a time");
}

proptest! {
    /// Set, taken back and rung in any order: it rings what is left, in time.
    #[test]
    fn like_a_list_with_taking_back(
        steps in prop::collection::vec((0..3u8, 0..5_000_000u64, any::<prop::sample::Index>()), 1..200),
    ) {
        let mut wheel = Wheel::new(at(0));
        let mut now = 0;
        let mut live: Vec<(u64, u32, TimerId)> = Vec::new();
        for (number, (what, time, which)) in steps.into_iter().enumerate() {
            match what {
                0 => live.push((now + time, number as u32, wheel.set(at(now + time), number as u32))),
                1 if !live.is_empty() => wheel.cancel(live.swap_remove(which.index(live.len())).2),
                1 => {}
                _ => {
                    now += time;
                    let mut rung = drain(&mut wheel, at(now), 7);
                    let tick = |micros: u64| micros.div_ceil(1_000);
                    let mut due: Vec<u32> =
                        live.iter().filter(|(at, ..)| tick(*at) <= now / 1_000).map(|(_, item, _)| *item).collect();
                    live.retain(|(at, ..)| tick(*at) > now / 1_000);
                    rung.sort_unstable();
                    due.sort_unstable();
                    prop_assert_eq!(rung, due);
                }
            }
            prop_assert_eq!(wheel.len(), live.len());
        }
    }
}
