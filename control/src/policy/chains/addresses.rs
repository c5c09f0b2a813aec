//! What kind of address an address is to the gateway, for `-m addrtype`.
//!
//! IPv4 is answered as Linux' `inet_addr_type` answers from the local table: own, broadcast, multicast, and everything
//! else is unicast, with or without a route. IPv6 is answered as `ipv6_addr_type` and that match together: of several
//! kinds, each must hold. Routes to nowhere do not exist here, so nothing is BLACKHOLE, UNREACHABLE or PROHIBIT.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::policy::network::{Interface, InterfaceId};
use crate::rules::AddressTypes;

/// The gateway's addresses with their interfaces, sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    own: Vec<(IpAddr, InterfaceId)>,
    broadcasts: Vec<(Ipv4Addr, InterfaceId)>,
    /// Of each IPv6 network, the address that all its routers answer to (RFC 4291 2.6.1).
    anycasts: Vec<(Ipv6Addr, InterfaceId)>,
}

impl Addresses {
    pub(super) fn of(interfaces: &[Interface]) -> Addresses {
        let mut addresses = Addresses::default();
        for (at, interface) in interfaces.iter().enumerate() {
            let id = InterfaceId(at as u16);
            for network in &interface.addresses {
                addresses.own.push((network.addr(), id));
                match network {
                    IpNet::V4(network) if network.prefix_len() < 31 => {
                        addresses.broadcasts.push((network.broadcast(), id));
                    }
                    // A network of two has no router's address (RFC 6164).
                    IpNet::V6(network) if network.prefix_len() < 127 => {
                        addresses.anycasts.push((network.network(), id));
                    }
                    _ => {}
                }
            }
        }
        addresses.own.sort_unstable();
        addresses.broadcasts.sort_unstable();
        addresses.anycasts.sort_unstable();
        addresses
    }

    /// Whether an address is of one of these types. With a limit, what is own or broadcast on another interface is
    /// unicast.
    pub(super) fn is(&self, address: IpAddr, types: AddressTypes, limit: Limit) -> bool {
        match address {
            IpAddr::V4(address) => types.intersects(self.kind_of(address, limit)),
            IpAddr::V6(address) => self.fits(address, types, limit),
        }
    }

    fn kind_of(&self, address: Ipv4Addr, limit: Limit) -> AddressTypes {
        if address.octets()[0] == 0 || address.is_broadcast() {
            return AddressTypes::BROADCAST;
        }
        if address.is_multicast() {
            return AddressTypes::MULTICAST;
        }
        // The loopback network is the loopback interface's, which has no name here.
        if address.is_loopback() && limit.is_none() || on(&self.own, IpAddr::V4(address), limit) {
            return AddressTypes::LOCAL;
        }
        if on(&self.broadcasts, address, limit) {
            return AddressTypes::BROADCAST;
        }
        AddressTypes::UNICAST
    }

    fn fits(&self, address: Ipv6Addr, types: AddressTypes, limit: Limit) -> bool {
        if types.contains(AddressTypes::MULTICAST) && !address.is_multicast() {
            return false;
        }
        if types.contains(AddressTypes::UNICAST) && (address.is_multicast() || address.is_unspecified()) {
            return false;
        }
        if types.contains(AddressTypes::UNSPEC) && !address.is_unspecified() {
            return false;
        }
        let looked_up = types & (AddressTypes::LOCAL | AddressTypes::ANYCAST | AddressTypes::UNREACHABLE);
        if looked_up.is_empty() {
            // What no IPv6 address is.
            return !types.intersects(AddressTypes::BROADCAST | AddressTypes::BLACKHOLE | AddressTypes::PROHIBIT);
        }
        let local = address.is_loopback() && limit.is_none() || on(&self.own, IpAddr::V6(address), limit);
        looked_up.contains(AddressTypes::LOCAL) && local
            || looked_up.contains(AddressTypes::ANYCAST) && !local && on(&self.anycasts, address, limit)
    }
}

/// `--limit-iface-in`, `--limit-iface-out`: an address counts only on that interface, which there may be none of.
type Limit = Option<Option<InterfaceId>>;

/// Whether an address is in the list, on the interface if one is given.
fn on<A: Ord + Copy>(list: &[(A, InterfaceId)], address: A, limit: Limit) -> bool {
    match limit {
        None => list.binary_search_by(|(of, _)| of.cmp(&address)).is_ok(),
        Some(Some(interface)) => list.binary_search(&(address, interface)).is_ok(),
        Some(None) => false,
    }
}
