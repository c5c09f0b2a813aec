//! Packets: read once from the bytes of a frame, written once into one.
//!
//! [`parse`] looks at every header a frame has, checks it, and says where things are; nobody downstream reads header
//! bytes again. If a [`Packet`] exists, its ranges lie within the frame, its lengths fit each other, its checksums were
//! good and its addresses can be on a wire. Whatever fails has a name in [`Malformed`]. [`emit`] is the way back.
//!
//! Left to others, because a frame alone cannot tell: whether the station address is ours, whether an address is a
//! subnet's broadcast (`route`), and reassembly: any fragment is handed out unopened, as [`Transport::Other`].

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use crate::nic::{Frame, RxChecksum};

pub mod arp;
mod checksum;
pub mod emit;
pub mod ethernet;
pub mod fragment;
pub mod icmp;
mod ipv4;
mod ipv6;
mod malformed;
pub mod ndp;
#[cfg(test)]
pub(crate) mod testing;
mod udp;

pub use arp::Arp;
pub use ethernet::{Link, MacAddress};
pub use malformed::Malformed;

/// IP protocol number.
pub const PROTOCOL_ICMP: u8 = 1;
/// IP protocol number.
pub const PROTOCOL_TCP: u8 = 6;
/// IP protocol number.
pub const PROTOCOL_UDP: u8 = 17;
/// IP protocol number.
pub const PROTOCOL_ICMPV6: u8 = 58;

/// What the device has said about a frame already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxChecks {
    /// The IPv4 header checksum was looked at and good; else it is looked at here.
    pub ip_checksum_good: bool,
    /// The TCP or UDP checksum was looked at and good; else it is looked at here.
    pub l4_checksum_good: bool,
    /// The VLAN tag that the device took off.
    pub vlan: Option<u16>,
}

impl RxChecks {
    /// What the device said of this frame. A checksum it calls bad is checked again: some call a UDP datagram without
    /// checksum bad.
    pub fn of<F: Frame>(frame: &F) -> Self {
        Self {
            ip_checksum_good: frame.ip_checksum() == RxChecksum::Good,
            l4_checksum_good: frame.l4_checksum() == RxChecksum::Good,
            vlan: frame.stripped_vlan(),
        }
    }
}

/// A frame that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its link layer.
    pub link: Link,
    /// What that carries.
    pub network: Network,
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// Address resolution.
    Arp(Arp),
    /// IPv4 or IPv6.
    Ip(Ip),
    /// An ethertype we do not speak.
    Other,
}

/// An IP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Who sent it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// The upper layer's protocol; in IPv6 that behind the extension headers.
    pub protocol: u8,
    /// Hops it may still go.
    pub ttl: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// IPv6 flow label; 0 in IPv4.
    pub flow_label: u32,
    /// May routers not cut it? Always so in IPv6.
    pub dont_fragment: bool,
    /// Which part of a datagram it is; `None`: the whole.
    pub fragment: Option<Fragment>,
    /// The IP header with its options or extension headers, in the frame.
    pub header: Range<usize>,
    /// What follows it, to the datagram's end; the frame's padding is cut off.
    pub transport: Range<usize>,
    /// What that is.
    pub kind: Transport,
}

/// A part of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Where in the datagram it goes, bytes.
    pub offset: u16,
    /// Is it not the last?
    pub more: bool,
    /// Which datagram.
    pub identification: u32,
}

/// What an IP packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A TCP segment.
    Tcp {
        /// Its header.
        header: tcp::Header,
        /// Its payload, in the frame.
        payload: Range<usize>,
    },
    /// A UDP datagram.
    Udp {
        /// Its port.
        source_port: u16,
        /// Its port.
        destination_port: u16,
        /// Its payload, in the frame.
        payload: Range<usize>,
    },
    /// ICMP in IPv4, ICMPv6 in IPv6.
    Icmp(icmp::Message),
    /// Another protocol, or a fragment.
    Other,
}

impl Ip {
    /// Who sent it, with the port, or an echo's identifier; 0 where there is none.
    pub fn source_socket(&self) -> SocketAddr {
        SocketAddr::new(self.source, self.ports().0)
    }

    /// To whom, with the port, or an echo's identifier; 0 where there is none.
    pub fn destination_socket(&self) -> SocketAddr {
        SocketAddr::new(self.destination, self.ports().1)
    }

    /// The whole of it in the frame.
    pub fn datagram(&self) -> Range<usize> {
        self.header.start..self.transport.end
    }

