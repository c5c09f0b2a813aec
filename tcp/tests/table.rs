//! Goodput over loss, round-trip time and buffers, as a table that is kept: `tests/goodput.txt`.
//!
//! `UPDATE=1 cargo test -p tcp --test table` writes the table anew; the difference is then to be looked at. A figure may move
//! by a tenth, which is what other random losses do to it. Beside each is what the model of the algorithm gives, and what Linux
//! does on such a link where `tests/linux/measure.py` has measured that.

mod world;

use std::fmt::Write as _;
use std::time::Duration;

use tcp::{Algorithm, Instant, Opening};
use world::{Failing, Plan, Wire, World};

/// What Linux did, a line per link.
const LINUX: &str = include_str!("linux/figures.txt");
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goodput.txt");
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Bbr];
const MBIT: u64 = 1_000_000;
/// Payload of a segment with timestamps, and its bytes on the wire: Ethernet, IP and TCP headers.
const PAYLOAD: f64 = 1_448.0;
const WIRE: f64 = 1_448.0 + 32.0 + 20.0 + 14.0;

struct Path {
    rate: u64,
    rtt_us: u64,
    /// Per mille.
    loss: u32,
    /// The ends' buffers; the bottleneck's queue in bandwidth-delay products, times ten.
    buffer: u32,
    queue_tenths: u64,
    /// How long the transfer takes at the link's rate.
    ms: u64,
    pacing: bool,
}

/// Fraction of what the link can carry beside the headers.
fn goodput(seed: u64, path: &Path, algorithm: Algorithm) -> f64 {
    let failing = Failing(seed);
    let bytes = path.rate / 8_000 * path.ms;
    let (mut sender, mut receiver) = (Plan::new(0xffff_0000, bytes), Plan::new(0xfff0_0000, 0));
    for plan in [&mut sender, &mut receiver] {
        plan.config.receive_buffer = path.buffer;
        plan.config.send_buffer = path.buffer;
        plan.config.congestion = algorithm;
        plan.config.pacing = path.pacing;
        plan.config.time_wait = Duration::from_millis(1);
        plan.opening.window_scale = Some(Opening::window_scale_for(path.buffer));
        plan.chunk = 65_000;
    }
    let delay = Duration::from_micros(path.rtt_us / 2);
    let queue = (path.rate * path.rtt_us / 8_000_000 * path.queue_tenths / 10).max(30_000);
    let there = Wire { loss: path.loss, queue, ..Wire::clean(delay, path.rate) };
    let start = Instant::from_micros(1);
    let mut world = World::new(seed, start, [sender, receiver], [there, Wire::clean(delay, path.rate)]);
    assert!(world.run(Duration::from_secs(36_000)));
    world.assert_complete();
    drop(failing);
    let seconds = world.finished_reading(1).saturating_sub(start).as_secs_f64();
    bytes as f64 * 8.0 / seconds / path.rate as f64 * WIRE / PAYLOAD
}

/// Segments per round trip that the algorithm's model gives at a loss probability, as a fraction of the link.
fn model(path: &Path, algorithm: Algorithm) -> f64 {
    let (p, rtt) = (f64::from(path.loss) / 1_000.0, path.rtt_us as f64 / 1e6);
    let full = path.rate as f64 / 8.0 / WIRE;
    let buffered = f64::from(path.buffer) / PAYLOAD / rtt;
    let share = |segments: f64| (segments.min(buffered) / full).min(1.0);
    if p == 0.0 {
        return share(full);
    }
    // Padhye et al. (1998), timeouts included, with an acknowledgment for every segment: growth counts bytes.
    let timeouts = (rtt + 0.2) * (3.0 * (3.0 * p / 8.0).sqrt()).min(1.0) * p * (1.0 + 32.0 * p * p);
    let reno = 1.0 / (rtt * (2.0 * p / 3.0).sqrt() + timeouts);
    match algorithm {
        Algorithm::NewReno => share(reno),
        // RFC 9438, 5.1, equation 6, and 4.3, equation 3 with the values of 4.6, which makes sqrt(3/2p): whichever is more. They
        // know of no timeouts, so where those are frequent, at 3 %, they promise too much.
        Algorithm::Cubic => share((1.5 / p).sqrt().max(1.054 * (rtt / p).powf(0.75)) / rtt),
        Algorithm::Bbr => share(full * between_probes(p, rtt, full * rtt)),
    }
}

/// BBR version 3 between two probes: draft-ietf-ccwg-bbr-06, 5.5.10.3 takes what a round trip with a loss delivered for what
/// may be in flight, so the bound falls by the share that is lost each round, w(k) = w(0) exp(-pk), until the next probe
/// forgets it: after as many rounds as the path holds segments, at most 63 or two and a half seconds (5.3.3.8). The mean:
fn between_probes(p: f64, rtt: f64, segments: f64) -> f64 {
    let rounds = segments.min(63.0).min(2.5 / rtt);
    (1.0 - (-p * rounds).exp()) / (p * rounds)
}

/// 1 % loss and 50 ms: within a tenth of the model.
fn is_judged(loss: u32, rtt_us: u64) -> bool {
    (loss, rtt_us) == (10, 50_000)
}

