//! Foreign addresses to listen on and to connect from, as programs ask for them through the control thread.

use control::requests::{Errno, Request};
use control::tproxy::Flags;
use serde_json::Value;
use sim::{Pattern, Progress, Step, Town, for_each_seed};

use crate::LONG;

const TCP: u8 = 6;
/// The rules take nothing: only entries do.
const NO_RULES: (&str, &str) =
    ("-A PRintra -p tcp -j TPROXY --on-port 50000", "-A PRintra -p tcp --dport 443 -j TPROXY --on-port 50000");
/// Where a listener of the gateway stands.
const LOCAL: &str = "192.168.1.1:50000";

fn assign(town: &mut Town, local: &str, foreign: &str) -> Result<Value, Errno> {
    let (local, foreign) = (local.parse().expect("an address"), foreign.parse().expect("an address"));
    let request = Request::Assign { protocol: TCP, local, foreign, reuse: false, expires_ms: None };
    town.world.gateway.request(town.world.now, request)
}

fn set_flags(town: &mut Town, local: &str, flags: Flags) -> Result<Value, Errno> {
    let local = local.parse().expect("an address");
    town.world.gateway.request(town.world.now, Request::Flags { protocol: TCP, local, set: Some(flags) })
}

fn unassign(town: &mut Town, local: &str) -> Result<Value, Errno> {
    let local = local.parse().expect("an address");
    town.world.gateway.request(town.world.now, Request::Unassign { protocol: TCP, local })
}

/// A town whose entry takes connections to `foreign`, under these flags, and a server that really is there.
fn listening(seed: u64, flags: Flags) -> Town {
    let mut town = Town::changed(seed, &[NO_RULES]);
    assign(&mut town, LOCAL, "10.0.0.2:7777").expect("an entry");
    set_flags(&mut town, LOCAL, flags).expect("flags");
    town.world.get_mut(town.server).tcp.listen(7777, &[Step::Echo, Step::Finish]);
    town
}

fn echo() -> [Step; 3] {
    let bytes = Pattern { key: 1, len: 3_000 };
    [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish]
}

#[test]
fn a_foreign_listen_takes_every_connection_until_it_is_unassigned() {
    for_each_seed(3, |seed| {
        let mut town = listening(seed, Flags::LISTEN);
        for _ in 0..3 {
            town.world.connect(town.client, "10.0.0.2:7777", &echo());
        }
        town.world.finish(LONG);
        assert_eq!(town.world.gateway.counter("sessions_served"), 3);
        town.world.settle(LONG);

        unassign(&mut town, LOCAL).expect("it was assigned");
        let late = town.world.connect(town.client, "10.0.0.2:7777", &[Step::AwaitReset]);
        town.world.run(std::time::Duration::from_secs(1));
        assert_eq!(town.world.report(late).established_at, None, "nobody takes it, and the filter forwards nothing");
        assert_eq!(town.world.gateway.counter("sessions_served"), 3);
    });
}

#[test]
fn once_takes_exactly_one_of_two_in_the_same_burst() {
    for_each_seed(20, |seed| {
        let mut town = listening(seed, Flags::LISTEN | Flags::ONCE);
        // Both SYNs wait for the gateway's Ethernet address and then arrive together.
        let calls = [0, 1].map(|_| town.world.connect(town.client, "10.0.0.2:7777", &echo()));
        town.world.run_until(LONG, |world| calls.iter().any(|call| world.report(*call).progress == Progress::Done));
        town.world.run(std::time::Duration::from_secs(2));
        let taken = calls.iter().filter(|call| town.world.report(**call).progress == Progress::Done).count();
        assert_eq!(taken, 1, "exactly one is taken");
        assert_eq!(town.world.accepted(town.server).len(), 1);
        assert_eq!(town.world.gateway.counter("sessions_served"), 1);
        assert!(town.world.gateway.counter("drop_filter_policy") >= 1, "the other goes on as if there were no entry");
    });
}

#[test]
fn an_entry_without_listen_takes_nothing() {
    let mut town = Town::changed(2, &[NO_RULES]);
    assign(&mut town, LOCAL, "10.0.0.2:7777").expect("an entry");
    town.world.get_mut(town.server).tcp.listen(7777, &[Step::Echo, Step::Finish]);
    let call = town.world.connect(town.client, "10.0.0.2:7777", &[Step::AwaitReset]);
    town.world.run(std::time::Duration::from_secs(1));
    assert_eq!(town.world.report(call).established_at, None);
    assert_eq!(town.world.gateway.counter("sessions_served"), 0);
}

#[test]
fn the_same_request_twice_is_refused_by_name() {
    let mut town = Town::new(3);
    assign(&mut town, LOCAL, "10.0.0.2:7777").expect("an entry");
    assert_eq!(assign(&mut town, LOCAL, "10.0.0.2:7778"), Err(Errno::EEXIST));
    unassign(&mut town, LOCAL).expect("it was assigned");
    assert_eq!(unassign(&mut town, LOCAL), Err(Errno::ENOENT));
}

#[test]
fn a_foreign_connect_is_what_the_server_sees() {
    for_each_seed(3, |seed| {
        let service = (
            "anything: { proxy: plug, accept: mirror }",
            "anything: { proxy: plug, accept: immediate, source: \"10.0.0.1:5000\" }",
        );
        let mut town = Town::changed(seed, &[service]);
        assign(&mut town, "10.0.0.1:5000", "192.168.1.99:6000").expect("an entry");
        set_flags(&mut town, "10.0.0.1:5000", Flags::CONNECT).expect("flags");
        town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
        town.world.connect(town.client, "10.0.0.2:80", &echo());
        town.world.finish(LONG);
        assert_eq!(town.world.accepted(town.server)[0].remote.to_string(), "192.168.1.99:6000");
        town.world.settle(LONG);
        town.world.no_faults();
    });
}
