//! `-m connlimit`: how many flows a group of addresses has at once.
//!
//! A count per group in a fixed table, in rows of eight words; a word has 40 bits of a keyed hash of the group and 24
//! bits of its count. A flow that is counted holds its place ([`Hold`]) until it ends; a group whose count is back at
//! nothing has no place. Places in use are never given away: where a row is full the flow ends, as in Linux when there is
//! no memory, for a count that is lost would let everybody in.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) const WAYS: usize = 8;
const COUNT_BITS: u32 = 24;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
/// Attempts at a word before the row counts as full.
const ATTEMPTS: usize = 16;

/// The counts of one rule.
#[derive(Debug)]
pub(in crate::policy) struct Connections {
    rows: Vec<[AtomicU64; WAYS]>,
    keys: RandomState,
}

/// One flow's place in the counts.
#[derive(Debug)]
pub(super) struct Hold {
    connections: Arc<Connections>,
    mark: u64,
    way: usize,
}

impl Connections {
    /// Room for so many groups.
    pub(super) fn new(groups: usize) -> Connections {
        let rows = groups.div_ceil(WAYS).max(1);
        Connections { rows: (0..rows).map(|_| Default::default()).collect(), keys: RandomState::new() }
    }

    /// Room for so many groups.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.rows.len() * WAYS
    }

    /// The connections of a group.
    pub(super) fn count(&self, group: IpAddr) -> u32 {
        let mark = self.mark(group);
        let mut words = self.row(mark).iter().map(|word| word.load(Ordering::Relaxed));
        words.find(|word| word >> COUNT_BITS == mark).map_or(0, |word| (word & COUNT_MAX) as u32)
    }

    /// Counts one more; none when the row is full.
    pub(super) fn enter(connections: &Arc<Connections>, group: IpAddr) -> Option<(Hold, u32)> {
        let mark = connections.mark(group);
        let row = connections.row(mark);
        for _ in 0..ATTEMPTS {
            let words: [u64; WAYS] = std::array::from_fn(|way| row[way].load(Ordering::Relaxed));
            let own = words.iter().position(|word| word >> COUNT_BITS == mark);
            let way = own.or_else(|| words.iter().position(|word| *word == 0))?;
            let count = words[way] & COUNT_MAX;
            if count == COUNT_MAX {
                return None;
            }
            let after = (mark << COUNT_BITS) | (count + 1);
            if row[way].compare_exchange(words[way], after, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Some((Hold { connections: Arc::clone(connections), mark, way }, count as u32 + 1));
            }
        }
        None
    }

    /// Never 0, which is the mark of an empty word.
    fn mark(&self, group: IpAddr) -> u64 {
        (self.keys.hash_one(group) >> COUNT_BITS).max(1)
    }

    fn row(&self, mark: u64) -> &[AtomicU64; WAYS] {
        &self.rows[(mark % self.rows.len() as u64) as usize]
    }
}

impl Hold {
    pub(super) fn is_of(&self, connections: &Arc<Connections>) -> bool {
        Arc::ptr_eq(&self.connections, connections)
    }

    pub(super) fn is_in(&self, group: IpAddr) -> bool {
        self.connections.mark(group) == self.mark
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let word = &self.connections.row(self.mark)[self.way];
        let one_less = |word| if word & COUNT_MAX <= 1 { 0 } else { word - 1 };
        // The word is the group's while anyone holds a place in it. Who loses the exchange lost it to a core that has
        // gone on, so of as many cores as there are each waits for the others once.
        let mut seen = word.load(Ordering::Relaxed);
        while let Err(other) = word.compare_exchange_weak(seen, one_less(seen), Ordering::Relaxed, Ordering::Relaxed) {
            seen = other;
        }
    }
}
