//! Questions to the gateway and what it answers, on the wire.

use super::*;
use crate::limits as bounds;
use crate::neighbour::{Bounds, Resolution, State};
use crate::packet::testing::*;
use crate::packet::{Network, Packet, RxChecks, Transport, parse};

const LINK: InterfaceId = InterfaceId(0);
const NOW: Instant = Instant::from_micros(1_000_000);
const SOFTWARE: Offloads =
    Offloads { ipv4_checksum: false, tcp_checksum: false, udp_checksum: false, tso: false, multi_segment: false };

struct Gateway {
    routes: Routes,
    local: Local,
    neighbours: Neighbours<TestFrame>,
}

impl Gateway {
    fn new() -> Self {
        let networks = ["192.168.1.1/24", "fd00:1::1/64"].map(|text| text.parse().expect("a network"));
        let other = vec!["10.0.0.1/24".parse().expect("a network")];
        let mut routes = Routes::from_parts([networks.to_vec(), other].into_iter(), std::iter::empty());
        routes.set_link_local(LINK, GATE);
        Self { routes, local: Local::new(), neighbours: Neighbours::new(1, Bounds::default()) }
    }

    fn station(routes: &Routes) -> Station<'_> {
        Station { interface: LINK, mac: GATE, vlan: Some(4), routes, offloads: &SOFTWARE }
    }

    /// Hands a frame in; what comes out was read again.
    fn receive(&mut self, frame: &[u8]) -> Result<Packet, Ending> {
        let packet = parse(frame, RxChecks::default()).expect("a valid frame");
        let station = Self::station(&self.routes);
        let answer = match &packet.network {
            Network::Arp(arp) => self.local.handle_arp(NOW, &station, arp, &mut self.neighbours),
            Network::Ip(ip) => match &ip.kind {
                Transport::Icmp(icmp::Message::Neighbour(message)) => {
                    self.local.handle_neighbour(NOW, &station, &packet.link, ip, message, &mut self.neighbours)
                }
                Transport::Icmp(icmp::Message::EchoRequest(echo)) => {
                    self.local.handle_echo(NOW, &station, &packet.link, ip, echo, ip.destination)
                }
                other => panic!("not for local: {other:?}"),
            },
            Network::Other => panic!("not for local"),
        };
        match answer {
            Answer::Silent(ending) => Err(ending),
            Answer::Reply(reply) => {
                let mut out = TestFrame::new();
                reply.write(&station, frame, &mut out).expect("room");
                let packet = parse(&out.bytes, RxChecks::default()).expect("we write valid frames");
                assert_eq!((packet.link.source, packet.link.vlan), (GATE, Some(4)));
                Ok(packet)
            }
        }
    }

    fn state(&self) -> Vec<(IpAddr, State, Option<MacAddress>)> {
        self.neighbours.iter().map(|(_, address, state, mac)| (address, state, mac)).collect()
    }
}

fn link(destination: MacAddress) -> LinkOut {
    LinkOut { source: HOST, destination, vlan: None }
}

fn arp_frame(operation: arp::Operation, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let target_mac = if operation == arp::Operation::Reply { GATE } else { MacAddress::ZERO };
    let message = Arp { operation, sender_mac: HOST, sender, target_mac, target };
    let mut frame = TestFrame::new();
    emit::arp(&mut frame, &link(MacAddress::BROADCAST), &message).expect("room");
    frame.bytes
}

fn solicitation(source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let group = ndp::solicited_node(target);
    let mac = MacAddress::for_group(group.into()).expect("a group");
    let mut frame = TestFrame::new();
    emit::neighbour_solicitation(&mut frame, &link(mac), source, group, target).expect("room");
    frame.bytes
}

fn advertisement(source: Ipv6Addr, target: Ipv6Addr, solicited: bool) -> Vec<u8> {
    let mut frame = TestFrame::new();
    let message = Advertisement { target, solicited, overrides: true };
    emit::neighbour_advertisement(&mut frame, &link(GATE), source, GATE_V6, &message).expect("room");
    frame.bytes
}

use arp::Operation::{Reply as Replies, Request as Asks};

#[test]
fn arp_for_us_is_answered_and_the_asker_learned() {
    let mut gateway = Gateway::new();
    let reply = gateway.receive(&arp_frame(Asks, HOST_V4, GATE_V4)).expect("an answer");
    assert_eq!(reply.link.destination, HOST);
    let expected = Arp { operation: Replies, sender_mac: GATE, sender: GATE_V4, target_mac: HOST, target: HOST_V4 };
    assert_eq!(reply.network, Network::Arp(expected));
    assert_eq!(gateway.state(), [(HOST_V4.into(), State::Stale, Some(HOST))]);
}

