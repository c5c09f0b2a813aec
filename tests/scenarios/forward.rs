//! What the filter forwards passes untouched: same ends, same bytes, one hop less to live.

use std::time::Duration;

use bytes::Bytes;
use sim::frame::{self, Ip, Network, TCP, UDP};
use sim::{Pattern, Step, Town, for_each_seed};

use crate::{LONG, SERVERS, at};

/// The intranet may speak to the DMZ without a proxy.
const FORWARDED: [(&str, &str); 2] = [
    ("-A PRintra -p tcp -j TPROXY --on-port 50000", "-A PRintra -p tcp --dport 443 -j TPROXY --on-port 50000"),
    (":FORWARD DROP\n", ":FORWARD ACCEPT\n"),
];

fn forwarded(seed: u64) -> Town {
    Town::changed(seed, &FORWARDED)
}

#[test]
fn a_forwarded_connection_keeps_its_numbers() {
    for_each_seed(3, |seed| {
        for address in SERVERS {
            let mut town = forwarded(seed);
            town.world.record();
            town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
            let bytes = Pattern { key: 1, len: 60_000 };
            let client = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
            town.world.connect(town.client, &at(address, 80), &client);
            town.world.finish(LONG);
            town.world.no_faults();
            assert_eq!(town.world.gateway.audit().sessions, 0, "no proxy is in it");
            town.world.settle(LONG);

            let seen = town.world.capture.take().unwrap_or_default();
            let packets = |port: u16, by_gateway: bool| -> Vec<Ip> {
                let on = seen.iter().filter(|seen| seen.port.0 == port && seen.by_gateway == by_gateway);
                let parsed = on.filter_map(|seen| frame::parse(&seen.frame).ok());
                let packets = parsed.filter_map(|(_, network)| match network {
                    Network::Ip(ip) if ip.protocol == TCP => Some(ip),
                    _ => None,
                });
                packets.collect()
            };
            let (sent, arrived) = (packets(0, false), packets(1, true));
            assert!(sent.len() > 10);
            assert_eq!(sent.len(), arrived.len());
            for (sent, arrived) in sent.iter().zip(&arrived) {
                assert_eq!(sent.payload, arrived.payload, "the TCP segment is the same to the last bit");
                assert_eq!((sent.source, sent.destination), (arrived.source, arrived.destination));
                assert_eq!(sent.ttl - 1, arrived.ttl);
            }
        }
    });
}

#[test]
fn datagrams_and_echoes_pass_and_are_answered() {
    for_each_seed(3, |seed| {
        let mut town = forwarded(seed);
        let now = town.world.now;
        let to = "10.0.0.2".parse().expect("an address");
        town.world.get_mut(town.client).ping(now, to, 7);
        let source = "192.168.1.2".parse().expect("an address");
        let payload = Bytes::from_static(&[0x30, 0x39, 0x00, 0x35, 0, 12, 0, 0, b'w', b'h', b'o', b'?']);
        let query = Ip { source, destination: to, protocol: UDP, ttl: 64, tos: 0, payload };
        town.world.get_mut(town.client).send(now, query);
        town.world.run(Duration::from_secs(3));
        assert_eq!(town.world.get(town.client).echoes, [(to, 7)]);
        let (_, arrived) = town.world.get(town.server).inbox.front().cloned().expect("the datagram");
        assert_eq!((arrived.source, &arrived.payload[8..]), (source, &b"who?"[..]));
        town.world.settle(LONG);
        town.world.no_faults();
    });
}

#[test]
fn a_packet_with_one_hop_to_live_ends_here_and_is_answered() {
    let mut town = forwarded(2);
    let now = town.world.now;
    let (source, destination) = ("192.168.1.2".parse().expect("one"), "10.0.0.2".parse().expect("another"));
    let payload = Bytes::from_static(&[0x30, 0x39, 0x82, 0x9b, 0, 12, 0, 0, b'h', b'o', b'p', b'?']);
    town.world.get_mut(town.client).send(now, Ip { source, destination, protocol: UDP, ttl: 1, tos: 0, payload });
    town.world.run(Duration::from_secs(3));
    let told = &town.world.get(town.client).icmp;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].kind, told[0].from), ((11, 0), "192.168.1.1".parse().expect("the gateway")));
    assert!(town.world.get(town.server).inbox.is_empty());
    town.world.settle(LONG);
}

#[test]
fn a_packet_without_a_route_is_answered() {
    let mut town = Town::changed(3, &[FORWARDED[0], FORWARDED[1], ("  - { to: 0.0.0.0/0, via: 203.0.113.254 }\n", "")]);
    let call = town.world.connect(town.client, "198.51.100.7:80", &[Step::AwaitReset]);
    town.world.run(Duration::from_millis(500));
    let told = town.world.get(town.client).icmp.clone();
    assert_eq!((told[0].kind, told[0].about.0), ((3, 0), town.world.report(call).local));
    assert_eq!(town.world.gateway.counter("no_route"), 1);
}
