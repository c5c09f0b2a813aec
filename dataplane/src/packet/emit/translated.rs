//! A received datagram sent on with other addresses and ports, and an ICMP error whose quote is put back.
//!
//! Checksums are adjusted by what changed and not computed anew (RFC 1624), so that a datagram that was damaged on its
//! way stays damaged for its receiver. A UDP datagram without checksum stays without one (RFC 768). An ICMP error is
//! short and changes in many places: its sum alone is computed anew, and the sums in its quote are adjusted.

use std::net::{IpAddr, SocketAddr};

use super::{Frame, Full, LinkOut, forwarded};
use crate::packet::{PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP, checksum, icmp, ipv6};

/// IP protocol numbers whose checksum, at this place behind the IP header, covers the addresses: DCCP and UDP-Lite.
const COVERS_ADDRESSES: [(u8, usize); 2] = [(33, 6), (136, 6)];

/// Source and destination of a packet, with ports; the port of an ICMP echo is its identifier, at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// From whom.
    pub source: SocketAddr,
    /// To whom; of the same family.
    pub destination: SocketAddr,
}

impl Ends {
    /// Of the packets that answer.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { source: self.destination, destination: self.source }
    }
}

/// What an incremental checksum changes by.
#[derive(Clone, Copy, Debug, Default)]
struct Change(u32);

impl Change {
    /// Writes `new` over `place`, both of the same even length.
    fn write(&mut self, place: &mut [u8], new: &[u8]) {
        for (old, new) in place.chunks_exact(2).zip(new.chunks_exact(2)) {
            self.0 += u32::from(!word(old)) + u32::from(word(new));
        }
        place.copy_from_slice(new);
    }

    /// RFC 1624 3, equation 3: HC' = ~(~HC + ~m + m').
    fn apply(self, field: u16) -> u16 {
        let mut sum = self.0 + u32::from(!field);
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    fn apply_at(self, place: &mut [u8]) {
        let sum = self.apply(word(place));
        place.copy_from_slice(&sum.to_be_bytes());
    }
}

fn word(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// What is changed in a datagram on its way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rewrite<'a> {
    /// Its addresses and ports become these.
    pub ends: Option<&'a Ends>,
    /// The numbers of its TCP header change so.
    pub shift: Option<&'a ::tcp::Shift>,
}

/// Writes `datagram` behind a new Ethernet header, one hop less to live, changed as `rewrite` says. Its upper layer, of this
/// protocol, begins at `transport`.
///
/// # Errors
/// [`Full`]: it does not fit the frame, or its headers do not fit the frame's first buffer.
pub fn rewritten<F: Frame>(
    frame: &mut F,
    link: &LinkOut,
    datagram: &[u8],
    transport: usize,
    protocol: u8,
    change: Rewrite<'_>,
) -> Result<(), Full> {
    forwarded(frame, link, datagram)?;
    let head = frame.data_mut().get_mut(link.header_len()..).ok_or(Full)?;
    if rewrite(head, transport, protocol, change) { Ok(()) } else { Err(Full) }
}

/// Changes a datagram in place. False: it ends before all of its headers do, as quotes may.
pub fn rewrite(datagram: &mut [u8], transport: usize, protocol: u8, change: Rewrite<'_>) -> bool {
    if let Some(ends) = change.ends
        && !translate(datagram, transport, protocol, ends)
    {
        return false;
    }
    let Some(shift) = change.shift.filter(|_| protocol == PROTOCOL_TCP) else { return true };
    let Some(upper) = datagram.get_mut(transport..) else { return false };
    let length = upper.get(12).map_or(0, |offset| usize::from(offset >> 4) * 4);
    let Some(header) = upper.get_mut(..length) else { return false };
    shift.rewrite(header);
    true
}

/// Gives a datagram other ends, in place. False: it ends before all of its headers do, as quotes may.
pub fn translate(datagram: &mut [u8], transport: usize, protocol: u8, ends: &Ends) -> bool {
    let Some((header, upper)) = datagram.split_at_mut_checked(transport) else { return false };
    let Some(addresses) = write_addresses(header, ends) else { return false };
    let mut all = addresses;
    let (from, to) = (ends.source.port().to_be_bytes(), ends.destination.port().to_be_bytes());
    match protocol {
        PROTOCOL_TCP | PROTOCOL_UDP => {
            let Some(ports) = upper.get_mut(..4) else { return false };
            all.write(&mut ports[..2], &from);
            all.write(&mut ports[2..], &to);
        }
        PROTOCOL_ICMP if is_echo(upper) => {
            // RFC 792: the sum is over the message alone.
            all = Change::default();
            let Some(identifier) = upper.get_mut(4..6) else { return false };
            all.write(identifier, &from);
        }
        PROTOCOL_ICMP => return true,
        PROTOCOL_ICMPV6 if is_echo(upper) => {
            let Some(identifier) = upper.get_mut(4..6) else { return false };
            all.write(identifier, &from);
        }
        _ => {}
    }
    let at = match protocol {
        PROTOCOL_TCP => 16,
        PROTOCOL_UDP => 6,
        PROTOCOL_ICMP | PROTOCOL_ICMPV6 => 2,
        other => match COVERS_ADDRESSES.iter().find(|(protocol, _)| *protocol == other) {
            Some((_, at)) => *at,
            None => return true,
        },
    };
    let Some(field) = upper.get_mut(at..at + 2) else { return false };
    match protocol {
        // RFC 768: "An all zero transmitted checksum value means that the transmitter generated no checksum".
        PROTOCOL_UDP if field == [0, 0] => {}
        PROTOCOL_UDP => {
            // RFC 768: "If the computed checksum is zero, it is transmitted as all ones".
            let sum = Some(all.apply(word(field))).filter(|sum| *sum != 0).unwrap_or(0xffff);
            field.copy_from_slice(&sum.to_be_bytes());
        }
        _ => all.apply_at(field),
    }
    true
}

fn is_echo(message: &[u8]) -> bool {
    matches!(
        message.first(),
        Some(&(icmp::ECHO_REQUEST | icmp::ECHO_REPLY | icmp::V6_ECHO_REQUEST | icmp::V6_ECHO_REPLY))
    )
}

/// Writes the addresses into an IP header; what that changes in sums over them.
fn write_addresses(header: &mut [u8], ends: &Ends) -> Option<Change> {
    let mut change = Change::default();
    match (ends.source.ip(), ends.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            change.write(header.get_mut(12..16)?, &source.octets());
            change.write(header.get_mut(16..20)?, &destination.octets());
            change.apply_at(&mut header[10..12]);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            change.write(header.get_mut(8..24)?, &source.octets());
            change.write(header.get_mut(24..40)?, &destination.octets());
        }
        _ => return None,
    }
    Some(change)
}

