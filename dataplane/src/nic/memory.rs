//! Ports in memory: the simulator's wires, and a real device's habits without the device.
//!
//! [`nic`] makes a worker's ports and the other ends of their wires. Buffers are counted against a pool of fixed size,
//! slices of received frames included, so that a worker that forgets to let go runs dry here as it would on a real
//! device, and a test can see it ([`MemoryNic::frames_in_use`]). Receive and transmit rings are bounded as a device's
//! are; what does not fit is lost and counted.
//!
//! Offloads are done as the device would (`offload`): a port that reports one does it, one that does not must not be
//! asked. Left out: multi-segment frames (a buffer holds the largest frame), receive checksum verdicts (software
//! checks are the ones to be tested), time (a wire is as fast as its ends are polled).

mod frame;
mod offload;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

pub use frame::{MemoryFrame, MemorySlice};

use self::frame::Pool;
use super::{BURST, Nic, PortId, PortInfo, PortStats};
use crate::limits::{MEMORY_FRAME_MAX, MEMORY_RING};

/// A worker's ports.
pub struct MemoryNic {
    infos: Vec<PortInfo>,
    pool: Rc<Pool>,
    wires: Rc<RefCell<Vec<Wire>>>,
    /// By port: what waits for a full burst or a flush.
    unsent: Vec<Vec<MemoryFrame>>,
    refused: usize,
}

/// The other ends of the wires.
#[derive(Clone)]
pub struct MemoryEnds {
    wires: Rc<RefCell<Vec<Wire>>>,
}

struct Wire {
    to_port: VecDeque<Vec<u8>>,
    from_port: VecDeque<Vec<u8>>,
    up: bool,
    stuck: bool,
    stats: PortStats,
}

impl Default for Wire {
    fn default() -> Self {
        let stats = PortStats::default();
        Wire { to_port: VecDeque::new(), from_port: VecDeque::new(), up: true, stuck: false, stats }
    }
}

/// Ports with these properties over a pool of `frames_max` buffers, and the other ends of their wires.
///
/// # Panics
/// With more ports than ids.
#[must_use]
pub fn nic(infos: Vec<PortInfo>, frames_max: usize) -> (MemoryNic, MemoryEnds) {
    assert!(u16::try_from(infos.len()).is_ok(), "a port's id is 16 bits");
    let wires: Rc<RefCell<Vec<Wire>>> = Rc::new(RefCell::new(infos.iter().map(|_| Wire::default()).collect()));
    let unsent = infos.iter().map(|_| Vec::new()).collect();
    let nic = MemoryNic { infos, pool: Pool::new(frames_max), wires: Rc::clone(&wires), unsent, refused: 0 };
    (nic, MemoryEnds { wires })
}

impl MemoryNic {
    /// Buffers that are somewhere: being written, queued for sending, or held by a slice.
    #[must_use]
    pub fn frames_in_use(&self) -> usize {
        self.pool.in_use()
    }

    fn transmit(&mut self, port: PortId) {
        let offloads = self.infos[usize::from(port.0)].offloads;
        let wire = &mut self.wires.borrow_mut()[usize::from(port.0)];
        for frame in self.unsent[usize::from(port.0)].drain(..) {
            if !wire.up || wire.stuck || wire.from_port.len() >= MEMORY_RING {
                wire.stats.tx_errors += 1;
                self.refused += 1;
                continue;
            }
            for bytes in offload::apply(frame, offloads) {
                wire.stats.tx_packets += 1;
                wire.stats.tx_bytes += bytes.len() as u64;
                wire.from_port.push_back(bytes);
            }
        }
    }
}

impl Nic for MemoryNic {
    type Frame = MemoryFrame;

    fn ports(&self) -> u16 {
        self.infos.len() as u16
    }

    fn info(&self, port: PortId) -> &PortInfo {
        &self.infos[usize::from(port.0)]
    }

    fn stats(&self, port: PortId) -> PortStats {
        let wire = &self.wires.borrow()[usize::from(port.0)];
        PortStats { link: if wire.up { "up" } else { "down" }.to_owned(), ..wire.stats.clone() }
    }

    fn receive(&mut self, port: PortId, frames: &mut Vec<MemoryFrame>) -> usize {
        let wire = &mut self.wires.borrow_mut()[usize::from(port.0)];
        let mut received = 0;
        while received < BURST
            && let Some(bytes) = wire.to_port.pop_front()
        {
            // A device without a buffer to put a packet in loses it.
            let Some(frame) = self.pool.take(bytes) else {
                wire.stats.rx_missed += 1;
                continue;
            };
            wire.stats.rx_packets += 1;
            wire.stats.rx_bytes += frame.bytes().len() as u64;
            frames.push(frame);
            received += 1;
        }
        received
    }

    fn allocate(&mut self) -> Option<MemoryFrame> {
        self.pool.take(Vec::with_capacity(128))
    }

    fn free_share(&self) -> u8 {
        self.pool.free_share()
    }

    fn send(&mut self, port: PortId, frame: MemoryFrame) {
        let unsent = &mut self.unsent[usize::from(port.0)];
        unsent.push(frame);
        if unsent.len() >= BURST {
            self.transmit(port);
        }
    }

    fn flush(&mut self) -> usize {
        for port in (0..self.ports()).map(PortId) {
            self.transmit(port);
        }
        std::mem::take(&mut self.refused)
    }
}

impl MemoryEnds {
    /// Puts a frame on the wire towards a port; lost when the link is down, the port's ring is full or it is too long.
    pub fn inject(&self, port: PortId, frame: impl Into<Vec<u8>>) {
        let wire = &mut self.wires.borrow_mut()[usize::from(port.0)];
        let frame = frame.into();
        if !wire.up {
            return;
        }
        if frame.len() > MEMORY_FRAME_MAX {
            wire.stats.rx_errors += 1;
        } else if wire.to_port.len() >= MEMORY_RING {
            wire.stats.rx_missed += 1;
        } else {
            wire.to_port.push_back(frame);
        }
    }

    /// The next frame that a port has sent.
    #[must_use]
    pub fn take(&self, port: PortId) -> Option<Vec<u8>> {
        self.wires.borrow_mut()[usize::from(port.0)].from_port.pop_front()
    }

    /// Frames that wait to be received by a port.
    #[must_use]
    pub fn waiting(&self, port: PortId) -> usize {
        self.wires.borrow()[usize::from(port.0)].to_port.len()
    }

    /// Plugs a wire in or out; what is on it when it is pulled is lost.
    pub fn set_link(&self, port: PortId, up: bool) {
        let wire = &mut self.wires.borrow_mut()[usize::from(port.0)];
        wire.up = up;
        if !up {
            wire.to_port.clear();
            wire.from_port.clear();
        }
    }

    /// Lets a port refuse everything it is to send, as one does whose queue is full.
    pub fn set_stuck(&self, port: PortId, stuck: bool) {
        self.wires.borrow_mut()[usize::from(port.0)].stuck = stuck;
    }
}

#[cfg(test)]
mod tests;
