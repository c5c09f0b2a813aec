//! The IPv6 header and its extension headers (RFC 8200).
//!
//! The walk is bounded by [`limits::EXTENSION_HEADERS_MAX`]. A hop-by-hop header is looked at because every node on the
//! way is meant to; an option there that must be refused by those who do not know it is refused. Destination options
//! are for the destination and only skipped. AH and ESP end the walk: they are the upper layer to us.

use std::net::Ipv6Addr;
use std::ops::Range;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Fragment, Malformed};
use crate::limits;

/// Bytes of the fixed header.
pub(super) const HEADER_LEN: usize = 40;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

const OPTION_PAD1: u8 = 0;
const OPTION_ROUTER_ALERT: u8 = 5;
const OPTION_JUMBO: u8 = 0xc2;
/// An option's top two bits: what those who do not know it must do; zero: skip it.
const OPTION_ACTION: u8 = 0xc0;

/// The fixed header as it is on the wire.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    /// Version, traffic class, flow label.
    pub(super) version_class_label: U32,
    pub(super) payload_length: U16,
    pub(super) next_header: u8,
    pub(super) hop_limit: u8,
    pub(super) source: [u8; 16],
    pub(super) destination: [u8; 16],
}

impl Header {
    pub(super) fn source(&self) -> Ipv6Addr {
        self.source.into()
    }

    pub(super) fn destination(&self) -> Ipv6Addr {
        self.destination.into()
    }

    pub(super) fn traffic_class(&self) -> u8 {
        (self.version_class_label.get() >> 20) as u8
    }

    pub(super) fn flow_label(&self) -> u32 {
        self.version_class_label.get() & 0x000f_ffff
    }
}

/// Where the extension headers lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Upper {
    /// The upper layer's protocol.
    pub(super) protocol: u8,
    /// Bytes before it, from where the walk began.
    pub(super) at: usize,
    /// `None` when the packet is a whole datagram.
    pub(super) fragment: Option<Fragment>,
}

/// Reads the headers at `start` of the frame; the range is that of what they carry.
pub(super) fn parse(bytes: &[u8], start: usize) -> Result<(&Header, Upper, Range<usize>), Malformed> {
    let packet = &bytes[start..];
    let (header, rest) = Header::ref_from_prefix(packet).map_err(|_| Malformed::Ipv6Truncated)?;
    if header.version_class_label.get() >> 28 != 6 {
        return Err(Malformed::Ipv6Version);
    }
    let length = usize::from(header.payload_length.get());
    let payload = rest.get(..length).ok_or(Malformed::Ipv6FrameShort)?;
    let upper = walk(header.next_header, payload)?;
    if let Some(fragment) = upper.fragment {
        // Extension headers behind the fragment header are multiples of 8 bytes long: they do not change the answer.
        fragment.check(length - upper.at)?;
    }
    let transport = start + HEADER_LEN + upper.at;
    Ok((header, upper, transport..start + HEADER_LEN + length))
}

/// Walks the extension headers to the upper layer; `payload` may be cut anywhere (a quote's is).
pub(super) fn walk(first: u8, payload: &[u8]) -> Result<Upper, Malformed> {
    let mut upper = Upper { protocol: first, at: 0, fragment: None };
    let mut fragmented = false;
    for place in 0..=limits::EXTENSION_HEADERS_MAX {
        let rest = &payload[upper.at..];
        let length = match upper.protocol {
            HOP_BY_HOP if place > 0 => return Err(Malformed::Ipv6ExtensionOrder),
            FRAGMENT if fragmented => return Err(Malformed::Ipv6ExtensionOrder),
            FRAGMENT => {
                fragmented = true;
                upper.fragment = fragment(rest)?;
                FRAGMENT_LEN
            }
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => extension(upper.protocol, rest)?,
            _ => return Ok(upper),
        };
        upper.protocol = rest[0];
        upper.at += length;
        if upper.fragment.is_some_and(|fragment| !fragment.is_first()) {
            // What follows is the middle of something: nothing there is a header.
            return Ok(upper);
        }
    }
    Err(Malformed::Ipv6ExtensionCount)
}

const FRAGMENT_LEN: usize = 8;

/// The fragment header at the start of `rest`; `None` for an atomic fragment.
fn fragment(rest: &[u8]) -> Result<Option<Fragment>, Malformed> {
    let header = rest.first_chunk::<FRAGMENT_LEN>().ok_or(Malformed::Ipv6ExtensionTruncated)?;
    let [_, _, high, low, identification @ ..] = *header;
    let field = u16::from_be_bytes([high, low]);
    let fragment =
        Fragment { offset: field & !7, more: field & 1 != 0, identification: u32::from_be_bytes(identification) };
    // RFC 6946 4: "A host that receives an IPv6 packet that includes a Fragment Header with the 'Fragment Offset' equal
    // to 0 and the 'M' flag equal to 0 MUST process that packet in isolation from any other packets/fragments".
    if fragment.is_first() && !fragment.more {
        return Ok(None);
    }
    Ok(Some(fragment))
}

/// Checks the extension header at the start of `rest` and returns its length.
fn extension(kind: u8, rest: &[u8]) -> Result<usize, Malformed> {
    let [_, words, ..] = *rest else { return Err(Malformed::Ipv6ExtensionTruncated) };
    let length = (usize::from(words) + 1) * 8;
    let header = rest.get(..length).ok_or(Malformed::Ipv6ExtensionTruncated)?;
    match kind {
        HOP_BY_HOP => check_hop_by_hop(&header[2..])?,
        // RFC 5095 3: "An IPv6 node that receives a packet ... containing an RH0 MUST NOT execute the algorithm". One
        // with no segments left is dropped all the same: nobody honest sends one.
        ROUTING if header[2] == 0 => return Err(Malformed::Ipv6RoutingType0),
        _ => {}
    }
    Ok(length)
}

/// Walks the options; each step consumes at least one of at most 2,046 bytes.
fn check_hop_by_hop(mut options: &[u8]) -> Result<(), Malformed> {
    while let [kind, rest @ ..] = options {
        if *kind == OPTION_PAD1 {
            options = rest;
            continue;
        }
        let [length, data @ ..] = rest else { return Err(Malformed::Ipv6Options) };
        options = data.get(usize::from(*length)..).ok_or(Malformed::Ipv6Options)?;
        match *kind {
            OPTION_JUMBO => return Err(Malformed::Ipv6Jumbogram),
            OPTION_ROUTER_ALERT => {}
            // RFC 8200 4.2, for the action bits 01, 10 and 11: "discard the packet".
            kind if kind & OPTION_ACTION != 0 => return Err(Malformed::Ipv6OptionRefused),
            _ => {}
        }
    }
    Ok(())
}
