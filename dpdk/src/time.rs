//! The time stamp counter: the cheapest clock there is, and the one that busy turns are measured by.

/// Cycles of the time stamp counter since some moment.
#[inline]
pub fn cycles() -> u64 {
    // SAFETY: reads a register; no memory is touched.
    unsafe { dpdk_sys::rte_rdtsc() }
}

/// How many of them make a second; measured by EAL when it starts, so 0 before.
pub fn cycles_per_second() -> u64 {
    // SAFETY: reads a variable that EAL writes once, before any worker is launched.
    unsafe { dpdk_sys::rte_get_tsc_hz() }
}
