//! Floods: of SYNs, of flows, of garbage. What does not fit is refused by name; what is there goes on.

use std::time::Duration;

use bytes::Bytes;
use dataplane::limits::Capacity;
use sim::frame::{Ip, TCP};
use sim::gateway::{CAPACITY, Settings};
use sim::{Host, Pattern, Step, Town, for_each_seed};
use tcp::{Flags, Header, Options, SeqNumber};

use crate::LONG;

/// A hand-made SYN.
fn syn(source: &str, port: u16, destination: &str) -> Ip {
    let header = Header {
        src_port: port,
        dst_port: 80,
        seq: SeqNumber(u32::from(port) << 8),
        ack: SeqNumber(0),
        flags: Flags::SYN,
        window: 1024,
        urgent: 0,
        options: Options { mss: Some(1460), ..Options::default() },
    };
    let mut payload = vec![0; header.len()];
    header.emit(&mut payload);
    let address = |text: &str| text.parse().expect("an address");
    let (source, destination) = (address(source), address(destination));
    Ip { source, destination, protocol: TCP, ttl: 64, tos: 0, payload: Bytes::from(payload) }
}

/// A host that floods, on the intranet's cable.
fn flooder(town: &mut Town) -> sim::HostId {
    let random = town.world.random.branch();
    let mut host = Host::new("flooder", &["192.168.1.66/24", "fd00:1::66/64"], &["192.168.1.1", "fd00:1::1"], random);
    host.raw = true;
    town.world.add("intra", host)
}

fn small(limits: Capacity) -> Settings {
    Settings { limits, ..Settings::default() }
}

#[test]
fn a_syn_flood_fills_its_own_budget_and_honest_clients_get_through() {
    for_each_seed(2, |seed| {
        let limits = Capacity { half_open: 64, ..CAPACITY };
        let mut town = Town::with(seed, &[], &small(limits));
        let flooder = flooder(&mut town);
        town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
        // A server that swallows SYNs keeps them half open for as long as anything can.
        town.world.get_mut(town.router).tcp.refuses = false;
        let bytes = Pattern { key: 1, len: 10_000 };
        let client = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
        let early = town.world.connect(town.client, "10.0.0.2:80", &client);
        town.world.run(Duration::from_millis(20));
        for port in 0..2_000u16 {
            let now = town.world.now;
            town.world.get_mut(flooder).send(now, syn("192.168.1.66", 1_000 + port, "198.51.100.9"));
            town.world.run(Duration::from_micros(200));
        }
        assert!(town.world.gateway.audit().half_open <= 64);
        assert!(town.world.gateway.counter("syn_cookie_sent") > 1_000);
        // Nobody has to wait for the flood's handshakes to time out.
        let late = town.world.connect(town.client, "10.0.0.2:80", &client);
        town.world.finish(LONG);
        assert_eq!((town.world.report(early).bytes.1, town.world.report(late).bytes.1), (10_000, 10_000));
        town.world.settle(LONG);
        town.world.no_faults();
    });
}

#[test]
fn a_full_flow_table_refuses_new_flows_and_keeps_the_old() {
    let limits = Capacity { flows: 40, ..CAPACITY };
    let mut town = Town::with(2, &[], &small(limits));
    let server = [
        Step::receive(1, 1_000),
        Step::Wait(Duration::from_secs(30)),
        Step::send(2, 1_000),
        Step::Finish,
        Step::AwaitFinish,
    ];
    town.world.get_mut(town.server).tcp.listen(80, &server);
    let client = [Step::send(1, 1_000), Step::receive(2, 1_000), Step::AwaitFinish, Step::Finish];
    let calls: Vec<_> = (0..30).map(|_| town.world.connect(town.client, "10.0.0.2:80", &client)).collect();
    town.world.run(Duration::from_secs(10));
    let audit = town.world.gateway.audit();
    assert!(audit.flows <= 40, "{audit:?}");
    assert!(town.world.gateway.counter("flow_table_full") > 0);
    let in_at_once = calls.iter().filter(|call| town.world.report(**call).established_at.is_some()).count();
    assert_eq!(in_at_once, 20, "each connection has two flows");
    // Those that found the table full try again by themselves, as TCP does, and find room when others have left.
    town.world.finish(LONG);
    town.world.settle(LONG);
    town.world.no_faults();
}

#[test]
fn garbage_is_counted_and_the_gateway_serves_on() {
    for_each_seed(3, |seed| {
        let mut town = Town::new(seed);
        let flooder = flooder(&mut town);
        town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
        let bytes = Pattern { key: 1, len: 30_000 };
        town.world.run(Duration::from_secs(1));
        for round in 0..5_000 {
            let frame = garbage(&mut town);
            town.world.get_mut(flooder).send_frame(frame);
            if round % 1_000 == 0 {
                let client = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
                town.world.connect(town.client, "10.0.0.2:80", &client);
            }
            town.world.run(Duration::from_micros(100));
        }
        town.world.finish(LONG);
        town.world.settle(LONG);
        assert!(town.world.gateway.counters_under("malformed_") > 100, "{}", town.world.gateway.state());
    });
}

/// A frame that was a good one once, or never was one.
fn garbage(town: &mut Town) -> Bytes {
    let random = &mut town.world.random;
    let mut frame = vec![0; 14 + random.below(200) as usize];
    random.fill(&mut frame);
    if random.chance(0.8) {
        // To the gateway's first port, in a protocol it speaks.
        frame[..6].copy_from_slice(&[0x02, 0, 0, 0, 0xff, 0]);
        let types = [[0x08, 0x00], [0x86, 0xdd], [0x08, 0x06], [0x81, 0x00]];
        frame[12..14].copy_from_slice(&types[random.below(4) as usize]);
    }
    if frame.len() > 14 && random.chance(0.7) {
        frame[14] = if frame[12] == 8 { 0x45 } else { 0x60 };
    }
    frame.into()
}
