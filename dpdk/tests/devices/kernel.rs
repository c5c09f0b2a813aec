//! Devices on the kernel's interfaces, in a namespace made for this run: the kernel is the judge of our checksums.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

use dpdk::{Checksum, Mbuf, Pool, Port, Queue, Settings, Transmit, limits};

use crate::wire::{PLAIN, TCP, UDP, expect, frame, open, packet, pseudo, send, sum, tcp, udp};
use crate::{Case, World};

pub(crate) const CASES: &[Case] = &[
    ("kernel::af_packet_over_veth", true, af_packet),
    ("kernel::af_packet_with_two_queues", true, af_packet_queues),
    ("kernel::af_packet_reports_a_stripped_vlan", true, vlan),
    ("kernel::mtu_is_set_and_followed", true, mtu),
    ("kernel::af_xdp_over_veth", true, af_xdp),
    ("kernel::pcap_on_an_interface", true, pcap),
    ("kernel::tap_checksums_are_what_it_says", true, tap_checksums),
    ("kernel::tap_takes_tcp_of_a_chain", true, tap_tcp),
];

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {arguments}");
}

/// A veth pair without addresses, so that the kernel does not speak on it.
fn veth(a: &str, b: &str) {
    ip(&format!("link add {a} type veth peer name {b}"));
    for name in [a, b] {
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
        ip(&format!("link set {name} up"));
    }
}

/// A frame of an Ethernet type that nobody uses.
fn marked(mark: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x88, 0xb5];
    bytes.resize(len, mark);
    bytes
}

/// Both ways between two queues, several lengths and a chain.
fn exchange(world: &World, a: &mut Queue, b: &mut Queue) {
    for (mark, len) in [(1, 60), (2, 61), (3, 1514)] {
        let bytes = marked(mark, len);
        send(a, frame(world, &bytes));
        expect(b, "a's frame", |frame| frame.data() == bytes);
        send(b, frame(world, &bytes));
        expect(a, "b's frame", |frame| frame.data() == bytes);
    }
}

fn af_packet(world: &World) {
    veth("pa", "pb");
    let (port, mut a) = open(world, "net_af_packet0,iface=pa,qdisc_bypass=1");
    let (_peer, mut b) = open(world, "net_af_packet1,iface=pb");
    exchange(world, &mut a, &mut b);
    assert!(port.offloads().multi_segment);
    let bytes = marked(9, 1000);
    let mut chain = frame(world, &bytes[..100]);
    // A second segment long before the first is full.
    while chain.tailroom() > 0 {
        chain.append_chained(&[9]).unwrap();
    }
    chain.truncate(1000);
    send(&mut a, chain);
    expect(&mut b, "the frame", |frame| frame.data() == bytes);
    assert!(port.link().up);
    assert!(port.stats().tx_packets >= 4);
    assert_eq!(port.mac()[0] & 1, 0, "a unicast address");
    drop((port, a, b, _peer));
    ip("link del pa");
}

fn af_packet_queues(world: &World) {
    veth("qa", "qb");
    let pools = [world.pool.clone(), world.pool.clone()];
    let settings = Settings { queues: 2, ..PLAIN };
    let mut port = Port::attach(&world.eal, "net_af_packet2,iface=qa,qpairs=2", &settings, &pools)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(port.queues(), 2, "{:?}", port.choices());
    let mut queues = [port.queue(0).unwrap(), port.queue(1).unwrap()];
    let (peer, mut b) = open(world, "net_af_packet3,iface=qb");
    let there: SocketAddr = "10.1.1.1:1000".parse().unwrap();
    let mut landed = [0; 2];
    for port in 2000..2032 {
        let back = SocketAddr::new("10.2.2.2".parse().unwrap(), port);
        let mut queue_of = |from: SocketAddr, to: SocketAddr| {
            let datagram = udp((from.port(), to.port()), b"x", 0);
            let bytes = packet(([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]), from.ip(), to.ip(), UDP, &datagram, true);
            send(&mut b, frame(world, &bytes));
            let deadline = dpdk::cycles() + dpdk::cycles_per_second();
            loop {
                assert!(dpdk::cycles() < deadline, "the datagram is lost");
                for (index, queue) in queues.iter_mut().enumerate() {
                    let mut frames: Vec<Mbuf> = Vec::new();
                    queue.receive(&mut frames);
                    if frames.iter().any(|frame| frame.data().starts_with(&bytes)) {
                        return index;
                    }
                }
            }
        };
        let index = queue_of(there, back);
        assert_eq!(index, queue_of(back, there), "both directions of a flow meet on one queue");
        landed[index] += 1;
    }
    assert!(landed.iter().all(|&count| count > 0), "{landed:?}");
    drop((port, queues, peer, b));
    ip("link del qa");
}

