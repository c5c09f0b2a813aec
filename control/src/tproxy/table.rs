//! What cores see of the entries: two look-ups and the claim. None of them locks, waits, repeats or allocates, whatever
//! the writer is doing.

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::net::SocketAddr;

use foldhash::fast::FixedState;

use super::atomic::{AtomicUsize, Ordering};
use super::changes::Changes;
use super::entry::{Entry, Flags, Pattern, Seen, pack};
use super::index::{Index, Likely};
use super::limits::{ENTRIES_MAX, LOOKUP_BURST};
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
    /// Changes that end flows.
    pub(super) changes: Changes,
    hasher: FixedState,
}

/// The first packet of a flow, as the table is asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The protocol number.
    pub protocol: u8,
    /// Whom it is for.
    pub destination: SocketAddr,
    /// Whom it is from.
    pub source: SocketAddr,
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
            changes: Changes::new(capacity),
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
        let find = |remote| {
            let hash = self.foreign_hash(protocol, destination, remote);
            let pattern = Pattern::listener(protocol, destination, remote);
            self.listener_under(hash, self.by_foreign.likely(hash), &pattern).filter(unclaimed)
        };
        let exact = if self.with_remote.load(Ordering::Acquire) > 0 { find(Some(source)) } else { None };
        let seen = exact.or_else(|| find(None))?;
        Some(Entry::from_words(&self.slots.words(seen)?, seen, Some(&source)))
    }

    /// [`Table::lookup_foreign`] for the first packets of a burst of flows, whose memory is fetched side by side: one
    /// after the other, each would wait for two lines. `found` is called with the place in `flows` of each that has an
    /// entry, in their order.
    pub fn lookup_foreign_burst(&self, flows: &[Wanted], mut found: impl FnMut(usize, &Entry)) {
        if self.is_empty() {
            return;
        }
        let some_have_a_remote = self.with_remote.load(Ordering::Acquire) > 0;
        for (chunk, flows) in flows.chunks(LOOKUP_BURST).enumerate() {
            let found = |at: usize, entry: &Entry| found(chunk * LOOKUP_BURST + at, entry);
            if some_have_a_remote { self.chunk_with_remotes(flows, found) } else { self.chunk(flows, found) }
        }
    }

    /// Loops of their own, as short as can be and without a branch that memory decides: what counts is how many loads
    /// fit into the core's window.
    fn chunk(&self, flows: &[Wanted], mut found: impl FnMut(usize, &Entry)) {
        let mut hashes = [0; LOOKUP_BURST];
        for (hash, flow) in hashes.iter_mut().zip(flows) {
            *hash = self.foreign_hash(flow.protocol, flow.destination, None);
        }
        let hashes = &hashes[..flows.len()];
        black_box(hashes.iter().fold(0, |touched, hash| touched ^ self.by_foreign.touch(*hash)));
        // Those that are there, or may be, without gaps.
        let mut there = [(0, Likely::ABSENT); LOOKUP_BURST];
        let mut count = 0;
        for (at, hash) in hashes.iter().enumerate() {
            let likely = self.by_foreign.likely(*hash);
            there[count] = (at, likely);
            count += usize::from(likely != Likely::ABSENT);
        }
        let there = &there[..count];
        let slots = there.iter().map(|(_, likely)| likely.slot().unwrap_or(0));
        black_box(slots.fold(0, |touched, slot| touched ^ self.slots.touch(slot)));
        for (at, likely) in there {
            let flow = &flows[*at];
            let pattern = Pattern::listener(flow.protocol, flow.destination, None);
            if let Some(seen) = self.listener_under(hashes[*at], *likely, &pattern)
                && unclaimed(&seen)
                && flow.destination.port() != 0
                && let Some(words) = self.slots.words(seen)
            {
                found(*at, &Entry::from_words(&words, seen, Some(&flow.source)));
            }
        }
    }

    /// The same where two keys are looked up for each flow.
    fn chunk_with_remotes(&self, flows: &[Wanted], mut found: impl FnMut(usize, &Entry)) {
        let touch = |flow: &Wanted| {
            let hash = |remote| self.foreign_hash(flow.protocol, flow.destination, remote);
            self.by_foreign.touch(hash(Some(flow.source))) ^ self.by_foreign.touch(hash(None))
        };
        black_box(flows.iter().fold(0, |touched, flow| touched ^ touch(flow)));
        for (at, flow) in flows.iter().enumerate() {
            if let Some(entry) = self.lookup_foreign(flow.protocol, flow.destination, flow.source) {
                found(at, &entry);
            }
        }
    }

    /// For a connection that leaves from `local`: the entry that gives it another source (or marks it).
    pub fn lookup_local(&self, protocol: u8, local: SocketAddr) -> Option<Entry> {
        if self.is_empty() {
            return None;
        }
        let claimed = |entry: &Entry| entry.flags.contains(Flags::CLAIMED);
        let entry = self.find_local(protocol, local).filter(|entry| entry.connects() && !claimed(entry))?;
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
        let pattern = Pattern::listener(protocol, foreign, remote);
        let hash = self.foreign_hash(protocol, foreign, remote);
        let seen = self.listener_under(hash, self.by_foreign.likely(hash), &pattern)?;
        Some(Entry::from_words(&self.slots.words(seen)?, seen, None))
    }

    #[inline]
    fn listener_under(&self, hash: u64, likely: Likely, pattern: &Pattern) -> Option<Seen> {
        if likely == Likely::ABSENT {
            return None;
        }
        let at_once = likely.slot().and_then(|slot| self.slots.find(slot, pattern));
        at_once.or_else(|| self.search_listener(hash, pattern))
    }

    /// Few get here: their tag is another's too, or their bucket is full.
    #[cold]
    #[inline(never)]
    fn search_listener(&self, hash: u64, pattern: &Pattern) -> Option<Seen> {
        self.by_foreign.find(hash, |slot| self.slots.find(slot, pattern))
    }

    pub(crate) fn find_local(&self, protocol: u8, local: SocketAddr) -> Option<Entry> {
        let pattern = Pattern::local(protocol, local);
        let seen = self.by_local.find(self.local_hash(protocol, local), |slot| self.slots.find(slot, &pattern))?;
        Some(Entry::from_words(&self.slots.words(seen)?, seen, None))
    }

    #[inline]
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

#[inline]
fn unclaimed(seen: &Seen) -> bool {
    !seen.flags().contains(Flags::CLAIMED)
}

#[inline]
fn write_address(hasher: &mut impl Hasher, address: SocketAddr, protocol: u8) {
    let (words, v6) = pack(address.ip());
    let rest = u64::from(address.port()) << 48 | u64::from(protocol) << 40;
    hasher.write_u64(words[0] ^ if v6 { 0 } else { rest });
    if v6 {
        hasher.write_u64(words[1]);
        hasher.write_u64(rest);
    }
}
