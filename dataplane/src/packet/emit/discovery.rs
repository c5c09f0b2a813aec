//! ARP and neighbour discovery messages, as RFC 826 and RFC 4861 lay them out; whom they go to is the caller's choice.

use std::net::Ipv6Addr;

use super::{Frame, Full, IpOut, Layout, LinkOut, ethernet};
use crate::packet::{Arp, MacAddress, PROTOCOL_ICMPV6, checksum, ndp};

/// Writes an ARP message.
///
/// # Errors
/// [`Full`] when the frame cannot hold it.
pub fn arp<F: Frame>(frame: &mut F, link: &LinkOut, arp: &Arp) -> Result<(), Full> {
    debug_assert!(frame.is_empty(), "headers go to the frame's start");
    let mut header = [0; ethernet::HEADER_LEN + ethernet::TAG_LEN];
    link.write(&mut header, ethernet::ARP);
    frame.push(&header[..link.header_len()])?;
    frame.push(&arp.to_bytes())
}

/// Writes a neighbour solicitation for `target`; it says where we are unless it comes from no address.
///
/// # Errors
/// [`Full`] when the frame cannot hold it.
pub fn neighbour_solicitation<F: Frame>(
    frame: &mut F,
    link: &LinkOut,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    target: Ipv6Addr,
) -> Result<(), Full> {
    let option = (!source.is_unspecified()).then_some((ndp::OPTION_SOURCE_LINK, link.source));
    message(frame, link, (source, destination), (ndp::NEIGHBOUR_SOLICITATION, 0), target, option)
}

/// What a neighbour advertisement says; the station is the frame's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// The address that is here.
    pub target: Ipv6Addr,
    /// It answers a solicitation.
    pub solicited: bool,
    /// It replaces what the receiver knows.
    pub overrides: bool,
}

/// Writes a neighbour advertisement; the gateway always says that it is a router.
///
/// # Errors
/// [`Full`] when the frame cannot hold it.
pub fn neighbour_advertisement<F: Frame>(
    frame: &mut F,
    link: &LinkOut,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    advertisement: &Advertisement,
) -> Result<(), Full> {
    let mut flags = ndp::FLAG_ROUTER;
    if advertisement.solicited {
        flags |= ndp::FLAG_SOLICITED;
    }
    if advertisement.overrides {
        flags |= ndp::FLAG_OVERRIDE;
    }
    let kind = (ndp::NEIGHBOUR_ADVERTISEMENT, flags);
    let option = Some((ndp::OPTION_TARGET_LINK, link.source));
    message(frame, link, (source, destination), kind, advertisement.target, option)
}

fn message<F: Frame>(
    frame: &mut F,
    link: &LinkOut,
    (source, destination): (Ipv6Addr, Ipv6Addr),
    (kind, flags): (u8, u8),
    target: Ipv6Addr,
    option: Option<(u8, MacAddress)>,
) -> Result<(), Full> {
    let length = ndp::MESSAGE_LEN + if option.is_some() { ndp::LINK_OPTION_LEN } else { 0 };
    // RFC 4861 4.3, 4.4: "Hop Limit: 255".
    let ip = IpOut { ttl: 255, ..IpOut::new(source.into(), destination.into()) };
    let layout = Layout::reserve(frame, link, &ip, length)?;
    let (out, _) = layout.close(frame, link, &ip, PROTOCOL_ICMPV6, false)?;
    out[0] = kind;
    out[4] = flags;
    out[8..ndp::MESSAGE_LEN].copy_from_slice(&target.octets());
    if let Some((code, mac)) = option {
        out[ndp::MESSAGE_LEN] = code;
        out[ndp::MESSAGE_LEN + 1] = 1;
        out[ndp::MESSAGE_LEN + 2..].copy_from_slice(&mac.0);
    }
    let pseudo = checksum::pseudo_header(ip.source, ip.destination, PROTOCOL_ICMPV6, length);
    let sum = ::tcp::checksum::finish(::tcp::checksum::sum(out, pseudo));
    out[2..4].copy_from_slice(&sum.to_be_bytes());
    Ok(())
}
