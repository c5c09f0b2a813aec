//! The entries themselves: one cache line each, read without locks while one thread writes.
//!
//! A line's first word holds its generation. The writer retires a line by moving to the next generation, fills the
//! other words while nobody can reach them, and publishes with one store. A reader takes the generation before and
//! after: if both are alike, what it read in between is one entry and not a mixture of two. If not, the entry it was
//! after has been removed while it looked, and "not there" is a true answer. So no reader ever waits or repeats.

use std::net::SocketAddr;

use super::atomic::{AtomicU64, Ordering, fence};
use super::entry::{Entry, Flags, Handle, Pattern, Seen, WORDS, Words, pack, socket};

#[repr(align(64))]
struct Line([AtomicU64; WORDS]);

/// Whose packet claimed the entry, and the next one in the list of claimed entries.
struct Taken {
    next: AtomicU64,
    address: [AtomicU64; 2],
    /// port (16) | IPv6 (1) | known (1)
    shape: AtomicU64,
}

pub(super) struct Slots {
    lines: Vec<Line>,
    taken: Vec<Taken>,
    /// The newest claimed slot plus one. Cores push, the writer takes the whole list; nobody pops single ones.
    claimed: AtomicU64,
}

fn zero() -> AtomicU64 {
    AtomicU64::new(0)
}

fn state(generation: u32, flags: Flags) -> u64 {
    u64::from(generation) << 32 | u64::from(flags.bits())
}

#[inline]
fn generation(state: u64) -> u32 {
    (state >> 32) as u32
}

#[inline]
fn flags(state: u64) -> Flags {
    Flags::from_bits_retain(state as u32)
}

