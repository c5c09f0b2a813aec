//! Frames as the hosts of the simulator read and write them.
//!
//! On purpose not the gateway's own packet code: what the gateway writes is read here by somebody else, who checks
//! every length and checksum. No fragments, no IPv4 options, no IPv6 extension headers: nobody in the simulator's
//! networks sends them, and a gateway that does is told so by a [`Fault`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// Everybody on the cable.
pub const BROADCAST: Mac = [0xff; 6];

/// Protocol numbers.
pub const ICMP: u8 = 1;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// ICMPv6.
pub const ICMPV6: u8 = 58;

/// Ethernet pads to this length, without the frame check sequence.
const FRAME_MIN: usize = 60;

/// Why a frame is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Shorter than its headers say.
    Short,
    /// A sum is wrong.
    Checksum,
    /// A part that nobody here sends.
    Unexpected,
}

/// The Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// To whom.
    pub destination: Mac,
    /// From whom.
    pub source: Mac,
    /// 802.1Q tag.
    pub vlan: Option<u16>,
}

/// What is in a frame.
#[derive(Clone, Debug)]
pub enum Network {
    /// Address resolution of IPv4.
    Arp(Arp),
    /// A packet of either family.
    Ip(Ip),
    /// Neither.
    Other(u16),
}

/// An ARP message.
#[derive(Clone, Copy, Debug)]
pub struct Arp {
    /// A question, or an answer.
    pub request: bool,
    /// Who says so.
    pub sender_mac: Mac,
    /// Its address.
    pub sender: Ipv4Addr,
    /// Who is meant.
    pub target_mac: Mac,
    /// Its address.
    pub target: Ipv4Addr,
}

/// An IP packet.
#[derive(Clone, Debug)]
pub struct Ip {
    /// From.
    pub source: IpAddr,
    /// To.
    pub destination: IpAddr,
    /// What is in it.
    pub protocol: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// After the header; padding is cut.
    pub payload: Bytes,
}

/// Reads a frame and checks all its sums.
///
/// # Errors
/// What is wrong with it.
pub fn parse(frame: &Bytes) -> Result<(Link, Network), Fault> {
    let mut link = Link { destination: array(frame, 0)?, source: array(frame, 6)?, vlan: None };
    let mut at = 12;
    let mut ethertype = u16_at(frame, at)?;
    if ethertype == 0x8100 {
        link.vlan = Some(u16_at(frame, at + 2)? & 0xfff);
        at += 4;
        ethertype = u16_at(frame, at)?;
    }
    let packet = frame.slice(at + 2..);
    let network = match ethertype {
        0x0806 => Network::Arp(parse_arp(&packet)?),
        0x0800 => Network::Ip(parse_ipv4(&packet)?),
        0x86dd => Network::Ip(parse_ipv6(&packet)?),
        other => Network::Other(other),
    };
    if let Network::Ip(ip) = &network {
        check_sum(ip)?;
    }
    Ok((link, network))
}

fn parse_arp(packet: &Bytes) -> Result<Arp, Fault> {
    if array::<6>(packet, 0)? != [0, 1, 8, 0, 6, 4] {
        return Err(Fault::Unexpected);
    }
    Ok(Arp {
        request: u16_at(packet, 6)? == 1,
        sender_mac: array(packet, 8)?,
        sender: array::<4>(packet, 14)?.into(),
        target_mac: array(packet, 18)?,
        target: array::<4>(packet, 24)?.into(),
    })
}

fn parse_ipv4(packet: &Bytes) -> Result<Ip, Fault> {
    let head = array::<20>(packet, 0)?;
    let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if head[0] != 0x45 || head[6] & 0x3f != 0 || head[7] != 0 {
        return Err(Fault::Unexpected);
    }
    if total < 20 || packet.len() < total {
        return Err(Fault::Short);
    }
    if sum(&[&head]) != 0 {
        return Err(Fault::Checksum);
    }
    Ok(Ip {
        source: IpAddr::from(array::<4>(packet, 12)?),
        destination: IpAddr::from(array::<4>(packet, 16)?),
        protocol: head[9],
        ttl: head[8],
        tos: head[1],
        payload: packet.slice(20..total),
    })
}

fn parse_ipv6(packet: &Bytes) -> Result<Ip, Fault> {
    let head = array::<40>(packet, 0)?;
    let total = 40 + usize::from(u16::from_be_bytes([head[4], head[5]]));
    if head[0] >> 4 != 6 {
        return Err(Fault::Unexpected);
    }
    if packet.len() < total {
        return Err(Fault::Short);
    }
    Ok(Ip {
        source: IpAddr::from(array::<16>(packet, 8)?),
        destination: IpAddr::from(array::<16>(packet, 24)?),
        protocol: head[6],
        ttl: head[7],
        tos: head[0] << 4 | head[1] >> 4,
        payload: packet.slice(40..total),
    })
}

