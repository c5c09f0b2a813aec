//! Both ways side by side: a connection and its twin that always takes the long way get the same segments, calls and time,
//! and must say the same. The peer is a connection too, behind wires that lose, double, reorder and mark.

use std::time::Duration;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use smallvec::SmallVec;

use super::*;
use crate::segment::{Ecn, Flags, Header};
use crate::{Algorithm, Config, Info, Opening, SeqNumber, TimestampClock};

struct Twins {
    now: Instant,
    short: Connection<Bytes>,
    long: Connection<Bytes>,
    peer: Connection<Bytes>,
    /// On the way to the twins and to the peer, each with when it arrives.
    wires: [Vec<(Instant, Segment<Bytes>)>; 2],
    rng: ChaCha8Rng,
    /// Per mille.
    harsh: u32,
    finishes: bool,
}

fn opening(rng: &mut ChaCha8Rng, stamps: bool, sack: bool) -> Opening {
    Opening {
        isn: SeqNumber(0u32.wrapping_sub(rng.random_range(0..60_000))),
        mss: 1_000,
        window_scale: rng.random_bool(0.7).then_some(3),
        sack_permitted: sack,
        timestamp: stamps.then(|| TimestampClock::with_offset(0u32.wrapping_sub(rng.random_range(0..5_000)))),
    }
}

impl Twins {
    fn new(seed: u64, harsh: u32) -> Twins {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let now = Instant::from_micros(rng.random_range(1..1 << 40));
        let (stamps, sack) = (rng.random_bool(0.7), rng.random_bool(0.7));
        let algorithms = [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Bbr];
        let config = Config {
            receive_buffer: 1 << rng.random_range(13..18),
            send_buffer: 1 << rng.random_range(13..18),
            congestion: algorithms[rng.random_range(0..3)],
            delayed_ack: Duration::from_millis(rng.random_range(0..3) * 20),
            ecn: rng.random_bool(0.3),
            user_timeout: rng.random_bool(0.2).then_some(Duration::from_secs(30)),
            ..Config::default()
        };
        let (ours, theirs) = (opening(&mut rng, stamps, sack), opening(&mut rng, stamps, sack));
        let connect = || Connection::connect(now, (1, 2), &config, ours);
        let (mut short, mut long) = (connect(), connect());
        (long.long_way, long.transmit.long_way) = (true, true);
        let mut chunks = Vec::new();
        let syn = short.poll_transmit(now, 1_000, &mut chunks).unwrap();
        assert_eq!(long.poll_transmit(now, 1_000, &mut chunks), Some(syn));
        let mut peer: Connection<Bytes> = Connection::accept(now, (2, 1), &config, &syn, theirs);
        (peer.long_way, peer.transmit.long_way) = (true, true);
        Twins { now, short, long, peer, wires: [Vec::new(), Vec::new()], rng, harsh, finishes: true }
    }

    /// What is compared: everything but how it was come by.
    fn info(connection: &Connection<Bytes>) -> Info {
        Info { segs_in_predicted: 0, ..connection.info() }
    }

    fn put(&mut self, to: usize, header: Header, chunks: &[Bytes], ecn: Ecn) {
        if self.rng.random_range(0..1_000) < self.harsh {
            return;
        }
        let copies = if self.rng.random_range(0..1_000) < self.harsh / 2 { 2 } else { 1 };
        for _ in 0..copies {
            let late = if self.rng.random_range(0..1_000) < self.harsh { self.rng.random_range(0..30_000) } else { 0 };
            let marked = ecn != Ecn::NotCapable && self.rng.random_bool(0.02);
            let ecn = if marked { Ecn::CongestionExperienced } else { ecn };
            let payload: SmallVec<[Bytes; 1]> = chunks.iter().cloned().collect();
            let at = self.now + Duration::from_micros(5_000 + late);
            self.wires[to].push((at, Segment { header, payload, ecn }));
        }
    }

