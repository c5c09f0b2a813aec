//! From the hash of a key to slots: buckets of one cache line, twelve places each.
//!
//! ```text
//! 0   tags      of places 0 to 7, a byte each; zero: nothing is there
//! 8   rest      tags of places 8 to 11 | beyond (32): how many keys wanted this bucket and lie in a later one
//! 16  places    twelve of 32 bits: eight more bits of the hash beside the slot plus one
//! ```
//!
//! A look-up compares all tags at once, in two words and without a branch, so nothing is guessed before the line has
//! come: what it costs is memory, and a burst of look-ups has all its lines on their way together. A key that is not
//! there touches this one line. The writer fills a place before it shows the tag, and takes the tag away first; a reader
//! that saw a tag may find the place in other hands, so whoever asks compares the key in the slot. A key that stays has
//! its tag and its place all the time. The writer raises `beyond` before and lowers it after, so that no reader stops
//! short of a key that is there.
//!
//! Keys are not compared here: the caller looks into the slot. Keys that never repeat are its promise, too.

use std::hint::select_unpredictable;

use super::atomic::{AtomicU32, AtomicU64, Ordering};
use super::limits::PROBE_BUCKETS_MAX;

const PLACES: usize = 12;
/// Keys a bucket has when the table is full, on average.
const FILLED: usize = 6;
/// Low bits of a place: the slot plus one.
const SLOT: u32 = 0x00ff_ffff;
/// One in every byte.
const EVERY: u64 = 0x0101_0101_0101_0101;
/// One key beyond, in `rest`.
const BEYOND: u64 = 1 << 32;

#[repr(align(64))]
struct Bucket {
    tags: AtomicU64,
    rest: AtomicU64,
    places: [AtomicU32; PLACES],
}

pub(super) struct Index {
    buckets: Vec<Bucket>,
}

/// No place within reach of the key's home.
#[derive(Debug)]
pub(super) struct NoPlace;

/// What one bucket says about a key, in one word so that saying it takes no branch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Likely(u32);

impl Likely {
    /// It is not in the index.
    pub(super) const ABSENT: Likely = Likely(u32::MAX);
    /// It may be in one of the next buckets, or under another tag that is alike.
    const ELSEWHERE: Likely = Likely(u32::MAX - 1);

    /// The slot whose tag is the key's: look there, and if it is another's or none is told, everywhere.
    #[inline]
    pub(super) fn slot(self) -> Option<u32> {
        (self.0 < SLOT).then_some(self.0)
    }
}

/// The bits of the hash that a tag keeps, in every byte; never zero. The bucket is chosen by the lower half.
#[inline]
fn tag(hash: u64) -> u64 {
    (hash >> 56).max(1)
}

/// The bits of the hash that a place keeps.
#[inline]
fn second_tag(hash: u64) -> u32 {
    (hash >> 24) as u32 & !SLOT
}

fn place(hash: u64, slot: u32) -> u32 {
    second_tag(hash) | (slot + 1)
}

/// The slot in a place, if it is the hash's.
#[inline]
fn slot_in(word: u32, hash: u64) -> Option<u32> {
    let slot = (word ^ second_tag(hash)).wrapping_sub(1);
    (slot < SLOT).then_some(slot)
}

/// The highest bit of every byte that is zero, and perhaps of a few after the first that is: whoever asks looks.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(EVERY) & !word & (EVERY << 7)
}

/// Places that may hold a key, as bits.
#[derive(Clone, Copy)]
struct Alike(u64);

impl Alike {
    #[inline]
    fn of(tags: u64, rest: u64, tag: u64) -> Alike {
        // One byte of the word for one place of each half: bit 0 those of `tags`, bit 1 those of `rest`.
        let wanted = tag * EVERY;
        let in_rest = zero_bytes(rest ^ wanted) & (BEYOND - 1);
        Alike(zero_bytes(tags ^ wanted) >> 7 | in_rest >> 6)
    }

    /// The first of them; of none, any place.
    #[inline]
    fn first(self) -> usize {
        let bit = self.0.trailing_zeros() as usize & 63;
        (bit >> 3) + ((bit & 1) << 3)
    }
}

impl Iterator for Alike {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let first = (self.0 != 0).then(|| self.first());
        self.0 &= self.0.wrapping_sub(1);
        first
    }
}

impl Bucket {
    fn new() -> Bucket {
        let places = std::array::from_fn(|_| AtomicU32::new(0));
        Bucket { tags: AtomicU64::new(0), rest: AtomicU64::new(0), places }
    }

    /// For the writer: the word that has a place's tag, and where in it.
    fn tag_of(&self, place: usize) -> (&AtomicU64, u32) {
        let word = if place < 8 { &self.tags } else { &self.rest };
        (word, (place as u32 & 7) * 8)
    }

