//! Servers that are not there: the client learns the same, in the same way, as without a gateway.

use std::time::Duration;

use sim::host::sockets::Report;
use sim::{Progress, Step, Town, for_each_seed};
use tcp::{Error, State};

use crate::{LONG, SERVERS, at};

/// Connects and gives what the client was told, and how long that took.
fn call(town: &mut Town, remote: &str) -> Report {
    let call = town.world.connect(town.client, remote, &[Step::AwaitReset]);
    town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
    let report = town.world.report(call).clone();
    town.world.settle(LONG);
    town.world.no_faults();
    report
}

#[test]
fn a_closed_port_refuses() {
    for_each_seed(3, |seed| {
        for address in SERVERS {
            let mut town = Town::new(seed);
            let report = call(&mut town, &at(address, 81));
            assert_eq!((report.error, report.established_at), (Some(Error::Refused), None));
            assert!(report.ended_at.expect("it ended") - report.opened_at < Duration::from_secs(1));
            assert_eq!(town.world.gateway.summaries.len(), 1);
        }
    });
}

#[test]
fn a_router_behind_says_unreachable() {
    for_each_seed(3, |seed| {
        for (address, kind) in [("198.51.101.9", (3, 1)), ("2001:db8:98::9", (1, 3))] {
            let mut town = Town::new(seed);
            let call = town.world.connect(town.client, &at(address, 80), &[Step::AwaitReset]);
            town.world.run_until(Duration::from_secs(2), |world| !world.get(town.client).icmp.is_empty());
            let told = town.world.get(town.client).icmp[0].clone();
            let report = town.world.report(call).clone();
            assert_eq!(told.kind, kind);
            assert_eq!(told.about, (report.local, report.remote), "the error is about the client's own segment");
            assert_eq!(report.established_at, None);
            town.world.get_mut(town.router).unreachable.clear();
            town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
            town.world.settle(LONG);
        }
    });
}

#[test]
fn a_neighbour_that_is_not_there_is_unreachable() {
    for_each_seed(3, |seed| {
        for (address, kind) in [("10.0.0.77", (3, 1)), ("fd00:2::77", (1, 3))] {
            let mut town = Town::new(seed);
            let call = town.world.connect(town.client, &at(address, 80), &[Step::AwaitReset]);
            town.world.run_until(Duration::from_secs(10), |world| !world.get(town.client).icmp.is_empty());
            let told = town.world.get(town.client).icmp.first().cloned().expect("an ICMP error");
            assert_eq!(told.kind, kind);
            assert_eq!(told.about.0, town.world.report(call).local);
            town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
            town.world.settle(LONG);
        }
    });
}

#[test]
fn a_silent_server_is_silent() {
    for address in SERVERS {
        let mut town = Town::new(4);
        town.world.get_mut(town.server).tcp.refuses = false;
        let call = town.world.connect(town.client, &at(address, 81), &[Step::AwaitReset]);
        town.world.run(Duration::from_secs(20));
        let report = town.world.report(call);
        assert_eq!((report.state, report.error), (State::SynSent, None), "nothing comes back");
        assert!(town.world.get(town.client).icmp.is_empty());
        town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
        assert_eq!(town.world.report(call).error, Some(Error::TimedOut));
        town.world.settle(LONG);
    }
}

#[test]
fn a_port_that_opens_while_the_client_tries_is_reached() {
    let mut town = Town::new(5);
    town.world.get_mut(town.server).tcp.refuses = false;
    let call = town.world.connect(town.client, "10.0.0.2:80", &[Step::receive(1, 10), Step::AwaitFinish, Step::Finish]);
    town.world.run(Duration::from_secs(5));
    town.world.get_mut(town.server).tcp.listen(80, &[Step::send(1, 10), Step::Finish, Step::AwaitFinish]);
    town.world.finish(LONG);
    assert_eq!(town.world.report(call).bytes.1, 10);
    town.world.settle(LONG);
}
