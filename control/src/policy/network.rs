//! Interfaces and routes: where the gateway stands, and where the host's kernel has a part in that. Ids are places in the file and stay the same while the gateway runs.

use std::net::IpAddr;

use ipnet::IpNet;

/// Index of an interface, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId(pub u16);

impl InterfaceId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A leg of the gateway: a port, or one VLAN of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The name that rules use after `-i` and `-o`.
    pub name: String,
    /// The device string, as DPDK wants it.
    pub port: String,
    /// The 802.1Q VLAN on that port; untagged when absent.
    pub vlan: Option<u16>,
    /// Our own addresses, each with the network it stands in. The first of a family is the one TPROXY redirects to.
    pub addresses: Vec<IpNet>,
    /// Largest IP packet; the port's own when absent.
    pub mtu: Option<u16>,
    /// The device by which the host's kernel has a part in it; absent: it has none.
    pub kernel: Option<KernelDevice>,
}

/// The device by which the host's kernel, and with it the programs on the gateway, has a part in an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelDevice {
    /// What the kernel calls it.
    pub name: String,
    /// How packets get there.
    pub driver: KernelDriver,
    /// Packets a second in each direction, at most; the data plane's choice when absent.
    pub packets_per_second: Option<u32>,
    /// Bytes a second in each direction, at most; the data plane's choice when absent.
    pub bytes_per_second: Option<u64>,
}

/// How packets get to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelDriver {
    /// A TAP device: one system call a packet, everywhere.
    Tap,
    /// A virtio device over `/dev/vhost-net`: rings, where that module is.
    VhostNet,
}

impl Interface {
    /// The first address of the family of `like`: what `TPROXY` without `--on-ip` redirects to.
    pub fn first_address(&self, like: IpAddr) -> Option<IpAddr> {
        self.addresses.iter().map(IpNet::addr).find(|address| address.is_ipv4() == like.is_ipv4())
    }
}

/// Where packets to a network go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The network.
    pub to: IpNet,
    /// The gateway; absent where the network is on the wire itself.
    pub via: Option<IpAddr>,
    /// The interface that leads there.
    pub interface: InterfaceId,
}
