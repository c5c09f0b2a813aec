//! Ethernet II and one 802.1Q tag.
//!
//! A tag with VID 0 only carries a priority and counts as untagged (IEEE 802.1Q 9.6: "The null VLAN ID ... indicates
//! that the tag header contains only priority information"). Two tags are refused by name. 802.3 length fields (LLC:
//! spanning tree and the like) come out as an ethertype below 0x0600 and end as [`super::Network::Other`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Malformed;

/// IPv4.
pub const IPV4: u16 = 0x0800;
/// Address resolution.
pub const ARP: u16 = 0x0806;
/// IPv6.
pub const IPV6: u16 = 0x86dd;
/// A customer's VLAN tag.
pub const VLAN: u16 = 0x8100;
/// A provider's VLAN tag.
const PROVIDER_VLAN: u16 = 0x88a8;
/// What some switches used before [`PROVIDER_VLAN`] was agreed on.
const OLD_PROVIDER_VLAN: u16 = 0x9100;

/// Bytes of an untagged header.
pub const HEADER_LEN: usize = 14;
/// Bytes of a VLAN tag.
pub const TAG_LEN: usize = 4;

/// An Ethernet address.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// No address: what stands in a frame whose neighbour is being resolved.
    pub const ZERO: Self = Self([0; 6]);
    /// All stations.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Is it a multicast or the broadcast address?
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Can a station have it?
    pub fn is_station(self) -> bool {
        !self.is_group() && self != Self::ZERO
    }

    /// The group address that a multicast (or the IPv4 broadcast) address maps to; `None` for unicast.
    pub fn for_group(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(v4) if v4.is_broadcast() => Some(Self::BROADCAST),
            // RFC 1112 6.4: "placing the low-order 23-bits of the IP address into the low-order 23 bits of the
            // Ethernet multicast address 01-00-5E-00-00-00".
            IpAddr::V4(v4) if v4.is_multicast() => {
                let [_, b, c, d] = v4.octets();
                Some(Self([0x01, 0x00, 0x5e, b & 0x7f, c, d]))
            }
            // RFC 2464 7: "the first two octets are the value 3333 hexadecimal and [the] last four octets are the
            // last four octets of DST".
            IpAddr::V6(v6) if v6.is_multicast() => {
                let [.., a, b, c, d] = v6.octets();
                Some(Self([0x33, 0x33, a, b, c, d]))
            }
            _ => None,
        }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not six pairs of hexadecimal digits with colons between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMacAddress;

impl FromStr for MacAddress {
    type Err = NotMacAddress;

    fn from_str(text: &str) -> Result<Self, NotMacAddress> {
        let mut parts = text.split(':');
        let mut octets = [0; 6];
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(NotMacAddress)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| NotMacAddress)?;
        }
        if parts.next().is_some() { Err(NotMacAddress) } else { Ok(Self(octets)) }
    }
}

/// The header as it is on the wire.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) destination: MacAddress,
    pub(crate) source: MacAddress,
    pub(crate) ethertype: U16,
}

/// A VLAN tag and the ethertype behind it.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Tag {
    pub(crate) control: U16,
    pub(crate) ethertype: U16,
}

/// What a frame's link layer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The station that sent it.
    pub source: MacAddress,
    /// The station or group it is for.
    pub destination: MacAddress,
    /// VLAN it is on; `None`: untagged or tagged with a priority only.
    pub vlan: Option<u16>,
    /// What it carries.
    pub ethertype: u16,
    /// Length of the header in the frame, tag included.
    pub len: usize,
}

/// Reads the header; `stripped` is the tag that the device took off.
pub(super) fn parse(bytes: &[u8], stripped: Option<u16>) -> Result<Link, Malformed> {
    let (header, rest) = Header::ref_from_prefix(bytes).map_err(|_| Malformed::EthernetTruncated)?;
    if !header.source.is_station() {
        return Err(Malformed::EthernetSource);
    }
    let mut link = Link {
        source: header.source,
        destination: header.destination,
        vlan: stripped.and_then(vlan_id),
        ethertype: header.ethertype.get(),
        len: HEADER_LEN,
    };
    if link.ethertype == VLAN {
        let (tag, _) = Tag::ref_from_prefix(rest).map_err(|_| Malformed::VlanTruncated)?;
        if stripped.is_some() {
            return Err(Malformed::VlanStacked);
        }
        link.vlan = vlan_id(tag.control.get());
        link.ethertype = tag.ethertype.get();
        link.len += TAG_LEN;
    }
    if matches!(link.ethertype, VLAN | PROVIDER_VLAN | OLD_PROVIDER_VLAN) {
        return Err(Malformed::VlanStacked);
    }
    Ok(link)
}

fn vlan_id(control: u16) -> Option<u16> {
    Some(control & 0x0fff).filter(|&id| id != 0)
}