fn vlan(world: &World) {
    veth("va", "vb");
    let (_port, mut a) = open(world, "net_af_packet0,iface=va");
    let (_peer, mut b) = open(world, "net_af_packet1,iface=vb");
    let mut tagged = marked(7, 100);
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x2a]);
    send(&mut a, frame(world, &tagged));
    let got = expect(&mut b, "the tagged frame", |frame| frame.data().ends_with(&[7; 40]));
    assert_eq!(got.stripped_vlan().map(|tci| tci & 0xfff), Some(42));
    assert_eq!(got.data(), marked(7, 100));
    drop(got);
    send(&mut a, frame(world, &marked(8, 100)));
    assert_eq!(expect(&mut b, "the plain frame", |frame| frame.data()[20] == 8).stripped_vlan(), None);
    drop((a, b, _port, _peer));
    ip("link del va");
}

fn mtu(world: &World) {
    veth("mta", "mtb");
    ip("link set mtb mtu 1300");
    let (followed, _queue) = open(world, "net_af_packet1,iface=mtb");
    assert_eq!(followed.mtu(), 1300);
    let settings = Settings { mtu: Some(1280), ..PLAIN };
    let pools = std::slice::from_ref(&world.pool);
    let port = Port::attach(&world.eal, "net_af_packet0,iface=mta", &settings, pools).unwrap();
    assert_eq!(port.mtu(), 1280);
    let shown = Command::new("ip").args(["-o", "link", "show", "mta"]).output().unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("mtu 1280"));
    drop((followed, _queue, port));
    ip("link del mta");
}

fn af_xdp(world: &World) {
    veth("xa", "xb");
    // A pool of its own: the driver of 22.11 does not give back what is in the kernel's fill ring when it closes.
    let pool = Pool::new(&world.eal, None, 4096, limits::DATA_ROOM).unwrap();
    let mut port = Port::attach(&world.eal, "net_af_xdp0,iface=xa", &PLAIN, &[pool]).unwrap_or_else(|e| panic!("{e}"));
    let mut a = port.queue(0).unwrap();
    let (_peer, mut b) = open(world, "net_af_packet1,iface=xb");
    exchange(world, &mut a, &mut b);
    drop((a, b, port, _peer));
    ip("link del xa");
}

fn pcap(world: &World) {
    veth("ca", "cb");
    let (_port, mut a) = open(world, "net_pcap0,iface=ca");
    let (_peer, mut b) = open(world, "net_af_packet1,iface=cb");
    exchange(world, &mut a, &mut b);
    drop((a, b, _port, _peer));
    ip("link del ca");
}

/// A tap, and the kernel on its other side with both families and our neighbour entry.
struct Tap {
    port: Port,
    queue: Queue,
    kernel_mac: [u8; 6],
}

const OUR_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];

fn tap(world: &World, name: &str) -> Tap {
    let (port, queue) = open(world, &format!("net_tap0,iface={name}"));
    let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/accept_dad"), "0");
    ip(&format!("addr add 10.9.0.1/24 dev {name}"));
    ip(&format!("-6 addr add fd09::1/64 dev {name} nodad"));
    ip(&format!("link set {name} up"));
    ip(&format!("neigh add 10.9.0.2 lladdr 02:00:00:00:00:99 dev {name}"));
    ip(&format!("-6 neigh add fd09::2 lladdr 02:00:00:00:00:99 dev {name}"));
    // The kernel's end has the port's own address.
    let kernel_mac = port.mac();
    Tap { port, queue, kernel_mac }
}

fn addresses() -> [(IpAddr, IpAddr); 2] {
    [("10.9.0.2", "10.9.0.1"), ("fd09::2", "fd09::1")]
        .map(|(ours, kernels)| (ours.parse().unwrap(), kernels.parse().unwrap()))
}

fn l3_len(address: IpAddr) -> u16 {
    if address.is_ipv4() { 20 } else { 40 }
}

