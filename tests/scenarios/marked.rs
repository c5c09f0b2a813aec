//! What `-m tproxy` is true for, where the filter lets in and out nothing else: every packet of a redirected flow, of a
//! foreign listen and of a foreign connect, replies and ICMP errors about them included; and nothing besides.

use std::time::Duration;

use control::requests::Request;
use control::tproxy::Flags;
use sim::{Pattern, Progress, Step, Town, for_each_seed};

use crate::{LONG, hand};

const INPUT: (&str, &str) = ("  -A INPUT -p icmp -j ACCEPT\n  -A INPUT -p icmpv6 -j ACCEPT\n", "");
const OUTPUT: (&str, &str) =
    ("  :OUTPUT ACCEPT\n  -A INPUT", "  :OUTPUT DROP\n  -A OUTPUT -m tproxy -j ACCEPT\n  -A INPUT");
/// Only entries take.
const NO_RULES: (&str, &str) = ("-A PRintra -p tcp -j TPROXY --on-port 50000", "-A PRintra -p tcp --dport 9 -j DROP");
/// From an address that an entry exchanges for a foreign one.
const FOREIGN: (&str, &str) = (
    "anything: { proxy: plug, accept: mirror }",
    "anything: { proxy: plug, accept: immediate, source: \"203.0.113.1:5000\" }",
);
/// Where no host is, as the router there says.
const DOWN: &str = "198.51.101.9";

#[derive(Clone, Copy, PartialEq, Debug)]
enum Feature {
    Redirect,
    Listen,
    Connect,
}

fn town(seed: u64, feature: Feature, target: &str) -> Town {
    let mut changes = vec![INPUT, OUTPUT];
    match feature {
        Feature::Redirect => {}
        Feature::Listen => changes.push(NO_RULES),
        Feature::Connect => changes.push(FOREIGN),
    }
    let mut town = Town::changed(seed, &changes);
    let (local, foreign, flags) = match feature {
        Feature::Redirect => return town,
        Feature::Listen => ("192.168.1.1:50000", target, Flags::LISTEN),
        Feature::Connect => ("203.0.113.1:5000", "192.168.1.99:6000", Flags::CONNECT),
    };
    let (local, foreign) = (local.parse().expect("an address"), foreign.parse().expect("an address"));
    let now = town.world.now;
    let assign = Request::Assign { protocol: 6, local, foreign, reuse: false, expires_ms: None };
    town.world.gateway.request(now, assign).expect("an entry");
    town.world.gateway.request(now, Request::Flags { protocol: 6, local, set: Some(flags) }).expect("flags");
    town
}

#[test]
fn every_packet_of_the_three_features_passes() {
    for_each_seed(3, |seed| {
        for feature in [Feature::Redirect, Feature::Listen, Feature::Connect] {
            // By way of the router: the address the foreign connect speaks from must be of that way.
            let target = "198.51.100.7:80";
            let mut town = town(seed, feature, target);
            town.world.get_mut(town.router).tcp.listen(80, &[Step::Echo, Step::Finish]);
            let bytes = Pattern { key: 6, len: 30_000 };
            let call = town.world.connect(
                town.client,
                target,
                &[Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish],
            );
            town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
            assert_eq!(town.world.report(call).progress, Progress::Done, "{feature:?} {}", town.world.gateway.state());
            let seen = town.world.accepted(town.router)[0].remote.to_string();
            assert_eq!(seen == "192.168.1.99:6000", feature == Feature::Connect, "{seen}");
            assert_eq!(town.world.gateway.counters_under("drop_filter"), 0, "{}", town.world.gateway.state());
        }
    });
}

#[test]
fn icmp_errors_about_them_pass() {
    for_each_seed(3, |seed| {
        for feature in [Feature::Redirect, Feature::Listen, Feature::Connect] {
            let target = format!("{DOWN}:80");
            let mut town = town(seed, feature, &target);
            town.world.connect(town.client, &target, &[Step::AwaitReset]);
            town.world.run(Duration::from_secs(2));
            // The error about the gateway's SYN, which for a foreign connect is addressed to the foreign address.
            assert!(town.world.gateway.counter("icmp_delivered") >= 1, "{feature:?} {}", town.world.gateway.state());
            assert_eq!(town.world.gateway.counter("icmp_unmatched"), 0, "{feature:?}");
            assert_eq!(town.world.gateway.counters_under("drop_filter"), 0, "{}", town.world.gateway.state());
        }
    });
}

#[test]
fn what_none_of_them_took_does_not_pass() {
    let mut town = town(1, Feature::Redirect, "");
    // Plain local: an echo request and a connection to the gateway itself.
    let now = town.world.now;
    town.world.get_mut(town.client).ping(now, "192.168.1.1".parse().expect("an address"), 1);
    town.world.connect(town.client, "192.168.1.1:22", &[Step::AwaitReset]);
    // An ICMP error about a connection that nobody took.
    let attacker = hand::attacker(&mut town);
    let about = hand::segment((80, 40_000), tcp::Flags::ACK, 7, 9);
    let error = hand::unreachable(hand::ATTACKER, ("198.51.100.7", "192.168.1.2"), &about);
    town.world.get_mut(attacker).send(now, error);
    // A reply without a question.
    let puppet = hand::puppet(&mut town);
    let answer = hand::segment((80, 6_000), tcp::Flags::SYN | tcp::Flags::ACK, 7, 9);
    hand::send(&mut town, puppet, hand::PUPPET, "192.168.1.2", &answer, &[]);
    town.world.run(Duration::from_millis(900));
    assert_eq!(town.world.gateway.counter("drop_filter_policy"), 2, "{}", town.world.gateway.state());
    assert_eq!(town.world.gateway.counter("icmp_unmatched"), 1);
    assert_eq!(town.world.gateway.counter("tcp_out_of_state"), 1);
}
