//! The IPv4 header (RFC 791).
//!
//! Options are walked only to be sure that they can be, and to refuse source routes (RFC 7126 4.3 and 4.4 recommend
//! that "routers, security gateways, and firewalls" drop such packets). Other options are carried and not acted upon:
//! the gateway neither records routes nor time stamps.

use std::net::Ipv4Addr;
use std::ops::Range;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Fragment, Malformed, checksum};

/// Bytes of a header without options.
pub(super) const HEADER_LEN: usize = 20;
/// The longest packet.
pub(super) const PACKET_MAX: usize = 65_535;

pub(super) const DONT_FRAGMENT: u16 = 0x4000;
pub(super) const MORE_FRAGMENTS: u16 = 0x2000;
pub(super) const OFFSET: u16 = 0x1fff;

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_LOOSE_SOURCE_ROUTE: u8 = 131;
const OPTION_STRICT_SOURCE_ROUTE: u8 = 137;

/// The header as it is on the wire.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    /// 4, and the header's length in words.
    pub(super) version_ihl: u8,
    pub(super) tos: u8,
    pub(super) total_length: U16,
    pub(super) identification: U16,
    pub(super) flags_offset: U16,
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    pub(super) checksum: U16,
    pub(super) source: [u8; 4],
    pub(super) destination: [u8; 4],
}

impl Header {
    pub(super) fn len(&self) -> usize {
        usize::from(self.version_ihl & 0x0f) * 4
    }

    pub(super) fn source(&self) -> Ipv4Addr {
        self.source.into()
    }

    pub(super) fn destination(&self) -> Ipv4Addr {
        self.destination.into()
    }

    pub(super) fn dont_fragment(&self) -> bool {
        self.flags_offset.get() & DONT_FRAGMENT != 0
    }

    /// `None` when the packet is a whole datagram.
    pub(super) fn fragment(&self) -> Option<Fragment> {
        let offset = (self.flags_offset.get() & OFFSET) * 8;
        let more = self.flags_offset.get() & MORE_FRAGMENTS != 0;
        let identification = u32::from(self.identification.get());
        (more || offset != 0).then_some(Fragment { offset, more, identification })
    }
}

/// Reads the header at `start` of the frame; the ranges are the header's and its payload's.
pub(super) fn parse(
    bytes: &[u8],
    start: usize,
    checksum_good: bool,
) -> Result<(&Header, Range<usize>, Range<usize>), Malformed> {
    let packet = &bytes[start..];
    let (header, _) = Header::ref_from_prefix(packet).map_err(|_| Malformed::Ipv4Truncated)?;
    if header.version_ihl >> 4 != 4 {
        return Err(Malformed::Ipv4Version);
    }
    let header_len = header.len();
    if header_len < HEADER_LEN {
        return Err(Malformed::Ipv4HeaderLength);
    }
    if header_len > packet.len() {
        return Err(Malformed::Ipv4HeaderTruncated);
    }
    let total = usize::from(header.total_length.get());
    if total < header_len {
        return Err(Malformed::Ipv4TotalLength);
    }
    if total > packet.len() {
        return Err(Malformed::Ipv4FrameShort);
    }
    // RFC 1812 5.2.2: "The IP checksum must be correct".
    if !checksum_good && !checksum::is_good_alone(&packet[..header_len]) {
        return Err(Malformed::Ipv4Checksum);
    }
    check_options(&packet[HEADER_LEN..header_len])?;
    let end = start + total;
    if let Some(fragment) = header.fragment() {
        fragment.check(total - header_len)?;
    }
    Ok((header, start..start + header_len, start + header_len..end))
}

/// Walks the options; each step consumes at least one of at most 40 bytes.
fn check_options(mut options: &[u8]) -> Result<(), Malformed> {
    while let [kind, rest @ ..] = options {
        match *kind {
            OPTION_END => return Ok(()),
            OPTION_NOP => options = rest,
            OPTION_LOOSE_SOURCE_ROUTE | OPTION_STRICT_SOURCE_ROUTE => return Err(Malformed::Ipv4SourceRoute),
            _ => {
                let length = usize::from(*rest.first().ok_or(Malformed::Ipv4Options)?);
                options = options.get(length..).filter(|_| length >= 2).ok_or(Malformed::Ipv4Options)?;
            }
        }
    }
    Ok(())
}
