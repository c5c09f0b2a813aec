//! What a flow must fit for a rule to match: values only, negation included. How they are written is the parser's matter.

use std::fmt;
use std::net::IpAddr;

pub use packet::{AddressTypes, Compare, IcmpType, PacketType, Side, TcpFlags, Touched};
pub use rate::{Burst, HashKeys, HashLimit, HashRate, Limit};
pub use tracking::{
    ConnLimit, Direction, Recent, RecentOperation, SetDirection, SetMatch, States, Status, TrackedAddresses, Tracking,
};
pub use when::{Days, TimeOfDay, TimeSpan};

use super::address::Network;
use super::target::Masked;

mod packet;
mod rate;
mod tracking;
mod when;

/// A thing or anything but it (`!`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Not<T> {
    /// Inverted.
    pub not: bool,
    /// The thing.
    pub value: T,
}

impl<T> Not<T> {
    /// Whether the thing's own answer, inverted or not, lets the rule match.
    pub fn holds(&self, answer: bool) -> bool {
        answer != self.not
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// That of an address.
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// Everything before `-j`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Criteria {
    /// Only this family: said by `-4`, `-6` or the family of an address.
    pub family: Option<Family>,
    /// `-s`.
    pub source: Option<Not<Network>>,
    /// `-d`.
    pub destination: Option<Not<Network>>,
    /// `-i`; a name ending in `+` stands for all that begin so.
    pub input: Option<Not<String>>,
    /// `-o`.
    pub output: Option<Not<String>>,
    /// `-p`.
    pub protocol: Option<Not<u8>>,
    /// `-f`: second and later fragments of IPv4 packets.
    pub fragment: Option<Not<()>>,
    /// `-m …` and its options, in the order of the rule.
    pub matches: Vec<Match>,
}

/// An inclusive range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// First.
    pub first: u16,
    /// Last.
    pub last: u16,
}

impl Ports {
    /// Whether the port is in it.
    pub fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// Whether every port is.
    pub fn is_all(self) -> bool {
        self.first == 0 && self.last == u16::MAX
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}:{}", self.first, self.last) }
    }
}

/// Which ports of a flow `-m multiport` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortSet {
    /// `--sports`.
    Source,
    /// `--dports`.
    Destination,
    /// `--ports`: one of both.
    Either,
}

/// Addresses from the first to the last, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// First.
    pub first: IpAddr,
    /// Last, not before the first.
    pub last: IpAddr,
}

impl AddressRange {
    /// Whether the address is in it; one of the other family never is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && self.first <= address && address <= self.last
    }
}

/// One `-m` with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// `-m tcp`.
    Tcp {
        /// `--sport`.
        source: Option<Not<Ports>>,
        /// `--dport`.
        destination: Option<Not<Ports>>,
        /// `--tcp-flags`, and `--syn`, which is one of them.
        flags: Option<Not<TcpFlags>>,
        /// `--tcp-option`: the kind of an option that is there.
        option: Option<Not<u8>>,
    },
    /// `-m udp`.
    Udp {
        /// `--sport`.
        source: Option<Not<Ports>>,
        /// `--dport`.
        destination: Option<Not<Ports>>,
    },
    /// `-m sctp` and `-m dccp`, of which the ports are served; the rule's `-p` says which.
    Ported {
        /// IP protocol number: 132 or 33.
        protocol: u8,
        /// `--sport`.
        source: Option<Not<Ports>>,
        /// `--dport`.
        destination: Option<Not<Ports>>,
    },
    /// `-m icmp --icmp-type`.
    Icmp(Not<IcmpType>),
    /// `-m icmp6 --icmpv6-type`.
    Icmp6(Not<IcmpType>),
    /// `-m multiport`.
    Multiport {
        /// Which ports.
        which: PortSet,
        /// One of these.
        ports: Not<Vec<Ports>>,
    },
    /// `-m iprange`.
    IpRange {
        /// `--src-range`.
        source: Option<Not<AddressRange>>,
        /// `--dst-range`.
        destination: Option<Not<AddressRange>>,
    },
    /// `-m mac --mac-source`.
    Mac(Not<[u8; 6]>),
    /// `-m pkttype --pkt-type`.
    PacketType(Not<PacketType>),
    /// `-m length --length`: bytes of the IP packet, header included.
    Length(Not<(u16, u16)>),
    /// `-m ttl`, IPv4 only.
    Ttl(Compare, u8),
    /// `-m hl`: the hop limit of IPv6.
    HopLimit(Compare, u8),
    /// `-m state --state`.
    State(Not<States>),
    /// `-m conntrack`.
    Conntrack(Box<Tracking>),
    /// `-m mark --mark`: the flow's mark.
    Mark(Not<Masked>),
    /// `-m connmark --mark`.
    Connmark(Not<Masked>),
    /// `-m addrtype`.
    AddrType {
        /// `--src-type`.
        source: Option<Not<AddressTypes>>,
        /// `--dst-type`.
        destination: Option<Not<AddressTypes>>,
        /// `--limit-iface-in`, `--limit-iface-out`: the address must be local to that interface.
        interface: Option<Side>,
    },
    /// `-m socket`: a socket of the gateway, or of a program on it, waits for the flow.
    Socket {
        /// `--transparent`: one that is bound to a foreign address.
        transparent: bool,
        /// `--nowildcard`: also one that is bound to every address.
        nowildcard: bool,
        /// `--restore-skmark`: the flow takes the socket's mark.
        restore_mark: bool,
    },
    /// `-m tproxy`: one of the three tproxy features took the flow.
    Tproxy(Not<()>),
    /// `-m set --match-set`.
    Set(Not<SetMatch>),
    /// `-m limit`.
    Limit(Limit),
    /// `-m hashlimit`.
    HashLimit(Box<HashLimit>),
    /// `-m connlimit`.
    ConnLimit(ConnLimit),
    /// `-m recent`.
    Recent(Box<Not<Recent>>),
    /// `-m time`.
    Time(Box<TimeSpan>),
    /// `-m comment --comment`.
    Comment(String),
}
