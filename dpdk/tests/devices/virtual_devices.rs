//! Devices that need nothing of the machine, and those that are not there.

use std::fs;

use dpdk::{Burst, Eal, Options, Port, Settings, limits};

use crate::wire::{PLAIN, expect, frame, open, send};
use crate::{Case, World};

pub(crate) const CASES: &[Case] = &[
    ("virtual_devices::eal_starts_once", false, starts_once),
    ("virtual_devices::null_gives_and_takes", false, null),
    ("virtual_devices::ring_brings_back_what_was_sent", false, ring),
    ("virtual_devices::memif_server_and_client", false, memif),
    ("virtual_devices::pcap_reads_and_writes_files", false, pcap),
    ("virtual_devices::a_refusal_is_counted_and_loses_no_buffer", false, refusal),
    ("virtual_devices::choices_are_told", false, choices),
    ("virtual_devices::an_mtu_that_cannot_be_is_refused", false, mtu),
    ("virtual_devices::what_is_not_there_is_named", false, errors),
];

fn starts_once(_: &World) {
    let Err(error) = Eal::init(&Options { cores: vec![crate::first_cpu()], memory_mib: 8, ..Options::default() })
    else {
        panic!("EAL started twice")
    };
    assert!(error.to_string().contains("before"), "{error}");
    assert!(Eal::version().starts_with("DPDK "), "{}", Eal::version());
}

fn null(world: &World) {
    let (port, mut queue) = open(world, "net_null0,size=80");
    let mut frames = Vec::new();
    assert_eq!(queue.receive(&mut frames), limits::BURST);
    assert!(frames.iter().all(|frame| frame.len() == 80 && frame.segments() == 1));
    for frame in frames {
        send(&mut queue, frame);
    }
    let stats = port.stats();
    assert_eq!((stats.rx_packets, stats.tx_packets), (32, 32));
    assert_eq!(port.driver(), "net_null");
    assert!(port.xstats().iter().any(|(name, value)| name == "rx_good_packets" && *value == 32), "{:?}", port.xstats());
    // The queue keeps the device when the port is dropped.
    drop(port);
    let mut frames = Vec::new();
    assert_eq!(queue.receive(&mut frames), limits::BURST);
}

fn ring(world: &World) {
    let (mut port, mut queue) = open(world, "net_ring0");
    assert!(port.queue(0).is_none(), "a queue has one owner");
    assert!(port.link().up);
    for len in [60, 61, 1514, 5000] {
        let bytes: Vec<u8> = (0..len).map(|index| index as u8).collect();
        send(&mut queue, frame(world, &bytes));
        let back = expect(&mut queue, "the frame", |_| true);
        assert_eq!(back.len(), len);
        let first = back.data().len();
        assert_eq!(back.data(), &bytes[..first]);
    }
}

fn memif(world: &World) {
    let socket = world.folder.join("memif.sock");
    let text =
        |number, role| format!("net_memif{number},role={role},id=0,socket={},socket-abstract=no", socket.display());
    let (server, mut at_server) = open(world, &text(0, "server"));
    let (client, mut at_client) = open(world, &text(1, "client"));
    // The two find each other by a timer of the driver's, and an end that never received has offered no buffers yet.
    let deadline = dpdk::cycles() + 10 * dpdk::cycles_per_second();
    while !(server.link().up && client.link().up) {
        assert!(dpdk::cycles() < deadline, "memif did not connect");
        std::hint::spin_loop();
    }
    assert_eq!(at_client.receive(&mut Vec::new()) + at_server.receive(&mut Vec::new()), 0);
    send(&mut at_server, frame(world, &[5; 1400]));
    assert_eq!(expect(&mut at_client, "server's frame", |_| true).data(), [5; 1400]);
    send(&mut at_client, frame(world, &[6; 60]));
    assert_eq!(expect(&mut at_server, "client's frame", |_| true).data(), [6; 60]);
    // A chain leaves as one frame and arrives linear or as a chain that can be made so.
    send(&mut at_client, frame(world, &[7; 2100]));
    let back = expect(&mut at_server, "the chain", |_| true);
    assert_eq!(back.len(), 2100);
}

