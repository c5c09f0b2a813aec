//! What is known about a flow when it is decided, and the names of protocols as operators write them.

use std::fmt;
use std::net::SocketAddr;

use super::network::InterfaceId;
use crate::tproxy::Entry;

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
    /// What else that packet says.
    pub packet: PacketFacts,
}

/// What rules may look at in a flow's first packet beyond its addresses.
///
/// The default is what a flow is thought to begin with when only its addresses are known, as on `explain`'s command
/// line: a whole datagram of 60 bytes with 64 hops to go, for TCP a bare SYN without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketFacts {
    /// The TCP control bits, FIN lowest; a SYN alone for what is not TCP, which no match looks at.
    pub tcp_flags: u8,
    /// The kinds of TCP options that are there: bit n for kind n. Kinds beyond 63 are ignored.
    pub tcp_options: u64,
    /// Type and code, in ICMP and ICMPv6.
    pub icmp: Option<(u8, u8)>,
    /// Bytes of the IP packet, header included.
    pub length: u16,
    /// TTL or hop limit, as it arrived.
    pub ttl: u8,
    /// The station that sent the frame; none for what the gateway sends itself.
    pub source_mac: Option<[u8; 6]>,
    /// To how many stations the frame was addressed.
    pub cast: Cast,
    /// A fragment that is not the first.
    pub fragment: bool,
    /// How connection tracking sees it.
    pub state: FlowState,
    /// When it came.
    pub at: Moment,
}

/// To how many stations a frame is addressed (`-m pkttype`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cast {
    /// To one.
    #[default]
    Unicast,
    /// To all.
    Broadcast,
    /// To a group.
    Multicast,
}

/// The state of a flow as its first packet meets the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FlowState {
    /// It begins a flow.
    #[default]
    New,
    /// It begins a flow that another flow announced (an expected data connection).
    Related,
}

/// When a packet came: by a clock that never jumps, for rates, and by the wall's, for `-m time`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since some start; never runs backwards.
    pub micros: u64,
    /// Seconds since 1970 in UTC.
    pub unix_seconds: i64,
}

/// The control bit of a SYN.
const SYN: u8 = 0x02;

impl Default for PacketFacts {
    fn default() -> Self {
        PacketFacts {
            tcp_flags: SYN,
            tcp_options: 0,
            icmp: None,
            length: 60,
            ttl: 64,
            source_mac: None,
            cast: Cast::Unicast,
            fragment: false,
            state: FlowState::New,
            at: Moment::default(),
        }
    }
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
    /// What it takes is for the program at the handoff socket that assigned it, and for no listener.
    pub program: bool,
}

impl From<&Entry> for EntryMatch {
    fn from(entry: &Entry) -> EntryMatch {
        let (mark_only, program) = (entry.mark_only(), entry.is_programs());
        EntryMatch { local: entry.local, foreign: entry.foreign, mark_only, program }
    }
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
    ("ggp", 3),
    ("ipencap", 4),
    ("st", 5),
    ("tcp", TCP),
    ("egp", 8),
    ("igp", 9),
    ("udp", UDP),
    ("rdp", 27),
    ("dccp", 33),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", ICMPV6),
    ("icmpv6", ICMPV6),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("eigrp", 88),
    ("ospf", 89),
    ("ax.25", 93),
    ("ipip", 94),
    ("etherip", 97),
    ("encap", 98),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("isis", 124),
    ("sctp", 132),
    ("fc", 133),
    ("mobility-header", 135),
    ("mh", 135),
    ("udplite", 136),
    ("mpls-in-ip", 137),
    ("manet", 138),
    ("hip", 139),
    ("shim6", 140),
    ("wesp", 141),
    ("rohc", 142),
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
