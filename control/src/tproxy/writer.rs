//! The only hand that changes the table, and what it alone remembers about each entry.
//!
//! Conditions and error names are not decided here but by whoever holds the writer (`requests`); this part keeps the
//! shared table true: by local address at most one entry, among the listening ones at most one for a foreign address
//! and remote, and every slot either reachable, claimed, or free.
//!
//! An entry whose key changes (ALLOC, CONNECT) is taken out and put in again. A core that looks in between finds
//! nothing, as it would have a moment before the program assigned it.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde::Serialize;

use super::entry::{Entry, Flags, Handle};
use super::table::Table;
use crate::requests::{Caller, UDP};

/// One address of one protocol: what stands for a bound socket here.
pub(crate) type Local = (u8, SocketAddr);

/// The table has no room left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Who asked for an entry, when, and until when it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Who.
    pub owner: Caller,
    /// When it was assigned, in the gateway's microseconds.
    pub since_us: u64,
    /// When it goes if nobody has used it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_us: Option<u64>,
}

/// An ONCE entry that has been used up: what it was, who had asked, and whose packet used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The entry.
    pub entry: Entry,
    /// Who asked for it.
    pub audit: Audit,
    /// The source of the packet that used it.
    pub used_by: Option<SocketAddr>,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) entry: Entry,
    pub(crate) audit: Audit,
    /// How often it has been assigned: mark-only entries are shared.
    pub(crate) shares: u32,
}

/// How a foreign address is in use.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ForeignUse {
    pub(crate) entries: u32,
    /// Entries that a second listener on the address would collide with: neither marks, nor for one remote, nor
    /// connect-only themselves.
    pub(crate) plain: u32,
}

/// The single writer of a [`Table`].
pub struct Writer {
    table: Arc<Table>,
    records: HashMap<Local, Record, FixedState>,
    foreign: HashMap<Local, ForeignUse, FixedState>,
    expiry: BTreeSet<(u64, Local)>,
    free: Vec<u32>,
    /// Slots from here on have never been used.
    fresh: u32,
}

impl Writer {
    pub(super) fn new(table: Arc<Table>) -> Writer {
        Writer {
            table,
            records: HashMap::default(),
            foreign: HashMap::default(),
            expiry: BTreeSet::new(),
            free: Vec::new(),
            fresh: 0,
        }
    }

    /// The table for the cores.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    pub(crate) fn record(&self, local: Local) -> Option<&Record> {
        self.records.get(&local)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    pub(crate) fn foreign_use(&self, foreign: Local) -> ForeignUse {
        self.foreign.get(&foreign).copied().unwrap_or_default()
    }

    /// The flags as they are now, APPLIED included. None if there is no such entry, or it has just been used up.
    pub(crate) fn flags(&self, local: Local) -> Option<Flags> {
        let entry = self.table.slots.read(self.records.get(&local)?.entry.handle.slot)?;
        (!entry.flags.contains(Flags::CLAIMED)).then_some(entry.flags)
    }

    /// Who listens on this foreign address for this remote already.
    pub(crate) fn listener(&self, foreign: Local, remote: Option<SocketAddr>) -> Option<Entry> {
        self.table.find_listener(foreign.0, foreign.1, remote)
    }

    /// Puts in a new entry. The caller has made sure that neither its local address nor, if it listens, its foreign
    /// one is taken.
    pub(crate) fn insert(&mut self, entry: Entry, audit: Audit) -> Result<(), Full> {
        let entry = self.place(entry)?;
        if let Some(expires_us) = audit.expires_us {
            self.expiry.insert((expires_us, key(&entry)));
        }
        self.records.insert(key(&entry), Record { entry, audit, shares: 1 });
        Ok(())
    }

    /// One more owner of a mark.
    pub(crate) fn share(&mut self, local: Local) {
        if let Some(record) = self.records.get_mut(&local) {
            record.shares += 1;
        }
    }