/// Checks the sum of what an IP packet carries.
fn check_sum(ip: &Ip) -> Result<(), Fault> {
    let right = match ip.protocol {
        TCP | ICMPV6 => sum(&[&pseudo(ip), &ip.payload]) == 0,
        UDP => u16_at(&ip.payload, 6)? == 0 || sum(&[&pseudo(ip), &ip.payload]) == 0,
        ICMP => sum(&[&ip.payload]) == 0,
        _ => true,
    };
    if right { Ok(()) } else { Err(Fault::Checksum) }
}

/// Writes an ARP message.
#[must_use]
pub fn arp(link: &Link, arp: &Arp) -> Bytes {
    let mut out = ethernet(link, 0x0806);
    out.extend([0, 1, 8, 0, 6, 4, 0, if arp.request { 1 } else { 2 }]);
    out.extend(arp.sender_mac);
    out.extend(arp.sender.octets());
    out.extend(arp.target_mac);
    out.extend(arp.target.octets());
    padded(out)
}

/// Writes an IP packet and fills in all sums; the payload's own sum field must be zero.
#[must_use]
pub fn ip(link: &Link, ip: &Ip) -> Bytes {
    let mut out = match (ip.source, ip.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut out = ethernet(link, 0x0800);
            out.extend(ipv4_header(ip, source, destination));
            out
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut out = ethernet(link, 0x86dd);
            out.extend([0x60 | ip.tos >> 4, ip.tos << 4, 0, 0]);
            out.extend((ip.payload.len() as u16).to_be_bytes());
            out.extend([ip.protocol, ip.ttl]);
            out.extend(source.octets());
            out.extend(destination.octets());
            out
        }
        _ => panic!("{} and {} are of two families", ip.source, ip.destination),
    };
    let start = out.len();
    out.extend_from_slice(&ip.payload);
    fill_sum(ip, &mut out[start..]);
    padded(out)
}

/// Says the pseudo header's sum of `ip` over its payload, into the payload's place for it.
fn fill_sum(ip: &Ip, payload: &mut [u8]) {
    let (at, value) = match ip.protocol {
        TCP => (16, sum(&[&pseudo(ip), payload])),
        UDP => (6, sum(&[&pseudo(ip), payload])),
        ICMPV6 => (2, sum(&[&pseudo(ip), payload])),
        ICMP => (2, sum(&[payload])),
        _ => return,
    };
    // RFC 768: "If the computed checksum is zero, it is transmitted as all ones".
    let value = if ip.protocol == UDP && value == 0 { 0xffff } else { value };
    if let Some(place) = payload.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

fn ipv4_header(ip: &Ip, source: Ipv4Addr, destination: Ipv4Addr) -> [u8; 20] {
    let mut head = [0; 20];
    head[..2].copy_from_slice(&[0x45, ip.tos]);
    head[2..4].copy_from_slice(&(ip.payload.len() as u16 + 20).to_be_bytes());
    head[6] = 0x40; // DF: nobody in the simulator fragments
    head[8..10].copy_from_slice(&[ip.ttl, ip.protocol]);
    head[12..16].copy_from_slice(&source.octets());
    head[16..].copy_from_slice(&destination.octets());
    let value = sum(&[&head]);
    head[10..12].copy_from_slice(&value.to_be_bytes());
    head
}

fn ethernet(link: &Link, ethertype: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(1600);
    out.extend(link.destination);
    out.extend(link.source);
    if let Some(vlan) = link.vlan {
        out.extend([0x81, 0x00]);
        out.extend(vlan.to_be_bytes());
    }
    out.extend(ethertype.to_be_bytes());
    out
}

fn padded(mut out: Vec<u8>) -> Bytes {
    out.resize(out.len().max(FRAME_MIN), 0);
    out.into()
}

/// The Internet checksum over the parts put together (RFC 1071); only the last may be of odd length.
#[must_use]
pub fn sum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let total: u64 = words.map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |low| u64::from(*low))).sum();
    let mut total = total;
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}

fn pseudo(ip: &Ip) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    for address in [ip.source, ip.destination] {
        match address {
            IpAddr::V4(address) => out.extend(address.octets()),
            IpAddr::V6(address) => out.extend(address.octets()),
        }
    }
    out.extend((ip.payload.len() as u32).to_be_bytes());
    out.extend([0, 0, 0, ip.protocol]);
    out
}

/// The multicast address that a neighbour solicitation for `target` goes to (RFC 4291, 2.7.1).
#[must_use]
pub fn solicited_node(target: Ipv6Addr) -> (Ipv6Addr, Mac) {
    let low = &target.octets()[13..];
    let mut address = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
    address[13..].copy_from_slice(low);
    (address.into(), [0x33, 0x33, 0xff, low[0], low[1], low[2]])
}

/// The bytes at `at`.
///
/// # Errors
/// [`Fault::Short`]
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Fault> {
    bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).ok_or(Fault::Short)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Fault> {
    array(bytes, at).map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests;
