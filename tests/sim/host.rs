//! An end host: Ethernet, ARP, neighbour discovery, both IP families, ICMP, and TCP by the crate `tcp`.
//!
//! It is whatever its fields say: a client, a server, a whole network behind one cable ([`Host::also`]), a router that
//! calls hosts unreachable ([`Host::unreachable`]), a machine that swallows everything, or raw material for
//! hand-made packets ([`Host::raw`]). [`Host::handle`] takes frames, [`Host::poll`] gives them; the world moves them.
//! Frames that are wrong are counted and dropped: on a cable without faults the count must stay zero.

mod resolve;
pub mod sockets;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use ipnet::IpNet;
use tcp::{Header, IcmpError, IcmpKind, Instant, Segment};

use crate::app::Step;
use crate::frame::{self, Arp, Fault, ICMP, ICMPV6, Ip, Link, Mac, Network, TCP};
use crate::host::resolve::{Neighbours, Resolution};
use crate::host::sockets::{Outgoing, Sockets};
use crate::seed::Random;

/// An ICMP error that a host was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpReceived {
    /// Who says so.
    pub from: IpAddr,
    /// Type and code.
    pub kind: (u8, u8),
    /// Whose packet it was about.
    pub about: (SocketAddr, SocketAddr),
}

/// A machine on a cable.
pub struct Host {
    /// For messages.
    pub name: String,
    /// Its Ethernet address.
    pub mac: Mac,
    /// 802.1Q tag of all its frames.
    pub vlan: Option<u16>,
    /// Largest IP packet it sends or takes.
    pub mtu: u16,
    /// Its addresses, with the networks they are in.
    pub addresses: Vec<IpNet>,
    /// Where packets for other networks go, at most one of each family.
    pub gateways: Vec<IpAddr>,
    /// Networks routed to it, all of whose addresses it answers for as well.
    pub also: Vec<IpNet>,
    /// Networks routed to it whose hosts it says are unreachable.
    pub unreachable: Vec<IpNet>,
    /// Does it answer questions for its Ethernet address?
    pub resolvable: bool,
    /// Keeps all packets in [`Host::inbox`] and answers none (questions for its Ethernet address aside).
    pub raw: bool,
    /// Packets nobody here had a use for, or all of a raw host's.
    pub inbox: VecDeque<(Instant, Ip)>,
    /// ICMP errors.
    pub icmp: Vec<IcmpReceived>,
    /// Echo replies: from whom, and the number in them.
    pub echoes: Vec<(IpAddr, u16)>,
    /// Frames that were wrong.
    pub faults: Vec<Fault>,
    /// Its TCP.
    pub tcp: Sockets,
    neighbours: Neighbours,
    out: VecDeque<Bytes>,
    outgoing: Vec<Outgoing>,
}

impl Host {
    /// A host that has `addresses`, and speaks to other networks through `gateways`.
    #[must_use]
    pub fn new(name: &str, addresses: &[&str], gateways: &[&str], mut random: Random) -> Self {
        let id = random.number().to_be_bytes();
        let net = |text: &&str| text.parse().unwrap_or_else(|_| panic!("{name}: {text} is no ADDRESS/LENGTH"));
        let address = |text: &&str| text.parse().unwrap_or_else(|_| panic!("{name}: {text} is no address"));
        Self {
            name: name.to_owned(),
            mac: [0x02, id[1], id[2], id[3], id[4], id[5]],
            vlan: None,
            mtu: 1500,
            addresses: addresses.iter().map(net).collect(),
            gateways: gateways.iter().map(address).collect(),
            also: Vec::new(),
            unreachable: Vec::new(),
            resolvable: true,
            raw: false,
            inbox: VecDeque::new(),
            icmp: Vec::new(),
            echoes: Vec::new(),
            faults: Vec::new(),
            tcp: Sockets::new(random),
            neighbours: Neighbours::default(),
            out: VecDeque::new(),
            outgoing: Vec::new(),
        }
    }

    /// Its first address of the family that `peer` is of.
    #[must_use]
    pub fn address_towards(&self, peer: IpAddr) -> IpAddr {
        let family = self.addresses.iter().map(IpNet::addr).find(|own| own.is_ipv4() == peer.is_ipv4());
        family.unwrap_or_else(|| panic!("{} has no address of the family of {peer}", self.name))
    }

