//! Every bound of this crate, with its reason: what DPDK's tables, the drivers and a gateway's habits allow.

/// Packets moved by one call: what the drivers' vector paths and their rings' thresholds are tuned for.
pub const BURST: usize = 32;

/// Buffers a core keeps for itself before it goes to the pool's shared ring: eight bursts, so that a turn with all
/// ports busy does not touch the ring, and less than the 512 that EAL allows.
pub const POOL_CACHE: u32 = 256;

/// Buffers in the smallest pool: a few bursts of a few ports must fit or nothing moves at all.
pub const POOL_BUFFERS_MIN: u32 = 512;

/// Packet bytes in one buffer besides headroom: an Ethernet frame of 1,518 bytes and tags, and what most NICs want as
/// a power of two.
pub const DATA_ROOM: u16 = 2048;

/// What a frame has besides the IP packet: Ethernet header, check sequence, two VLAN tags.
pub const FRAME_OVERHEAD: u16 = 14 + 4 + 8;

/// Memory of one buffer besides its data room: `struct rte_mbuf`, the pool's object header and trailer, headroom.
pub const BUFFER_OVERHEAD: usize = 384;

/// Receive and transmit descriptors a queue asks for; the driver may adjust them. At 10 Gbit/s of small packets 1,024
/// hold 70 µs, which is longer than a turn takes.
pub const DESCRIPTORS: u16 = 1024;

/// Segments of one frame: 64 KiB of payload and headers in buffers of 2 KiB, and no more than what NICs take (40).
pub const SEGMENTS_MAX: u16 = 40;

/// References to one buffer: the counter has 16 bits, and half of it is far above what a packet's bytes can make.
pub const REFERENCES_MAX: u16 = 0x7fff;

/// Lines of EAL's log that go into one [`crate::Error`].
pub const LOG_LINES: usize = 12;

/// Bytes of such a line.
pub const LOG_LINE_LEN: usize = 400;

/// Extended statistics read from one port; drivers with many queues report some hundreds.
pub const XSTATS_MAX: usize = 8192;

/// Workers: EAL's lcores less the main one.
pub const WORKERS_MAX: usize = dpdk_sys::LIMPID_LCORES_MAX as usize - 1;
