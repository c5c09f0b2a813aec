//! `-m recent`: lists of addresses with the times they were seen.
//!
//! A fixed table in rows of eight places, each with a ring of as many times as the rules of the list ask for. An address
//! is known by a keyed hash. In a full row the address that was not seen for the longest time makes room; Linux keeps a
//! hundred addresses a list and lets the oldest go, a list here has room for more
//! ([`RECENT_ADDRESSES`](crate::limits::RECENT_ADDRESSES)).

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::rate::nanos;
use crate::policy::tuple::Moment;
use crate::rules::{Recent, RecentOperation};

const WAYS: usize = 8;
const SECOND_NS: u64 = 1_000_000_000;
/// Times kept of an address if no rule asks for more (xt_recent's `ip_pkt_list_tot`).
pub(super) const STAMPS: usize = 20;

/// A list.
#[derive(Debug)]
pub(in crate::policy) struct RecentList {
    rows: Vec<[Place; WAYS]>,
    /// Rings of times, `ring` for each place.
    stamps: Vec<AtomicU64>,
    ring: usize,
    keys: RandomState,
    evicted: AtomicU64,
}

/// A place for one address; mark 0 is nobody's.
#[derive(Debug, Default)]
struct Place {
    mark: AtomicU64,
    used: AtomicU64,
    /// Bits 0–31: times written, counted on in the ring. Bits 32–39: the TTL it had.
    state: AtomicU64,
}

impl RecentList {
    /// Room for so many addresses with so many times each.
    pub(super) fn new(addresses: usize, ring: usize) -> RecentList {
        let rows = addresses.div_ceil(WAYS).max(1);
        RecentList {
            rows: (0..rows).map(|_| Default::default()).collect(),
            stamps: (0..rows * WAYS * ring).map(|_| AtomicU64::new(0)).collect(),
            ring,
            keys: RandomState::new(),
            evicted: AtomicU64::new(0),
        }
    }

    /// Room for so many addresses.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.rows.len() * WAYS
    }

    /// Times it keeps of each address.
    pub(super) fn ring(&self) -> usize {
        self.ring
    }

    /// Addresses that lost their place to others.
    pub(in crate::policy) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Whether the list says yes; what `acts` changes is the list.
    pub(in crate::policy) fn ask(&self, recent: &Recent, address: IpAddr, ttl: u8, at: Moment, acts: bool) -> bool {
        let now = nanos(at);
        let mark = self.keys.hash_one(under(address, recent.mask)).max(1);
        let row = (mark % self.rows.len() as u64) as usize;
        let Some(way) = self.find(row, mark, recent.same_ttl.then_some(ttl)) else {
            if recent.operation == RecentOperation::Set && acts {
                self.begin(row, mark, ttl, now);
            }
            return recent.operation == RecentOperation::Set;
        };
        let answer = match recent.operation {
            RecentOperation::Set | RecentOperation::Remove => true,
            RecentOperation::Check | RecentOperation::Update => self.is_recent(row, way, recent, now),
        };
        if acts {
            match recent.operation {
                RecentOperation::Remove => self.forget(row, way),
                RecentOperation::Set => self.write(row, way, ttl, now),
                RecentOperation::Update if answer => self.write(row, way, ttl, now),
                _ if recent.reap && self.is_stale(row, way, recent, now) => self.forget(row, way),
                _ => {}
            }
        }
        answer
    }

    fn find(&self, row: usize, mark: u64, ttl: Option<u8>) -> Option<usize> {
        let is = |place: &Place| {
            place.mark.load(Ordering::Acquire) == mark
                && ttl.is_none_or(|ttl| (place.state.load(Ordering::Relaxed) >> 32) as u8 == ttl)
        };
        self.rows[row].iter().position(is)
    }

    /// Takes an empty place, else the one that was not seen for the longest time.
    fn begin(&self, row: usize, mark: u64, ttl: u8, now: u64) {
        let age = |way: &usize| match self.rows[row][*way].mark.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.rows[row][*way].used.load(Ordering::Relaxed).max(1),
        };
        let way = (0..WAYS).min_by_key(age).expect("a row has places");
        let place = &self.rows[row][way];
        if place.mark.load(Ordering::Relaxed) != 0 {
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        place.state.store(0, Ordering::Relaxed);
        place.mark.store(mark, Ordering::Release);
        self.write(row, way, ttl, now);
    }

    fn forget(&self, row: usize, way: usize) {
        self.rows[row][way].mark.store(0, Ordering::Release);
    }

    /// Writes one time.
    fn write(&self, row: usize, way: usize, ttl: u8, now: u64) {
        let place = &self.rows[row][way];
        let written = place.state.load(Ordering::Relaxed) as u32 as usize;
        let first = (row * WAYS + way) * self.ring;
        self.stamps[first + written % self.ring].store(now, Ordering::Relaxed);
        // Past the ring's length only the place in it counts, and that the ring is full.
        let next = if written + 1 == 2 * self.ring { self.ring } else { written + 1 };
        place.state.store(next as u64 | (u64::from(ttl) << 32), Ordering::Relaxed);
        place.used.store(now, Ordering::Relaxed);
    }

    fn times(&self, row: usize, way: usize) -> impl Iterator<Item = u64> {
        let written = self.rows[row][way].state.load(Ordering::Relaxed) as u32 as usize;
        let first = (row * WAYS + way) * self.ring;
        self.stamps[first..first + written.min(self.ring)].iter().map(|time| time.load(Ordering::Relaxed))
    }

    /// Seen as often as asked within the seconds asked; without either, once and ever.
    fn is_recent(&self, row: usize, way: usize, recent: &Recent, now: u64) -> bool {
        let since = since(recent, now);
        let hits = self.times(row, way).filter(|time| *time >= since).count();
        hits >= usize::from(recent.hits.unwrap_or(1).max(1))
    }

    /// `--reap`: no time of it is within the seconds.
    fn is_stale(&self, row: usize, way: usize, recent: &Recent, now: u64) -> bool {
        let since = since(recent, now);
        self.times(row, way).all(|time| time < since)
    }
}

fn since(recent: &Recent, now: u64) -> u64 {
    recent.seconds.map_or(0, |seconds| now.saturating_sub(u64::from(seconds) * SECOND_NS))
}

fn under(address: IpAddr, mask: Option<IpAddr>) -> IpAddr {
    match (address, mask) {
        (IpAddr::V4(address), Some(IpAddr::V4(mask))) => IpAddr::V4((address.to_bits() & mask.to_bits()).into()),
        (IpAddr::V6(address), Some(IpAddr::V6(mask))) => IpAddr::V6((address.to_bits() & mask.to_bits()).into()),
        // A mask of the other family says nothing about this one.
        (address, _) => address,
    }
}
