//! The name of one direction of a conversation: the five-tuple as it stands in the packet, and where it came in.
//!
//! Keys are directed, so the two legs of a proxied flow never clash although the server is spoken to from the client's
//! address and port: one leg's packets come in on the client's interface, the other's on the server's. Packed into
//! five words: comparing is five compares, hashing five multiplications. An IPv4 address and the IPv6 address that
//! embeds it are different.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use control::policy::InterfaceId;

/// One direction of a conversation. Ports are 0 where there are none; an ICMP query has its identifier in both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    source: [u64; 2],
    destination: [u64; 2],
    /// Source port, destination port, interface, protocol, family: from the top.
    rest: u64,
}

/// The lowest bit of `rest`: the addresses are IPv6.
const IPV6: u64 = 1;

impl Key {
    /// Of a packet that came in on `interface`.
    ///
    /// # Panics
    /// When the addresses are of different families, which no packet's are.
    #[must_use]
    pub fn new(interface: InterfaceId, protocol: u8, source: SocketAddr, destination: SocketAddr) -> Key {
        assert_eq!(source.is_ipv6(), destination.is_ipv6(), "one packet, one family");
        let rest = u64::from(source.port()) << 48
            | u64::from(destination.port()) << 32
            | u64::from(interface.0) << 16
            | u64::from(protocol) << 8
            | if source.is_ipv6() { IPV6 } else { 0 };
        Key { source: pack(source.ip()), destination: pack(destination.ip()), rest }
    }

    /// Of the packets that answer, which come in on `interface`.
    #[must_use]
    pub fn reply(&self, interface: InterfaceId) -> Key {
        let (source_port, destination_port) = (self.rest >> 48, self.rest >> 32 & 0xffff);
        let rest = destination_port << 48 | source_port << 32 | u64::from(interface.0) << 16 | self.rest & 0xffff;
        Key { source: self.destination, destination: self.source, rest }
    }

    /// Where its packets come in.
    #[must_use]
    pub fn interface(&self) -> InterfaceId {
        InterfaceId((self.rest >> 16) as u16)
    }

    /// IP protocol number.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        (self.rest >> 8) as u8
    }

    /// Source address and port.
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        SocketAddr::new(self.unpack(self.source), (self.rest >> 48) as u16)
    }

    /// Destination address and port.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        SocketAddr::new(self.unpack(self.destination), (self.rest >> 32) as u16)
    }

    fn unpack(&self, words: [u64; 2]) -> IpAddr {
        if self.rest & IPV6 != 0 {
            IpAddr::V6(Ipv6Addr::from(u128::from(words[0]) << 64 | u128::from(words[1])))
        } else {
            IpAddr::V4(Ipv4Addr::from(words[1] as u32))
        }
    }
}

fn pack(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(v4) => [0, u64::from(u32::from(v4))],
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            [(bits >> 64) as u64, bits as u64]
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for word in self.source.into_iter().chain(self.destination).chain([self.rest]) {
            hasher.write_u64(word);
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (interface, protocol) = (self.interface().0, self.protocol());
        write!(f, "if{interface} proto {protocol} {} -> {}", self.source(), self.destination())
    }
}

#[cfg(test)]
mod tests;