fn paths() -> Vec<Path> {
    let path =
        |rate, rtt_us, loss, ms| Path { rate, rtt_us, loss, buffer: 8 << 20, queue_tenths: 10, ms, pacing: false };
    let mut paths = Vec::new();
    for loss in [0, 1, 10, 30] {
        for rtt_us in [10_000, 50_000, 150_000] {
            // The row that is held against the model is measured for longer.
            let ms = if loss == 0 || is_judged(loss, rtt_us) { 15_000 } else { 5_000 };
            paths.push(path(10 * MBIT, rtt_us, loss, ms));
        }
    }
    for (mbit, rtt_us, loss, ms) in [
        (1, 20_000, 0, 10_000),
        (1, 50_000, 10, 10_000),
        (100, 10_000, 0, 4_000),
        (100, 10_000, 10, 4_000),
        (100, 50_000, 0, 4_000),
    ] {
        paths.push(path(mbit * MBIT, rtt_us, loss, ms));
    }
    paths.push(Path { queue_tenths: 1, ..path(20 * MBIT, 50_000, 0, 8_000) });
    paths.push(Path { queue_tenths: 40, ..path(20 * MBIT, 50_000, 0, 8_000) });
    paths.push(Path { buffer: 65_535, ..path(20 * MBIT, 50_000, 0, 4_000) });
    paths
}

/// Linux's figures for that link, in the order of [`ALGORITHMS`].
fn linux(path: &Path) -> Option<Vec<&'static str>> {
    let link = [
        path.rate as f64 / MBIT as f64,
        path.rtt_us as f64 / 1e3,
        f64::from(path.loss) / 10.0,
        path.queue_tenths as f64 / 10.0,
    ];
    let lines = LINUX.lines().filter(|line| !line.starts_with('#') && path.buffer > 65_535);
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>()).find_map(|words| {
        let same = words.iter().zip(link).all(|(word, number)| word.parse() == Ok(number));
        same.then(|| words[link.len()..].to_vec())
    })
}

fn row(out: &mut String, path: &Path) {
    write!(
        out,
        "{:>6} {:>6} {:>6} {:>8} {:>6}",
        path.rate / MBIT,
        path.rtt_us as f64 / 1e3,
        f64::from(path.loss) / 10.0,
        path.buffer / 1024,
        path.queue_tenths as f64 / 10.0
    )
    .expect("a string takes all");
    let linux = linux(path).unwrap_or_else(|| vec!["-"; ALGORITHMS.len()]);
    for (algorithm, linux) in ALGORITHMS.into_iter().zip(linux) {
        let seeds = if path.loss == 0 { 1 } else { 3 };
        let got = (0..seeds).map(|seed| goodput(seed, path, algorithm)).sum::<f64>() / seeds as f64;
        let model = model(path, algorithm);
        write!(out, " {got:>8.3} {model:>6.3} {linux:>6}").expect("a string takes all");
        if is_judged(path.loss, path.rtt_us) {
            assert!(
                (got / model - 1.0).abs() < 0.1,
                "{algorithm:?} at 1 % and 50 ms: {got:.3}, the model says {model:.3}"
            );
        }
    }
    out.push('\n');
}

#[test]
fn the_table_is_as_it_was() {
    let kernel = LINUX.split("# Mbit").next().expect("it says which kernel");
    let mut table = format!(
        "# Goodput as a fraction of the link, beside what the algorithm's model gives and what Linux does (bbr: version 3; Linux's: 1).\n\
         # Written by `UPDATE=1 cargo test --profile gateway -p tcp --test table`; the Linux column by tests/linux/measure.py before that.\n\
         {kernel}\
         Mbit/s rtt_ms loss_%  buf_KiB  queue    cubic  model  Linux  newreno  model  Linux      bbr  model  Linux\n",
    );
    for path in paths() {
        row(&mut table, &path);
    }
    eprintln!("{table}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(KEPT, &table).expect("the table can be written");
    }
    let kept = std::fs::read_to_string(KEPT).expect("the table is kept");
    assert_eq!(kept.lines().count(), table.lines().count());
    for (kept, new) in kept.lines().zip(table.lines()).skip(5) {
        let numbers =
            |line: &str| line.split_whitespace().map(|word| word.parse().unwrap_or(-1.0)).collect::<Vec<f64>>();
        let alike =
            numbers(kept).iter().zip(numbers(new)).all(|(kept, new)| (kept - new).abs() <= 0.02 + 0.1 * kept.abs());
        assert!(alike, "the table has changed; it was\n{kept}\nand is\n{new}");
    }
}

/// Long transfers over clean links: what is missing is the handshake and slow start.
#[test]
fn clean_links_are_full_from_1_mbit_to_10_gbit() {
    for (mbit, rtt_us, ms) in
        [(1, 20_000, 30_000), (10, 20_000, 20_000), (100, 10_000, 4_000), (1_000, 5_000, 1_000), (10_000, 1_000, 200)]
    {
        for algorithm in ALGORITHMS {
            let path =
                Path { rate: mbit * MBIT, rtt_us, loss: 0, buffer: 8 << 20, queue_tenths: 10, ms, pacing: false };
            let got = goodput(1, &path, algorithm);
            eprintln!("{mbit:>6} Mbit/s {:>3} ms {algorithm:?}: {got:.3}", rtt_us / 1_000);
            assert!(got >= 0.95, "{mbit} Mbit/s, {algorithm:?}: {got:.3}");
        }
    }
}

/// Spreading a window over the round trip costs no more than a tenth.
#[test]
fn pacing_costs_little() {
    for (loss, queue_tenths) in [(0, 10), (0, 1), (10, 10)] {
        for algorithm in [Algorithm::Cubic, Algorithm::NewReno] {
            let path = Path {
                rate: 10 * MBIT,
                rtt_us: 50_000,
                loss,
                buffer: 8 << 20,
                queue_tenths,
                ms: 15_000,
                pacing: false,
            };
            let bursty = goodput(2, &path, algorithm);
            let paced = goodput(2, &Path { pacing: true, ..path }, algorithm);
            eprintln!("loss {loss} ‰, queue {queue_tenths}/10, {algorithm:?}: {bursty:.3}, paced {paced:.3}");
            assert!(paced > 0.90 * bursty, "{algorithm:?}: {bursty:.3}, paced {paced:.3}");
        }
    }
}
