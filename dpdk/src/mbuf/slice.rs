//! A counted, read-only reference to a run of a packet's bytes.
//!
//! What must hold: the buffer is one segment, never written again, and all slices of it stay on one thread (the
//! type is not `Send`), so counting needs no atomics although the counter is DPDK's own.

use std::fmt;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::slice;

use super::Raw;
use crate::limits;

/// Some bytes of a received packet; the buffer goes back to its pool with the last of its slices.
pub struct MbufSlice {
    mbuf: Raw,
    start: NonNull<u8>,
    len: usize,
}

impl MbufSlice {
    /// # Safety
    /// The caller gives up one reference to `mbuf`, a single segment that nobody writes again; `start` and `len` lie
    /// inside its buffer; and all its other references stay on this thread.
    pub(super) unsafe fn new(mbuf: Raw, start: NonNull<u8>, len: usize) -> Self {
        MbufSlice { mbuf, start, len }
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: inside a buffer that lives as long as this reference is counted and that nobody writes.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// How many.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// None?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A further reference, to a part of these bytes.
    ///
    /// # Panics
    /// When the range is not inside them.
    #[inline]
    pub fn slice(&self, range: Range<usize>) -> MbufSlice {
        let start = NonNull::from(&self.as_slice()[range.clone()]).cast();
        self.count_one_more();
        MbufSlice { mbuf: self.mbuf, start, len: range.len() }
    }

    /// Keeps the bytes from `at` on and returns those before.
    ///
    /// # Panics
    /// When `at` is beyond the end.
    #[inline]
    pub fn split_to(&mut self, at: usize) -> MbufSlice {
        let front = self.slice(0..at);
        let rest = NonNull::from(&self.as_slice()[at..]).cast();
        self.start = rest;
        self.len -= at;
        front
    }

    #[inline]
    fn count_one_more(&self) {
        let references = self.mbuf.references();
        assert!(references < limits::REFERENCES_MAX, "more references to one packet than it has bytes");
        self.mbuf.set_references(references + 1);
    }
}

impl Clone for MbufSlice {
    #[inline]
    fn clone(&self) -> Self {
        self.count_one_more();
        MbufSlice { mbuf: self.mbuf, start: self.start, len: self.len }
    }
}

impl Drop for MbufSlice {
    #[inline]
    fn drop(&mut self) {
        let references = self.mbuf.references();
        if references > 1 {
            self.mbuf.set_references(references - 1);
            return;
        }
        // SAFETY: this was the last reference to a segment that is alone in its chain.
        unsafe { dpdk_sys::rte_pktmbuf_free_seg(self.mbuf.as_ptr()) };
    }
}

impl Deref for MbufSlice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for MbufSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MbufSlice({} bytes)", self.len)
    }
}
