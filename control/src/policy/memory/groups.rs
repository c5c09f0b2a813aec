//! `-m hashlimit`: a bucket, or a measured rate, for each group of flows.
//!
//! A fixed table in rows of eight places. A group is known by a hash of what its flows have in common, under a key that
//! nobody outside knows: two groups share a bucket once in 2⁶⁰ pairs. In a full row the place that was not used for the
//! longest time goes to the new group, which then has a full bucket; Linux would drop the flow. A group not seen for
//! `--hashlimit-htable-expire` is forgotten when it is looked for, not at the next sweep, so
//! `--hashlimit-htable-gcinterval` has no meaning here.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::rate::{nanos, take};
use crate::limits::{HASHLIMIT_GROUPS, HASHLIMIT_GROUPS_MAX};
use crate::policy::chains::masked;
use crate::policy::tuple::PacketFacts;
use crate::rules::{Burst, HashLimit, HashRate};

const WAYS: usize = 8;
const SECOND_NS: u64 = 1_000_000_000;

/// The table of one name.
#[derive(Debug)]
pub(in crate::policy) struct Groups {
    /// Of the rule that named it first; what the others of that name say about rate and keys does not count, as in
    /// Linux.
    limit: HashLimit,
    rows: Vec<[Place; WAYS]>,
    keys: RandomState,
    expire_ns: u64,
    evicted: AtomicU64,
}

/// A place for one group; mark 0 is nobody's.
#[derive(Debug, Default)]
struct Place {
    mark: AtomicU64,
    used: AtomicU64,
    /// When the bucket is full again; of a measured rate, when the window began.
    time: AtomicU64,
    /// Of a measured rate: what has passed in the window, and in the lowest bit whether the window before was over.
    passed: AtomicU64,
}

impl Groups {
    /// A table of at most `places_max` places.
    pub(super) fn new(limit: &HashLimit, places_max: usize) -> Groups {
        let wished = limit.max.map_or(HASHLIMIT_GROUPS, |max| max as usize);
        let rows = wished.min(HASHLIMIT_GROUPS_MAX).min(places_max).div_ceil(WAYS).max(1);
        // iptables: a group is kept as long as the rate's own unit is, a second for `n/sec`, a day for `n/day`. What it
        // has read is a period; the unit is the smallest that the period fits in.
        let unit_ms = match limit.rate {
            HashRate::Bytes { .. } => 1_000,
            HashRate::Flows { period } => {
                let units = [1_000, 60_000, 3_600_000];
                units.into_iter().find(|unit| period <= unit * 1_000).unwrap_or(86_400_000)
            }
        };
        Groups {
            limit: limit.clone(),
            rows: (0..rows).map(|_| Default::default()).collect(),
            keys: RandomState::new(),
            expire_ns: limit.expire_ms.map_or(unit_ms, u64::from) * 1_000_000,
            evicted: AtomicU64::new(0),
        }
    }

    /// Whether it is a table for this, be the rule for flows within the limit or above it.
    pub(super) fn is_for(&self, limit: &HashLimit) -> bool {
        HashLimit { above: self.limit.above, ..limit.clone() } == self.limit
    }

    /// Groups that lost their place to others.
    pub(in crate::policy) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Whether a flow is within its group's limit. What `acts` changes is the group's bucket.
    pub(in crate::policy) fn take(
        &self,
        source: SocketAddr,
        destination: SocketAddr,
        packet: &PacketFacts,
        acts: bool,
    ) -> bool {
        let now = nanos(packet.at);
        let mark = self.mark(source, destination);
        let row = &self.rows[(mark % self.rows.len() as u64) as usize];
        let known = row.iter().find(|place| place.mark.load(Ordering::Acquire) == mark);
        let fresh = Place::default();
        let place = match known {
            Some(place) if !self.is_expired(place, now) => place,
            // Who only looks finds a new group's place, and leaves nothing behind.
            _ if !acts => &fresh,
            Some(place) => place.begin(mark, now),
            None => self.evict(row, now).begin(mark, now),
        };
        if acts {
            place.used.store(now, Ordering::Relaxed);
        }
        if self.limit.rate_match {
            return self.measured(place, packet.length, now, acts);
        }
        let (cost, depth) = self.cost(packet.length);
        take(&place.time, now, cost, depth, acts)
    }

