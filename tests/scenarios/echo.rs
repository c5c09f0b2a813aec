//! The gateway is a neighbour like any other: it answers questions for its addresses and echo requests, and no more.

use std::net::IpAddr;
use std::time::Duration;

use sim::{Step, Town, for_each_seed};
use tcp::Error;

use crate::LONG;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn echo_requests_to_its_own_addresses_are_answered() {
    for_each_seed(3, |seed| {
        let mut town = Town::new(seed);
        let own = ["192.168.1.1", "fd00:1::1", "10.0.0.1", "fd00:2::1"].map(address);
        let now = town.world.now;
        for (number, to) in (0..).zip(own) {
            town.world.get_mut(town.client).ping(now, to, number);
        }
        town.world.run(Duration::from_secs(5));
        let mut answers = town.world.get(town.client).echoes.clone();
        answers.sort_by_key(|(_, number)| *number);
        assert_eq!(answers, own.into_iter().zip(0..).collect::<Vec<(IpAddr, u16)>>());
        town.world.settle(LONG);
        town.world.no_faults();
    });
}

#[test]
fn it_does_not_answer_for_others() {
    let mut town = Town::new(2);
    let now = town.world.now;
    town.world.get_mut(town.client).ping(now, address("192.168.1.77"), 1);
    town.world.get_mut(town.client).ping(now, address("10.0.0.2"), 2);
    town.world.run(Duration::from_secs(10));
    assert!(town.world.get(town.client).echoes.is_empty());
    town.world.settle(LONG);
}

#[test]
fn its_own_closed_ports_refuse_whom_the_filter_lets_in() {
    let let_in = ("-A INPUT -p icmp -j ACCEPT", "-A INPUT -j ACCEPT");
    for own in ["192.168.1.1:22", "[fd00:1::1]:22"] {
        // The rules take everything of IPv6 but their own network's.
        let returned = ("-A PRintra -d 192.168.1.1 -j RETURN", "-A PRintra -d 192.168.1.1,fd00:1::1 -j RETURN");
        let mut town = Town::changed(3, &[let_in, returned]);
        let call = town.world.connect(town.client, own, &[Step::AwaitReset]);
        town.world.finish(LONG);
        assert_eq!(town.world.report(call).error, Some(Error::Refused));
        town.world.settle(LONG);
        town.world.no_faults();
    }
}
