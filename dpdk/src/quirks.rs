//! Where a driver's report is not to be taken at its word, and why. Each entry was found with real packets or in the
//! driver's source; an entry that no longer holds in any supported release may go.

/// How a driver's report differs from what it does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quirk {
    /// Receive offloads not to use.
    pub(crate) rx_off: Off,
    /// Transmit offloads not to use.
    pub(crate) tx_off: Off,
    /// What to make of its RSS.
    pub(crate) spread: Spread,
}

/// Offloads that stay off.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Off {
    /// DPDK's flags.
    pub(crate) bits: u64,
    /// The sentence for the operator.
    pub(crate) reason: &'static str,
}

/// How flows are spread over queues.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Spread {
    /// As the driver reports.
    #[default]
    AsReported,
    /// By a hash that is the same in both directions, though it reports no RSS.
    Symmetric(&'static str),
    /// Not in a way that is of use, though it reports RSS.
    Useless(&'static str),
}

const RX_CHECKSUMS: u64 =
    dpdk_sys::LIMPID_RX_IPV4_CKSUM | dpdk_sys::LIMPID_RX_TCP_CKSUM | dpdk_sys::LIMPID_RX_UDP_CKSUM;

/// By the driver's name.
pub(crate) fn of(driver: &str) -> Quirk {
    match driver {
        // Its TSO is librte_gso, which knows IPv4 only: of two frames of 4,000 bytes with a segment size of 1,400 the
        // kernel got three packets of the IPv4 one, and the IPv6 one uncut. Its checksums are right in both families.
        // Its RSS is a tc program with a key of its own, which wants a kernel with the multiq qdisc.
        "net_tap" => Quirk {
            tx_off: Off { bits: dpdk_sys::LIMPID_TX_TCP_TSO, reason: "net_tap cuts IPv4 only" },
            spread: Spread::Useless("the RSS of net_tap takes no key"),
            ..Quirk::default()
        },
        // With receive checksum offload on, virtio hands over packets whose checksum the other side has not filled
        // in; one that is passed on as it is would leave with a wrong one.
        "net_virtio" | "net_virtio_user" | "net_vhost" => Quirk {
            rx_off: Off { bits: RX_CHECKSUMS, reason: "with it virtio hands over packets with unfinished checksums" },
            ..Quirk::default()
        },
        // qpairs sockets share a PACKET_FANOUT_HASH group, and the kernel's hash there is symmetric and the same for
        // all interfaces (fanout_demux_hash uses __skb_get_hash_symmetric).
        "net_af_packet" => {
            Quirk { spread: Spread::Symmetric("the kernel's fanout hash is symmetric"), ..Quirk::default() }
        }
        _ => Quirk::default(),
    }
}