    fn ports(&self) -> (u16, u16) {
        match &self.kind {
            Transport::Tcp { header, .. } => (header.src_port, header.dst_port),
            Transport::Udp { source_port, destination_port, .. } => (*source_port, *destination_port),
            Transport::Icmp(icmp::Message::EchoRequest(echo) | icmp::Message::EchoReply(echo)) => {
                (echo.identifier, echo.identifier)
            }
            Transport::Icmp(_) | Transport::Other => (0, 0),
        }
    }
}

impl Fragment {
    /// Is it the one that has the upper layer's header?
    pub fn is_first(self) -> bool {
        self.offset == 0
    }

    /// Can a datagram be put together with this part of `len` bytes in it?
    fn check(self, len: usize) -> Result<(), Malformed> {
        if self.more && !len.is_multiple_of(8) {
            return Err(Malformed::FragmentLength);
        }
        if usize::from(self.offset) + len > ipv4::PACKET_MAX {
            return Err(Malformed::FragmentOverrun);
        }
        Ok(())
    }
}

/// Reads a frame.
///
/// # Errors
/// Why it is no packet, or none that can be on this wire.
pub fn parse(bytes: &[u8], rx: RxChecks) -> Result<Packet, Malformed> {
    let link = ethernet::parse(bytes, rx.vlan)?;
    let network = match link.ethertype {
        ethernet::ARP => Network::Arp(Arp::parse(&bytes[link.len..])?),
        ethernet::IPV4 => Network::Ip(parse_ipv4(bytes, &link, rx)?),
        ethernet::IPV6 => Network::Ip(parse_ipv6(bytes, &link, rx)?),
        _ => Network::Other,
    };
    Ok(Packet { link, network })
}

fn parse_ipv4(bytes: &[u8], link: &Link, rx: RxChecks) -> Result<Ip, Malformed> {
    let (header, range, transport) = ipv4::parse(bytes, link.len, rx.ip_checksum_good)?;
    check_addresses_v4(header)?;
    let mut ip = Ip {
        source: header.source().into(),
        destination: header.destination().into(),
        protocol: header.protocol,
        ttl: header.ttl,
        tos: header.tos,
        flow_label: 0,
        dont_fragment: header.dont_fragment(),
        fragment: header.fragment(),
        header: range,
        transport,
        kind: Transport::Other,
    };
    ip.kind = parse_transport(bytes, link, &ip, rx)?;
    Ok(ip)
}

fn parse_ipv6(bytes: &[u8], link: &Link, rx: RxChecks) -> Result<Ip, Malformed> {
    let (header, upper, transport) = ipv6::parse(bytes, link.len)?;
    check_addresses_v6(header, upper.protocol)?;
    let mut ip = Ip {
        source: header.source().into(),
        destination: header.destination().into(),
        protocol: upper.protocol,
        ttl: header.hop_limit,
        tos: header.traffic_class(),
        flow_label: header.flow_label(),
        dont_fragment: true,
        fragment: upper.fragment,
        header: link.len..transport.start,
        transport,
        kind: Transport::Other,
    };
    ip.kind = parse_transport(bytes, link, &ip, rx)?;
    Ok(ip)
}

fn check_addresses_v4(header: &ipv4::Header) -> Result<(), Malformed> {
    let (source, destination) = (header.source(), header.destination());
    // RFC 1812 5.3.7: "A router SHOULD NOT forward any packet that has an invalid IP source address or a source address
    // on network 0", nor one from or to network 127 (4.2.2.11).
    if source.is_multicast() {
        return Err(Malformed::SourceMulticast);
    }
    if source.is_broadcast() {
        return Err(Malformed::SourceBroadcast);
    }
    if source.is_loopback() {
        return Err(Malformed::SourceLoopback);
    }
    if source.octets()[0] == 0 {
        return Err(Malformed::SourceUnspecified);
    }
    if destination.is_loopback() {
        return Err(Malformed::DestinationLoopback);
    }
    if destination.octets()[0] == 0 {
        return Err(Malformed::DestinationUnspecified);
    }
    if source == destination { Err(Malformed::Land) } else { Ok(()) }
}