#[test]
fn arp_for_others_is_not() {
    let mut gateway = Gateway::new();
    let other = Ipv4Addr::new(192, 168, 1, 99);
    assert_eq!(gateway.receive(&arp_frame(Asks, HOST_V4, other)), Err(Ending::ClaimIgnored));
    let elsewhere = Ipv4Addr::new(10, 0, 0, 1);
    assert_eq!(gateway.receive(&arp_frame(Asks, HOST_V4, elsewhere)), Err(Ending::ClaimIgnored), "ours, but not here");
    assert_eq!(gateway.state(), []);
}

#[test]
fn an_arp_probe_is_answered_and_nothing_learned() {
    let mut gateway = Gateway::new();
    let reply = gateway.receive(&arp_frame(Asks, Ipv4Addr::UNSPECIFIED, GATE_V4)).expect("the address is taken");
    assert!(matches!(reply.network, Network::Arp(Arp { operation: Replies, sender: GATE_V4, .. })));
    assert_eq!(gateway.state(), []);
}

#[test]
fn claims_that_nobody_may_make() {
    let mut gateway = Gateway::new();
    assert_eq!(gateway.receive(&arp_frame(Replies, GATE_V4, HOST_V4)), Err(Ending::AddressConflict));
    assert_eq!(gateway.receive(&arp_frame(Asks, FAR_V4, GATE_V4)), Err(Ending::NotOnLink));
    assert_eq!(gateway.receive(&arp_frame(Asks, Ipv4Addr::new(10, 0, 0, 1), GATE_V4)), Err(Ending::AddressConflict));
    assert_eq!(gateway.receive(&solicitation(FAR_V6, GATE_V6)), Err(Ending::NotOnLink));
    assert_eq!(gateway.receive(&advertisement(HOST_V6, GATE_V6, false)), Err(Ending::AddressConflict));
    assert_eq!(gateway.receive(&advertisement(HOST_V6, FAR_V6, false)), Err(Ending::NotOnLink));
    assert_eq!(gateway.state(), []);

    let message = Arp { operation: Asks, sender_mac: GATE, sender: GATE_V4, target_mac: HOST, target: GATE_V4 };
    let mut frame = TestFrame::new();
    emit::arp(&mut frame, &link(MacAddress::BROADCAST), &message).expect("room");
    assert_eq!(gateway.receive(&frame.bytes), Err(Ending::OwnEcho));
}

#[test]
fn answers_to_our_questions_are_learned() {
    for (address, frame) in [
        (IpAddr::V4(HOST_V4), arp_frame(Replies, HOST_V4, GATE_V4)),
        (IpAddr::V6(HOST_V6), advertisement(HOST_V6, HOST_V6, true)),
    ] {
        let mut gateway = Gateway::new();
        assert_eq!(gateway.receive(&frame), Err(Ending::ClaimIgnored), "we had not asked");
        assert_eq!(gateway.neighbours.resolve(NOW, LINK, address), Resolution::Pending);
        assert_eq!(gateway.receive(&frame), Err(Ending::NeighbourLearned));
        assert_eq!(gateway.state(), [(address, State::Reachable, Some(HOST))]);
    }
}

#[test]
fn neighbour_solicitations_are_answered() {
    let link_local: Ipv6Addr = "fe80::ff:fe00:1".parse().expect("an address");
    for (source, target) in [(HOST_V6, GATE_V6), ("fe80::a".parse().expect("an address"), link_local)] {
        let mut gateway = Gateway::new();
        let reply = gateway.receive(&solicitation(source, target)).expect("an answer");
        assert_eq!(reply.link.destination, HOST);
        let Network::Ip(ip) = &reply.network else { panic!("not IP") };
        assert_eq!((ip.source, ip.destination), (target.into(), source.into()));
        let expected = ndp::Message::Advertisement {
            target,
            target_link: Some(GATE),
            router: true,
            solicited: true,
            overrides: true,
        };
        assert_eq!(ip.kind, Transport::Icmp(icmp::Message::Neighbour(expected)));
        assert_eq!(gateway.state(), [(source.into(), State::Stale, Some(HOST))]);
        assert_eq!(gateway.receive(&solicitation(HOST_V6, FAR_V6)), Err(Ending::NotForUs));
    }
}

#[test]
fn a_duplicate_address_probe_hears_that_the_address_is_taken() {
    let mut gateway = Gateway::new();
    let reply = gateway.receive(&solicitation(Ipv6Addr::UNSPECIFIED, GATE_V6)).expect("an answer to all");
    assert_eq!(reply.link.destination.to_string(), "33:33:00:00:00:01");
    let Network::Ip(ip) = &reply.network else { panic!("not IP") };
    assert_eq!(ip.destination, IpAddr::V6(ALL_NODES));
    let Transport::Icmp(icmp::Message::Neighbour(ndp::Message::Advertisement { solicited, .. })) = ip.kind else {
        panic!("not an advertisement")
    };
    assert!(!solicited);
    assert_eq!(gateway.state(), []);
    assert_eq!(gateway.receive(&solicitation(Ipv6Addr::UNSPECIFIED, HOST_V6)), Err(Ending::NotForUs));
}

