//! UDP flows that a service takes: seen by the server as the client's own, answered from the address the client meant,
//! bounded, and written down when they have ended.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use control::requests::Request;
use control::tproxy::Flags;
use dataplane::limits::Capacity;
use sim::frame::{self, ICMP, ICMPV6, Ip, UDP};
use sim::gateway::Settings;
use sim::town::yaml;
use sim::{HostId, Town, World, for_each_seed};

use crate::LONG;

/// Everything from the intranet is taken, datagrams too.
pub(crate) const TAKEN: (&str, &str) = (
    "-A PRintra -p tcp -j TPROXY --on-port 50000",
    "-A PRintra -p tcp -j TPROXY --on-port 50000\n  -A PRintra -p udp -j TPROXY --on-port 50000",
);
/// A client and a server of each family.
const FAMILIES: [(&str, &str); 2] = [("192.168.1.2:5000", "10.0.0.2:53"), ("[fd00:1::2]:5000", "[fd00:2::2]:53")];

pub(crate) fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// A datagram from one end to the other.
pub(crate) fn datagram(from: SocketAddr, to: SocketAddr, text: &[u8]) -> Ip {
    let length = (8 + text.len() as u16).to_be_bytes();
    let head = [from.port().to_be_bytes(), to.port().to_be_bytes(), length, [0, 0]].concat();
    let payload = Bytes::from([&head[..], text].concat());
    Ip { source: from.ip(), destination: to.ip(), protocol: UDP, ttl: 64, tos: 0, payload }
}

/// Has a host send one.
pub(crate) fn say(world: &mut World, host: HostId, from: &str, to: &str, text: &[u8]) {
    let now = world.now;
    world.get_mut(host).send(now, datagram(socket(from), socket(to), text));
}

/// The datagrams a host got: from whom, to whom, and what they say. It forgets them.
pub(crate) fn heard(world: &mut World, host: HostId) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
    let inbox = std::mem::take(&mut world.get_mut(host).inbox);
    let datagrams = inbox.into_iter().filter(|(_, ip)| ip.protocol == UDP).map(|(_, ip)| {
        let port = |at: usize| u16::from_be_bytes([ip.payload[at], ip.payload[at + 1]]);
        let (from, to) = (SocketAddr::new(ip.source, port(0)), SocketAddr::new(ip.destination, port(2)));
        (from, to, ip.payload[8..].to_vec())
    });
    datagrams.collect()
}

fn soon(town: &mut Town) {
    town.world.run(Duration::from_millis(100));
}

fn one(from: &str, to: &str, text: &[u8]) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
    vec![(socket(from), socket(to), text.to_vec())]
}

#[test]
fn the_server_sees_the_client_and_the_client_the_server_it_meant() {
    for_each_seed(3, |seed| {
        for (client, server) in FAMILIES {
            let mut town = Town::changed(seed, &[TAKEN]);
            say(&mut town.world, town.client, client, server, b"who?");
            soon(&mut town);
            assert_eq!(heard(&mut town.world, town.server), one(client, server, b"who?"));
            assert_eq!(town.world.gateway.report(town.world.now).sessions, 1);
            say(&mut town.world, town.server, server, client, b"me");
            soon(&mut town);
            assert_eq!(heard(&mut town.world, town.client), one(server, client, b"me"));
            town.world.settle(LONG);
            town.world.no_faults();

            let [summary] = &town.world.gateway.summaries[..] else { panic!("one record") };
            assert_eq!((summary.protocol.as_str(), summary.service.as_str()), ("udp", "anything"));
            assert_eq!((summary.verdict.as_str(), summary.reason.as_str()), ("ACCEPTED", "idle_timeout"));
            assert_eq!((summary.client, summary.destination), (socket(client), socket(server)));
            assert_eq!((summary.server, summary.server_local), (Some(socket(server)), Some(socket(client))));
            assert_eq!((summary.bytes_to_server, summary.bytes_to_client), (4, 2));
            assert_eq!(summary.client_zone.as_deref(), Some("intranet"));
            assert_eq!(town.world.gateway.report(town.world.now).sessions, 0);
        }
    });
}

