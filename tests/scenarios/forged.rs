//! SYNs from addresses whose owners know nothing of them: the server is no worse off than without a gateway.

use std::collections::BTreeSet;
use std::time::Duration;

use sim::{Step, Town, for_each_seed};
use tcp::{Flags, Header};

use crate::hand::{self, ATTACKER};
use crate::{LONG, SERVERS};

#[test]
fn a_client_that_never_acknowledges_never_gets_the_server_to_accept() {
    for_each_seed(3, |seed| {
        let mut town = Town::either(seed);
        let forger = hand::attacker(&mut town);
        town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
        town.world.run(Duration::from_secs(1));
        town.world.record();
        for port in 2_000..2_020 {
            hand::send(&mut town, forger, ATTACKER, SERVERS[0], &hand::syn((port, 80), 7), &[]);
        }
        town.world.run(Duration::from_secs(20));
        let asked: BTreeSet<u16> = syns_to_the_server(&town).iter().map(|syn| syn.src_port).collect();
        assert_eq!(asked.len(), 20, "the server was asked for each");
        let accepted = town.world.accepted(town.server);
        assert!(accepted.iter().all(|report| report.established_at.is_none()), "{accepted:?}");
        assert!(town.world.gateway.audit().half_open > 0, "the handshakes were under way");
        town.world.settle(LONG);
        assert_eq!(town.world.gateway.audit().half_open, 0);
    });
}

#[test]
fn a_new_syn_under_a_held_tuple_is_held_instead() {
    for_each_seed(3, |seed| {
        let mut town = Town::either(seed);
        let forger = hand::attacker(&mut town);
        // Nobody listens and nobody refuses: the first SYN stays held.
        town.world.get_mut(town.server).tcp.refuses = false;
        town.world.record();
        for seq in [7, 99_999] {
            hand::send(&mut town, forger, ATTACKER, SERVERS[0], &hand::syn((2_000, 80), seq), &[]);
            town.world.run(Duration::from_millis(300));
        }
        let passed = syns_to_the_server(&town);
        assert_eq!(passed.iter().filter(|syn| syn.seq.0 == 99_999).count(), 1, "{passed:?}");
        assert_eq!(town.world.gateway.counter("tuple_busy"), 0);
        assert_eq!(town.world.gateway.audit().half_open, 1, "the new one took the old one's place");
        town.world.settle(LONG);
    });
}

/// The SYNs that the gateway sent to the server's cable.
fn syns_to_the_server(town: &Town) -> Vec<Header> {
    let captured = town.world.capture.as_deref().unwrap_or_default();
    hand::segments(captured, 1, true).into_iter().filter(|header| header.flags == Flags::SYN).collect()
}
