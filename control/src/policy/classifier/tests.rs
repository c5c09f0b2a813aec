//! The index against the walk it shortens: whatever the rules and whatever the flows, the same end, counts and marks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use proptest::prelude::*;

use super::intervals::{Dense, Dimension};
use crate::faults::Place;
use crate::policy::chains::{Chains, End, Seen};
use crate::policy::memory::Memory;
use crate::policy::network::{Interface, InterfaceId};
use crate::policy::sets::Sets;
use crate::policy::trace::{NoTrace, Step, Trace};
use crate::policy::tuple::{Moment, PacketFacts};
use crate::policy::verdict::Logs;
use crate::rules::{
    Chain, ChainPolicy, Criteria, Family, Hook, Limit, Masked, Match, Network, Not, PortSet, Ports, Rule, Ruleset,
    Table, TableKind, Target,
};

/// Wants to hear of every rule, so its walk goes without the index.
struct Linear;

impl Trace for Linear {
    fn step(&mut self, _: Step<'_>) {}
}

const CHAINS: [&str; 4] = ["FORWARD", "c1", "c2", "c3"];

fn interfaces() -> Vec<Interface> {
    let of = |name: &str| Interface {
        name: name.to_owned(),
        port: "net_null0".to_owned(),
        vlan: None,
        addresses: Vec::new(),
        mtu: None,
        kernel: None,
    };
    ["a", "a1", "b", "c"].map(of).into()
}

fn not<T: Clone + std::fmt::Debug + 'static>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Not<T>> {
    (prop::bool::weighted(0.2), value).prop_map(|(not, value)| Not { not, value })
}

fn address(v4: bool) -> impl Strategy<Value = u128> {
    let high = if v4 { 0x0a00_0000 } else { 0xfd00 << 112 };
    prop_oneof![8 => 0u128..12, 2 => 250u128..260, 1 => Just(u128::from(u32::MAX))].prop_map(move |low| {
        match (v4, low) {
            (true, low) if low > 1 << 20 => low,
            _ => high | low,
        }
    })
}

fn ip(v4: bool, bits: u128) -> IpAddr {
    if v4 { Ipv4Addr::from_bits(bits as u32).into() } else { Ipv6Addr::from_bits(bits).into() }
}

fn network(v4: bool) -> impl Strategy<Value = Network> {
    let masks = prop_oneof![Just(0u8), Just(8), Just(24), 27u8..=32, Just(99)];
    (address(v4), masks).prop_map(move |(bits, length)| {
        if v4 {
            let mask =
                if length == 99 { 0xff00_00fd } else { u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0) };
            Network::V4 { address: bits as u32 & mask, mask }
        } else {
            let mask = match length {
                99 => 0xff00_0000_0000_0000_0000_0000_0000_00fd,
                length if length > 24 => u128::MAX << (32 - u32::from(length)),
                length => u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0),
            };
            Network::V6 { address: bits & mask, mask }
        }
    })
}

fn ports() -> impl Strategy<Value = Ports> {
    let first = prop_oneof![0u16..12, Just(u16::MAX - 1)];
    (first, 0u16..4).prop_map(|(first, more)| Ports { first, last: first.saturating_add(more) })
}

fn matches() -> impl Strategy<Value = Match> {
    prop_oneof![
        4 => (prop::option::of(not(ports())), prop::option::of(not(ports())))
            .prop_map(|(source, destination)| Match::Udp { source, destination }),
        2 => (0usize..3, not(prop::collection::vec(ports(), 1..5))).prop_map(|(which, ports)| Match::Multiport {
            which: [PortSet::Source, PortSet::Destination, PortSet::Either][which],
            ports,
        }),
        1 => (0u32..4).prop_map(|value| Match::Mark(Not { not: false, value: Masked { value, mask: 3 } })),
        1 => (1u32..50, 1u32..4).prop_map(|(period, burst)| Match::Limit(Limit { period, burst })),
    ]
}

