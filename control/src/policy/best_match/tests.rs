//! Each step of the comparison, the traps, and the index against trying every rule.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

fn rule(id: u32) -> PolicyRule {
    PolicyRule {
        id,
        service: ServiceId(0),
        src_iface: Vec::new(),
        proto: Vec::new(),
        src_port: Vec::new(),
        dst_port: Vec::new(),
        src_subnet: Vec::new(),
        src_zone: Vec::new(),
        dst_subnet: Vec::new(),
        dst_iface: Vec::new(),
        dst_zone: Vec::new(),
    }
}

/// Zone 0 is around 1, which is around 2; 3 stands alone.
fn zones() -> Vec<Zone> {
    let zone = |parent: Option<u32>| Zone { parent: parent.map(ZoneId), ..Zone::named("z") };
    vec![zone(None), zone(Some(0)), zone(Some(1)), zone(None)]
}

fn flow() -> Flow {
    Flow {
        input: Some(InterfaceId(0)),
        output: Some(InterfaceId(1)),
        protocol: 6,
        source: "10.0.0.9:4000".parse().unwrap(),
        destination: "192.168.1.9:80".parse().unwrap(),
        client: Some(ZoneId(2)),
        server: Some(ZoneId(3)),
    }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// Which of two rules wins, by id; negative: a tie.
fn wins(a: PolicyRule, b: PolicyRule) -> Option<(u32, bool)> {
    let rules = [a, b];
    let chosen = Index::new(&rules, &zones()).choose(&flow())?;
    Some((rules[chosen.rule.0 as usize].id, chosen.tie.is_some()))
}

#[test]
fn each_dimension_beats_all_below_it() {
    let ladder = [
        PolicyRule { dst_zone: vec![ZoneId(3)], ..rule(1) },
        PolicyRule { dst_iface: vec![InterfaceId(1)], ..rule(2) },
        PolicyRule { dst_subnet: vec![net("0.0.0.0/0")], ..rule(3) },
        PolicyRule { dst_subnet: vec![net("192.168.1.0/24")], ..rule(4) },
        PolicyRule { src_zone: vec![ZoneId(0)], ..rule(5) },
        PolicyRule { src_zone: vec![ZoneId(1)], ..rule(6) },
        PolicyRule { src_zone: vec![ZoneId(2)], ..rule(7) },
        PolicyRule { src_subnet: vec![net("0.0.0.0/0")], ..rule(8) },
        PolicyRule { src_subnet: vec![net("10.0.0.0/8")], ..rule(9) },
        PolicyRule { dst_port: vec![(1, 1000)], ..rule(10) },
        PolicyRule { dst_port: vec![(80, 80)], ..rule(11) },
        PolicyRule { src_port: vec![(1, 5000)], ..rule(12) },
        PolicyRule { src_port: vec![(4000, 4000)], ..rule(13) },
        PolicyRule { proto: vec![6, 17], ..rule(14) },
        PolicyRule { src_iface: vec![InterfaceId(0)], ..rule(15) },
    ];
    assert_eq!(wins(rule(0), ladder[0].clone()), Some((1, false)));
    for pair in ladder.windows(2) {
        assert_eq!(wins(pair[0].clone(), pair[1].clone()), Some((pair[1].id, false)));
        assert_eq!(wins(pair[1].clone(), pair[0].clone()), Some((pair[1].id, false)));
    }
}

#[test]
fn of_equals_the_lower_id_wins_and_the_tie_is_told() {
    assert_eq!(wins(rule(7), rule(3)), Some((3, true)));
    assert_eq!(wins(rule(3), rule(7)), Some((3, true)));
    // A better one comes after two equals: no tie.
    let better = PolicyRule { proto: vec![6], ..rule(9) };
    let rules = [rule(1), rule(2), better];
    let chosen = Index::new(&rules, &zones()).choose(&flow()).unwrap();
    assert_eq!((chosen.rule, chosen.tie), (PolicyRuleId(2), None));
}

#[test]
fn networks_zones_and_interfaces_of_one_end_are_alternatives() {
    // None of the networks fits, the zone does; the other way round; and nothing does.
    let zone = PolicyRule { src_subnet: vec![net("11.0.0.0/8")], src_zone: vec![ZoneId(1)], ..rule(1) };
    assert_eq!(wins(zone.clone(), PolicyRule { dst_port: vec![(81, 81)], ..rule(2) }), Some((1, false)));
    let subnet = PolicyRule { src_subnet: vec![net("10.0.0.0/8")], src_zone: vec![ZoneId(3)], ..rule(1) };
    assert_eq!(wins(subnet, zone), Some((1, false)));
    let neither = PolicyRule { src_subnet: vec![net("11.0.0.0/8")], src_zone: vec![ZoneId(3)], ..rule(1) };
    assert_eq!(wins(neither.clone(), neither), None);
    let interface = PolicyRule { dst_subnet: vec![net("11.0.0.0/8")], dst_iface: vec![InterfaceId(1)], ..rule(1) };
    assert_eq!(wins(interface.clone(), PolicyRule { dst_zone: vec![ZoneId(3)], ..rule(2) }), Some((1, false)));
    // But a rule that names only an interface is not fitted by a network.
    assert_eq!(wins(PolicyRule { dst_iface: vec![InterfaceId(0)], ..rule(1) }, rule(2)), Some((2, false)));
    // What no rule fits has none.
    assert!(Index::new(&[], &zones()).choose(&flow()).is_none());
}

fn nets() -> impl Strategy<Value = Vec<IpNet>> {
    let net = (0u8..4, 0u8..4, prop::sample::select(vec![0u8, 8, 16, 24, 32]));
    let net = net.prop_map(|(a, b, length)| IpNet::new(IpAddr::from([10 + a, b, 0, a]), length).unwrap().trunc());
    prop::collection::vec(net, 0..3)
}

fn ports() -> impl Strategy<Value = Vec<(u16, u16)>> {
    let range = (0u16..6, 0u16..3).prop_map(|(first, more)| (first, first + more));
    prop_oneof![Just(Vec::new()), Just(vec![(0, u16::MAX)]), prop::collection::vec(range, 0..3)]
}

prop_compose! {
    fn any_rule()(
        id in 0u32..1000, src_iface in prop::collection::vec(0u16..3, 0..2), dst_iface in prop::collection::vec(0u16..3, 0..2),
        proto in prop::collection::vec(prop::sample::select(vec![6u8, 17, 1]), 0..2),
        src_port in ports(), dst_port in ports(), src_subnet in nets(), dst_subnet in nets(),
        src_zone in prop::collection::vec(0u32..4, 0..2), dst_zone in prop::collection::vec(0u32..4, 0..2),
    ) -> PolicyRule {
        let interfaces = |list: Vec<u16>| list.into_iter().map(InterfaceId).collect();
        let zones = |list: Vec<u32>| list.into_iter().map(ZoneId).collect();
        PolicyRule {
            id, service: ServiceId(0), src_iface: interfaces(src_iface), proto, src_port, dst_port, src_subnet,
            src_zone: zones(src_zone), dst_subnet, dst_iface: interfaces(dst_iface), dst_zone: zones(dst_zone),
        }
    }
}

prop_compose! {
    fn any_flow()(
        input in prop::option::of(0u16..4), output in prop::option::of(0u16..4), protocol in prop::sample::select(vec![6u8, 17, 1, 47]),
        source in (0u8..4, 0u8..4, 0u16..9), destination in (0u8..4, 0u8..4, 0u16..9),
        client in prop::option::of(0u32..4), server in prop::option::of(0u32..4),
    ) -> Flow {
        let address = |(a, b, port): (u8, u8, u16)| (IpAddr::from([10 + a, b, 0, a]), port).into();
        Flow {
            input: input.map(InterfaceId), output: output.map(InterfaceId), protocol, source: address(source),
            destination: address(destination), client: client.map(ZoneId), server: server.map(ZoneId),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_index_chooses_what_trying_every_rule_chooses(
        rules in prop::collection::vec(any_rule(), 0..150), flows in prop::collection::vec(any_flow(), 1..20),
    ) {
        let zones = zones();
        let (index, depths) = (Index::new(&rules, &zones), Depths::new(&zones));
        for flow in flows {
            let scored = || rules.iter().filter_map(|rule| Some((rule.score(&flow, &depths)?, rule.id)));
            let best = scored().max_by_key(|(score, id)| (*score, std::cmp::Reverse(*id)));
            let chosen = index.choose(&flow);
            let found = chosen.map(|chosen| rules[chosen.rule.0 as usize].id);
            prop_assert_eq!(found, best.map(|(_, id)| id));
            if let (Some((score, _)), Some(chosen)) = (best, chosen) {
                prop_assert_eq!(chosen.tie.is_some(), scored().filter(|(other, _)| *other == score).count() > 1);
            }
        }
    }
}