    /// All output of all three.
    fn speak(&mut self) {
        let (mut chunks, mut others) = (Vec::new(), Vec::new());
        let limit = if self.rng.random_bool(0.5) { 1_000 } else { 8_000 };
        loop {
            let header = self.short.poll_transmit(self.now, limit, &mut chunks);
            assert_eq!(header, self.long.poll_transmit(self.now, limit, &mut others));
            assert_eq!(chunks, others);
            assert_eq!(self.short.ecn_codepoint(), self.long.ecn_codepoint());
            let Some(header) = header else { break };
            let ecn = self.short.ecn_codepoint();
            self.put(1, header, &chunks, ecn);
        }
        assert_eq!(self.short.deadline(), self.long.deadline());
        assert_eq!(Twins::info(&self.short), Twins::info(&self.long));
        while let Some(header) = self.peer.poll_transmit(self.now, limit, &mut chunks) {
            let ecn = self.peer.ecn_codepoint();
            self.put(0, header, &chunks, ecn);
        }
    }

    fn arrive(&mut self) {
        for to in [0, 1] {
            let (due, later): (Vec<_>, Vec<_>) = self.wires[to].drain(..).partition(|(at, _)| *at <= self.now);
            self.wires[to] = later;
            for (_, mut segment) in due {
                if to == 1 {
                    let _ = self.peer.handle_segment(self.now, segment);
                    continue;
                }
                if self.rng.random_range(0..1_000) < self.harsh {
                    self.spoil(&mut segment);
                }
                let result = self.short.handle_segment(self.now, segment.clone());
                assert_eq!(result, self.long.handle_segment(self.now, segment));
            }
        }
    }

    /// What no honest peer says.
    fn spoil(&mut self, segment: &mut Segment<Bytes>) {
        let header = &mut segment.header;
        match self.rng.random_range(0..7) {
            0 => header.window = self.rng.random(),
            1 => header.ack = header.ack + self.rng.random_range(0..3_000),
            2 => header.seq = header.seq - self.rng.random_range(0..3_000),
            3 => header.flags.insert(Flags::PSH | Flags::URG),
            4 => header.options.timestamp = None,
            5 => segment.payload.push(Bytes::new()),
            _ => segment.payload = [Bytes::from_static(&[7; 300]), Bytes::from_static(&[8; 50])].into_iter().collect(),
        }
    }

    fn applications(&mut self) {
        if self.rng.random_bool(0.6) {
            let size = self.rng.random_range(1..4_000);
            if self.short.writable() > 0 && self.rng.random_bool(0.5) {
                self.short.write(vec![1; size].into());
                self.long.write(vec![1; size].into());
            }
            if self.peer.writable() > 0 {
                self.peer.write(vec![2; size].into());
            }
        }
        while self.rng.random_bool(0.8) {
            let piece = self.short.read();
            assert_eq!(piece, self.long.read());
            if piece.is_none() {
                break;
            }
        }
        while self.peer.read().is_some() {}
    }

    fn turn(&mut self) {
        self.now += Duration::from_micros(self.rng.random_range(1..8_000));
        if self.rng.random_bool(0.005) {
            self.now += Duration::from_secs(3);
        }
        self.arrive();
        let signals = self.short.handle_timeout(self.now);
        assert_eq!(signals, self.long.handle_timeout(self.now));
        self.peer.handle_timeout(self.now);
        self.applications();
        if self.finishes && self.rng.random_bool(0.001) {
            self.short.shutdown(self.now);
            self.long.shutdown(self.now);
        }
        self.speak();
    }
}

#[test]
fn the_short_way_does_what_the_long_way_does() {
    let mut share = 0.0;
    for seed in 0..120 {
        let mut twins = Twins::new(seed, [0, 5, 50][seed as usize % 3]);
        for _ in 0..400 {
            twins.turn();
        }
        let info = twins.short.info();
        share += info.segs_in_predicted as f64 / info.segs_in.max(1) as f64 / 120.0;
    }
    // Losses, marks and nonsense included; the test would say nothing if hardly any took it.
    assert!(share > 0.5, "{share}");
}

#[test]
fn without_losses_nearly_all_segments_take_it() {
    for seed in [0, 3, 6, 9] {
        let mut twins = Twins::new(seed, 0);
        twins.finishes = false;
        for _ in 0..400 {
            twins.turn();
        }
        let info = twins.short.info();
        if !info.ecn {
            assert!(info.segs_in_predicted * 100 >= info.segs_in * 90, "{info:?}");
        }
    }
}
