//! Flow control, both ways: the window we offer and the window we are offered.
//!
//! Ours never moves its right edge left, but for the last `2^shift - 1` bytes that rounding may take (see
//! [`ReceiveWindow::offer`]), and moves it right only in steps worth sending (RFC 9293, 3.8.6.2.2). The peer's is kept
//! as an edge, not as a size, so that a reordered acknowledgment cannot widen it.

use bitflags::bitflags;

use crate::limits;
use crate::seq::{Position, SeqNumber};

bitflags! {
    /// What became of our right edge.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Edge: u8 {
        /// Memory is short: it does not move.
        const PRESSED = 1;
        /// The FIN came, and everything before it: it means nothing any more.
        const FINAL = 2;
    }
}

/// A mirrored window scale may be coarse for a small buffer: with less than a few units of it the window would always
/// be rounded to nothing. At the largest shift this makes 64 KiB.
const UNITS_MIN: u64 = 4;

/// The window we offer.
#[derive(Clone, Debug)]
pub(crate) struct ReceiveWindow {
    /// The furthest right edge ever offered: data up to here is welcome; and the last acknowledgment sent. Both are within a
    /// window of RCV.NXT, by which 32 bits of them are told.
    right: SeqNumber,
    acked: SeqNumber,
    /// Unread bytes we are ready to hold: no more than the window field can say, and a few of its units at least.
    buffer: u32,
    /// What the owner allows the buffer to grow to, in units of [`limits::SHARE_UNIT`].
    share: u16,
    shift: u8,
    edge: Edge,
}

impl ReceiveWindow {
    pub(crate) fn new(next: Position, buffer: u32, shift: u8) -> ReceiveWindow {
        let buffer = u64::from(buffer).max(UNITS_MIN << shift).min(0xffff << shift);
        let at = next.seq();
        ReceiveWindow { right: at, acked: at, buffer: buffer as u32, share: u16::MAX, shift, edge: Edge::empty() }
    }

    pub(crate) fn right(&self, next: Position) -> Position {
        next.near(self.right)
    }

    pub(crate) fn acked(&self, next: Position) -> Position {
        next.near(self.acked)
    }

    /// Unread bytes that may be held.
    pub(crate) fn buffer(&self) -> u32 {
        self.buffer
    }

    /// More may be held from now on; no more than the window field can say.
    pub(crate) fn grow(&mut self, buffer: u32) {
        self.buffer = self.buffer.max(buffer.min(0xffff << self.shift));
    }

    /// What the buffer may grow to.
    pub(crate) fn share(&self) -> u32 {
        u32::from(self.share).saturating_mul(limits::SHARE_UNIT)
    }

    /// See [`share`](ReceiveWindow::share); what it has it keeps.
    pub(crate) fn set_share(&mut self, bytes: u32) {
        self.share = u16::try_from(bytes / limits::SHARE_UNIT).unwrap_or(u16::MAX);
    }

    pub(crate) fn is_pressed(&self) -> bool {
        self.edge.contains(Edge::PRESSED)
    }

    pub(crate) fn set_pressure(&mut self, pressure: bool) {
        self.edge.set(Edge::PRESSED, pressure);
    }

    /// Nothing more will come.
    pub(crate) fn is_final(&self) -> bool {
        self.edge.contains(Edge::FINAL)
    }

    /// The FIN came, and everything before it.
    pub(crate) fn finish(&mut self) {
        self.edge.insert(Edge::FINAL);
    }

    /// The window field of a segment that acknowledges `next` while `unread` bytes are held; the edge moves with it.
    ///
    /// RFC 9293, 3.8.6.2.2 (MUST-39): keep "RCV.NXT + RCV.WND fixed until RCV.BUFF - RCV.USER - RCV.WND >= min(Fr *
    /// RCV.BUFF, Eff.snd.MSS)", Fr = 1/2. RFC 7323, 2.4: a scaled window is rounded, and rounding down would retract it;
    /// so an edge already promised is rounded up, unless that would promise more than a unit beyond what there is.
    pub(crate) fn offer(&mut self, next: Position, unread: u64, segment: u32) -> u16 {
        let right = self.right(next);
        let promised = right.saturating_since(next);
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
        self.right = right.max(next + (field << self.shift)).seq();
        self.acked = next.seq();
        field as u16
    }

    /// The window field of a SYN, which is never scaled (RFC 7323, 2.2).
    pub(crate) fn offer_on_syn(&mut self, next: Position) -> u16 {
        let field = self.buffer.min(0xffff);
        self.right = self.right(next).max(next + u64::from(field)).seq();
        self.acked = next.seq();
        field as u16
    }

    /// Whether the application has read so much that the peer should hear of it without being asked: two segments,
    /// if the peer is running out of window, or half of the buffer in any case.
    pub(crate) fn update_is_due(&self, next: Position, unread: u64, segment: u32) -> bool {
        let promised = self.right(next).saturating_since(next);
        let buffer = u64::from(self.buffer);
        let opens = self.opens_by(promised, buffer.saturating_sub(unread));
        let segment = u64::from(segment);
        let scarce = promised <= buffer / 8 || opens >= buffer / 4 || buffer <= 8 * segment;
        opens >= 1 && (2 * opens >= buffer || (opens >= 2 * segment && scarce))
    }

    fn opens_by(&self, promised: u64, free: u64) -> u64 {
        if self.is_pressed() { 0 } else { (free >> self.shift << self.shift).saturating_sub(promised) }
    }
}

/// The window we are offered.
#[derive(Clone, Debug)]
pub(crate) struct SendWindow {
    /// First position that is not ours to send: within a window of SND.UNA, by which 32 bits of it are told.
    right: SeqNumber,
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
        SendWindow { right: (first + u64::from(size)).seq(), seq: seq.seq(), size, largest: size, shift }
    }

    pub(crate) fn right(&self, una: Position) -> Position {
        una.near(self.right)
    }

    pub(crate) fn size(&self) -> u64 {
        u64::from(self.size)
    }

    pub(crate) fn largest(&self) -> u64 {
        u64::from(self.largest)
    }

    /// A segment with an acceptable acknowledgment says `field`; true if that moved the edge or closed the window.
    ///
    /// RFC 9293, 3.10.7.4 takes the window of any segment not older by (WL1, WL2). Of two with the same numbers the
    /// larger is taken, as the smaller one can only be a reordered earlier one, or a closed window.
    pub(crate) fn update(&mut self, seq: Position, ack: Position, field: u16) -> bool {
        let size = u32::from(field) << self.shift;
        let right = ack + u64::from(size);
        let before = ack.near(self.right);
        // SND.WL2.
        let last = before.minus(self.size());
        let told = seq.near(self.seq);
        let newer = ack > last || (ack == last && seq > told);
        let same = ack == last && seq == told;
        if !(newer || (same && (right > before || field == 0))) {
            return false;
        }
        let moved = right != before;
        self.seq = told.max(seq).seq();
        (self.right, self.size) = (right.seq(), size);
        self.largest = self.largest.max(size);
        moved
    }
}

#[cfg(test)]
mod tests;
