//! Packets that wait to be sent together: as many as one call takes, no more, and freed if they are never sent.

use std::ptr;

use dpdk_sys::rte_mbuf;

use crate::limits::BURST;
use crate::mbuf::Mbuf;

/// Up to [`BURST`] packets, in order; dropping it gives them back to their pools.
pub struct Burst {
    packets: [*mut rte_mbuf; BURST],
    len: usize,
}

// SAFETY: holds packets that nobody else has, each of which is Send.
unsafe impl Send for Burst {}

impl Burst {
    /// With nothing in it.
    pub fn new() -> Self {
        Burst { packets: [ptr::null_mut(); BURST], len: 0 }
    }

    /// Adds a packet.
    ///
    /// # Errors
    /// Hands the packet back when the burst is full.
    #[inline]
    pub fn push(&mut self, packet: Mbuf) -> Result<(), Mbuf> {
        let Some(place) = self.packets.get_mut(self.len) else { return Err(packet) };
        *place = packet.into_raw();
        self.len += 1;
        Ok(())
    }

    /// Packets in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// None?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// No room for another?
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == BURST
    }

    /// The packets, for the driver; the caller empties the burst by [`Burst::forget`].
    #[inline]
    pub(crate) fn packets(&mut self) -> &mut [*mut rte_mbuf] {
        &mut self.packets[..self.len]
    }

    /// Forgets the packets: somebody else gives them back.
    #[inline]
    pub(crate) fn forget(&mut self) {
        self.len = 0;
    }
}

impl Default for Burst {
    fn default() -> Self {
        Burst::new()
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        // SAFETY: these packets are ours alone; none is null (they came out of Mbufs).
        unsafe { dpdk_sys::rte_pktmbuf_free_bulk(self.packets.as_mut_ptr(), self.len as u32) };
    }
}
