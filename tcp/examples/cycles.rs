//! What a segment costs, without network or gateway: two connections face to face, one sends without end, and every call is
//! timed in batches. Prints nanoseconds (and cycles, if the clock rate is given in MHz) for a data segment that arrives in
//! order, for an acknowledgment, and for a segment sent. `cargo run --release -p tcp --example cycles -- 2100`.
//!
//! What must hold: nothing is lost and nothing waits, so what is timed is the way of almost every segment. Copies of payload
//! and headers on the wire are left out: they are the caller's.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::time::Duration;

use bytes::Bytes;
use tcp::{Config, Connection, Ecn, Instant, Opening, Segment, SeqNumber, TimestampClock};

const MSS: usize = 1_448;
const ROUNDS: usize = 200_000;
/// Time for one round there and back, in virtual time.
const STEP: Duration = Duration::from_micros(200);

struct Stopwatch {
    spent: Duration,
    calls: usize,
}

impl Stopwatch {
    fn time<T>(&mut self, calls: usize, work: impl FnOnce() -> T) -> T {
        #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
        let start = std::time::Instant::now();
        let result = work();
        self.spent += start.elapsed();
        self.calls += calls;
        result
    }

    fn report(&self, name: &str, mhz: Option<f64>) {
        let nanos = self.spent.as_secs_f64() * 1e9 / self.calls as f64;
        let cycles = mhz.map_or(String::new(), |mhz| format!("  {:7.1} cycles", nanos * mhz / 1e3));
        println!("{name:<28} {nanos:7.1} ns{cycles}  ({} calls)", self.calls);
    }
}

fn opening(isn: u32) -> Opening {
    Opening {
        isn: SeqNumber(isn),
        mss: 1_460,
        window_scale: Some(7),
        sack_permitted: true,
        timestamp: Some(TimestampClock::with_offset(isn)),
    }
}

/// All that a connection says now.
fn drain(now: Instant, connection: &mut Connection<Bytes>, most: usize, out: &mut Vec<Segment<Bytes>>) {
    let mut chunks = Vec::new();
    while out.len() < most
        && let Some(header) = connection.poll_transmit(now, MSS, &mut chunks)
    {
        out.push(Segment { header, payload: chunks.drain(..).collect(), ecn: Ecn::NotCapable });
    }
}

fn main() {
    let mhz: Option<f64> = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let config = Config { send_buffer: 256 << 10, ..Config::default() };
    let mut now = Instant::from_micros(1_000_000);
    let mut sender: Connection<Bytes> = Connection::connect(now, (1, 2), &config, opening(7));
    let syn = sender.poll_transmit(now, MSS, &mut Vec::new()).expect("a SYN");
    let mut receiver: Connection<Bytes> = Connection::accept(now, (2, 1), &config, &syn, opening(9));
    let chunk = Bytes::from_static(&[b'.'; MSS]);
    let mut watches = [(); 3].map(|()| Stopwatch { spent: Duration::ZERO, calls: 0 });
    let [data, acks, sends] = &mut watches;
    let mut segments = Vec::new();
    let mut answers = Vec::new();
    for round in 0..ROUNDS {
        let warm = round > ROUNDS / 20;
        while sender.writable() > 0 {
            sender.write(chunk.clone());
        }
        now += STEP;
        if warm {
            // All of it, the call that says that there is nothing more included.
            sends.time(0, || drain(now, &mut sender, usize::MAX, &mut segments));
            sends.calls += segments.len();
        } else {
            drain(now, &mut sender, usize::MAX, &mut segments);
        }
        let count = segments.len();
        let mut receive = |from: &mut Vec<Segment<Bytes>>| {
            for segment in from.drain(..) {
                let _ = receiver.handle_segment(now, segment);
            }
        };
        if warm {
            data.time(count, || receive(&mut segments));
        } else {
            receive(&mut segments);
        }
        while receiver.read().is_some() {}
        drain(now, &mut receiver, usize::MAX, &mut answers);
        let first = answers.first().cloned();
        // One acknowledgment for every second segment, as a peer that is not called in batches gives them.
        if let Some(last) = answers.pop().filter(|_| count > 2) {
            answers.clear();
            let end = last.header.ack;
            for i in (0..count / 2).rev() {
                let mut ack = last.clone();
                ack.header.ack = end - u32::try_from(2 * i * MSS).expect("small");
                answers.push(ack);
            }
        } else {
            answers.clear();
            answers.extend(first);
        }
        now += STEP;
        let count = answers.len();
        let mut take = |from: &mut Vec<Segment<Bytes>>| {
            for segment in from.drain(..) {
                let _ = sender.handle_segment(now, segment);
            }
        };
        if warm { acks.time(count, || take(&mut answers)) } else { take(&mut answers) }
    }
    let info = sender.info();
    println!(
        "control block {} bytes, window {}, lost {}",
        size_of::<Connection<Bytes>>(),
        info.snd_cwnd,
        info.total_retrans
    );
    for (watch, name) in watches.iter().zip(["data segment in", "acknowledgment in", "data segment out"]) {
        watch.report(name, mhz);
    }
}
