//! Longest prefix match over both families: zones and routes.
//!
//! The tree is a crate's (`prefix-trie`); this gives it one key type for IPv4 and IPv6. An IPv4-mapped IPv6 address
//! is an IPv6 address here: mapped addresses never appear on a wire, and treating one as IPv4 would let it into
//! IPv4's zones.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

#[cfg(test)]
mod tests;

/// A map from networks to values, asked by address; the longest network that covers the address wins.
#[derive(Clone, Debug)]
pub struct PrefixMap<T> {
    v4: prefix_trie::PrefixMap<Ipv4Net, T>,
    v6: prefix_trie::PrefixMap<Ipv6Net, T>,
}

impl<T> Default for PrefixMap<T> {
    fn default() -> Self {
        PrefixMap { v4: prefix_trie::PrefixMap::new(), v6: prefix_trie::PrefixMap::new() }
    }
}

impl<T> PrefixMap<T> {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of a network (host bits do not count); returns the one it had.
    pub fn insert(&mut self, network: IpNet, value: T) -> Option<T> {
        match network.trunc() {
            IpNet::V4(network) => self.v4.insert(network, value),
            IpNet::V6(network) => self.v6.insert(network, value),
        }
    }

    /// The value of exactly this network.
    pub fn get(&self, network: IpNet) -> Option<&T> {
        match network.trunc() {
            IpNet::V4(network) => self.v4.get(&network),
            IpNet::V6(network) => self.v6.get(&network),
        }
    }

    /// The longest network that covers the address, and its value.
    pub fn lookup(&self, address: IpAddr) -> Option<(IpNet, &T)> {
        match address {
            IpAddr::V4(address) => self.v4.get_lpm(&Ipv4Net::from(address)).map(|(n, value)| (IpNet::V4(n), value)),
            IpAddr::V6(address) => self.v6.get_lpm(&Ipv6Net::from(address)).map(|(n, value)| (IpNet::V6(n), value)),
        }
    }

    /// How many networks there are.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All networks with their values, IPv4 first, in order of address.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, &T)> {
        let v4 = self.v4.iter().map(|(n, value)| (IpNet::V4(n), value));
        v4.chain(self.v6.iter().map(|(n, value)| (IpNet::V6(n), value)))
    }
}
