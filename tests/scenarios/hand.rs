//! Segments made by hand: a host that answers nothing by itself, and what it sends and was sent.
//!
//! For what no honest TCP does. Numbers are chosen by the scenario; whoever makes a segment by hand also says what it
//! acknowledges.

use std::net::IpAddr;

use bytes::Bytes;
use sim::frame::{ICMP, Ip, TCP};
use sim::world::Captured;
use sim::{Host, HostId, Town};
use tcp::{Flags, Header, Options, SeqNumber};

/// The attacker's address in the intranet.
pub(crate) const ATTACKER: &str = "192.168.1.66";
/// A server's of hand-made answers, in the DMZ.
pub(crate) const PUPPET: &str = "10.0.0.66";

/// A raw host in the intranet.
pub(crate) fn attacker(town: &mut Town) -> HostId {
    raw(town, "intra", "192.168.1.66/24", "192.168.1.1")
}

/// A raw host in the DMZ.
pub(crate) fn puppet(town: &mut Town) -> HostId {
    raw(town, "dmz", "10.0.0.66/24", "10.0.0.1")
}

fn raw(town: &mut Town, interface: &str, address: &str, gateway: &str) -> HostId {
    let random = town.world.random.branch();
    let mut host = Host::new("by hand", &[address], &[gateway], random);
    host.raw = true;
    town.world.add(interface, host)
}

/// A segment.
pub(crate) fn segment(ports: (u16, u16), flags: Flags, seq: u32, ack: u32) -> Header {
    Header {
        src_port: ports.0,
        dst_port: ports.1,
        seq: SeqNumber(seq),
        ack: SeqNumber(ack),
        flags,
        window: 8_192,
        urgent: 0,
        options: Options::default(),
    }
}

/// A SYN with an MSS.
pub(crate) fn syn(ports: (u16, u16), seq: u32) -> Header {
    let options = Options { mss: Some(1_460), ..Options::default() };
    Header { options, ..segment(ports, Flags::SYN, seq, 0) }
}

/// Sends a segment now.
pub(crate) fn send(town: &mut Town, from: HostId, source: &str, destination: &str, header: &Header, data: &[u8]) {
    let now = town.world.now;
    town.world.get_mut(from).send_segment(now, address(source), address(destination), header, data);
}

/// What a raw host was sent by TCP since it was asked last: headers and payload lengths.
pub(crate) fn received(town: &mut Town, host: HostId) -> Vec<(Header, usize)> {
    let inbox = town.world.get_mut(host).inbox.drain(..);
    let read = |ip: Ip| {
        let (header, length) = (ip.protocol == TCP).then(|| Header::parse(&ip.payload).ok()).flatten()?;
        Some((header, ip.payload.len() - length))
    };
    inbox.filter_map(|(_, ip)| read(ip)).collect()
}

/// The whole handshake with a server that answers: what the server's SYN-ACK said.
///
/// # Panics
/// When it does not answer.
pub(crate) fn handshake(town: &mut Town, host: HostId, server: &str, syn: &Header) -> Header {
    send(town, host, ATTACKER, server, syn, &[]);
    town.world.run(std::time::Duration::from_millis(50));
    let answer = received(town, host).into_iter().find(|(header, _)| header.flags == Flags::SYN | Flags::ACK);
    let answer = answer.expect("a SYN-ACK").0;
    let ports = (syn.src_port, syn.dst_port);
    let ack = segment(ports, Flags::ACK, syn.seq.0.wrapping_add(1), answer.seq.0.wrapping_add(1));
    send(town, host, ATTACKER, server, &Header { window: syn.window, ..ack }, &[]);
    town.world.run(std::time::Duration::from_millis(50));
    answer
}

/// An ICMP port unreachable about a segment.
pub(crate) fn unreachable(from: &str, quoted: (&str, &str), header: &Header) -> Ip {
    error(from, quoted, header, [3, 3, 0, 0, 0, 0, 0, 0])
}

/// An ICMP "fragmentation needed" about a segment.
pub(crate) fn too_big(from: &str, quoted: (&str, &str), header: &Header, mtu: u16) -> Ip {
    let [high, low] = mtu.to_be_bytes();
    error(from, quoted, header, [3, 4, 0, 0, 0, 0, high, low])
}

/// An ICMP error that quotes a segment as far as RFC 792 asks.
fn error(from: &str, quoted: (&str, &str), header: &Header, head: [u8; 8]) -> Ip {
    let (source, destination) = (address(quoted.0), address(quoted.1));
    let mut segment = vec![0; header.len()];
    header.emit(&mut segment);
    let mut quote = vec![0x45, 0, 0, 60, 0, 0, 0x40, 0, 63, TCP, 0, 0];
    for end in [source, destination] {
        let IpAddr::V4(end) = end else { panic!("for IPv4 only") };
        quote.extend(end.octets());
    }
    // The quoted header's sum is looked at by who reads it.
    let sum = sim::frame::sum(&[&quote]);
    quote[10..12].copy_from_slice(&sum.to_be_bytes());
    quote.extend(&segment[..8]);
    let payload = [&head[..], &quote].concat();
    Ip { source: address(from), destination: source, protocol: ICMP, ttl: 64, tos: 0, payload: Bytes::from(payload) }
}

/// TCP segments that the gateway, or hosts, put on a port's cable.
pub(crate) fn segments(capture: &[Captured], port: u16, by_gateway: bool) -> Vec<Header> {
    let ours = capture.iter().filter(|captured| captured.by_gateway == by_gateway && captured.port.0 == port);
    let read = |captured: &Captured| match sim::frame::parse(&captured.frame) {
        Ok((_, sim::frame::Network::Ip(ip))) if ip.protocol == TCP => Header::parse(&ip.payload).ok(),
        _ => None,
    };
    ours.filter_map(read).map(|(header, _)| header).collect()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is no address"))
}
