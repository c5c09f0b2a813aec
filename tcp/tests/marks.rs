//! A queue that marks instead of dropping (RFC 3168), in virtual time: the window answers, both ends say so to each other, and
//! nothing is lost.

mod world;

use std::time::Duration;

use tcp::{Algorithm, Info, Instant};
use world::{Plan, Wire, World};

const MBIT: u64 = 1_000_000;
const RTT: Duration = Duration::from_millis(40);
/// 10 Mbit/s for 40 ms, and half of it: where the queue begins to mark.
const PRODUCT: u64 = 50_000;
const MARKS_ABOVE: u64 = PRODUCT / 2;

fn world(algorithm: Algorithm, bytes: u64, ecn: bool, marks_above: u64) -> World {
    let (mut sender, mut receiver) = (Plan::new(0xffff_0000, bytes), Plan::new(0xfff0_0000, 0));
    for plan in [&mut sender, &mut receiver] {
        plan.config.congestion = algorithm;
        plan.config.ecn = ecn;
        plan.config.time_wait = Duration::from_millis(1);
    }
    let there = Wire { queue: 10 * PRODUCT, marks_above, ..Wire::clean(RTT / 2, 10 * MBIT) };
    let back = Wire::clean(RTT / 2, 10 * MBIT);
    World::new(11, Instant::from_micros(1), [sender, receiver], [there, back])
}

fn info(world: &World) -> Info {
    world.sides[0].connection.as_ref().expect("opened").info()
}

#[test]
fn the_queue_stays_short_the_link_full_and_nothing_is_lost() {
    for algorithm in [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Bbr] {
        let mut world = world(algorithm, 20_000_000, true, MARKS_ABOVE);
        let start = world.now;
        assert!(world.run(Duration::from_secs(60)));
        world.assert_complete();
        let (info, marked) = (info(&world), world.marked);
        assert!(info.ecn && marked > 0, "{algorithm:?}");
        assert_eq!((world.dropped, info.total_retrans, info.timeouts), (0, 0, 0), "{algorithm:?}: {info:?}");
        // RFC 3168, 6.1.3: ECE goes on until CWR comes; 6.1.2: one CWR for one reduction, once per round trip at most.
        assert!(
            world.echoes >= world.answers && world.answers > 0,
            "{algorithm:?}: {} {}",
            world.echoes,
            world.answers
        );
        let seconds = world.finished_reading(1).saturating_sub(start).as_secs_f64();
        assert!(world.answers as f64 <= seconds / RTT.as_secs_f64(), "{algorithm:?}: {}", world.answers);
        let rate = 20_000_000.0 * 8.0 / seconds / (10 * MBIT) as f64;
        eprintln!(
            "{algorithm:?}: {rate:.3} of the link, queue up to {}, {marked} marks, {} ECE, {} CWR",
            world.longest, world.echoes, world.answers
        );
        assert!(rate > 0.85, "{algorithm:?}: {rate:.3}");
        // Slow start overshoots by what it doubles within the round trip that the news takes.
        assert!(world.longest <= MARKS_ABOVE + 3 * PRODUCT, "{algorithm:?}: {}", world.longest);
    }
}

/// Marks on what left together: down once, by as much as a loss would have taken; the news once each way.
#[test]
fn marks_of_one_moment_are_one_reduction() {
    for (algorithm, percent) in [(Algorithm::Cubic, 70), (Algorithm::NewReno, 50)] {
        let mut world = world(algorithm, 20_000_000, true, u64::MAX);
        assert!(!world.run(Duration::from_millis(1_000)));
        world.wires[0].marks_above = 0;
        while world.marked == 0 {
            assert!(!world.run(Duration::from_millis(1)), "never marked");
        }
        world.wires[0].marks_above = u64::MAX;
        assert!(world.marked <= 4, "what an acknowledgment let out: {}", world.marked);
        // It grows until the news comes; then CWR waits until the window lets new data out.
        let mut window = info(&world).snd_cwnd;
        while world.answers == 0 {
            window = window.max(info(&world).snd_cwnd);
            assert!(!world.run(Duration::from_millis(1)), "never answered");
        }
        let after = info(&world);
        assert!(after.snd_ssthresh.abs_diff(window * percent / 100) < 3_000, "{algorithm:?}: {window} {after:?}");
        assert!(!world.run(Duration::from_secs(2)));
        let echoes = world.echoes;
        assert!(echoes > 0 && world.answers == 1, "{algorithm:?}: {echoes}, {}", world.answers);
        assert!(!world.run(Duration::from_secs(2)));
        assert_eq!(world.echoes, echoes, "CWR ends them");
        assert_eq!(info(&world).total_retrans, 0);
    }
}

#[test]
fn who_did_not_agree_on_it_is_not_marked() {
    let mut world = world(Algorithm::Cubic, 2_000_000, false, 0);
    assert!(world.run(Duration::from_secs(60)));
    world.assert_complete();
    assert_eq!((world.marked, world.echoes, world.answers), (0, 0, 0));
}