fn check_addresses_v6(header: &ipv6::Header, protocol: u8) -> Result<(), Malformed> {
    let (source, destination) = (header.source(), header.destination());
    // RFC 4291 2.7: "Multicast addresses must not be used as source addresses".
    if source.is_multicast() {
        return Err(Malformed::SourceMulticast);
    }
    // RFC 4291 2.5.3: "An IPv6 packet with a destination address of loopback must never be sent outside of a single
    // node"; the same holds for its source.
    if source.is_loopback() {
        return Err(Malformed::SourceLoopback);
    }
    // Who has no address yet may only probe for it and join the group for that (RFC 4862 5.4, RFC 3810 5.2.13).
    if source.is_unspecified() && !(protocol == PROTOCOL_ICMPV6 && destination.is_multicast()) {
        return Err(Malformed::SourceUnspecified);
    }
    if destination.is_loopback() {
        return Err(Malformed::DestinationLoopback);
    }
    if destination.is_unspecified() {
        return Err(Malformed::DestinationUnspecified);
    }
    // On a wire these would slip past every rule that is written for the IPv4 address in them.
    if source.to_ipv4_mapped().is_some() || destination.to_ipv4_mapped().is_some() {
        return Err(Malformed::MappedAddress);
    }
    if source == destination { Err(Malformed::Land) } else { Ok(()) }
}

fn parse_transport(bytes: &[u8], link: &Link, ip: &Ip, rx: RxChecks) -> Result<Transport, Malformed> {
    // RFC 1812 5.3.4: "A router MUST NOT forward any packet that the router received as a Link Layer broadcast, unless
    // it is directed to an IP Multicast address". An IPv4 packet in a broadcast frame may be for a subnet's broadcast
    // address, which only routes can tell; never so for TCP.
    let broadcast_v4 = ip.source.is_ipv4() && link.destination == MacAddress::BROADCAST;
    if link.destination.is_group() && !is_group(ip.destination) && (!broadcast_v4 || ip.protocol == PROTOCOL_TCP) {
        return Err(Malformed::LinkMulticast);
    }
    if ip.fragment.is_some() {
        return Ok(Transport::Other);
    }
    Ok(match ip.protocol {
        PROTOCOL_TCP => parse_tcp(bytes, ip, rx)?,
        PROTOCOL_UDP => {
            let udp = udp::parse(bytes, ip.transport.clone(), ip.source, ip.destination, rx.l4_checksum_good)?;
            Transport::Udp {
                source_port: udp.source_port,
                destination_port: udp.destination_port,
                payload: udp.payload,
            }
        }
        PROTOCOL_ICMP if ip.source.is_ipv4() => Transport::Icmp(icmp::parse_v4(bytes, ip.transport.clone())?),
        PROTOCOL_ICMPV6 if ip.source.is_ipv6() => {
            Transport::Icmp(icmp::parse_v6(bytes, ip.transport.clone(), ip.source, ip.destination, ip.ttl)?)
        }
        _ => Transport::Other,
    })
}

fn parse_tcp(bytes: &[u8], ip: &Ip, rx: RxChecks) -> Result<Transport, Malformed> {
    const HEADER_LEN: usize = 20;
    let segment = &bytes[ip.transport.clone()];
    if segment.len() < HEADER_LEN {
        return Err(Malformed::TcpTruncated);
    }
    if !rx.l4_checksum_good && !checksum::is_good(segment, ip.source, ip.destination, PROTOCOL_TCP) {
        return Err(Malformed::TcpChecksum);
    }
    let (header, length) = tcp::Header::parse(segment).map_err(|error| match error {
        tcp::ParseError::Truncated => Malformed::TcpTruncated,
        tcp::ParseError::OffsetTooSmall | tcp::ParseError::OffsetTooLarge => Malformed::TcpDataOffset,
    })?;
    if header.src_port == 0 || header.dst_port == 0 {
        return Err(Malformed::TcpPortZero);
    }
    // RFC 1122 4.2.3.10: "A TCP implementation MUST silently discard an incoming SYN segment that is addressed to a
    // broadcast or multicast address"; no other segment can belong there either.
    if is_group(ip.destination) {
        return Err(Malformed::TcpDestination);
    }
    if !flags_are_possible(header.flags) {
        return Err(Malformed::TcpFlags);
    }
    Ok(Transport::Tcp { header, payload: ip.transport.start + length..ip.transport.end })
}

/// What no TCP sends: nothing to do, or opening and closing at once. Scanners do, to see who answers.
fn flags_are_possible(flags: tcp::Flags) -> bool {
    let closes = flags.intersects(tcp::Flags::FIN | tcp::Flags::RST);
    let opens = flags.contains(tcp::Flags::SYN);
    if opens { !closes } else { closes || flags.contains(tcp::Flags::ACK) }
}

/// Is it for more than one host, whatever the subnet?
fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests;