#[test]
fn an_answer_ends_after_thirty_seconds_and_a_conversation_after_three_minutes() {
    let (client, server) = FAMILIES[0];
    let mut town = Town::changed(1, &[TAKEN]);
    let flows = |town: &Town| town.world.gateway.audit().forwards;
    say(&mut town.world, town.client, client, server, b"a question");
    town.world.run(Duration::from_secs(29));
    assert_eq!(flows(&town), 1);
    town.world.run(Duration::from_secs(2));
    assert_eq!(flows(&town), 0, "nobody answered");

    for _ in 0..2 {
        say(&mut town.world, town.client, client, server, b"more");
        soon(&mut town);
        say(&mut town.world, town.server, server, client, b"and more");
        town.world.run(Duration::from_secs(3));
    }
    town.world.run(Duration::from_secs(170));
    assert_eq!(flows(&town), 1, "a conversation may pause");
    town.world.run(Duration::from_secs(10));
    assert_eq!(flows(&town), 0);
    town.world.settle(LONG);
}

#[test]
fn a_services_shorter_idle_time_holds() {
    let idle = ("anything: { proxy: plug, accept: mirror }", "anything: { proxy: plug, accept: mirror, idle_s: 5 }");
    let (client, server) = FAMILIES[1];
    let mut town = Town::changed(1, &[TAKEN, idle]);
    say(&mut town.world, town.client, client, server, b"hello");
    town.world.run(Duration::from_millis(4_900));
    assert_eq!(town.world.gateway.audit().forwards, 1);
    town.world.run(Duration::from_millis(200));
    assert_eq!(town.world.gateway.audit().forwards, 0);
    town.world.settle(LONG);
}

/// An ICMP "port unreachable" of `host` about a packet it got.
pub(crate) fn unreachable(world: &mut World, host: HostId, about: &Ip) {
    let raw = frame::ip(&frame::Link { destination: [2; 6], source: [2; 6], vlan: None }, about);
    let (protocol, head) = if about.source.is_ipv4() { (ICMP, [3, 3]) } else { (ICMPV6, [1, 4]) };
    let quote = &raw[14..14 + if about.source.is_ipv4() { 28 } else { 48 }];
    let payload = Bytes::from([&head[..], &[0; 6], quote].concat());
    let (source, destination) = (about.destination, about.source);
    let now = world.now;
    world.get_mut(host).send(now, Ip { source, destination, protocol, ttl: 64, tos: 0, payload });
}

#[test]
fn port_unreachable_finds_either_end() {
    for (client, server) in FAMILIES {
        let mut town = Town::changed(4, &[TAKEN]);
        say(&mut town.world, town.client, client, server, b"anybody?");
        soon(&mut town);
        let (_, got) = town.world.get_mut(town.server).inbox.pop_front().expect("the datagram");
        unreachable(&mut town.world, town.server, &got);
        soon(&mut town);
        let told = town.world.get(town.client).icmp.clone();
        let kind = if got.source.is_ipv4() { (3, 3) } else { (1, 4) };
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].kind, told[0].from), (kind, socket(server).ip()));
        assert_eq!(told[0].about, (socket(client), socket(server)));
        town.world.settle(LONG);
        let summary = &town.world.gateway.summaries[0];
        assert_eq!(
            (summary.verdict.as_str(), summary.reason.as_str()),
            ("DENIED_BY_CONNECTION_FAIL", "connect_refused")
        );

        say(&mut town.world, town.client, client, server, b"again");
        soon(&mut town);
        say(&mut town.world, town.server, server, client, b"late");
        soon(&mut town);
        let (_, got) = town.world.get_mut(town.client).inbox.pop_front().expect("the answer");
        unreachable(&mut town.world, town.client, &got);
        soon(&mut town);
        let told = &town.world.get(town.server).icmp;
        assert_eq!((told.len(), told[0].about), (1, (socket(server), socket(client))));
        town.world.settle(LONG);
        assert_eq!(town.world.gateway.summaries[1].verdict, "ACCEPTED", "the server was there");
        town.world.no_faults();
    }
}

