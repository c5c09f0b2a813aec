//! A listener that takes one connection: exactly one client that is really there gets it, whoever tries.

use std::time::Duration;

use sim::{Pattern, Progress, Step, Town, for_each_seed};

use crate::udp::{TAKEN, heard, say};
use crate::{LONG, hand};

const ONE: (&str, &str) =
    ("{ port: 50000, service: anything }", "{ port: 50000, service: anything, accept_one: true }");
/// The same, for clients that are answered first.
const ONE_AT_ONCE: (&str, &str) =
    ("{ port: 50001, service: at_once }", "{ port: 50001, service: at_once, accept_one: true }");

fn echo() -> [Step; 3] {
    let bytes = Pattern { key: 4, len: 3_000 };
    [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish]
}

#[test]
fn of_two_at_the_same_time_one_is_served_and_whoever_comes_later_finds_nobody() {
    for_each_seed(10, |seed| {
        for (change, target) in [(ONE, "10.0.0.2:80"), (ONE_AT_ONCE, "10.0.0.2:8080")] {
            let mut town = Town::changed(seed, &[change]);
            let port = target.parse::<std::net::SocketAddr>().expect("an address").port();
            town.world.get_mut(town.server).tcp.listen(port, &[Step::Echo, Step::Finish]);
            let calls = [0, 1].map(|_| town.world.connect(town.client, target, &echo()));
            town.world.run_until(LONG, |world| calls.iter().any(|call| world.report(*call).progress == Progress::Done));
            town.world.run(Duration::from_secs(2));
            let served = calls.iter().filter(|call| town.world.report(**call).progress == Progress::Done).count();
            assert_eq!(served, 1, "{}", town.world.gateway.state());
            assert_eq!(town.world.gateway.counter("sessions_served"), 1);
            // The other was told by a reset when it was there, or its SYN found no listener any more.
            let over = town.world.gateway.counter("listener_over") + town.world.gateway.counter("drop_no_listener");
            assert!(over >= 1, "{}", town.world.gateway.state());
            let late = town.world.connect(town.client, target, &[Step::AwaitReset]);
            town.world.run(Duration::from_secs(1));
            assert_eq!(town.world.report(late).established_at, None);
            assert_eq!(town.world.gateway.counter("sessions_served"), 1);
        }
    });
}

/// SYNs of nobody, and a server that refuses, use nothing up: the connection is the client's that is there.
#[test]
fn who_does_not_come_does_not_count() {
    for_each_seed(3, |seed| {
        let mut town = Town::changed(seed, &[ONE]);
        let attacker = hand::attacker(&mut town);
        town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
        for n in 0..20u16 {
            hand::send(&mut town, attacker, hand::ATTACKER, "10.0.0.2", &hand::syn((3_000 + n, 80), 7), &[]);
        }
        // Nobody listens there: refused by the server, whose word is passed on.
        town.world.connect(town.client, "10.0.0.2:81", &[Step::AwaitReset]);
        town.world.run(Duration::from_secs(2));
        assert_eq!(town.world.gateway.counter("sessions_served"), 0);
        let call = town.world.connect(town.client, "10.0.0.2:80", &echo());
        town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
        assert_eq!(town.world.report(call).progress, Progress::Done, "{}", town.world.gateway.state());
    });
}

#[test]
fn of_datagrams_one_flow_is_taken() {
    let mut town = Town::changed(1, &[ONE, TAKEN]);
    let (server, clients) = ("10.0.0.2:53", ["192.168.1.2:5000", "192.168.1.2:5001"]);
    for client in [clients[0], clients[1], clients[0]] {
        say(&mut town.world, town.client, client, server, b"who?");
        town.world.run(Duration::from_millis(100));
    }
    let from: Vec<u16> = heard(&mut town.world, town.server).iter().map(|(from, _, _)| from.port()).collect();
    assert_eq!(from, [5_000, 5_000], "the first flow goes on, the second finds no listener");
    assert_eq!(town.world.gateway.counter("drop_no_listener"), 1);
}
