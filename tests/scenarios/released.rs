//! Released sessions: the ends speak to each other, and the session is the gateway's all the same.

use std::time::Duration;

use dataplane::limits::Capacity;
use sim::frame::{self, Ip, Network, TCP};
use sim::gateway::{CAPACITY, Settings};
use sim::host::sockets::Habits;
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

/// A plug that answers at once: each end agreed with the gateway, so numbers, clocks and windows differ.
fn immediate(seed: u64, habits: (Habits, Habits)) -> Town {
    let mut town = Town::new(seed);
    town.world.get_mut(town.client).tcp.habits = habits.0;
    town.world.get_mut(town.server).tcp.habits = habits.1;
    town.world.get_mut(town.server).tcp.listen(8080, &[Step::Echo, Step::Finish]);
    town
}

#[test]
fn two_connections_become_one_in_the_middle_of_it_and_no_byte_is_lost() {
    for_each_seed(80, |seed| {
        let mut random = Random::new(seed ^ 0xab1e);
        let scale = |random: &mut Random| Some(random.below(15) as u8);
        let client = Habits { window_scale: scale(&mut random), ..Habits::MODERN };
        let server = Habits { window_scale: scale(&mut random), ..Habits::MODERN };
        let mut town = immediate(seed, (client, server));
        let bytes = Pattern { key: 3, len: 1 + random.below(300_000) };
        let pause = Step::Wait(Duration::from_millis(random.below(300)));
        let steps =
            [Step::Exchange(bytes, bytes), pause, Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
        let call = town.world.connect(town.client, &at(SERVERS[(seed % 2) as usize], 8080), &steps);
        town.world.run_until(LONG, |world| world.report(call).established_at.is_some());
        for interface in ["intra", "dmz"] {
            town.world.set(interface, Conditions::bad(&mut random));
        }
        town.world.run_until(Duration::from_secs(7_200), |world| world.report(call).closed);
        assert_eq!(town.world.report(call).bytes, (2 * bytes.len, 2 * bytes.len), "{}", town.world.gateway.state());
        town.world.set_all(Conditions::CLEAN);
        town.world.settle(Duration::from_secs(7_200));
        let summary = &town.world.gateway.summaries[0];
        assert_eq!((summary.bytes_to_server, summary.bytes_to_client), (2 * bytes.len, 2 * bytes.len), "{summary:?}");
        assert_eq!(town.world.gateway.counter("sessions_released"), 1, "{}", town.world.gateway.state());
        assert_eq!(town.world.gateway.counter("release_mismatch"), 0);
    });
}

#[test]
fn it_is_released_at_the_first_quiet_moment_and_the_numbers_are_translated() {
    for server in SERVERS {
        let mut town = immediate(4, (Habits::MODERN, Habits::MODERN));
        let steps = [
            Step::Exchange(BYTES, BYTES),
            Step::Wait(Duration::from_secs(2)),
            Step::Exchange(BYTES, BYTES),
            Step::Finish,
            Step::AwaitFinish,
        ];
        let call = town.world.connect(town.client, &at(server, 8080), &steps);
        town.world.run(Duration::from_secs(1));
        let audit = town.world.gateway.audit();
        assert_eq!((audit.released, audit.sockets), (1, 0), "{audit:?}, {}", town.world.gateway.state());
        town.world.record();
        town.world.run_until(LONG, |world| world.report(call).progress == Progress::Done);
        let capture = town.world.capture.take().unwrap_or_default();
        let (inner, outer) = (packets(&capture, 0), packets(&capture, 1));
        let came: Vec<Header> = inner
            .iter()
            .filter(|(gateway, _)| !*gateway)
            .filter_map(|(_, ip)| Some(Header::parse(&ip.payload).ok()?.0))
            .collect();
        let sent: Vec<Header> = outer
            .iter()
            .filter(|(gateway, _)| *gateway)
            .filter_map(|(_, ip)| Some(Header::parse(&ip.payload).ok()?.0))
            .collect();
        assert!(came.len() > 20 && sent.len().abs_diff(came.len()) <= 1, "{} {}", came.len(), sent.len());
        let shift = |a: &Header, b: &Header| (b.seq.0.wrapping_sub(a.seq.0), b.ack.0.wrapping_sub(a.ack.0));
        let first = shift(&came[0], &sent[0]);
        assert!(first.0 != 0 && first.1 != 0, "{first:?}");
        assert!(came.iter().zip(&sent).all(|(came, sent)| shift(came, sent) == first));
        town.world.settle(LONG);
        assert_eq!(town.world.gateway.summaries[0].bytes_to_server, 2 * BYTES.len);
    }
}

#[test]
fn ends_that_agreed_on_different_things_stay_apart() {
    let timeless = Habits { timestamps: false, ..Habits::MODERN };
    for (client, server) in [(timeless, Habits::MODERN), (Habits::MODERN, timeless)] {
        let mut town = immediate(4, (client, server));
        let call = town.world.connect(town.client, "10.0.0.2:8080", &echo());
        town.world.finish(LONG);
        assert_eq!(town.world.report(call).bytes, (BYTES.len, BYTES.len));
        let counter = |name| town.world.gateway.counter(name);
        assert_eq!((counter("release_mismatch"), counter("sessions_released")), (1, 0));
    }
    // Without SACK on one side there are no blocks for it, and the rest is the same.
    let plain = Habits { sack: false, ..Habits::MODERN };
    for_each_seed(10, |seed| {
        for (client, server) in [(plain, Habits::MODERN), (Habits::MODERN, plain)] {
            let mut town = immediate(seed, (client, server));
            let call = town.world.connect(town.client, "10.0.0.2:8080", &echo());
            town.world.run_until(LONG, |world| world.report(call).established_at.is_some());
            town.world.set_all(Conditions { loss: 0.05, ..Conditions::CLEAN });
            town.world.run_until(LONG, |world| world.report(call).closed);
            assert_eq!(town.world.report(call).bytes, (BYTES.len, BYTES.len));
            assert_eq!(town.world.gateway.counter("release_mismatch"), 0);
        }
    });
}

#[test]
fn a_server_that_vanishes_while_it_owes_an_acknowledgment_ends_it_for_the_client_too() {
    let mut town = immediate(4, (Habits::MODERN, Habits::MODERN));
    let call = town.world.connect(town.client, "10.0.0.2:8080", &[Step::send(1, 3_000), Step::AwaitReset]);
    town.world.run_until(LONG, |world| world.report(call).established_at.is_some());
    town.world.set("dmz", Conditions { loss: 1.0, ..Conditions::CLEAN });
    town.world.run_until(Duration::from_secs(7_200), |world| world.report(call).closed);
    assert_eq!(town.world.report(call).progress, Progress::Done, "{}", town.world.gateway.state());
    town.world.set_all(Conditions::CLEAN);
    town.world.get_mut(town.server).tcp.abandon(false);
    town.world.settle(Duration::from_secs(7_200));
}

/// What is between the ends at first: how the service is, what is said while it looks on, and what the client hears.
const LOOKS_ON: [(&str, &[Step], &[Step]); 3] = [
    (
        "anything: { proxy: detect, accept: mirror, detect: { ssh: shell } }\n  shell: { proxy: plug }",
        &[Step::Hear("SSH-2.0-server\r\n"), Step::Say("SSH-2.0-client\r\n")],
        &[Step::Say("SSH-2.0-server\r\n"), Step::Hear("SSH-2.0-client\r\n")],
    ),
    (
        "anything: { proxy: plug, accept: mirror, plug: { send_proxy: v1 } }",
        &[],
        &[Step::Hear("PROXY TCP4 192.168.1.2 10.0.0.2 4000 81\r\n")],
    ),
    (
        "anything: { proxy: http, accept: mirror, http: { upgrade: [echo] } }",
        &[Step::Say(UPGRADE), Step::Hear(SWITCHED)],
        &[Step::Hear(UPGRADE), Step::Say(SWITCHED)],
    ),
];
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: server\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";

#[test]
fn proxies_let_go_when_they_have_nothing_more_to_read() {
    for_each_seed(6, |seed| {
        for (service, client, server) in LOOKS_ON {
            let mut town = Town::changed(seed, &[(PLUG, service)]);
            let server = [
                server,
                &[Step::Exchange(BYTES, BYTES), Step::Exchange(BYTES, BYTES), Step::Finish, Step::AwaitFinish],
            ];
            town.world.get_mut(town.server).tcp.listen(81, &server.concat());
            let pause = Step::Wait(Duration::from_secs(2));
            let rest =
                [Step::Exchange(BYTES, BYTES), pause, Step::Exchange(BYTES, BYTES), Step::Finish, Step::AwaitFinish];
            let steps = [client, &rest].concat();
            let (now, host) = (town.world.now, town.world.get_mut(town.client));
            let (local, remote) = ("192.168.1.2:4000".parse(), "10.0.0.2:81".parse());
            let number = host.connect_from(now, local.expect("an address"), remote.expect("an address"), &steps);
            let call = ConnectionId { host: town.client, number };
            town.world.run(Duration::from_secs(1));
            let audit = town.world.gateway.audit();
            assert_eq!((audit.released, audit.sockets), (1, 0), "{service}: {audit:?}, {}", town.world.gateway.state());
            town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
            assert_eq!(town.world.report(call).progress, Progress::Done, "{service}");
            town.world.settle(LONG);
            let summary = &town.world.gateway.summaries[0];
            assert!(summary.bytes_to_client >= 2 * BYTES.len, "{service}: {summary:?}");
            assert_eq!(summary.reason, "finished", "{service}");
        }
    });
}