#[test]
fn a_service_has_so_many_sessions_and_a_client_its_share_of_the_core() {
    let few =
        ("anything: { proxy: plug, accept: mirror }", "anything: { proxy: plug, accept: mirror, max_sessions: 2 }");
    let mut town = Town::changed(5, &[TAKEN, few]);
    for port in 5_000..5_003 {
        say(&mut town.world, town.client, &format!("192.168.1.2:{port}"), "10.0.0.2:53", b"me too");
    }
    soon(&mut town);
    assert_eq!(heard(&mut town.world, town.server).len(), 2);
    assert_eq!(town.world.gateway.counter("service_full"), 1);
    town.world.settle(LONG);

    let limits = Capacity { flows: 64, sessions: 16, half_open: 8 };
    let mut town = Town::with(5, &[TAKEN], &Settings { limits, ..Settings::default() });
    for port in 5_000..5_006 {
        say(&mut town.world, town.client, &format!("192.168.1.2:{port}"), "10.0.0.2:53", b"me too");
    }
    say(&mut town.world, town.client, "[fd00:1::2]:5000", "[fd00:2::2]:53", b"another");
    soon(&mut town);
    assert_eq!(heard(&mut town.world, town.server).len(), 5, "a quarter of the core for each");
    assert_eq!(town.world.gateway.counter("datagram_client_limit"), 2);
    town.world.settle(LONG);
    say(&mut town.world, town.client, "192.168.1.2:5000", "10.0.0.2:53", b"and again");
    soon(&mut town);
    assert_eq!(heard(&mut town.world, town.server).len(), 1, "what has ended does not count");
    town.world.settle(LONG);
}

#[test]
fn empty_datagrams_marks_and_hops_pass_as_over_a_router() {
    let (client, server) = FAMILIES[0];
    let mut town = Town::changed(6, &[TAKEN]);
    let now = town.world.now;
    let empty = Ip { tos: 0xb9, ttl: 9, ..datagram(socket(client), socket(server), b"") };
    town.world.get_mut(town.client).send(now, empty.clone());
    soon(&mut town);
    let (_, got) = town.world.get_mut(town.server).inbox.pop_front().expect("the datagram");
    assert_eq!((got.tos, got.ttl, got.payload.len()), (0xb9, 8, 8));
    let now = town.world.now;
    town.world.get_mut(town.client).send(now, Ip { ttl: 1, ..empty });
    soon(&mut town);
    assert_eq!(town.world.get(town.client).icmp[0].kind, (11, 0));
    assert_eq!(heard(&mut town.world, town.server), []);
    town.world.settle(LONG);
    town.world.no_faults();
}

#[test]
fn a_datagram_without_checksum_stays_so_over_ipv4_and_is_refused_over_ipv6() {
    for (client, server) in FAMILIES {
        let mut town = Town::changed(7, &[TAKEN]);
        // Neighbours are known afterwards.
        say(&mut town.world, town.client, client, server, b"first");
        soon(&mut town);
        heard(&mut town.world, town.server);
        let link =
            frame::Link { destination: [2, 0, 0, 0, 0xff, 0], source: town.world.get(town.client).mac, vlan: None };
        let mut raw = frame::ip(&link, &datagram(socket(client), socket(server), b"bare")).to_vec();
        let udp = 14 + if client.starts_with('[') { 40 } else { 20 };
        raw[udp + 6..udp + 8].fill(0);
        town.world.get_mut(town.client).send_frame(raw.into());
        soon(&mut town);
        if client.starts_with('[') {
            assert_eq!(heard(&mut town.world, town.server), []);
            assert_eq!(town.world.gateway.counter("malformed_udp_checksum_missing"), 1);
        } else {
            let (_, got) = town.world.get_mut(town.server).inbox.pop_front().expect("the datagram");
            assert_eq!(got.payload[6..], *b"\0\0bare");
        }
        town.world.settle(LONG);
        town.world.no_faults();
    }
}

#[test]
fn flows_outlive_a_reload_that_lets_no_more_begin() {
    let (client, server) = FAMILIES[0];
    let mut town = Town::changed(8, &[TAKEN]);
    say(&mut town.world, town.client, client, server, b"old");
    soon(&mut town);
    town.world.gateway.reload(town.world.now, &yaml(&[])).expect("a good configuration");
    say(&mut town.world, town.client, client, server, b"old too");
    say(&mut town.world, town.client, "192.168.1.2:5001", server, b"new");
    soon(&mut town);
    let said: Vec<Vec<u8>> = heard(&mut town.world, town.server).into_iter().map(|(_, _, text)| text).collect();
    assert_eq!(said, [&b"old"[..], b"old too"]);
    town.world.settle(LONG);
    assert_eq!(town.world.gateway.summaries[0].generation, 1);
}

