//! Fragments taken apart and datagrams put together from them: the headers' part of reassembly (RFC 791, RFC 8200 4.5).
//!
//! Which fragments belong together, and for how long they wait, is [`crate::reassembly`]'s matter.

use std::ops::Range;

use super::{Ip, PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP, ipv4, ipv6};

const FRAGMENT: u8 = 44;
const FRAGMENT_HEADER: usize = 8;
const IPV4_TOS: usize = 1;
/// Bits of the ECN field (RFC 3168 5).
const ECN: u8 = 3;

/// Where the parts of a fragment are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The headers that each fragment repeats, in the frame.
    pub header: Range<usize>,
    /// IPv6: where in the header the number is that names the fragment header.
    pub next_at: usize,
    /// What follows the repeated headers in the whole datagram.
    pub next: u8,
    /// The fragment's own share of the datagram, in the frame.
    pub body: Range<usize>,
}

impl Parts {
    /// Of a fragment that was parsed.
    pub fn of(bytes: &[u8], ip: &Ip) -> Option<Self> {
        if ip.source.is_ipv4() {
            return Some(Self { header: ip.header.clone(), next_at: 0, next: ip.protocol, body: ip.transport.clone() });
        }
        let start = ip.header.start;
        let packet = bytes.get(start..ip.transport.end)?;
        // The walk has been made before, with the same bounds; here it stops at the fragment header.
        let (mut next_at, mut at) = (6, ipv6::HEADER_LEN);
        while *packet.get(next_at)? != FRAGMENT {
            next_at = at;
            at += (usize::from(*packet.get(at + 1)?) + 1) * 8;
        }
        let next = *packet.get(at)?;
        let body = start + at + FRAGMENT_HEADER..ip.transport.end;
        Some(Self { header: start..start + at, next_at, next, body })
    }
}

/// Bytes that a first fragment of this protocol must have: RFC 1858 3.2 ("tiny fragments") asks for all header fields
/// that a filter looks at, RFC 7112 5 for the whole chain of headers.
pub fn first_min(protocol: u8) -> usize {
    match protocol {
        PROTOCOL_TCP => 20,
        PROTOCOL_UDP | PROTOCOL_ICMP | PROTOCOL_ICMPV6 => 8,
        _ => 0,
    }
}

/// Makes the headers of a fragment those of the whole datagram: its length, and no sign of fragments. `ecn` is the
/// codepoint of all together (RFC 3168 5.3).
pub fn whole_header(header: &mut [u8], next_at: usize, next: u8, body: usize, dont_fragment: bool, ecn: u8) {
    if header.first().is_some_and(|first| first >> 4 == 4) {
        let total = (header.len() + body) as u16;
        header[IPV4_TOS] = header[IPV4_TOS] & !ECN | ecn;
        header[2..4].copy_from_slice(&total.to_be_bytes());
        let flags = if dont_fragment { ipv4::DONT_FRAGMENT } else { 0 };
        header[6..8].copy_from_slice(&flags.to_be_bytes());
        header[10..12].fill(0);
        let sum = ::tcp::checksum::finish(::tcp::checksum::sum(header, 0));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        let length = (header.len() - ipv6::HEADER_LEN + body) as u16;
        header[1] = header[1] & !(ECN << 4) | ecn << 4;
        header[4..6].copy_from_slice(&length.to_be_bytes());
        header[next_at] = next;
    }
}
