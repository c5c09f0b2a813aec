//! Each match both ways, where it is not obvious; the tuples and ports are tested where rules are walked.

use super::*;
use crate::policy::chains::addresses::Addresses;
use crate::policy::network::{Interface, InterfaceId};
use crate::policy::tuple::{Moment, PacketFacts, TCP};
use crate::policy::verdict::Logs;
use crate::rules::{Compare, Days, IcmpType, Masked, TcpFlags};

fn interfaces() -> Vec<Interface> {
    let of = |name: &str, addresses: &[&str]| Interface {
        name: name.to_owned(),
        port: "net_null0".to_owned(),
        vlan: None,
        addresses: addresses.iter().map(|address| address.parse().expect("a network")).collect(),
        mtu: None,
        kernel: None,
    };
    vec![of("a", &["10.0.0.1/24", "fd00::1/64"]), of("b", &["10.0.1.1/24"])]
}

fn seen(source: &str, destination: &str) -> Seen {
    let (source, destination) = (source.parse().expect("an address"), destination.parse().expect("an address"));
    Seen {
        input: Some(InterfaceId(0)),
        output: Some(InterfaceId(1)),
        protocol: TCP,
        source,
        destination,
        tproxy: false,
        packet: PacketFacts::default(),
        mark: 0,
        connmark: 0,
        untracked: false,
        logs: Logs::default(),
        original: (source, destination),
    }
}

fn flow() -> Seen {
    seen("10.0.0.9:5", "10.0.1.9:80")
}

fn holds(plain: &Match, seen: &Seen) -> bool {
    let addresses = Addresses::of(&interfaces());
    mismatch(plain, seen, &Context { table: TableKind::Filter, hook: Hook::Forward, addresses: &addresses }).is_none()
}

fn is<T>(value: T) -> Not<T> {
    Not { not: false, value }
}

fn is_not<T>(value: T) -> Not<T> {
    Not { not: true, value }
}

#[test]
fn tcp_flags_and_options() {
    let tcp = |flags, option| Match::Tcp { source: None, destination: None, flags, option };
    let mut flow = flow();
    assert!(holds(&tcp(Some(is(TcpFlags::SYN)), None), &flow));
    assert!(!holds(&tcp(Some(is_not(TcpFlags::SYN)), None), &flow));
    assert!(!holds(&tcp(None, Some(is(2))), &flow) && holds(&tcp(None, Some(is_not(2))), &flow));
    flow.packet.tcp_options = 1 << 2;
    assert!(holds(&tcp(None, Some(is(2))), &flow) && !holds(&tcp(None, Some(is(254))), &flow));
}

#[test]
fn icmp_types_are_those_of_icmp_only() {
    let ping = Match::Icmp(is(IcmpType { kind: Some(8), codes: (0, 255) }));
    let echo = Seen { protocol: ICMP, ..flow() };
    assert!(holds(&ping, &echo), "who knows only addresses asks about a ping");
    assert!(!holds(&ping, &flow()));
    let mut other = echo;
    other.packet.icmp = Some((13, 0));
    assert!(!holds(&ping, &other) && holds(&Match::Icmp(is(IcmpType::ANY)), &other));
}

#[test]
fn without_a_frame_there_is_no_station() {
    let (mac, other) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    assert!(!holds(&Match::Mac(is(mac)), &flow()) && !holds(&Match::Mac(is_not(mac)), &flow()));
    let mut flow = flow();
    flow.packet.source_mac = Some(mac);
    assert!(holds(&Match::Mac(is(mac)), &flow) && holds(&Match::Mac(is_not(other)), &flow));
}

#[test]
fn a_router_has_taken_one_off_the_ttl() {
    assert!(holds(&Match::Ttl(Compare::Equal, 63), &flow()));
    assert!(!holds(&Match::HopLimit(Compare::Equal, 63), &flow()), "hop limits are IPv6's");
    assert!(holds(&Match::HopLimit(Compare::Less, 64), &seen("[fd00::9]:1", "[fd01::9]:1")));
    assert!(holds(&Match::Length(is((60, 60))), &flow()) && !holds(&Match::Length(is_not((0, 60))), &flow()));
}

#[test]
fn states_of_a_first_packet() {
    let state = |states| Match::State(is(states));
    let (new, mut related, untracked) = (flow(), flow(), Seen { untracked: true, ..flow() });
    related.packet.state = FlowState::Related;
    assert!(holds(&state(States::NEW), &new) && !holds(&state(States::ESTABLISHED | States::RELATED), &new));
    assert!(holds(&state(States::RELATED), &related) && !holds(&state(States::NEW), &related));
    assert!(holds(&state(States::UNTRACKED), &untracked) && !holds(&state(States::NEW), &untracked));
    let conntrack = |tracking| Match::Conntrack(Box::new(tracking));
    let dnat = Tracking { states: Some(is(States::DNAT)), ..Tracking::default() };
    let translated = Seen { original: (new.source, "192.0.2.1:80".parse().expect("an address")), ..new };
    assert!(!holds(&conntrack(dnat.clone()), &new) && holds(&conntrack(dnat), &translated));
    let expected = Tracking { status: Some(is(Status::EXPECTED)), ..Tracking::default() };
    assert!(!holds(&conntrack(expected.clone()), &new) && holds(&conntrack(expected), &related));
    let reply = Tracking { direction: Some(Direction::Reply), ..Tracking::default() };
    assert!(!holds(&conntrack(reply), &new));
    // The original addresses are those before translation, the reply's those after it.
    let network = |text: &str| match text.parse::<std::net::Ipv4Addr>() {
        Ok(address) => crate::rules::Network::V4 { address: address.to_bits(), mask: u32::MAX },
        Err(error) => panic!("{error}"),
    };
    let to = |text| TrackedAddresses { destination: Some(is(network(text))), ..TrackedAddresses::default() };
    let from = |text| TrackedAddresses { source: Some(is(network(text))), ..TrackedAddresses::default() };
    assert!(holds(&conntrack(Tracking { original: to("192.0.2.1"), ..Tracking::default() }), &translated));
    assert!(holds(&conntrack(Tracking { reply: from("10.0.1.9"), ..Tracking::default() }), &translated));
    // What is not tracked has a state and nothing else.
    assert!(!holds(&conntrack(Tracking { protocol: Some(is(TCP)), ..Tracking::default() }), &untracked));
    assert!(!holds(&Match::Connmark(is_not(Masked { value: 1, mask: 1 })), &untracked));
    assert!(holds(&Match::Connmark(is_not(Masked { value: 1, mask: 1 })), &new));
}

