//! Flows that share one bottleneck: the link stays full, and each gets its share. Drop-tail queue, virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bytes::Bytes;
use tcp::{Algorithm, Config, Connection, Ecn, Header, Instant, Opening, Segment, SeqNumber, TimestampClock};

struct Flow {
    ends: [Option<Connection<Bytes>>; 2],
    starts: Instant,
    read: u64,
}

/// A segment on its way: when, in which order, where it is kept, of which flow, to which end.
type Event = Reverse<(Instant, u64, usize, usize, usize)>;

struct Bottleneck {
    now: Instant,
    flows: Vec<Flow>,
    config: Config,
    rate: u64,
    queue: u64,
    delay: Duration,
    busy_until: u64,
    events: BinaryHeap<Event>,
    order: u64,
    on_the_way: Vec<Option<(Header, Bytes)>>,
    free: Vec<usize>,
    data: Bytes,
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

impl Bottleneck {
    fn new(flows: usize, algorithm: Algorithm, rate: u64, rtt: Duration) -> Bottleneck {
        let buffer = 4 << 20;
        let config = Config { congestion: algorithm, send_buffer: buffer, receive_buffer: buffer, ..Config::default() };
        // They begin one after the other, at intervals that have nothing to do with the round trip.
        let flow = |i: u64| Flow { ends: [None, None], starts: Instant::from_micros(1 + i * 37_123), read: 0 };
        Bottleneck {
            now: Instant::ZERO,
            flows: (0..flows as u64).map(flow).collect(),
            config,
            rate,
            queue: rate / 8 * rtt.as_millis() as u64 / 1_000,
            delay: rtt / 2,
            busy_until: 0,
            events: BinaryHeap::new(),
            order: 0,
            on_the_way: Vec::new(),
            free: Vec::new(),
            data: vec![7; 65_000].into(),
        }
    }

    fn run(&mut self, until: Instant) {
        loop {
            let event = self.events.peek().map(|Reverse(event)| event.0);
            let timers = self.flows.iter().flat_map(|flow| &flow.ends).flatten().filter_map(Connection::deadline);
            let starts = self.flows.iter().filter(|flow| flow.ends[0].is_none()).map(|flow| flow.starts);
            let next = event.into_iter().chain(timers).chain(starts).min().expect("flows never end");
            if next > until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            self.turn();
        }
    }

    fn turn(&mut self) {
        while self.events.peek().is_some_and(|Reverse(event)| event.0 <= self.now) {
            let Some(Reverse((_, _, slot, flow, end))) = self.events.pop() else { return };
            self.free.push(slot);
            let (header, payload) = self.on_the_way[slot].take().expect("on its way");
            self.arrive(flow, end, header, payload);
            self.work(flow, end);
        }
        for flow in 0..self.flows.len() {
            if self.flows[flow].ends[0].is_none() && self.flows[flow].starts <= self.now {
                let isn = 0xffff_0000 + flow as u32 * 77;
                self.flows[flow].ends[0] = Some(Connection::connect(self.now, (1_000, 80), &self.config, opening(isn)));
                self.work(flow, 0);
            }
            for end in 0..2 {
                let Some(connection) = &mut self.flows[flow].ends[end] else { continue };
                if connection.deadline().is_some_and(|deadline| deadline <= self.now) {
                    connection.handle_timeout(self.now);
                    self.work(flow, end);
                }
            }
        }
    }

    fn arrive(&mut self, flow: usize, end: usize, header: Header, payload: Bytes) {
        let flow = &mut self.flows[flow];
        match &mut flow.ends[end] {
            None => {
                let accepted = Connection::accept(self.now, (80, 1_000), &self.config, &header, opening(5));
                flow.ends[end] = Some(accepted);
            }
            Some(connection) => {
                let payload = Some(payload).filter(|payload| !payload.is_empty()).into_iter().collect();
                let _ = connection.handle_segment(self.now, Segment { header, payload, ecn: Ecn::NotCapable });
                while let Some(piece) = connection.read() {
                    flow.read += piece.len() as u64;
                }
            }
        }
    }

    fn work(&mut self, flow: usize, end: usize) {
        let mut chunks = Vec::new();
        loop {
            let Some(connection) = &mut self.flows[flow].ends[end] else { return };
            while end == 0 && connection.writable() > 0 {
                connection.write(self.data.clone());
            }
            let limit = usize::from(connection.mss());
            let Some(header) = connection.poll_transmit(self.now, limit, &mut chunks) else { return };
            self.put(flow, end, header, chunks.concat().into());
        }
    }

    /// Data shares the queue; acknowledgments only take their time.
    fn put(&mut self, flow: usize, end: usize, header: Header, payload: Bytes) {
        let now = self.now.as_micros() * 1_000;
        let mut at = self.now + self.delay;
        if end == 0 {
            let start = self.busy_until.max(now);
            if (start - now) / 1_000 * self.rate / 8_000_000 > self.queue {
                return;
            }
            self.busy_until = start + (payload.len() + 66) as u64 * 8_000_000_000 / self.rate;
            at = Instant::from_micros(self.busy_until.div_ceil(1_000)) + self.delay;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.on_the_way.push(None);
            self.on_the_way.len() - 1
        });
        self.on_the_way[slot] = Some((header, payload));
        self.order += 1;
        self.events.push(Reverse((at, self.order, slot, flow, 1 - end)));
    }
}

/// Jain's index (1 is fair, 1/n is one flow having it all), and how full the link was, over the second half.
fn shares(flows: usize, algorithm: Algorithm) -> (f64, f64) {
    let (rate, seconds) = (30_000_000, 24);
    let mut world = Bottleneck::new(flows, algorithm, rate, Duration::from_millis(40));
    world.run(Instant::from_micros(seconds * 500_000));
    let before: Vec<_> = world.flows.iter().map(|flow| flow.read).collect();
    world.run(Instant::from_micros(seconds * 1_000_000));
    let read: Vec<f64> = world.flows.iter().zip(before).map(|(flow, before)| (flow.read - before) as f64).collect();
    let (sum, squares) = (read.iter().sum::<f64>(), read.iter().map(|read| read * read).sum::<f64>());
    let full = sum * 1_514.0 / 1_448.0 / (rate as f64 / 8.0 * seconds as f64 / 2.0);
    (sum * sum / (flows as f64 * squares), full)
}

#[test]
fn two_eight_and_thirty_two_flows_share_a_bottleneck() {
    for algorithm in [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Bbr] {
        for flows in [2, 8, 32] {
            let (fairness, full) = shares(flows, algorithm);
            eprintln!("{algorithm:?} {flows:>2} flows: fairness {fairness:.3}, link {full:.3} full");
            assert!(
                fairness > 0.90 && full > 0.95,
                "{algorithm:?} {flows} flows: fairness {fairness:.3}, {full:.3} full"
            );
        }
    }
}
