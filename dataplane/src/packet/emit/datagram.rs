//! A UDP datagram. Its checksum is always written, also where IPv4 would let it be 0 (RFC 768: 0 means none).

use zerocopy::IntoBytes;
use zerocopy::byteorder::network_endian::U16;

use super::{Frame, Full, IpOut, Layout, LinkOut, Offloads, set_offload, write_ip};
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

/// Writes a whole IP datagram into `out`, to be cut by [`super::piece`]: as long as IP can carry one.
///
/// # Errors
/// [`Full`] when IP cannot.
pub fn datagram(out: &mut Vec<u8>, ip: &IpOut, ports: (u16, u16), payload: &[u8]) -> Result<(), Full> {
    let (l3, length) = (ip.header_len(), wire::HEADER_LEN + payload.len());
    let header = wire::Header {
        source_port: U16::new(ports.0),
        destination_port: U16::new(ports.1),
        length: U16::new(u16::try_from(length).map_err(|_| Full)?),
        checksum: U16::ZERO,
    };
    out.clear();
    out.resize(l3, 0);
    write_ip(out, ip, PROTOCOL_UDP, length, false)?;
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(payload);
    let pseudo = checksum::pseudo_header(ip.source, ip.destination, PROTOCOL_UDP, length);
    // RFC 768: "If the computed checksum is zero, it is transmitted as all ones".
    let sum = match ::tcp::checksum::finish(::tcp::checksum::sum(&out[l3..], pseudo)) {
        0 => 0xffff,
        sum => sum,
    };
    out[l3 + 6..l3 + 8].copy_from_slice(&sum.to_be_bytes());
    Ok(())
}
