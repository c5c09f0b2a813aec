//! Packet memory: a pool of equal buffers that is never freed under a buffer still in use.
//!
//! One pool a worker keeps all counting on one core. Buffers hold no reference to their pool (that would cost an
//! atomic a packet); instead, a pool that is dropped with buffers out is left to the process for good.

use std::ffi::CString;
use std::mem;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dpdk_sys::rte_mempool;

use crate::eal::{Eal, Handle};
use crate::error::Error;
use crate::lcore::Lcore;
use crate::limits;
use crate::log;
use crate::mbuf::Mbuf;

/// A pool of packet buffers; clones are the same pool.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    pool: NonNull<rte_mempool>,
    buffers: u32,
    data_room: u16,
    eal: Arc<Handle>,
}

// SAFETY: DPDK's mempools are made for several threads: the ring is multi-producer and multi-consumer, and caches
// belong to an lcore each.
unsafe impl Send for Inner {}
// SAFETY: as above; all methods take the pool by shared reference in C too.
unsafe impl Sync for Inner {}

static NAMES: AtomicU32 = AtomicU32::new(0);

impl Pool {
    /// Makes a pool of `buffers` with `data_room` bytes for packets each, near `lcore` where memory has places.
    ///
    /// # Errors
    /// When the memory does not suffice.
    pub fn new(eal: &Eal, lcore: Option<&Lcore>, buffers: u32, data_room: u16) -> Result<Pool, Error> {
        let buffers = buffers.max(limits::POOL_BUFFERS_MIN);
        // SAFETY: reads EAL's table of lcores, with an id out of it.
        let socket = lcore.map(|lcore| unsafe { dpdk_sys::rte_lcore_to_socket_id(lcore.id) }.cast_signed());
        const SOCKET_ANY: i32 = -1;
        let mut last = 0;
        for socket in [socket.unwrap_or(SOCKET_ANY), SOCKET_ANY] {
            match create(buffers, data_room, socket) {
                Ok(pool) => {
                    let inner = Inner { pool, buffers, data_room, eal: Arc::clone(&eal.handle) };
                    return Ok(Pool { inner: Arc::new(inner) });
                }
                Err(code) => last = code,
            }
        }
        let mib = Pool::memory(buffers, data_room) >> 20;
        Err(Error::number(format!("cannot make a pool of {buffers} buffers ({mib} MiB)"), last)
            .advise("more dpdk.memory_mib, or fewer cores"))
    }

    /// Packet bytes that a buffer needs so that a frame of this MTU fits into it whole, tags included.
    pub fn data_room_for(mtu: u16) -> u16 {
        mtu.saturating_add(limits::FRAME_OVERHEAD)
            .checked_next_multiple_of(64)
            .unwrap_or(u16::MAX)
            .max(limits::DATA_ROOM)
    }

    /// How many buffers fit into so many bytes.
    pub fn buffers_for(bytes: usize, data_room: u16) -> u32 {
        u32::try_from(bytes / Pool::memory(1, data_room)).unwrap_or(u32::MAX)
    }

    /// Bytes that so many buffers take.
    fn memory(buffers: u32, data_room: u16) -> usize {
        buffers as usize * (usize::from(data_room) + limits::BUFFER_OVERHEAD)
    }

    /// An empty buffer with headroom; `None` when there is none left.
    #[inline]
    pub fn allocate(&self) -> Option<Mbuf> {
        // SAFETY: the pool lives as long as `inner`.
        let raw = NonNull::new(unsafe { dpdk_sys::rte_pktmbuf_alloc(self.inner.pool.as_ptr()) })?;
        // SAFETY: freshly allocated: one segment, counted once, and nobody else has it.
        Some(unsafe { Mbuf::from_raw(raw) })
    }

    /// All buffers.
    pub fn capacity(&self) -> u32 {
        self.inner.buffers
    }

    /// Bytes for packet data in each buffer.
    pub fn data_room(&self) -> u16 {
        self.inner.data_room
    }

    /// Free buffers, exactly; walks every lcore's cache, so not for the packet path.
    pub fn available(&self) -> u32 {
        // SAFETY: the pool lives as long as `inner`.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.inner.pool.as_ptr()) }
    }

    /// Share of the buffers that is free, in 1/256; cheap, and low by what cores keep in their caches.
    #[inline]
    pub fn free_share(&self) -> u8 {
        // SAFETY: the pool lives as long as `inner`.
        let free = unsafe { dpdk_sys::limpid_mempool_shared_count(self.inner.pool.as_ptr()) };
        let share = u64::from(free) * 256 / u64::from(self.inner.buffers);
        u8::try_from(share).unwrap_or(u8::MAX)
    }

    pub(crate) fn as_ptr(&self) -> *mut rte_mempool {
        self.inner.pool.as_ptr()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: the pool is alive until the end of this function.
        let available = unsafe { dpdk_sys::rte_mempool_avail_count(self.pool.as_ptr()) };
        if available < self.buffers {
            let out = self.buffers - available;
            tracing::debug!(out, "a packet pool outlives its owner, because buffers of it are in use");
            // What is out may still be read and given back: neither the pool nor EAL's memory may go.
            mem::forget(Arc::clone(&self.eal));
            return;
        }
        // SAFETY: every buffer is back, and this was the last owner.
        unsafe { dpdk_sys::rte_mempool_free(self.pool.as_ptr()) };
    }
}

fn create(buffers: u32, data_room: u16, socket: i32) -> Result<NonNull<rte_mempool>, i32> {
    let name = format!("limpid_pool_{}", NAMES.fetch_add(1, Ordering::Relaxed));
    let name = CString::new(name).expect("letters and digits");
    let cache = limits::POOL_CACHE.min(buffers / 2).min(dpdk_sys::LIMPID_MEMPOOL_CACHE_MAX);
    let room = u16::try_from(u32::from(data_room) + dpdk_sys::LIMPID_HEADROOM).map_err(|_| 22)?;
    let (pool, _) = log::listen(|| {
        // SAFETY: EAL runs (the caller has it), and the name is terminated; DPDK copies it.
        unsafe { dpdk_sys::limpid_pool_create(name.as_ptr(), buffers, cache, room, socket) }
    });
    // SAFETY: reads a thread-local number.
    NonNull::new(pool).ok_or_else(|| unsafe { dpdk_sys::limpid_errno() })
}
