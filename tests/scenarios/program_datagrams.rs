//! Datagrams of programs at the handoff socket: foreign listen, foreign connect, errors, bounds, ends. The test stands in
//! the place of the thread that moves them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use control::handoff::{FromFlow, FromSocket, ToFlow, ToSocket};
use control::limits::{DATAGRAM_OVERHEAD, SOCKET_ROOM};
use control::requests::Request;
use control::tproxy::Flags;
use crossbeam_channel::{Receiver, Sender};
use sim::frame::UDP;
use sim::{HostId, Town};

use crate::LONG;
use crate::fragments::fragments_out;
use crate::udp::{heard, say, unreachable};

/// Programs may be reached from the intranet at addresses of the DMZ, and reach the intranet from there.
const PERMITTED: [(&str, &str); 3] = [
    ("  anything: {", "  programs: { proxy: handoff }\n  anything: {"),
    (
        r#"outbound_services: ["*"] }
  dmz:      {"#,
        r#"outbound_services: ["*"], inbound_services: [programs] }
  dmz:      { outbound_services: [programs],"#,
    ),
    (
        "  - { port: 50001, service: at_once }",
        "  - { port: 50001, service: at_once }\n  - { port: 50002, service: programs }",
    ),
];
const CLIENT: &str = "192.168.1.2:5000";
const FOREIGN: &str = "10.0.0.9:53";
const LOCAL: &str = "192.168.1.1:4000";

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// The town with a program that has a socket of datagrams.
struct Place {
    town: Town,
    socket: u64,
    heard: Receiver<FromFlow>,
    say: Sender<ToFlow>,
}

impl Place {
    fn new(seed: u64, changes: &[(&str, &str)]) -> Place {
        let mut town = Town::changed(seed, &[&PERMITTED, changes].concat());
        let (heard, say) = town.world.gateway.programs();
        let mut place = Place { town, socket: 1, heard, say };
        place.tell(ToSocket::Open { local: at(LOCAL) });
        place
    }

    /// With a foreign address, and what it is for.
    fn with_entry(seed: u64, foreign: &str, flags: Flags) -> Place {
        let mut place = Place::new(seed, &[]);
        place.entry(foreign, flags);
        place
    }

    fn entry(&mut self, foreign: &str, flags: Flags) {
        let (local, foreign) = (at(LOCAL), at(foreign));
        self.request(Request::Assign { protocol: UDP, local, foreign, reuse: false, expires_ms: None });
        self.request(Request::Flags { protocol: UDP, local, set: Some(flags) });
        self.tell(ToSocket::Listen(true));
    }

    fn request(&mut self, request: Request) {
        let now = self.town.world.now;
        self.town.world.gateway.program_request(now, request).expect("granted");
    }

    fn tell(&mut self, message: ToSocket) {
        self.say.send(ToFlow::Socket { socket: self.socket, message }).expect("the core is there");
    }

    fn datagram(&mut self, source: &str, destination: &str, text: &[u8]) {
        let bytes = Bytes::copy_from_slice(text);
        self.tell(ToSocket::Datagram { source: at(source), destination: at(destination), bytes });
    }

    fn from(&mut self, host: HostId, source: &str, destination: &str, text: &[u8]) {
        say(&mut self.town.world, host, source, destination, text);
    }

    fn soon(&mut self) {
        self.town.world.run(Duration::from_millis(100));
    }

    /// What the program was told: datagrams and faults, each in a line.
    fn told(&self) -> Vec<String> {
        let line = |message| match message {
            FromSocket::Datagram { source, destination, bytes } => {
                Some(format!("{source} > {destination} {}", String::from_utf8_lossy(&bytes)))
            }
            FromSocket::Fault { source, destination, errno } => Some(format!("{source} > {destination} {errno}")),
            FromSocket::Taken(_) => None,
        };
        let socket = |said| match said {
            FromFlow::Socket { socket, message } if socket == self.socket => line(message),
            other => panic!("{other:?}"),
        };
        self.heard.try_iter().filter_map(socket).collect()
    }

    fn end(mut self) {
        self.town.world.settle(LONG);
        assert_eq!(self.town.world.gateway.audit().flows, 0);
        self.town.world.no_faults();
    }
}

#[test]
fn a_program_hears_both_addresses_and_answers_as_the_foreign_one() {
    for (client, local, foreign) in
        [(CLIENT, LOCAL, FOREIGN), ("[fd00:1::2]:5000", "[fd00:1::1]:4000", "[fd00:2::9]:53")]
    {
        let mut place = Place::new(1, &[]);
        place.tell(ToSocket::Open { local: at(local) });
        let assign =
            Request::Assign { protocol: UDP, local: at(local), foreign: at(foreign), reuse: false, expires_ms: None };
        place.request(assign);
        place.request(Request::Flags { protocol: UDP, local: at(local), set: Some(Flags::LISTEN) });
        place.tell(ToSocket::Listen(true));
        let host = place.town.client;
        place.from(host, client, foreign, b"who is there?");
        place.soon();
        assert_eq!(place.told(), [format!("{client} > {foreign} who is there?")]);
        place.datagram(foreign, client, b"I am");
        place.datagram(foreign, client, b"");
        place.soon();
        let said = heard(&mut place.town.world, host);
        assert_eq!(said, [(at(foreign), at(client), b"I am".to_vec()), (at(foreign), at(client), Vec::new())]);
        place.town.world.settle(LONG);
        let [summary] = &place.town.world.gateway.summaries[..] else { panic!("one record") };
        assert_eq!((summary.service.as_str(), summary.reason.as_str()), ("programs", "idle_timeout"));
        assert_eq!((summary.client, summary.destination, summary.server), (at(client), at(foreign), None));
        assert_eq!((summary.bytes_to_server, summary.bytes_to_client), (13, 4));
        place.end();
    }
}

#[test]
fn a_rule_leads_datagrams_to_a_program_and_nobody_there_is_told() {
    let rule = (
        "-A PRintra -p tcp -j TPROXY --on-port 50000",
        "-A PRintra -p tcp -j TPROXY --on-port 50000\n  -A PRintra -p udp -j TPROXY --on-port 50002",
    );
    let mut place = Place::new(2, &[rule]);
    let host = place.town.client;
    place.from(host, CLIENT, FOREIGN, b"anybody?");
    place.soon();
    assert_eq!(place.town.world.get(host).icmp[0].kind, (3, 3), "port unreachable");
    assert_eq!(place.town.world.gateway.counter("handoff_refused"), 1);
    place.tell(ToSocket::Close);
    place.socket = 2;
    place.tell(ToSocket::Open { local: at("192.168.1.1:50002") });
    place.tell(ToSocket::Listen(true));
    place.from(host, CLIENT, FOREIGN, b"anybody now?");
    place.soon();
    assert_eq!(place.told(), [format!("{CLIENT} > {FOREIGN} anybody now?")]);
    place.end();
}

#[test]
fn a_program_begins_a_flow_from_the_foreign_address_and_from_no_other() {
    let mut place = Place::with_entry(3, FOREIGN, Flags::CONNECT);
    let host = place.town.client;
    place.datagram(FOREIGN, CLIENT, b"as named");
    place.datagram("0.0.0.0:0", "192.168.1.2:5001", b"as the entry says");
    place.tell(ToSocket::Peer(at("192.168.1.2:5002")));
    place.datagram("0.0.0.0:0", "0.0.0.0:0", b"to the peer");
    place.datagram("10.0.0.8:53", CLIENT, b"as somebody else");
    place.datagram("10.0.0.9:54", CLIENT, b"by another port");
    place.datagram(FOREIGN, "192.168.1.1:9", b"to the gateway");
    place.soon();
    let said = heard(&mut place.town.world, host);
    let texts: Vec<_> = said.iter().map(|(from, to, text)| (*from, to.port(), &text[..])).collect();
    assert_eq!(
        texts,
        [
            (at(FOREIGN), 5_000, &b"as named"[..]),
            (at(FOREIGN), 5_001, b"as the entry says"),
            (at(FOREIGN), 5_002, b"to the peer")
        ]
    );
    assert_eq!(
        place.told(),
        [
            format!("10.0.0.8:53 > {CLIENT} EADDRNOTAVAIL"),
            format!("10.0.0.9:54 > {CLIENT} EADDRNOTAVAIL"),
            format!("{FOREIGN} > 192.168.1.1:9 EACCES"),
        ]
    );
    // The answers come, and only from who was spoken to.
    place.from(host, "192.168.1.2:5001", FOREIGN, b"an answer");
    place.from(host, "192.168.1.2:5009", FOREIGN, b"a stranger");
    place.soon();
    assert_eq!(place.told(), [format!("192.168.1.2:5001 > {FOREIGN} an answer")]);
    assert_eq!(place.town.world.gateway.counter("handoff_datagrams_refused"), 3);
    place.end();
}

#[test]
fn without_a_port_each_peer_sees_one_that_stays() {
    let mut place = Place::with_entry(4, "10.0.0.9:0", Flags::CONNECT);
    let host = place.town.client;
    for _ in 0..2 {
        place.datagram("10.0.0.9:0", CLIENT, b"?");
        place.soon();
    }
    let ports: Vec<u16> = heard(&mut place.town.world, host).iter().map(|(from, ..)| from.port()).collect();
    assert_eq!(ports[0], ports[1]);
    let source = format!("10.0.0.9:{}", ports[0]);
    place.from(host, CLIENT, &source, b"!");
    place.soon();
    assert_eq!(place.told(), [format!("{CLIENT} > {source} !")]);
    place.datagram(&source, CLIENT, b"as it was told");
    place.datagram("10.0.0.9:70", CLIENT, b"by a port of its own choice");
    place.soon();
    assert_eq!(heard(&mut place.town.world, host).len(), 1);
    assert_eq!(place.told(), [format!("10.0.0.9:70 > {CLIENT} EADDRNOTAVAIL")]);
    assert_eq!(place.town.world.gateway.counter("datagram_sessions"), 1);
    place.end();
}

#[test]
fn who_has_been_heard_is_answered_whatever_the_source_says() {
    let mut place = Place::with_entry(12, FOREIGN, Flags::LISTEN | Flags::CONNECT);
    let host = place.town.client;
    place.from(host, CLIENT, FOREIGN, b"hello");
    place.soon();
    place.datagram("0.0.0.0:0", CLIENT, b"hello");
    place.soon();
    assert_eq!(heard(&mut place.town.world, host), [(at(FOREIGN), at(CLIENT), b"hello".to_vec())]);
    assert_eq!(place.told(), [format!("{CLIENT} > {FOREIGN} hello")]);
    assert_eq!(place.town.world.gateway.counter("datagram_sessions"), 1);
    place.end();
}

#[test]
fn once_is_for_one_flow() {
    let mut place = Place::with_entry(5, FOREIGN, Flags::CONNECT | Flags::ONCE);
    let host = place.town.client;
    place.datagram("0.0.0.0:0", CLIENT, b"one");
    place.datagram("0.0.0.0:0", CLIENT, b"two");
    place.datagram("0.0.0.0:0", "192.168.1.2:5001", b"three");
    place.soon();
    assert_eq!(heard(&mut place.town.world, host).len(), 2);
    assert_eq!(place.told(), ["0.0.0.0:0 > 192.168.1.2:5001 EADDRNOTAVAIL"]);
    place.end();
}

#[test]
fn flags_and_unassign_end_flows_of_programs() {
    let mut place = Place::with_entry(6, FOREIGN, Flags::LISTEN);
    let host = place.town.client;
    place.from(host, CLIENT, FOREIGN, b"one");
    place.soon();
    place.request(Request::Flags { protocol: UDP, local: at(LOCAL), set: Some(Flags::LISTEN) });
    place.datagram(FOREIGN, CLIENT, b"late");
    place.soon();
    assert_eq!(place.told(), [format!("{CLIENT} > {FOREIGN} one"), format!("{FOREIGN} > {CLIENT} EADDRNOTAVAIL")]);
    place.from(host, CLIENT, FOREIGN, b"two");
    place.soon();
    place.request(Request::Unassign { protocol: UDP, local: at(LOCAL) });
    place.from(host, CLIENT, FOREIGN, b"three");
    place.soon();
    assert_eq!(place.told(), [format!("{CLIENT} > {FOREIGN} two")]);
    assert_eq!(heard(&mut place.town.world, host), []);
    place.end();
}

#[test]
fn a_closed_socket_takes_its_flows_along() {
    let mut place = Place::with_entry(7, FOREIGN, Flags::LISTEN);
    let host = place.town.client;
    for port in 5_000..5_300 {
        place.from(host, &format!("192.168.1.2:{port}"), FOREIGN, b"me");
        if port % 50 == 0 {
            place.soon();
        }
    }
    place.soon();
    assert_eq!(place.told().len(), 300);
    place.tell(ToSocket::Close);
    place.from(host, CLIENT, FOREIGN, b"anybody?");
    place.soon();
    assert_eq!(place.town.world.gateway.audit().forwards, 0);
    assert_eq!(place.told(), Vec::<String>::new());
    assert_eq!(place.town.world.gateway.summaries.len(), 300);
    assert!(place.town.world.gateway.summaries.iter().all(|summary| summary.reason == "finished"));
    place.end();
}

#[test]
fn who_does_not_read_loses_what_is_beyond_its_room() {
    let mut place = Place::with_entry(8, FOREIGN, Flags::LISTEN);
    let host = place.town.client;
    let fits = (SOCKET_ROOM / (1_000 + DATAGRAM_OVERHEAD)) as usize;
    for n in 0..fits + 10 {
        place.from(host, CLIENT, FOREIGN, &[b'x'; 1_000]);
        if n % 50 == 0 {
            place.soon();
        }
    }
    place.soon();
    assert_eq!(place.told().len(), fits);
    assert_eq!(place.town.world.gateway.counter("handoff_datagrams_lost"), 10);
    place.tell(ToSocket::Taken(1_000 + DATAGRAM_OVERHEAD));
    place.from(host, CLIENT, FOREIGN, &[b'x'; 1_000]);
    place.soon();
    assert_eq!(place.told().len(), 1);
    place.end();
}

#[test]
fn large_datagrams_go_in_fragments_and_come_whole() {
    for (client, foreign) in [(CLIENT, FOREIGN), ("[fd00:1::2]:5000", "[fd00:2::9]:53")] {
        let mut place = Place::new(9, &[]);
        let local = if foreign.starts_with('[') { "[fd00:1::1]:4000" } else { LOCAL };
        place.tell(ToSocket::Open { local: at(local) });
        let (of, foreign_at) = (at(local), at(foreign));
        place.request(Request::Assign {
            protocol: UDP,
            local: of,
            foreign: foreign_at,
            reuse: false,
            expires_ms: None,
        });
        place.request(Request::Flags { protocol: UDP, local: of, set: Some(Flags::CONNECT) });
        // Neighbours are known afterwards: fewer frames than these wait for one.
        place.datagram(foreign, client, b"first");
        place.soon();
        place.town.world.record();
        let text: Vec<u8> = (0..60_000_u32).map(|n| n as u8).collect();
        place.datagram(foreign, client, &text);
        place.datagram(foreign, client, &vec![0; 65_528]);
        place.soon();
        let (bytes, longest, count) = fragments_out(&mut place.town, 0);
        assert_eq!((&bytes[8..], longest <= 1_500), (&text[..], true));
        assert_eq!(count, 60_008_usize.div_ceil(if foreign.starts_with('[') { 1_448 } else { 1_480 }));
        assert_eq!(place.told(), [format!("{foreign} > {client} EMSGSIZE")]);
        place.town.world.settle(LONG);
    }
}

#[test]
fn icmp_errors_are_told_to_the_program() {
    let mut place = Place::with_entry(10, FOREIGN, Flags::CONNECT);
    // Nobody is at this address of the link.
    place.datagram(FOREIGN, "192.168.1.99:9", b"hello?");
    place.town.world.run(Duration::from_secs(5));
    assert_eq!(place.told(), [format!("{FOREIGN} > 192.168.1.99:9 EHOSTUNREACH")]);
    place.datagram(FOREIGN, CLIENT, b"hello?");
    place.soon();
    let host = place.town.client;
    let (_, got) = place.town.world.get_mut(host).inbox.pop_front().expect("the datagram");
    unreachable(&mut place.town.world, host, &got);
    place.soon();
    assert_eq!(place.told(), [format!("{FOREIGN} > {CLIENT} ECONNREFUSED")]);
    place.end();
}

#[test]
fn a_gateway_that_drains_begins_no_flows_for_programs() {
    let mut place = Place::with_entry(11, FOREIGN, Flags::CONNECT);
    let now = place.town.world.now;
    place.town.world.gateway.drain(now);
    place.datagram(FOREIGN, CLIENT, b"too late");
    place.soon();
    assert_eq!(place.told(), [format!("{FOREIGN} > {CLIENT} ENETDOWN")]);
    place.end();
}
