//! A flow's first packet: as the frame that Linux gets, as the flow that Limpid decides about, and as what is read on the
//! other side.
//!
//! Sums are right, for tracking looks at them. A payload ends in the packet's number, by which it is known again whatever
//! has become of its addresses.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use control::policy::{Cast, ICMP, ICMPV6, Moment, NatKind, NatRange, TCP, UDP};
use control::{InterfaceId, NewFlow, PacketFacts};

/// The gateway's devices.
pub(crate) const DEVICES: [&str; 2] = ["a", "b"];
/// The stations that the gateway's devices are.
pub(crate) const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0x0a], [2, 0, 0, 0, 0, 0x0b]];
/// What stands before a packet's number.
const MAGIC: [u8; 4] = *b"no. ";

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) id: u32,
    pub(crate) interface: u16,
    pub(crate) protocol: u8,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) flags: u8,
    /// Kinds of TCP options.
    pub(crate) options: Vec<u8>,
    pub(crate) icmp: (u8, u8),
    pub(crate) ttl: u8,
    pub(crate) mac: [u8; 6],
    /// Bytes before its number.
    pub(crate) padding: usize,
}

/// A packet that left, or how it may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) interface: u16,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// Where a range of source ports is to be chosen from.
    pub(crate) ports: Option<(u16, u16)>,
}

impl Packet {
    fn v4(&self) -> bool {
        self.source.is_ipv4()
    }

    fn cast(&self) -> Cast {
        match self.destination.ip() {
            IpAddr::V4(to) if to.is_broadcast() || to.octets()[..2] == [10, 0] && to.octets()[3] == 255 => {
                Cast::Broadcast
            }
            to if to.is_multicast() => Cast::Multicast,
            _ => Cast::Unicast,
        }
    }

    /// As Limpid sees it, so many microseconds after the first.
    pub(crate) fn flow(&self, micros: u64) -> NewFlow {
        let icmp = matches!(self.protocol, ICMP | ICMPV6);
        NewFlow {
            interface: InterfaceId(self.interface),
            protocol: self.protocol,
            source: self.source,
            destination: self.destination,
            packet: PacketFacts {
                tcp_flags: self.flags,
                tcp_options: self.options.iter().fold(0, |bits, kind| bits | 1 << kind),
                icmp: icmp.then_some(self.icmp),
                length: self.length() as u16,
                ttl: self.ttl,
                source_mac: Some(self.mac),
                cast: self.cast(),
                at: Moment { micros, ..Moment::default() },
                ..PacketFacts::default()
            },
        }
    }

    fn length(&self) -> usize {
        if self.v4() { 20 + self.payload().len() } else { 40 + self.payload().len() }
    }

    /// As Linux gets it.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let to = match (self.cast(), self.destination.ip()) {
            (Cast::Unicast, _) => MACS[usize::from(self.interface)],
            (Cast::Broadcast, _) => [0xff; 6],
            (Cast::Multicast, IpAddr::V4(to)) => {
                let [_, b, c, d] = to.octets();
                [1, 0, 0x5e, b & 0x7f, c, d]
            }
            (Cast::Multicast, IpAddr::V6(to)) => {
                let octets = to.octets();
                [0x33, 0x33, octets[12], octets[13], octets[14], octets[15]]
            }
        };
        let kind: u16 = if self.v4() { 0x0800 } else { 0x86dd };
        [&to[..], &self.mac, &kind.to_be_bytes(), &self.header(), &self.summed()].concat()
    }

    fn header(&self) -> Vec<u8> {
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let length = (self.length() as u16).to_be_bytes();
                let id = (self.id as u16).to_be_bytes();
                let mut header = [&[0x45, 0], &length[..], &id, &[0, 0, self.ttl, self.protocol, 0, 0]].concat();
                header.extend(from.octets());
                header.extend(to.octets());
                let sum = checksum(&[&header]);
                header[10..12].copy_from_slice(&sum);
                header
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let length = (self.payload().len() as u16).to_be_bytes();
                let start = [&[0x60, 0, 0, 0], &length[..], &[self.protocol, self.ttl]].concat();
                [&start[..], &from.octets(), &to.octets()].concat()
            }
            _ => unreachable!("both ends are of one family"),
        }
    }

    /// What is behind the IP header, its sum still zero.
    fn payload(&self) -> Vec<u8> {
        let (from, to) = (self.source.port().to_be_bytes(), self.destination.port().to_be_bytes());
        let mut bytes = match self.protocol {
            TCP => {
                let options = self.encoded_options();
                let offset = (5 + options.len() as u8 / 4) << 4;
                let rest = [offset, self.flags, 0x40, 0, 0, 0, 0, 0];
                [&from[..], &to, &self.id.to_be_bytes(), &[0; 4], &rest, &options].concat()
            }
            UDP => {
                let length = (8 + self.padding + 8) as u16;
                [&from[..], &to, &length.to_be_bytes(), &[0, 0]].concat()
            }
            ICMP | ICMPV6 => [&[self.icmp.0, self.icmp.1, 0, 0], &from[..], &[0, 1]].concat(),
            // A GRE header without options, of IPv4; for the others it is only bytes.
            _ => vec![0, 0, 8, 0],
        };
        bytes.resize(bytes.len() + self.padding, 0xaa);
        bytes.extend(MAGIC);
        bytes.extend(self.id.to_be_bytes());
        bytes
    }

    fn encoded_options(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for kind in &self.options {
            match kind {
                2 => bytes.extend([2, 4, 5, 0xb4]),
                3 => bytes.extend([3, 3, 7]),
                4 => bytes.extend([4, 2]),
                8 => bytes.extend([8, 10, 0, 0, 0, 1, 0, 0, 0, 0]),
                kind => bytes.extend([*kind, 4, 0, 0]),
            }
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn summed(&self) -> Vec<u8> {
        let mut payload = self.payload();
        let at = match self.protocol {
            TCP => 16,
            UDP => 6,
            ICMP | ICMPV6 => 2,
            _ => return payload,
        };
        let length = (payload.len() as u32).to_be_bytes();
        let sum = match (self.source.ip(), self.destination.ip()) {
            _ if self.protocol == ICMP => checksum(&[&payload]),
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                checksum(&[&from.octets(), &to.octets(), &length, &[0, self.protocol], &payload])
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                checksum(&[&from.octets(), &to.octets(), &length, &[0, self.protocol], &payload])
            }
            _ => unreachable!("both ends are of one family"),
        };
        payload[at..at + 2].copy_from_slice(&sum);
        payload
    }
}

