//! ICMP and ICMPv6: echo replies, errors, and the quotes in errors that are passed on to another leg.

use zerocopy::IntoBytes;
use zerocopy::byteorder::network_endian::{U16, U32};

use super::{Frame, Full, IpOut, Layout, LinkOut, Offloads, set_offload, write_ip};
use crate::limits;
use crate::packet::{PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, checksum, icmp, ipv6};

/// Writes an echo reply.
///
/// # Errors
/// [`Full`] when the frame cannot hold it.
pub fn echo_reply<F: Frame>(
    frame: &mut F,
    link: &LinkOut,
    ip: &IpOut,
    identifier: u16,
    sequence: u16,
    data: &[u8],
    offloads: &Offloads,
) -> Result<(), Full> {
    let kind = if ip.source.is_ipv6() { icmp::V6_ECHO_REPLY } else { icmp::ECHO_REPLY };
    let wire = icmp::Wire { kind, code: 0, rest: u32::from(identifier) << 16 | u32::from(sequence) };
    message(frame, link, ip, wire, data, offloads)
}

/// Writes an error about the packet that `quote` is the beginning of; so much is quoted as the RFCs allow.
///
/// # Errors
/// [`Full`] when the frame cannot hold it.
pub fn icmp_error<F: Frame>(
    frame: &mut F,
    link: &LinkOut,
    ip: &IpOut,
    mut wire: icmp::Wire,
    quote: &[u8],
    offloads: &Offloads,
) -> Result<(), Full> {
    let v6 = ip.source.is_ipv6();
    let longest = if v6 { limits::ICMPV6_ERROR_MAX } else { limits::ICMPV4_ERROR_MAX };
    let room = longest - ip.header_len() - icmp::HEADER_LEN;
    let quoted = &quote[..quote.len().min(room)];
    if quoted.len() < quote.len() && !is_mtu(wire, v6) {
        // RFC 4884 4: the length that says where extensions begin would point behind the cut.
        wire.rest &= if v6 { 0x00ff_ffff } else { 0xff00_ffff };
    }
    message(frame, link, ip, wire, quoted, offloads)
}

/// RFC 4884 4.1 and 4.4: which errors have no length because all four bytes (in IPv6) are an MTU or pointer.
fn is_mtu(wire: icmp::Wire, v6: bool) -> bool {
    v6 && matches!(wire.kind, 2 | 4)
}

fn message<F: Frame>(
    frame: &mut F,
    link: &LinkOut,
    ip: &IpOut,
    wire: icmp::Wire,
    body: &[u8],
    offloads: &Offloads,
) -> Result<(), Full> {
    let layout = Layout::reserve(frame, link, ip, icmp::HEADER_LEN)?;
    frame.push(body)?;
    let v6 = ip.source.is_ipv6();
    let protocol = if v6 { PROTOCOL_ICMPV6 } else { PROTOCOL_ICMP };
    let (out, offload) = layout.close(frame, link, ip, protocol, offloads.ipv4_checksum)?;
    let mut header = icmp::Header { kind: wire.kind, code: wire.code, checksum: U16::ZERO, rest: U32::new(wire.rest) };
    // RFC 4443 2.3: over a pseudo header in IPv6; RFC 792: over the message alone in IPv4.
    let length = icmp::HEADER_LEN + body.len();
    let pseudo = if v6 { checksum::pseudo_header(ip.source, ip.destination, protocol, length) } else { 0 };
    let sum = ::tcp::checksum::sum(body, ::tcp::checksum::sum(header.as_bytes(), pseudo));
    header.checksum = U16::new(::tcp::checksum::finish(sum));
    out.copy_from_slice(header.as_bytes());
    set_offload(frame, offload);
    Ok(())
}

/// Longest quote that [`quote_tcp`] writes.
pub const QUOTE_MAX: usize = ipv6::HEADER_LEN + 60;

/// Writes the head of a segment as its sender would recognise it, to be quoted in an error that came from the other
/// leg; returns its length. The TCP checksum is left out: nobody can check it in a quote.
pub fn quote_tcp(ip: &IpOut, header: &::tcp::Header, payload_len: usize, out: &mut [u8; QUOTE_MAX]) -> usize {
    let (l3, l4) = (ip.header_len(), header.len());
    let room = usize::from(u16::MAX) - ipv6::HEADER_LEN;
    write_ip(&mut out[..l3], ip, PROTOCOL_TCP, (l4 + payload_len).min(room), false).expect("cut to what IP can carry");
    header.emit(&mut out[l3..l3 + l4]);
    l3 + l4
}
