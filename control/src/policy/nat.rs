//! NAT policies: how a service maps the address of its server (`dnat`) and that of its own end towards it (`snat`).
//!
//! Pure mappings, made after the permission was asked for: it is the server the client meant, or the router named, that
//! a zone permits. Zorp keeps a cache of a thousand choices per policy, so that its random choice sticks to a pair of
//! client and server; here the choice is a hash of that pair, which sticks to any number of pairs and needs no memory.
//! With `cacheable: false` the random choice is made anew for each flow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv6Net};

use super::translation::mix;
use super::tuple::NewFlow;

/// Index of a NAT policy, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NatPolicyId(pub u32);

/// A NAT policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatPolicy {
    /// Its name.
    pub name: String,
    /// What it does.
    pub mapping: Mapping,
    /// A client and a server that met once get the same choice again.
    pub cacheable: bool,
}

/// Kinds of mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// The first row that fits both ends; what fits none stays as it is.
    General(Vec<GeneralRow>),
    /// Always this address; port 0 leaves the port.
    Static(SocketAddr),
    /// From one network into another of the same size, host part kept.
    OneToOne {
        /// Pairs of networks, the first that holds the address counts.
        pairs: Vec<(IpNet, IpNet)>,
        /// Addresses outside are refused; else they stay as they are.
        reject_outside: bool,
    },
    /// One of these, by chance.
    Random(Vec<SocketAddr>),
    /// One of these, by the address that is mapped.
    Hash(Vec<SocketAddr>),
    /// IPv6 addresses within the prefix become the IPv4 addresses they hold (RFC 6052).
    Nat64(Ipv6Net),
    /// IPv4 addresses become IPv6 ones that hold them (RFC 6052).
    Nat46(Ipv6Net),
}

/// One row of [`Mapping::General`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneralRow {
    /// Where the flow comes from.
    pub source: IpNet,
    /// Where it goes.
    pub destination: IpNet,
    /// The network whose host part the mapped address keeps.
    pub mapped: IpNet,
}

/// Which end is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `snat`.
    Source,
    /// `dnat`.
    Destination,
}

/// The policy has no address for this one, and does not let it pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAddress;

impl NatPolicy {
    /// The new address of one end of a connection from `source` to `destination`; port 0 leaves the port. None: it
    /// stays as it is.
    pub fn map(
        &self,
        flow: &NewFlow,
        end: End,
        source: IpAddr,
        destination: IpAddr,
    ) -> Result<Option<SocketAddr>, NoAddress> {
        let own = if end == End::Source { source } else { destination };
        let pick = |list: &[SocketAddr], hash: u64| {
            let fitting = || list.iter().filter(|address| address.is_ipv4() == own.is_ipv4());
            let count = fitting().count() as u64;
            let at = (u128::from(hash) * u128::from(count)) >> 64;
            fitting().nth(at as usize).copied().map(Some).ok_or(NoAddress)
        };
        match &self.mapping {
            Mapping::General(rows) => {
                let row =
                    rows.iter().find(|row| row.source.contains(&source) && row.destination.contains(&destination));
                Ok(row.and_then(|row| keep_host(own, row.mapped)).map(bare))
            }
            Mapping::Static(address) => Ok(Some(*address)),
            Mapping::OneToOne { pairs, reject_outside } => {
                let pair = pairs.iter().find(|(from, _)| from.contains(&own));
                match pair.and_then(|(_, to)| keep_host(own, *to)) {
                    None if *reject_outside => Err(NoAddress),
                    mapped => Ok(mapped.map(bare)),
                }
            }
            Mapping::Random(list) => pick(list, self.chance(flow, source, destination)),
            Mapping::Hash(list) => pick(list, number(own)),
            Mapping::Nat64(prefix) => match own {
                IpAddr::V6(own) => extract(*prefix, own).map(|own| Some(bare(own.into()))).ok_or(NoAddress),
                IpAddr::V4(_) => Ok(None),
            },
            Mapping::Nat46(prefix) => match own {
                IpAddr::V4(own) => Ok(Some(bare(embed(*prefix, own).into()))),
                IpAddr::V6(_) => Ok(None),
            },
        }
    }

    /// A number that a pair of addresses finds again, or (not cacheable) that each flow has of its own.
    fn chance(&self, flow: &NewFlow, source: IpAddr, destination: IpAddr) -> u64 {
        let pair = mix(number(source).wrapping_add(number(destination).rotate_left(32)));
        if self.cacheable {
            return pair;
        }
        let ports = u64::from(flow.source.port()) << 16 | u64::from(flow.destination.port());
        mix(pair ^ mix(flow.packet.at.micros ^ ports << 32))
    }
}

fn bare(address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, 0)
}

fn number(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => mix(u64::from(address.to_bits())),
        IpAddr::V6(address) => mix((address.to_bits() >> 64) as u64 ^ mix(address.to_bits() as u64)),
    }
}

/// The network's address with the host part of another; none where the families differ.
fn keep_host(address: IpAddr, network: IpNet) -> Option<IpAddr> {
    match (address, network) {
        (IpAddr::V4(address), IpNet::V4(network)) => {
            let host = address.to_bits() & network.hostmask().to_bits();
            Some(Ipv4Addr::from_bits(network.network().to_bits() | host).into())
        }
        (IpAddr::V6(address), IpNet::V6(network)) => {
            let host = address.to_bits() & network.hostmask().to_bits();
            Some(Ipv6Addr::from_bits(network.network().to_bits() | host).into())
        }
        _ => None,
    }
}

/// Prefix lengths that RFC 6052 2.2 allows.
pub(crate) const PREFIX_LENGTHS: [u8; 6] = [32, 40, 48, 56, 64, 96];

/// RFC 6052 2.2: the IPv4 address follows the prefix, and "bits 64 to 71 of the address are reserved [...] MUST be set
/// to zero".
fn embed(prefix: Ipv6Net, address: Ipv4Addr) -> Ipv6Addr {
    let mut octets = prefix.network().octets();
    for (place, octet) in places(prefix).zip(address.octets()) {
        octets[place] = octet;
    }
    Ipv6Addr::from(octets)
}

fn extract(prefix: Ipv6Net, address: Ipv6Addr) -> Option<Ipv4Addr> {
    if !prefix.contains(&address) {
        return None;
    }
    let (from, mut octets) = (address.octets(), [0; 4]);
    for (octet, place) in octets.iter_mut().zip(places(prefix)) {
        *octet = from[place];
    }
    Some(Ipv4Addr::from(octets))
}

/// Where in the sixteen octets the four of the IPv4 address stand: behind the prefix, octet 8 left out.
fn places(prefix: Ipv6Net) -> impl Iterator<Item = usize> {
    (usize::from(prefix.prefix_len() / 8)..16).filter(|place| *place != 8).take(4)
}

#[cfg(test)]
mod tests;
