//! Released sessions: the ends speak to each other, and the session is the gateway's all the same.

use std::time::Duration;

use dataplane::limits::Capacity;
use sim::frame::{self, Ip, Network, TCP};
use sim::gateway::{CAPACITY, Settings};
use sim::town::yaml;
use sim::world::Captured;
use sim::{Conditions, ConnectionId, HostId, Pattern, Progress, Random, Step, Town, for_each_seed};
use tcp::{Flags, Header};

use crate::hand::{self, ATTACKER};
use crate::{LONG, SERVERS, at};

const BYTES: Pattern = Pattern { key: 1, len: 50_000 };
const PLUG: &str = "anything: { proxy: plug, accept: mirror }";
const CLIENT: &str = "192.168.1.2";

fn echo() -> [Step; 3] {
    [Step::Exchange(BYTES, BYTES), Step::Finish, Step::AwaitFinish]
}

fn served(seed: u64, server: &str) -> (Town, ConnectionId) {
    let mut town = Town::new(seed);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
    let call = town.world.connect(town.client, &at(server, 80), &echo());
    (town, call)
}

/// The TCP packets on a cable, in order: whose they are, and the IP packet.
fn packets(capture: &[Captured], port: u16) -> Vec<(bool, Ip)> {
    let read = |captured: &Captured| match frame::parse(&captured.frame) {
        Ok((_, Network::Ip(ip))) if ip.protocol == TCP => Some((captured.by_gateway, ip)),
        _ => None,
    };
    capture.iter().filter(|captured| captured.port.0 == port).filter_map(read).collect()
}

#[test]
fn every_packet_arrives_as_it_was_sent_with_one_hop_less() {
    for_each_seed(4, |seed| {
        for server in SERVERS {
            let mut town = Town::new(seed);
            town.world.record();
            town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
            town.world.connect(town.client, &at(server, 80), &echo());
            town.world.finish(LONG);
            town.world.run(Duration::from_secs(1));
            let capture = town.world.capture.take().unwrap_or_default();
            let (inner, outer) = (packets(&capture, 0), packets(&capture, 1));
            // What the gateway sends on one cable is what came on the other, SYN and SYN-ACK included.
            for (sent, came) in [(&inner, &outer), (&outer, &inner)] {
                let sent: Vec<&Ip> = sent.iter().filter(|(gateway, _)| *gateway).map(|(_, ip)| ip).collect();
                let came: Vec<&Ip> = came.iter().filter(|(gateway, _)| !*gateway).map(|(_, ip)| ip).collect();
                assert!(came.len() > 20, "{}", came.len());
                assert_eq!(sent.len(), came.len());
                for (sent, came) in sent.iter().zip(came) {
                    assert_eq!(sent.ttl + 1, came.ttl);
                    assert_eq!((&sent.payload, sent.tos), (&came.payload, came.tos));
                }
            }
            assert_eq!(town.world.gateway.counter("sessions_released"), 1);
            let summary = &town.world.gateway.summaries[0];
            assert_eq!((summary.reason.as_str(), summary.bytes_to_server), ("finished", BYTES.len));
            assert_eq!(summary.bytes_to_client, BYTES.len);
        }
    });
}

#[test]
fn nothing_is_held_but_a_record_and_it_goes_after_a_minute() {
    let (mut town, call) = served(3, SERVERS[0]);
    town.world.run_until(LONG, |world| world.report(call).established_at.is_some());
    town.world.run(Duration::from_micros(500));
    let audit = town.world.gateway.audit();
    assert_eq!((audit.sessions, audit.released, audit.sockets, audit.flows), (1, 1, 0, 2), "{audit:?}");
    town.world.run(Duration::from_secs(2));
    assert_eq!(town.world.report(call).bytes, (BYTES.len, BYTES.len));
    let audit = town.world.gateway.audit();
    assert_eq!((audit.sessions, audit.released, audit.lingering, audit.flows), (0, 0, 1, 2), "{audit:?}");
    town.world.run(Duration::from_secs(61));
    assert_eq!(town.world.gateway.audit(), Default::default());
    town.world.settle(LONG);
}