#[test]
fn kinds_of_addresses() {
    let kind = |types, interface| Match::AddrType { source: None, destination: Some(is(types)), interface };
    for (destination, types, interface, expected) in [
        ("10.0.0.1:1", AddressTypes::LOCAL, None, true),
        ("10.0.1.1:1", AddressTypes::LOCAL, Some(Side::In), false),
        ("10.0.1.1:1", AddressTypes::LOCAL, Some(Side::Out), true),
        ("10.0.1.1:1", AddressTypes::UNICAST, Some(Side::In), true),
        ("10.0.0.255:1", AddressTypes::BROADCAST, None, true),
        ("255.255.255.255:1", AddressTypes::BROADCAST, None, true),
        ("224.0.0.1:1", AddressTypes::MULTICAST, None, true),
        ("192.0.2.1:1", AddressTypes::UNICAST | AddressTypes::LOCAL, None, true),
        ("192.0.2.1:1", AddressTypes::BLACKHOLE | AddressTypes::PROHIBIT, None, false),
        ("[fd00::1]:1", AddressTypes::LOCAL, None, true),
        ("[fd00::]:1", AddressTypes::ANYCAST, None, true),
        ("[fd00::2]:1", AddressTypes::LOCAL | AddressTypes::ANYCAST, None, false),
        ("[ff02::1]:1", AddressTypes::MULTICAST, None, true),
        ("[ff02::1]:1", AddressTypes::UNICAST, None, false),
        ("[::]:1", AddressTypes::UNSPEC, None, true),
    ] {
        let source = if destination.starts_with('[') { "[fd00::9]:1" } else { "10.0.0.9:5" };
        let flow = seen(source, destination);
        assert_eq!(holds(&kind(types, interface), &flow), expected, "{destination} {types:?} {interface:?}");
    }
}

#[test]
fn times_of_days() {
    // 2024-02-29 12:00:00 UTC, a Thursday.
    let noon = 1_709_208_000;
    assert_eq!(day_of_month(noon / DAY), 29);
    assert_eq!((day_of_month(0), day_of_month(364), day_of_month(365)), (1, 31, 1));
    let always = TimeSpan {
        date_start: 0,
        date_stop: u32::MAX,
        day_start: 0,
        day_stop: 86_399,
        month_days: Days::MONTH,
        week_days: Days::WEEK,
        contiguous: false,
    };
    let night = TimeSpan { day_start: 82_800, day_stop: 3_600, week_days: Days(1 << 4), ..always };
    for (span, unix_seconds, expected) in [
        (always, noon, true),
        (TimeSpan { week_days: Days(1 << 4), ..always }, noon, true),
        (TimeSpan { week_days: Days(0xfe & !(1 << 4)), ..always }, noon, false),
        (TimeSpan { month_days: Days(1 << 29), ..always }, noon, true),
        (TimeSpan { month_days: Days(1 << 28), ..always }, noon, false),
        (TimeSpan { day_start: 43_200, day_stop: 43_200 + 60, ..always }, noon, true),
        (TimeSpan { day_start: 43_201, day_stop: 86_399, ..always }, noon, false),
        (TimeSpan { date_stop: noon as u32 - 1, ..always }, noon, false),
        // 23:00 to 01:00 on Thursdays: half past midnight on Friday is Friday's, unless the span is one.
        (night, noon + 11 * 3_600 + 60, true),
        (night, noon + 12 * 3_600 + 60, false),
        (TimeSpan { contiguous: true, ..night }, noon + 12 * 3_600 + 60, true),
        (night, noon, false),
    ] {
        let mut flow = flow();
        flow.packet.at = Moment { micros: 0, unix_seconds };
        assert_eq!(holds(&Match::Time(Box::new(span)), &flow), expected, "{span:?} at {unix_seconds}");
    }
}

#[test]
fn the_first_bits_of_an_address() {
    assert_eq!(masked("10.1.2.3".parse().expect("an address"), 24).to_string(), "10.1.2.0");
    assert_eq!(masked("10.1.2.3".parse().expect("an address"), 128).to_string(), "10.1.2.3");
    assert_eq!(masked("10.1.2.3".parse().expect("an address"), 0).to_string(), "0.0.0.0");
    assert_eq!(masked("fd00::1:2".parse().expect("an address"), 112).to_string(), "fd00::1:0");
}
