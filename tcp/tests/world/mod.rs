//! Two connections, the wires between them, and what must hold on every segment: a small world in virtual time.
//!
//! Every random choice comes from one seed. A wire loses, duplicates, spoils, delays and reorders, has a rate and a queue. Each
//! side writes a stream that can be checked byte by byte, reads at its own pace, then shuts down.

#![allow(dead_code, reason = "each test file uses its part")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tcp::{
    Algorithm, Config, Connection, Ecn, Flags, Header, IcmpError, IcmpKind, Instant, Opening, Segment, SeqNumber,
    Signals, State, TimestampClock, checksum, reset_for,
};

/// One direction's wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    /// Chance of loss and of duplication, per mille.
    pub(crate) loss: u32,
    pub(crate) duplicate: u32,
    /// Chance that one bit is turned on the way, per mille: the checksum must find it.
    pub(crate) corrupt: u32,
    pub(crate) delay: Duration,
    /// Extra delay, up to this, at random: reorders.
    pub(crate) jitter: Duration,
    /// Bits per second.
    pub(crate) rate: u64,
    /// Bytes that may wait to be sent.
    pub(crate) queue: u64,
    /// Largest TCP header and payload that pass, and whether a router says so when one does not.
    pub(crate) mtu: usize,
    pub(crate) tells: bool,
    /// Waiting bytes above which a segment that may be marked is (RFC 3168), as by an AQM with a step.
    pub(crate) marks_above: u64,
}

impl Wire {
    pub(crate) fn clean(delay: Duration, rate: u64) -> Wire {
        Wire {
            loss: 0,
            duplicate: 0,
            corrupt: 0,
            delay,
            jitter: Duration::ZERO,
            rate,
            queue: u64::MAX,
            mtu: usize::MAX,
            tells: false,
            marks_above: u64::MAX,
        }
    }
}

/// What one side does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) opening: Opening,
    /// Bytes to send.
    pub(crate) bytes: u64,
    /// Largest chunk written at once.
    pub(crate) chunk: usize,
    /// Largest output: below the MSS, the MSS, or segmentation offload.
    pub(crate) limit: usize,
    /// Reads at most so much, every so often; zero bytes: all, at once.
    pub(crate) read: (usize, Duration),
}

impl Plan {
    pub(crate) fn new(isn: u32, bytes: u64) -> Plan {
        let config = Config { time_wait: Duration::from_secs(5), ..Config::default() };
        let opening = Opening {
            isn: SeqNumber(isn),
            mss: 1460,
            window_scale: Some(Opening::window_scale_for(config.receive_buffer)),
            sack_permitted: true,
            timestamp: Some(TimestampClock::with_offset(isn ^ 0x5555_5555)),
        };
        Plan { config, opening, bytes, chunk: 16_384, limit: 65_535, read: (0, Duration::ZERO) }
    }
}

pub(crate) struct Side {
    pub(crate) connection: Option<Connection<Bytes>>,
    pub(crate) plan: Plan,
    pub(crate) written: u64,
    pub(crate) read: u64,
    pub(crate) signals: Signals,
    read_at: Instant,
    last_read: Instant,
    shut: bool,
    /// What it announced and acknowledged so far, as positions of the other side's sequence space.
    told_edge: Option<SeqNumber>,
    told_ack: Option<SeqNumber>,
    /// The furthest edge it was told.
    may_send: Option<SeqNumber>,
    their_shift: u8,
    our_shift: u8,
    pub(crate) segments: u64,
    pub(crate) retransmitted: u64,
}

struct Flight {
    at: Instant,
    order: u64,
    to: usize,
    header: Vec<u8>,
    payload: Bytes,
    ecn: Ecn,
}

impl PartialEq for Flight {
    fn eq(&self, other: &Flight) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Flight {}
impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Flight) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Flight {
    fn cmp(&self, other: &Flight) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) sides: [Side; 2],
    pub(crate) wires: [Wire; 2],
    /// When each wire is free again, in nanoseconds: a segment at 10 Gbit/s takes little more than a microsecond.
    busy_until: [u64; 2],
    flights: BinaryHeap<Reverse<Flight>>,
    order: u64,
    rng: ChaCha8Rng,
    pattern: Bytes,
    pub(crate) trace: bool,
    pub(crate) dropped: u64,
    pub(crate) corrupted: u64,
    pub(crate) too_big: u64,
    /// What routers have to say, once the output that it is about is out.
    refused: Vec<(usize, IcmpError)>,
    /// Segments marked; segments seen with ECE and with CWR, after the handshake.
    pub(crate) marked: u64,
    /// The longest that either queue was, bytes.
    pub(crate) longest: u64,
    pub(crate) echoes: u64,
    pub(crate) answers: u64,
}