fn criteria() -> impl Strategy<Value = Criteria> {
    let names = ["a", "a+", "b", "c", "z", "+"];
    let interface = not((0..names.len()).prop_map(move |at| names[at].to_owned()));
    let base = any::<bool>()
        .prop_flat_map(|v4| (prop::option::of(not(network(v4))), prop::option::of(not(network(v4))), Just(v4)));
    let protocol = prop::option::of(not(prop_oneof![Just(6u8), Just(17), Just(1)]));
    let rest =
        (protocol, prop::option::of(interface), prop::collection::vec(matches(), 0..3), prop::bool::weighted(0.1));
    (base, rest).prop_map(|((source, destination, v4), (protocol, input, matches, only))| {
        let named = source.is_some() || destination.is_some() || only;
        let family = named.then_some(if v4 { Family::V4 } else { Family::V6 });
        Criteria { family, source, destination, input, protocol, matches, ..Criteria::default() }
    })
}

/// A rule of chain `of`, which may call the chains after it.
fn rule(of: usize) -> impl Strategy<Value = Rule> {
    let target = prop_oneof![
        3 => Just(None),
        2 => Just(Some(Target::Accept)),
        2 => Just(Some(Target::Drop)),
        1 => Just(Some(Target::Return)),
        2 => (0u32..4, 0u32..4).prop_map(|(value, mask)| Some(Target::Mark(Masked { value, mask }))),
        4 => (1usize..4, any::<bool>()).prop_map(move |(further, goes)| {
            let to: Arc<str> = (*CHAINS.get(of + further)?).into();
            Some(if goes { Target::Goto(to) } else { Target::Jump(to) })
        }),
    ];
    (criteria(), target).prop_map(|(criteria, target)| Rule {
        text: format!("{criteria:?}"),
        criteria,
        target,
        place: Place::file("x"),
    })
}

fn ruleset() -> impl Strategy<Value = Ruleset> {
    let chain = |of: usize| prop::collection::vec(rule(of), 0..60);
    (chain(0), chain(1), chain(2), chain(3)).prop_map(|(a, b, c, d)| {
        let chains = [a, b, c, d].into_iter().enumerate().map(|(at, rules)| Chain {
            name: CHAINS[at].into(),
            policy: (at == 0).then_some(ChainPolicy::Drop),
            rules,
            place: Place::file("x"),
        });
        Ruleset { tables: vec![Table { kind: TableKind::Filter, chains: chains.collect() }] }
    })
}

fn flow() -> impl Strategy<Value = Seen> {
    let ends = any::<bool>().prop_flat_map(|v4| (Just(v4), address(v4), address(v4)));
    let port = || prop_oneof![0u16..16, Just(u16::MAX)];
    let protocol = prop_oneof![Just(6u8), Just(17), Just(1), Just(47)];
    (ends, port(), port(), protocol, prop::option::of(0u16..4), 0u64..40).prop_map(
        |((v4, from, to), source_port, destination_port, protocol, input, millis)| {
            let (source, destination) =
                (SocketAddr::new(ip(v4, from), source_port), SocketAddr::new(ip(v4, to), destination_port));
            Seen {
                input: input.map(InterfaceId),
                output: None,
                protocol,
                source,
                destination,
                tproxy: false,
                packet: PacketFacts { at: Moment { micros: millis * 100, unix_seconds: 0 }, ..PacketFacts::default() },
                mark: 0,
                connmark: 0,
                untracked: false,
                logs: Logs::default(),
                original: (source, destination),
            }
        },
    )
}

fn compiled(ruleset: &Ruleset) -> (Chains, Memory) {
    let chains = Chains::compile(ruleset, &interfaces(), &Sets::default(), None);
    let memory = Memory::sized(chains.infos().len(), chains.len());
    (chains, memory)
}

