//! As `lossy.rs`, for what a default connection does not use: BBR, pacing, ECN asked for.

mod world;

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tcp::{Algorithm, Instant};
use world::{Failing, World, random_plan, random_wire, seeds};

fn run(seed: u64, harsh: bool) {
    let failing = Failing(seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut plans = [random_plan(&mut rng), random_plan(&mut rng)];
    for plan in &mut plans {
        plan.config.pacing = rng.random_bool(0.5);
        plan.config.ecn = rng.random_bool(0.5);
        if rng.random_bool(0.6) {
            plan.config.congestion = Algorithm::Bbr;
        }
    }
    let wires = [random_wire(&mut rng, harsh), random_wire(&mut rng, harsh)];
    let mut world = World::new(seed, Instant::from_micros(rng.random_range(0..1 << 40)), plans, wires);
    if !world.run(Duration::from_secs(300)) {
        for wire in &mut world.wires {
            (wire.loss, wire.duplicate, wire.jitter) = (0, 0, Duration::ZERO);
        }
        assert!(
            world.run(Duration::from_secs(3_600)),
            "not closed: {:?}",
            world.sides.map(|s| s.connection.map(|c| c.info()))
        );
    }
    world.assert_complete();
    drop(failing);
}

#[test]
fn clean_links() {
    for seed in seeds(60) {
        run(2_000_000 + seed % 1_000_000, false);
    }
}

#[test]
fn lossy_links() {
    for seed in seeds(150) {
        run(3_000_000 + seed % 1_000_000, true);
    }
}
