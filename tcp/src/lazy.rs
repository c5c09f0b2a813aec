//! What most connections do not have most of the time: one pointer wide, and no memory behind it, until it is used.
//!
//! A gateway holds a hundred thousand connections of which a few thousand have something in flight. Queues, the map of what
//! was sent and the state of repairs are therefore reached through a [`Lazy`]: reading an absent one reads the one empty
//! value that all share, the first change makes it. What must hold: an absent value and a new one are the same. Memory is
//! given back by [`Lazy::rest`] when a connection has been quiet for a while, not when a queue runs empty, so a busy
//! connection allocates nothing per segment.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

/// Has a value that says nothing.
pub(crate) trait Empty: Sized + 'static {
    /// It, shared by all that have none of their own.
    const EMPTY: &'static Self;

    /// A new one, to be changed.
    fn new() -> Self;

    /// Whether it may be forgotten, when the connection is quiet.
    fn is_forgettable(&self) -> bool;
}

#[derive(Debug)]
pub(crate) struct Lazy<T>(Option<Box<T>>);

impl<T: Empty> Lazy<T> {
    pub(crate) const fn new() -> Lazy<T> {
        Lazy(None)
    }

    /// Whether there is memory behind it.
    pub(crate) fn is_held(&self) -> bool {
        self.0.is_some()
    }

    /// Whether there is memory behind it that [`rest`](Lazy::rest) would give back.
    pub(crate) fn can_rest(&self) -> bool {
        self.0.as_ref().is_some_and(|value| value.is_forgettable())
    }

    /// To be changed if it is there; an absent one needs no change.
    pub(crate) fn held(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Gives the memory back, if there is nothing in it worth keeping.
    pub(crate) fn rest(&mut self) {
        if self.0.as_ref().is_some_and(|value| value.is_forgettable()) {
            self.0 = None;
        }
    }

    /// Forgets it, whatever is in it.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}

impl<T: Empty> Deref for Lazy<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::EMPTY)
    }
}

impl<T: Empty> DerefMut for Lazy<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::new()))
    }
}

impl<T: 'static> Empty for VecDeque<T> {
    const EMPTY: &'static VecDeque<T> = &VecDeque::new();

    fn new() -> VecDeque<T> {
        VecDeque::new()
    }

    fn is_forgettable(&self) -> bool {
        self.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_takes_no_memory_and_rest_gives_it_back() {
        let mut queue: Lazy<VecDeque<u8>> = Lazy::new();
        assert_eq!((queue.len(), queue.front(), queue.is_held()), (0, None, false));
        assert!(queue.held().is_none());
        queue.push_back(7);
        queue.rest();
        assert_eq!((queue.len(), queue.is_held()), (1, true), "it is in use");
        queue.pop_front();
        assert!(queue.is_held(), "kept for the next one");
        queue.rest();
        assert!(!queue.is_held());
        assert_eq!(size_of::<Lazy<VecDeque<u8>>>(), size_of::<usize>());
    }
}
