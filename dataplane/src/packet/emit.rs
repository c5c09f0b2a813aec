//! Packets written into empty frames.
//!
//! Every writer works in the same order: room for all headers is taken at the frame's start, the payload is pushed
//! behind it (its sum taken on the way where the device does not), then the headers are written in place, lengths and
//! checksums known. A checksum is left to the device where it offers that. IPv4 packets always say "don't fragment":
//! the gateway keeps to the path's MTU itself.
//!
//! [`Full`] from a writer leaves a useless frame behind: give it back.

use std::net::IpAddr;

use zerocopy::IntoBytes;
use zerocopy::byteorder::network_endian::{U16, U32};

use super::{MacAddress, ethernet, ipv4, ipv6};
use crate::nic::{Frame, Full, Offloads, TxOffload};

mod datagram;
mod discovery;
mod forwarded;
mod message;
mod piece;
mod segment;
mod translated;

pub use datagram::{datagram, udp};
pub use discovery::{Advertisement, arp, neighbour_advertisement, neighbour_solicitation};
pub use forwarded::{age, carried, forwarded, redirected};
pub use message::{QUOTE_MAX, echo_reply, icmp_error, quote_tcp};
pub use piece::{Cut, piece};
pub use segment::tcp;
pub use translated::{
    Ends, Rewrite, restore, restore_seq, rewrite, rewritten, translate, translate_error, translated_error,
};

/// Link layer of a frame to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkOut {
    /// Our station address.
    pub source: MacAddress,
    /// The neighbour's, or a group's.
    pub destination: MacAddress,
    /// VLAN tag to write.
    pub vlan: Option<u16>,
}

/// IP layer of a packet to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpOut {
    /// From whom.
    pub source: IpAddr,
    /// To whom; of the same family.
    pub destination: IpAddr,
    /// Hops it may go.
    pub ttl: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// IPv4 identification; without meaning while "don't fragment" is set (RFC 6864 4.1), kept for looks.
    pub identification: u16,
    /// IPv6 flow label.
    pub flow_label: u32,
}

impl IpOut {
    /// A packet of our own, with nothing special about it.
    pub fn new(source: IpAddr, destination: IpAddr) -> Self {
        // RFC 1700: "The current recommended default time to live (TTL) for the Internet Protocol (IP) is 64".
        Self { source, destination, ttl: 64, tos: 0, identification: 0, flow_label: 0 }
    }

    /// Length of the IP header; panics when the addresses are of different families, for that is our own mistake.
    fn header_len(&self) -> usize {
        match (self.source, self.destination) {
            (IpAddr::V4(_), IpAddr::V4(_)) => ipv4::HEADER_LEN,
            (IpAddr::V6(_), IpAddr::V6(_)) => ipv6::HEADER_LEN,
            _ => panic!("a packet from {} to {} is of no family", self.source, self.destination),
        }
    }
}

impl LinkOut {
    pub(crate) fn header_len(&self) -> usize {
        ethernet::HEADER_LEN + if self.vlan.is_some() { ethernet::TAG_LEN } else { 0 }
    }

    fn write(&self, out: &mut [u8], ethertype: u16) {
        let outer = if self.vlan.is_some() { ethernet::VLAN } else { ethertype };
        let header =
            ethernet::Header { destination: self.destination, source: self.source, ethertype: U16::new(outer) };
        out[..ethernet::HEADER_LEN].copy_from_slice(header.as_bytes());
        if let Some(id) = self.vlan {
            let tag = ethernet::Tag { control: U16::new(id), ethertype: U16::new(ethertype) };
            out[ethernet::HEADER_LEN..ethernet::HEADER_LEN + ethernet::TAG_LEN].copy_from_slice(tag.as_bytes());
        }
    }
}

/// Longest headers there can be: tagged Ethernet, IPv6, TCP with all options.
const HEADERS_MAX: usize = ethernet::HEADER_LEN + ethernet::TAG_LEN + ipv6::HEADER_LEN + 60;

