//! A hierarchical timing wheel: any number of deadlines, each set and rung in constant time.
//!
//! ```text
//! level 0: 64 slots of 1 ms │ level 1: 64 of 64 ms │ level 2: 64 of 4 s │ … ten levels reach beyond all time
//! ```
//!
//! An item lies on the level of the highest digit (base 64) in which its tick differs from the present one; when the
//! present reaches its slot, it moves down. So nothing wraps round, and a level's slots at or after the present one
//! hold all it has. A slot is a list through an arena of nodes: no allocation once the arena has grown to its peak.
//!
//! What must hold: nothing rings before its time (ticks are rounded up when set, down when the clock is read); one
//! call does no more than its budget of work, the rest is left for the next. Who is gone takes what it has set back
//! ([`Wheel::cancel`]), so that a wheel holds no more than there is: connections that last milliseconds and may idle for hours
//! would fill it. Whoever rings looks at its own deadline all the same; it may have moved on.

use tcp::Instant;

use crate::limits::{TIMER_MOVES_PER_ITEM, TIMER_TICK_MICROS};

/// Slots of a level, as bits of a tick.
const LEVEL_BITS: u32 = 6;
const SLOTS: usize = 1 << LEVEL_BITS;
/// 60 bits of milliseconds: more than 64 bits of microseconds.
const LEVELS: usize = 10;
/// The end of a list.
const NONE: u32 = u32::MAX;
/// The place of what is due.
const DUE: u16 = u16::MAX;

/// Something that was set; stale ones find nothing, and so does the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerId {
    index: u32,
    generation: u32,
}

impl Default for TimerId {
    fn default() -> Self {
        TimerId { index: NONE, generation: 0 }
    }
}

/// Items and when they are to ring.
#[derive(Debug)]
pub struct Wheel<T> {
    levels: [Level; LEVELS],
    /// What has to ring and has not yet: in order.
    due: List,
    nodes: Vec<Node<T>>,
    /// Unused nodes.
    free: u32,
    len: usize,
    /// The present, in ticks: every item that is not due lies after it.
    present: u64,
}

#[derive(Debug)]
struct Level {
    /// Which slots hold anything: bit n is slot n.
    occupied: u64,
    slots: [List; SLOTS],
}

/// A list of nodes: first in, first out.
#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

const EMPTY: List = List { first: NONE, last: NONE };

