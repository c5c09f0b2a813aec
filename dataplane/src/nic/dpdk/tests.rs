//! The worker's view of a real device: a ring that brings back what is sent, without hugepages.
//!
//! One test with EAL, because it starts once in a process; the drivers themselves are tested in the dpdk crate.

use dpdk::{Eal, HugePages, Options, Port, Settings};
use proxy::Chunk as _;

use super::*;
use crate::piece::Piece;

#[test]
fn tap_needs_the_length_of_the_transport_header() {
    let mut frame = [0_u8; 80];
    frame[14 + 20 + 12] = 0x80;
    let offload = TxOffload { l2_len: 14, l3_len: 20, ..TxOffload::default() };
    assert_eq!(l4_len(&frame, TxOffload { tcp_checksum: true, ..offload }), 32);
    assert_eq!(l4_len(&frame, TxOffload { udp_checksum: true, ..offload }), 8);
    assert_eq!(l4_len(&frame, offload), 0);
    assert_eq!(l4_len(&frame[..40], TxOffload { tcp_checksum: true, ..offload }), 0);
}

#[test]
fn over_a_ring() {
    let cpu = dpdk::allowed_cpus().unwrap()[0];
    let options = Options { cores: vec![cpu], hugepages: HugePages::Off, memory_mib: 32, ..Options::default() };
    let eal = Eal::init(&options).unwrap_or_else(|error| panic!("{error}"));
    let pool = Pool::new(&eal, None, 2048, dpdk::limits::DATA_ROOM).unwrap();
    let settings = Settings { queues: 1, mtu: None, rss_seed: 1 };
    let mut queues = Vec::new();
    for device in ["net_ring0", "net_null0"] {
        let mut port = Port::attach(&eal, device, &settings, std::slice::from_ref(&pool)).unwrap();
        queues.push(port.queue(0).unwrap());
    }
    let mut nic = DpdkNic::new(pool.clone(), queues);

    describes_its_ports(&nic);
    sends_at_a_full_burst_or_a_flush(&mut nic);
    chains_are_made_one(&mut nic);
    slices_hold_the_buffer(&mut nic, &pool);
    nic.flush();
    drop(nic);
    assert_eq!(pool.available(), pool.capacity());
}

const RING: PortId = PortId(0);
const NULL: PortId = PortId(1);

fn frame(nic: &mut DpdkNic, bytes: &[u8]) -> DpdkFrame {
    let mut frame = nic.allocate().unwrap();
    frame.push(bytes).unwrap();
    frame
}

fn describes_its_ports(nic: &DpdkNic) {
    assert_eq!(nic.ports(), 2);
    assert_eq!((nic.info(RING).driver.as_str(), nic.info(NULL).device.as_str()), ("net_ring", "net_null0"));
    assert_eq!((nic.info(RING).mtu, nic.stats(RING).link.as_str()), (1500, "up 10 Gbit/s"));
    assert!(nic.info(RING).offloads.multi_segment && !nic.info(NULL).offloads.multi_segment);
    assert!(nic.free_share() > 200, "{}", nic.free_share());
}

fn sends_at_a_full_burst_or_a_flush(nic: &mut DpdkNic) {
    let mut received = Vec::new();
    for index in 0..BURST + 1 {
        assert_eq!(nic.receive(RING, &mut received), 0, "nothing leaves before the burst is full");
        let frame = frame(nic, &[index as u8; 60]);
        nic.send(RING, frame);
        if index + 1 == BURST {
            assert_eq!(nic.receive(RING, &mut received), BURST);
        }
    }
    assert_eq!(nic.flush(), 0);
    assert_eq!(nic.receive(RING, &mut received), 1);
    assert!(received.iter().enumerate().all(|(index, frame)| frame.data() == [index as u8; 60]), "in order");
    assert_eq!(received[0].l4_checksum(), RxChecksum::Unknown);
    assert_eq!(received[0].stripped_vlan(), None);
    assert_eq!(nic.stats(RING).tx_packets, BURST as u64 + 1);
}

fn chains_are_made_one(nic: &mut DpdkNic) {
    // Longer than a buffer: a port that takes chains sends it, and it is too long to be read back as one run.
    let long = frame(nic, &[7; 3000]);
    let errors = nic.stats(RING).rx_errors;
    nic.send(RING, long);
    nic.flush();
    assert_eq!(nic.receive(RING, &mut Vec::new()), 0);
    assert_eq!(nic.stats(RING).rx_errors, errors + 1);
    // A port that takes none refuses it.
    let long = frame(nic, &[7; 3000]);
    nic.send(NULL, long);
    assert_eq!(nic.flush(), 1);
    assert_eq!(nic.flush(), 0, "told once");
}

fn slices_hold_the_buffer(nic: &mut DpdkNic, pool: &Pool) {
    let before = pool.available();
    let out = frame(nic, b"0123456789");
    nic.send(RING, out);
    nic.flush();
    let mut received = Vec::new();
    nic.receive(RING, &mut received);
    let mut slice = Piece::Received(received.pop().unwrap().into_slice(2..8));
    let tail = tcp::Payload::slice(&slice, 4..6);
    let head = slice.split_to(3);
    assert_eq!(proxy::Chunk::as_slice(&head), b"234");
    assert_eq!((tcp::Payload::as_slice(&slice), proxy::Chunk::len(&tail.clone())), (&b"567"[..], 2));
    drop((slice, head));
    assert_eq!(pool.available(), before - 1);
    drop(tail);
    assert_eq!(pool.available(), before);
}
