//! Programs on the gateway, reached and reaching out through the host's kernel: a host of the simulator stands in for it
//! on the device, with the interface's own addresses.

use std::time::Duration;

use bytes::Bytes;
use sim::frame::{self, Ip, Link, Network, TCP, UDP};
use sim::town::yaml;
use sim::world::HostId;
use sim::{Pattern, Progress, Step, Town, for_each_seed};

use crate::udp::{datagram, heard, say, socket};
use crate::{LONG, at, fragments};

/// The kernel has a part in the intranet's interface; the client may log in at the gateway, and nobody else.
const SERVED: [(&str, &str); 4] = [
    (r#""fd00:1::1/64"] }"#, r#""fd00:1::1/64"], kernel: lim-intra }"#),
    (
        "  -A PRintra -d 192.168.1.1 -j RETURN\n",
        "  -A PRintra -d 192.168.1.1 -j RETURN\n  -A PRintra -d fd00:1::1 -j RETURN\n",
    ),
    (
        "  -A INPUT -p icmp -j ACCEPT\n",
        "  -A INPUT -p icmp -j ACCEPT\n  -A INPUT -i intra -s 192.168.1.2 -p tcp --dport 22 -j ACCEPT\n  \
         -A INPUT -i intra -s fd00:1::2 -p tcp --dport 22 -j ACCEPT\n  \
         -A INPUT -i intra -p udp --dport 53 -j ACCEPT\n  -A INPUT -i intra -d 224.0.0.5 -p 89 -j ACCEPT\n",
    ),
    (
        "  :OUTPUT ACCEPT\n  -A INPUT -m tproxy",
        "  :OUTPUT DROP\n  -A OUTPUT -p tcp --dport 80 -j ACCEPT\n  -A OUTPUT -p tcp --dport 25 -j REJECT --reject-with tcp-reset\n  \
         -A OUTPUT -d 224.0.0.5 -p 89 -j ACCEPT\n  -A INPUT -m tproxy",
    ),
];

const GATEWAYS: [&str; 2] = ["192.168.1.1", "fd00:1::1"];
const CLIENTS: [&str; 2] = ["192.168.1.2", "fd00:1::2"];

/// The town with a kernel on the gateway.
fn town(seed: u64, more: &[(&str, &str)]) -> (Town, HostId) {
    let mut town = Town::changed(seed, &[&SERVED, more].concat());
    let kernel = town.world.host("lim-intra", "kernel", &["192.168.1.1/24", "fd00:1::1/64"], &[]);
    town.world.get_mut(kernel).mac = town.world.gateway.mac_of("intra");
    (town, kernel)
}

#[test]
fn who_is_let_in_reaches_the_program_and_nobody_else_does() {
    for_each_seed(5, |seed| {
        for gateway in GATEWAYS {
            let (mut town, kernel) = town(seed, &[]);
            let stranger = town.world.host(
                "intra",
                "stranger",
                &["192.168.1.3/24", "fd00:1::3/64"],
                &["192.168.1.1", "fd00:1::1"],
            );
            town.world.get_mut(kernel).tcp.listen(22, &[Step::Echo, Step::Finish]);
            let bytes = Pattern { key: 5, len: 30_000 };
            let session = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
            town.world.connect(town.client, &at(gateway, 22), &session);
            town.world.finish(LONG);
            assert_eq!(town.world.accepted(kernel).len(), 1);
            assert_eq!(town.world.gateway.audit().sessions, 0, "no proxy is in it");

            // A stranger may not log in, and nobody may try another port: the kernel hears nothing of either.
            let heard = town.world.gateway.counter("to_kernel");
            town.world.connect(stranger, &at(gateway, 22), &[Step::Finish]);
            town.world.connect(town.client, &at(gateway, 23), &[Step::Finish]);
            town.world.run(Duration::from_secs(5));
            assert!(town.world.gateway.counter("drop_filter_policy") >= 2);
            assert_eq!(town.world.accepted(kernel).len(), 1);
            let answers = town.world.gateway.counter("to_kernel") - heard;
            assert!(answers <= 2, "{answers} packets to the kernel, where ARP and neighbour discovery alone may be");
            town.world.no_faults();
        }
    });
}

#[test]
fn packets_go_to_the_kernel_and_come_back_as_they_are() {
    for_each_seed(3, |seed| {
        let (mut town, kernel) = town(seed, &[]);
        town.world.record();
        town.world.get_mut(kernel).tcp.listen(22, &[Step::Echo, Step::Finish]);
        let bytes = Pattern { key: 9, len: 3_000 };
        town.world.connect(
            town.client,
            "192.168.1.1:22",
            &[Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish],
        );
        town.world.finish(LONG);
        town.world.run(Duration::from_secs(1));
        let seen = town.world.capture.take().unwrap_or_default();
        let wire = town.world.gateway.port_of("intra").0;
        let device = town.world.gateway.port_of("lim-intra").0;
        let segments = |port, by_gateway| -> Vec<Bytes> {
            let on = seen.iter().filter(|seen| seen.port == port && seen.by_gateway == by_gateway);
            on.filter(|seen| matches!(frame::parse(&seen.frame), Ok((_, Network::Ip(ip))) if ip.protocol == TCP))
                .map(|seen| unpadded(&seen.frame))
                .collect()
        };
        assert!(segments(wire, false).len() > 4);
        assert!(segments(wire, false) == segments(device, true), "to the kernel: TTL, addresses and all");
        assert!(segments(device, false) == segments(wire, true), "and from it");
    });
}

/// A frame with an IPv4 packet, without what Ethernet pads it with.
fn unpadded(frame: &Bytes) -> Bytes {
    let total = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
    frame.slice(..14 + total)
}

#[test]
fn what_the_kernel_begins_is_for_output_to_decide() {
    for_each_seed(5, |seed| {
        for client in CLIENTS {
            let (mut town, kernel) = town(seed, &[]);
            for port in [80, 81, 25] {
                town.world.get_mut(town.client).tcp.listen(port, &[Step::Echo, Step::Finish]);
            }
            let bytes = Pattern { key: 2, len: 9_000 };
            town.world.connect(
                kernel,
                &at(client, 80),
                &[Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish],
            );
            // REJECT tells the program, in the name of whom it called.
            town.world.connect(kernel, &at(client, 25), &[Step::AwaitReset]);
            town.world.finish(LONG);
            assert_eq!(town.world.accepted(town.client).len(), 1);
            assert!(town.world.gateway.counter("rejected") >= 1);
            town.world.connect(kernel, &at(client, 81), &[Step::Finish]);
            town.world.run(Duration::from_secs(3));
            assert!(town.world.gateway.counter("drop_filter_policy") >= 1, "{}", town.world.gateway.state());
            assert_eq!(town.world.accepted(town.client).len(), 1);
            town.world.no_faults();
        }
    });
}

#[test]
fn without_a_device_the_gateway_refuses_as_ever() {
    for_each_seed(3, |seed| {
        let mut town = Town::changed(seed, &SERVED[1..]);
        town.world.connect(town.client, "192.168.1.1:22", &[Step::AwaitReset]);
        town.world.finish(LONG);
        assert_eq!(town.world.gateway.counter("local_closed_port"), 1);
        town.world.settle(LONG);
    });
}

/// An OSPF hello, as far as anybody but OSPF looks.
fn hello(source: &str, destination: &str) -> Ip {
    let payload = Bytes::from_static(&[2, 1, 0, 44, 192, 168, 1, 2]);
    let address = |text: &str| text.parse().expect("an address");
    Ip { source: address(source), destination: address(destination), protocol: 89, ttl: 1, tos: 0xc0, payload }
}

fn group_frame(source: [u8; 6], ip: &Ip) -> Bytes {
    let link = Link { destination: [0x01, 0, 0x5e, 0, 0, 5], source, vlan: None };
    frame::ip(&link, ip)
}

#[test]
fn groups_that_input_accepts_reach_the_kernel_and_those_of_output_the_wire() {
    for_each_seed(3, |seed| {
        let (mut town, kernel) = town(seed, &[]);
        town.world.record();
        let (client_mac, kernel_mac) = (town.world.get(town.client).mac, town.world.get(kernel).mac);
        town.world.get_mut(town.client).send_frame(group_frame(client_mac, &hello("192.168.1.2", "224.0.0.5")));
        town.world.get_mut(town.client).send_frame(group_frame(client_mac, &hello("192.168.1.2", "224.0.0.6")));
        town.world.get_mut(kernel).send_frame(group_frame(kernel_mac, &hello("192.168.1.1", "224.0.0.5")));
        town.world.get_mut(kernel).send_frame(group_frame(kernel_mac, &hello("192.168.1.1", "224.0.0.6")));
        town.world.run(Duration::from_secs(1));
        let seen = town.world.capture.take().unwrap_or_default();
        for (port, sender) in [("lim-intra", "192.168.1.2"), ("intra", "192.168.1.1")] {
            let port = town.world.gateway.port_of(port).0;
            let on = seen.iter().filter(|seen| seen.port == port && seen.by_gateway);
            let hellos: Vec<Ip> = on
                .filter_map(|seen| match frame::parse(&seen.frame) {
                    Ok((_, Network::Ip(ip))) if ip.protocol == 89 => Some(ip),
                    _ => None,
                })
                .collect();
            assert_eq!(hellos.len(), 1, "of two groups one is accepted: {}", town.world.gateway.state());
            assert_eq!(hellos[0].source.to_string(), sender);
            assert_eq!(hellos[0].ttl, 1, "nobody has routed it");
        }
        assert_eq!(town.world.gateway.counter("drop_filter_policy"), 2);
        // On an interface without a device it is as it was.
        let mac = town.world.get(town.server).mac;
        town.world.get_mut(town.server).send_frame(group_frame(mac, &hello("10.0.0.2", "224.0.0.5")));
        town.world.run(Duration::from_secs(1));
        assert_eq!(town.world.gateway.counter("multicast"), 1);
    });
}

#[test]
fn a_flood_is_cut_to_the_rate_and_harms_no_proxied_transfer() {
    for_each_seed(3, |seed| {
        let rate = [("kernel: lim-intra", "kernel: { device: lim-intra, packets_per_second: 100 }")];
        let (mut town, kernel) = town(seed, &rate);
        town.world.get_mut(kernel).raw = true;
        town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
        let bytes = Pattern { key: 3, len: 400_000 };
        town.world.connect(
            town.client,
            "10.0.0.2:80",
            &[Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish],
        );
        for round in 0..100u16 {
            for n in 0..100u16 {
                let mut payload = Vec::from(header(20_000 + round * 100 + n));
                payload.resize(64, 0);
                payload[4..6].copy_from_slice(&64u16.to_be_bytes());
                let ip = Ip {
                    source: "192.168.1.2".parse().expect("an address"),
                    destination: "192.168.1.1".parse().expect("an address"),
                    protocol: UDP,
                    ttl: 64,
                    tos: 0,
                    payload: payload.into(),
                };
                let now = town.world.now;
                town.world.get_mut(town.client).send(now, ip);
            }
            town.world.run(Duration::from_millis(20));
        }
        town.world.finish(LONG);
        let passed = town.world.gateway.counter("to_kernel");
        let limited = town.world.gateway.counter("kernel_rate_limited");
        assert!(limited > 9_000 && passed > 100 && passed < 600, "{passed} passed, {limited} did not");
        assert!(town.world.gateway.counter("local_flow_evicted") > 0, "a flood makes room for itself");
        assert!(town.world.gateway.audit().local_flows <= dataplane::limits::LOCAL_FLOWS);
    });
}

/// A UDP header without a checksum, to port 53.
fn header(source: u16) -> [u8; 8] {
    let [a, b] = source.to_be_bytes();
    [a, b, 0, 53, 0, 8, 0, 0]
}

#[test]
fn a_session_outlives_a_restart_of_the_gateway() {
    for_each_seed(3, |seed| {
        // To a new gateway the segments of an old connection are strays: the kernel knows them, if the rules let them in.
        let (mut town, kernel) = town(seed, &[]);
        let source = "192.168.1.2".parse().expect("an address");
        let gateway = "192.168.1.1".parse().expect("an address");
        let mut bytes = [0; 20];
        (bytes[0], bytes[1], bytes[3], bytes[12], bytes[13]) = (0x9c, 0x40, 22, 5 << 4, 0x10);
        let (header, _) = tcp::Header::parse(&bytes).expect("an ACK");
        town.world.get_mut(kernel).raw = true;
        let now = town.world.now;
        town.world.get_mut(town.client).send_segment(now, source, gateway, &header, b"ls\n");
        town.world.run(Duration::from_secs(1));
        assert_eq!(town.world.get(kernel).inbox.len(), 1, "{}", town.world.gateway.state());
        assert_eq!(town.world.gateway.counter("rst_sent"), 0);
    });
}

/// What a new policy forbids is cut: both ends are told, and neither gets through again, whoever speaks first.
#[test]
fn a_session_that_a_later_policy_forbids_is_cut_for_both() {
    for_each_seed(3, |seed| {
        for client in CLIENTS {
            let (mut town, kernel) = town(seed, &[]);
            town.world.get_mut(kernel).tcp.listen(22, &[Step::Echo, Step::Finish]);
            let gateway = GATEWAYS[CLIENTS.iter().position(|one| *one == client).expect("a client")];
            let bytes = Pattern { key: 5, len: 3_000 };
            let call =
                town.world.connect(town.client, &at(gateway, 22), &[Step::Exchange(bytes, bytes), Step::AwaitReset]);
            town.world.run(Duration::from_secs(2));
            assert_eq!(town.world.gateway.audit().local_flows, 1);
            let (accept, closed) = (("tcp --dport 22 -j ACCEPT", "tcp --dport 24 -j ACCEPT"), yaml(&SERVED));
            // OUTPUT lets the kernel speak to whom it likes, which must not bring the session back.
            let closed = closed.replace(accept.0, accept.1).replace(":OUTPUT DROP", ":OUTPUT ACCEPT");
            town.world.gateway.reload_and_redecide(town.world.now, &closed).expect("a good configuration");
            town.world.run(Duration::from_secs(2));
            assert_eq!(town.world.gateway.counter("redecided_locals"), 1);
            assert_eq!(town.world.report(call).progress, Progress::Done, "the client is told");
            assert_eq!(town.world.accepted(kernel)[0].error, Some(tcp::Error::Reset), "and the program");
            // Let in again, the next connection is nothing special.
            town.world.gateway.reload(town.world.now, &yaml(&SERVED)).expect("a good configuration");
            let again = town.world.connect(
                town.client,
                &at(gateway, 22),
                &[Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish],
            );
            town.world.run_until(LONG, |world| world.report(again).progress != Progress::Running);
            assert_eq!(town.world.report(again).progress, Progress::Done, "{}", town.world.gateway.state());
            town.world.run(Duration::from_secs(400));
            assert_eq!(town.world.gateway.audit().local_flows, 0, "nothing is left behind");
        }
    });
}

/// Datagrams have no reset: the record alone holds both sides back, until a policy permits the flow again.
#[test]
fn datagrams_that_a_later_policy_forbids_pass_neither_way() {
    let (mut town, kernel) = town(1, &[]);
    town.world.get_mut(kernel).raw = true;
    let (client, gateway) = ("192.168.1.2:5000", "192.168.1.1:53");
    say(&mut town.world, town.client, client, gateway, b"who?");
    town.world.run(Duration::from_millis(100));
    say(&mut town.world, kernel, gateway, client, b"me");
    town.world.run(Duration::from_millis(100));
    assert_eq!((heard(&mut town.world, kernel).len(), heard(&mut town.world, town.client).len()), (1, 1));
    let closed = yaml(&SERVED).replace("udp --dport 53", "udp --dport 54").replace(":OUTPUT DROP", ":OUTPUT ACCEPT");
    town.world.gateway.reload_and_redecide(town.world.now, &closed).expect("a good configuration");
    town.world.run(Duration::from_millis(100));
    for _ in 0..3 {
        say(&mut town.world, kernel, gateway, client, b"and another thing");
        say(&mut town.world, town.client, client, gateway, b"still there?");
        town.world.run(Duration::from_secs(60));
    }
    assert_eq!((heard(&mut town.world, kernel).len(), heard(&mut town.world, town.client).len()), (0, 0));
    assert_eq!(town.world.gateway.counter("local_flow_cut"), 6);
    town.world.gateway.reload(town.world.now, &yaml(&SERVED)).expect("a good configuration");
    town.world.run(Duration::from_millis(100));
    say(&mut town.world, town.client, client, gateway, b"and now?");
    town.world.run(Duration::from_millis(100));
    assert_eq!(heard(&mut town.world, kernel).len(), 1, "{}", town.world.gateway.state());
}

/// A program that says too much is heard at its rate, and the worker's other work goes on.
#[test]
fn a_program_that_floods_is_held_to_its_rate() {
    let rate = [("kernel: lim-intra", "kernel: { device: lim-intra, packets_per_second: 200 }")];
    let accept = [("  :OUTPUT DROP\n", "  :OUTPUT ACCEPT\n")];
    let (mut town, kernel) = town(1, &rate);
    let open = yaml(&[&SERVED[..], &rate[..], &accept[..]].concat());
    town.world.gateway.reload(town.world.now, &open).expect("a good configuration");
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
    let bytes = Pattern { key: 3, len: 400_000 };
    let call = town.world.connect(
        town.client,
        "10.0.0.2:80",
        &[Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish],
    );
    for round in 0..50u16 {
        for n in 0..100u16 {
            let from = format!("192.168.1.1:{}", 20_000 + round * 100 + n);
            say(&mut town.world, kernel, &from, "192.168.1.2:9", b"hello, hello, hello");
        }
        town.world.run(Duration::from_millis(20));
    }
    town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
    assert_eq!(town.world.report(call).progress, Progress::Done);
    let taken = town.world.report(call).ended_at.expect("it ended") - town.world.report(call).opened_at;
    assert!(taken < Duration::from_secs(2), "the transfer took {taken:?}");
    let heard = town.world.gateway.counter("from_kernel");
    // What the bucket held, a burst, and two hundred for each of the seconds.
    assert!((100..=600).contains(&heard), "{heard} of 5000");
}

/// What comes in fragments reaches the kernel in fragments, and what the kernel cuts is decided by its ports.
#[test]
fn fragments_pass_both_ways_as_fragments() {
    for_each_seed(3, |seed| {
        let output = ("  -A OUTPUT -p tcp --dport 80 -j ACCEPT\n", "  -A OUTPUT -p udp --sport 54 -j ACCEPT\n");
        let (mut town, kernel) = town(seed, &[output]);
        town.world.get_mut(kernel).raw = true;
        let text: Vec<u8> = (0..9_000u32).map(|byte| (byte % 251) as u8).collect();
        let question = datagram(socket("192.168.1.2:5000"), socket("192.168.1.1:53"), &text);
        let mut places: Vec<_> = (0..6).map(|n| (n * 1_480, (n + 1) * 1_480, true)).collect();
        places.push((8_880, 9_008, false));
        // Not in their order.
        places.reverse();
        town.world.record();
        fragments::send(&mut town, &question, 7, &places);
        town.world.run(Duration::from_millis(100));
        let device = town.world.gateway.port_of("lim-intra").0.0;
        let (bytes, longest, count) = fragments::fragments_out(&mut town, device);
        assert_eq!((longest, count, &bytes[8..]), (1_500, 7, &text[..]), "{}", town.world.gateway.state());

        // From the kernel: port 54 may speak, another may not.
        town.world.record();
        for (id, port) in [(8, 54), (9, 55)] {
            let answer = datagram(socket(&format!("192.168.1.1:{port}")), socket("192.168.1.2:5000"), &text[..2_000]);
            let places = [(0, 1_480, true), (1_480, 2_008, false)];
            let client_mac = town.world.get(town.client).mac;
            fragments::send_to(&mut town, kernel, client_mac, &answer, id, &places);
        }
        town.world.run(Duration::from_millis(100));
        let wire = town.world.gateway.port_of("intra").0.0;
        let (bytes, longest, count) = fragments::fragments_out(&mut town, wire);
        assert_eq!((longest, count, &bytes[8..]), (1_500, 2, &text[..2_000]), "{}", town.world.gateway.state());
        assert_eq!(town.world.gateway.counter("drop_filter_policy"), 1);
    });
}
