//! One receive and one transmit queue of a port, with one owner.
//!
//! What must hold: DPDK's queues take no locks, so a queue is used by one thread at a time: it is `Send`, not `Sync`,
//! and exists once ([`crate::Port::queue`] gives it away). Packets that the device does not take are given back and
//! counted; TCP sends them again, and waiting would hold up every other port of the core.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::burst::Burst;
use crate::device::Device;
use crate::limits::BURST;
use crate::mbuf::{Mbuf, Raw};
use crate::pool::Pool;

/// A queue pair.
pub struct Queue {
    device: Arc<Device>,
    id: u16,
    index: u16,
    pool: Pool,
    /// Does the driver want to see packets with offloads before they are sent?
    prepare: bool,
    not_sync: PhantomData<Cell<()>>,
}

impl Queue {
    pub(crate) fn new(device: Arc<Device>, index: u16, pool: Pool) -> Queue {
        let prepare = device.offloads().any_checksum();
        Queue { id: device.id(), device, index, pool, prepare, not_sync: PhantomData }
    }

    /// The device it belongs to.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The pool that received packets come from.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Receives up to [`BURST`] packets and appends them; returns how many.
    #[inline]
    pub fn receive(&mut self, packets: &mut Vec<Mbuf>) -> usize {
        self.receive_with(|packet| packets.push(packet))
    }

    /// Receives up to [`BURST`] packets and hands each over; returns how many.
    #[inline]
    pub fn receive_with(&mut self, mut take: impl FnMut(Mbuf)) -> usize {
        let mut burst = [ptr::null_mut(); BURST];
        // SAFETY: the port is started and has this queue, as long as `device` lives; this is the queue's only user; the
        // array holds BURST pointers.
        let count = unsafe { dpdk_sys::rte_eth_rx_burst(self.id, self.index, burst.as_mut_ptr(), BURST as u16) };
        let received = &burst[..usize::from(count).min(BURST)];
        for &packet in received {
            // SAFETY: the driver filled in live packets, as below.
            unsafe { Raw::new(NonNull::new_unchecked(packet)) }.prefetch();
        }
        for &packet in received {
            // SAFETY: the driver filled in that many pointers and gave the packets up; they are well-formed chains.
            take(unsafe { Mbuf::from_raw(NonNull::new_unchecked(packet)) });
        }
        received.len()
    }

    /// Sends what is in the burst and empties it; returns how many packets the device did not take. Those are given
    /// back to their pools.
    #[inline]
    pub fn send(&mut self, burst: &mut Burst) -> usize {
        if burst.is_empty() {
            return 0;
        }
        let mut refused = 0;
        let mut rest: &mut [_] = burst.packets();
        while !rest.is_empty() {
            let ready = if self.prepare { self.prepared(rest) } else { rest.len() };
            let sent = self.transmit(&mut rest[..ready]);
            if sent == rest.len() {
                break;
            }
            if sent < ready {
                // The ring is full: what is left would only wait.
                refused += rest.len();
                free(rest);
                break;
            }
            // The packet after the prepared ones is one that the device cannot send.
            refused += 1;
            free(&mut rest[ready..=ready]);
            rest = &mut rest[ready + 1..];
        }
        burst.forget();
        refused
    }

    /// How many of the packets, from the first on, the driver finds fit to be sent.
    fn prepared(&mut self, packets: &mut [*mut dpdk_sys::rte_mbuf]) -> usize {
        // SAFETY: port and queue are up (see receive_with); the pointers are live packets of ours.
        let count =
            unsafe { dpdk_sys::rte_eth_tx_prepare(self.id, self.index, packets.as_mut_ptr(), packets.len() as u16) };
        usize::from(count)
    }

    fn transmit(&mut self, packets: &mut [*mut dpdk_sys::rte_mbuf]) -> usize {
        // SAFETY: as in `prepared`; the driver takes over the packets it counts, the others stay ours.
        let count =
            unsafe { dpdk_sys::rte_eth_tx_burst(self.id, self.index, packets.as_mut_ptr(), packets.len() as u16) };
        usize::from(count)
    }
}

fn free(packets: &mut [*mut dpdk_sys::rte_mbuf]) {
    // SAFETY: live packets of ours that the caller does not use again.
    unsafe { dpdk_sys::rte_pktmbuf_free_bulk(packets.as_mut_ptr(), packets.len() as u32) };
}
