//! What the bytes of a segment live in.
//!
//! The gateway uses slices of received packet buffers, tests use `bytes::Bytes`. The connection never copies payload:
//! it slices, queues and hands on.

use std::ops::Range;

/// Bytes that can be sliced and cloned without copying them.
pub trait Payload: Clone + 'static {
    /// The bytes.
    fn as_slice(&self) -> &[u8];

    /// How many there are.
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A part of them, sharing the memory. Panics if `range` goes beyond the end: ranges are computed, never received.
    #[must_use]
    fn slice(&self, range: Range<usize>) -> Self;
}

impl Payload for bytes::Bytes {
    fn as_slice(&self) -> &[u8] {
        self
    }

    fn len(&self) -> usize {
        bytes::Bytes::len(self)
    }

    fn slice(&self, range: Range<usize>) -> Self {
        bytes::Bytes::slice(self, range)
    }
}
