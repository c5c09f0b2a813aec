//! The UDP header (RFC 768).
//!
//! The datagram may be shorter than the packet that carries it; what is behind it is not UDP's and is cut off.

use std::net::IpAddr;
use std::ops::Range;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Malformed, PROTOCOL_UDP, checksum};

/// Bytes of the header.
pub(super) const HEADER_LEN: usize = 8;

/// The header as it is on the wire.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) source_port: U16,
    pub(super) destination_port: U16,
    pub(super) length: U16,
    pub(super) checksum: U16,
}

/// A datagram's ports and payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Datagram {
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) payload: Range<usize>,
}

/// Reads the datagram at `transport` of the frame `bytes`.
pub(super) fn parse(
    bytes: &[u8],
    transport: Range<usize>,
    source: IpAddr,
    destination: IpAddr,
    checksum_good: bool,
) -> Result<Datagram, Malformed> {
    let packet = &bytes[transport.clone()];
    let (header, _) = Header::ref_from_prefix(packet).map_err(|_| Malformed::UdpTruncated)?;
    let length = usize::from(header.length.get());
    if length < HEADER_LEN || length > packet.len() {
        return Err(Malformed::UdpLength);
    }
    if header.destination_port == 0 {
        return Err(Malformed::UdpPortZero);
    }
    if header.checksum == 0 {
        // RFC 8200 8.1: "IPv6 receivers must discard UDP packets containing a zero checksum". RFC 768: "An all zero
        // transmitted checksum value means that the transmitter generated no checksum".
        if source.is_ipv6() {
            return Err(Malformed::UdpChecksumMissing);
        }
    } else if !checksum_good && !checksum::is_good(&packet[..length], source, destination, PROTOCOL_UDP) {
        return Err(Malformed::UdpChecksum);
    }
    Ok(Datagram {
        source_port: header.source_port.get(),
        destination_port: header.destination_port.get(),
        payload: transport.start + HEADER_LEN..transport.start + length,
    })
}
