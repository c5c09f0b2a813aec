//! Goodput in virtual time, over loss, round-trip time and buffers: a change that makes a path slower shows here.
//!
//! `cargo test -p tcp --test goodput -- --nocapture` prints the table. One direction carries data, the other only
//! acknowledgments; the bottleneck's queue holds one bandwidth-delay product, as a sane router's does.

mod world;

use std::time::Duration;

use tcp::{Algorithm, Instant, Opening};
use world::{Failing, Plan, Wire, World};

struct Path {
    rate: u64,
    rtt_ms: u64,
    loss: u32,
    jitter_ms: u64,
    buffer: u32,
    bytes: u64,
    algorithm: Algorithm,
    sack: bool,
}

const MBIT: u64 = 1_000_000;

/// Fraction of the link's rate (headers not counted) that the application saw, handshake and close included.
fn goodput(seed: u64, path: &Path) -> f64 {
    let failing = Failing(seed);
    let (mut sender, mut receiver) = (Plan::new(0xffff_0000, path.bytes), Plan::new(0xfff0_0000, 0));
    for plan in [&mut sender, &mut receiver] {
        plan.config.receive_buffer = path.buffer;
        plan.config.send_buffer = path.buffer;
        plan.config.congestion = path.algorithm;
        plan.config.time_wait = Duration::from_millis(1);
        plan.opening.window_scale = Some(Opening::window_scale_for(path.buffer));
        plan.opening.sack_permitted = path.sack;
        plan.chunk = 65_000;
    }
    let delay = Duration::from_micros(path.rtt_ms * 500);
    let queue = (path.rate * path.rtt_ms.max(1) / 8_000).max(30_000);
    let there =
        Wire { loss: path.loss, jitter: Duration::from_millis(path.jitter_ms), queue, ..Wire::clean(delay, path.rate) };
    let back = Wire::clean(delay, path.rate);
    let start = Instant::from_micros(1);
    let mut world = World::new(seed, start, [sender, receiver], [there, back]);
    assert!(world.run(Duration::from_secs(3_600)));
    world.assert_complete();
    if world.trace {
        eprintln!("{:#?}", world.sides[0].connection.as_ref().unwrap().info());
    }
    drop(failing);
    let seconds = world.finished_reading(1).saturating_sub(start).as_secs_f64();
    path.bytes as f64 * 8.0 / seconds / path.rate as f64
}

const CLEAN: Path = Path {
    rate: 10 * MBIT,
    rtt_ms: 20,
    loss: 0,
    jitter_ms: 0,
    buffer: 4 << 20,
    bytes: 20_000_000,
    algorithm: Algorithm::Cubic,
    sack: true,
};

/// What a clean link gives: headers cost 5 %, slow start its share of a short transfer.
#[test]
fn clean_links_are_filled() {
    for (rate, rtt_ms, bytes, least) in [
        (MBIT, 20, 2_000_000, 0.93),
        (10 * MBIT, 20, 20_000_000, 0.93),
        (100 * MBIT, 10, 40_000_000, 0.90),
        (1_000 * MBIT, 5, 60_000_000, 0.85),
        (10_000 * MBIT, 1, 120_000_000, 0.85),
    ] {
        for algorithm in [Algorithm::Cubic, Algorithm::NewReno] {
            let got = goodput(1, &Path { rate, rtt_ms, bytes, algorithm, ..CLEAN });
            eprintln!("{rate:>12} bit/s  rtt {rtt_ms:>3} ms  {algorithm:?}: {got:.3}");
            assert!(got > least, "{rate} bit/s, {rtt_ms} ms, {algorithm:?}: {got:.3} < {least}");
        }
    }
}

/// Random loss: not less than Reno's by the model of Padhye et al. (1998), timeouts included, with an acknowledgment for
/// every segment; up to what the link gives. CUBIC is at least as fast (RFC 9438, 4.3). Averaged over seeds.
#[test]
fn random_loss_costs_no_more_than_the_model_says() {
    for (loss, rtt_ms, rate) in
        [(1, 20, 10 * MBIT), (10, 20, 10 * MBIT), (10, 50, 10 * MBIT), (30, 20, 10 * MBIT), (100, 20, 10 * MBIT)]
    {
        let path = Path { rate, rtt_ms, loss, bytes: 4_000_000, ..CLEAN };
        let got = (0..4).map(|seed| goodput(seed, &path)).sum::<f64>() / 4.0;
        let (p, rtt) = (f64::from(loss) / 1_000.0, rtt_ms as f64 / 1_000.0);
        let timeouts = (rtt + 0.2) * (3.0 * (3.0 * p / 8.0).sqrt()).min(1.0) * p * (1.0 + 32.0 * p * p);
        let segments = 1.0 / (rtt * (2.0 * p / 3.0).sqrt() + timeouts);
        let model = (segments * 1_448.0 * 8.0 / rate as f64).min(0.94);
        eprintln!(
            "loss {:>4} %  rtt {rtt_ms:>3} ms: {got:.3} of the link, the model says {model:.3}",
            f64::from(loss) / 10.0
        );
        assert!(got > 0.97 * model, "{loss} ‰, {rtt_ms} ms: {got:.3}, the model says {model:.3}");
    }
}

/// Reordering is not loss: RACK waits for it.
#[test]
fn reordering_costs_little() {
    let got = goodput(3, &Path { jitter_ms: 4, bytes: 10_000_000, ..CLEAN });
    eprintln!("reordering by up to 4 ms: {got:.3}");
    assert!(got > 0.85, "{got:.3}");
}

/// A peer without SACK is served by NewReno: one hole a round trip.
#[test]
fn without_sack_it_works_too() {
    let clean = goodput(4, &Path { sack: false, bytes: 10_000_000, ..CLEAN });
    let lossy = goodput(4, &Path { sack: false, loss: 5, bytes: 4_000_000, ..CLEAN });
    eprintln!("without SACK: clean {clean:.3}, 0.5 % loss {lossy:.3}");
    assert!(clean > 0.90 && lossy > 0.3, "{clean:.3} {lossy:.3}");
}

/// With little buffer the window limits: one buffer a round trip.
#[test]
fn small_buffers_limit_but_do_not_stall() {
    for buffer in [16_384, 32_768, 65_535] {
        let got = goodput(5, &Path { buffer, bytes: 4_000_000, ..CLEAN });
        let model = (f64::from(buffer) * 8.0 / 0.020 / CLEAN.rate as f64).min(0.94);
        eprintln!("buffer {buffer:>6}: {got:.3}, the model says {model:.3}");
        assert!(got > 0.7 * model, "{buffer}: {got:.3}, the model says {model:.3}");
    }
}
