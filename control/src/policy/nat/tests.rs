//! Each kind of NAT policy, both ends, and RFC 6052's own examples.

use super::*;
use crate::policy::{InterfaceId, PacketFacts, TCP};

fn flow(source_port: u16, micros: u64) -> NewFlow {
    let mut packet = PacketFacts::default();
    packet.at.micros = micros;
    let (source, destination) = (([10, 0, 0, 1], source_port).into(), ([10, 9, 0, 1], 80).into());
    NewFlow { interface: InterfaceId(0), protocol: TCP, source, destination, packet }
}

fn map(mapping: &Mapping, end: End, source: &str, destination: &str) -> Result<Option<String>, NoAddress> {
    let policy = NatPolicy { name: "n".to_owned(), mapping: mapping.clone(), cacheable: true };
    let mapped = policy.map(&flow(1, 1), end, source.parse().unwrap(), destination.parse().unwrap());
    mapped.map(|address| address.map(|address| address.to_string()))
}

fn to(address: &str) -> Result<Option<String>, NoAddress> {
    Ok(Some(address.to_owned()))
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn general_takes_the_first_row_that_fits_both_ends() {
    let row = |source, destination, mapped| GeneralRow {
        source: net(source),
        destination: net(destination),
        mapped: net(mapped),
    };
    let general = Mapping::General(vec![
        row("10.0.0.0/24", "10.9.0.0/16", "192.168.7.0/24"),
        row("10.0.0.0/8", "0.0.0.0/0", "192.168.8.0/24"),
        row("fd00::/16", "::/0", "fd99::/64"),
    ]);
    assert_eq!(map(&general, End::Source, "10.0.0.5", "10.9.3.4"), to("192.168.7.5:0"));
    assert_eq!(map(&general, End::Destination, "10.0.0.5", "10.9.3.4"), to("192.168.7.4:0"));
    assert_eq!(map(&general, End::Source, "10.0.1.5", "10.9.3.4"), to("192.168.8.5:0"));
    assert_eq!(map(&general, End::Source, "11.0.1.5", "10.9.3.4"), Ok(None));
    assert_eq!(map(&general, End::Source, "fd00::5", "fd01::1"), to("[fd99::5]:0"));
}

#[test]
fn one_to_one_keeps_the_host_part_and_may_refuse_what_is_outside() {
    let pairs = vec![(net("10.0.0.0/24"), net("172.16.5.0/24")), (net("10.0.0.0/16"), net("172.17.0.0/16"))];
    let keep = Mapping::OneToOne { pairs: pairs.clone(), reject_outside: false };
    assert_eq!(map(&keep, End::Destination, "1.1.1.1", "10.0.0.77"), to("172.16.5.77:0"));
    assert_eq!(map(&keep, End::Destination, "1.1.1.1", "10.0.3.77"), to("172.17.3.77:0"));
    assert_eq!(map(&keep, End::Destination, "1.1.1.1", "10.1.0.77"), Ok(None));
    let reject = Mapping::OneToOne { pairs, reject_outside: true };
    assert_eq!(map(&reject, End::Destination, "1.1.1.1", "10.1.0.77"), Err(NoAddress));
    assert_eq!(map(&reject, End::Source, "10.0.0.3", "9.9.9.9"), to("172.16.5.3:0"));
}

#[test]
fn static_hash_and_random_choose_as_they_say() {
    let address = Mapping::Static("10.1.1.1:8080".parse().unwrap());
    assert_eq!(map(&address, End::Destination, "1.1.1.1", "2.2.2.2"), to("10.1.1.1:8080"));
    let list: Vec<SocketAddr> =
        ["10.1.1.1:0", "10.1.1.2:0", "10.1.1.3:0", "[fd00::1]:0"].map(|a| a.parse().unwrap()).into();

    // Hash: the mapped address alone decides; all of the list are used; families do not mix.
    let hash = Mapping::Hash(list.clone());
    let chosen = |n: u8| map(&hash, End::Source, &format!("10.0.0.{n}"), "2.2.2.2").unwrap().unwrap();
    assert_eq!(map(&hash, End::Source, "10.0.0.1", "9.9.9.9").unwrap().unwrap(), chosen(1));
    let different: std::collections::BTreeSet<String> = (0..100).map(chosen).collect();
    assert_eq!(different.len(), 3);
    assert_eq!(map(&hash, End::Source, "fd00::5", "fd00::6"), to("[fd00::1]:0"));
    assert_eq!(map(&Mapping::Hash(list[..3].into()), End::Source, "fd00::5", "fd00::6"), Err(NoAddress));

    // Random: sticks to a pair; not cacheable: does not.
    let random = |cacheable, port, micros| {
        let policy = NatPolicy { name: "n".to_owned(), mapping: Mapping::Random(list.clone()), cacheable };
        let (source, destination) = ("10.0.0.1".parse().unwrap(), "10.9.0.1".parse().unwrap());
        policy.map(&flow(port, micros), End::Source, source, destination).unwrap().unwrap()
    };
    assert!((0..50).all(|n| random(true, n, u64::from(n)) == random(true, 0, 0)));
    let different: std::collections::BTreeSet<SocketAddr> = (0..50).map(|n| random(false, n, u64::from(n))).collect();
    assert_eq!(different.len(), 3);
}

/// RFC 6052 2.4, "Text Representation of IPv4-Embedded IPv6 Addresses", table 1 and 2.
#[test]
fn addresses_are_embedded_as_the_rfc_shows() {
    for (prefix, embedded) in [
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
        ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
    ] {
        let (prefix, embedded) = (prefix.parse().unwrap(), embedded.parse::<Ipv6Addr>().unwrap());
        let (nat46, nat64) = (Mapping::Nat46(prefix), Mapping::Nat64(prefix));
        assert_eq!(map(&nat46, End::Destination, "10.0.0.1", "192.0.2.33"), to(&format!("[{embedded}]:0")), "{prefix}");
        assert_eq!(map(&nat64, End::Destination, "fd00::1", &embedded.to_string()), to("192.0.2.33:0"), "{prefix}");
        assert_eq!(map(&nat64, End::Destination, "fd00::1", "fd00::2"), Err(NoAddress));
        assert_eq!(map(&nat46, End::Destination, "fd00::1", "fd00::2"), Ok(None));
        assert_eq!(map(&nat64, End::Destination, "10.0.0.1", "10.0.0.2"), Ok(None));
    }
}
