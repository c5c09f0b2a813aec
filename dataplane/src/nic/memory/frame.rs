//! Counted buffers and counted references to parts of them.
//!
//! A frame is the only reference to its buffer until it is given up for slices; the buffer counts as used until the
//! last of those is gone.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;

use crate::limits::MEMORY_FRAME_MAX;
use crate::nic::{Frame, Full, RxChecksum, TxOffload};

/// So many buffers and no more.
#[derive(Debug)]
pub(super) struct Pool {
    in_use: Cell<usize>,
    frames_max: usize,
}

impl Pool {
    pub(super) fn new(frames_max: usize) -> Rc<Pool> {
        Rc::new(Pool { in_use: Cell::new(0), frames_max })
    }

    pub(super) fn in_use(&self) -> usize {
        self.in_use.get()
    }

    /// Free buffers in 1/256 of all.
    pub(super) fn free_share(&self) -> u8 {
        let free = self.frames_max - self.in_use.get();
        u8::try_from(free * 256 / self.frames_max.max(1)).unwrap_or(u8::MAX)
    }

    /// A buffer with these bytes in it.
    pub(super) fn take(self: &Rc<Self>, bytes: Vec<u8>) -> Option<MemoryFrame> {
        if self.in_use.get() >= self.frames_max {
            return None;
        }
        self.in_use.set(self.in_use.get() + 1);
        Some(MemoryFrame { bytes, offload: TxOffload::default(), _share: Share(Rc::clone(self)) })
    }
}

/// One buffer's share of its pool.
#[derive(Debug)]
struct Share(Rc<Pool>);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.in_use.set(self.0.in_use.get() - 1);
    }
}

/// A packet in its buffer.
#[derive(Debug)]
pub struct MemoryFrame {
    bytes: Vec<u8>,
    offload: TxOffload,
    _share: Share,
}

impl MemoryFrame {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is to be sent, and what the port is to do to it; the buffer is free again.
    pub(super) fn into_parts(self) -> (Vec<u8>, TxOffload) {
        (self.bytes, self.offload)
    }
}

impl Frame for MemoryFrame {
    type Slice = MemorySlice;

    fn data(&self) -> &[u8] {
        &self.bytes
    }

    fn data_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if self.bytes.len() + bytes.len() > MEMORY_FRAME_MAX {
            return Err(Full);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    fn exchange_head(&mut self, old: usize, new: usize) -> Result<(), Full> {
        if old > self.bytes.len() || self.bytes.len() - old + new > MEMORY_FRAME_MAX {
            return Err(Full);
        }
        // There is no room in front of it: where the length changes, what follows moves.
        if old != new {
            self.bytes.splice(..old, std::iter::repeat_n(0, new));
        }
        Ok(())
    }

    fn ip_checksum(&self) -> RxChecksum {
        RxChecksum::Unknown
    }

    fn l4_checksum(&self) -> RxChecksum {
        RxChecksum::Unknown
    }

    fn stripped_vlan(&self) -> Option<u16> {
        None
    }

    fn set_offload(&mut self, offload: TxOffload) {
        self.offload = offload;
    }

    fn into_slice(self, range: Range<usize>) -> MemorySlice {
        assert!(range.start <= range.end && range.end <= self.bytes.len(), "a range of the frame");
        MemorySlice { buffer: Rc::new(self), range }
    }
}

/// A counted reference to a run of a frame's bytes.
#[derive(Clone, Debug)]
pub struct MemorySlice {
    buffer: Rc<MemoryFrame>,
    range: Range<usize>,
}

impl MemorySlice {
    fn bytes(&self) -> &[u8] {
        &self.buffer.bytes[self.range.clone()]
    }
}

impl tcp::Payload for MemorySlice {
    fn as_slice(&self) -> &[u8] {
        self.bytes()
    }

    fn len(&self) -> usize {
        self.range.len()
    }

    fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.range.len(), "a range of the slice");
        let start = self.range.start;
        MemorySlice { buffer: Rc::clone(&self.buffer), range: start + range.start..start + range.end }
    }
}
