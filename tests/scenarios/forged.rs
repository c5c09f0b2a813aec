//! SYNs from addresses whose owners know nothing of them: the server is no worse off than without a gateway.

use std::time::Duration;

use bytes::Bytes;
use sim::frame::{Ip, TCP};
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
    let header = Header {
        src_port: port,
        dst_port: 80,
        seq: SeqNumber(7),
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
