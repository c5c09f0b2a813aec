//! Helpers: frames by hand, an independent checksum, sending and receiving with a deadline.

use std::net::IpAddr;

use dpdk::{Burst, Mbuf, Port, Queue, Settings, cycles, cycles_per_second};

use crate::World;

/// One queue, the usual frame size.
pub(crate) const PLAIN: Settings = Settings { queues: 1, mtu: None, rss_seed: 1 };

pub(crate) const UDP: u8 = 17;
pub(crate) const TCP: u8 = 6;

/// Attaches with the usual settings and takes the only queue.
#[track_caller]
pub(crate) fn open(world: &World, device: &str) -> (Port, Queue) {
    let mut port = Port::attach(&world.eal, device, &PLAIN, std::slice::from_ref(&world.pool))
        .unwrap_or_else(|error| panic!("{error}"));
    let queue = port.queue(0).expect("every port has a queue");
    (port, queue)
}

#[track_caller]
pub(crate) fn frame(world: &World, bytes: &[u8]) -> Mbuf {
    let mut frame = world.pool.allocate().expect("the pool is large");
    frame.append_chained(bytes).expect("the frame is small enough");
    frame
}

/// Sends one frame; the device must take it.
#[track_caller]
pub(crate) fn send(queue: &mut Queue, frame: Mbuf) {
    let mut burst = Burst::new();
    assert!(burst.push(frame).is_ok());
    assert_eq!(queue.send(&mut burst), 0, "the device refused a frame");
    assert!(burst.is_empty());
}

/// The first frame that passes, within a second.
#[track_caller]
pub(crate) fn expect(queue: &mut Queue, what: &str, mut wanted: impl FnMut(&Mbuf) -> bool) -> Mbuf {
    let deadline = cycles() + cycles_per_second();
    let mut frames = Vec::new();
    while cycles() < deadline {
        queue.receive(&mut frames);
        if let Some(frame) = frames.drain(..).find(|frame| wanted(frame)) {
            return frame;
        }
    }
    panic!("{what} did not arrive within a second");
}

/// Ones' complement sum, written for these tests alone.
pub(crate) fn sum(parts: &[&[u8]]) -> u16 {
    let bytes: Vec<u8> = parts.concat();
    let mut total = 0_u32;
    for pair in bytes.chunks(2) {
        total += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// The pseudo header of RFC 793 and RFC 8200.
pub(crate) fn pseudo(from: IpAddr, to: IpAddr, protocol: u8, len: usize) -> Vec<u8> {
    let mut bytes = address(from);
    bytes.extend(address(to));
    bytes.extend((len as u32).to_be_bytes());
    bytes.extend([0, 0, 0, protocol]);
    bytes
}

fn address(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Ethernet and IP headers around `transport`; the IPv4 checksum field is left zero when asked to.
pub(crate) fn packet(
    macs: ([u8; 6], [u8; 6]),
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    transport: &[u8],
    ip_checksum: bool,
) -> Vec<u8> {
    let mut bytes = [macs.0, macs.1].concat();
    if from.is_ipv4() {
        bytes.extend([0x08, 0x00]);
        let mut header = vec![0x45, 0];
        header.extend((20 + transport.len() as u16).to_be_bytes());
        header.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
        header.extend(address(from));
        header.extend(address(to));
        if ip_checksum {
            let checksum = !sum(&[&header]);
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        bytes.extend(header);
    } else {
        bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        bytes.extend((transport.len() as u16).to_be_bytes());
        bytes.extend([protocol, 64]);
        bytes.extend(address(from));
        bytes.extend(address(to));
    }
    bytes.extend(transport);
    bytes
}

/// A UDP datagram whose checksum field is as `checksum` says.
pub(crate) fn udp(ports: (u16, u16), payload: &[u8], checksum: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(ports.0.to_be_bytes());
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend(checksum.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A TCP segment without options.
pub(crate) fn tcp(ports: (u16, u16), seq: u32, ack: u32, flags: u8, payload: &[u8], checksum: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(ports.0.to_be_bytes());
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff]);
    bytes.extend(checksum.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}
