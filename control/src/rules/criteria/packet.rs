//! What matches look at in the first packet itself: flags, ICMP types, kinds of addresses, comparisons. Values only.

use bitflags::bitflags;

/// Flags of a TCP segment, as bits of the header's byte: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFlags {
    /// Those that are looked at.
    pub mask: u8,
    /// Those of them that are set; the others are not.
    pub set: u8,
}

impl TcpFlags {
    /// `--syn`: FIN, SYN, RST and ACK looked at, SYN set.
    pub const SYN: TcpFlags = TcpFlags { mask: 0x17, set: 0x02 };

    /// Whether a segment's flags are so.
    pub fn holds(self, flags: u8) -> bool {
        flags & self.mask == self.set
    }
}

/// A type of ICMP or ICMPv6 messages with its codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpType {
    /// The type; none: any.
    pub kind: Option<u8>,
    /// The codes, first and last.
    pub codes: (u8, u8),
}

impl IcmpType {
    /// Every message.
    pub const ANY: IcmpType = IcmpType { kind: None, codes: (0, u8::MAX) };

    /// Whether a message of that type and code is one.
    pub fn holds(self, kind: u8, code: u8) -> bool {
        self.kind.is_none_or(|only| only == kind && self.codes.0 <= code && code <= self.codes.1)
    }
}

/// To whom the frame was sent, as the Ethernet header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType {
    /// To the gateway alone.
    Unicast,
    /// To everybody on the wire.
    Broadcast,
    /// To a group.
    Multicast,
}

impl PacketType {
    /// Every kind.
    pub const ALL: [PacketType; 3] = [PacketType::Unicast, PacketType::Broadcast, PacketType::Multicast];

    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            PacketType::Unicast => "unicast",
            PacketType::Broadcast => "broadcast",
            PacketType::Multicast => "multicast",
        }
    }
}

/// How `-m ttl` and `-m hl` compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `--ttl-eq`.
    Equal,
    /// `! --ttl-eq`.
    NotEqual,
    /// `--ttl-lt`.
    Less,
    /// `--ttl-gt`.
    Greater,
}

impl Compare {
    /// Whether a number compares so with the rule's.
    pub fn holds(self, number: u8, with: u8) -> bool {
        match self {
            Compare::Equal => number == with,
            Compare::NotEqual => number != with,
            Compare::Less => number < with,
            Compare::Greater => number > with,
        }
    }
}

/// Which interface `-m addrtype` holds an address to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one the flow came in on.
    In,
    /// The one it leaves by.
    Out,
}

/// Which address of a flow a match remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// The source.
    Source,
    /// The destination.
    Destination,
}

bitflags! {
    /// Kinds of addresses, as the routing sees them (the bits are the kernel's numbers of route types).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct AddressTypes: u16 {
        /// Unspecified: 0.0.0.0.
        const UNSPEC = 1;
        /// Someone else's, with a route.
        const UNICAST = 1 << 1;
        /// One of the gateway's own.
        const LOCAL = 1 << 2;
        /// A broadcast address of a network of the gateway.
        const BROADCAST = 1 << 3;
        /// An anycast address (IPv6's subnet router address).
        const ANYCAST = 1 << 4;
        /// A group.
        const MULTICAST = 1 << 5;
        /// Routed to nowhere, silently.
        const BLACKHOLE = 1 << 6;
        /// Routed to nowhere, with an answer; no route at all.
        const UNREACHABLE = 1 << 7;
        /// Routed to nowhere, with the answer that it is prohibited.
        const PROHIBIT = 1 << 8;
    }
}
