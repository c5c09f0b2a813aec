//! What a port does to a frame on its way out: checksums, and cutting what is larger than a segment.
//!
//! As real ports do it: where a TCP or UDP checksum is asked for, its field holds the sum of the pseudo header (without
//! the length when the frame is to be cut). Asking for what the port does not report is a bug of the writer.

use std::ops::Range;

use super::MemoryFrame;
use crate::nic::{Offloads, TxOffload};

/// The frames that go on the wire.
pub(super) fn apply(frame: MemoryFrame, offloads: Offloads) -> Vec<Vec<u8>> {
    let (mut bytes, asked) = frame.into_parts();
    assert!(offloads.ipv4_checksum || !asked.ipv4_checksum, "the port has no IPv4 checksum offload");
    assert!(offloads.tcp_checksum || !asked.tcp_checksum, "the port has no TCP checksum offload");
    assert!(offloads.udp_checksum || !asked.udp_checksum, "the port has no UDP checksum offload");
    assert!(offloads.tso || asked.tso_mss == 0, "the port has no segmentation offload");
    if asked.tso_mss > 0 {
        return cut(&bytes, asked);
    }
    let parts = Parts::of(asked);
    if asked.ipv4_checksum {
        fill_ipv4(&mut bytes[parts.ip]);
    }
    if asked.tcp_checksum {
        fill(&mut bytes[parts.transport..], 16);
    }
    if asked.udp_checksum {
        fill(&mut bytes[parts.transport..], 6);
    }
    vec![bytes]
}

/// Where the headers are.
struct Parts {
    ip: Range<usize>,
    transport: usize,
}

impl Parts {
    fn of(asked: TxOffload) -> Parts {
        let ip = usize::from(asked.l2_len);
        let transport = ip + usize::from(asked.l3_len);
        Parts { ip: ip..transport, transport }
    }
}

fn fill_ipv4(header: &mut [u8]) {
    header[10..12].fill(0);
    let checksum = tcp::checksum::finish(tcp::checksum::sum(header, 0));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// Sums header and payload with the pseudo header's sum, which is in the field.
fn fill(transport: &mut [u8], field: usize) {
    let checksum = tcp::checksum::finish(tcp::checksum::sum(transport, 0));
    // RFC 768: "If the computed checksum is zero, it is transmitted as all ones"; TCP takes either.
    let checksum = if checksum == 0 { 0xffff } else { checksum };
    transport[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// Cuts a TCP frame into segments: headers repeated, numbers counted on, FIN and PSH on the last one only.
fn cut(bytes: &[u8], asked: TxOffload) -> Vec<Vec<u8>> {
    let parts = Parts::of(asked);
    let headers = parts.transport + usize::from(asked.l4_len);
    let mss = usize::from(asked.tso_mss);
    let last = bytes[headers..].len().div_ceil(mss).saturating_sub(1);
    let segment = |(index, payload): (usize, &[u8])| {
        let mut segment = [&bytes[..headers], payload].concat();
        let tcp = &mut segment[parts.transport..];
        let seq = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]).wrapping_add((index * mss) as u32);
        tcp[4..8].copy_from_slice(&seq.to_be_bytes());
        if index != last {
            tcp[13] &= !(0x01 | 0x08);
        }
        // CWR belongs to the first only (RFC 3168 6.1.2: once for each reduction).
        if index != 0 {
            tcp[13] &= !0x80;
        }
        set_ip_length(&mut segment[parts.ip.start..], index, asked, payload.len());
        // The pseudo header in the field has no length, which differs from cut to cut.
        add_length(&mut segment[parts.transport..], usize::from(asked.l4_len) + payload.len());
        if !asked.ipv6 {
            fill_ipv4(&mut segment[parts.ip.clone()]);
        }
        fill(&mut segment[parts.transport..], 16);
        segment
    };
    bytes[headers..].chunks(mss).enumerate().map(segment).collect()
}

fn set_ip_length(ip: &mut [u8], index: usize, asked: TxOffload, payload: usize) {
    let length = usize::from(asked.l3_len) + usize::from(asked.l4_len) + payload;
    if asked.ipv6 {
        ip[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
    } else {
        let identification = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add(index as u16);
        ip[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        ip[4..6].copy_from_slice(&identification.to_be_bytes());
    }
}

fn add_length(tcp: &mut [u8], length: usize) {
    let sum = tcp::checksum::sum(&tcp[16..18], tcp::checksum::sum(&(length as u32).to_be_bytes(), 0));
    // `finish` gives the complement; the field holds the sum itself.
    let folded = !tcp::checksum::finish(sum);
    tcp[16..18].copy_from_slice(&folded.to_be_bytes());
}
