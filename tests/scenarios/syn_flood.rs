//! A SYN flood: SYN cookies take over when handshakes pass their budget, and go when it is over.

use std::time::Duration;

use dataplane::limits::Capacity;
use sim::gateway::{CAPACITY, Settings};
use sim::{Pattern, Progress, Step, Town, for_each_seed};
use tcp::{Error, Flags, Header};

use crate::hand::{self, ATTACKER};
use crate::{LONG, SERVERS, at};

const BUDGET: usize = 64;

/// A town whose gateway keeps few handshakes, and whose uplink swallows SYNs.
fn town(seed: u64) -> Town {
    let limits = Capacity { half_open: BUDGET, ..CAPACITY };
    let mut town = Town::with(seed, &[], &Settings { limits, ..Settings::default() });
    town.world.get_mut(town.router).tcp.refuses = false;
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
    town
}

/// Forged SYNs, one every 100 microseconds.
fn flood(town: &mut Town, attacker: sim::HostId, ports: std::ops::Range<u16>) {
    for port in ports {
        hand::send(town, attacker, ATTACKER, "198.51.100.9", &hand::syn((port, 80), 7), &[]);
        town.world.run(Duration::from_micros(100));
    }
}

#[test]
fn syn_flood_leaves_honest_connections_alone_and_the_mirror_comes_back() {
    for_each_seed(2, |seed| {
        let mut town = town(seed);
        let attacker = hand::attacker(&mut town);
        let bytes = Pattern { key: 1, len: 20_000 };
        let client = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
        let mut calls = Vec::new();
        for round in 0..20 {
            flood(&mut town, attacker, 1_000 + round * 100..1_100 + round * 100);
            let server = at(SERVERS[usize::from(round % 2)], 80);
            calls.push(town.world.connect(town.client, &server, &client));
            let held = town.world.gateway.audit().half_open;
            assert!(held <= BUDGET * 3 / 4, "one interface's share: {held}");
        }
        // While it lasts: within a second, not when the flood's handshakes are given up.
        town.world.run(Duration::from_secs(1));
        for call in &calls {
            assert_eq!(town.world.report(*call).progress, Progress::Done, "{:?}", town.world.report(*call));
        }
        let gateway = &town.world.gateway;
        assert!(gateway.counter("syn_cookie_sent") > 1_900, "{}", gateway.state());
        let proven = gateway.counter("syn_cookie_good");
        assert!(proven >= 19, "{}", gateway.state());
        assert_eq!((gateway.counter("flood_began"), gateway.counter("flood_ended")), (1, 0));
        assert!(gateway.notices.iter().any(|line| line.contains("SYN flood")), "{:?}", gateway.notices);
        // Over: the handshakes of the flood are given up, and the next one is mirrored.
        town.world.run(Duration::from_secs(60));
        town.world.record();
        let late = town.world.connect(town.client, &at(SERVERS[0], 80), &client);
        town.world.finish(LONG);
        assert_eq!(town.world.report(late).bytes, (20_000, 20_000));
        let gateway = &town.world.gateway;
        assert_eq!((gateway.counter("flood_ended"), gateway.counter("syn_cookie_good")), (1, proven));
        let capture = town.world.capture.clone().unwrap_or_default();
        let syn = |seen: Vec<Header>| seen.into_iter().find(|header| header.flags == Flags::SYN).map(|syn| syn.seq);
        assert_eq!(syn(hand::segments(&capture, 1, true)), syn(hand::segments(&capture, 0, false)), "mirrored");
        town.world.settle(LONG);
        town.world.no_faults();
    });
}

#[test]
fn syn_flood_on_one_interface_is_no_flood_on_another() {
    let mut town = town(2);
    let attacker = hand::attacker(&mut town);
    flood(&mut town, attacker, 1_000..1_200);
    assert_eq!(town.world.gateway.counter("flood_began"), 1);
    assert_eq!(town.world.gateway.audit().half_open, BUDGET * 3 / 4, "a quarter is left for others");
    town.world.settle(LONG);
}

#[test]
fn a_server_that_refuses_resets_who_brought_a_cookie() {
    let mut town = town(3);
    let attacker = hand::attacker(&mut town);
    flood(&mut town, attacker, 1_000..1_100);
    let call = town.world.connect(town.client, &at(SERVERS[0], 81), &[Step::AwaitReset]);
    town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
    let report = town.world.report(call);
    assert!(report.established_at.is_some(), "it was answered first");
    assert_eq!(report.error, Some(Error::Reset));
    town.world.settle(LONG);
}

