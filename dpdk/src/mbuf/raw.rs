//! Fields of `struct rte_mbuf`, by their offsets: between releases they moved in and out of anonymous unions.
//!
//! What must hold: a [`Raw`] points to a live mbuf, and whoever holds it decides alone over the fields. [`super::Mbuf`]
//! and [`super::MbufSlice`] see to both; no other code makes one.

use std::ptr::{self, NonNull};

use dpdk_sys::{rte_mbuf, rte_mempool};

/// A pointer to a live mbuf.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw(NonNull<rte_mbuf>);

macro_rules! field {
    ($get:ident, $set:ident, $type:ty, $offset:ident) => {
        #[inline(always)]
        pub(crate) fn $get(self) -> $type {
            // SAFETY: the mbuf is live (Raw::new), and wrapper.h checks offset and width of the field.
            unsafe { self.0.as_ptr().byte_add(dpdk_sys::$offset as usize).cast::<$type>().read() }
        }

        #[inline(always)]
        pub(crate) fn $set(self, value: $type) {
            // SAFETY: as above; and the holder of a Raw decides alone over the fields.
            unsafe { self.0.as_ptr().byte_add(dpdk_sys::$offset as usize).cast::<$type>().write(value) }
        }
    };
}

impl Raw {
    /// # Safety
    /// `mbuf` is live as long as the result is used, and nobody else touches its fields meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn new(mbuf: NonNull<rte_mbuf>) -> Raw {
        Raw(mbuf)
    }

    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *mut rte_mbuf {
        self.0.as_ptr()
    }

    field!(data_offset, set_data_offset, u16, LIMPID_MBUF_DATA_OFF);
    field!(data_len, set_data_len, u16, LIMPID_MBUF_DATA_LEN);
    field!(packet_len, set_packet_len, u32, LIMPID_MBUF_PKT_LEN);
    field!(segments, set_segments, u16, LIMPID_MBUF_NB_SEGS);
    field!(references, set_references, u16, LIMPID_MBUF_REFCNT);
    field!(flags, set_flags, u64, LIMPID_MBUF_OL_FLAGS);

    #[inline(always)]
    pub(crate) fn set_tx_offload(self, value: u64) {
        // SAFETY: as in the fields above.
        unsafe { self.0.as_ptr().byte_add(dpdk_sys::LIMPID_MBUF_TX_OFFLOAD as usize).cast::<u64>().write(value) }
    }

    #[inline(always)]
    pub(crate) fn vlan(self) -> u16 {
        self.read::<u16>(dpdk_sys::LIMPID_MBUF_VLAN_TCI)
    }

    /// Where the packet's bytes begin.
    #[inline(always)]
    pub(crate) fn data(self) -> *mut u8 {
        // SAFETY: the data's offset is never beyond the buffer's end: drivers set it to the headroom, we move it down.
        unsafe { self.buffer().add(usize::from(self.data_offset())) }
    }

    /// Fetches the first cache line of the packet's bytes, which its headers are in, while others are looked at.
    #[inline(always)]
    pub(crate) fn prefetch(self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch may be given any address, and every x86-64 has SSE.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(self.data().cast());
        }
    }

    /// Where they end.
    #[inline(always)]
    pub(crate) fn data_end(self) -> *mut u8 {
        // SAFETY: data's offset and length stay inside the buffer.
        unsafe { self.data().add(usize::from(self.data_len())) }
    }

    /// Bytes free behind the data.
    #[inline(always)]
    pub(crate) fn tailroom(self) -> usize {
        let used = usize::from(self.data_offset()) + usize::from(self.data_len());
        usize::from(self.read::<u16>(dpdk_sys::LIMPID_MBUF_BUF_LEN)).saturating_sub(used)
    }

    #[inline(always)]
    pub(crate) fn next(self) -> Option<Raw> {
        NonNull::new(self.read::<*mut rte_mbuf>(dpdk_sys::LIMPID_MBUF_NEXT)).map(Raw)
    }

    #[inline(always)]
    pub(crate) fn set_next(self, next: Option<Raw>) {
        let next = next.map_or(ptr::null_mut(), Raw::as_ptr);
        // SAFETY: as in the fields above: a live mbuf, a checked offset, one holder.
        unsafe {
            self.0.as_ptr().byte_add(dpdk_sys::LIMPID_MBUF_NEXT as usize).cast::<*mut rte_mbuf>().write(next);
        }
    }

    /// An empty segment from the pool that this one came from.
    pub(crate) fn allocate_like(self) -> Option<Raw> {
        let pool = self.read::<*mut rte_mempool>(dpdk_sys::LIMPID_MBUF_POOL);
        // SAFETY: the pool lives as long as any of its mbufs (crate::pool leaves it to the process otherwise).
        NonNull::new(unsafe { dpdk_sys::rte_pktmbuf_alloc(pool) }).map(Raw)
    }

    /// Gives back the segments behind this one.
    pub(crate) fn free_tail(self) {
        if let Some(next) = self.next() {
            self.set_next(None);
            // SAFETY: nothing else leads to these segments now. (rte_pktmbuf_free follows `next` alone.)
            unsafe { dpdk_sys::rte_pktmbuf_free(next.as_ptr()) };
        }
    }

    /// Copies a chain into its first segment; false when it does not fit.
    pub(crate) fn linearise(self) -> bool {
        // SAFETY: a live chain, not shared.
        unsafe { dpdk_sys::rte_pktmbuf_linearize(self.as_ptr()) == 0 }
    }

    #[inline(always)]
    fn buffer(self) -> *mut u8 {
        self.read::<*mut u8>(dpdk_sys::LIMPID_MBUF_BUF_ADDR)
    }

    #[inline(always)]
    fn read<T: Copy>(self, offset: u32) -> T {
        // SAFETY: the mbuf is live, and the callers above name a field's offset with its type (wrapper.h checks the
        // widths; the others are pointers).
        unsafe { self.0.as_ptr().byte_add(offset as usize).cast::<T>().read() }
    }
}
