//! As much of Ethernet, ARP and IPv4 as an echo server needs: frames in, segments out, and back, with the checksums of both.
//!
//! Left out: IP options are skipped, fragments dropped (nobody who heeds our MSS sends any).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use tcp::{Ecn, Flow, Header, Segment, checksum};

/// A MAC address.
pub(crate) type Mac = [u8; 6];

/// Ours; the second bit says that nobody assigned it.
pub(crate) const OURS: Mac = [2, 0, 0, 0, 0, 2];

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const TCP: u8 = 6;

/// What a frame has for us.
pub(crate) enum Incoming {
    /// Send this.
    ArpReply(Vec<u8>),
    /// A segment, and which neighbour it came from.
    Segment(Mac, Flow, Segment<Bytes>),
}

/// What is not for `address`, or not right, is none.
pub(crate) fn parse(frame: &Bytes, address: Ipv4Addr) -> Option<Incoming> {
    let from: Mac = frame.get(6..12)?.try_into().ok()?;
    match frame.get(12..ETHERNET)? {
        [8, 6] => arp_reply(frame, from, address).map(Incoming::ArpReply),
        [8, 0] => segment(frame, address).map(|(flow, segment)| Incoming::Segment(from, flow, segment)),
        _ => None,
    }
}

fn arp_reply(frame: &[u8], from: Mac, address: Ipv4Addr) -> Option<Vec<u8>> {
    let arp = frame.get(ETHERNET..ETHERNET + 28)?;
    if arp[..8] != [0, 1, 8, 0, 6, 4, 0, 1] || arp[24..28] != address.octets() {
        return None;
    }
    let mut reply = ethernet(from, [8, 6]);
    reply.extend([0, 1, 8, 0, 6, 4, 0, 2]);
    reply.extend(OURS);
    reply.extend(address.octets());
    reply.extend(&arp[8..18]);
    Some(reply)
}

fn segment(frame: &Bytes, address: Ipv4Addr) -> Option<(Flow, Segment<Bytes>)> {
    let ip = frame.get(ETHERNET..)?;
    let header_length = usize::from(ip.first()? & 15) * 4;
    let total = usize::from(u16::from_be_bytes([*ip.get(2)?, *ip.get(3)?]));
    let header = ip.get(..header_length).filter(|header| header.len() >= IPV4 && header[0] >> 4 == 4)?;
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
    let ours = header[16..20] == address.octets();
    if fragment || !ours || header[9] != TCP || checksum::finish(checksum::sum(header, 0)) != 0 {
        return None;
    }
    let source = IpAddr::from(<[u8; 4]>::try_from(&header[12..16]).ok()?);
    let transport = ip.get(header_length..total)?;
    let pseudo = checksum::pseudo_header(source, address.into(), TCP, u32::try_from(transport.len()).ok()?);
    // RFC 9293, 3.1 (MUST-3): "the receiver MUST check it".
    if checksum::finish(checksum::sum(transport, pseudo)) != 0 {
        return None;
    }
    let (tcp, length) = Header::parse(transport).ok()?;
    let start = ETHERNET + header_length;
    let text = frame.slice(start + length..start + transport.len());
    let payload = Some(text).filter(|text| !text.is_empty()).into_iter().collect();
    let flow =
        Flow { local: SocketAddr::new(address.into(), tcp.dst_port), remote: SocketAddr::new(source, tcp.src_port) };
    Some((flow, Segment { header: tcp, payload, ecn: Ecn::from_bits(header[1]) }))
}

fn ethernet(to: Mac, kind: [u8; 2]) -> Vec<u8> {
    [&to[..], &OURS, &kind].concat()
}

/// A frame with that segment.
pub(crate) fn build(to: Mac, flow: &Flow, ecn: Ecn, header: &Header, payload: &[Bytes]) -> Vec<u8> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (flow.local.ip(), flow.remote.ip()) else {
        unreachable!("only IPv4 came in")
    };
    let text: usize = payload.iter().map(Bytes::len).sum();
    let length = u16::try_from(IPV4 + header.len() + text).expect("no more than the segment size");
    let mut frame = ethernet(to, [8, 0]);
    frame.extend([0x45, ecn.bits()]);
    frame.extend(length.to_be_bytes());
    // Don't fragment; time to live 64.
    frame.extend([0, 0, 0x40, 0, 64, TCP, 0, 0]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    let sum = checksum::finish(checksum::sum(&frame[ETHERNET..], 0));
    frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&sum.to_be_bytes());
    let start = frame.len();
    frame.resize(start + header.len(), 0);
    header.emit(&mut frame[start..]);
    for piece in payload {
        frame.extend_from_slice(piece);
    }
    let transport = u32::try_from(frame.len() - start).expect("fits, as above");
    let pseudo = checksum::pseudo_header(source.into(), destination.into(), TCP, transport);
    let sum = checksum::finish(checksum::sum(&frame[start..], pseudo));
    frame[start + 16..start + 18].copy_from_slice(&sum.to_be_bytes());
    frame
}
