//! Flow control, both ways: the window we offer and the window we are offered.
//!
//! Ours never moves its right edge left, but for the last `2^shift - 1` bytes that rounding may take (see
//! [`ReceiveWindow::offer`]), and moves it right only in steps worth sending (RFC 9293, 3.8.6.2.2). The peer's is kept
//! as an edge, not as a size, so that a reordered acknowledgment cannot widen it.

use crate::seq::{Position, SeqNumber};

/// A mirrored window scale may be coarse for a small buffer: with less than a few units of it the window would always
/// be rounded to nothing. At the largest shift this makes 64 KiB.
const UNITS_MIN: u64 = 4;

/// The window we offer.
#[derive(Clone, Debug)]
pub(crate) struct ReceiveWindow {
    /// The furthest right edge ever offered: data up to here is welcome.
    right: Position,
    /// The last acknowledgment sent.
    acked: Position,
    /// Unread bytes we are ready to hold: no more than the window field can say, and a few of its units at least.
    buffer: u32,
    shift: u8,
    /// Memory is short: the edge does not move.
    pressure: bool,
}

impl ReceiveWindow {
    pub(crate) fn new(next: Position, buffer: u32, shift: u8) -> ReceiveWindow {
        let buffer = u64::from(buffer).max(UNITS_MIN << shift).min(0xffff << shift);
        ReceiveWindow { right: next, acked: next, buffer: buffer as u32, shift, pressure: false }
    }

    pub(crate) fn right(&self) -> Position {
        self.right
    }

    pub(crate) fn acked(&self) -> Position {
        self.acked
    }

    /// Unread bytes that may be held.
    pub(crate) fn buffer(&self) -> u32 {
        self.buffer
    }

    /// More may be held from now on; no more than the window field can say.
    pub(crate) fn grow(&mut self, buffer: u32) {
        self.buffer = self.buffer.max(buffer.min(0xffff << self.shift));
    }

    pub(crate) fn set_pressure(&mut self, pressure: bool) {
        self.pressure = pressure;
    }

    /// The window field of a segment that acknowledges `next` while `unread` bytes are held; the edge moves with it.
    ///
    /// RFC 9293, 3.8.6.2.2 (MUST-39): keep "RCV.NXT + RCV.WND fixed until RCV.BUFF - RCV.USER - RCV.WND >= min(Fr *
    /// RCV.BUFF, Eff.snd.MSS)", Fr = 1/2. RFC 7323, 2.4: a scaled window is rounded, and rounding down would retract it;
    /// so an edge already promised is rounded up, unless that would promise more than a unit beyond what there is.
    pub(crate) fn offer(&mut self, next: Position, unread: u64, segment: u32) -> u16 {
        let promised = self.right.saturating_since(next);
        let buffer = u64::from(self.buffer);
        let free = buffer.saturating_sub(unread);
        let unit = 1u64 << self.shift;
        let field = if self.opens_by(promised, free) >= u64::from(segment).min(buffer / 2).max(1) {
            free >> self.shift
        } else if promised.next_multiple_of(unit) + unread <= buffer + unit {
            promised.div_ceil(unit)
        } else {
            promised >> self.shift
        };
        let field = field.min(0xffff);
        self.right = self.right.max(next + (field << self.shift));
        self.acked = next;
        field as u16
    }

    /// The window field of a SYN, which is never scaled (RFC 7323, 2.2).
    pub(crate) fn offer_on_syn(&mut self, next: Position) -> u16 {
        let field = self.buffer.min(0xffff);
        self.right = self.right.max(next + u64::from(field));
        self.acked = next;
        field as u16
    }

    /// Whether the application has read so much that the peer should hear of it without being asked: two segments,
    /// if the peer is running out of window, or half of the buffer in any case.
    pub(crate) fn update_is_due(&self, next: Position, unread: u64, segment: u32) -> bool {
        let promised = self.right.saturating_since(next);
        let buffer = u64::from(self.buffer);
        let opens = self.opens_by(promised, buffer.saturating_sub(unread));
        let segment = u64::from(segment);
        let scarce = promised <= buffer / 8 || opens >= buffer / 4 || buffer <= 8 * segment;
        opens >= 1 && (2 * opens >= buffer || (opens >= 2 * segment && scarce))
    }

    fn opens_by(&self, promised: u64, free: u64) -> u64 {
        if self.pressure { 0 } else { (free >> self.shift << self.shift).saturating_sub(promised) }
    }
}

/// The window we are offered.
#[derive(Clone, Debug)]
pub(crate) struct SendWindow {
    /// First position that is not ours to send.
    right: Position,
    /// SND.WL1: sequence number of the segment that told.
    seq: SeqNumber,
    /// SND.WND as last announced: with SND.WL2, its acknowledgment, it makes the edge.
    size: u32,
    /// Max(SND.WND) (RFC 9293, 3.8.6.2.1).
    largest: u32,
    shift: u8,
}

impl SendWindow {
    /// From the peer's SYN, whose window is not scaled, for data that starts at `first`.
    pub(crate) fn new(shift: u8, first: Position, window: u16, seq: Position) -> SendWindow {
        let size = u32::from(window);
        SendWindow { right: first + u64::from(size), seq: seq.seq(), size, largest: size, shift }
    }

    pub(crate) fn right(&self) -> Position {
        self.right
    }

    pub(crate) fn size(&self) -> u64 {
        u64::from(self.size)
    }

    pub(crate) fn largest(&self) -> u64 {
        u64::from(self.largest)
    }

    /// SND.WL2.
    fn ack(&self) -> Position {
        self.right.minus(self.size())
    }

    /// A segment with an acceptable acknowledgment says `field`; true if that moved the edge or closed the window.
    ///
    /// RFC 9293, 3.10.7.4 takes the window of any segment not older by (WL1, WL2). Of two with the same numbers the
    /// larger is taken, as the smaller one can only be a reordered earlier one, or a closed window.
    pub(crate) fn update(&mut self, seq: Position, ack: Position, field: u16) -> bool {
        let size = u32::from(field) << self.shift;
        let right = ack + u64::from(size);
        let told = seq.near(self.seq);
        let newer = ack > self.ack() || (ack == self.ack() && seq > told);
        let same = ack == self.ack() && seq == told;
        if !(newer || (same && (right > self.right || field == 0))) {
            return false;
        }
        let moved = right != self.right;
        self.seq = told.max(seq).seq();
        (self.right, self.size) = (right, size);
        self.largest = self.largest.max(size);
        moved
    }
}

#[cfg(test)]
mod tests;
