//! ICMP (RFC 792, RFC 1812 4.3) and ICMPv6 (RFC 4443) as one family of messages.
//!
//! What a message means for a flow is the same in both families, so its kind is family-neutral ([`ErrorKind`]); what
//! it said literally is kept beside it ([`Wire`]) for those who pass it on. Redirects, source quench and the
//! information messages come out as [`Message::Other`]: a gateway with its own routes has no use for them.

use std::net::IpAddr;
use std::ops::Range;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Malformed, PROTOCOL_ICMPV6, checksum, ndp};

mod quote;
pub use quote::Quote;

/// Bytes of the header all messages have.
pub const HEADER_LEN: usize = 8;

pub(super) const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
pub(super) const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

const V6_UNREACHABLE: u8 = 1;
const V6_TOO_BIG: u8 = 2;
const V6_TIME_EXCEEDED: u8 = 3;
const V6_PARAMETER_PROBLEM: u8 = 4;
pub(super) const V6_ECHO_REQUEST: u8 = 128;
pub(super) const V6_ECHO_REPLY: u8 = 129;

const FRAGMENTATION_NEEDED: u8 = 4;
const V6_UNKNOWN_NEXT_HEADER: u8 = 1;
/// Where the next-header field is in an IPv6 header.
const V6_NEXT_HEADER_AT: u32 = 6;

/// The header as it is on the wire.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) kind: u8,
    pub(super) code: u8,
    pub(super) checksum: U16,
    pub(super) rest: U32,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Are you there?
    EchoRequest(Echo),
    /// I am.
    EchoReply(Echo),
    /// A packet did not arrive.
    Error(Error),
    /// Neighbour discovery.
    Neighbour(ndp::Message),
    /// Anything else.
    Other {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
}

/// What echo requests and replies carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Whose it is.
    pub identifier: u16,
    /// Which of them.
    pub sequence: u16,
    /// What must come back, in the frame.
    pub data: Range<usize>,
}

/// A packet did not arrive: which, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Why.
    pub kind: ErrorKind,
    /// The same in the family's own numbers, as received.
    pub wire: Wire,
    /// Which.
    pub quote: Quote,
}

/// Why a packet did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// It could not.
    Unreachable(Unreachable),
    /// It did not fit a link on its way.
    TooBig {
        /// What would have; 0: a router from before RFC 1191 does not say.
        mtu: u32,
    },
    /// It was too long on its way.
    TimeExceeded {
        /// Not its hops but the wait for its other fragments.
        reassembly: bool,
    },
    /// Something in its header was not understood.
    ParameterProblem {
        /// Where.
        pointer: u32,
    },
}

/// What could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unreachable {
    /// No route.
    Net,
    /// The host does not answer on its link.
    Host,
    /// The host does not speak the protocol.
    Protocol,
    /// Nobody listens on the port.
    Port,
    /// The sender's own route failed.
    SourceRouteFailed,
    /// A filter says no.
    AdminProhibited,
    /// A filter says no to the network.
    NetAdminProhibited,
    /// A filter says no to the host.
    HostAdminProhibited,
    /// Some other reason.
    Other,
}

impl Unreachable {
    /// Will trying again not help? The split is that of RFC 1122 4.2.3.9 with filters' answers counted as hard, which
    /// is what Linux does in both families.
    pub const fn is_hard(self) -> bool {
        !matches!(self, Self::Net | Self::Host | Self::SourceRouteFailed | Self::Other)
    }
}

/// An error in the numbers of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wire {
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// The four bytes behind the checksum.
    pub rest: u32,
}

impl ErrorKind {
    /// The numbers of the family.
    pub const fn wire(self, v6: bool) -> Wire {
        let (kind, code, rest) = if v6 { self.wire_v6() } else { self.wire_v4() };
        Wire { kind, code, rest }
    }

    const fn wire_v4(self) -> (u8, u8, u32) {
        match self {
            Self::Unreachable(Unreachable::Net) => (UNREACHABLE, 0, 0),
            Self::Unreachable(Unreachable::Host | Unreachable::Other) => (UNREACHABLE, 1, 0),
            Self::Unreachable(Unreachable::Protocol) => (UNREACHABLE, 2, 0),
            Self::Unreachable(Unreachable::Port) => (UNREACHABLE, 3, 0),
            Self::Unreachable(Unreachable::SourceRouteFailed) => (UNREACHABLE, 5, 0),
            Self::Unreachable(Unreachable::NetAdminProhibited) => (UNREACHABLE, 9, 0),
            Self::Unreachable(Unreachable::HostAdminProhibited) => (UNREACHABLE, 10, 0),
            Self::Unreachable(Unreachable::AdminProhibited) => (UNREACHABLE, 13, 0),
            // RFC 1191 4: the next hop's MTU is in the low-order 16 bits.
            Self::TooBig { mtu } => (UNREACHABLE, FRAGMENTATION_NEEDED, if mtu > 0xffff { 0xffff } else { mtu }),
            Self::TimeExceeded { reassembly } => (TIME_EXCEEDED, reassembly as u8, 0),
            Self::ParameterProblem { pointer } => (PARAMETER_PROBLEM, 0, (pointer & 0xff) << 24),
        }
    }

