//! Buffers that grow with the path: as fast as large ones on a long fat link, small where nobody needs more, and within
//! what the owner allows.

mod world;

use std::time::Duration;

use tcp::{Instant, Opening};
use world::{Failing, Plan, Wire, World};

const MAX: u32 = 4 << 20;

/// 100 Mbit/s and 80 ms: a megabyte on the way.
fn world(seed: u64, initial: Option<u32>, timestamps: bool, read: (usize, Duration), bytes: u64) -> World {
    let plans = [(0xffff_0000, bytes), (0xfff0_0000, 0)].map(|(isn, bytes)| {
        let mut plan = Plan::new(isn, bytes);
        plan.config.receive_buffer = MAX;
        plan.config.send_buffer = MAX;
        plan.config.initial_buffer = initial;
        plan.config.time_wait = Duration::from_millis(1);
        plan.opening.window_scale = Some(Opening::window_scale_for(MAX));
        plan.opening.timestamp = plan.opening.timestamp.filter(|_| timestamps);
        plan.read = if bytes == 0 { read } else { plan.read };
        plan.chunk = 30_000;
        plan
    });
    let wire = Wire { queue: 1_000_000, ..Wire::clean(Duration::from_millis(40), 100_000_000) };
    World::new(seed, Instant::from_micros(1), plans, [wire; 2])
}

fn seconds(world: &mut World) -> f64 {
    assert!(world.run(Duration::from_secs(600)));
    world.assert_complete();
    world.finished_reading(1).saturating_sub(Instant::from_micros(1)).as_secs_f64()
}

fn space(world: &World, side: usize) -> u32 {
    world.sides[side].connection.as_ref().expect("open").info().rcv_space
}

#[test]
fn a_long_fat_link_is_filled_from_a_small_buffer() {
    let failing = Failing(1);
    let greedy = (0, Duration::ZERO);
    let fixed = seconds(&mut world(1, None, true, greedy, 25_000_000));
    for timestamps in [true, false] {
        let mut tuned = world(1, Some(65_536), timestamps, greedy, 25_000_000);
        let took = seconds(&mut tuned);
        assert!(took < 1.05 * fixed, "{took:.2} s, {fixed:.2} s with all of the buffer from the beginning");
        assert!(space(&tuned, 1) > 1_000_000, "{}", space(&tuned, 1));
        assert!(space(&tuned, 0) <= 69_632, "the side that receives nothing needs none");
    }
    drop(failing);
}

#[test]
fn a_slow_reader_gets_no_more() {
    // 10,000 bytes every 10 ms: 80,000 a round trip.
    let mut world = world(2, Some(65_536), true, (10_000, Duration::from_millis(10)), 5_000_000);
    seconds(&mut world);
    assert!(space(&world, 1) < MAX / 8, "{}", space(&world, 1));
}

#[test]
fn the_owner_s_share_bounds_it_and_takes_nothing_back() {
    let mut world = world(3, Some(65_536), true, (0, Duration::ZERO), 20_000_000);
    world.run(Duration::from_millis(150));
    world.sides[1].connection.as_mut().expect("open").set_memory_share(256 << 10);
    world.run(Duration::from_millis(900));
    let bounded = space(&world, 1);
    assert_eq!(bounded, 256 << 10, "the budget is used up");
    // Less is allowed: what was offered stays, which the world checks on every segment.
    world.sides[1].connection.as_mut().expect("open").set_memory_share(64 << 10);
    world.run(Duration::from_millis(300));
    assert_eq!(space(&world, 1), bounded);
    // More is allowed again.
    world.sides[1].connection.as_mut().expect("open").set_memory_share(u32::MAX);
    seconds(&mut world);
    assert!(space(&world, 1) > 600_000, "{}", space(&world, 1));
}
