//! How many worlds stand at the same time. Each has a polling core and three hosts: more than two on a small machine
//! measure only the scheduler. Tests may be threads of one process or processes of their own (nextest), so the turns
//! are file locks, which the kernel gives back however a test ends.

use crate::{limits, wait};
use std::fs::{File, OpenOptions};

/// The right to have a world. Given back on drop.
pub(crate) struct Slot {
    index: usize,
    _lock: File,
}

impl Slot {
    pub(crate) fn take() -> Slot {
        let count: usize = std::env::var("LIMPID_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
        wait::until("a turn for this test's world", limits::SLOT, || (0..count.max(1)).find_map(Slot::try_take))
    }

    fn try_take(index: usize) -> Option<Slot> {
        let path = format!("/run/limpid-netns-{index}.lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.unwrap_or_else(|error| panic!("cannot open {path}: {error}"));
        file.try_lock().ok().map(|()| Slot { index, _lock: file })
    }

    /// The core for this world's worker: neighbours in time do not share one if there is a choice.
    pub(crate) fn core(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (self.index + 1) % cores
    }
}