    const fn wire_v6(self) -> (u8, u8, u32) {
        match self {
            Self::Unreachable(Unreachable::Net) => (V6_UNREACHABLE, 0, 0),
            Self::Unreachable(
                Unreachable::AdminProhibited | Unreachable::NetAdminProhibited | Unreachable::HostAdminProhibited,
            ) => (V6_UNREACHABLE, 1, 0),
            Self::Unreachable(Unreachable::Host | Unreachable::Other) => (V6_UNREACHABLE, 3, 0),
            Self::Unreachable(Unreachable::Port) => (V6_UNREACHABLE, 4, 0),
            Self::Unreachable(Unreachable::SourceRouteFailed) => (V6_UNREACHABLE, 7, 0),
            Self::Unreachable(Unreachable::Protocol) => {
                (V6_PARAMETER_PROBLEM, V6_UNKNOWN_NEXT_HEADER, V6_NEXT_HEADER_AT)
            }
            Self::TooBig { mtu } => (V6_TOO_BIG, 0, mtu),
            Self::TimeExceeded { reassembly } => (V6_TIME_EXCEEDED, reassembly as u8, 0),
            Self::ParameterProblem { pointer } => (V6_PARAMETER_PROBLEM, 0, pointer),
        }
    }
}

impl Wire {
    /// What an ICMPv4 message says about a packet; `None`: it is not an error.
    fn error_v4(self) -> Option<ErrorKind> {
        Some(match (self.kind, self.code) {
            (UNREACHABLE, FRAGMENTATION_NEEDED) => ErrorKind::TooBig { mtu: self.rest & 0xffff },
            (UNREACHABLE, code) => ErrorKind::Unreachable(match code {
                0 | 6 | 11 => Unreachable::Net,
                1 | 7 | 12 => Unreachable::Host,
                2 => Unreachable::Protocol,
                3 => Unreachable::Port,
                5 => Unreachable::SourceRouteFailed,
                9 => Unreachable::NetAdminProhibited,
                10 => Unreachable::HostAdminProhibited,
                13..=15 => Unreachable::AdminProhibited,
                _ => Unreachable::Other,
            }),
            (TIME_EXCEEDED, code) => ErrorKind::TimeExceeded { reassembly: code == 1 },
            (PARAMETER_PROBLEM, _) => ErrorKind::ParameterProblem { pointer: self.rest >> 24 },
            _ => return None,
        })
    }

    /// What an ICMPv6 message says about a packet; `None`: it is not an error.
    fn error_v6(self) -> Option<ErrorKind> {
        Some(match (self.kind, self.code) {
            (V6_UNREACHABLE, code) => ErrorKind::Unreachable(match code {
                0 => Unreachable::Net,
                1 | 5 | 6 => Unreachable::AdminProhibited,
                3 => Unreachable::Host,
                4 => Unreachable::Port,
                7 => Unreachable::SourceRouteFailed,
                _ => Unreachable::Other,
            }),
            (V6_TOO_BIG, _) => ErrorKind::TooBig { mtu: self.rest },
            (V6_TIME_EXCEEDED, code) => ErrorKind::TimeExceeded { reassembly: code == 1 },
            (V6_PARAMETER_PROBLEM, V6_UNKNOWN_NEXT_HEADER) => ErrorKind::Unreachable(Unreachable::Protocol),
            (V6_PARAMETER_PROBLEM, _) => ErrorKind::ParameterProblem { pointer: self.rest },
            _ => return None,
        })
    }
}

/// Reads the ICMPv4 message at `transport` of the frame. Its checksum is always checked here: what devices report is
/// about TCP and UDP.
pub(super) fn parse_v4(bytes: &[u8], transport: Range<usize>) -> Result<Message, Malformed> {
    let message = &bytes[transport.clone()];
    let (header, _) = Header::ref_from_prefix(message).map_err(|_| Malformed::IcmpTruncated)?;
    if !checksum::is_good_alone(message) {
        return Err(Malformed::IcmpChecksum);
    }
    let body = transport.start + HEADER_LEN..transport.end;
    let wire = header.wire();
    if let Some(kind) = wire.error_v4() {
        return Ok(Message::Error(Error { kind, wire, quote: Quote::parse_v4(bytes, body)? }));
    }
    Ok(match wire.kind {
        ECHO_REQUEST => Message::EchoRequest(wire.echo(body)),
        ECHO_REPLY => Message::EchoReply(wire.echo(body)),
        _ => Message::Other { kind: wire.kind, code: wire.code },
    })
}

/// Reads the ICMPv6 message at `transport` of the frame.
pub(super) fn parse_v6(
    bytes: &[u8],
    transport: Range<usize>,
    source: IpAddr,
    destination: IpAddr,
    hop_limit: u8,
) -> Result<Message, Malformed> {
    let message = &bytes[transport.clone()];
    if message.len() < 4 {
        return Err(Malformed::Icmpv6Truncated);
    }
    if !checksum::is_good(message, source, destination, PROTOCOL_ICMPV6) {
        return Err(Malformed::Icmpv6Checksum);
    }
    if ndp::is_neighbour_discovery(message[0]) {
        return Ok(Message::Neighbour(ndp::parse(message, source, destination, hop_limit)?));
    }
    let (header, _) = Header::ref_from_prefix(message).map_err(|_| Malformed::Icmpv6Truncated)?;
    let body = transport.start + HEADER_LEN..transport.end;
    let wire = header.wire();
    if let Some(kind) = wire.error_v6() {
        return Ok(Message::Error(Error { kind, wire, quote: Quote::parse_v6(bytes, body)? }));
    }
    Ok(match wire.kind {
        V6_ECHO_REQUEST => Message::EchoRequest(wire.echo(body)),
        V6_ECHO_REPLY => Message::EchoReply(wire.echo(body)),
        _ => Message::Other { kind: wire.kind, code: wire.code },
    })
}

impl Header {
    fn wire(&self) -> Wire {
        Wire { kind: self.kind, code: self.code, rest: self.rest.get() }
    }
}

impl Wire {
    fn echo(self, data: Range<usize>) -> Echo {
        Echo { identifier: (self.rest >> 16) as u16, sequence: self.rest as u16, data }
    }
}

#[cfg(test)]
mod tests;
