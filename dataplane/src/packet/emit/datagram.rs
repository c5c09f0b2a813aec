//! A UDP datagram. Its checksum is always written, also where IPv4 would let it be 0 (RFC 768: 0 means none).

use zerocopy::IntoBytes;
use zerocopy::byteorder::network_endian::U16;

use super::{Frame, Full, IpOut, Layout, LinkOut, Offloads, set_offload};
use crate::packet::{PROTOCOL_UDP, checksum, udp as wire};

/// Writes a datagram.
///
/// # Errors
/// [`Full`] when the frame (or IP) cannot hold it.
pub fn udp<'a, F: Frame>(
    frame: &mut F,
    link: &LinkOut,
    ip: &IpOut,
    source_port: u16,
    destination_port: u16,
    payload: impl Iterator<Item = &'a [u8]>,
    offloads: &Offloads,
) -> Result<(), Full> {
    let layout = Layout::reserve(frame, link, ip, wire::HEADER_LEN)?;
    let mut sum = ::tcp::checksum::Pieces::new(0);
    for piece in payload {
        frame.push(piece)?;
        if !offloads.udp_checksum {
            sum.add(piece);
        }
    }
    let length = frame.len() - layout.l2 - layout.l3;
    let (out, mut offload) = layout.close(frame, link, ip, PROTOCOL_UDP, offloads.ipv4_checksum)?;
    let mut header = wire::Header {
        source_port: U16::new(source_port),
        destination_port: U16::new(destination_port),
        length: U16::new(length as u16),
        checksum: U16::ZERO,
    };
    let pseudo = checksum::pseudo_header(ip.source, ip.destination, PROTOCOL_UDP, length);
    let field = if offloads.udp_checksum {
        offload.udp_checksum = true;
        !::tcp::checksum::finish(pseudo)
    } else {
        // RFC 768: "If the computed checksum is zero, it is transmitted as all ones".
        match ::tcp::checksum::finish(::tcp::checksum::sum(header.as_bytes(), pseudo + sum.acc())) {
            0 => 0xffff,
            sum => sum,
        }
    };
    header.checksum = U16::new(field);
    out.copy_from_slice(header.as_bytes());
    set_offload(frame, offload);
    Ok(())
}