    /// For the writer: a place that has no tag.
    fn free(&self) -> Option<usize> {
        (0..PLACES).find(|place| {
            let (word, shift) = self.tag_of(*place);
            word.load(Ordering::Relaxed) >> shift & 0xff == 0
        })
    }
}

impl Index {
    pub(super) fn new(capacity: usize) -> Index {
        Index { buckets: (0..capacity.div_ceil(FILLED)).map(|_| Bucket::new()).collect() }
    }

    /// Any number of buckets, without a division: Lemire, "Fast Random Integer Generation in an Interval".
    #[inline]
    fn home(&self, hash: u64) -> usize {
        (((hash & 0xffff_ffff) * self.buckets.len() as u64) >> 32) as usize
    }

    fn probe(&self, hash: u64) -> impl Iterator<Item = &Bucket> {
        let (before, from_home) = self.buckets.split_at(self.home(hash));
        from_home.iter().chain(before).take(PROBE_BUCKETS_MAX)
    }

    /// Has the key's home bucket fetched, so that several are on their way at once.
    #[inline]
    pub(super) fn touch(&self, hash: u64) -> u64 {
        self.buckets[self.home(hash)].tags.load(Ordering::Relaxed)
    }

    /// What the key's home bucket says about it, which is nearly always all there is to say.
    #[inline]
    pub(super) fn likely(&self, hash: u64) -> Likely {
        let bucket = &self.buckets[self.home(hash)];
        let (tags, rest) = (bucket.tags.load(Ordering::Acquire), bucket.rest.load(Ordering::Acquire));
        let alike = Alike::of(tags, rest, tag(hash));
        let word = bucket.places[alike.first()].load(Ordering::Relaxed);
        let slot = (word ^ second_tag(hash)).wrapping_sub(1);
        // Hits and misses come in no order that could be learned, and a wrong guess would wait for memory: no branch.
        let none = Likely::ABSENT.0 - u32::from(rest >= BEYOND);
        Likely(select_unpredictable(alike.0 == 0, none, slot.min(Likely::ELSEWHERE.0)))
    }

    /// The first slot under this hash that `look` recognises.
    #[inline]
    pub(super) fn find<T>(&self, hash: u64, mut look: impl FnMut(u32) -> Option<T>) -> Option<T> {
        for bucket in self.probe(hash) {
            let (tags, rest) = (bucket.tags.load(Ordering::Acquire), bucket.rest.load(Ordering::Acquire));
            for place in Alike::of(tags, rest, tag(hash)) {
                if let Some(slot) = slot_in(bucket.places[place].load(Ordering::Relaxed), hash)
                    && let Some(found) = look(slot)
                {
                    return Some(found);
                }
            }
            if rest < BEYOND {
                return None;
            }
        }
        None
    }

    /// For the writer.
    pub(super) fn insert(&self, hash: u64, slot: u32) -> Result<(), NoPlace> {
        let free = |(distance, bucket): (usize, &Bucket)| Some((distance, bucket.free()?));
        let (distance, at) = self.probe(hash).enumerate().find_map(free).ok_or(NoPlace)?;
        for passed in self.probe(hash).take(distance) {
            passed.rest.fetch_add(BEYOND, Ordering::Release);
        }
        let bucket = self.probe(hash).nth(distance).expect("just found");
        bucket.places[at].store(place(hash, slot), Ordering::Relaxed);
        let (word, shift) = bucket.tag_of(at);
        word.fetch_or(tag(hash) << shift, Ordering::Release);
        Ok(())
    }

    /// For the writer: takes out what [`Index::insert`] put in with the same arguments.
    pub(super) fn remove(&self, hash: u64, slot: u32) {
        let wanted = place(hash, slot);
        // Places are not wiped, so the tag has to be looked at, too.
        let holds = |bucket: &Bucket, at: usize| {
            let (word, shift) = bucket.tag_of(at);
            let tagged = word.load(Ordering::Relaxed) >> shift & 0xff == tag(hash);
            tagged && bucket.places[at].load(Ordering::Relaxed) == wanted
        };
        let find = |(distance, bucket): (usize, &Bucket)| Some((distance, (0..PLACES).find(|at| holds(bucket, *at))?));
        let found = self.probe(hash).enumerate().find_map(find);
        let (distance, at) = found.expect("the writer removes only what it has inserted");
        let (word, shift) = self.probe(hash).nth(distance).expect("just found").tag_of(at);
        word.fetch_and(!(0xff << shift), Ordering::Release);
        for passed in self.probe(hash).take(distance) {
            passed.rest.fetch_sub(BEYOND, Ordering::Release);
        }
    }
}