fn walk<T: Trace>((chains, memory): &mut (Chains, Memory), flow: &Seen, trace: &mut T) -> (End, u32, u32) {
    let mut seen = *flow;
    let end = chains.walk(TableKind::Filter, Hook::Forward, &mut seen, memory, trace);
    (end, seen.mark, seen.connmark)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_index_leaves_out_nothing_that_fits(
        ruleset in ruleset(),
        mut flows in prop::collection::vec(flow(), 1..60),
    ) {
        let (mut linear, mut indexed) = (compiled(&ruleset), compiled(&ruleset));
        flows.sort_by_key(|flow| flow.packet.at.micros);
        for flow in &flows {
            prop_assert_eq!(walk(&mut linear, flow, &mut Linear), walk(&mut indexed, flow, &mut NoTrace), "{:?}", flow);
        }
        prop_assert_eq!(linear.1.rule_counters(), indexed.1.rule_counters());
        prop_assert_eq!(linear.1.chain_counters(), indexed.1.chain_counters());
    }

    #[test]
    fn a_dimension_that_is_cut_short_leaves_out_nothing_either(
        ranges in prop::collection::vec((0u16..200, 0u16..60), 1..150),
        bytes_max in 64usize..4_096,
        keys in prop::collection::vec(0u16..300, 1..40),
    ) {
        let ranges: Vec<[(u16, u16); 1]> = ranges.iter().map(|(first, more)| [(*first, first + more)]).collect();
        let specific: Vec<(u32, &[(u16, u16)])> =
            ranges.iter().enumerate().map(|(rule, range)| (rule as u32, &range[..])).collect();
        let none = || Dense::of(ranges.len(), std::iter::empty());
        let (whole, short) = (
            Dimension::build(none(), &specific, usize::MAX),
            Dimension::build(none(), &specific, bytes_max),
        );
        prop_assert!(!whole.size().1);
        for key in keys {
            for (rule, range) in ranges.iter().enumerate() {
                let fits = (range[0].0..=range[0].1).contains(&key);
                let has = |dimension: &Dimension<u16>| {
                    let view = dimension.view(Some(key));
                    let summary = view.summary(rule / 4096) & (1 << (rule / 64 % 64)) != 0;
                    let bit = view.word(rule / 64) & (1 << (rule % 64)) != 0;
                    assert!(summary || !bit, "a word with a bit is in the summary");
                    bit
                };
                prop_assert_eq!(has(&whole), fits);
                prop_assert!(has(&short) || !fits);
            }
        }
    }
}

/// Rules that all overlap, as many as there can be: the square of them would be half a gigabyte of sets.
#[test]
fn the_memory_of_an_index_is_bounded() {
    let count = crate::limits::RULES_MAX;
    let ranges: Vec<[(u32, u32); 1]> = (0..count as u32).map(|rule| [(rule, u32::MAX - rule)]).collect();
    let specific: Vec<(u32, &[(u32, u32)])> =
        ranges.iter().enumerate().map(|(rule, range)| (rule as u32, &range[..])).collect();
    let bound = crate::limits::DIMENSION_BYTES_MAX;
    let dimension = Dimension::build(Dense::of(count, std::iter::empty()), &specific, bound);
    let (bytes, coarse) = dimension.size();
    assert!(coarse && bytes < bound + (2 << 20), "{bytes} bytes, coarse: {coarse}");
    // And it still says what fits: at key n the rules up to n.
    let view = dimension.view(Some(1_000));
    assert!((0..=1_000usize).all(|rule| view.word(rule / 64) & (1 << (rule % 64)) != 0));
}

#[test]
fn small_tables_have_no_index_and_large_ones_have_a_small_one() {
    let rule = |n: usize| Rule {
        criteria: Criteria {
            family: Some(Family::V4),
            source: Some(Not { not: false, value: Network::V4 { address: 0x0a00_0000 + n as u32, mask: u32::MAX } }),
            ..Criteria::default()
        },
        target: Some(Target::Accept),
        place: Place::file("x"),
        text: String::new(),
    };
    let table = |count: usize| {
        let chain = Chain {
            name: "FORWARD".into(),
            policy: Some(ChainPolicy::Accept),
            rules: (0..count).map(rule).collect(),
            place: Place::file("x"),
        };
        compiled(&Ruleset { tables: vec![Table { kind: TableKind::Filter, chains: vec![chain] }] }).0
    };
    assert_eq!(table(crate::limits::CLASSIFIER_RULES_MIN - 1).classifiers().count(), 0);
    let (_, size) = table(10_000).classifiers().next().expect("an index");
    assert_eq!((size.rules, size.coarse), (10_000, 0));
    assert!(size.bytes < 1 << 20, "{} bytes", size.bytes);
}
