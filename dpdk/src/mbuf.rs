//! A packet in its buffer: the only owner, who may write, and counted references, who may only read.
//!
//! [`Mbuf`] is the single reference to a chain of one or more segments; dropping it gives the buffers back. Giving it
//! up ([`Mbuf::into_slice`]) makes an [`MbufSlice`], of which there may be many and which stay on one thread. There is
//! no way back: what is shared is never written again. What runs once a packet reads the fields itself; the rest is
//! DPDK's own inlines.

mod offload;
mod raw;
mod slice;

use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::slice as memory;

use dpdk_sys::rte_mbuf;

pub use offload::{Checksum, Transmit};
pub(crate) use raw::Raw;
pub use slice::MbufSlice;

use crate::limits;

/// The buffer is full, and no further segment may or can be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A packet: one segment or a chain.
pub struct Mbuf {
    head: Raw,
    /// The segment that grows.
    last: Raw,
}

// SAFETY: an Mbuf is the only reference to its segments, and giving them back is made for any thread.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// Takes over a chain.
    ///
    /// # Safety
    /// `raw` is the head of a well-formed chain of which no other reference exists.
    #[inline]
    pub(crate) unsafe fn from_raw(raw: NonNull<rte_mbuf>) -> Mbuf {
        // SAFETY: the caller gives us the only reference to a live mbuf.
        let head = unsafe { Raw::new(raw) };
        let mut last = head;
        if head.segments() > 1 {
            while let Some(next) = last.next() {
                last = next;
            }
        }
        Mbuf { head, last }
    }

    /// Gives the chain to whoever gives it back, a driver for example.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut rte_mbuf {
        ManuallyDrop::new(self).head.as_ptr()
    }

    /// The first segment's bytes.
    #[inline]
    pub fn data(&self) -> &[u8] {
        // SAFETY: data and length lie inside the buffer (the drivers' and our own writes keep to that), the memory is
        // mapped and was zeroed when it was, and nobody writes while self is borrowed.
        unsafe { memory::from_raw_parts(self.head.data(), usize::from(self.head.data_len())) }
    }

    /// The first segment's bytes, to be rewritten.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `data`; and self is the only reference to the buffer.
        unsafe { memory::from_raw_parts_mut(self.head.data(), usize::from(self.head.data_len())) }
    }

    /// Length over all segments.
    #[inline]
    pub fn len(&self) -> usize {
        self.head.packet_len() as usize
    }

    /// Is nothing in it?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of segments.
    #[inline]
    pub fn segments(&self) -> u16 {
        self.head.segments()
    }

    /// Bytes free before the data.
    pub fn headroom(&self) -> usize {
        usize::from(self.head.data_offset())
    }

    /// Bytes free at the end of the last segment.
    #[inline]
    pub fn tailroom(&self) -> usize {
        self.last.tailroom()
    }

    /// Appends bytes to the last segment.
    ///
    /// # Errors
    /// [`Full`] when they do not fit; nothing is written then.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if bytes.len() > self.tailroom() {
            return Err(Full);
        }
        self.fill(bytes);
        Ok(())
    }

    /// Appends bytes, in further segments from the same pool when the last one is full.
    ///
    /// # Errors
    /// [`Full`] when no segment can be had, or the chain is as long as it may be; what was written stays.
    #[inline]
    pub fn append_chained(&mut self, mut bytes: &[u8]) -> Result<(), Full> {
        while bytes.len() > self.tailroom() {
            let (now, later) = bytes.split_at(self.tailroom());
            self.fill(now);
            self.add_segment()?;
            bytes = later;
        }
        self.fill(bytes);
        Ok(())
    }

    /// Writes what fits: the caller compared with `tailroom`.
    #[inline]
    fn fill(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.tailroom());
        // SAFETY: `tailroom` bytes behind the data belong to the buffer, of which we are the only owner; `bytes` is
        // a borrow of other memory.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.last.data_end(), bytes.len()) };
        // Within a buffer of at most 64 KiB, so both fit.
        self.last.set_data_len(self.last.data_len() + bytes.len() as u16);
        self.head.set_packet_len(self.head.packet_len() + bytes.len() as u32);
    }

    fn add_segment(&mut self) -> Result<(), Full> {
        if self.head.segments() >= limits::SEGMENTS_MAX {
            return Err(Full);
        }
        let next = self.head.allocate_like().ok_or(Full)?;
        // A segment brings its headroom, which only the first one needs.
        next.set_data_offset(0);
        self.last.set_next(Some(next));
        self.head.set_segments(self.head.segments() + 1);
        self.last = next;
        Ok(())
    }

    /// Room for `len` more bytes before the data, to be written now; `None` when the headroom is too small.
    pub fn prepend(&mut self, len: usize) -> Option<&mut [u8]> {
        if len > self.headroom() {
            return None;
        }
        let len16 = len as u16;
        self.head.set_data_offset(self.head.data_offset() - len16);
        self.head.set_data_len(self.head.data_len().checked_add(len16)?);
        self.head.set_packet_len(self.head.packet_len() + u32::from(len16));
        Some(&mut self.data_mut()[..len])
    }

    /// Puts a head of `new` bytes, to be written now, in place of the first `old` ones; false, and no change, when the headroom
    /// is too small or the first segment shorter than `old`.
    #[inline]
    pub fn exchange_head(&mut self, old: usize, new: usize) -> bool {
        let offset = usize::from(self.head.data_offset()) + old;
        let length = usize::from(self.head.data_len());
        if old > length || new > offset || length - old + new > usize::from(u16::MAX) {
            return false;
        }
        // Both were compared with what they are made of; what the packet has more or less is in its first segment.
        self.head.set_data_offset((offset - new) as u16);
        self.head.set_data_len((length - old + new) as u16);
        self.head.set_packet_len(self.head.packet_len() - old as u32 + new as u32);
        true
    }

    /// Cuts the packet to `len` bytes; longer than it is: no change.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len() {
            return;
        }
        let (mut segment, mut left, mut count) = (self.head, len, 1);
        while left > usize::from(segment.data_len()) {
            left -= usize::from(segment.data_len());
            segment = segment.next().expect("the packet is longer than what was walked");
            count += 1;
        }
        // Both are at most the lengths that were there.
        segment.set_data_len(left as u16);
        segment.free_tail();
        self.head.set_segments(count);
        self.head.set_packet_len(len as u32);
        self.last = segment;
    }

    /// Makes one segment of a chain; false when the first buffer is too small for all of it.
    pub fn linearise(&mut self) -> bool {
        if self.segments() == 1 {
            return true;
        }
        if !self.head.linearise() {
            return false;
        }
        self.last = self.head;
        true
    }

    /// Gives the packet up for references to parts of its first segment; the others are given back.
    ///
    /// # Panics
    /// When the range is not inside [`Mbuf::data`].
    pub fn into_slice(self, range: Range<usize>) -> MbufSlice {
        let data = &self.data()[range];
        let (start, len) = (NonNull::from(data).cast::<u8>(), data.len());
        let this = ManuallyDrop::new(self);
        if this.head.segments() > 1 {
            this.head.free_tail();
            this.head.set_segments(1);
            this.head.set_packet_len(u32::from(this.head.data_len()));
        }
        // SAFETY: the buffer was ours alone, is one segment now, and `start` and `len` lie inside it.
        unsafe { MbufSlice::new(this.head, start, len) }
    }
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the chain is ours alone and not used after this.
        unsafe { dpdk_sys::rte_pktmbuf_free(self.head.as_ptr()) };
    }
}