/// Where the headers of a frame being written are.
#[derive(Clone, Copy, Debug)]
struct Layout {
    l2: usize,
    l3: usize,
    l4: usize,
}

impl Layout {
    /// Takes room for the headers; they must lie in the frame's first segment.
    fn reserve<F: Frame>(frame: &mut F, link: &LinkOut, ip: &IpOut, l4: usize) -> Result<Self, Full> {
        debug_assert!(frame.is_empty(), "headers go to the frame's start");
        let layout = Self { l2: link.header_len(), l3: ip.header_len(), l4 };
        frame.push(&[0; HEADERS_MAX][..layout.len()])?;
        if frame.data().len() < layout.len() { Err(Full) } else { Ok(layout) }
    }

    fn len(&self) -> usize {
        self.l2 + self.l3 + self.l4
    }

    /// Writes the link and IP headers now that everything behind them is in the frame. Returns the upper layer's
    /// header to be filled in, its length with payload, and the offloads so far.
    fn close<'f, F: Frame>(
        &self,
        frame: &'f mut F,
        link: &LinkOut,
        ip: &IpOut,
        protocol: u8,
        ipv4_checksum: bool,
    ) -> Result<(&'f mut [u8], TxOffload), Full> {
        let upper_len = frame.len() - self.l2 - self.l3;
        let (l2, rest) = frame.data_mut()[..self.len()].split_at_mut(self.l2);
        let (l3, l4) = rest.split_at_mut(self.l3);
        let v6 = ip.source.is_ipv6();
        link.write(l2, if v6 { ethernet::IPV6 } else { ethernet::IPV4 });
        write_ip(l3, ip, protocol, upper_len, ipv4_checksum)?;
        let offload = TxOffload {
            l2_len: self.l2 as u8,
            l3_len: self.l3 as u16,
            ipv6: v6,
            ipv4_checksum: ipv4_checksum && !v6,
            ..TxOffload::default()
        };
        Ok((l4, offload))
    }
}

/// Writes an IP header without options in front of `upper_len` bytes; `Full` when IP cannot carry so many.
fn write_ip(out: &mut [u8], ip: &IpOut, protocol: u8, upper_len: usize, offloaded: bool) -> Result<(), Full> {
    match (ip.source, ip.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut header = ipv4::Header {
                version_ihl: 0x45,
                tos: ip.tos,
                total_length: U16::new(u16::try_from(ipv4::HEADER_LEN + upper_len).map_err(|_| Full)?),
                identification: U16::new(ip.identification),
                flags_offset: U16::new(ipv4::DONT_FRAGMENT),
                ttl: ip.ttl,
                protocol,
                checksum: U16::ZERO,
                source: source.octets(),
                destination: destination.octets(),
            };
            if !offloaded {
                header.checksum = U16::new(::tcp::checksum::finish(::tcp::checksum::sum(header.as_bytes(), 0)));
            }
            out.copy_from_slice(header.as_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let class_label = u32::from(ip.tos) << 20 | ip.flow_label & 0x000f_ffff;
            let header = ipv6::Header {
                version_class_label: U32::new(6 << 28 | class_label),
                payload_length: U16::new(u16::try_from(upper_len).map_err(|_| Full)?),
                next_header: protocol,
                hop_limit: ip.ttl,
                source: source.octets(),
                destination: destination.octets(),
            };
            out.copy_from_slice(header.as_bytes());
        }
        _ => unreachable!("IpOut::header_len refuses mixed families"),
    }
    Ok(())
}

/// Hands the device what it is to do, if it is to do anything.
fn set_offload<F: Frame>(frame: &mut F, offload: TxOffload) {
    if offload.ipv4_checksum || offload.tcp_checksum || offload.udp_checksum {
        frame.set_offload(offload);
    }
}

#[cfg(test)]
mod tests;
