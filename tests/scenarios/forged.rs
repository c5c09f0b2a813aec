//! SYNs from addresses whose owners know nothing of them: the server is no worse off than without a gateway.

use std::time::Duration;

use bytes::Bytes;
use sim::frame::{self, Ip, Network, TCP};
use sim::world::Captured;
use sim::{Host, Step, Town, for_each_seed};
use tcp::{Flags, Header, Options, SeqNumber};

use crate::LONG;

#[test]
fn a_client_that_never_acknowledges_never_gets_the_server_to_accept() {
    for_each_seed(3, |seed| {
        let mut town = Town::new(seed);
        let random = town.world.random.branch();
        let mut forger = Host::new("forger", &["192.168.1.66/24"], &["192.168.1.1"], random);
        forger.raw = true;
        let forger = town.world.add("intra", forger);
        town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
        town.world.run(Duration::from_secs(1));
        for port in 2_000..2_020 {
            let now = town.world.now;
            town.world.get_mut(forger).send(now, syn(port));
        }
        town.world.run(Duration::from_secs(20));
        let accepted = town.world.accepted(town.server);
        assert!(accepted.iter().all(|report| report.established_at.is_none()), "{accepted:?}");
        assert!(town.world.gateway.audit().half_open > 0, "the handshakes were under way");
        town.world.settle(LONG);
        assert_eq!(town.world.gateway.audit().half_open, 0);
    });
}

fn syn(port: u16) -> Ip {
    syn_of(port, 7)
}

fn syn_of(port: u16, seq: u32) -> Ip {
    let header = Header {
        src_port: port,
        dst_port: 80,
        seq: SeqNumber(seq),
        ack: SeqNumber(0),
        flags: Flags::SYN,
        window: 1_024,
        urgent: 0,
        options: Options { mss: Some(1_460), ..Options::default() },
    };
    let mut payload = vec![0; header.len()];
    header.emit(&mut payload);
    let address = |text: &str| text.parse().expect("an address");
    let (source, destination) = (address("192.168.1.66"), address("10.0.0.2"));
    Ip { source, destination, protocol: TCP, ttl: 64, tos: 0, payload: Bytes::from(payload) }
}

#[test]
fn a_new_syn_under_a_held_tuple_is_held_instead() {
    for_each_seed(3, |seed| {
        let mut town = Town::new(seed);
        let random = town.world.random.branch();
        let mut forger = Host::new("forger", &["192.168.1.66/24"], &["192.168.1.1"], random);
        forger.raw = true;
        let forger = town.world.add("intra", forger);
        // Nobody listens and nobody refuses: the first SYN stays held.
        town.world.get_mut(town.server).tcp.refuses = false;
        town.world.record();
        for seq in [7, 99_999] {
            let now = town.world.now;
            town.world.get_mut(forger).send(now, syn_of(2_000, seq));
            town.world.run(Duration::from_millis(300));
        }
        let passed: Vec<u32> =
            town.world.capture.as_deref().unwrap_or_default().iter().filter_map(passed_syn).collect();
        assert_eq!(passed.iter().filter(|seq| **seq == 99_999).count(), 1, "{passed:?}");
        assert_eq!(town.world.gateway.counter("tuple_busy"), 0);
        assert_eq!(town.world.gateway.audit().half_open, 1, "the new one took the old one's place");
        town.world.settle(LONG);
    });
}

/// The number of a SYN that the gateway sent to the server's cable.
fn passed_syn(captured: &Captured) -> Option<u32> {
    let (_, Network::Ip(ip)) = frame::parse(&captured.frame).ok()? else { return None };
    let ours = captured.by_gateway && captured.port.0 == 1 && ip.protocol == TCP;
    let (header, _) = ours.then(|| Header::parse(&ip.payload).ok()).flatten()?;
    (header.flags == Flags::SYN).then_some(header.seq.0)
}
