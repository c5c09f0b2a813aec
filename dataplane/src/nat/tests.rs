//! Ports stay where they can, keep their class, stay in their range, and run out by name.

use std::collections::HashSet;
use std::net::SocketAddr;

use control::policy::{Nat, NatKind, NatRange};

use super::{Wish, choose};
use crate::packet::{PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP};
use crate::random::Random;

const GRE: u8 = 47;

fn source(port: u16) -> SocketAddr {
    SocketAddr::new("192.168.1.2".parse().expect("an address"), port)
}

fn snat(change: impl FnOnce(&mut NatRange)) -> Nat {
    let address = "203.0.113.1".parse().expect("an address");
    let mut range = NatRange { addresses: Some((address, address)), ..NatRange::new(NatKind::Snat) };
    change(&mut range);
    Nat { source: Some(range), destination: None }
}

#[test]
fn what_is_not_translated_is_itself_or_nothing() {
    let wish = Wish::of(&Nat::default(), PROTOCOL_UDP, source(5_000), false);
    assert_eq!(wish, Wish::exactly(source(5_000)));
    let mut random = Random::new(1);
    assert_eq!(choose(&mut random, &wish, |_| true), Some(5_000));
    assert_eq!(choose(&mut random, &wish, |_| false), None);
    // Where others are translated it may have to give way.
    let wish = Wish::of(&Nat::default(), PROTOCOL_UDP, source(5_000), true);
    assert_eq!((wish.prefer, wish.ports), (Some(5_000), Some((1_024, u16::MAX))));
}

#[test]
fn a_port_stays_or_becomes_one_of_its_class() {
    for (own, class) in [(80, 1..=511), (512, 600..=1_023), (1_023, 600..=1_023), (1_024, 1_024..=u16::MAX)] {
        let wish = Wish::of(&snat(|_| ()), PROTOCOL_TCP, source(own), false);
        let mut random = Random::new(2);
        assert_eq!(choose(&mut random, &wish, |_| true), Some(own));
        let other = choose(&mut random, &wish, |port| port != own).expect("there are others");
        assert!(other != own && class.contains(&other), "{own} became {other}");
    }
}

#[test]
fn a_range_is_kept_and_searched_whole_when_it_is_small() {
    let wish = Wish::of(&snat(|range| range.ports = Some((7_000, 7_099))), PROTOCOL_UDP, source(5_000), false);
    let mut random = Random::new(3);
    let mut taken = HashSet::new();
    while let Some(port) = choose(&mut random, &wish, |port| !taken.contains(&port)) {
        assert!((7_000..=7_099).contains(&port));
        taken.insert(port);
    }
    assert_eq!(taken.len(), 100, "none was left out");
    let inside = Wish::of(&snat(|range| range.ports = Some((4_000, 6_000))), PROTOCOL_UDP, source(5_000), false);
    assert_eq!(choose(&mut random, &inside, |_| true), Some(5_000), "it is in the range already");
}

#[test]
fn random_ports_are_not_the_flows_own() {
    let wish = Wish::of(&snat(|range| range.random_fully = true), PROTOCOL_UDP, source(5_000), false);
    let mut random = Random::new(4);
    let ports: HashSet<Option<u16>> = (0..50).map(|_| choose(&mut random, &wish, |_| true)).collect();
    assert!(ports.len() > 40, "{ports:?}");
}

#[test]
fn a_search_gives_up_after_a_bounded_number_of_tries() {
    let wish = Wish::of(&snat(|_| ()), PROTOCOL_UDP, source(5_000), false);
    let mut tries = 0;
    let chosen = choose(&mut Random::new(5), &wish, |_| {
        tries += 1;
        false
    });
    // Its own, then 128, 64, 32 and 16.
    assert_eq!((chosen, tries), (None, 1 + 128 + 64 + 32 + 16));
}

#[test]
fn identifiers_have_no_classes_and_other_protocols_no_ports() {
    let echo = Wish::of(&snat(|range| range.ports = Some((7_000, 7_001))), PROTOCOL_ICMP, source(7), false);
    assert_eq!((echo.prefer, echo.ports), (None, Some((7_000, 7_001))), "as Linux chooses identifiers");
    let echo = Wish::of(&snat(|_| ()), PROTOCOL_ICMP, source(7), false);
    assert_eq!((echo.prefer, echo.ports), (Some(7), Some((0, u16::MAX))));
    let gre = Wish::of(&snat(|_| ()), GRE, source(0), false);
    assert_eq!(choose(&mut Random::new(6), &gre, |_| true), Some(0));
    assert_eq!(choose(&mut Random::new(6), &gre, |_| false), None);
}