    /// Opens a connection from a port of its own choice; returns the connection's number.
    pub fn connect(&mut self, now: Instant, remote: SocketAddr, steps: &[Step]) -> usize {
        let local = SocketAddr::new(self.address_towards(remote.ip()), self.tcp.free_port());
        self.connect_from(now, local, remote, steps)
    }

    /// The same from a given address and port.
    pub fn connect_from(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr, steps: &[Step]) -> usize {
        self.tcp.connect(now, local, remote, self.mtu, steps)
    }

    /// Sends an echo request with `number` in it.
    pub fn ping(&mut self, now: Instant, to: IpAddr, number: u16) {
        let source = self.address_towards(to);
        let (protocol, kind) = if to.is_ipv4() { (ICMP, 8) } else { (ICMPV6, 128) };
        let mut payload = vec![kind, 0, 0, 0, 0x12, 0x34];
        payload.extend(number.to_be_bytes());
        payload.extend(b"how are you");
        self.send(now, Ip { source, destination: to, protocol, ttl: 64, tos: 0, payload: payload.into() });
    }

    /// Sends a hand-made TCP segment.
    pub fn send_segment(&mut self, now: Instant, source: IpAddr, destination: IpAddr, header: &Header, data: &[u8]) {
        let mut payload = vec![0; header.len()];
        header.emit(&mut payload);
        payload.extend(data);
        self.send(now, Ip { source, destination, protocol: TCP, ttl: 64, tos: 0, payload: payload.into() });
    }

    /// Sends a packet on its way: to a neighbour, or to the gateway.
    pub fn send(&mut self, now: Instant, packet: Ip) {
        let destination = packet.destination;
        let on_link = self.addresses.iter().any(|net| net.contains(&destination));
        let gateway = self.gateways.iter().copied().find(|gateway| gateway.is_ipv4() == destination.is_ipv4());
        let Some(next) = (if on_link { Some(destination) } else { gateway }) else { return };
        match self.neighbours.resolve(now, next, packet) {
            Resolution::Known(mac, packet) => self.send_to(mac, &packet),
            Resolution::Ask => self.ask(next),
            Resolution::Waits => {}
        }
    }

    /// Puts a frame on the cable as it is.
    pub fn send_frame(&mut self, frame: Bytes) {
        self.out.push_back(frame);
    }

    /// Takes a frame off the cable.
    pub fn handle(&mut self, now: Instant, frame: &Bytes) {
        let (link, network) = match frame::parse(frame) {
            Ok(parsed) => parsed,
            Err(fault) => return self.faults.push(fault),
        };
        let group = link.destination[0] & 1 == 1;
        if link.vlan != self.vlan || (link.destination != self.mac && !group) {
            return;
        }
        match network {
            Network::Arp(arp) => self.handle_arp(now, &arp),
            Network::Ip(ip) if ip.protocol == ICMPV6 && matches!(ip.payload[0], 135 | 136) => {
                self.handle_neighbour(now, &link, &ip);
            }
            Network::Ip(ip) if !group => self.handle_ip(now, ip),
            Network::Ip(_) | Network::Other(_) => {}
        }
    }

