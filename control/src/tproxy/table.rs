//! What cores see of the entries: two look-ups and the claim. None of them locks, waits, repeats or allocates, whatever
//! the writer is doing.

use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::fast::FixedState;

use super::entry::{Entry, Flags, pack};
use super::index::Index;
use super::limits::ENTRIES_MAX;
use super::slots::Slots;

/// The entries, shared by all cores. [`super::Writer`] is the only one to change them.
pub struct Table {
    pub(super) slots: Slots,
    /// Entries that listen, by foreign address and the remote they are meant for.
    pub(super) by_foreign: Index,
    /// All entries, by local address.
    pub(super) by_local: Index,
    /// Entries there are; zero spares every look-up its hash.
    pub(super) entries: AtomicUsize,
    /// Of those, entries with a remote; zero spares the first of two probes.
    pub(super) with_remote: AtomicUsize,
    hasher: FixedState,
}

impl Table {
    pub(super) fn new(capacity: usize, seed: u64) -> Table {
        assert!(0 < capacity && capacity <= ENTRIES_MAX, "a table holds 1 to {ENTRIES_MAX} entries");
        Table {
            slots: Slots::new(capacity),
            by_foreign: Index::new(capacity),
            by_local: Index::new(capacity),
            entries: AtomicUsize::new(0),
            with_remote: AtomicUsize::new(0),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// For the first packet of a flow: the entry that listens on its destination (or marks it). One meant for exactly
    /// this source beats one meant for all.
    pub fn lookup_foreign(&self, protocol: u8, destination: SocketAddr, source: SocketAddr) -> Option<Entry> {
        // An entry whose port is still open (foreign port 0) listens on nothing before ALLOC has chosen one.
        if destination.port() == 0 || self.is_empty() {
            return None;
        }
        let exact = || self.find_listener(protocol, destination, Some(source)).filter(unclaimed);
        let wildcard = || self.find_listener(protocol, destination, None).filter(unclaimed);
        let exact = if self.with_remote.load(Ordering::Acquire) > 0 { exact() } else { None };
        let entry = exact.or_else(wildcard)?;
        Some(Entry { asker: Some(source), ..entry })
    }

    /// For a connection that leaves from `local`: the entry that gives it another source (or marks it).
    pub fn lookup_local(&self, protocol: u8, local: SocketAddr) -> Option<Entry> {
        if self.is_empty() {
            return None;
        }
        let entry = self.find_local(protocol, local).filter(|entry| entry.connects() && unclaimed(entry))?;
        Some(Entry { asker: Some(local), ..entry })
    }

    /// Uses an entry for a flow. False if it is gone by now, or if it is ONCE and another flow was faster: go on as
    /// if there were none.
    pub fn claim(&self, entry: &Entry) -> bool {
        self.slots.claim(entry.handle, entry.asker)
    }

    /// Entries in the table; claimed ones count until the writer has taken them back.
    pub fn len(&self) -> usize {
        self.entries.load(Ordering::Acquire)
    }

    /// True if no entry has been assigned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries fit.
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    pub(super) fn find_listener(&self, protocol: u8, foreign: SocketAddr, remote: Option<SocketAddr>) -> Option<Entry> {
        let same = |entry: &Entry| {
            entry.protocol == protocol && entry.foreign == foreign && entry.remote == remote && entry.listens()
        };
        let hash = self.foreign_hash(protocol, foreign, remote);
        self.by_foreign.find(hash, |slot| self.slots.read(slot).filter(same))
    }

    pub(crate) fn find_local(&self, protocol: u8, local: SocketAddr) -> Option<Entry> {
        let same = |entry: &Entry| entry.protocol == protocol && entry.local == local;
        self.by_local.find(self.local_hash(protocol, local), |slot| self.slots.read(slot).filter(same))
    }

    pub(super) fn foreign_hash(&self, protocol: u8, foreign: SocketAddr, remote: Option<SocketAddr>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        write_address(&mut hasher, foreign, protocol);
        if let Some(remote) = remote {
            write_address(&mut hasher, remote, protocol);
        }
        hasher.finish()
    }

    pub(super) fn local_hash(&self, protocol: u8, local: SocketAddr) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        write_address(&mut hasher, local, protocol);
        hasher.finish()
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tproxy::Table({} of {})", self.len(), self.capacity())
    }
}

fn unclaimed(entry: &Entry) -> bool {
    !entry.flags.contains(Flags::CLAIMED)
}

fn write_address(hasher: &mut impl Hasher, address: SocketAddr, protocol: u8) {
    let (words, v6) = pack(address.ip());
    let rest = u64::from(address.port()) << 48 | u64::from(protocol) << 40;
    hasher.write_u64(words[0] ^ if v6 { 0 } else { rest });
    if v6 {
        hasher.write_u64(words[1]);
        hasher.write_u64(rest);
    }
}
