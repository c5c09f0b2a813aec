//! Sequence numbers: the 32 bits on the wire, and the 64-bit positions this crate computes with.
//!
//! RFC 9293, 3.4: "the actual sequence number space is finite ... all arithmetic dealing with sequence numbers must be
//! performed modulo 2^32". Doing that at every comparison is where stacks get it wrong, so it is done once, at the
//! border: a [`Position`] counts on past the wrap, and its low 32 bits *are* the sequence number.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A sequence number as it is on the wire; compares modulo 2^32 (so it has no total order).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// How far this lies after `earlier`, modulo 2^32.
    pub const fn since(self, earlier: SeqNumber) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}

impl PartialOrd for SeqNumber {
    fn partial_cmp(&self, other: &SeqNumber) -> Option<Ordering> {
        Some(self.0.wrapping_sub(other.0).cast_signed().cmp(&0))
    }
}

impl Add<u32> for SeqNumber {
    type Output = SeqNumber;
    fn add(self, bytes: u32) -> SeqNumber {
        SeqNumber(self.0.wrapping_add(bytes))
    }
}

impl Sub<u32> for SeqNumber {
    type Output = SeqNumber;
    fn sub(self, bytes: u32) -> SeqNumber {
        SeqNumber(self.0.wrapping_sub(bytes))
    }
}

impl fmt::Debug for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A place in one direction's sequence space that never wraps. The SYN's is 2^32 + ISN, so that positions a window
/// before it exist too.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position(u64);

impl Position {
    /// Before everything.
    pub(crate) const ZERO: Position = Position(0);

    /// The position of a SYN with this initial sequence number.
    pub(crate) const fn of_syn(isn: SeqNumber) -> Position {
        Position((1 << 32) | isn.0 as u64)
    }

    /// The sequence number that says this position on the wire.
    #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are the sequence number")]
    pub(crate) const fn seq(self) -> SeqNumber {
        SeqNumber(self.0 as u32)
    }

    /// The position that `seq` means, taken as the one nearest to `self`.
    pub(crate) fn near(self, seq: SeqNumber) -> Position {
        let distance = i64::from(seq.since(self.seq()).cast_signed());
        Position(self.0.saturating_add_signed(distance))
    }

    /// Bytes from `earlier` to here; zero if `earlier` is later.
    pub(crate) const fn saturating_since(self, earlier: Position) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `bytes` before this.
    pub(crate) const fn minus(self, bytes: u64) -> Position {
        Position(self.0.saturating_sub(bytes))
    }
}

impl Add<u64> for Position {
    type Output = Position;
    fn add(self, bytes: u64) -> Position {
        Position(self.0 + bytes)
    }
}

impl AddAssign<u64> for Position {
    fn add_assign(&mut self, bytes: u64) {
        self.0 += bytes;
    }
}

/// Bytes between; the right side must not be later.
impl Sub for Position {
    type Output = u64;
    fn sub(self, earlier: Position) -> u64 {
        debug_assert!(earlier.0 <= self.0, "{earlier:?} is later than {self:?}");
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

#[cfg(test)]
mod tests;
