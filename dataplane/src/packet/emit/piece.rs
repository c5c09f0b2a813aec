//! A datagram cut into fragments (RFC 791 3.2, RFC 8200 4.5), one frame at a time.
//!
//! In IPv4 by any router, where the sender permits it; in IPv6 only what came in fragments is cut again, with the
//! identification its sender gave it. What is cut is ready to be sent but for its length.

use super::{Frame, Full, LinkOut};
use crate::packet::{ethernet, ipv4, ipv6};

/// Bytes of an IPv6 fragment header.
const FRAGMENT_HEADER: usize = 8;
/// Its protocol number.
const FRAGMENT: u8 = 44;
/// RFC 791 3.1: options whose highest bit is set are copied into all fragments.
const COPIED: u8 = 0x80;
const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;

/// How a datagram is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Longest IP packet that may come out.
    pub limit: usize,
    /// Bytes at the datagram's start that every fragment begins with.
    pub repeated: usize,
    /// IPv6: where among those the number of the header is that follows them.
    pub next_at: usize,
    /// IPv6: which datagram; in IPv4 the header says it.
    pub identification: u32,
    /// IPv4: each fragment says "don't fragment", for the sender's did.
    pub dont_fragment: bool,
}

/// Writes the fragment of `datagram` that begins `at` bytes behind what is repeated. Where the next one begins; `None`:
/// it was the last.
///
/// # Errors
/// [`Full`]: it does not fit the frame, or nothing fits the limit.
pub fn piece<F: Frame>(
    frame: &mut F,
    link: &LinkOut,
    datagram: &[u8],
    cut: &Cut,
    at: usize,
) -> Result<Option<usize>, Full> {
    let v6 = datagram.first().is_some_and(|first| first >> 4 == 6);
    let (header, body) = datagram.split_at_checked(cut.repeated).ok_or(Full)?;
    let overhead = header.len() + if v6 { FRAGMENT_HEADER } else { 0 };
    // RFC 791 3.1: offsets are "measured in units of 8 octets".
    let room = cut.limit.saturating_sub(overhead) & !7;
    let rest = body.get(at..).filter(|rest| room > 0 && !rest.is_empty()).ok_or(Full)?;
    let (part, more) = if rest.len() > room { (&rest[..room], true) } else { (rest, false) };
    let l2 = link.header_len();
    frame.push(&[0; ethernet::HEADER_LEN + ethernet::TAG_LEN][..l2])?;
    frame.push(header)?;
    if v6 {
        let offset = (at as u16 & !7 | u16::from(more)).to_be_bytes();
        let id = cut.identification.to_be_bytes();
        let next = *header.get(cut.next_at).ok_or(Full)?;
        frame.push(&[next, 0, offset[0], offset[1], id[0], id[1], id[2], id[3]])?;
    }
    frame.push(part)?;
    let (ether, ip) = frame.data_mut().split_at_mut_checked(l2).ok_or(Full)?;
    link.write(ether, if v6 { ethernet::IPV6 } else { ethernet::IPV4 });
    let ip = ip.get_mut(..header.len()).ok_or(Full)?;
    if v6 {
        let length = overhead - ipv6::HEADER_LEN + part.len();
        ip[4..6].copy_from_slice(&(length as u16).to_be_bytes());
        ip[cut.next_at] = FRAGMENT;
    } else {
        write_ipv4(ip, part.len(), at, more, cut.dont_fragment);
    }
    Ok(more.then_some(at + part.len()))
}

/// Length, flags, offset, options and checksum of an IPv4 fragment's header.
fn write_ipv4(header: &mut [u8], payload: usize, at: usize, more: bool, dont_fragment: bool) {
    let total = (header.len() + payload) as u16;
    header[2..4].copy_from_slice(&total.to_be_bytes());
    let flags = if dont_fragment { ipv4::DONT_FRAGMENT } else { 0 } | if more { ipv4::MORE_FRAGMENTS } else { 0 };
    header[6..8].copy_from_slice(&(flags | (at / 8) as u16).to_be_bytes());
    if at > 0 {
        blank_options(&mut header[ipv4::HEADER_LEN..]);
    }
    header[10..12].fill(0);
    let sum = ::tcp::checksum::finish(::tcp::checksum::sum(header, 0));
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Options that belong to the first fragment only become "no operation"; each step consumes at least one of at most 40
/// bytes.
fn blank_options(mut options: &mut [u8]) {
    while let Some(&kind) = options.first() {
        let length = match kind {
            OPTION_END => return,
            OPTION_NOP => 1,
            _ => options.get(1).map_or(1, |length| usize::from(*length).max(1)),
        };
        let Some((option, rest)) = options.split_at_mut_checked(length) else { return };
        if kind & COPIED == 0 {
            option.fill(OPTION_NOP);
        }
        options = rest;
    }
}

#[cfg(test)]
mod tests;
