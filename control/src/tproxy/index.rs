//! From the hash of a key to slots: buckets of one cache line, fifteen places and a count each.
//!
//! A place is one atomic word, eight bits of the hash beside the slot plus one, so a reader sees it whole or not at all.
//! The count says how many keys wanted this bucket and lie in a later one; a reader goes on only while it is not zero.
//! The writer raises it before and lowers it after, so that no reader stops short of a key that is there.
//!
//! Keys are not compared here: the caller looks into the slot. Keys that never repeat are its promise, too. Small places
//! matter more than long tags: what a look-up waits for is memory, and a million entries' index shall stay in the cache.

use super::atomic::{AtomicU32, Ordering};
use super::limits::PROBE_BUCKETS_MAX;

const PLACES: usize = 15;
/// Low bits of a place: the slot plus one.
const SLOT: u32 = 0x00ff_ffff;

#[repr(align(64))]
struct Bucket {
    places: [AtomicU32; PLACES],
    beyond: AtomicU32,
}

pub(super) struct Index {
    buckets: Vec<Bucket>,
}

/// No place within reach of the key's home.
#[derive(Debug)]
pub(super) struct NoPlace;

/// What one bucket says about a key.
#[derive(Clone, Copy)]
pub(super) enum Likely {
    /// It is not in the index.
    Absent,
    /// Its tag is that of this slot: look there, and if it is another's, everywhere.
    In(u32),
    /// It may be in one of the next buckets.
    Elsewhere,
}

/// The bits of the hash that a place keeps; the bucket is chosen by others.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 & !SLOT
}

fn place(hash: u64, slot: u32) -> u32 {
    tag(hash) | (slot + 1)
}

/// The slot in a place, if it is taken and its tag is `tag`.
#[inline]
fn tagged(word: u32, tag: u32) -> Option<u32> {
    let slot = (word ^ tag).wrapping_sub(1);
    (slot < SLOT).then_some(slot)
}

impl Index {
    pub(super) fn new(capacity: usize) -> Index {
        // When the table is full, 29 to 57 of a hundred places are in use.
        let buckets = (capacity + capacity / 4 * 3).div_ceil(PLACES).next_power_of_two();
        let bucket = || Bucket { places: std::array::from_fn(|_| AtomicU32::new(0)), beyond: AtomicU32::new(0) };
        Index { buckets: (0..buckets).map(|_| bucket()).collect() }
    }

    fn probe(&self, hash: u64) -> impl Iterator<Item = &Bucket> {
        let mask = self.buckets.len() - 1;
        let home = hash as usize & mask;
        (0..PROBE_BUCKETS_MAX.min(self.buckets.len())).map(move |step| &self.buckets[(home + step) & mask])
    }

    /// Has the key's home bucket fetched, so that several are on their way at once.
    #[inline]
    pub(super) fn touch(&self, hash: u64) -> u32 {
        self.buckets[hash as usize & (self.buckets.len() - 1)].beyond.load(Ordering::Relaxed)
    }

    /// What the key's home bucket says about it, which is nearly always all there is to say.
    #[inline]
    pub(super) fn likely(&self, hash: u64) -> Likely {
        let bucket = &self.buckets[hash as usize & (self.buckets.len() - 1)];
        let tag = tag(hash);
        match bucket.places.iter().find_map(|place| tagged(place.load(Ordering::Acquire), tag)) {
            Some(slot) => Likely::In(slot),
            None if bucket.beyond.load(Ordering::Acquire) == 0 => Likely::Absent,
            None => Likely::Elsewhere,
        }
    }

    /// The first slot under this hash that `look` recognises.
    #[inline]
    pub(super) fn find<T>(&self, hash: u64, mut look: impl FnMut(u32) -> Option<T>) -> Option<T> {
        let tag = tag(hash);
        for bucket in self.probe(hash) {
            for place in &bucket.places {
                if let Some(slot) = tagged(place.load(Ordering::Acquire), tag)
                    && let Some(found) = look(slot)
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
