//! `reload --redecide`: flows that the new policy forbids are cut, the others go on.

use std::time::Duration;

use sim::town::yaml;
use sim::{Pattern, Step, Town};

use crate::{LONG, udp};

const CLOSED: (&str, &str) =
    ("-A PRintra -p tcp -j TPROXY --on-port 50000", "-A PRintra -p tcp --dport 443 -j TPROXY --on-port 50000");

#[test]
fn sessions_that_the_new_policy_forbids_are_reset_and_the_others_go_on() {
    let mut town = Town::new(1);
    for port in [80, 443] {
        town.world.get_mut(town.server).tcp.listen(port, &[Step::Echo, Step::Finish]);
    }
    let bytes = Pattern { key: 1, len: 2_000 };
    let long = |end: &[Step]| {
        let mut steps = vec![Step::Exchange(bytes, bytes), Step::Wait(Duration::from_secs(5))];
        steps.extend_from_slice(end);
        steps
    };
    let forbidden = town.world.connect(town.client, "10.0.0.2:80", &long(&[Step::AwaitReset]));
    let permitted = town.world.connect(
        town.client,
        "10.0.0.2:443",
        &long(&[Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish]),
    );
    town.world.run(Duration::from_secs(2));
    town.world.gateway.reload_and_redecide(town.world.now, &yaml(&[CLOSED])).expect("a good configuration");
    town.world.run(Duration::from_secs(2));
    assert_eq!(town.world.gateway.counter("redecided_sessions"), 1);
    let summary = town.world.gateway.summaries.last().expect("a record").clone();
    assert_eq!((summary.destination.port(), summary.reason.as_str()), (80, "cut"));
    town.world.run_until(LONG, |world| world.report(permitted).closed && world.report(forbidden).closed);
    assert_eq!(town.world.report(permitted).bytes, (4_000, 4_000));
    assert!(town.world.gateway.notices.iter().any(|line| line.contains("forbids 1 flows")));
}

#[test]
fn a_reload_alone_cuts_nothing() {
    let mut town = Town::new(1);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
    let bytes = Pattern { key: 1, len: 2_000 };
    let steps = [
        Step::Exchange(bytes, bytes),
        Step::Wait(Duration::from_secs(5)),
        Step::Exchange(bytes, bytes),
        Step::Finish,
        Step::AwaitFinish,
    ];
    let flow = town.world.connect(town.client, "10.0.0.2:80", &steps);
    town.world.run(Duration::from_secs(2));
    town.world.gateway.reload(town.world.now, &yaml(&[CLOSED])).expect("a good configuration");
    town.world.run_until(LONG, |world| world.report(flow).closed);
    assert_eq!(town.world.report(flow).bytes, (4_000, 4_000));
    assert_eq!(town.world.gateway.counter("redecided_sessions"), 0);
}

/// More flows than a turn looks at: all of them are found, in turns.
#[test]
fn many_flows_are_cut_in_many_turns() {
    const FLOWS: usize = 300;
    let mut town = Town::new(1);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::AwaitFinish, Step::Finish]);
    for _ in 0..FLOWS {
        town.world.connect(town.client, "10.0.0.2:80", &[Step::AwaitReset]);
    }
    town.world.run(Duration::from_secs(5));
    assert_eq!(town.world.gateway.audit().sessions, FLOWS);
    town.world.gateway.reload_and_redecide(town.world.now, &yaml(&[CLOSED])).expect("a good configuration");
    town.world.run(Duration::from_secs(5));
    assert_eq!(town.world.gateway.counter("redecided_sessions"), FLOWS as u64);
    assert_eq!(town.world.gateway.audit().sessions, 0);
}

/// Datagrams of a service: its sessions are held against the new policy as connections are.
#[test]
fn a_datagram_session_that_the_new_policy_forbids_is_over() {
    let (client, server) = ("192.168.1.2:5000", "10.0.0.2:53");
    let (other, allowed) = ("192.168.1.2:5001", "10.0.0.2:54");
    let forbid = (
        udp::TAKEN.0,
        "-A PRintra -p tcp -j TPROXY --on-port 50000\n  -A PRintra -p udp --dport 54 -j TPROXY --on-port 50000",
    );
    let mut town = Town::changed(1, &[udp::TAKEN]);
    for (from, to) in [(client, server), (other, allowed)] {
        udp::say(&mut town.world, town.client, from, to, b"who?");
    }
    town.world.run(Duration::from_millis(100));
    for (from, to) in [(client, server), (other, allowed)] {
        udp::say(&mut town.world, town.server, to, from, b"me");
    }
    town.world.run(Duration::from_millis(100));
    assert_eq!(udp::heard(&mut town.world, town.client).len(), 2);
    assert_eq!(udp::heard(&mut town.world, town.server).len(), 2);

    town.world.gateway.reload_and_redecide(town.world.now, &yaml(&[forbid])).expect("a good configuration");
    town.world.run(Duration::from_secs(1));
    assert_eq!(town.world.gateway.counter("redecided_sessions"), 1);
    let summary = town.world.gateway.summaries.last().expect("a record").clone();
    assert_eq!((summary.destination.port(), summary.reason.as_str()), (53, "cut"));
    // Neither side gets through any more; the other session goes on.
    udp::say(&mut town.world, town.client, client, server, b"still there?");
    udp::say(&mut town.world, town.server, server, client, b"still there?");
    udp::say(&mut town.world, town.client, other, allowed, b"and you?");
    town.world.run(Duration::from_millis(100));
    assert_eq!(udp::heard(&mut town.world, town.client).len(), 0);
    let heard = udp::heard(&mut town.world, town.server);
    assert_eq!((heard.len(), heard[0].2.as_slice()), (1, &b"and you?"[..]));
}

/// A session by a listener that takes one: the listener is over, and the session stays.
#[test]
fn the_one_connection_of_a_listener_is_permitted_still() {
    let one = ("{ port: 50000, service: anything }", "{ port: 50000, service: anything, accept_one: true }");
    let mut town = Town::changed(1, &[one]);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
    let bytes = Pattern { key: 1, len: 2_000 };
    let steps = [
        Step::Exchange(bytes, bytes),
        Step::Wait(Duration::from_secs(5)),
        Step::Exchange(bytes, bytes),
        Step::Finish,
        Step::AwaitFinish,
    ];
    let flow = town.world.connect(town.client, "10.0.0.2:80", &steps);
    town.world.run(Duration::from_secs(2));
    town.world.gateway.reload_and_redecide(town.world.now, &yaml(&[one])).expect("a good configuration");
    town.world.run_until(LONG, |world| world.report(flow).closed);
    assert_eq!(town.world.report(flow).bytes, (4_000, 4_000));
    assert_eq!(town.world.gateway.counter("redecided_sessions"), 0);
    // A reload is no new listener.
    town.world.connect(town.client, "10.0.0.2:80", &[Step::AwaitReset]);
    town.world.run(Duration::from_millis(900));
    assert_eq!(town.world.gateway.counter("drop_no_listener"), 1);
}
