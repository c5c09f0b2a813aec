//! Every interleaving of the table's lock-free parts, by the model checker loom.
//!
//! The files under test are the control plane's own, compiled here with loom's atomics in the place of the machine's:
//! what is checked is the code that runs. Checked are the claim of an ONCE entry by two cores, with the writer in the
//! race, that a reader never sees parts of two entries, and that the index tells of a key that stays whatever comes and
//! goes beside it.

// Only what the claim needs of these files is used here.
#![allow(dead_code, missing_docs, unreachable_pub)]

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
}

#[path = "../control/src/tproxy/entry.rs"]
mod entry;
#[path = "../control/src/tproxy/index.rs"]
mod index;
#[path = "../control/src/tproxy/limits.rs"]
mod limits;
#[path = "../control/src/tproxy/slots.rs"]
mod slots;

use std::net::SocketAddr;

use entry::{Entry, Flags, Handle};
use index::{Index, Likely};
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

/// Hashes of one bucket, and of one tag: the worst that keys can have in common.
fn alike(key: u64) -> u64 {
    0x5a << 56 | key << 48
}

fn look(index: &Index, key: u64) -> Option<u32> {
    index.find(alike(key), |slot| (u64::from(slot) == key).then_some(slot))
}

#[test]
fn a_key_that_stays_is_found_whatever_comes_and_goes_beside_it() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let index = Arc::new(Index::new(1));
        index.insert(alike(1), 1).expect("there is room");
        index.insert(alike(2), 2).expect("there is room");
        let other = Arc::clone(&index);
        let core = thread::spawn(move || {
            assert_eq!(look(&other, 2), Some(2));
            assert!(other.likely(alike(2)) != Likely::ABSENT);
            // One that comes is found or not; a place in other hands is nobody else's.
            let come = look(&other, 3);
            assert!(come.is_none_or(|slot| slot == 3));
            assert!(look(&other, 4).is_none());
        });
        index.remove(alike(1), 1);
        index.insert(alike(3), 3).expect("there is room");
        core.join().expect("a core does not panic");
        assert_eq!(look(&index, 1), None);
        assert_eq!(look(&index, 3), Some(3));
    });
}

#[test]
fn a_key_beyond_its_bucket_is_found_while_others_pass_it() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        // Two buckets; all are at home in the first, which has twelve places.
        let index = Arc::new(Index::new(12));
        for key in 0..14 {
            index.insert(alike(key), key as u32).expect("there is room");
        }
        let other = Arc::clone(&index);
        let core = thread::spawn(move || assert_eq!(look(&other, 13), Some(13)));
        index.remove(alike(12), 12);
        index.insert(alike(14), 14).expect("there is room");
        core.join().expect("a core does not panic");
    });
}
