//! What cores see of the entries: two look-ups and the claim. None of them locks, waits, repeats or allocates, whatever
//! the writer is doing.

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::net::SocketAddr;

use foldhash::fast::FixedState;

use super::atomic::{AtomicUsize, Ordering};
use super::entry::{Entry, Flags, Pattern, pack};
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

    /// [`Table::lookup_foreign`] for the first packets of a burst of flows, whose memory is fetched side by side: one
    /// after the other, each would wait for two lines. `found` is called with the place in `flows` of each that has an
    /// entry, in their order.
    pub fn lookup_foreign_burst(&self, flows: &[Wanted], mut found: impl FnMut(usize, Entry)) {
        if self.is_empty() {
            return;
        }
        let some_have_a_remote = self.with_remote.load(Ordering::Acquire) > 0;
        for (chunk, flows) in flows.chunks(LOOKUP_BURST).enumerate() {
            // Loops of their own, as short as can be: what counts is how many loads fit into the core's window.
            let mut hashes = [0; LOOKUP_BURST];
            for (hash, flow) in hashes.iter_mut().zip(flows) {
                *hash = self.foreign_hash(flow.protocol, flow.destination, None);
            }
            let hashes = &hashes[..flows.len()];
            black_box(hashes.iter().fold(0, |touched, hash| touched ^ self.by_foreign.touch(*hash)));
            let mut likely = [Likely::Absent; LOOKUP_BURST];
            for (likely, hash) in likely.iter_mut().zip(hashes) {
                *likely = self.by_foreign.likely(*hash);
            }
            let slots = likely.iter().map(|likely| if let Likely::In(slot) = likely { *slot } else { 0 });
            black_box(slots.fold(0, |touched, slot| touched ^ self.slots.touch(slot)));
            for (at, (flow, likely)) in flows.iter().zip(likely).enumerate() {
                if some_have_a_remote {
                    let entry = self.lookup_foreign(flow.protocol, flow.destination, flow.source);
                    entry.into_iter().for_each(|entry| found(chunk * LOOKUP_BURST + at, entry));
                    continue;
                }
                let pattern = Pattern::listener(flow.protocol, flow.destination, None);
                let entry = match likely {
                    _ if flow.destination.port() == 0 => None,
                    Likely::Absent => None,
                    Likely::In(slot) if self.slots.fits(slot, &pattern) => self.slots.find(slot, &pattern),
                    Likely::In(_) | Likely::Elsewhere => self.listener_under(hashes[at], &pattern),
                };
                if let Some(entry) = entry
                    && unclaimed(&entry)
                {
                    found(chunk * LOOKUP_BURST + at, Entry { asker: Some(flow.source), ..entry });
                }
            }
        }
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
        self.listener_under(self.foreign_hash(protocol, foreign, remote), &Pattern::listener(protocol, foreign, remote))
    }

    #[inline]
    fn listener_under(&self, hash: u64, pattern: &Pattern) -> Option<Entry> {
        self.by_foreign.find(hash, |slot| self.slots.find(slot, pattern))
    }

    pub(crate) fn find_local(&self, protocol: u8, local: SocketAddr) -> Option<Entry> {
        let pattern = Pattern::local(protocol, local);
        self.by_local.find(self.local_hash(protocol, local), |slot| self.slots.find(slot, &pattern))
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
fn unclaimed(entry: &Entry) -> bool {
    !entry.flags.contains(Flags::CLAIMED)
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
