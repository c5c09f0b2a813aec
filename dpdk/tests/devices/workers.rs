//! Work on an lcore of its own: it runs, it returns, it may panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dpdk::{cycles, cycles_per_second};

use crate::wire::{expect, frame, open, send};
use crate::{Case, World};

pub(crate) const CASES: &[Case] = &[
    ("workers::a_queue_works_on_its_lcore", false, moves),
    ("workers::one_task_at_a_time_and_panics_are_told", false, busy_and_panics),
    ("workers::the_clock_runs", false, clock),
];

fn moves(world: &World) {
    let lcore = &world.eal.workers()[0];
    let (port, mut queue) = open(world, "net_ring1");
    let sent = frame(world, &[3; 100]);
    let seen = Arc::new(AtomicU64::new(0));
    let report = Arc::clone(&seen);
    world
        .eal
        .launch(lcore, move || {
            send(&mut queue, sent);
            let back = expect(&mut queue, "the frame", |_| true);
            report.store(back.len() as u64, Ordering::Release);
        })
        .unwrap();
    world.eal.wait(lcore).unwrap();
    assert_eq!(seen.load(Ordering::Acquire), 100);
    assert_eq!(port.stats().tx_packets, 1);
}

fn busy_and_panics(world: &World) {
    let lcore = &world.eal.workers()[0];
    let go = Arc::new(AtomicU64::new(0));
    let wait = Arc::clone(&go);
    let spin = move || {
        while wait.load(Ordering::Acquire) == 0 {
            std::hint::spin_loop();
        }
        panic!("expected by this test");
    };
    world.eal.launch(lcore, spin).unwrap();
    let error = world.eal.launch(lcore, || ()).unwrap_err();
    assert!(error.to_string().contains(&format!("CPU {}", lcore.cpu())), "{error}");
    go.store(1, Ordering::Release);
    assert!(world.eal.wait(lcore).unwrap_err().to_string().contains("panicked"));
    world.eal.launch(lcore, || ()).unwrap();
    world.eal.wait(lcore).unwrap();
}

fn clock(_: &World) {
    assert!(cycles_per_second() > 1_000_000);
    let then = cycles();
    assert!(cycles() > then);
}
