//! What is known about a flow when it is decided, and the names of protocols as operators write them.

use std::fmt;
use std::net::SocketAddr;

use super::network::InterfaceId;

/// The first packet of a flow, as far as deciding goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewFlow {
    /// The interface it came in on.
    pub interface: InterfaceId,
    /// IP protocol number.
    pub protocol: u8,
    /// Where it says it comes from. Port 0 where the protocol has none.
    pub source: SocketAddr,
    /// Where it wants to go. Port 0 where the protocol has none.
    pub destination: SocketAddr,
}

/// A tproxy entry (a foreign listen) that matches the flow's destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryMatch {
    /// The local address that listens.
    pub local: SocketAddr,
    /// The foreign address it listens on.
    pub foreign: SocketAddr,
    /// The entry only marks (`-m tproxy`), it does not redirect.
    pub mark_only: bool,
}

/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;
/// IP protocol number of ICMP.
pub const ICMP: u8 = 1;
/// IP protocol number of ICMPv6.
pub const ICMPV6: u8 = 58;

/// The protocols that rules and the command line may name (IANA's protocol numbers; `protocols` of every Unix).
const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", ICMP),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", TCP),
    ("udp", UDP),
    ("dccp", 33),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", ICMPV6),
    ("icmpv6", ICMPV6),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
];

/// The number of a protocol given by name or number.
pub fn protocol_number(word: &str) -> Option<u8> {
    let word = word.to_ascii_lowercase();
    PROTOCOLS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number).or_else(|| word.parse().ok())
}

/// The name of a protocol, or its number.
pub fn protocol_name(number: u8) -> impl fmt::Display {
    let name = PROTOCOLS.iter().find(|(_, n)| *n == number).map(|(name, _)| *name);
    fmt::from_fn(move |f| match name {
        Some(name) => f.write_str(name),
        None => write!(f, "{number}"),
    })
}
