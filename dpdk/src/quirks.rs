//! Where a driver's report is not to be taken at its word, and why. Each entry was found with real packets or in the
//! driver's source; an entry that no longer holds in any supported release may go.

/// What to leave unused of a driver's report, and what it does without reporting it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quirk {
    /// Receive offloads not to use.
    pub(crate) rx_off: u64,
    /// Transmit offloads not to use.
    pub(crate) tx_off: u64,
    /// Do not use its RSS.
    pub(crate) rss_off: bool,
    /// Spreads flows over queues by a hash that is the same in both directions, though it reports no RSS.
    pub(crate) spreads_symmetrically: bool,
    /// The sentence for the operator.
    pub(crate) reason: &'static str,
}

const RX_CHECKSUMS: u64 =
    dpdk_sys::LIMPID_RX_IPV4_CKSUM | dpdk_sys::LIMPID_RX_TCP_CKSUM | dpdk_sys::LIMPID_RX_UDP_CKSUM;

/// By the driver's name.
pub(crate) fn of(driver: &str) -> Quirk {
    match driver {
        // Its TSO is librte_gso, which knows IPv4 only: an IPv6 frame would leave uncut. Its RSS is an eBPF program
        // behind tc rules, which needs the multiq qdisc and hashes the two directions of a flow differently.
        "net_tap" => Quirk {
            tx_off: dpdk_sys::LIMPID_TX_TCP_TSO,
            rss_off: true,
            reason: "net_tap cuts IPv4 only, and its RSS is not symmetric",
            ..Quirk::default()
        },
        // With receive checksum offload on, virtio hands over packets whose checksum the other side has not filled
        // in; one that is passed on as it is would leave with a wrong one.
        "net_virtio" | "net_virtio_user" | "net_vhost" => Quirk {
            rx_off: RX_CHECKSUMS,
            reason: "with it virtio hands over packets with unfinished checksums",
            ..Quirk::default()
        },
        // qpairs sockets share a PACKET_FANOUT_HASH group, and the kernel's hash there is symmetric and the same for
        // all interfaces (fanout_demux_hash uses __skb_get_hash_symmetric).
        "net_af_packet" => {
            Quirk { spreads_symmetrically: true, reason: "the kernel's fanout hash is symmetric", ..Quirk::default() }
        }
        _ => Quirk::default(),
    }
}