#[test]
fn a_cookie_keeps_window_scale_and_sack_if_there_are_timestamps() {
    let mut town = town(4);
    let attacker = hand::attacker(&mut town);
    flood(&mut town, attacker, 1_000..1_100);
    // More than a window without scale, over a link with some delay: without one it would take more than six seconds.
    town.world.set("intra", sim::Conditions { delay: Duration::from_millis(50), ..sim::Conditions::CLEAN });
    let bytes = Pattern { key: 1, len: 4_000_000 };
    let server = [Step::Exchange(bytes, Pattern { key: 0, len: 0 }), Step::Finish, Step::AwaitFinish];
    town.world.get_mut(town.server).tcp.listen(80, &server);
    let client = [Step::Exchange(Pattern { key: 0, len: 0 }, bytes), Step::AwaitFinish, Step::Finish];
    let call = town.world.connect(town.client, &at(SERVERS[0], 80), &client);
    town.world.finish(LONG);
    assert!(town.world.gateway.counter("syn_cookie_good") == 1, "{}", town.world.gateway.state());
    let syn = town.world.report(call).peer_syn.expect("a SYN-ACK");
    assert!(syn.options.window_scale.is_some() && syn.options.sack_permitted);
    let took = town.world.report(call).ended_at.expect("it ended") - town.world.report(call).opened_at;
    assert!(took < Duration::from_secs(4), "{took:?}");
    town.world.settle(LONG);
}

#[test]
fn forged_and_replayed_cookies_open_nothing() {
    for_each_seed(2, |seed| {
        let mut town = town(seed);
        let attacker = hand::attacker(&mut town);
        flood(&mut town, attacker, 1_000..1_100);
        let ask = |town: &mut Town, port: u16| {
            hand::received(town, attacker);
            hand::send(town, attacker, ATTACKER, SERVERS[0], &hand::syn((port, 80), 7), &[]);
            town.world.run(Duration::from_millis(10));
            let answer = hand::received(town, attacker).into_iter().find(|(header, _)| header.dst_port == port);
            answer.expect("a SYN-ACK").0
        };
        let acknowledge = |town: &mut Town, port: u16, ack: u32| {
            let header = hand::segment((port, 80), Flags::ACK, 8, ack);
            hand::send(town, attacker, ATTACKER, SERVERS[0], &header, &[]);
            town.world.run(Duration::from_millis(10));
        };
        let cookie = ask(&mut town, 9_000).seq.0.wrapping_add(1);
        let late = ask(&mut town, 9_001).seq.0.wrapping_add(1);
        for _ in 0..500 {
            let guess = town.world.random.number() as u32;
            acknowledge(&mut town, 9_002, guess);
        }
        acknowledge(&mut town, 9_003, cookie);
        let gateway = &town.world.gateway;
        assert_eq!((gateway.counter("syn_cookie_bad"), gateway.counter("syn_cookie_good")), (501, 0));
        assert_eq!(gateway.audit().sessions, 0, "another's cookie is none");
        acknowledge(&mut town, 9_000, cookie);
        acknowledge(&mut town, 9_000, cookie);
        assert_eq!(town.world.gateway.counter("syn_cookie_good"), 1, "the second is the connection's own");
        assert_eq!(town.world.gateway.audit().sessions, 1);
        let reset = hand::segment((9_000, 80), Flags::RST, 8, 0);
        hand::send(&mut town, attacker, ATTACKER, SERVERS[0], &reset, &[]);
        // Three minutes later, in another flood, the old cookie is known and not believed.
        town.world.run(Duration::from_secs(180));
        flood(&mut town, attacker, 2_000..2_100);
        hand::received(&mut town, attacker);
        acknowledge(&mut town, 9_001, late);
        assert_eq!(town.world.gateway.counter("syn_cookie_expired"), 1, "{}", town.world.gateway.state());
        let told: Vec<Header> = hand::received(&mut town, attacker).into_iter().map(|(header, _)| header).collect();
        assert!(told.iter().any(|header| header.flags == Flags::RST && header.seq.0 == late), "{told:?}");
        town.world.settle(LONG);
    });
}
