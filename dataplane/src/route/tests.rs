//! Next hops, own addresses and broadcasts of a gateway with three legs.

use super::*;

const INTRA: InterfaceId = InterfaceId(0);
const INTER: InterfaceId = InterfaceId(1);
const LINK: InterfaceId = InterfaceId(2);

fn net(text: &str) -> IpNet {
    text.parse().expect("a network")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn routes() -> Routes {
    let interfaces = [
        vec![net("192.168.1.1/24"), net("192.168.1.129/25"), net("fd00:1::1/64")],
        vec![net("203.0.113.1/24"), net("2001:db8:ffff::1/64")],
        vec![net("10.9.9.0/31")],
    ];
    let routes = [
        (net("0.0.0.0/0"), Some(ip("203.0.113.254")), INTER),
        (net("::/0"), Some(ip("fe80::fe")), INTER),
        (net("10.0.0.0/8"), Some(ip("192.168.1.200")), INTRA),
        (net("192.168.1.0/24"), Some(ip("203.0.113.9")), INTER),
    ];
    let mut routes = Routes::from_parts(interfaces.into_iter(), routes.into_iter());
    for interface in [INTRA, INTER, LINK] {
        routes.set_link_local(interface, MacAddress([2, 0, 0, 0, 0, interface.0 as u8 + 1]));
    }
    routes
}

#[track_caller]
fn check(destination: &str, expected: Option<(InterfaceId, &str, Option<&str>)>) {
    let expected = expected.map(|(interface, neighbour, source)| NextHop {
        interface,
        neighbour: ip(neighbour),
        source: source.map(ip),
    });
    assert_eq!(routes().lookup(ip(destination)), expected, "{destination}");
}

#[test]
fn longest_prefix_wins() {
    check("192.168.1.10", Some((INTRA, "192.168.1.10", Some("192.168.1.1"))));
    check("192.168.1.200", Some((INTRA, "192.168.1.200", Some("192.168.1.129"))));
    check("10.1.2.3", Some((INTRA, "192.168.1.200", Some("192.168.1.129"))));
    check("198.51.100.1", Some((INTER, "203.0.113.254", Some("203.0.113.1"))));
    check("fd00:1::77", Some((INTRA, "fd00:1::77", Some("fd00:1::1"))));
    check("2606::1", Some((INTER, "fe80::fe", Some("2001:db8:ffff::1"))));
    check("10.9.9.1", Some((LINK, "10.9.9.1", Some("10.9.9.0"))));
}

#[test]
fn broadcasts_have_no_next_hop() {
    for broadcast in ["192.168.1.255", "192.168.1.128", "192.168.1.0", "203.0.113.0", "203.0.113.255"] {
        assert!(routes().is_subnet_broadcast(ip(broadcast)), "{broadcast}");
    }
    assert!(!routes().is_subnet_broadcast(ip("192.168.1.127")), "the last before the smaller network is a host");
    check("192.168.1.255", None);
    check("203.0.113.255", None);
    assert!(!routes().is_subnet_broadcast(ip("10.9.9.1")), "a network of two has no broadcast address");
    assert!(!routes().is_subnet_broadcast(ip("10.255.255.255")), "what is behind a router is not ours to know");
    assert!(!routes().is_subnet_broadcast(ip("fd00:1::")));
}

#[test]
fn link_local_stays_on_its_link() {
    let routes = routes();
    assert_eq!(routes.lookup(ip("fe80::7")), None);
    assert_eq!(routes.lookup(ip("ff02::1")), None);
    let own = ip("fe80::ff:fe00:1");
    let expected = NextHop { interface: INTRA, neighbour: ip("fe80::7"), source: Some(own) };
    assert_eq!(routes.lookup_from(INTRA, ip("fe80::7")), Some(expected));
    assert_eq!(routes.lookup_from(INTER, ip("192.168.1.10")), routes.lookup(ip("192.168.1.10")));
    assert!(routes.is_own_on(INTRA, own) && !routes.is_own_on(INTER, own) && !routes.is_own(own));
    assert_eq!(routes.link_local(LINK), None, "an interface without IPv6 gets none");
    assert!(routes.is_on_link(INTRA, ip("fe80::7")) && !routes.is_on_link(LINK, ip("fe80::7")));
}

#[test]
fn a_configured_link_local_address_is_kept() {
    let mut routes = Routes::from_parts([vec![net("fe80::1/64")]].into_iter(), std::iter::empty());
    routes.set_link_local(INTRA, MacAddress([2; 6]));
    assert_eq!(routes.link_local(INTRA).map(IpAddr::V6), Some(ip("fe80::1")));
}

#[test]
fn own_addresses_and_links() {
    let routes = routes();
    for own in ["192.168.1.1", "192.168.1.129", "fd00:1::1", "203.0.113.1", "10.9.9.0"] {
        assert!(routes.is_own(ip(own)), "{own}");
    }
    assert!(!routes.is_own(ip("192.168.1.10")));
    assert!(routes.is_own_on(INTRA, ip("192.168.1.1")) && !routes.is_own_on(INTER, ip("192.168.1.1")));
    assert!(routes.is_on_link(INTRA, ip("192.168.1.10")) && !routes.is_on_link(INTER, ip("192.168.1.10")));
    assert!(!routes.is_on_link(INTRA, ip("192.168.1.255")) && !routes.is_on_link(InterfaceId(9), ip("192.168.1.10")));
    assert_eq!(routes.addresses(LINK), [net("10.9.9.0/31")]);
    assert_eq!(routes.source_for(INTER, ip("8.8.8.8")), Some(ip("203.0.113.1")));
    assert_eq!(routes.source_for(LINK, ip("fd00::1")), None);
}
