//! A TCP segment, or a run of segments that the device cuts; then the checksum field holds the pseudo header's sum without
//! a length, as DPDK wants it.

use super::{Frame, Full, IpOut, Layout, LinkOut, Offloads, set_offload};
use crate::packet::{PROTOCOL_TCP, checksum};

/// Where the checksum is in a TCP header.
const CHECKSUM_AT: usize = 16;

/// Writes a segment. With `mss_for_tso`, payload longer than that is cut by the device; the port must offer it.
///
/// # Errors
/// [`Full`] when the frame (or IP) cannot hold it.
pub fn tcp<'a, F: Frame>(
    frame: &mut F,
    link: &LinkOut,
    ip: &IpOut,
    header: &::tcp::Header,
    payload: impl Iterator<Item = &'a [u8]>,
    offloads: &Offloads,
    mss_for_tso: Option<u16>,
) -> Result<(), Full> {
    let header_len = header.len();
    let layout = Layout::reserve(frame, link, ip, header_len)?;
    let offloaded = offloads.tcp_checksum || mss_for_tso.is_some();
    let mut sum = ::tcp::checksum::Pieces::new(0);
    for piece in payload {
        frame.push(piece)?;
        if !offloaded {
            sum.add(piece);
        }
    }
    let segment_len = frame.len() - layout.l2 - layout.l3;
    let tso_mss = mss_for_tso.filter(|&mss| segment_len - header_len > usize::from(mss));
    debug_assert!(tso_mss.is_none() || offloads.tso, "segmentation is asked of a port that does not offer it");

    // A device that cuts writes each IPv4 header, so its checksum too.
    let ipv4_checksum = offloads.ipv4_checksum || tso_mss.is_some();
    let (out, mut offload) = layout.close(frame, link, ip, PROTOCOL_TCP, ipv4_checksum)?;
    header.emit(out);
    let field = if offloaded {
        // The device adds the length of what it cuts, hence none in the pseudo header.
        let len = if tso_mss.is_some() { 0 } else { segment_len };
        offload.tcp_checksum = true;
        offload.tso_mss = tso_mss.unwrap_or(0);
        offload.l4_len = if tso_mss.is_some() { header_len as u8 } else { 0 };
        !::tcp::checksum::finish(checksum::pseudo_header(ip.source, ip.destination, PROTOCOL_TCP, len))
    } else {
        let pseudo = checksum::pseudo_header(ip.source, ip.destination, PROTOCOL_TCP, segment_len);
        ::tcp::checksum::finish(::tcp::checksum::sum(out, pseudo + sum.acc()))
    };
    out[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&field.to_be_bytes());
    set_offload(frame, offload);
    Ok(())
}
