//! Where a packet goes next, and which addresses are the gateway's own.
//!
//! Built once from a policy, then only read: the policy's routes by longest prefix, the interfaces' own networks among
//! them. Link-local addresses have no route; they stay on the interface they were seen on, where the gateway has one
//! of its own made from its station address (RFC 4291 2.5.6). A packet to a subnet's broadcast address finds no next
//! hop here: directed broadcasts are not forwarded (RFC 2644).

use std::net::{IpAddr, Ipv6Addr};

use control::prefix::PrefixMap;
use control::{InterfaceId, Policy};
use hashbrown::HashMap;
use ipnet::IpNet;

use crate::packet::MacAddress;

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Out of which interface.
    pub interface: InterfaceId,
    /// To whom on that link: the destination itself, or a router.
    pub neighbour: IpAddr,
    /// Our address to speak from there; `None`: the interface has none of that family.
    pub source: Option<IpAddr>,
}

/// The routes and own addresses of one policy.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    next: PrefixMap<Hop>,
    own: HashMap<IpAddr, InterfaceId, foldhash::fast::FixedState>,
    interfaces: Vec<Addresses>,
}

#[derive(Clone, Copy, Debug)]
struct Hop {
    interface: InterfaceId,
    via: Option<IpAddr>,
    source: Option<IpAddr>,
}

#[derive(Clone, Debug, Default)]
struct Addresses {
    networks: Vec<IpNet>,
    link_local: Option<Ipv6Addr>,
}

impl Routes {
    /// The routes of `policy`.
    pub fn new(policy: &Policy) -> Self {
        let interfaces = policy.interfaces().iter().map(|interface| interface.addresses.clone());
        let routes = policy.routes().iter().map(|route| (route.to, route.via, route.interface));
        Self::from_parts(interfaces, routes)
    }

    /// Interfaces in the order of their ids with their addresses, and routes to networks.
    pub(crate) fn from_parts(
        interfaces: impl Iterator<Item = Vec<IpNet>>,
        routes: impl Iterator<Item = (IpNet, Option<IpAddr>, InterfaceId)>,
    ) -> Self {
        let mut this = Self::default();
        for networks in interfaces {
            this.interfaces.push(Addresses { networks, link_local: None });
        }
        for (index, addresses) in this.interfaces.iter().enumerate() {
            let id = InterfaceId(index as u16);
            this.own.extend(addresses.networks.iter().map(|network| (network.addr(), id)));
        }
        for (to, via, interface) in routes {
            let source = this.source_for(interface, via.unwrap_or(to.addr()));
            this.next.insert(to, Hop { interface, via, source });
        }
        // An interface's own network is on its link, whatever a route says.
        for (index, addresses) in this.interfaces.iter().enumerate() {
            let interface = InterfaceId(index as u16);
            for network in &addresses.networks {
                this.next.insert(*network, Hop { interface, via: None, source: Some(network.addr()) });
            }
        }
        this
    }

    /// Gives the interface its link-local address, if it speaks IPv6 and was not configured with one.
    pub fn set_link_local(&mut self, interface: InterfaceId, mac: MacAddress) {
        let Some(addresses) = self.interfaces.get_mut(usize::from(interface.0)) else { return };
        let configured = addresses.networks.iter().find_map(|network| match network.addr() {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(v6),
            _ => None,
        });
        let speaks_v6 = addresses.networks.iter().any(|network| network.addr().is_ipv6());
        addresses.link_local = configured.or_else(|| speaks_v6.then(|| link_local(mac)));
    }

    /// Where a packet to `destination` goes next.
    pub fn lookup(&self, destination: IpAddr) -> Option<NextHop> {
        if needs_zone(destination) {
            return None;
        }
        let (network, hop) = self.next.lookup(destination)?;
        if hop.via.is_none() && is_broadcast_of(network, destination) {
            return None;
        }
        let neighbour = hop.via.unwrap_or(destination);
        Some(NextHop { interface: hop.interface, neighbour, source: hop.source })
    }

    /// The same for a packet that belongs to `interface`, where link-local destinations are.
    pub fn lookup_from(&self, interface: InterfaceId, destination: IpAddr) -> Option<NextHop> {
        if !needs_zone(destination) {
            return self.lookup(destination);
        }
        let source = self.source_for(interface, destination)?;
        Some(NextHop { interface, neighbour: destination, source: Some(source) })
    }

    /// Is it one of the gateway's addresses, on whatever interface? Link-local ones need [`Routes::is_own_on`].
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.own.contains_key(&address)
    }

    /// Is it one of the gateway's addresses on this interface?
    pub fn is_own_on(&self, interface: InterfaceId, address: IpAddr) -> bool {
        let Some(addresses) = self.interfaces.get(usize::from(interface.0)) else { return false };
        addresses.networks.iter().any(|network| network.addr() == address)
            || addresses.link_local.is_some_and(|own| address == IpAddr::V6(own))
    }

    /// The gateway's addresses on this interface, with their networks.
    pub fn addresses(&self, interface: InterfaceId) -> &[IpNet] {
        self.interfaces.get(usize::from(interface.0)).map_or(&[], |addresses| &addresses.networks)
    }

    /// The gateway's link-local address on this interface.
    pub fn link_local(&self, interface: InterfaceId) -> Option<Ipv6Addr> {
        self.interfaces.get(usize::from(interface.0))?.link_local
    }

    /// Our address on the interface to speak to `destination` from: that of the network it is in, else the first of
    /// its family.
    pub fn source_for(&self, interface: InterfaceId, destination: IpAddr) -> Option<IpAddr> {
        let addresses = self.interfaces.get(usize::from(interface.0))?;
        if needs_zone(destination)
            && let Some(own) = addresses.link_local
        {
            return Some(own.into());
        }
        let same_family =
            || addresses.networks.iter().filter(|network| network.addr().is_ipv4() == destination.is_ipv4());
        let covering = same_family().filter(|network| network.contains(&destination)).max_by_key(|n| n.prefix_len());
        covering.or_else(|| same_family().next()).map(IpNet::addr)
    }

    /// Is it a host on the interface's own link, as far as addresses tell?
    pub fn is_on_link(&self, interface: InterfaceId, address: IpAddr) -> bool {
        let networks = self.addresses(interface);
        if needs_zone(address) {
            return address.is_ipv6() && networks.iter().any(|network| network.addr().is_ipv6());
        }
        networks.iter().any(|network| network.contains(&address) && !is_broadcast_of(*network, address))
    }

    /// Is it the broadcast address of a network that the gateway is on?
    pub fn is_subnet_broadcast(&self, address: IpAddr) -> bool {
        self.next.lookup(address).is_some_and(|(network, hop)| hop.via.is_none() && is_broadcast_of(network, address))
    }
}

/// Does it say nothing without an interface?
fn needs_zone(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast(),
    }
}

/// Is it the network's broadcast address, or its old one (RFC 1812 4.2.3.1: all zeros)? A network of two has none
/// (RFC 3021), nor has one of a single host.
fn is_broadcast_of(network: IpNet, address: IpAddr) -> bool {
    match (network, address) {
        (IpNet::V4(network), IpAddr::V4(address)) if network.prefix_len() < 31 => {
            address == network.broadcast() || address == network.network()
        }
        _ => false,
    }
}

/// The address that RFC 4291 appendix A makes from a station address.
fn link_local(mac: MacAddress) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

#[cfg(test)]
mod tests;
