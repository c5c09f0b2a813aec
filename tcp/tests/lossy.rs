//! Two connections over wires that lose, duplicate, spoil, delay and reorder: the same bytes come out, and both sides close.

mod world;

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tcp::Instant;
use world::{Failing, Plan, Wire, World, random_plan, random_wire, seeds};

fn run(seed: u64, harsh: bool, corrupt: u32) -> u64 {
    let failing = Failing(seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let plans = [random_plan(&mut rng), random_plan(&mut rng)];
    let wires = [(); 2].map(|()| Wire { corrupt, ..random_wire(&mut rng, harsh) });
    let start = Instant::from_micros(rng.random_range(0..1 << 40));
    let mut world = World::new(seed, start, plans, wires);
    if rng.random_bool(0.1) {
        world.open_both();
    }
    // A bad link for a while, then it heals.
    if !world.run(Duration::from_secs(300)) {
        for wire in &mut world.wires {
            (wire.loss, wire.duplicate, wire.corrupt, wire.jitter) = (0, 0, 0, Duration::ZERO);
        }
        assert!(
            world.run(Duration::from_secs(3_600)),
            "not closed:\n{:?}",
            world.sides.map(|side| side.connection.map(|c| c.info()))
        );
    }
    world.assert_complete();
    drop(failing);
    world.corrupted
}

/// Bits turn over: the checksum finds it, and it is one more way to lose a segment.
#[test]
fn corrupted_links() {
    let corrupted: u64 = seeds(60).map(|seed| run(2_000_000 + seed % 1_000_000, true, 30)).sum();
    assert!(corrupted > 0);
}

#[test]
fn clean_links() {
    for seed in seeds(150) {
        run(seed, false, 0);
    }
}

#[test]
fn lossy_links() {
    for seed in seeds(400) {
        run(1_000_000 + seed % 1_000_000, true, 0);
    }
}

#[test]
fn simultaneous_open() {
    for seed in 0..20 {
        let failing = Failing(seed);
        let wires = [Wire::clean(Duration::from_millis(10), 10_000_000); 2];
        let mut world = World::new(seed, Instant::ZERO, [Plan::new(5, 1_000), Plan::new(7, 2_000)], wires);
        world.open_both();
        assert!(world.run(Duration::from_secs(60)));
        world.assert_complete();
        drop(failing);
    }
}
