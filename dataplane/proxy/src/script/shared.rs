//! `shared`: what a script remembers from one session to the next, on one core.
//!
//! Values by name, each with its time; bounded, so that what strangers make a script remember cannot fill the core:
//! when it is full, what was set first goes first. It outlives the script's state when that has to be made anew, and
//! goes with the generation of the configuration. Cores do not see each other's: a limit of ten sessions per client is
//! one of ten per core.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::limits::{SHARED_TIME_MAX, SHARED_VALUES_MAX};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kept {
    Flag(bool),
    Integer(i64),
    Number(f64),
    Text(Vec<u8>),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shared {
    values: HashMap<Vec<u8>, Entry>,
    /// Keys in the order in which they were set.
    order: BTreeMap<u64, Vec<u8>>,
    next: u64,
    /// How many had to go since somebody asked.
    evicted: u64,
}

#[derive(Debug)]
struct Entry {
    value: Kept,
    until: Duration,
    place: u64,
}

impl Shared {
    /// The value, if its time is not over.
    pub(super) fn get(&self, key: &[u8], now: Duration) -> Option<&Kept> {
        self.values.get(key).filter(|entry| now < entry.until).map(|entry| &entry.value)
    }

    /// Sets a value for a time.
    pub(super) fn set(&mut self, key: &[u8], value: Kept, time: Duration, now: Duration) {
        self.remove(key);
        if self.values.len() >= SHARED_VALUES_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.evicted += u64::from(self.values.remove(&oldest).is_some_and(|entry| now < entry.until));
        }
        let until = now.saturating_add(time.min(SHARED_TIME_MAX));
        self.values.insert(key.to_vec(), Entry { value, until, place: self.next });
        self.order.insert(self.next, key.to_vec());
        self.next += 1;
    }

    /// Adds to a number; a new one begins at zero and has its time from now, an old one keeps its own.
    pub(super) fn add(&mut self, key: &[u8], amount: i64, time: Duration, now: Duration) -> i64 {
        match self.values.get_mut(key).filter(|entry| now < entry.until) {
            Some(Entry { value: Kept::Integer(number), .. }) => {
                *number = number.saturating_add(amount);
                *number
            }
            _ => {
                self.set(key, Kept::Integer(amount), time, now);
                amount
            }
        }
    }

    /// Forgets it.
    pub(super) fn remove(&mut self, key: &[u8]) {
        if let Some(entry) = self.values.remove(key) {
            self.order.remove(&entry.place);
        }
    }

    /// How many had to go since this was asked last.
    pub(super) fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests;
