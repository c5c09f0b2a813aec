//! What the worker asks of a network interface: bursts in, bursts out, and what the hardware can do.
//!
//! Two implementors: [`dpdk`] (real and virtual devices) and [`memory`] (the simulator's wires). A worker owns one
//! queue pair of every port; nothing here is shared between cores. Offloads are *used where the port reports them*:
//! whoever writes a packet asks [`PortInfo::offloads`] and does in software what is missing.

pub mod dpdk;
pub mod memory;

use std::ops::Range;

use crate::packet::MacAddress;

/// Packets moved by one call, at most: the burst size all DPDK drivers are tuned for.
pub const BURST: usize = 32;

/// Index of a port among the worker's ports; interfaces with VLANs share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

/// What a port can do for us on transmit; what is false is done in software.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// IPv4 header checksum.
    pub ipv4_checksum: bool,
    /// TCP checksum.
    pub tcp_checksum: bool,
    /// UDP checksum.
    pub udp_checksum: bool,
    /// TCP segmentation: one frame of up to 64 KiB payload is cut by the port.
    pub tso: bool,
    /// Frames of several segments may be sent.
    pub multi_segment: bool,
}

/// What does not change while a port is up.
#[derive(Clone, Debug)]
pub struct PortInfo {
    /// The device string of the configuration.
    pub device: String,
    /// The driver's name.
    pub driver: String,
    /// The port's own address.
    pub mac: MacAddress,
    /// Largest IP packet, bytes.
    pub mtu: u16,
    /// What the port does on transmit.
    pub offloads: Offloads,
}

/// Figures of a port that move.
#[derive(Clone, Debug, Default)]
pub struct PortStats {
    /// `up 10 Gbit/s` or `down`.
    pub link: String,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets the device lost because nobody fetched them.
    pub rx_missed: u64,
    /// Packets the device found broken.
    pub rx_errors: u64,
    /// Packets the device could not send.
    pub tx_errors: u64,
    /// The driver's extended statistics by name.
    pub xstats: Vec<(String, u64)>,
}

/// What the device says about a received frame's checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RxChecksum {
    /// Not looked at: check in software.
    #[default]
    Unknown,
    /// Looked at and good.
    Good,
    /// Looked at and bad.
    Bad,
}

/// What the port is asked to do to a frame on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxOffload {
    /// Length of the Ethernet header (VLAN tag included), bytes.
    pub l2_len: u8,
    /// Length of the IP header with its extensions, bytes.
    pub l3_len: u16,
    /// Length of the TCP header, bytes; only with `tso_mss`.
    pub l4_len: u8,
    /// Is it IPv6 (else IPv4)?
    pub ipv6: bool,
    /// Fill in the IPv4 header checksum.
    pub ipv4_checksum: bool,
    /// Fill in the TCP checksum; the field holds the pseudo header's sum.
    pub tcp_checksum: bool,
    /// Fill in the UDP checksum; the field holds the pseudo header's sum.
    pub udp_checksum: bool,
    /// Cut into segments of so many payload bytes; 0: do not.
    pub tso_mss: u16,
}

/// The frame has no room for what was to be written, and no further segment could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// One packet in its buffer.
///
/// A received frame is one contiguous run of bytes (drivers' multi-segment frames are linearised by the
/// implementor or dropped and counted there). A frame being written grows at its end by [`Frame::push`], beyond one
/// buffer when the port takes several segments.
pub trait Frame: Sized + 'static {
    /// A counted reference to a run of the frame's bytes; the buffer goes back to its pool with the last one.
    type Slice: tcp::Payload;

    /// The bytes from the Ethernet header on (the first segment's, if there are several).
    fn data(&self) -> &[u8];
    /// The same, to be rewritten in place.
    fn data_mut(&mut self) -> &mut [u8];
    /// Length over all segments.
    fn len(&self) -> usize;
    /// Is nothing in it?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Appends bytes.
    ///
    /// # Errors
    /// [`Full`] when the buffer is full and no further segment may or can be added; what was written stays.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Full>;
    /// Cuts the frame to `len` bytes; longer than it is: no change.
    fn truncate(&mut self, len: usize);
    /// Puts a head of `new` bytes, to be written now, in place of the first `old` ones; nothing else moves.
    ///
    /// # Errors
    /// [`Full`] when there is no room in front, or fewer than `old` bytes in the first segment; nothing has changed.
    fn exchange_head(&mut self, old: usize, new: usize) -> Result<(), Full>;
    /// What the device said of the IP header checksum.
    fn ip_checksum(&self) -> RxChecksum;
    /// What the device said of the TCP, UDP or ICMP checksum.
    fn l4_checksum(&self) -> RxChecksum;
    /// VLAN tag the device stripped, if it did.
    fn stripped_vlan(&self) -> Option<u16>;
    /// What the device is to do on transmit.
    fn set_offload(&mut self, offload: TxOffload);
    /// Gives the frame up for references to parts of it; panics when the range is out of bounds.
    fn into_slice(self, range: Range<usize>) -> Self::Slice;
}

/// The worker's queue pairs, one of each port.
pub trait Nic: 'static {
    /// Its buffers.
    type Frame: Frame;

    /// Number of ports; ids are `0..ports()`.
    fn ports(&self) -> u16;
    /// What does not change.
    fn info(&self, port: PortId) -> &PortInfo;
    /// What moves.
    fn stats(&self, port: PortId) -> PortStats;
    /// Receives up to [`BURST`] frames and appends them to `frames`; returns how many.
    fn receive(&mut self, port: PortId, frames: &mut Vec<Self::Frame>) -> usize;
    /// An empty frame with headroom; `None` when the pool is empty.
    fn allocate(&mut self) -> Option<Self::Frame>;
    /// Share of the packet memory that is still free, in 1/256; below 64 the worker sheds load.
    fn free_share(&self) -> u8;
    /// Queues a frame for sending; full bursts go out at once.
    fn send(&mut self, port: PortId, frame: Self::Frame);
    /// Sends what is queued; returns how many frames the devices refused since the last call (they are freed).
    fn flush(&mut self) -> usize;
}