/// RFC 1071; all pieces but the last are of even length.
fn checksum(pieces: &[&[u8]]) -> [u8; 2] {
    let pairs = pieces.iter().flat_map(|piece| piece.chunks(2));
    let mut sum: u32 = pairs.map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

impl Left {
    /// What a frame on the other side is: which packet, from where to where. None: it is none of ours.
    pub(crate) fn read(interface: u16, frame: &[u8]) -> Option<(u32, Left)> {
        let (packet, number) = frame.split_at_checked(frame.len().checked_sub(8)?)?;
        let id = number.strip_prefix(&MAGIC)?;
        let ip = packet.get(14..)?;
        let (protocol, from, to, payload) = match packet.get(12..14)? {
            [0x08, 0x00] => {
                let address = |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?));
                (*ip.get(9)?, address(12)?, address(16)?, ip.get(20..)?)
            }
            _ => {
                let address = |at: usize| Some(IpAddr::from(<[u8; 16]>::try_from(ip.get(at..at + 16)?).ok()?));
                (*ip.get(6)?, address(8)?, address(24)?, ip.get(40..)?)
            }
        };
        let port = |at: usize| Some(u16::from_be_bytes(payload.get(at..at + 2)?.try_into().ok()?));
        let (source, destination) = match protocol {
            TCP | UDP => (port(0)?, port(2)?),
            ICMP | ICMPV6 => (port(4)?, 0),
            _ => (0, 0),
        };
        let (source, destination) = (SocketAddr::new(from, source), SocketAddr::new(to, destination));
        Some((u32::from_be_bytes(id.try_into().ok()?), Left { interface, source, destination, ports: None }))
    }

    /// Whether what Linux chose is what this may be.
    pub(crate) fn allows(&self, linux: &Left) -> bool {
        let mut like = Left { ports: None, ..*self };
        if self.ports.is_some_and(|(first, last)| (first..=last).contains(&linux.source.port())) {
            like.source.set_port(linux.source.port());
        }
        like == *linux
    }

    /// With a source translated: where a port is to be chosen from several, Linux begins anywhere.
    pub(crate) fn from(mut self, range: NatRange, protocol: u8) -> Left {
        let ported = matches!(protocol, TCP | UDP);
        let own = self.source.port();
        self.source = translated(self.source, range, ported);
        if ported && range.kind != NatKind::Dnat {
            let drawn = range.random || range.random_fully;
            self.ports = range.ports.filter(|(first, last)| drawn || !(*first..=*last).contains(&own));
        }
        self
    }

    /// With a destination translated.
    pub(crate) fn to(mut self, range: NatRange, protocol: u8) -> Left {
        self.destination = translated(self.destination, range, matches!(protocol, TCP | UDP));
        self
    }
}

fn translated(end: SocketAddr, range: NatRange, ported: bool) -> SocketAddr {
    let port = if ported { range.port(end.port()) } else { end.port() };
    SocketAddr::new(range.address().unwrap_or(end.ip()), port)
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Packet { id, interface, protocol, source, destination, .. } = self;
        write!(f, "{id} {} {protocol} {source} {destination}", DEVICES[usize::from(*interface)])?;
        write!(f, " flags {:#x} options {:?} icmp {:?}", self.flags, self.options, self.icmp)?;
        write!(f, " ttl {} mac {:x?} length {}", self.ttl, self.mac, self.length())
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {} by {}", self.source, self.destination, DEVICES[usize::from(self.interface)])
    }
}
