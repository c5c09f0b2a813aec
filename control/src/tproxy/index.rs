//! From the hash of a key to slots: buckets of one cache line, seven places and a count each.
//!
//! A place is one atomic word, the hash's upper half beside the slot plus one, so a reader sees it whole or not at
//! all. The count says how many keys wanted this bucket and lie in a later one; a reader goes on only while it is not
//! zero. The writer raises it before and lowers it after, so that no reader stops short of a key that is there.
//!
//! Keys are not compared here: the caller looks into the slot. Keys that never repeat are its promise, too.

use std::sync::atomic::{AtomicU64, Ordering};

use super::limits::PROBE_BUCKETS_MAX;

const PLACES: usize = 7;

#[repr(align(64))]
struct Bucket {
    places: [AtomicU64; PLACES],
    beyond: AtomicU64,
}

pub(super) struct Index {
    buckets: Vec<Bucket>,
}

/// No place within reach of the key's home.
#[derive(Debug)]
pub(super) struct NoPlace;

fn place(hash: u64, slot: u32) -> u64 {
    (hash & 0xffff_ffff_0000_0000) | (u64::from(slot) + 1)
}

impl Index {
    pub(super) fn new(capacity: usize) -> Index {
        let buckets = (capacity * 2).div_ceil(PLACES).next_power_of_two();
        let bucket = || Bucket { places: std::array::from_fn(|_| AtomicU64::new(0)), beyond: AtomicU64::new(0) };
        Index { buckets: (0..buckets).map(|_| bucket()).collect() }
    }

    fn probe(&self, hash: u64) -> impl Iterator<Item = &Bucket> {
        let mask = self.buckets.len() - 1;
        let home = hash as usize & mask;
        (0..PROBE_BUCKETS_MAX.min(self.buckets.len())).map(move |step| &self.buckets[(home + step) & mask])
    }

    /// The first slot under this hash that `look` recognises.
    #[inline]
    pub(super) fn find<T>(&self, hash: u64, mut look: impl FnMut(u32) -> Option<T>) -> Option<T> {
        for bucket in self.probe(hash) {
            for place in &bucket.places {
                let word = place.load(Ordering::Acquire);
                if word >> 32 == hash >> 32
                    && word as u32 != 0
                    && let Some(found) = look(word as u32 - 1)
                {
                    return Some(found);
                }
            }
            if bucket.beyond.load(Ordering::Acquire) == 0 {
                return None;
            }
        }
        None
    }

    /// For the writer.
    pub(super) fn insert(&self, hash: u64, slot: u32) -> Result<(), NoPlace> {
        let free = |bucket: &Bucket| bucket.places.iter().position(|place| place.load(Ordering::Relaxed) == 0);
        let (distance, at) = self
            .probe(hash)
            .enumerate()
            .find_map(|(distance, bucket)| Some((distance, free(bucket)?)))
            .ok_or(NoPlace)?;
        for passed in self.probe(hash).take(distance) {
            passed.beyond.fetch_add(1, Ordering::Release);
        }
        let bucket = self.probe(hash).nth(distance).expect("just found");
        bucket.places[at].store(place(hash, slot), Ordering::Release);
        Ok(())
    }

    /// For the writer: takes out what [`Index::insert`] put in with the same arguments.
    pub(super) fn remove(&self, hash: u64, slot: u32) {
        let word = place(hash, slot);
        let find = |bucket: &Bucket| bucket.places.iter().position(|place| place.load(Ordering::Relaxed) == word);
        let (distance, at) = self
            .probe(hash)
            .enumerate()
            .find_map(|(distance, bucket)| Some((distance, find(bucket)?)))
            .expect("the writer removes only what it has inserted");
        let bucket = self.probe(hash).nth(distance).expect("just found");
        bucket.places[at].store(0, Ordering::Release);
        for passed in self.probe(hash).take(distance) {
            passed.beyond.fetch_sub(1, Ordering::Release);
        }
    }
}