impl Slots {
    pub(super) fn new(capacity: usize) -> Slots {
        let taken = || Taken { next: zero(), address: [zero(), zero()], shape: zero() };
        Slots {
            lines: (0..capacity).map(|_| Line(std::array::from_fn(|_| zero()))).collect(),
            taken: (0..capacity).map(|_| taken()).collect(),
            claimed: zero(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.lines.len()
    }

    /// For readers: is what is looked for in this slot? Compares the line's words where they are.
    #[inline]
    pub(super) fn find(&self, slot: u32, pattern: &Pattern) -> Option<Seen> {
        let line = &self.lines[slot as usize].0;
        // What is found may change hands before it is read: `words` asks for the generation again.
        let state = line[0].load(Ordering::Acquire);
        let fits = pattern.fits(flags(state), |word| line[word + 1].load(Ordering::Relaxed));
        fits.then_some(Seen { slot: u64::from(slot), state })
    }

    /// For readers: the words of an entry that was seen; None if it is gone.
    #[inline]
    pub(super) fn words(&self, seen: Seen) -> Option<Words> {
        let line = &self.lines[seen.slot as usize].0;
        let words: Words = std::array::from_fn(|at| line[at + 1].load(Ordering::Relaxed));
        // Pairs with the fence in `publish`: whoever saw one of its words sees here that the line was retired.
        fence(Ordering::Acquire);
        (generation(line[0].load(Ordering::Relaxed)) == generation(seen.state)).then_some(words)
    }

    /// For readers: the entry in a slot; None if it is free, or has changed hands while it was read.
    pub(super) fn read(&self, slot: u32) -> Option<Entry> {
        let state = self.lines[slot as usize].0[0].load(Ordering::Acquire);
        let seen = Seen { slot: u64::from(slot), state };
        if !seen.flags().contains(Flags::LIVE) {
            return None;
        }
        Some(Entry::from_words(&self.words(seen)?, seen, None))
    }

    /// For readers: has the line fetched, so that several are on their way at once.
    #[inline]
    pub(super) fn touch(&self, slot: u32) -> u64 {
        self.lines[slot as usize].0[0].load(Ordering::Relaxed)
    }

    /// For the core that uses an entry for a new flow. True unless it has been removed meanwhile, or is ONCE and
    /// somebody else was first.
    pub(super) fn claim(&self, handle: Handle, asker: Option<SocketAddr>) -> bool {
        let word = &self.lines[handle.slot as usize].0[0];
        let mut seen = word.load(Ordering::Acquire);
        loop {
            let flags = flags(seen);
            if generation(seen) != handle.generation || !flags.contains(Flags::LIVE) || flags.contains(Flags::CLAIMED) {
                return false;
            }
            let once = flags.contains(Flags::ONCE);
            if !once && flags.contains(Flags::APPLIED) {
                return true;
            }
            let wanted = flags | Flags::APPLIED | if once { Flags::CLAIMED } else { Flags::empty() };
            // Fails only if another core or the writer has just succeeded, so the loop ends.
            match word.compare_exchange_weak(
                seen,
                state(handle.generation, wanted),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) if once => break,
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        self.push_claimed(handle.slot, asker);
        true
    }

    fn push_claimed(&self, slot: u32, asker: Option<SocketAddr>) {
        let taken = &self.taken[slot as usize];
        let shape = asker.map_or(0, |asker| {
            let (words, v6) = pack(asker.ip());
            taken.address[0].store(words[0], Ordering::Relaxed);
            taken.address[1].store(words[1], Ordering::Relaxed);
            u64::from(asker.port()) << 2 | u64::from(v6) << 1 | 1
        });
        taken.shape.store(shape, Ordering::Relaxed);
        let mut head = self.claimed.load(Ordering::Relaxed);
        loop {
            taken.next.store(head, Ordering::Relaxed);
            let mine = u64::from(slot) + 1;
            match self.claimed.compare_exchange_weak(head, mine, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// For the writer: fills a free slot and makes it readable.
    pub(super) fn publish(&self, slot: u32, entry: Entry) -> Handle {
        let line = &self.lines[slot as usize].0;
        let before = line[0].load(Ordering::Relaxed);
        assert!(!flags(before).contains(Flags::LIVE), "slot {slot} is in use");
        fence(Ordering::Release);
        for (shared, word) in line[1..].iter().zip(entry.to_words()) {
            shared.store(word, Ordering::Relaxed);
        }
        let handle = Handle { slot, generation: generation(before) };
        line[0].store(state(handle.generation, entry.flags | Flags::LIVE), Ordering::Release);
        handle
    }

    /// For the writer: makes an entry invisible. Gives its last flags, or None if a core has claimed it first: then
    /// the slot comes back through [`Slots::take_claimed`].
    pub(super) fn retire(&self, handle: Handle) -> Option<Flags> {
        let last = self.change(handle, |_| None)?;
        Some(last)
    }

    /// For the writer: changes flags under the feet of the readers. Gives the old ones, None if claimed.
    pub(super) fn set_flags(&self, handle: Handle, new: impl Fn(Flags) -> Flags) -> Option<Flags> {
        self.change(handle, |old| Some(new(old)))
    }

    fn change(&self, handle: Handle, new: impl Fn(Flags) -> Option<Flags>) -> Option<Flags> {
        let word = &self.lines[handle.slot as usize].0[0];
        let mut seen = word.load(Ordering::Acquire);
        loop {
            assert_eq!(generation(seen), handle.generation, "only the writer ends a generation");
            if flags(seen).contains(Flags::CLAIMED) {
                return None;
            }
            let wanted = match new(flags(seen)) {
                Some(flags) => state(handle.generation, flags | Flags::LIVE),
                None => state(handle.generation.wrapping_add(1), Flags::empty()),
            };
            match word.compare_exchange_weak(seen, wanted, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(flags(seen)),
                Err(now) => seen = now,
            }
        }
    }

    /// For the writer: the entries claimed since the last call, with whose packet did it, newest first. Their slots
    /// stay as they are until [`Slots::free_claimed`].
    pub(super) fn take_claimed(&self) -> Vec<(Entry, Option<SocketAddr>)> {
        let mut claims = Vec::new();
        if self.claimed.load(Ordering::Relaxed) == 0 {
            return claims;
        }
        let mut next = self.claimed.swap(0, Ordering::Acquire);
        while next != 0 {
            let slot = (next - 1) as u32;
            let taken = &self.taken[slot as usize];
            let shape = taken.shape.load(Ordering::Relaxed);
            let words = [taken.address[0].load(Ordering::Relaxed), taken.address[1].load(Ordering::Relaxed)];
            let asker = socket(words, (shape >> 2) as u16, shape & 2 != 0);
            let entry = self.read(slot).expect("a claimed slot stays until the writer frees it");
            claims.push((entry, (shape & 1 != 0).then_some(asker)));
            next = taken.next.load(Ordering::Relaxed);
        }
        claims
    }

    pub(super) fn free_claimed(&self, handle: Handle) {
        let next = state(handle.generation.wrapping_add(1), Flags::empty());
        self.lines[handle.slot as usize].0[0].store(next, Ordering::Release);
    }
}
