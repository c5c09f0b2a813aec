//! What a device says of a received packet, and what it is asked to do to one that leaves.

use super::Mbuf;

/// What the device says of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Not looked at.
    Unknown,
    /// Looked at and good.
    Good,
    /// Looked at and bad.
    Bad,
}

/// What the device is to do on transmit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transmit {
    /// Length of the Ethernet header with its tags, bytes.
    pub l2_len: u8,
    /// Length of the IP header with its extensions, bytes.
    pub l3_len: u16,
    /// Length of the TCP or UDP header, bytes; wanted by `net_tap` for checksums too.
    pub l4_len: u8,
    /// Is it IPv6?
    pub ipv6: bool,
    /// Fill in the IPv4 header checksum; the field is zero.
    pub ipv4_checksum: bool,
    /// Fill in the TCP checksum; the field holds the pseudo header's sum (with TSO: without the length in it).
    pub tcp_checksum: bool,
    /// Fill in the UDP checksum; the field holds the pseudo header's sum.
    pub udp_checksum: bool,
    /// Cut into segments of so many payload bytes; 0: do not.
    pub tso_mss: u16,
}

impl Mbuf {
    /// What the device said of the IP header's checksum.
    #[inline]
    pub fn ip_checksum(&self) -> Checksum {
        let flags = self.head.flags() & dpdk_sys::LIMPID_MBUF_RX_IP_MASK;
        verdict(flags, dpdk_sys::LIMPID_MBUF_RX_IP_GOOD, dpdk_sys::LIMPID_MBUF_RX_IP_BAD)
    }

    /// What the device said of the TCP, UDP or ICMP checksum.
    #[inline]
    pub fn l4_checksum(&self) -> Checksum {
        let flags = self.head.flags() & dpdk_sys::LIMPID_MBUF_RX_L4_MASK;
        verdict(flags, dpdk_sys::LIMPID_MBUF_RX_L4_GOOD, dpdk_sys::LIMPID_MBUF_RX_L4_BAD)
    }

    /// The tag control information that the device stripped, if it did.
    #[inline]
    pub fn stripped_vlan(&self) -> Option<u16> {
        (self.head.flags() & dpdk_sys::LIMPID_MBUF_RX_VLAN_STRIPPED != 0).then(|| self.head.vlan())
    }

    /// Asks the device for this on transmit. Only for what [`crate::Offloads`] reports.
    #[inline]
    pub fn set_transmit(&mut self, transmit: Transmit) {
        // What the receiving device said goes; whose memory it is stays (mlx5 receives into buffers of its own).
        self.head.set_flags(self.head.flags() & dpdk_sys::LIMPID_MBUF_BUFFER_FLAGS | flags(&transmit));
        self.head.set_tx_offload(lengths(&transmit));
    }

    /// Is the device asked to cut this packet into TCP segments?
    #[inline]
    pub fn is_segmented_on_transmit(&self) -> bool {
        self.head.flags() & dpdk_sys::LIMPID_MBUF_TX_TCP_SEG != 0
    }
}

/// Both bits together mean "the bytes are good, though the field may not be": nothing is wrong with the data.
fn verdict(flags: u64, good: u64, bad: u64) -> Checksum {
    match (flags & good != 0, flags & bad != 0) {
        (true, _) => Checksum::Good,
        (false, true) => Checksum::Bad,
        (false, false) => Checksum::Unknown,
    }
}

#[inline]
fn flags(transmit: &Transmit) -> u64 {
    let mut flags = 0;
    if transmit.ipv4_checksum {
        flags |= dpdk_sys::LIMPID_MBUF_TX_IP_CKSUM;
    }
    if transmit.tcp_checksum {
        flags |= dpdk_sys::LIMPID_MBUF_TX_TCP_CKSUM;
    }
    if transmit.udp_checksum {
        flags |= dpdk_sys::LIMPID_MBUF_TX_UDP_CKSUM;
    }
    if transmit.tso_mss != 0 {
        // rte_mbuf_core.h: the flag implies the TCP checksum, and IPv4 wants the IP checksum flag with it.
        flags |= dpdk_sys::LIMPID_MBUF_TX_TCP_SEG | dpdk_sys::LIMPID_MBUF_TX_TCP_CKSUM;
        if !transmit.ipv6 {
            flags |= dpdk_sys::LIMPID_MBUF_TX_IP_CKSUM;
        }
    }
    if flags != 0 {
        flags |= if transmit.ipv6 { dpdk_sys::LIMPID_MBUF_TX_IPV6 } else { dpdk_sys::LIMPID_MBUF_TX_IPV4 };
    }
    flags
}

/// The word of lengths: 7 bits of L2, 9 of L3, 8 of L4, 16 of segment size.
#[inline]
fn lengths(transmit: &Transmit) -> u64 {
    u64::from(transmit.l2_len & 0x7f) << dpdk_sys::RTE_MBUF_L2_LEN_OFS
        | u64::from(transmit.l3_len & 0x1ff) << dpdk_sys::RTE_MBUF_L3_LEN_OFS
        | u64::from(transmit.l4_len) << dpdk_sys::RTE_MBUF_L4_LEN_OFS
        | u64::from(transmit.tso_mss) << dpdk_sys::RTE_MBUF_TSO_SEGSZ_OFS
}