#[test]
fn bytes_are_equal_over_bad_cables_and_each_is_counted_once() {
    for_each_seed(40, |seed| {
        let mut random = Random::new(seed ^ 0x5e1f);
        let (mut town, call) = served(seed, SERVERS[(seed % 2) as usize]);
        // The handshake is no subject here: neighbours whose answers are lost count as not there.
        town.world.run_until(LONG, |world| world.report(call).established_at.is_some());
        for interface in ["intra", "dmz"] {
            town.world.set(interface, Conditions::bad(&mut random));
        }
        town.world.run_until(Duration::from_secs(7_200), |world| world.report(call).closed);
        town.world.set_all(Conditions::CLEAN);
        town.world.settle(Duration::from_secs(7_200));
        assert_eq!(town.world.report(call).bytes, (BYTES.len, BYTES.len));
        assert_eq!(town.world.gateway.counter("sessions_released"), 1);
        let summary = &town.world.gateway.summaries[0];
        assert_eq!((summary.bytes_to_server, summary.bytes_to_client), (BYTES.len, BYTES.len), "{summary:?}");
    });
}

/// Two ends that say something, are silent for some time, and then go on.
fn quiet(town: &mut Town, silence: Duration) -> ConnectionId {
    town.world.get_mut(town.server).tcp.listen(81, &[Step::Echo, Step::Finish]);
    let steps = [
        Step::Exchange(BYTES, BYTES),
        Step::Wait(silence),
        Step::Exchange(BYTES, BYTES),
        Step::Finish,
        Step::AwaitFinish,
    ];
    town.world.connect(town.client, &at(SERVERS[0], 81), &steps)
}

#[test]
fn silence_ends_it_and_both_ends_hear_of_it() {
    let mut town = Town::changed(5, &[(PLUG, "anything: { proxy: plug, accept: mirror, idle_s: 30 }")]);
    town.world.get_mut(town.server).tcp.listen(81, &[Step::Exchange(BYTES, BYTES), Step::AwaitReset]);
    town.world.connect(town.client, "10.0.0.2:81", &[Step::Exchange(BYTES, BYTES), Step::AwaitReset]);
    town.world.run(Duration::from_secs(29));
    assert_eq!(town.world.gateway.audit().released, 1);
    town.world.run(Duration::from_secs(2));
    assert_eq!(town.world.gateway.summaries[0].reason, "idle_timeout");
    town.world.finish(LONG);
    town.world.settle(LONG);
    // One that speaks in time goes on.
    let mut town = Town::changed(5, &[(PLUG, "anything: { proxy: plug, accept: mirror, idle_s: 30 }")]);
    let call = quiet(&mut town, Duration::from_secs(25));
    town.world.run_until(LONG, |world| world.report(call).closed);
    assert_eq!(town.world.report(call).bytes, (2 * BYTES.len, 2 * BYTES.len));
}

#[test]
fn keep_alives_pass_and_keep_nothing_alive() {
    let mut town = Town::changed(5, &[(PLUG, "anything: { proxy: plug, accept: mirror, idle_s: 60 }")]);
    let attacker = hand::attacker(&mut town);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::AwaitReset]);
    let answer = hand::handshake(&mut town, attacker, SERVERS[0], &hand::syn((4_000, 80), 7));
    hand::received(&mut town, attacker);
    for _ in 0..5 {
        town.world.run(Duration::from_secs(10));
        // RFC 9293 3.8.4: "a sequence number of SND.NXT-1" and no data; the server answers, and not the gateway.
        let probe = hand::segment((4_000, 80), Flags::ACK, 7, answer.seq.0.wrapping_add(1));
        hand::send(&mut town, attacker, ATTACKER, SERVERS[0], &probe, &[]);
        town.world.run(Duration::from_millis(10));
        assert_eq!(hand::received(&mut town, attacker).len(), 1);
    }
    town.world.run(Duration::from_secs(11));
    assert_eq!(town.world.gateway.summaries[0].reason, "idle_timeout");
    let last = hand::received(&mut town, attacker).pop().expect("a reset").0;
    assert!(last.flags.contains(Flags::RST) && last.seq.0 == answer.seq.0.wrapping_add(1), "{last:?}");
}

#[test]
fn a_blind_reset_ends_nothing() {
    for_each_seed(2, |seed| {
        let mut town = Town::new(seed);
        let attacker = hand::attacker(&mut town);
        let call = quiet(&mut town, Duration::from_secs(5));
        town.world.run(Duration::from_secs(1));
        let port = town.world.report(call).local.port();
        for _ in 0..20_000 {
            let seq = town.world.random.number() as u32;
            let header = hand::segment((port, 81), Flags::RST, seq, 0);
            hand::send(&mut town, attacker, CLIENT, SERVERS[0], &header, &[]);
            town.world.run(Duration::from_micros(50));
        }
        let gateway = &town.world.gateway;
        // Most are outside of any window and go no further. The others are for the server to judge (RFC 5961).
        assert!(gateway.counter("tracking_reset_outside") > 10_000, "{}", gateway.state());
        assert_eq!(gateway.audit().released, 1, "{}", gateway.state());
        town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
        assert_eq!(town.world.report(call).bytes, (2 * BYTES.len, 2 * BYTES.len));
        town.world.settle(LONG);
    });
}

