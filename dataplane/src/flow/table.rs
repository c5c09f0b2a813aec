//! Finds what is known of a flow: an open-addressing index of small numbers over an arena of entries.
//!
//! All memory for entries is taken when the table is made; a full table refuses, clearly, and whoever asked
//! counts it or makes room. Ids carry a generation, so an id that outlives its flow finds nothing rather than another
//! flow. The hash is keyed by a seed of the core: nobody outside can choose tuples that collide. Entries have no order
//! but their place in the arena, which is what listings walk and what makes the same run the same, whatever the seed.
//!
//! Left out: ageing. Who puts an entry in has a timer that takes it out.

use std::hash::{Hash, Hasher};
use std::ops::{Index, IndexMut};

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use hashbrown::HashTable;

use super::Key;

/// One entry of a [`Table`], as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    index: u32,
    generation: u32,
}

impl FlowId {
    /// Place in the arena; a cursor for [`Table::iter`] begins one after the last one seen.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// As one number, for listings.
    #[must_use]
    pub fn number(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }
}

/// Why an entry was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// All places are taken.
    Full,
    /// There already is one of this key.
    Exists(FlowId),
}

/// Flows by their keys, up to a fixed number.
#[derive(Debug)]
pub struct Table<V> {
    /// Places in `slots`, by the hash of their key.
    index: HashTable<u32>,
    slots: Vec<Slot<V>>,
    /// The first of the vacant slots that have been used before.
    vacant: Option<u32>,
    capacity: usize,
    hash: KeyHash,
}

#[derive(Debug)]
struct Slot<V> {
    generation: u32,
    content: Content<V>,
}

#[derive(Debug)]
enum Content<V> {
    Used { key: Key, value: V },
    Vacant { next: Option<u32> },
}

/// The keyed hash. Both seeds are secret: with one of them known, words could be chosen that multiply by zero.
#[derive(Debug)]
struct KeyHash {
    seed: u64,
    shared: SharedSeed,
}

impl KeyHash {
    fn of(&self, key: &Key) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        key.hash(&mut hasher);
        hasher.finish()
    }
}

impl<V> Table<V> {
    /// An empty table for `capacity` entries.
    ///
    /// # Panics
    /// When `capacity` does not fit 32 bits.
    #[must_use]
    pub fn new(capacity: usize, seed: u64) -> Self {
        assert!(u32::try_from(capacity).is_ok(), "a place is 32 bits");
        Table {
            // A third more: the index is then filled to two thirds at most, and entries that are taken out leave few
            // tombstones (hashbrown needs one only where a whole group was full), so it is seldom laid out anew.
            index: HashTable::with_capacity(capacity + capacity / 3),
            slots: Vec::with_capacity(capacity),
            vacant: None,
            capacity,
            hash: KeyHash { seed: seed.rotate_left(32), shared: SharedSeed::from_u64(seed) },
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// None?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// As many as there can be?
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity
    }

    /// How many there can be.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The entry of a key.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<FlowId> {
        let slots = &self.slots;
        let index = *self.index.find(self.hash.of(key), |&index| slots[index as usize].has(key))?;
        Some(FlowId { index, generation: slots[index as usize].generation })
    }

    /// Makes an entry.
    ///
    /// # Errors
    /// [`Refused`]: the table is full, or the key is there.
    pub fn insert(&mut self, key: Key, value: V) -> Result<FlowId, Refused> {
        if let Some(id) = self.find(&key) {
            return Err(Refused::Exists(id));
        }
        if self.is_full() {
            return Err(Refused::Full);
        }
        let index = self.place(Content::Used { key, value });
        let Table { index: table, slots, hash, .. } = self;
        table.insert_unique(hash.of(&key), index, |&index| match &slots[index as usize].content {
            Content::Used { key, .. } => hash.of(key),
            Content::Vacant { .. } => unreachable!("the index names used slots only"),
        });
        Ok(FlowId { index, generation: self.slots[index as usize].generation })
    }

    fn place(&mut self, content: Content<V>) -> u32 {
        let Some(index) = self.vacant else {
            self.slots.push(Slot { generation: 0, content });
            return (self.slots.len() - 1) as u32;
        };
        let slot = &mut self.slots[index as usize];
        if let Content::Vacant { next } = slot.content {
            self.vacant = next;
        }
        slot.content = content;
        index
    }

    /// Takes an entry out.
    pub fn remove(&mut self, id: FlowId) -> Option<V> {
        let hash = self.hash.of(self.key(id)?);
        let entry = self.index.find_entry(hash, |&index| index == id.index);
        entry.expect("a used slot is in the index").remove();
        let slot = &mut self.slots[id.index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        let content = std::mem::replace(&mut slot.content, Content::Vacant { next: self.vacant });
        self.vacant = Some(id.index);
        match content {
            Content::Used { value, .. } => Some(value),
            Content::Vacant { .. } => None,
        }
    }

    /// The key of an entry.
    #[must_use]
    pub fn key(&self, id: FlowId) -> Option<&Key> {
        self.entry(id).map(|(key, _)| key)
    }

    /// What is known of a flow.
    #[must_use]
    pub fn get(&self, id: FlowId) -> Option<&V> {
        self.entry(id).map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, id: FlowId) -> Option<&mut V> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        match &mut slot.content {
            Content::Used { value, .. } => Some(value),
            Content::Vacant { .. } => None,
        }
    }

    fn entry(&self, id: FlowId) -> Option<(&Key, &V)> {
        self.slots.get(id.index as usize).filter(|slot| slot.generation == id.generation)?.used()
    }

    /// The entries at the `places` places from place `from` on, so that a long listing can be told in parts.
    pub fn iter(&self, from: u32, places: usize) -> impl Iterator<Item = (FlowId, &Key, &V)> {
        let slots = self.slots.iter().enumerate().skip(from as usize).take(places);
        slots.filter_map(|(index, slot)| {
            let (key, value) = slot.used()?;
            Some((FlowId { index: index as u32, generation: slot.generation }, key, value))
        })
    }

    /// How many places have ever been used: where a listing ends.
    #[must_use]
    pub fn places(&self) -> u32 {
        self.slots.len() as u32
    }
}

impl<V> Slot<V> {
    fn used(&self) -> Option<(&Key, &V)> {
        match &self.content {
            Content::Used { key, value } => Some((key, value)),
            Content::Vacant { .. } => None,
        }
    }

    fn has(&self, wanted: &Key) -> bool {
        matches!(&self.content, Content::Used { key, .. } if key == wanted)
    }
}

/// For ids just found; a stale one is a bug.
impl<V> Index<FlowId> for Table<V> {
    type Output = V;

    fn index(&self, id: FlowId) -> &V {
        self.get(id).expect("the flow is still there")
    }
}

impl<V> IndexMut<FlowId> for Table<V> {
    fn index_mut(&mut self, id: FlowId) -> &mut V {
        self.get_mut(id).expect("the flow is still there")
    }
}

#[cfg(test)]
mod tests;
