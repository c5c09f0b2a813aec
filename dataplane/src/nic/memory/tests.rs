//! Rings, pools and offloads of ports in memory: bounded, counted, and as a device would do it.

use std::net::Ipv4Addr;

use proxy::Chunk;
use tcp::{Payload, checksum};

use super::{BURST, MemoryEnds, MemoryNic, nic};
use crate::limits::{MEMORY_FRAME_MAX, MEMORY_RING};
use crate::nic::{Frame, Full, Nic, Offloads, PortId, PortInfo, TxOffload};
use crate::packet::MacAddress;
use crate::piece::Piece;

const PORT: PortId = PortId(0);

fn ports(count: usize, offloads: Offloads, frames_max: usize) -> (MemoryNic, MemoryEnds) {
    let info = |n: usize| PortInfo {
        device: format!("memory{n}"),
        driver: "memory".to_owned(),
        mac: MacAddress([2, 0, 0, 0, 0, n as u8]),
        mtu: 1500,
        offloads,
    };
    nic((0..count).map(info).collect(), frames_max)
}

#[test]
fn frames_go_in_and_out_by_port() {
    let (mut nic, ends) = ports(2, Offloads::default(), 10);
    ends.inject(PORT, [1, 2, 3]);
    ends.inject(PortId(1), [4]);
    let mut frames = Vec::new();
    assert_eq!((nic.receive(PORT, &mut frames), nic.frames_in_use()), (1, 1));
    let mut frame = frames.pop().expect("it was received");
    assert_eq!((frame.data(), frame.len()), (&[1, 2, 3][..], 3));
    frame.data_mut()[0] = 9;
    frame.push(&[7]).expect("there is room");
    frame.truncate(9);
    nic.send(PortId(1), frame);
    assert_eq!(ends.take(PortId(1)), None, "not before the flush");
    assert_eq!(nic.flush(), 0);
    assert_eq!((ends.take(PortId(1)), nic.frames_in_use()), (Some(vec![9, 2, 3, 7]), 0));
    assert_eq!((ends.waiting(PORT), ends.waiting(PortId(1))), (0, 1));
    assert_eq!((nic.stats(PORT).rx_packets, nic.stats(PORT).rx_bytes), (1, 3));
    assert_eq!((nic.stats(PortId(1)).tx_packets, nic.stats(PortId(1)).tx_bytes), (1, 4));
}

#[test]
fn full_bursts_go_out_at_once() {
    let (mut nic, ends) = ports(1, Offloads::default(), 2 * BURST);
    for _ in 0..=BURST {
        let frame = nic.allocate().expect("there is room");
        nic.send(PORT, frame);
    }
    assert_eq!(std::iter::from_fn(|| ends.take(PORT)).count(), BURST);
    nic.flush();
    assert_eq!(std::iter::from_fn(|| ends.take(PORT)).count(), 1);
}

#[test]
fn a_slice_holds_its_buffer_until_the_last_is_gone() {
    let (mut nic, _ends) = ports(1, Offloads::default(), 2);
    let mut frame = nic.allocate().expect("there is room");
    frame.push(b"header, payload").expect("there is room");
    let mut slice = Piece::Received(frame.into_slice(8..15));
    assert_eq!(Payload::as_slice(&slice), b"payload");
    let inner = Payload::slice(&slice, 3..7);
    let head = slice.split_to(3);
    assert_eq!((Chunk::as_slice(&head), Chunk::as_slice(&slice)), (&b"pay"[..], &b"load"[..]));
    assert_eq!((Chunk::as_slice(&inner), Chunk::len(&slice)), (&b"load"[..], 4));
    drop((head, slice));
    assert_eq!((nic.frames_in_use(), nic.free_share()), (1, 128));
    drop(inner);
    assert_eq!((nic.frames_in_use(), nic.free_share()), (0, 255));
}

#[test]
fn an_empty_pool_loses_and_counts() {
    let (mut nic, ends) = ports(1, Offloads::default(), 3);
    for n in 0..5u8 {
        ends.inject(PORT, [n]);
    }
    let mut frames = Vec::new();
    assert_eq!(nic.receive(PORT, &mut frames), 3);
    assert_eq!((nic.stats(PORT).rx_packets, nic.stats(PORT).rx_missed), (3, 2));
    assert!(nic.allocate().is_none());
    assert_eq!(nic.free_share(), 0);
    frames.clear();
    assert!(nic.allocate().is_some());
}

#[test]
fn rings_are_bounded_both_ways() {
    let (mut nic, ends) = ports(1, Offloads::default(), 2 * MEMORY_RING);
    for _ in 0..MEMORY_RING + 3 {
        ends.inject(PORT, [0]);
        let frame = nic.allocate().expect("there is room");
        nic.send(PORT, frame);
    }
    assert_eq!(ends.waiting(PORT), MEMORY_RING);
    assert_eq!((nic.flush(), nic.flush()), (3, 0), "what was refused is told once");
    assert_eq!((nic.stats(PORT).rx_missed, nic.stats(PORT).tx_errors), (3, 3));
    assert_eq!(nic.frames_in_use(), 0);
    ends.inject(PORT, vec![0; MEMORY_FRAME_MAX + 1]);
    assert_eq!(nic.stats(PORT).rx_errors, 1);
    let mut frame = nic.allocate().expect("there is room");
    assert_eq!(frame.push(&vec![0; MEMORY_FRAME_MAX + 1]), Err(Full));
    assert!(frame.is_empty());
}

