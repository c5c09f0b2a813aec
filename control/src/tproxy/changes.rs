//! Which entries of datagrams have changed: by this cores learn that flows which came by one are to end.
//!
//! UNASSIGN and FLAGS end the UDP flows of their entry (a connection carries its own mapping and goes on), and so does
//! whatever else takes an entry out: its program's end, its time, and ALLOC or CONNECT, which put it in again elsewhere.
//! Nobody is told: the writer stamps the entry's slot with the number of the change, then says how many changes there
//! were. A core that links a flow to an entry notes the count from *before* it looked the entry up; a slot with a later
//! stamp has changed since. So a flow may be ended that began in the very moment of a change, and begins anew with its
//! next datagram; none that came by the old entry outlives it.
//!
//! Left out: ONCE entries, which are gone with their first flow.

use super::atomic::{AtomicU64, Ordering};
use super::entry::Entry;
use super::table::Table;

/// The stamps of all slots, and their count.
pub(super) struct Changes {
    count: AtomicU64,
    stamps: Vec<AtomicU64>,
}

/// That a flow came by an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    slot: u32,
    seen: u64,
}

impl Changes {
    pub(super) fn new(capacity: usize) -> Changes {
        Changes { count: AtomicU64::new(0), stamps: (0..capacity).map(|_| AtomicU64::new(0)).collect() }
    }

    /// For the writer: the entry in this slot is not what it was.
    pub(super) fn note(&self, slot: u32) {
        let number = self.count.load(Ordering::Relaxed) + 1;
        self.stamps[slot as usize].store(number, Ordering::Relaxed);
        // Whoever sees the count sees the stamp, and what was done to the entry before it.
        self.count.store(number, Ordering::Release);
    }
}

impl Entry {
    /// For a flow that comes by this entry; `seen` is [`Table::changes`] from before it was looked up.
    pub fn link(&self, seen: u64) -> Link {
        Link { slot: self.handle.slot, seen }
    }
}

impl Table {
    /// How many changes there were that end flows.
    #[inline]
    pub fn changes(&self) -> u64 {
        self.changes.count.load(Ordering::Acquire)
    }

    /// True as long as the entry is as it was when the flow came by it.
    pub fn stands(&self, link: Link) -> bool {
        self.changes.stamps[link.slot as usize].load(Ordering::Relaxed) <= link.seen
    }
}

#[cfg(test)]
mod tests;
