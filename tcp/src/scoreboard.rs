//! The one map of what is in flight: every transmission not yet acknowledged, in sequence order, without gaps.
//!
//! SACK, RACK, NewReno and the timeout all read and mark the same entries, so they cannot disagree. An entry is what was
//! handed out at once, up to 64 KiB with segmentation offload; it is cut when part of it is acknowledged or has to be
//! sent again. What must hold: `sacked` and `lost` are the sums over the marks, an entry is never both, and a run of
//! entries already marked is jumped over, not walked (CVE-2019-11477, -11478): an entry remembers how far the marked run
//! that starts at it goes.

use std::collections::VecDeque;

use crate::congestion::{LossNews, Losses, Stamp};
use crate::lazy::Empty;
use crate::limits;
use crate::seq::Position;
use crate::time::Instant;

/// One transmission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) start: Position,
    pub(crate) end: Position,
    /// When it was sent last.
    pub(crate) at: Instant,
    /// It was sent more than once.
    pub(crate) again: bool,
    /// The peer has it (RFC 2018).
    sacked: bool,
    /// Held for lost, and not sent again yet.
    lost: bool,
    /// If sacked: everything up to here is.
    run_end: Position,
}

impl Sent {
    fn len(&self) -> u64 {
        self.end - self.start
    }
}

/// When and up to where something was sent. Ordered as RFC 8985, 6.2 orders transmissions: by time, then by sequence.
pub(crate) type Transmission = (Instant, Position);

/// What one acknowledgment delivered, cumulatively and selectively.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivered {
    /// Bytes that were not known to have arrived before.
    pub(crate) bytes: u64,
    /// The latest transmission among those sent once.
    pub(crate) latest_once: Option<Transmission>,
    /// The latest among those sent again.
    pub(crate) latest_again: Option<Transmission>,
    /// Of what was acknowledged cumulatively and sent once, when the first was sent; for the round-trip time.
    pub(crate) first_once: Option<Instant>,
    /// Something sent again was acknowledged cumulatively: no round-trip time can be taken (Karn).
    pub(crate) ambiguous: bool,
    /// The lowest end among those sent once: below what is known to have arrived, it was reordered.
    pub(crate) lowest_once: Option<Position>,
    /// The highest end.
    pub(crate) highest: Option<Position>,
    /// Of what was sent after the most had been delivered: its stamp, and when it was sent.
    pub(crate) latest_stamp: Option<(Stamp, Instant)>,
}