fn pcap(world: &World) {
    let (input, output) = (world.folder.join("in.pcap"), world.folder.join("out.pcap"));
    let frames: Vec<Vec<u8>> = (0..3).map(|index| vec![index + 1; 60 + usize::from(index) * 300]).collect();
    fs::write(&input, capture(&frames)).unwrap();
    let (port, mut queue) = open(world, &format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display()));
    for wanted in &frames {
        let mut received = Vec::new();
        while received.is_empty() {
            // One at a time is not promised: take what comes, in order.
            queue.receive(&mut received);
        }
        for frame in received {
            send(&mut queue, frame);
        }
        if port.stats().tx_packets == frames.len() as u64 {
            break;
        }
        assert!(!wanted.is_empty());
    }
    drop((port, queue));
    let written = fs::read(&output).unwrap();
    for frame in &frames {
        assert!(written.windows(frame.len()).any(|window| window == frame), "a frame is not in the file");
    }
    assert_eq!(written.len(), capture(&frames).len());
}

/// A file in the classic pcap format.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        for word in [1, 0, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// A memif without its other end takes nothing.
fn refusal(world: &World) {
    let socket = world.folder.join("lonely.sock");
    let device = format!("net_memif7,role=server,id=0,socket={},socket-abstract=no", socket.display());
    let (port, mut queue) = open(world, &device);
    assert!(!port.link().up);
    let mut burst = Burst::new();
    for _ in 0..limits::BURST {
        assert!(burst.push(frame(world, &[1; 60])).is_ok());
    }
    assert!(burst.is_full());
    let extra = burst.push(frame(world, &[1; 60]));
    assert!(extra.is_err(), "a full burst takes no more");
    drop(extra);
    assert_eq!(queue.send(&mut burst), limits::BURST);
    assert_eq!(queue.send(&mut burst), 0);
}

fn choices(world: &World) {
    let pools = [world.pool.clone(), world.pool.clone()];
    let port = Port::attach(&world.eal, "net_null3", &Settings { queues: 2, ..PLAIN }, &pools).unwrap();
    let lines = port.choices().join("\n");
    for part in
        ["MTU: 1500", "queues: ", "receive TCP checksum: in software", "transmit TCP segmentation", "promiscuous"]
    {
        assert!(lines.contains(part), "no `{part}` in\n{lines}");
    }
}

fn mtu(world: &World) {
    let settings = Settings { mtu: Some(40), ..PLAIN };
    let Err(error) = Port::attach(&world.eal, "net_null4", &settings, std::slice::from_ref(&world.pool)) else {
        panic!("an MTU of 40 was taken")
    };
    assert!(error.to_string().contains("MTU of 40") && error.to_string().contains("net_null4"), "{error}");
    // And the name is free again.
    open(world, "net_null4");
}

fn errors(world: &World) {
    let cases = [
        ("net_af_packet0,iface=nope0", "no interface `nope0`"),
        ("net_af_packet0", "names no interface"),
        ("net_af_xdp0,iface=nope0", "no interface `nope0`"),
        ("net_pcap5,rx_pcap=/nope/in.pcap", "`/nope/in.pcap` does not exist"),
        ("net_memif5,role=server,socket=/nope/x.sock,socket-abstract=no", "`/nope` does not exist"),
        ("net_foo0", "no driver is called like `net_foo0`"),
        ("eth0", "no driver is called like `eth0`"),
        ("0000:ff:1f.6", "no PCI device at 0000:ff:1f.6"),
        ("net_null0,sise=3", "net_null0,sise=3"),
    ];
    for (device, part) in cases {
        for _ in 0..2 {
            let Err(error) = Port::attach(&world.eal, device, &PLAIN, std::slice::from_ref(&world.pool)) else {
                panic!("{device} was attached")
            };
            let text = error.to_string();
            assert!(text.contains(part) && text.contains(device) && text.contains("try: "), "{text}");
        }
    }
    let (_port, _queue) = open(world, "net_null9");
    let Err(error) = Port::attach(&world.eal, "net_null9", &PLAIN, std::slice::from_ref(&world.pool)) else {
        panic!("attached twice")
    };
    assert!(error.to_string().contains("attached already"), "{error}");
}