fn request(world: &mut World, request: Request) {
    world.gateway.request(world.now, request).expect("granted");
}

/// An entry of UDP.
fn entry(world: &mut World, local: &str, foreign: &str, flags: Flags) {
    let (local, foreign) = (socket(local), socket(foreign));
    request(world, Request::Assign { protocol: UDP, local, foreign, reuse: false, expires_ms: None });
    request(world, Request::Flags { protocol: UDP, local, set: Some(flags) });
}

#[test]
fn a_foreign_listen_of_one_flow_is_used_up_by_the_first() {
    let mut town = Town::new(9);
    entry(&mut town.world, "192.168.1.1:50000", "10.0.0.2:53", Flags::LISTEN | Flags::ONCE);
    say(&mut town.world, town.client, "192.168.1.2:5000", "10.0.0.2:53", b"first");
    soon(&mut town);
    say(&mut town.world, town.client, "192.168.1.2:5001", "10.0.0.2:53", b"second");
    say(&mut town.world, town.client, "192.168.1.2:5000", "10.0.0.2:53", b"first again");
    soon(&mut town);
    let said: Vec<Vec<u8>> = heard(&mut town.world, town.server).into_iter().map(|(_, _, text)| text).collect();
    assert_eq!(said, [&b"first"[..], b"first again"]);
    assert_eq!(town.world.gateway.counter("once_claimed"), 1);
    town.world.settle(LONG);
}

#[test]
fn a_unidirectional_entry_rewrites_and_remembers_nothing() {
    let mut town = Town::new(10);
    entry(&mut town.world, "192.168.1.1:50000", "10.0.0.2:53", Flags::LISTEN | Flags::UNIDIR);
    for _ in 0..3 {
        say(&mut town.world, town.client, "192.168.1.2:5000", "10.0.0.2:53", b"one way");
    }
    soon(&mut town);
    assert_eq!(heard(&mut town.world, town.server).len(), 3);
    assert_eq!(town.world.gateway.audit().flows, 0);
    assert_eq!(town.world.gateway.counter("datagrams_unidir"), 3);
    say(&mut town.world, town.server, "10.0.0.2:53", "192.168.1.2:5000", b"no way");
    soon(&mut town);
    assert_eq!(heard(&mut town.world, town.client), [], "whoever answers begins a flow, and the DMZ may open nothing");
    town.world.settle(LONG);
}

#[test]
fn a_foreign_connect_gives_the_server_another_source() {
    let source = (
        "anything: { proxy: plug, accept: mirror }",
        "anything: { proxy: plug, accept: mirror, source: \"10.0.0.1:40001\" }",
    );
    let mut town = Town::changed(11, &[TAKEN, source]);
    entry(&mut town.world, "10.0.0.1:40001", "192.168.1.77:4000", Flags::CONNECT);
    say(&mut town.world, town.client, "192.168.1.2:5000", "10.0.0.2:53", b"who am I?");
    soon(&mut town);
    assert_eq!(heard(&mut town.world, town.server), one("192.168.1.77:4000", "10.0.0.2:53", b"who am I?"));
    say(&mut town.world, town.server, "10.0.0.2:53", "192.168.1.77:4000", b"you");
    soon(&mut town);
    assert_eq!(heard(&mut town.world, town.client), one("10.0.0.2:53", "192.168.1.2:5000", b"you"));
    town.world.settle(LONG);
    town.world.no_faults();
}

#[test]
fn a_gateway_that_drains_takes_no_new_flows() {
    let mut town = Town::changed(12, &[TAKEN]);
    say(&mut town.world, town.client, "192.168.1.2:5000", "10.0.0.2:53", b"early");
    soon(&mut town);
    town.world.gateway.drain(town.world.now);
    say(&mut town.world, town.client, "192.168.1.2:5000", "10.0.0.2:53", b"early too");
    say(&mut town.world, town.client, "192.168.1.2:5001", "10.0.0.2:53", b"late");
    soon(&mut town);
    let said: Vec<Vec<u8>> = heard(&mut town.world, town.server).into_iter().map(|(_, _, text)| text).collect();
    assert_eq!(said, [&b"early"[..], b"early too"]);
    town.world.settle(LONG);
}