impl Delivered {
    fn note(&mut self, entry: &Sent, stamp: Option<Stamp>) {
        self.bytes += entry.len();
        let transmission = Some((entry.at, entry.end));
        if entry.again {
            self.latest_again = self.latest_again.max(transmission);
        } else {
            self.latest_once = self.latest_once.max(transmission);
            self.lowest_once = Some(self.lowest_once.map_or(entry.end, |end| end.min(entry.end)));
        }
        self.highest = self.highest.max(Some(entry.end));
        if let Some(stamp) = stamp
            && self.latest_stamp.is_none_or(|(latest, _)| stamp.delivered >= latest.delivered)
        {
            self.latest_stamp = Some((stamp, entry.at));
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Scoreboard {
    entries: VecDeque<Sent>,
    sacked: u64,
    lost: u64,
    /// No lost entry starts before.
    lost_from: Position,
    /// Kept for congestion control that models the path.
    model: Option<Box<Model>>,
}

/// What a model of the path asks of transmissions.
#[derive(Debug, Default)]
struct Model {
    losses: Losses,
    /// Of each entry: what had been delivered when it was sent last.
    stamps: VecDeque<Stamp>,
}

/// What a cumulative acknowledgment of entries without marks delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plain {
    /// When the first and the last of those sent once were sent.
    pub(crate) first_once: Option<Instant>,
    pub(crate) latest_once: Option<Instant>,
    /// Something was sent again.
    pub(crate) ambiguous: bool,
}

// Sixteen thousand of them in 640 KB.
const _: () = assert!(size_of::<Sent>() <= 40);

impl Empty for Scoreboard {
    const EMPTY: &'static Scoreboard =
        &Scoreboard { entries: VecDeque::new(), sacked: 0, lost: 0, lost_from: Position::ZERO, model: None };

    fn new() -> Scoreboard {
        Scoreboard::default()
    }

    fn is_forgettable(&self) -> bool {
        self.entries.is_empty() && self.model.is_none()
    }
}

impl Scoreboard {
    /// Bytes the peer has out of order.
    pub(crate) fn sacked(&self) -> u64 {
        self.sacked
    }

    /// Bytes held for lost and not sent again yet.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// From now on [`take_losses`](Scoreboard::take_losses) has something to tell.
    pub(crate) fn follow_losses(&mut self) {
        self.model = Some(Box::default());
    }

    /// Bytes ever held for lost, if they are followed.
    pub(crate) fn lost_ever(&self) -> u64 {
        self.model.as_ref().map_or(0, |model| model.losses.total())
    }

    /// What was lost since the last call.
    pub(crate) fn take_losses(&mut self) -> LossNews {
        self.model.as_mut().map(|model| model.losses.take()).unwrap_or_default()
    }

    /// Whether another entry may be made: the map is bounded.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < limits::SENT_ENTRIES_MAX
    }

    /// New data was sent.
    pub(crate) fn push(&mut self, start: Position, end: Position, at: Instant, stamp: Stamp) {
        debug_assert!(start < end && self.entries.back().is_none_or(|last| last.end == start));
        let entry = Sent { start, end, at, again: false, sacked: false, lost: false, run_end: start };
        self.entries.push_back(entry);
        if let Some(model) = &mut self.model {
            model.stamps.push_back(stamp);
        }
    }

    /// Everything before `ack` has arrived.
    pub(crate) fn acknowledge(&mut self, ack: Position, delivered: &mut Delivered) {
        while let Some(first) = self.entries.front_mut()
            && first.start < ack
        {
            let mut part = *first;
            part.end = part.end.min(ack);
            let stamp = self.model.as_ref().and_then(|model| model.stamps.front().copied());
            if part.end == first.end {
                self.pop_front();
            } else {
                first.start = ack;
            }
            self.unmark(&part);
            if part.again {
                delivered.ambiguous = true;
            } else if !part.sacked {
                delivered.first_once = Some(delivered.first_once.map_or(part.at, |at| at.min(part.at)));
            }
            if !part.sacked {
                delivered.note(&part, stamp);
            }
        }
    }

    /// No entry is marked, and nothing is asked of them but when they were sent.
    pub(crate) fn is_plain(&self) -> bool {
        self.sacked == 0 && self.lost == 0 && self.model.is_none()
    }

    /// As [`acknowledge`](Scoreboard::acknowledge), while they [are plain](Scoreboard::is_plain).
    pub(crate) fn acknowledge_plain(&mut self, ack: Position) -> Plain {
        let mut plain = Plain::default();
        while let Some(first) = self.entries.front_mut()
            && first.start < ack
        {
            if first.again {
                plain.ambiguous = true;
            } else {
                plain.first_once = plain.first_once.or(Some(first.at));
                plain.latest_once = Some(first.at);
            }
            if first.end > ack {
                first.start = ack;
                break;
            }
            self.entries.pop_front();
        }
        plain
    }

    fn pop_front(&mut self) {
        self.entries.pop_front();
        if let Some(model) = &mut self.model {
            model.stamps.pop_front();
        }
    }

    /// What a model of the path wants to know of an entry.
    fn stamp(&self, index: usize) -> Option<Stamp> {
        self.model.as_ref().map(|model| model.stamps[index])
    }

    /// The peer has `[start, end)`, which lies inside of what is in flight.
    pub(crate) fn sack(&mut self, start: Position, end: Position, delivered: &mut Delivered) {
        let mut index = self.find(start);
        while let Some(&entry) = self.entries.get(index)
            && entry.start < end
        {
            if entry.sacked {
                index = self.after_run(index);
                continue;
            }
            if entry.start < start && !self.cut(index, start) {
                return;
            } else if entry.start < start {
                index += 1;
                continue;
            }
            if entry.end > end && !self.cut(index, end) {
                return;
            }
            let mut entry = self.entries[index];
            self.unmark(&entry);
            (entry.sacked, entry.lost, entry.run_end) = (true, false, entry.end);
            self.entries[index] = entry;
            self.sacked += entry.len();
            delivered.note(&entry, self.stamp(index));
            index += 1;
        }
        let first = self.find(start);
        if let Some(entry) = self.entries.get_mut(first)
            && entry.sacked
        {
            entry.run_end = entry.run_end.max(end);
        }
    }

    /// Marks entries as lost, from the front, as `verdict` says: `Some(true)` lost, `Some(false)` not, `None` stop.
    /// Entries that arrived or are lost already are not asked about.
    pub(crate) fn judge(&mut self, mut verdict: impl FnMut(&Sent) -> Option<bool>) {
        let mut index = 0;
        while let Some(entry) = self.entries.get(index) {
            if entry.sacked {
                index = self.after_run(index);
                continue;
            }
            if !entry.lost {
                match verdict(entry) {
                    Some(true) => self.mark_lost(index),
                    Some(false) => {}
                    None => return,
                }
            }
            index += 1;
        }
    }

    /// Marks the first `bytes` as lost, cutting if need be: what NewReno knows to be missing.
    pub(crate) fn lose_front(&mut self, bytes: u64) {
        let Some(first) = self.entries.front() else { return };
        if first.lost || first.sacked {
            return;
        }
        let end = first.end.min(first.start + bytes);
        if end == first.end || self.cut(0, end) {
            self.mark_lost(0);
        }
    }

    /// Forgets what the peer said it had: it may renege (RFC 2018, 8).
    pub(crate) fn forget_sacked(&mut self) {
        for entry in &mut self.entries {
            entry.sacked = false;
        }
        self.sacked = 0;
    }

    /// Whether the peer says to have what its cumulative acknowledgment asks for: it reneged.
    pub(crate) fn has_reneged(&self) -> bool {
        self.entries.front().is_some_and(|first| first.sacked)
    }

    /// Nothing is lost after all.
    pub(crate) fn forget_lost(&mut self) {
        for entry in &mut self.entries {
            entry.lost = false;
        }
        self.lost = 0;
    }

    /// Bytes of the first entry.
    pub(crate) fn first_length(&self) -> u64 {
        self.entries.front().map_or(0, Sent::len)
    }

    /// The first lost entry.
    pub(crate) fn first_lost(&mut self) -> Option<(Position, Position)> {
        if self.lost == 0 {
            return None;
        }
        let mut index = self.find(self.lost_from);
        while let Some(entry) = self.entries.get(index) {
            if entry.lost {
                self.lost_from = entry.start;
                return Some((entry.start, entry.end));
            }
            index = if entry.sacked { self.after_run(index) } else { index + 1 };
        }
        debug_assert!(false, "{} bytes are lost and no entry is", self.lost);
        None
    }

    /// The part of the last entry that a tail probe sends again: at most `bytes`.
    pub(crate) fn tail(&self, bytes: u64) -> Option<(Position, Position)> {
        self.entries.back().map(|last| (last.start.max(last.end.minus(bytes)), last.end))
    }

    /// `[start, end)`, a part of one entry, is sent again. Cut off so that its time is its own.
    pub(crate) fn resend(&mut self, start: Position, end: Position, at: Instant, stamp: Stamp) {
        let mut index = self.find(start);
        if self.entries.get(index).is_some_and(|entry| entry.start < start) && self.cut(index, start) {
            index += 1;
        }
        if self.entries.get(index).is_some_and(|entry| entry.end > end) {
            self.cut(index, end);
        }
        let Some(entry) = self.entries.get_mut(index) else { return };
        (entry.at, entry.again) = (at, true);
        if entry.lost {
            entry.lost = false;
            self.lost -= entry.end - entry.start;
        }
        if let Some(model) = &mut self.model {
            model.stamps[index] = stamp;
        }
    }

    fn mark_lost(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        debug_assert!(!entry.lost && !entry.sacked);
        entry.lost = true;
        self.lost += entry.end - entry.start;
        if let Some(model) = &mut self.model {
            model.losses.on_lost(&model.stamps[index], entry.end - entry.start);
        }
        self.lost_from = self.lost_from.min(entry.start);
    }

    /// Takes an entry, or its part, out of the sums.
    fn unmark(&mut self, part: &Sent) {
        if part.sacked {
            self.sacked -= part.len();
        }
        if part.lost {
            self.lost -= part.len();
        }
    }

    /// Index of the entry that holds `position`, or else of the first after it.
    fn find(&self, position: Position) -> usize {
        self.entries.partition_point(|entry| entry.end <= position)
    }

    /// Index behind the run of arrived entries that starts at `index`.
    fn after_run(&self, index: usize) -> usize {
        let entry = &self.entries[index];
        if entry.run_end > entry.end { self.find(entry.run_end).max(index + 1) } else { index + 1 }
    }

    /// Cuts an entry in two at `at`; false if the map is full.
    fn cut(&mut self, index: usize, at: Position) -> bool {
        if !self.has_room() {
            return false;
        }
        let mut left = self.entries[index];
        let mut right = left;
        (left.end, right.start) = (at, at);
        left.run_end = left.run_end.min(at);
        self.entries[index] = left;
        self.entries.insert(index + 1, right);
        if let Some(model) = &mut self.model {
            let stamp = model.stamps[index];
            model.stamps.insert(index + 1, stamp);
        }
        true
    }
}

#[cfg(test)]
mod tests;
