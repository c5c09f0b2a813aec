//! Frames for tests: a buffer that counts its segments, and packets built by another's encoder.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use bytes::Bytes;
use etherparse::PacketBuilder;

use super::MacAddress;
use crate::nic::{Frame, Full, RxChecksum, TxOffload};

pub(crate) const HOST: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x0a]);
pub(crate) const GATE: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x01]);

pub(crate) const HOST_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);
pub(crate) const GATE_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
pub(crate) const FAR_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
pub(crate) const HOST_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x10);
pub(crate) const GATE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 1);
pub(crate) const FAR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);

/// A pair of one family, from the host to far away.
pub(crate) fn pair(v6: bool) -> (IpAddr, IpAddr) {
    if v6 { (HOST_V6.into(), FAR_V6.into()) } else { (HOST_V4.into(), FAR_V4.into()) }
}

/// A frame in memory whose first segment and whole have limits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestFrame {
    pub(crate) bytes: Vec<u8>,
    pub(crate) offload: Option<TxOffload>,
    pub(crate) segment_max: usize,
    pub(crate) len_max: usize,
}

impl TestFrame {
    pub(crate) fn new() -> Self {
        Self::with_limits(2048, 2048)
    }

    pub(crate) fn with_limits(segment_max: usize, len_max: usize) -> Self {
        Self { bytes: Vec::new(), offload: None, segment_max, len_max }
    }
}

impl Frame for TestFrame {
    type Slice = Bytes;

    fn data(&self) -> &[u8] {
        &self.bytes[..self.bytes.len().min(self.segment_max)]
    }

    fn data_mut(&mut self) -> &mut [u8] {
        let end = self.bytes.len().min(self.segment_max);
        &mut self.bytes[..end]
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if self.bytes.len() + bytes.len() > self.len_max {
            return Err(Full);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    fn exchange_head(&mut self, old: usize, new: usize) -> Result<(), Full> {
        if old > self.data().len() || self.bytes.len() - old + new > self.len_max {
            return Err(Full);
        }
        self.bytes.splice(..old, std::iter::repeat_n(0, new));
        Ok(())
    }

    fn ip_checksum(&self) -> RxChecksum {
        RxChecksum::Unknown
    }

    fn l4_checksum(&self) -> RxChecksum {
        RxChecksum::Unknown
    }

    fn stripped_vlan(&self) -> Option<u16> {
        None
    }

    fn set_offload(&mut self, offload: TxOffload) {
        self.offload = Some(offload);
    }

    fn into_slice(self, range: Range<usize>) -> Bytes {
        Bytes::from(self.bytes).slice(range)
    }
}

/// A frame from the host to the gateway with a SYN and some data, built by etherparse.
pub(crate) fn tcp_frame(v6: bool, payload: &[u8]) -> Vec<u8> {
    let link = PacketBuilder::ethernet2(HOST.0, GATE.0);
    let ip = if v6 {
        link.ipv6(HOST_V6.octets(), FAR_V6.octets(), 61)
    } else {
        link.ipv4(HOST_V4.octets(), FAR_V4.octets(), 61)
    };
    let mut bytes = Vec::new();
    ip.tcp(40000, 80, 0x0102_0304, 512).syn().write(&mut bytes, payload).expect("a vector takes all");
    bytes
}

/// The same with a UDP datagram.
pub(crate) fn udp_frame(v6: bool, payload: &[u8]) -> Vec<u8> {
    let link = PacketBuilder::ethernet2(HOST.0, GATE.0);
    let ip = if v6 {
        link.ipv6(HOST_V6.octets(), FAR_V6.octets(), 61)
    } else {
        link.ipv4(HOST_V4.octets(), FAR_V4.octets(), 61)
    };
    let mut bytes = Vec::new();
    ip.udp(40000, 53).write(&mut bytes, payload).expect("a vector takes all");
    bytes
}

/// The same with an echo request.
pub(crate) fn echo_frame(v6: bool, payload: &[u8]) -> Vec<u8> {
    let link = PacketBuilder::ethernet2(HOST.0, GATE.0);
    let mut bytes = Vec::new();
    if v6 {
        let ip = link.ipv6(HOST_V6.octets(), GATE_V6.octets(), 64);
        ip.icmpv6_echo_request(77, 3).write(&mut bytes, payload).expect("a vector takes all");
    } else {
        let ip = link.ipv4(HOST_V4.octets(), GATE_V4.octets(), 64);
        ip.icmpv4_echo_request(77, 3).write(&mut bytes, payload).expect("a vector takes all");
    }
    bytes
}

/// Writes the IPv4 header checksum of an untagged frame anew.
pub(crate) fn fix_ipv4(frame: &mut [u8]) {
    let end = (14 + usize::from(frame[14] & 0x0f) * 4).min(frame.len());
    frame[24..26].fill(0);
    let sum = tcp::checksum::finish(tcp::checksum::sum(&frame[14..end], 0));
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

/// Writes the checksum at `field` of the upper layer that begins at `start` of an untagged frame anew; `protocol`: with
/// a pseudo header.
pub(crate) fn fix_upper(frame: &mut [u8], start: usize, field: usize, protocol: Option<u8>) {
    let v6 = frame[14] >> 4 == 6;
    let address = |at: usize| -> IpAddr {
        if v6 {
            <[u8; 16]>::try_from(&frame[at..at + 16]).expect("16 bytes").into()
        } else {
            <[u8; 4]>::try_from(&frame[at..at + 4]).expect("4 bytes").into()
        }
    };
    let (source, destination) = if v6 { (address(22), address(38)) } else { (address(26), address(30)) };
    let len = (frame.len() - start) as u32;
    let pseudo = protocol.map_or(0, |p| tcp::checksum::pseudo_header(source, destination, p, len));
    frame[start + field..start + field + 2].fill(0);
    let sum = tcp::checksum::finish(tcp::checksum::sum(&frame[start..], pseudo));
    frame[start + field..start + field + 2].copy_from_slice(&sum.to_be_bytes());
}