    /// One owner less; the last one takes the entry along. False if there is no such entry, or it has just been
    /// used up.
    pub(crate) fn release(&mut self, local: Local) -> bool {
        match self.records.get_mut(&local) {
            Some(record) if record.shares > 1 => {
                record.shares -= 1;
                true
            }
            Some(_) => self.remove(local).is_some(),
            None => false,
        }
    }

    /// Takes an entry out. None if it is not there, or a core has just used it up.
    pub(crate) fn remove(&mut self, local: Local) -> Option<Record> {
        let entry = self.records.get(&local)?.entry;
        let last = self.displace(&entry)?;
        let mut record = self.forget(local)?;
        record.entry.flags = last;
        Some(record)
    }

    /// Replaces the flags that belong to the user. The caller has made sure that nobody else listens there.
    pub(crate) fn set_flags(&mut self, local: Local, user: Flags) -> Result<bool, Full> {
        let Some(record) = self.records.get_mut(&local) else { return Ok(false) };
        let before = record.entry;
        let after = Entry { flags: (before.flags - Flags::USER) | (user & Flags::USER), ..before };
        let slot = before.handle.slot;
        let hash = self.table.foreign_hash(before.protocol, before.foreign, before.remote);
        if !indexed(&before) && indexed(&after) {
            self.table.by_foreign.insert(hash, slot).map_err(|_| Full)?;
        }
        let changed = self.table.slots.set_flags(before.handle, |old| (old - Flags::USER) | (user & Flags::USER));
        let listed = if changed.is_some() {
            record.entry = after;
            &after
        } else {
            &before
        };
        if !indexed(listed) && (indexed(&before) || indexed(&after)) {
            self.table.by_foreign.remove(hash, slot);
        }
        if changed.is_some() {
            self.changed(&after);
        }
        Ok(changed.is_some())
    }

    /// Gives an entry another foreign address or remote.
    pub(crate) fn rekey(
        &mut self,
        local: Local,
        foreign: SocketAddr,
        remote: Option<SocketAddr>,
    ) -> Result<bool, Full> {
        let Some(record) = self.records.get(&local) else { return Ok(false) };
        let before = record.entry;
        let Some(flags) = self.displace(&before) else { return Ok(false) };
        let flags = flags - Flags::LIVE;
        match self.place(Entry { foreign, remote, flags, ..before }) {
            Ok(entry) => {
                self.records.get_mut(&local).expect("looked up above").entry = entry;
                Ok(true)
            }
            Err(full) => {
                self.forget(local);
                Err(full)
            }
        }
    }

    /// Takes back what cores have used up.
    pub(crate) fn reclaim(&mut self) -> Vec<Claim> {
        let claimed = self.table.slots.take_claimed();
        claimed
            .into_iter()
            .map(|(entry, used_by)| {
                let record = self.forget(key(&entry)).expect("a claimed entry is remembered until now");
                self.unlist(&record.entry);
                self.table.slots.free_claimed(record.entry.handle);
                self.vacate(&record.entry);
                Claim { entry, audit: record.audit, used_by }
            })
            .collect()
    }

    /// Takes out what nobody has used in time.
    pub(crate) fn expire(&mut self, now_us: u64) -> Vec<Record> {
        let mut gone = Vec::new();
        while let Some(&(at, local)) = self.expiry.first() {
            if at > now_us {
                break;
            }
            // One that a core has taken in this very moment stays for `reclaim`.
            self.expiry.remove(&(at, local));
            gone.extend(self.remove(local));
        }
        gone
    }

    /// When [`Writer::expire`] has something to do.
    pub(crate) fn deadline_us(&self) -> Option<u64> {
        self.expiry.first().map(|&(at, _)| at)
    }

