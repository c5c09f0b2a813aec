//! Every interleaving of the table's lock-free parts, by the model checker loom.
//!
//! The files under test are the control plane's own, compiled here with loom's atomics in the place of the machine's:
//! what is checked is the code that runs. Checked are the claim of an ONCE entry by two cores, with the writer in the
//! race, and that a reader never sees parts of two entries. Left out: the index, whose places are single words.

// Only what the claim needs of these files is used here.
#![allow(dead_code, missing_docs, unreachable_pub)]

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering, fence};
}

#[path = "../control/src/tproxy/entry.rs"]
mod entry;
#[path = "../control/src/tproxy/slots.rs"]
mod slots;

use std::net::SocketAddr;

use entry::{Entry, Flags, Handle};
use loom::sync::Arc;
use loom::thread;
use slots::Slots;

const TCP: u8 = 6;

fn entry(port: u16, flags: Flags) -> Entry {
    let address = |text: &str| SocketAddr::new(text.parse().expect("an address"), port);
    Entry {
        protocol: TCP,
        local: address("10.0.0.1"),
        foreign: address("203.0.113.9"),
        remote: None,
        flags,
        handle: Handle::default(),
        asker: None,
    }
}

#[test]
fn two_cores_claim_and_exactly_one_wins() {
    loom::model(|| {
        let slots = Arc::new(Slots::new(1));
        let handle = slots.publish(0, entry(80, Flags::LISTEN | Flags::ONCE));
        let other = Arc::clone(&slots);
        let core = thread::spawn(move || other.claim(handle, None));
        let won = slots.claim(handle, None);
        assert_ne!(won, core.join().expect("a core does not panic"));
        assert_eq!(slots.take_claimed().len(), 1);
    });
}

#[test]
fn a_core_and_the_writer_race_and_exactly_one_has_the_entry() {
    loom::model(|| {
        let slots = Arc::new(Slots::new(1));
        let handle = slots.publish(0, entry(80, Flags::LISTEN | Flags::ONCE));
        let other = Arc::clone(&slots);
        let core = thread::spawn(move || other.claim(handle, None));
        let retired = slots.retire(handle).is_some();
        let won = core.join().expect("a core does not panic");
        assert_ne!(won, retired);
        assert_eq!(slots.take_claimed().len(), usize::from(won));
    });
}

#[test]
fn two_cores_claim_two_entries_and_the_writer_hears_of_both() {
    loom::model(|| {
        let slots = Arc::new(Slots::new(2));
        let first = slots.publish(0, entry(80, Flags::LISTEN | Flags::ONCE));
        let second = slots.publish(1, entry(81, Flags::LISTEN | Flags::ONCE));
        let other = Arc::clone(&slots);
        let core = thread::spawn(move || assert!(other.claim(first, None)));
        assert!(slots.claim(second, None));
        let mut heard = slots.take_claimed().len();
        core.join().expect("a core does not panic");
        heard += slots.take_claimed().len();
        assert_eq!(heard, 2);
    });
}

#[test]
fn a_reader_sees_one_entry_or_none_while_the_slot_changes_hands() {
    let mut model = loom::model::Builder::new();
    // Two changes of who runs show every way in which the eight words of an entry can be cut in two, and once more.
    model.preemption_bound = Some(2);
    model.check(|| {
        let slots = Arc::new(Slots::new(1));
        let handle = slots.publish(0, entry(80, Flags::LISTEN));
        let other = Arc::clone(&slots);
        let core = thread::spawn(move || {
            let seen = other.read(0);
            if let Some(seen) = &seen {
                assert_eq!(seen.local.port(), seen.foreign.port());
                assert_eq!(seen.handle.generation == handle.generation, seen.local.port() == 80);
            }
            // What was read of the first entry claims nothing of the second.
            let claimed = other.claim(handle, None);
            assert!(!claimed || seen.is_some_and(|seen| seen.handle.generation == handle.generation));
        });
        assert!(slots.retire(handle).is_some());
        slots.publish(0, entry(81, Flags::LISTEN));
        core.join().expect("a core does not panic");
        assert!(slots.take_claimed().is_empty(), "neither is for one connection");
    });
}