fn flags(world: &mut World, local: &str, flags: Flags) {
    request(world, Request::Flags { protocol: UDP, local: socket(local), set: Some(flags) });
}

fn texts(world: &mut World, host: HostId) -> Vec<Vec<u8>> {
    heard(world, host).into_iter().map(|(_, _, text)| text).collect()
}

const LOCAL: &str = "192.168.1.1:50000";

#[test]
fn flags_end_the_flows_of_their_entry_and_of_no_other() {
    let (client, server) = FAMILIES[0];
    let mut town = Town::new(20);
    entry(&mut town.world, LOCAL, server, Flags::LISTEN);
    entry(&mut town.world, "192.168.1.1:50001", "10.0.0.2:54", Flags::LISTEN);
    say(&mut town.world, town.client, client, server, b"by the entry");
    say(&mut town.world, town.client, client, "10.0.0.2:54", b"by another");
    soon(&mut town);
    assert_eq!(town.world.gateway.audit().forwards, 2);
    flags(&mut town.world, LOCAL, Flags::LISTEN);
    soon(&mut town);
    assert_eq!(town.world.gateway.audit().forwards, 1, "also when nothing is new in them");
    assert_eq!(town.world.gateway.counter("datagrams_unassigned"), 1);
    say(&mut town.world, town.server, server, client, b"late");
    soon(&mut town);
    assert_eq!(heard(&mut town.world, town.client), []);
    // The next datagram of the client begins anew; one that comes with the change is decided by the new flags.
    heard(&mut town.world, town.server);
    say(&mut town.world, town.client, client, server, b"anew");
    soon(&mut town);
    flags(&mut town.world, LOCAL, Flags::CONNECT);
    say(&mut town.world, town.client, client, server, b"not by this");
    soon(&mut town);
    assert_eq!(texts(&mut town.world, town.server), [b"anew"]);
    town.world.settle(LONG);
    let reasons: Vec<&str> = town.world.gateway.summaries.iter().map(|summary| summary.reason.as_str()).collect();
    assert_eq!(reasons, ["cut", "cut", "idle_timeout"]);
    town.world.no_faults();
}

#[test]
fn unassign_and_expiry_end_the_flows_of_their_entry() {
    for (client, server) in FAMILIES {
        let local = if client.starts_with('[') { "[fd00:1::1]:50000" } else { LOCAL };
        let mut town = Town::new(21);
        entry(&mut town.world, local, server, Flags::LISTEN);
        say(&mut town.world, town.client, client, server, b"one");
        soon(&mut town);
        request(&mut town.world, Request::Unassign { protocol: UDP, local: socket(local) });
        say(&mut town.world, town.client, client, server, b"two");
        soon(&mut town);
        assert_eq!(texts(&mut town.world, town.server), [b"one"]);

        let (of, foreign) = (socket(local), socket(server));
        let assign = Request::Assign { protocol: UDP, local: of, foreign, reuse: false, expires_ms: Some(5_000) };
        request(&mut town.world, assign);
        flags(&mut town.world, local, Flags::LISTEN);
        say(&mut town.world, town.client, client, server, b"three");
        town.world.run(Duration::from_millis(4_900));
        say(&mut town.world, town.client, client, server, b"four");
        town.world.run(Duration::from_millis(200));
        say(&mut town.world, town.client, client, server, b"five");
        soon(&mut town);
        assert_eq!(texts(&mut town.world, town.server), [&b"three"[..], b"four"]);
        town.world.settle(LONG);
        assert_eq!(town.world.gateway.audit().flows, 0);
    }
}

