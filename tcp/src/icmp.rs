//! What the network says about a segment of ours: the part of an ICMP or ICMPv6 error that matters to TCP.
//!
//! The caller takes the quoted header apart and finds the connection; this crate checks the quoted sequence number
//! (RFC 5927, 4.1), because who cannot see the connection cannot know it.

use crate::seq::SeqNumber;

/// An ICMP error about a segment of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// What it says.
    pub kind: IcmpKind,
    /// The sequence number in the quoted TCP header.
    pub seq: SeqNumber,
}

/// The kinds that TCP reacts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpKind {
    /// Destination unreachable. `hard`: protocol or port unreachable, or forbidden; otherwise net or host.
    Unreachable {
        /// RFC 1122, 4.2.3.9: hard errors would abort the connection; here they do so only during the handshake.
        hard: bool,
    },
    /// Packet too big, or fragmentation needed.
    TooBig {
        /// Bytes that the IP payload (TCP header and data) may have: the next hop's MTU less the IP header.
        mtu: u16,
    },
    /// Time to live or hop limit exceeded.
    TimeExceeded,
}