#[derive(Clone, Copy, Debug)]
struct Node<T> {
    item: T,
    tick: u64,
    next: u32,
    previous: u32,
    /// How often this node was taken back or rang.
    generation: u32,
    /// Level and slot, or [`DUE`].
    place: u16,
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel; time does not run back behind `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Wheel::with_room(now, 0)
    }

    /// The same with room for so many items, taken at once: growing moves all that there are.
    #[must_use]
    pub fn with_room(now: Instant, room: usize) -> Self {
        Wheel {
            levels: [const { Level { occupied: 0, slots: [EMPTY; SLOTS] } }; LEVELS],
            due: EMPTY,
            nodes: Vec::with_capacity(room),
            free: NONE,
            len: 0,
            present: now.as_micros() / TIMER_TICK_MICROS,
        }
    }

    /// Items that have not rung.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// None?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Lets `item` ring at `at`, or at once if that is past; as often as it is set.
    pub fn set(&mut self, at: Instant, item: T) -> TimerId {
        let tick = at.as_micros().div_ceil(TIMER_TICK_MICROS);
        let index = if self.free == NONE {
            assert!(self.nodes.len() < NONE as usize, "a node's place is 32 bits");
            self.nodes.push(Node { item, tick, next: NONE, previous: NONE, generation: 0, place: DUE });
            (self.nodes.len() - 1) as u32
        } else {
            let index = self.free;
            let node = &mut self.nodes[index as usize];
            self.free = node.next;
            (node.item, node.tick) = (item, tick);
            index
        };
        self.len += 1;
        self.lay(index);
        TimerId { index, generation: self.nodes[index as usize].generation }
    }

    /// Sets it in place of what was set before.
    pub fn replace(&mut self, id: &mut TimerId, at: Instant, item: T) {
        self.cancel(*id);
        *id = self.set(at, item);
    }

    /// Takes it back, if it has not rung.
    pub fn cancel(&mut self, id: TimerId) {
        let Some(&Node { next, previous, generation, place, .. }) = self.nodes.get(id.index as usize) else { return };
        if generation != id.generation {
            return;
        }
        match previous {
            NONE => self.list(place).first = next,
            previous => self.nodes[previous as usize].next = next,
        }
        match next {
            NONE => self.list(place).last = previous,
            next => self.nodes[next as usize].previous = previous,
        }
        if place != DUE && self.list(place).first == NONE {
            self.levels[usize::from(place) / SLOTS].occupied &= !(1 << (usize::from(place) % SLOTS));
        }
        self.release(id.index);
    }

    fn list(&mut self, place: u16) -> &mut List {
        match place {
            DUE => &mut self.due,
            place => &mut self.levels[usize::from(place) / SLOTS].slots[usize::from(place) % SLOTS],
        }
    }

    /// A node that is in no list any more is free.
    fn release(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        node.generation = node.generation.wrapping_add(1);
        node.next = self.free;
        self.free = index;
        self.len -= 1;
    }

    /// Appends up to `budget` items whose time has come; what is left rings with the next calls.
    pub fn expire(&mut self, now: Instant, budget: usize, rung: &mut Vec<T>) {
        let now = now.as_micros() / TIMER_TICK_MICROS;
        let mut moves = budget.saturating_mul(TIMER_MOVES_PER_ITEM);
        for _ in 0..budget {
            while self.due.first == NONE {
                match self.earliest() {
                    Some((level, tick)) if tick <= now && moves > 0 => self.move_down(level, tick, &mut moves),
                    Some((_, tick)) if tick <= now => return,
                    _ => {
                        self.present = self.present.max(now);
                        return;
                    }
                }
            }
            self.ring(rung);
        }
    }

    /// When to call [`Wheel::expire`] next: no item rings before, though perhaps none does then.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let tick = if self.due.first == NONE { self.earliest()?.1 } else { self.present };
        Some(Instant::from_micros(tick.saturating_mul(TIMER_TICK_MICROS)))
    }

    /// Puts a node where its tick belongs.
    fn lay(&mut self, index: u32) {
        let tick = self.nodes[index as usize].tick;
        if tick <= self.present {
            append(&mut self.nodes, &mut self.due, index, DUE);
            return;
        }
        let level = ((tick ^ self.present).ilog2() / LEVEL_BITS) as usize;
        let slot = digit(tick, level);
        self.levels[level].occupied |= 1 << slot;
        append(&mut self.nodes, &mut self.levels[level].slots[slot], index, (level * SLOTS + slot) as u16);
    }

    /// The level and the first tick of the slot that comes next.
    ///
    /// A lower level's items all come before a higher one's. The one exception is a slot at the present place of its
    /// level: one that a budget left half moved.
    fn earliest(&self) -> Option<(usize, u64)> {
        let half_moved =
            (1..LEVELS).rev().find(|&level| self.levels[level].occupied >> digit(self.present, level) & 1 != 0);
        if let Some(level) = half_moved {
            return Some((level, self.present));
        }
        let (level, occupied) =
            self.levels.iter().map(|level| level.occupied).enumerate().find(|&(_, bits)| bits != 0)?;
        let slot = u64::from(occupied.trailing_zeros());
        let shift = level as u32 * LEVEL_BITS;
        let above = self.present >> shift >> LEVEL_BITS << LEVEL_BITS;
        Some((level, (above | slot) << shift))
    }

    /// The present becomes `tick`, and what lies in its slot of `level` moves to lower levels or is due.
    fn move_down(&mut self, level: usize, tick: u64, moves: &mut usize) {
        self.present = tick.max(self.present);
        let slot = digit(self.present, level);
        while *moves > 0 {
            let index = self.levels[level].slots[slot].first;
            if index == NONE {
                break;
            }
            *moves -= 1;
            let next = self.nodes[index as usize].next;
            self.levels[level].slots[slot].first = next;
            if next != NONE {
                self.nodes[next as usize].previous = NONE;
            }
            self.lay(index);
        }
        if self.levels[level].slots[slot].first == NONE {
            self.levels[level].slots[slot] = EMPTY;
            self.levels[level].occupied &= !(1 << slot);
        }
    }

    /// The first that is due rings.
    fn ring(&mut self, rung: &mut Vec<T>) {
        let index = self.due.first;
        let Node { item, next, .. } = self.nodes[index as usize];
        rung.push(item);
        self.due.first = next;
        if next != NONE {
            self.nodes[next as usize].previous = NONE;
        }
        self.release(index);
    }
}

fn append<T>(nodes: &mut [Node<T>], list: &mut List, index: u32, place: u16) {
    let previous = if list.first == NONE { NONE } else { list.last };
    let node = &mut nodes[index as usize];
    (node.next, node.previous, node.place) = (NONE, previous, place);
    match previous {
        NONE => list.first = index,
        previous => nodes[previous as usize].next = index,
    }
    list.last = index;
}

/// The place of a tick on a level.
fn digit(tick: u64, level: usize) -> usize {
    (tick >> (level as u32 * LEVEL_BITS)) as usize % SLOTS
}

#[cfg(test)]
mod tests;