#[test]
fn a_thousand_flows_of_an_entry_end_at_once() {
    let limits = Capacity { flows: 16_384, sessions: 8_192, half_open: 8 };
    let mut town = Town::with(22, &[], &Settings { limits, ..Settings::default() });
    entry(&mut town.world, LOCAL, "10.0.0.2:53", Flags::LISTEN);
    for port in 10_000..11_000 {
        say(&mut town.world, town.client, &format!("192.168.1.2:{port}"), "10.0.0.2:53", b"me");
        if port % 100 == 0 {
            soon(&mut town);
        }
    }
    soon(&mut town);
    assert_eq!(town.world.gateway.audit().forwards, 1_000);
    flags(&mut town.world, LOCAL, Flags::empty());
    heard(&mut town.world, town.server);
    // None of them says a word more, however far the walk is.
    for port in 10_000..10_100 {
        say(&mut town.world, town.client, &format!("192.168.1.2:{port}"), "10.0.0.2:53", b"still me");
    }
    soon(&mut town);
    assert_eq!(heard(&mut town.world, town.server), []);
    assert_eq!(town.world.gateway.audit().forwards, 0);
    assert_eq!(town.world.gateway.counter("datagrams_unassigned"), 1_000);
    town.world.settle(LONG);
}

#[test]
fn a_session_ends_after_its_total_time_whatever_is_said() {
    let total = ("anything: { proxy: plug, accept: mirror }", "anything: { proxy: plug, accept: mirror, total_s: 10 }");
    let (client, server) = FAMILIES[0];
    let mut town = Town::changed(23, &[TAKEN, total]);
    for _ in 0..11 {
        say(&mut town.world, town.client, client, server, b"on and on");
        town.world.run(Duration::from_millis(990));
    }
    // What is said after that is another session.
    assert_eq!(town.world.gateway.summaries.len(), 1);
    assert_eq!(texts(&mut town.world, town.server).len(), 11);
    let summary = &town.world.gateway.summaries[0];
    assert_eq!((summary.reason.as_str(), summary.duration_ms), ("total_timeout", 10_000));
    assert_eq!(summary.bytes_to_server, 11 * 9);
    say(&mut town.world, town.client, client, server, b"another");
    soon(&mut town);
    assert_eq!(texts(&mut town.world, town.server), [b"another"]);
    town.world.settle(LONG);
    assert_eq!(town.world.gateway.summaries.len(), 2);
}

#[test]
fn a_foreign_connect_without_a_port_keeps_the_class_and_a_refused_one_is_not_used_up() {
    let source = (
        "anything: { proxy: plug, accept: mirror }",
        "anything: { proxy: plug, accept: mirror, source: \"10.0.0.1:40001\" }",
    );
    let mut town = Town::changed(24, &[TAKEN, source]);
    entry(&mut town.world, "10.0.0.1:40001", "192.168.1.77:0", Flags::CONNECT);
    say(&mut town.world, town.client, "192.168.1.2:700", "10.0.0.2:53", b"privileged");
    soon(&mut town);
    let [(from, ..)] = heard(&mut town.world, town.server)[..] else { panic!("one datagram") };
    assert_eq!(from.ip(), socket("192.168.1.77:0").ip());
    assert!((600..1_024).contains(&from.port()), "{from}");
    request(&mut town.world, Request::Unassign { protocol: UDP, local: socket("10.0.0.1:40001") });

    // The one port it may have is taken: the entry waits for the next flow.
    let other = "192.168.1.77:4000";
    entry(&mut town.world, "10.0.0.1:40001", other, Flags::CONNECT);
    say(&mut town.world, town.client, "192.168.1.2:5000", "10.0.0.2:53", b"first");
    soon(&mut town);
    assert_eq!(heard(&mut town.world, town.server), one(other, "10.0.0.2:53", b"first"));
    flags(&mut town.world, "10.0.0.1:40001", Flags::CONNECT | Flags::ONCE);
    say(&mut town.world, town.client, "192.168.1.2:5001", "10.0.0.2:53", b"second");
    say(&mut town.world, town.client, "192.168.1.2:5002", "10.0.0.2:53", b"third");
    soon(&mut town);
    let said = heard(&mut town.world, town.server);
    assert_eq!(said[0], one(other, "10.0.0.2:53", b"second")[0]);
    assert_eq!(said[1], one("10.0.0.1:40001", "10.0.0.2:53", b"third")[0]);
    town.world.settle(LONG);
}
