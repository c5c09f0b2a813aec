//! The atomics of the table, named once: the model checker that looks at every interleaving of a claim compiles the very
//! same files with its own in this one's place.

pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