#[test]
fn blind_data_and_fins_move_nothing() {
    for_each_seed(2, |seed| {
        let mut town = Town::new(seed);
        let attacker = hand::attacker(&mut town);
        let call = quiet(&mut town, Duration::from_secs(5));
        town.world.run(Duration::from_secs(1));
        let port = town.world.report(call).local.port();
        for n in 0..5_000u32 {
            let (seq, ack) = (town.world.random.number() as u32, town.world.random.number() as u32);
            let flags = if n % 2 == 0 { Flags::ACK } else { Flags::ACK | Flags::FIN };
            let header = hand::segment((port, 81), flags, seq, ack);
            hand::send(&mut town, attacker, CLIENT, SERVERS[0], &header, &[7; 100]);
            town.world.run(Duration::from_micros(100));
        }
        town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
        assert_eq!(town.world.report(call).bytes, (2 * BYTES.len, 2 * BYTES.len));
        town.world.settle(LONG);
        assert_eq!(town.world.gateway.summaries[0].bytes_to_server, 2 * BYTES.len, "forged bytes do not count");
    });
}

#[test]
fn a_reset_that_was_lost_is_asked_for_again() {
    let mut town = Town::new(1);
    let attacker = hand::attacker(&mut town);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::AwaitReset]);
    let answer = hand::handshake(&mut town, attacker, SERVERS[0], &hand::syn((4_000, 80), 7));
    let next = answer.seq.0.wrapping_add(1);
    // The server never gets these hundred bytes, nor what was sent before them as far as it knows.
    town.world.set("dmz", Conditions { loss: 1.0, ..Conditions::CLEAN });
    let data = hand::segment((4_000, 80), Flags::ACK, 8, next);
    hand::send(&mut town, attacker, ATTACKER, SERVERS[0], &data, &[1; 100]);
    town.world.run(Duration::from_millis(50));
    town.world.set_all(Conditions::CLEAN);
    let reset = hand::segment((4_000, 80), Flags::RST | Flags::ACK, 108, next);
    hand::send(&mut town, attacker, ATTACKER, SERVERS[0], &reset, &[]);
    town.world.run(Duration::from_millis(50));
    // To the server that reset is in the window and not exact: RFC 5961 has it ask, and it is heard.
    let asked = hand::received(&mut town, attacker).pop().expect("a challenge").0;
    assert_eq!((asked.flags, asked.ack.0), (Flags::ACK, 8));
    hand::send(&mut town, attacker, ATTACKER, SERVERS[0], &hand::segment((4_000, 80), Flags::RST, 8, 0), &[]);
    town.world.finish(LONG);
    assert_eq!(town.world.gateway.summaries[0].reason, "client_reset");
    assert_eq!(town.world.gateway.summaries.len(), 1);
    town.world.settle(LONG);
}

#[test]
fn the_ends_hear_what_the_network_says() {
    let (mut town, call) = served(4, SERVERS[0]);
    let attacker = hand::attacker(&mut town);
    let long = Pattern { key: 5, len: 3_000_000 };
    let steps = [Step::Exchange(long, long), Step::Finish, Step::AwaitFinish];
    let call = (call, town.world.connect(town.client, "10.0.0.2:80", &steps)).1;
    let puppet = hand::puppet(&mut town);
    town.world.set_all(Conditions { delay: Duration::from_millis(5), ..Conditions::CLEAN });
    town.world.run(Duration::from_millis(300));
    let largest = |town: &mut Town| {
        town.world.record();
        town.world.run(Duration::from_millis(200));
        let capture = town.world.capture.take().unwrap_or_default();
        packets(&capture, 1).into_iter().filter(|(gateway, _)| *gateway).map(|(_, ip)| ip).collect::<Vec<_>>()
    };
    let last = largest(&mut town).into_iter().rfind(|ip| ip.payload.len() > 1_000).expect("data");
    let header = Header::parse(&last.payload).expect("a header").0;
    let error = hand::too_big(hand::PUPPET, (CLIENT, SERVERS[0]), &header, 1_000);
    say(&mut town, puppet, error);
    town.world.run(Duration::from_millis(50));
    let after = largest(&mut town);
    let small = after.iter().filter(|ip| ip.payload.len() <= 980).count();
    assert!(small * 10 >= after.len() * 8, "{small} of {}", after.len());
    assert_eq!(town.world.gateway.counter("icmp_delivered"), 1);
    town.world.finish(LONG);
    assert_eq!(town.world.report(call).bytes.1, long.len);
    let _ = attacker;
    town.world.settle(LONG);
}

