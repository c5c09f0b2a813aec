//! A received datagram, sent on by a router: one hop less to live, the IPv4 checksum adjusted, nothing else touched.

use std::ops::Range;

use super::LinkOut;
use crate::nic::{Frame, Full, TxOffload};
use crate::packet::ethernet;

/// Offset of the TTL in an IPv4 header; the header's checksum follows at 10.
const IPV4_TTL: usize = 8;
/// Offset of the hop limit in an IPv6 header.
const IPV6_HOP_LIMIT: usize = 7;

/// Writes `datagram` behind a new Ethernet header, its TTL or hop limit (which must not be 0) less by one.
///
/// # Errors
/// [`Full`]: it does not fit the frame.
pub fn forwarded<F: Frame>(frame: &mut F, link: &LinkOut, datagram: &[u8]) -> Result<(), Full> {
    carried(frame, link, datagram)?;
    age(&mut frame.data_mut()[link.header_len()..]);
    Ok(())
}

/// Writes `datagram` behind a new Ethernet header, and nothing else.
///
/// # Errors
/// [`Full`]: it does not fit the frame.
pub fn carried<F: Frame>(frame: &mut F, link: &LinkOut, datagram: &[u8]) -> Result<(), Full> {
    let l2 = link.header_len();
    frame.push(&[0; ethernet::HEADER_LEN + ethernet::TAG_LEN][..l2])?;
    frame.push(datagram)?;
    let (header, ip) = frame.data_mut().split_at_mut(l2);
    let v6 = ip.first().is_some_and(|first| first >> 4 == 6);
    link.write(header, if v6 { ethernet::IPV6 } else { ethernet::IPV4 });
    Ok(())
}

/// Makes of a received frame the one that goes on, in its own buffer: `datagram` of it behind a new Ethernet header, its TTL or
/// hop limit (which must not be 0) less by one.
///
/// # Errors
/// [`Full`]: no room for the header; the frame is as it was, but for what was behind the datagram.
pub fn redirected<F: Frame>(frame: &mut F, link: &LinkOut, datagram: Range<usize>) -> Result<(), Full> {
    let l2 = link.header_len();
    // Ethernet pads short frames: what is sent on is padded by who sends it.
    frame.truncate(datagram.end);
    frame.exchange_head(datagram.start, l2)?;
    let (header, ip) = frame.data_mut().split_at_mut(l2);
    let v6 = ip.first().is_some_and(|first| first >> 4 == 6);
    link.write(header, if v6 { ethernet::IPV6 } else { ethernet::IPV4 });
    age(ip);
    // What a device said of it on its way in is nothing to the one on its way out.
    frame.set_offload(TxOffload::default());
    Ok(())
}

/// Takes one hop off a datagram that has one left, in place.
pub fn age(ip: &mut [u8]) {
    if ip.first().is_some_and(|first| first >> 4 == 6) {
        // RFC 8200 3: "Decremented by 1 by each node that forwards the packet".
        ip[IPV6_HOP_LIMIT] -= 1;
        return;
    }
    let word = |ip: &[u8], at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
    let before = word(ip, IPV4_TTL);
    ip[IPV4_TTL] -= 1;
    let after = word(ip, IPV4_TTL);
    // RFC 1624 3, equation 3: HC' = ~(~HC + ~m + m').
    let sum = u32::from(!word(ip, 10)) + u32::from(!before) + u32::from(after);
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    ip[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
}