    /// When [`Host::poll`] is to be called although nothing happened.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if !self.out.is_empty() {
            return Some(Instant::ZERO);
        }
        [self.tcp.deadline(), self.neighbours.deadline()].into_iter().flatten().min()
    }

    /// Runs what is due and gives one frame to be sent, until there is none.
    pub fn poll(&mut self, now: Instant) -> Option<Bytes> {
        if self.out.is_empty() {
            for address in self.neighbours.overdue(now) {
                self.ask(address);
            }
            let mut outgoing = std::mem::take(&mut self.outgoing);
            self.tcp.poll(now, &mut outgoing);
            for segment in outgoing.drain(..) {
                let payload: Vec<u8> = segment.payload.concat();
                self.send_segment(now, segment.source.ip(), segment.destination.ip(), &segment.header, &payload);
            }
            self.outgoing = outgoing;
        }
        self.out.pop_front()
    }

    fn is_own(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.addr() == address) || self.also.iter().any(|net| net.contains(&address))
    }

    fn handle_arp(&mut self, now: Instant, arp: &Arp) {
        let asked = self.addresses.iter().any(|own| own.addr() == IpAddr::V4(arp.target));
        if !arp.request && arp.target_mac == self.mac {
            self.learn(now, arp.sender.into(), arp.sender_mac);
        } else if arp.request && asked && self.resolvable {
            let link = self.link(arp.sender_mac);
            let (sender_mac, sender) = (self.mac, arp.target);
            let answer = Arp { request: false, sender_mac, sender, target_mac: arp.sender_mac, target: arp.sender };
            self.out.push_back(frame::arp(&link, &answer));
        }
    }

    /// Neighbour solicitations and advertisements (RFC 4861, 4.3 and 4.4).
    fn handle_neighbour(&mut self, now: Instant, link: &Link, ip: &Ip) {
        let Ok(target) = frame::array::<16>(&ip.payload, 8) else { return self.faults.push(Fault::Short) };
        let target = IpAddr::from(target);
        // RFC 4861, 7.1.1: "The IP Hop Limit field has a value of 255".
        if ip.ttl != 255 {
            return self.faults.push(Fault::Unexpected);
        }
        if ip.payload[0] == 136 {
            return self.learn(now, target, link.source);
        }
        if self.resolvable && self.addresses.iter().any(|own| own.addr() == target) {
            let message = [&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &ip.payload[8..24], &[2, 1], &self.mac].concat();
            let (source, destination, payload) = (target, ip.source, Bytes::from(message));
            self.send_to(link.source, &Ip { source, destination, protocol: ICMPV6, ttl: 255, tos: 0, payload });
        }
    }

    fn learn(&mut self, now: Instant, address: IpAddr, mac: Mac) {
        for packet in self.neighbours.learn(address, mac) {
            self.send(now, packet);
        }
    }

    fn handle_ip(&mut self, now: Instant, ip: Ip) {
        if self.raw {
            self.inbox.push_back((now, ip));
        } else if self.unreachable.iter().any(|net| net.contains(&ip.destination)) {
            self.say_unreachable(now, &ip);
        } else if !self.is_own(ip.destination) {
            self.inbox.push_back((now, ip));
        } else if ip.payload.len() + 40 > usize::from(self.mtu) + if ip.source.is_ipv4() { 20 } else { 0 } {
            self.faults.push(Fault::Unexpected);
        } else {
            match ip.protocol {
                TCP => self.handle_tcp(now, &ip),
                ICMP | ICMPV6 => self.handle_icmp(now, &ip),
                _ => self.inbox.push_back((now, ip)),
            }
        }
    }

    fn handle_tcp(&mut self, now: Instant, ip: &Ip) {
        let Ok((header, length)) = Header::parse(&ip.payload) else { return self.faults.push(Fault::Short) };
        let payload = ip.payload.slice(length..);
        let payload = if payload.is_empty() { Default::default() } else { [payload].into_iter().collect() };
        let segment = Segment { header, payload, ecn: tcp::Ecn::from_bits(ip.tos) };
        if let Some(reset) = self.tcp.handle(now, (ip.source, ip.destination), self.mtu, segment) {
            self.send_segment(now, ip.destination, ip.source, &reset, &[]);
        }
    }

    fn handle_icmp(&mut self, now: Instant, ip: &Ip) {
        let kind = (ip.payload[0], ip.payload.get(1).copied().unwrap_or(0));
        match (ip.protocol, kind.0) {
            (ICMP, 8) | (ICMPV6, 128) => {
                let mut payload = ip.payload.to_vec();
                payload[0] = if ip.protocol == ICMP { 0 } else { 129 };
                payload[2..4].fill(0);
                let (source, destination, payload) = (ip.destination, ip.source, Bytes::from(payload));
                self.send(now, Ip { source, destination, protocol: ip.protocol, ttl: 64, tos: 0, payload });
            }
            (ICMP, 0) | (ICMPV6, 129) => {
                let number = frame::array(&ip.payload, 6).map_or(0, u16::from_be_bytes);
                self.echoes.push((ip.source, number));
            }
            (ICMP, 3 | 11) | (ICMPV6, 1..=3) => self.handle_icmp_error(now, ip, kind),
            _ => {}
        }
    }

    fn handle_icmp_error(&mut self, now: Instant, ip: &Ip, kind: (u8, u8)) {
        let Ok((source, destination, protocol, start)) = read_quote(ip) else {
            return self.faults.push(Fault::Short);
        };
        let quoted = &ip.payload[start..];
        let (Ok(from), Ok(to)) = (frame::array(quoted, 0), frame::array(quoted, 2)) else {
            return self.faults.push(Fault::Short);
        };
        let local = SocketAddr::new(source, u16::from_be_bytes(from));
        let remote = SocketAddr::new(destination, u16::from_be_bytes(to));
        self.icmp.push(IcmpReceived { from: ip.source, kind, about: (local, remote) });
        let (TCP, Ok(seq)) = (protocol, frame::array(quoted, 4)) else { return };
        let mtu = frame::array(&ip.payload, 6).map_or(0, u16::from_be_bytes);
        let kind = match (ip.protocol, kind) {
            (ICMP, (3, 4)) | (ICMPV6, (2, _)) => {
                IcmpKind::TooBig { mtu: mtu.saturating_sub(if ip.protocol == ICMP { 20 } else { 40 }) }
            }
            (ICMP, (11, _)) | (ICMPV6, (3, _)) => IcmpKind::TimeExceeded,
            // RFC 1122, 4.2.3.9: protocol and port unreachable are hard errors, network and host are soft.
            (_, (_, code)) => {
                IcmpKind::Unreachable { hard: if ip.protocol == ICMP { matches!(code, 2 | 3) } else { code == 4 } }
            }
        };
        let seq = tcp::SeqNumber(u32::from_be_bytes(seq));
        self.tcp.handle_icmp(now, local, remote, IcmpError { kind, seq });
    }

    /// RFC 792 and RFC 4443, 3.1: the header and at least eight bytes of what could not be delivered.
    fn say_unreachable(&mut self, now: Instant, ip: &Ip) {
        let original = frame::ip(&self.link(self.mac), ip);
        let quote_len = if ip.source.is_ipv4() { 28 } else { 40 + ip.payload.len().min(400) };
        let quote = &original[14 + if self.vlan.is_some() { 4 } else { 0 }..][..quote_len];
        let (protocol, head) = if ip.source.is_ipv4() { (ICMP, [3, 1]) } else { (ICMPV6, [1, 3]) };
        let payload = Bytes::from([&head[..], &[0; 6], quote].concat());
        let source = self.address_towards(ip.source);
        self.send(now, Ip { source, destination: ip.source, protocol, ttl: 64, tos: 0, payload });
    }

    fn ask(&mut self, address: IpAddr) {
        match (address, self.address_towards(address)) {
            (IpAddr::V4(target), IpAddr::V4(sender)) => {
                let link = self.link(frame::BROADCAST);
                let question = Arp { request: true, sender_mac: self.mac, sender, target_mac: [0; 6], target };
                self.out.push_back(frame::arp(&link, &question));
            }
            (IpAddr::V6(target), source) => self.solicit(target, source),
            (IpAddr::V4(_), IpAddr::V6(_)) => {}
        }
    }

    fn solicit(&mut self, target: Ipv6Addr, source: IpAddr) {
        let (group, mac) = frame::solicited_node(target);
        let message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets(), &[1, 1], &self.mac].concat();
        let (destination, payload) = (IpAddr::V6(group), Bytes::from(message));
        self.send_to(mac, &Ip { source, destination, protocol: ICMPV6, ttl: 255, tos: 0, payload });
    }

    fn send_to(&mut self, mac: Mac, packet: &Ip) {
        let frame = frame::ip(&self.link(mac), packet);
        self.out.push_back(frame);
    }

    fn link(&self, destination: Mac) -> Link {
        Link { destination, source: self.mac, vlan: self.vlan }
    }
}

/// Source, destination and protocol of the packet an ICMP error quotes, and where its payload begins.
fn read_quote(ip: &Ip) -> Result<(IpAddr, IpAddr, u8, usize), Fault> {
    let quote = ip.payload.get(8..).ok_or(Fault::Short)?;
    if ip.protocol == ICMP {
        let head = frame::array::<20>(quote, 0)?;
        let (source, destination) = (frame::array::<4>(quote, 12)?, frame::array::<4>(quote, 16)?);
        Ok((source.into(), destination.into(), head[9], 8 + usize::from(head[0] & 15) * 4))
    } else {
        let (source, destination) = (frame::array::<16>(quote, 8)?, frame::array::<16>(quote, 24)?);
        Ok((source.into(), destination.into(), frame::array::<40>(quote, 0)?[6], 48))
    }
}

#[cfg(test)]
mod tests;
