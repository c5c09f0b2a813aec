//! One direction of a cable that loses, doubles, reorders, delays and damages frames, and has a rate and a queue.
//!
//! A damaged frame has one bit flipped, from the IP header on: what the sums of IP, TCP, UDP and ICMP are there for. More
//! flips may cancel out in a 16-bit sum, and Ethernet's own check sequence guards ARP and the addresses, so neither
//! would be the gateway's to notice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bytes::Bytes;
use tcp::Instant;

use crate::seed::Random;

/// How good a cable is.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// Time a frame is under way.
    pub delay: Duration,
    /// More time, evenly up to this much; frames that thereby overtake others are reordered.
    pub jitter: Duration,
    /// Share of frames lost.
    pub loss: f64,
    /// Share of frames that arrive twice.
    pub duplication: f64,
    /// Share of frames held back, so that later ones overtake them.
    pub reorder: f64,
    /// How long they are held back; none: for four times the jitter and delay.
    pub held: Option<Duration>,
    /// Share of frames damaged.
    pub corruption: f64,
    /// Bits per second; none: no limit.
    pub rate: Option<u64>,
    /// Bytes that may wait for the rate; more is lost.
    pub queue: u64,
}

impl Conditions {
    /// A short cable without faults.
    pub const CLEAN: Conditions = Conditions {
        delay: Duration::from_micros(50),
        jitter: Duration::ZERO,
        loss: 0.0,
        duplication: 0.0,
        reorder: 0.0,
        held: None,
        corruption: 0.0,
        rate: None,
        queue: u64::MAX,
    };

    /// Some of everything, chosen by `random`: what a bad day on a radio link looks like.
    pub fn bad(random: &mut Random) -> Conditions {
        let mut share = |most: f64| random.below(1000) as f64 / 1000.0 * most;
        let (loss, duplication, reorder, corruption) = (share(0.05), share(0.03), share(0.05), share(0.02));
        let rate = if random.chance(0.5) { Some(2_000_000 + random.below(100_000_000)) } else { None };
        Conditions {
            delay: Duration::from_micros(random.below(20_000)),
            jitter: Duration::from_micros(random.below(3_000)),
            loss,
            duplication,
            reorder,
            held: None,
            corruption,
            rate,
            queue: 20_000 + random.below(200_000),
        }
    }
}

/// What became of the frames put on a cable.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fates {
    /// Put on.
    pub sent: u64,
    /// Taken off.
    pub delivered: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost because the queue was full.
    pub overflowed: u64,
    /// Put on twice.
    pub duplicated: u64,
    /// Damaged.
    pub corrupted: u64,
}

/// One direction of a cable.
pub struct Wire {
    conditions: Conditions,
    random: Random,
    under_way: BinaryHeap<Reverse<(Instant, u64, Bytes)>>,
    /// When the last byte that waits for the rate will have left.
    free_at: Instant,
    count: u64,
    fates: Fates,
}

impl Wire {
    /// A cable with nothing on it.
    #[must_use]
    pub fn new(conditions: Conditions, random: Random) -> Self {
        let under_way = BinaryHeap::new();
        Self { conditions, random, under_way, free_at: Instant::ZERO, count: 0, fates: Fates::default() }
    }

    /// Changes the weather; frames under way are not affected.
    pub fn set(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// What became of the frames so far.
    #[must_use]
    pub fn fates(&self) -> Fates {
        self.fates
    }

    /// Puts a frame on the cable.
    pub fn send(&mut self, now: Instant, frame: Bytes) {
        self.fates.sent += 1;
        if self.random.chance(self.conditions.loss) {
            self.fates.lost += 1;
            return;
        }
        let Some(leaves) = self.pass_rate(now, frame.len()) else {
            self.fates.overflowed += 1;
            return;
        };
        if self.random.chance(self.conditions.duplication) {
            self.fates.duplicated += 1;
            self.deliver(leaves, frame.clone());
        }
        self.deliver(leaves, frame);
    }

    /// When the next frame arrives.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes a frame that has arrived.
    pub fn take(&mut self, now: Instant) -> Option<Bytes> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, _, frame)) = self.under_way.pop()?;
        self.fates.delivered += 1;
        Some(frame)
    }

    /// When a frame of `len` bytes will have left the queue; none when it does not fit in.
    fn pass_rate(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let Some(rate) = self.conditions.rate else { return Some(now) };
        let start = self.free_at.max(now);
        let waiting = (start - now).as_micros() as u64 * rate / 8_000_000;
        if waiting > self.conditions.queue {
            return None;
        }
        self.free_at = start + Duration::from_micros((len as u64 * 8_000_000).div_ceil(rate));
        Some(self.free_at)
    }

    fn deliver(&mut self, leaves: Instant, frame: Bytes) {
        let Conditions { delay, jitter, reorder, held, corruption, .. } = self.conditions;
        let mut at = leaves + delay + Duration::from_micros(self.random.below(jitter.as_micros() as u64 + 1));
        if self.random.chance(reorder) {
            at += held.unwrap_or((delay + jitter) * 4);
        }
        let frame = if self.random.chance(corruption) { self.damage(&frame) } else { frame };
        self.count += 1;
        self.under_way.push(Reverse((at, self.count, frame)));
    }

    fn damage(&mut self, frame: &Bytes) -> Bytes {
        let tagged = frame.get(12..14) == Some(&[0x81, 0x00]);
        let start = if tagged { 18 } else { 14 };
        let ip = matches!(frame.get(start - 2..start), Some([0x08, 0x00] | [0x86, 0xdd]));
        if !ip || frame.len() <= start {
            return frame.clone();
        }
        self.fates.corrupted += 1;
        let mut bytes = frame.to_vec();
        let bit = self.random.below((bytes.len() - start) as u64 * 8) as usize;
        bytes[start + bit / 8] ^= 1 << (bit % 8);
        bytes.into()
    }
}

#[cfg(test)]
mod tests;