/// Both streams repeat this pattern, whose length has no factor in common with anything in the protocol.
const PATTERN: usize = 65_521;

fn pattern() -> Bytes {
    (0..2 * PATTERN as u64)
        .map(|i| ((i % PATTERN as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect::<Vec<_>>()
        .into()
}

const PORTS: [(u16, u16); 2] = [(40_000, 80), (80, 40_000)];

impl World {
    pub(crate) fn new(seed: u64, start: Instant, plans: [Plan; 2], wires: [Wire; 2]) -> World {
        let mut sides = plans.map(|plan| Side {
            connection: None,
            plan,
            written: 0,
            read: 0,
            signals: Signals::empty(),
            read_at: start,
            last_read: start,
            shut: false,
            told_edge: None,
            told_ack: None,
            may_send: None,
            their_shift: 0,
            our_shift: 0,
            segments: 0,
            retransmitted: 0,
        });
        let plan = &sides[0].plan;
        sides[0].connection = Some(Connection::connect(start, PORTS[0], &plan.config, plan.opening));
        World {
            now: start,
            sides,
            wires,
            busy_until: [0; 2],
            flights: BinaryHeap::new(),
            order: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            pattern: pattern(),
            trace: std::env::var_os("TRACE").is_some(),
            dropped: 0,
            corrupted: 0,
            too_big: 0,
            refused: Vec::new(),
            marked: 0,
            longest: 0,
            echoes: 0,
            answers: 0,
        }
    }

    /// Both sides open at the same time.
    pub(crate) fn open_both(&mut self) {
        let plan = &self.sides[1].plan;
        self.sides[1].connection = Some(Connection::connect(self.now, PORTS[1], &plan.config, plan.opening));
    }

    /// Runs until both sides are closed, or `limit` has passed; true if both closed.
    pub(crate) fn run(&mut self, limit: Duration) -> bool {
        let end = self.now + limit;
        loop {
            for side in 0..2 {
                self.work(side);
            }
            if self.is_over() {
                return true;
            }
            let Some(next) = self.next_event() else { return false };
            if next > end {
                self.now = end;
                return false;
            }
            self.now = self.now.max(next);
            self.deliver();
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.sides.iter().all(|side| side.connection.as_ref().is_some_and(|c| c.is_closed() && c.readable() == 0))
    }

    fn next_event(&self) -> Option<Instant> {
        let flights = self.flights.peek().map(|Reverse(flight)| flight.at);
        let timers = self.sides.iter().filter_map(|side| side.connection.as_ref()?.deadline());
        let reads = self.sides.iter().filter_map(|side| {
            let waits = side.connection.as_ref().is_some_and(|connection| connection.readable() > 0);
            (waits && side.plan.read.0 > 0).then_some(side.read_at)
        });
        flights.into_iter().chain(timers).chain(reads).min()
    }

    fn deliver(&mut self) {
        while self.flights.peek().is_some_and(|Reverse(flight)| flight.at <= self.now) {
            let Some(Reverse(flight)) = self.flights.pop() else { return };
            if self.wires[1 - flight.to].corrupt > 0 && checksum_of(&flight.header, &flight.payload) != 0 {
                self.dropped += 1;
                continue;
            }
            let (header, _) = Header::parse(&flight.header).expect("what we emit parses");
            let now = self.now;
            let side = &mut self.sides[flight.to];
            if header.flags.contains(Flags::SYN) {
                side.their_shift = header.options.window_scale.unwrap_or(0);
            }
            if header.flags.contains(Flags::ACK) {
                let shift = if header.flags.contains(Flags::SYN) { 0 } else { shift_of(side) };
                let edge = header.ack + (u32::from(header.window) << shift);
                side.may_send = Some(side.may_send.map_or(edge, |old| if edge > old { edge } else { old }));
            } else if header.flags.contains(Flags::SYN) {
                let edge = side.plan.opening.isn + 1 + u32::from(header.window);
                side.may_send = Some(side.may_send.map_or(edge, |old| if edge > old { edge } else { old }));
            }
            match &mut side.connection {
                None if header.flags.contains(Flags::SYN) && !header.flags.contains(Flags::ACK) => {
                    let plan = &side.plan;
                    side.connection =
                        Some(Connection::accept(now, PORTS[flight.to], &plan.config, &header, plan.opening));
                }
                Some(connection) if connection.state() != State::Closed => {
                    let payload = Some(flight.payload).filter(|payload| !payload.is_empty()).into_iter().collect();
                    let segment = Segment { header, payload, ecn: flight.ecn };
                    match connection.handle_segment(now, segment) {
                        Ok(signals) => side.signals |= signals,
                        Err(discard) if self.trace => {
                            eprintln!("{now:?} side {} discards: {}", flight.to, discard.name());
                        }
                        Err(_) => {}
                    }
                }
                _ => {
                    if let Some(reset) = reset_for(&header, flight.payload.len()) {
                        self.put(flight.to, &reset, &Bytes::new(), Ecn::NotCapable);
                    }
                }
            }
            self.work(flight.to);
        }
    }

    /// The application's turn and the connection's output.
    pub(crate) fn work(&mut self, index: usize) {
        self.read(index);
        self.write(index);
        let now = self.now;
        let side = &mut self.sides[index];
        if let Some(connection) = &mut side.connection
            && connection.deadline().is_some_and(|deadline| deadline <= now)
        {
            side.signals |= connection.handle_timeout(now);
        }
        let mut chunks = Vec::new();
        loop {
            let side = &mut self.sides[index];
            let Some(connection) = &mut side.connection else { return };
            let Some(header) = connection.poll_transmit(now, side.plan.limit, &mut chunks) else { break };
            let mss = usize::from(connection.mss());
            let payload = if chunks.len() == 1 { chunks.remove(0) } else { Bytes::from(chunks.concat()) };
            assert!(payload.len() <= side.plan.limit);
            self.cut(index, &header, &payload, mss);
        }
        if !self.refused.is_empty() {
            for (side, error) in std::mem::take(&mut self.refused) {
                self.sides[side].connection.as_mut().expect("it sent").handle_icmp(now, error);
            }
            return self.work(index);
        }
        let side = &self.sides[index];
        let connection = side.connection.as_ref().expect("seen above");
        assert!(
            connection.deadline().is_none_or(|deadline| deadline > now),
            "a deadline in the past: {:?}",
            connection.info()
        );
        let info = connection.info();
        let slack = 6u64 << shift_of(&self.sides[1 - index]);
        assert!(info.unread + info.reassembly <= u64::from(side.plan.config.receive_buffer) + slack, "{info:?}");
        assert!(connection.unacked() + connection.unsent() <= side.plan.config.send_buffer as usize + side.plan.chunk);
    }

    /// What a NIC with segmentation offload does.
    fn cut(&mut self, index: usize, header: &Header, payload: &Bytes, mss: usize) {
        let count = payload.len().div_ceil(mss).max(1);
        for i in 0..count {
            let part = payload.slice(i * mss..((i + 1) * mss).min(payload.len()));
            let mut header = *header;
            header.seq = header.seq + (i * mss) as u32;
            if i + 1 < count {
                header.flags.remove(Flags::FIN | Flags::PSH);
            }
            self.check(index, &header, part.len());
            let ecn = self.sides[index].connection.as_ref().expect("it sent").ecn_codepoint();
            self.put(index, &header, &part, ecn);
        }
    }

    /// What must hold for every segment sent.
    fn check(&mut self, index: usize, header: &Header, len: usize) {
        let scaled = self.sides.iter().all(|side| side.plan.opening.window_scale.is_some());
        let side = &mut self.sides[index];
        side.segments += 1;
        assert!(len <= usize::from(side.connection.as_ref().expect("it sent").mss()));
        if header.flags.contains(Flags::SYN) {
            side.our_shift = header.options.window_scale.unwrap_or(0);
        }
        if header.flags.contains(Flags::RST) {
            return;
        }
        let extra = u32::from(header.flags.contains(Flags::FIN));
        let end = header.seq + len as u32 + extra;
        if len > 0 || extra > 0 {
            let edge = side.may_send.expect("data before the handshake");
            assert!(end <= edge, "side {index} sends up to {end}, the window ends at {edge}");
        }
        if header.flags.contains(Flags::ACK) {
            assert!(side.told_ack.is_none_or(|old| header.ack >= old), "side {index} acknowledges backwards");
            side.told_ack = Some(header.ack);
            let syn = header.flags.contains(Flags::SYN);
            let shift = if syn || !scaled { 0 } else { side.our_shift };
            let edge = header.ack + (u32::from(header.window) << shift);
            if let Some(old) = side.told_edge {
                assert!(edge + (1 << shift) > old, "side {index} shrinks its window from {old} to {edge}");
            }
            side.told_edge = Some(side.told_edge.map_or(edge, |old| if edge > old { edge } else { old }));
        }
    }

    /// Onto the wire.
    fn put(&mut self, from: usize, header: &Header, payload: &Bytes, ecn: Ecn) {
        let wire = self.wires[from];
        let size = (40 + header.len() - 20 + payload.len()) as u64 + 14;
        let now = self.now.as_micros() * 1_000;
        let start = self.busy_until[from].max(now);
        let waiting = (u128::from(start - now) * u128::from(wire.rate) / 8_000_000_000) as u64;
        let too_big = header.len() + payload.len() > wire.mtu;
        let fate = if too_big {
            "too big"
        } else if waiting > wire.queue {
            "queue full"
        } else if self.rng.random_range(0..1000) < wire.loss {
            "lost"
        } else {
            ""
        };
        if self.trace {
            let Header { seq, ack, flags, window, options, .. } = header;
            eprintln!(
                "{:?} {from}→ {flags:?} seq {seq} ack {ack} win {window} len {} sack {:?} {fate}",
                self.now,
                payload.len(),
                options.sack.as_slice()
            );
        }
        if !fate.is_empty() {
            self.dropped += 1;
        }
        if too_big {
            return self.refuse(from, header);
        }
        if waiting > wire.queue {
            return;
        }
        self.longest = self.longest.max(waiting);
        let ecn = self.mark(header, ecn, waiting > wire.marks_above);
        self.busy_until[from] = start + size * 8_000_000_000 / wire.rate;
        let done = Instant::from_micros(self.busy_until[from].div_ceil(1_000));
        if !fate.is_empty() {
            return;
        }
        let copies = if self.rng.random_range(0..1000) < wire.duplicate { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = wire.jitter.mul_f64(self.rng.random_range(0.0..1.0));
            let mut bytes = vec![0; header.len()];
            header.emit(&mut bytes);
            let mut payload = payload.clone();
            if wire.corrupt > 0 {
                let sum = checksum_of(&bytes, &payload);
                bytes[16..18].copy_from_slice(&sum.to_be_bytes());
                if self.rng.random_range(0..1000) < wire.corrupt {
                    payload = self.turn_a_bit(&mut bytes, &payload);
                }
            }
            self.order += 1;
            self.flights.push(Reverse(Flight {
                at: done + wire.delay + jitter,
                order: self.order,
                to: 1 - from,
                header: bytes,
                payload,
                ecn,
            }));
        }
    }

    /// A router that cannot pass it on.
    fn refuse(&mut self, from: usize, header: &Header) {
        self.too_big += 1;
        if self.wires[from].tells {
            let mtu = u16::try_from(self.wires[from].mtu).expect("it has one");
            self.refused.push((from, IcmpError { kind: IcmpKind::TooBig { mtu }, seq: header.seq }));
        }
    }

    /// What the queue makes of the codepoint; and the exchange about it, counted.
    fn mark(&mut self, header: &Header, ecn: Ecn, long: bool) -> Ecn {
        if !header.flags.contains(Flags::SYN) {
            self.echoes += u64::from(header.flags.contains(Flags::ECE));
            self.answers += u64::from(header.flags.contains(Flags::CWR));
        }
        if !long || ecn == Ecn::NotCapable {
            return ecn;
        }
        self.marked += 1;
        Ecn::CongestionExperienced
    }

    /// Somewhere in the segment; the payload is shared, so it is copied first.
    fn turn_a_bit(&mut self, header: &mut [u8], payload: &Bytes) -> Bytes {
        self.corrupted += 1;
        let bit = self.rng.random_range(0..8 * (header.len() + payload.len()));
        if let Some(byte) = header.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
            return payload.clone();
        }
        let mut bytes = payload.to_vec();
        bytes[bit / 8 - header.len()] ^= 1 << (bit % 8);
        bytes.into()
    }

    fn read(&mut self, index: usize) {
        let side = &mut self.sides[index];
        let Some(connection) = &mut side.connection else { return };
        let (most, every) = side.plan.read;
        if most > 0 && self.now < side.read_at {
            return;
        }
        let mut budget = if most == 0 { usize::MAX } else { most };
        while budget > 0 {
            let Some(piece) = connection.read() else { break };
            let from = side.read as usize % PATTERN;
            assert_eq!(
                piece,
                self.pattern.slice(from..from + piece.len()),
                "side {index} reads wrong bytes at {}",
                side.read
            );
            side.read += piece.len() as u64;
            side.last_read = self.now;
            budget = budget.saturating_sub(piece.len());
        }
        side.read_at = self.now + every;
    }

    fn write(&mut self, index: usize) {
        let side = &mut self.sides[index];
        let Some(connection) = &mut side.connection else { return };
        while side.written < side.plan.bytes && connection.writable() > 0 {
            let most = (side.plan.bytes - side.written).min(side.plan.chunk as u64) as usize;
            let len = self.rng.random_range(1..=most);
            let from = side.written as usize % PATTERN;
            connection.write(self.pattern.slice(from..from + len));
            side.written += len as u64;
        }
        if side.written == side.plan.bytes && !side.shut {
            connection.shutdown(self.now);
            side.shut = true;
        }
    }

    /// When a side read its last byte.
    pub(crate) fn finished_reading(&self, index: usize) -> Instant {
        self.sides[index].last_read
    }

    /// Everything arrived, nobody failed.
    pub(crate) fn assert_complete(&self) {
        for (index, side) in self.sides.iter().enumerate() {
            let connection = side.connection.as_ref().expect("opened");
            assert_eq!(connection.error(), None, "side {index}");
            assert_eq!(side.read, self.sides[1 - index].plan.bytes, "side {index}: bytes read");
            assert!(connection.peer_finished() && connection.finished(), "side {index}");
        }
    }
}

/// Over header and payload; zero if the header has the right one in it. Ports stand for addresses.
fn checksum_of(header: &[u8], payload: &[u8]) -> u16 {
    // An odd header does not happen: it is a multiple of four bytes.
    checksum::finish(checksum::sum(payload, checksum::sum(header, 0)))
}

/// The shift of the windows a side receives: in use only if both offered one.
fn shift_of(side: &Side) -> u8 {
    if side.plan.opening.window_scale.is_some() { side.their_shift } else { 0 }
}

/// A random plan; ISN and timestamps are about to wrap, always.
pub(crate) fn random_plan(rng: &mut ChaCha8Rng) -> Plan {
    let isn = 0u32.wrapping_sub(rng.random_range(1..200_000));
    let mut plan = Plan::new(isn, rng.random_range(0..300_000));
    plan.config.receive_buffer = 1 << rng.random_range(12..19);
    plan.config.send_buffer = 1 << rng.random_range(12..19);
    plan.config.mss_max = *pick(rng, &[536, 1_200, 1_460]);
    plan.config.congestion = *pick(rng, &[Algorithm::Cubic, Algorithm::NewReno]);
    plan.config.nagle = rng.random_bool(0.2);
    plan.config.delayed_ack = *pick(rng, &[Duration::ZERO, Duration::from_millis(40), Duration::from_millis(200)]);
    plan.opening.mss = *pick(rng, &[500, 1_220, 1_460]);
    plan.opening.window_scale = match rng.random_range(0..4) {
        0 => None,
        1 => Some(rng.random_range(0..=14)),
        _ => Some(Opening::window_scale_for(plan.config.receive_buffer)),
    };
    plan.opening.sack_permitted = rng.random_bool(0.75);
    let offset = 0u32.wrapping_sub(rng.random_range(1..20_000));
    plan.opening.timestamp = rng.random_bool(0.75).then(|| TimestampClock::with_offset(offset));
    plan.chunk = *pick(rng, &[1, 100, 1_460, 30_000]);
    if plan.chunk == 1 {
        plan.bytes = plan.bytes.min(3_000);
    }
    plan.limit = *pick(rng, &[400, 1_460, 65_535]);
    if rng.random_bool(0.3) {
        plan.read = (*pick(rng, &[500, 5_000, 50_000]), Duration::from_millis(rng.random_range(1..50)));
    }
    plan
}

pub(crate) fn random_wire(rng: &mut ChaCha8Rng, harsh: bool) -> Wire {
    let delay = Duration::from_micros(*pick(rng, &[20, 500, 10_000, 50_000, 150_000]));
    Wire {
        loss: if harsh { rng.random_range(0..150) } else { 0 },
        duplicate: if harsh { rng.random_range(0..50) } else { 0 },
        corrupt: 0,
        delay,
        jitter: if harsh && rng.random_bool(0.5) { delay.mul_f64(rng.random_range(0.0..1.5)) } else { Duration::ZERO },
        rate: *pick(rng, &[1_000_000, 10_000_000, 1_000_000_000]),
        queue: *pick(rng, &[20_000, 100_000, 10_000_000]),
        ..Wire::clean(delay, 1)
    }
}

fn pick<'a, T>(rng: &mut ChaCha8Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.random_range(0..choices.len())]
}

/// Prints the seed if a test panics with it.
pub(crate) struct Failing(pub u64);

impl Drop for Failing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failing seed: {}  (SEED={} TRACE=1 to see it)", self.0, self.0);
        }
    }
}

/// The seeds to run: `SEED=n` for one, `SEEDS=n` for so many.
pub(crate) fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(default),
    }
}