fn tap_checksums(world: &World) {
    let mut tap = tap(world, "lt0");
    let offloads = tap.port.offloads();
    assert!(offloads.ipv4_checksum && offloads.tcp_checksum && offloads.udp_checksum && !offloads.tso);
    for (ours, kernels) in addresses() {
        let socket = UdpSocket::bind((kernels, 5300)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut buffer = [0; 64];

        // The device fills in what we leave to it, and the kernel, which checks, takes the datagram.
        for payload in [&b"even"[..], b"odd", b"a rather longer payload, of an odd length"] {
            let phdr = sum(&[&pseudo(ours, kernels, UDP, 8 + payload.len())]);
            let datagram = udp((4000, 5300), payload, phdr);
            let bytes = packet((tap.kernel_mac, OUR_MAC), ours, kernels, UDP, &datagram, false);
            let mut out = frame(world, &bytes);
            out.set_transmit(Transmit {
                l2_len: 14,
                l3_len: l3_len(ours),
                l4_len: 8,
                ipv6: ours.is_ipv6(),
                ipv4_checksum: ours.is_ipv4(),
                udp_checksum: true,
                ..Transmit::default()
            });
            send(&mut tap.queue, out);
            let (len, from) = socket.recv_from(&mut buffer).expect("the kernel takes the datagram");
            assert_eq!((&buffer[..len], from), (payload, SocketAddr::new(ours, 4000)));
        }

        // The kernel's answer is good, and the device says so or says nothing; the same with a bit flipped is not.
        socket.send_to(b"answer", (ours, 4000)).unwrap();
        let answer = expect(&mut tap.queue, "the answer", |frame| frame.data().ends_with(b"answer"));
        assert_ne!(answer.l4_checksum(), Checksum::Bad);
        assert_ne!(answer.ip_checksum(), Checksum::Bad);
        let at = 14 + usize::from(l3_len(ours));
        let transport = &answer.data()[at..];
        assert_eq!(sum(&[&pseudo(kernels, ours, UDP, transport.len()), transport]), 0xffff, "really good");
    }
    let name = "lt0";
    bad_checksum_is_seen(world, &mut tap, name);
}

/// A packet with a wrong checksum, written into the tap by a packet socket on its kernel side (a second port).
fn bad_checksum_is_seen(world: &World, tap: &mut Tap, name: &str) {
    let (_port, mut raw) = open(world, &format!("net_af_packet0,iface={name}"));
    for (ours, kernels) in addresses() {
        let good = !sum(&[&pseudo(kernels, ours, UDP, 12), &udp((1, 2), b"good", 0)]);
        for (mark, checksum, wanted) in [("good", good, Checksum::Good), ("bad!", good ^ 0x0101, Checksum::Bad)] {
            let datagram = udp((1, 2), mark.as_bytes(), checksum);
            let bytes = packet((OUR_MAC, tap.kernel_mac), kernels, ours, UDP, &datagram, true);
            send(&mut raw, frame(world, &bytes));
            let got = expect(&mut tap.queue, mark, |frame| frame.data() == bytes);
            assert_eq!(got.l4_checksum(), wanted, "{mark} {ours}");
        }
    }
}

/// A TCP connection by hand: the kernel takes a handshake and a chain of segments' worth with checksums by the device.
fn tap_tcp(world: &World) {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    const PSH_ACK: u8 = 24;
    const FIN_ACK: u8 = 17;
    let mut tap = tap(world, "lt1");
    for (ours, kernels) in addresses() {
        let listener = TcpListener::bind((kernels, 8080)).unwrap();
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            stream.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let macs = (tap.kernel_mac, OUR_MAC);
        let send_segment = |queue: &mut Queue, seq: u32, ack: u32, flags: u8, payload: &[u8]| {
            let phdr = sum(&[&pseudo(ours, kernels, TCP, 20 + payload.len())]);
            let segment = tcp((4001, 8080), seq, ack, flags, payload, phdr);
            let bytes = packet(macs, ours, kernels, TCP, &segment, false);
            let mut out = frame(world, &bytes[..60.min(bytes.len())]);
            out.append_chained(&bytes[60.min(bytes.len())..]).unwrap();
            out.set_transmit(Transmit {
                l2_len: 14,
                l3_len: l3_len(ours),
                l4_len: 20,
                ipv6: ours.is_ipv6(),
                ipv4_checksum: ours.is_ipv4(),
                tcp_checksum: true,
                ..Transmit::default()
            });
            send(queue, out);
        };
        send_segment(&mut tap.queue, 100, 0, SYN, &[]);
        let at = 14 + usize::from(l3_len(ours));
        let syn_ack = expect(&mut tap.queue, "SYN-ACK", |frame| {
            frame.data().len() >= at + 20
                && frame.data()[at..at + 2] == 8080_u16.to_be_bytes()
                && frame.data()[at + 13] == 18
        });
        let theirs = u32::from_be_bytes(syn_ack.data()[at + 4..at + 8].try_into().unwrap()).wrapping_add(1);
        drop(syn_ack);
        send_segment(&mut tap.queue, 101, theirs, ACK, &[]);
        let payload: Vec<u8> = (0..4000_u32).map(|index| (index * 7) as u8).collect();
        let mut seq = 101;
        for part in payload.chunks(1400) {
            send_segment(&mut tap.queue, seq, theirs, PSH_ACK, part);
            seq += part.len() as u32;
        }
        send_segment(&mut tap.queue, seq, theirs, FIN_ACK, &[]);
        assert_eq!(reader.join().unwrap(), payload);
    }
}