#[test]
fn echoes_are_answered_whole() {
    for v6 in [false, true] {
        let payload: Vec<u8> = (0..1400u32).map(|n| n as u8).collect();
        let request = echo_frame(v6, &payload);
        let reply = Gateway::new().receive(&request).expect("an answer");
        assert_eq!(reply.link.destination, HOST);
        let Network::Ip(ip) = &reply.network else { panic!("not IP") };
        let Transport::Icmp(icmp::Message::EchoReply(echo)) = &ip.kind else { panic!("not an echo reply") };
        assert_eq!((echo.identifier, echo.sequence, echo.data.len()), (77, 3, payload.len()));
        let (gate, host) =
            if v6 { (IpAddr::V6(GATE_V6), IpAddr::V6(HOST_V6)) } else { (GATE_V4.into(), HOST_V4.into()) };
        assert_eq!((ip.source, ip.destination), (gate, host));
    }
}

#[test]
fn echoes_have_a_rate() {
    let mut gateway = Gateway::new();
    let request = echo_frame(false, b"ping");
    let answered = (0..10_000).filter(|_| gateway.receive(&request).is_ok()).count();
    assert_eq!(answered, bounds::ECHO_REPLIES_BURST as usize);
    assert_eq!(gateway.receive(&request), Err(Ending::EchoRateLimited));
}

#[test]
fn echoes_of_nobody_are_not_answered() {
    let mut gateway = Gateway::new();
    let mut request = echo_frame(false, b"ping");
    request[26..30].copy_from_slice(&[192, 168, 1, 255]);
    fix_ipv4(&mut request);
    assert_eq!(gateway.receive(&request), Err(Ending::EchoFromNobody));
    request[26..30].copy_from_slice(&[10, 0, 0, 1]);
    fix_ipv4(&mut request);
    assert_eq!(gateway.receive(&request), Err(Ending::EchoFromNobody));
}

#[test]
fn questions_that_we_ask() {
    let gateway = Gateway::new();
    let station = Gateway::station(&gateway.routes);
    let ask = |target: IpAddr, unicast| {
        let mut frame = TestFrame::new();
        solicit(&mut frame, &station, target, unicast).expect("room");
        parse(&frame.bytes, RxChecks::default()).expect("valid")
    };
    let packet = ask(HOST_V4.into(), None);
    assert_eq!(packet.link.destination, MacAddress::BROADCAST);
    let arp = Arp { operation: Asks, sender_mac: GATE, sender: GATE_V4, target_mac: MacAddress::ZERO, target: HOST_V4 };
    assert_eq!(packet.network, Network::Arp(arp));
    assert_eq!(ask(HOST_V4.into(), Some(HOST)).link.destination, HOST);

    let question = |packet: &Packet| match &packet.network {
        Network::Ip(Ip { source, destination, kind: Transport::Icmp(icmp::Message::Neighbour(message)), .. }) => {
            (*source, *destination, *message)
        }
        other => panic!("not a question: {other:?}"),
    };
    let expected = ndp::Message::Solicitation { target: HOST_V6, source_link: Some(GATE) };
    let packet = ask(HOST_V6.into(), None);
    assert_eq!(packet.link.destination.to_string(), "33:33:ff:00:00:10");
    assert_eq!(question(&packet), (GATE_V6.into(), ndp::solicited_node(HOST_V6).into(), expected));
    let packet = ask(HOST_V6.into(), Some(HOST));
    assert_eq!(packet.link.destination, HOST);
    assert_eq!(question(&packet), (GATE_V6.into(), HOST_V6.into(), expected));
}

#[test]
fn news_that_we_tell() {
    let gateway = Gateway::new();
    let station = Gateway::station(&gateway.routes);
    let mut frame = TestFrame::new();
    announce(&mut frame, &station, GATE_V4.into()).expect("room");
    let packet = parse(&frame.bytes, RxChecks::default()).expect("valid");
    assert!(matches!(packet.network, Network::Arp(Arp { sender: GATE_V4, target: GATE_V4, .. })));
    let mut frame = TestFrame::new();
    announce(&mut frame, &station, GATE_V6.into()).expect("room");
    let packet = parse(&frame.bytes, RxChecks::default()).expect("valid");
    assert_eq!(packet.link.destination.to_string(), "33:33:00:00:00:01");
}

#[test]
fn endings_have_names() {
    for (place, ending) in Ending::ALL.iter().enumerate() {
        assert_eq!(ending.index(), place);
        assert!(!ending.name().is_empty() && ending.sentence().len() > 20);
    }
    assert_eq!(Ending::ALL.last(), Some(&Ending::EchoFromNobody));
}