    /// Slot, both indexes, and the count of foreign addresses.
    fn place(&mut self, entry: Entry) -> Result<Entry, Full> {
        let slot = self.free_slot().ok_or(Full)?;
        let table = &self.table;
        let handle = table.slots.publish(slot, entry);
        let entry = Entry { handle, asker: None, ..entry };
        if entry.remote.is_some() {
            table.with_remote.fetch_add(1, std::sync::atomic::Ordering::Release);
        }
        table.entries.fetch_add(1, std::sync::atomic::Ordering::Release);
        let by_local = table.local_hash(entry.protocol, entry.local);
        let by_foreign = table.foreign_hash(entry.protocol, entry.foreign, entry.remote);
        let mut placed = table.by_local.insert(by_local, slot);
        if placed.is_ok() && indexed(&entry) {
            placed = table.by_foreign.insert(by_foreign, slot);
            if placed.is_err() {
                table.by_local.remove(by_local, slot);
            }
        }
        self.occupy(&entry);
        if placed.is_err() {
            self.table.slots.retire(entry.handle);
            self.vacate(&entry);
            return Err(Full);
        }
        Ok(entry)
    }

    /// The opposite of [`Writer::place`]; None if a core was faster and the entry is no longer ours to move.
    fn displace(&mut self, entry: &Entry) -> Option<Flags> {
        let last = self.table.slots.retire(entry.handle)?;
        self.changed(entry);
        self.unlist(entry);
        self.vacate(entry);
        Some(last)
    }

    /// Flows of datagrams that came by the entry as it was are over.
    fn changed(&self, entry: &Entry) {
        if entry.protocol == UDP {
            self.table.changes.note(entry.handle.slot);
        }
    }

    fn unlist(&self, entry: &Entry) {
        let table = &self.table;
        table.by_local.remove(table.local_hash(entry.protocol, entry.local), entry.handle.slot);
        if indexed(entry) {
            let hash = table.foreign_hash(entry.protocol, entry.foreign, entry.remote);
            table.by_foreign.remove(hash, entry.handle.slot);
        }
    }

    fn occupy(&mut self, entry: &Entry) {
        let uses = self.foreign.entry((entry.protocol, entry.foreign)).or_default();
        uses.entries += 1;
        uses.plain += u32::from(plain(entry));
    }

    /// Counts back what `place` has counted, and frees the slot.
    fn vacate(&mut self, entry: &Entry) {
        use std::sync::atomic::Ordering::Release;
        self.table.entries.fetch_sub(1, Release);
        if entry.remote.is_some() {
            self.table.with_remote.fetch_sub(1, Release);
        }
        self.free.push(entry.handle.slot);
        let foreign = (entry.protocol, entry.foreign);
        let uses = self.foreign.get_mut(&foreign).expect("counted when it was placed");
        uses.entries -= 1;
        uses.plain -= u32::from(plain(entry));
        if uses.entries == 0 {
            self.foreign.remove(&foreign);
        }
    }

    fn forget(&mut self, local: Local) -> Option<Record> {
        let record = self.records.remove(&local)?;
        if let Some(expires_us) = record.audit.expires_us {
            self.expiry.remove(&(expires_us, local));
        }
        Some(record)
    }

    fn free_slot(&mut self) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        let slot = self.fresh;
        ((slot as usize) < self.table.capacity()).then(|| {
            self.fresh += 1;
            slot
        })
    }
}

fn key(entry: &Entry) -> Local {
    (entry.protocol, entry.local)
}

/// True for entries that cores must find by their foreign address.
fn indexed(entry: &Entry) -> bool {
    entry.listens() && entry.foreign.port() != 0
}

fn plain(entry: &Entry) -> bool {
    !entry.mark_only() && entry.remote.is_none() && !entry.flags.contains(Flags::CONNECT_ONLY)
}

/// A new entry before it has a slot.
pub(crate) fn unplaced(protocol: u8, local: SocketAddr, foreign: SocketAddr, flags: Flags) -> Entry {
    Entry { protocol, local, foreign, remote: None, flags, handle: Handle::default(), asker: None }
}