fn say(town: &mut Town, from: HostId, error: Ip) {
    let now = town.world.now;
    town.world.get_mut(from).send(now, error);
}

#[test]
fn those_that_linger_make_room_for_new_ones() {
    let limits = Capacity { flows: 12, sessions: 8, ..CAPACITY };
    let mut town = Town::with(2, &[], &Settings { limits, ..Settings::default() });
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
    for _ in 0..20 {
        let call = town.world.connect(town.client, "10.0.0.2:80", &echo());
        town.world.run(Duration::from_secs(1));
        assert_eq!(town.world.report(call).bytes, (BYTES.len, BYTES.len));
        assert!(town.world.gateway.audit().lingering <= limits.lingering());
    }
    assert_eq!(town.world.gateway.counter("flow_table_full"), 0);
    assert!(town.world.gateway.counter("time_wait_evicted") > 0, "{}", town.world.gateway.state());
    town.world.settle(LONG);
}

#[test]
fn a_new_connection_takes_the_tuple_over() {
    for_each_seed(3, |seed| {
        let mut town = Town::new(seed);
        for host in [town.client, town.server] {
            town.world.get_mut(host).tcp.config.time_wait = Duration::from_millis(100);
        }
        town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
        let (local, remote) = ("192.168.1.2:4000", "10.0.0.2:80");
        for round in 1..=3 {
            let (now, client) = (town.world.now, town.world.get_mut(town.client));
            let (local, remote) = (local.parse().expect("an address"), remote.parse().expect("an address"));
            client.connect_from(now, local, remote, &echo());
            town.world.run(Duration::from_secs(1));
            assert_eq!(town.world.gateway.summaries.len(), round);
            let audit = town.world.gateway.audit();
            assert_eq!((audit.lingering, audit.flows), (1, 2), "{audit:?}");
        }
        town.world.settle(LONG);
    });
}

#[test]
fn the_operator_sees_it_and_may_forbid_it() {
    let mut town = Town::new(1);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Exchange(BYTES, BYTES), Step::AwaitReset]);
    town.world.connect(town.client, "10.0.0.2:80", &[Step::Exchange(BYTES, BYTES), Step::AwaitReset]);
    town.world.run(Duration::from_secs(3));
    let flows = town.world.gateway.flows(town.world.now);
    let flow = flows.iter().find(|flow| flow.destination.port() == 80).expect("it is listed");
    assert_eq!((flow.state.as_str(), flow.step.as_str()), ("released", "proxy"));
    assert_eq!((flow.bytes_to_server, flow.bytes_to_client), (BYTES.len, BYTES.len));
    assert!((2_000..=3_000).contains(&flow.idle_ms), "{}", flow.idle_ms);
    let closed =
        ("-A PRintra -p tcp -j TPROXY --on-port 50000", "-A PRintra -p tcp --dport 443 -j TPROXY --on-port 50000");
    town.world.gateway.reload_and_redecide(town.world.now, &yaml(&[closed])).expect("a good configuration");
    town.world.finish(LONG);
    let summary = &town.world.gateway.summaries[0];
    assert_eq!((summary.reason.as_str(), summary.bytes_to_server), ("cut", BYTES.len));
    town.world.settle(LONG);
}

#[test]
fn a_service_that_keeps_its_sessions_or_has_to_look_releases_none() {
    let kept = [
        "anything: { proxy: plug, accept: mirror, release: never }",
        "anything: { proxy: plug, accept: mirror, plug: { to_server: { bytes_max: 1000000 } } }",
        "anything: { proxy: plug, accept: mirror, plug: { to_client: { bytes_per_s: 10000000 } } }",
    ];
    for service in kept {
        let mut town = Town::changed(1, &[(PLUG, service)]);
        town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
        town.world.connect(town.client, "10.0.0.2:80", &echo());
        town.world.finish(LONG);
        let counter = |name| town.world.gateway.counter(name);
        assert_eq!((counter("sessions_served"), counter("sessions_released")), (1, 0), "{service}");
    }
}