    fn mark(&self, source: SocketAddr, destination: SocketAddr) -> u64 {
        let (keys, limit) = (self.limit.keys, &self.limit);
        let key = (
            keys.source.then(|| masked(source.ip(), limit.source_length)),
            keys.source_port.then(|| source.port()),
            keys.destination.then(|| masked(destination.ip(), limit.destination_length)),
            keys.destination_port.then(|| destination.port()),
            // One name is two tables in Linux, one of iptables and one of ip6tables.
            source.is_ipv4(),
        );
        self.keys.hash_one(key).max(1)
    }

    fn is_expired(&self, place: &Place, now: u64) -> bool {
        now.saturating_sub(place.used.load(Ordering::Relaxed)) > self.expire_ns
    }

    /// An empty place, else the one that was not used for the longest time.
    fn evict<'a>(&self, row: &'a [Place; WAYS], now: u64) -> &'a Place {
        let age = |place: &&Place| match place.mark.load(Ordering::Relaxed) {
            0 => 0,
            _ => place.used.load(Ordering::Relaxed).max(1),
        };
        let place = row.iter().min_by_key(age).expect("a row has places");
        if place.mark.load(Ordering::Relaxed) != 0 && !self.is_expired(place, now) {
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        place
    }

    /// What a flow costs in nanoseconds, and how many the bucket holds.
    fn cost(&self, length: u16) -> (u64, u64) {
        match (self.limit.rate, self.limit.burst) {
            (HashRate::Flows { period }, burst) => {
                let burst = match burst {
                    Burst::Flows(flows) => u64::from(flows),
                    Burst::Bytes(_) => 1,
                };
                let cost = period.saturating_mul(1_000);
                (cost, cost.saturating_mul(burst))
            }
            (HashRate::Bytes { per_second }, burst) => {
                let per_second = u128::from(per_second.max(1));
                let time = |bytes: u64| (u128::from(bytes) * u128::from(SECOND_NS) / per_second) as u64;
                let depth = match burst {
                    Burst::Bytes(0) | Burst::Flows(_) => SECOND_NS,
                    Burst::Bytes(bytes) => time(bytes),
                };
                (time(u64::from(length)), depth)
            }
        }
    }

    /// `--hashlimit-rate-match`: within the limit while neither this window nor the one before it is over it.
    fn measured(&self, place: &Place, length: u16, now: u64, acts: bool) -> bool {
        let window = u64::from(self.limit.rate_interval_s.max(1)) * SECOND_NS;
        let (per_window, adds) = match self.limit.rate {
            HashRate::Flows { period } => (window / period.saturating_mul(1_000).max(1), 1),
            HashRate::Bytes { per_second } => (per_second.saturating_mul(window / SECOND_NS), u64::from(length)),
        };
        let (began, mut passed) = (place.time.load(Ordering::Relaxed), place.passed.load(Ordering::Relaxed));
        let elapsed = now.saturating_sub(began);
        let rolls = began == 0 || elapsed >= window;
        if rolls {
            let over = began != 0
                && u128::from(passed >> 1) * u128::from(window) > u128::from(elapsed) * u128::from(per_window);
            passed = u64::from(over);
        }
        let passed = passed.saturating_add(adds << 1);
        if acts {
            if rolls {
                place.time.store(now, Ordering::Relaxed);
            }
            place.passed.store(passed, Ordering::Relaxed);
        }
        passed & 1 == 0 && passed >> 1 <= per_window
    }
}

impl Place {
    /// Gives the place to a group.
    fn begin(&self, mark: u64, now: u64) -> &Place {
        self.time.store(0, Ordering::Relaxed);
        self.passed.store(0, Ordering::Relaxed);
        self.used.store(now, Ordering::Relaxed);
        self.mark.store(mark, Ordering::Release);
        self
    }
}