#[test]
fn a_pulled_wire_and_a_stuck_port() {
    let (mut nic, ends) = ports(1, Offloads::default(), 10);
    let send = |nic: &mut MemoryNic| {
        let frame = nic.allocate().expect("there is room");
        nic.send(PORT, frame);
        nic.flush()
    };
    ends.inject(PORT, [1]);
    ends.set_link(PORT, false);
    ends.inject(PORT, [2]);
    assert_eq!((nic.receive(PORT, &mut Vec::new()), send(&mut nic)), (0, 1));
    assert_eq!(nic.stats(PORT).link, "down");
    ends.set_link(PORT, true);
    ends.set_stuck(PORT, true);
    assert_eq!(send(&mut nic), 1);
    ends.set_stuck(PORT, false);
    assert_eq!((send(&mut nic), ends.take(PORT), ends.take(PORT)), (0, Some(vec![]), None));
}

const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const DESTINATION: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// An Ethernet frame with a TCP segment; checksums left to the port.
fn tcp_frame(payload: &[u8], pseudo_length: u32, flags: u8) -> Vec<u8> {
    let mut frame = vec![0u8; 14];
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    let length = (40 + payload.len()) as u16;
    let mut ip = vec![0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0];
    ip[2..4].copy_from_slice(&length.to_be_bytes());
    ip.extend(SOURCE.octets());
    ip.extend(DESTINATION.octets());
    let mut tcp = vec![0x9c, 0x40, 0, 80, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 1, 0x50, flags, 1, 0];
    let pseudo = !checksum::finish(checksum::pseudo_header(SOURCE.into(), DESTINATION.into(), 6, pseudo_length));
    tcp.extend(pseudo.to_be_bytes());
    tcp.extend([0, 0]);
    frame.extend(ip);
    frame.extend(tcp);
    frame.extend(payload);
    frame
}

fn send(offloads: Offloads, bytes: &[u8], offload: TxOffload) -> Vec<Vec<u8>> {
    let (mut nic, ends) = ports(1, offloads, 1);
    let mut frame = nic.allocate().expect("there is room");
    frame.push(bytes).expect("there is room");
    frame.set_offload(offload);
    nic.send(PORT, frame);
    assert_eq!((nic.flush(), nic.frames_in_use()), (0, 0));
    std::iter::from_fn(|| ends.take(PORT)).collect()
}

/// Both checksums of a sent frame are right.
#[track_caller]
fn sound(frame: &[u8]) {
    assert_eq!(checksum::finish(checksum::sum(&frame[14..34], 0)), 0, "IP");
    let length = (frame.len() - 34) as u32;
    let pseudo = checksum::pseudo_header(SOURCE.into(), DESTINATION.into(), 6, length);
    assert_eq!(checksum::finish(checksum::sum(&frame[34..], pseudo)), 0, "TCP");
    assert_eq!(usize::from(u16::from_be_bytes([frame[16], frame[17]])), frame.len() - 14);
}

const LAYOUT: TxOffload = TxOffload {
    l2_len: 14,
    l3_len: 20,
    l4_len: 20,
    ipv6: false,
    ipv4_checksum: true,
    tcp_checksum: true,
    udp_checksum: false,
    tso_mss: 0,
};

#[test]
fn checksums_are_filled_in() {
    let offloads = Offloads { ipv4_checksum: true, tcp_checksum: true, ..Offloads::default() };
    let sent = send(offloads, &tcp_frame(b"hello", 25, 0x18), LAYOUT);
    assert_eq!(sent.len(), 1);
    sound(&sent[0]);
    assert_eq!(&sent[0][54..], b"hello");
}

#[test]
fn a_large_frame_is_cut_into_segments() {
    let payload: Vec<u8> = (0..=255u8).cycle().take(2_500).collect();
    let offloads = Offloads { ipv4_checksum: true, tcp_checksum: true, tso: true, ..Offloads::default() };
    // PSH, FIN, ACK and CWR: each belongs somewhere.
    let sent = send(offloads, &tcp_frame(&payload, 0, 0x99), TxOffload { tso_mss: 1_000, ..LAYOUT });
    assert_eq!(sent.iter().map(|frame| frame.len() - 54).collect::<Vec<_>>(), [1_000, 1_000, 500]);
    let mut seq = 0xffff_fff0u32;
    for (frame, flags) in sent.iter().zip([0x90, 0x10, 0x19]) {
        sound(frame);
        assert_eq!((&frame[38..42], frame[47]), (&seq.to_be_bytes()[..], flags));
        seq = seq.wrapping_add((frame.len() - 54) as u32);
    }
    assert_eq!(sent.iter().flat_map(|frame| &frame[54..]).copied().collect::<Vec<u8>>(), payload);
    assert_eq!(sent.iter().map(|frame| frame[19]).collect::<Vec<_>>(), [0x34, 0x35, 0x36]);
}

#[test]
#[should_panic(expected = "no TCP checksum offload")]
fn a_port_does_not_do_what_it_does_not_report() {
    send(Offloads { ipv4_checksum: true, ..Offloads::default() }, &tcp_frame(b"", 20, 0x10), LAYOUT);
}
