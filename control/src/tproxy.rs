//! The tproxy entries: which foreign address stands for which local one, written by one thread, read by every core.
//!
//! An entry is what the three features of the original patch leave behind in the kernel's tables: a foreign address
//! to listen on, a foreign address to connect from, or a mark. Cores look entries up for every new flow, so:
//!
//! * Readers never lock and never wait. The index only says where to look, in one cache line for nearly every key;
//!   an entry is one cache line guarded by its own generation. A reader that is overtaken by the writer finds nothing,
//!   which is true by then, and a writer that is interrupted in the middle of a change holds nobody up, because what it
//!   was writing is not reachable yet.
//! * There is exactly one [`Writer`]; it is not `Clone`. What only the writer needs (who asked, until when, which
//!   foreign addresses are taken) is kept outside the shared part.
//! * An `ONCE` entry is claimed by compare-and-swap: of all cores that see it exactly one wins, and it is invisible
//!   from that moment on. The writer takes the slot back later.
//! * UDP flows are linked to the entry they came by, and end with it (`changes`).
//!
//! Left out: orphans. In the kernel an unassigned listener lives on until its last connection ends, because
//! connections lean on the entry. Here every flow carries its own mapping, so an entry may go at once.

mod atomic;
mod changes;
mod entry;
mod index;
pub mod limits;
mod slots;
mod table;
mod writer;

pub use changes::Link;
pub use entry::{Entry, Flags};
pub use table::{Table, Wanted};
pub use writer::{Audit, Claim, Full, Writer};
pub(crate) use writer::{Record, unplaced};

use std::sync::Arc;

/// A table for up to `capacity` entries, and the one hand that may change it. The seed keys the hash.
pub fn table(capacity: usize, seed: u64) -> (Arc<Table>, Writer) {
    let table = Arc::new(Table::new(capacity, seed));
    let writer = Writer::new(Arc::clone(&table));
    (table, writer)
}

#[cfg(test)]
mod tests;