/// Writes an ICMP error, `datagram` with its message at `transport`, on its way back through a translation: from and
/// to other addresses, about the packet that had the ends `quoted` before it was translated (RFC 5508 4.2).
///
/// # Errors
/// [`Full`]: it does not fit the frame's first buffer.
pub fn translated_error<F: Frame>(
    frame: &mut F,
    link: &LinkOut,
    datagram: &[u8],
    transport: usize,
    addresses: (IpAddr, IpAddr),
    quoted: &Ends,
) -> Result<(), Full> {
    forwarded(frame, link, datagram)?;
    let l2 = link.header_len();
    if frame.data().len() != frame.len() {
        return Err(Full);
    }
    let packet = frame.data_mut().get_mut(l2..).ok_or(Full)?;
    if translate_error(packet, transport, addresses, quoted) { Ok(()) } else { Err(Full) }
}

/// The same in place, in a datagram that is all there. False: it is no ICMP error.
pub fn translate_error(packet: &mut [u8], transport: usize, addresses: (IpAddr, IpAddr), quoted: &Ends) -> bool {
    let outer = Ends { source: SocketAddr::new(addresses.0, 0), destination: SocketAddr::new(addresses.1, 0) };
    let Some((header, message)) = packet.split_at_mut_checked(transport) else { return false };
    if write_addresses(header, &outer).is_none() {
        return false;
    }
    let Some(quote) = message.get_mut(icmp::HEADER_LEN..) else { return false };
    restore(quote, quoted);
    let v6 = addresses.0.is_ipv6();
    let protocol = if v6 { PROTOCOL_ICMPV6 } else { PROTOCOL_ICMP };
    let pseudo = if v6 { checksum::pseudo_header(addresses.0, addresses.1, protocol, message.len()) } else { 0 };
    message[2..4].fill(0);
    let sum = ::tcp::checksum::finish(::tcp::checksum::sum(message, pseudo));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    true
}

/// Gives a quoted packet its former ends, as far as it is quoted.
pub fn restore(quote: &mut [u8], ends: &Ends) {
    if let Some((transport, protocol)) = upper_layer(quote) {
        translate(quote, transport, protocol, ends);
    }
}

/// Gives a quoted segment the sequence number that its sender gave it.
pub fn restore_seq(quote: &mut [u8], shift: &::tcp::Shift) {
    if let Some((transport, PROTOCOL_TCP)) = upper_layer(quote)
        && let Some(field) = quote.get_mut(transport + 4..transport + 8)
    {
        let seq = shift.back(::tcp::SeqNumber(u32::from_be_bytes([field[0], field[1], field[2], field[3]])));
        field.copy_from_slice(&seq.0.to_be_bytes());
    }
}

/// Where a datagram's upper layer begins, and which it is.
fn upper_layer(datagram: &[u8]) -> Option<(usize, u8)> {
    match datagram.first().map(|first| first >> 4) {
        Some(4) if datagram.len() >= 20 => Some((usize::from(datagram[0] & 0x0f) * 4, datagram[9])),
        Some(6) if datagram.len() >= ipv6::HEADER_LEN => {
            let upper = ipv6::walk(datagram[6], &datagram[ipv6::HEADER_LEN..]).ok();
            upper.map(|upper| (ipv6::HEADER_LEN + upper.at, upper.protocol))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
