//! What is remembered: rates as iptables has them, groups, lists and counts at their bounds, and what a reload keeps.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::connections::{Connections, WAYS};
use super::kept::Kept;
use super::*;
use crate::faults::Place;
use crate::limits::{CONNLIMIT_GROUPS, HASHLIMIT_GROUPS_MAX, RECENT_ADDRESSES, TABLES_BYTES_MAX};
use crate::policy::tuple::{Moment, PacketFacts};
use crate::rules::{
    Burst, Chain, ChainPolicy, ConnLimit, Criteria, HashKeys, HashLimit, HashRate, Limit, Match, Not, Recent,
    RecentOperation, Rule, Ruleset, Table, TableKind, Touched,
};

fn at(millis: u64) -> Moment {
    Moment { micros: millis * 1_000, unix_seconds: 0 }
}

fn packet(millis: u64, length: u16) -> PacketFacts {
    PacketFacts { at: at(millis), length, ..PacketFacts::default() }
}

fn address(n: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::from(n.to_be_bytes()), 1_000)
}

#[test]
fn a_limit_passes_its_burst_and_then_its_rate() {
    // `--limit 10/second`, burst 5.
    let rate = Rate::new(Limit { period: 1_000, burst: 5 });
    let passed = |millis: u64| (0..20).filter(|_| rate.take(at(millis), true)).count();
    assert_eq!(passed(0), 5);
    assert_eq!(passed(99), 0);
    assert_eq!(passed(100), 1);
    assert_eq!(passed(350), 2);
    assert_eq!(passed(10_000), 5, "the bucket is no deeper");
    // Who only looks takes nothing out.
    assert!((0..100).all(|_| rate.take(at(10_100), false)));
    assert_eq!(passed(10_100), 1);
}

fn hash_limit(rate: HashRate, burst: Burst) -> HashLimit {
    HashLimit {
        name: "h".to_owned(),
        above: false,
        rate,
        burst,
        keys: HashKeys { source: true, ..HashKeys::default() },
        source_length: 128,
        destination_length: 128,
        size: None,
        max: None,
        expire_ms: None,
        sweep_ms: None,
        rate_match: false,
        rate_interval_s: 1,
    }
}

#[test]
fn groups_have_a_bucket_each() {
    let limit = hash_limit(HashRate::Flows { period: 100_000 }, Burst::Flows(2));
    let groups = Groups::new(&limit, usize::MAX);
    let passed =
        |source, millis| (0..9).filter(|_| groups.take(address(source), address(9), &packet(millis, 60), true)).count();
    assert_eq!((passed(1, 0), passed(2, 0), passed(1, 0)), (2, 2, 0));
    assert_eq!(passed(1, 100), 1);
    // Not seen for as long as the unit is, a second: forgotten, and as good as new.
    assert_eq!(passed(1, 1_200), 2);
    let by_network = Groups::new(&HashLimit { source_length: 24, ..limit.clone() }, usize::MAX);
    assert!(by_network.take(address(1), address(9), &packet(0, 60), true));
    assert!(by_network.take(address(2), address(9), &packet(0, 60), true));
    assert!(!by_network.take(address(3), address(9), &packet(0, 60), true));
    assert!(by_network.take(address(256), address(9), &packet(0, 60), true));
}

#[test]
fn rates_of_bytes_and_measured_rates() {
    let bytes = Groups::new(&hash_limit(HashRate::Bytes { per_second: 1_000 }, Burst::Bytes(300)), 64);
    let take = |millis| bytes.take(address(1), address(9), &packet(millis, 100), true);
    assert_eq!((0..9).filter(|_| take(0)).count(), 3);
    assert!(!take(99) && take(100));
    let measured = HashLimit { rate_match: true, ..hash_limit(HashRate::Flows { period: 100_000 }, Burst::Flows(5)) };
    let measured = Groups::new(&HashLimit { expire_ms: Some(60_000), ..measured }, 64);
    let take = |millis| measured.take(address(1), address(9), &packet(millis, 100), true);
    assert_eq!((0..15).filter(|_| take(10)).count(), 10, "ten a second");
    assert!(!take(1_010), "the second before was over");
    assert!(take(2_020), "and the one before was not");
}

#[test]
fn a_full_table_of_groups_gives_up_the_oldest() {
    let limit = HashLimit { max: Some(8), ..hash_limit(HashRate::Flows { period: 10_000_000 }, Burst::Flows(1)) };
    let groups = Groups::new(&limit, HASHLIMIT_GROUPS_MAX);
    let take = |source, millis| groups.take(address(source), address(9), &packet(millis, 60), true);
    assert!((1..=8).all(|source| take(source, u64::from(source))));
    assert!(!take(1, 20) && groups.evicted() == 0);
    // The ninth takes the place of the second, which was not seen for the longest time.
    assert!(take(9, 30) && groups.evicted() == 1);
    assert!(!take(3, 40) && take(2, 50));
}

fn recent(operation: RecentOperation, seconds: Option<u32>, hits: Option<u16>) -> Recent {
    Recent {
        name: "r".to_owned(),
        operation,
        seconds,
        reap: false,
        hits,
        same_ttl: false,
        mask: None,
        which: Touched::Source,
    }
}

#[test]
fn a_list_knows_who_was_seen_how_often_and_when() {
    use RecentOperation::{Check, Remove, Set, Update};
    let list = RecentList::new(64, 20);
    let (one, two) = (address(1).ip(), address(2).ip());
    let ask = |recent: &Recent, address, millis| list.ask(recent, address, 64, at(millis), true);
    assert!(!ask(&recent(Check, None, None), one, 0));
    assert!(!ask(&recent(Update, None, None), one, 0), "update adds nobody");
    assert!(ask(&recent(Set, None, None), one, 0) && ask(&recent(Check, None, None), one, 1));
    assert!(!ask(&recent(Check, None, None), two, 1));
    assert!(ask(&recent(Check, Some(10), None), one, 10_000));
    assert!(!ask(&recent(Check, Some(10), None), one, 10_001));
    // `--update --seconds 60 --hitcount 3`: the third within a minute.
    assert!(!ask(&recent(Update, Some(60), Some(3)), one, 20_000));
    assert!(ask(&recent(Set, None, None), one, 20_000) && ask(&recent(Set, None, None), one, 21_000));
    assert!(ask(&recent(Update, Some(60), Some(3)), one, 22_000));
    assert!(!ask(&recent(Update, Some(60), Some(5)), one, 22_000), "seen four times by then");
    assert!(ask(&recent(Remove, None, None), one, 23_000) && !ask(&recent(Remove, None, None), one, 23_000));
    // The TTL, and a mask.
    assert!(list.ask(&recent(Set, None, None), two, 64, at(0), true));
    assert!(!list.ask(&Recent { same_ttl: true, ..recent(Check, None, None) }, two, 63, at(1), true));
    let net = Recent { mask: Some("255.255.255.0".parse().expect("a mask")), ..recent(Set, None, None) };
    assert!(ask(&net, one, 0));
    assert!(ask(&Recent { operation: Check, ..net }, address(77).ip(), 1));
    // Who only looks changes nothing.
    assert!(list.ask(&recent(Set, None, None), address(5_000).ip(), 64, at(0), false));
    assert!(!ask(&recent(Check, None, None), address(5_000).ip(), 1));
    // `--reap`: what was not seen for so long is forgotten.
    let reap = Recent { reap: true, ..recent(Check, Some(1), None) };
    assert!(!ask(&reap, two, 60_000) && !ask(&recent(Check, None, None), two, 60_000));
}

#[test]
fn a_ring_goes_round_and_a_full_list_gives_up_the_oldest() {
    let list = RecentList::new(8, 20);
    let set = recent(RecentOperation::Set, None, None);
    (0..100).for_each(|n| assert!(list.ask(&set, address(1).ip(), 64, at(n), true)));
    let check = |hits, seconds| recent(RecentOperation::Check, seconds, Some(hits));
    assert!(list.ask(&check(20, None), address(1).ip(), 64, at(100), true));
    assert!(!list.ask(&check(21, None), address(1).ip(), 64, at(100), true), "no more times are kept");
    (2..=8).for_each(|n| assert!(list.ask(&set, address(n).ip(), 64, at(100 + u64::from(n)), true)));
    assert_eq!(list.evicted(), 0);
    assert!(list.ask(&set, address(9).ip(), 64, at(200), true));
    assert_eq!(list.evicted(), 1);
    assert!(!list.ask(&check(1, None), address(1).ip(), 64, at(200), true));
}

#[test]
fn connections_are_counted_while_they_last() {
    let connections = Arc::new(Connections::new(64));
    let (group, mut memory) = (address(1).ip(), Memory::sized(0, 0));
    assert_eq!(memory.connect(&connections, group), Some(1));
    assert_eq!(memory.connect(&connections, group), Some(1), "the same flow meets the rule again");
    let first = memory.take_holds();
    assert!(first.is_some() && memory.take_holds().is_none());
    assert_eq!(memory.connect(&connections, group), Some(2));
    // The second flow was not let in: nobody kept its place.
    drop(memory.take_holds());
    assert_eq!(memory.connect(&connections, group), Some(2));
    let second = memory.take_holds();
    assert_eq!(Memory::observer().connect(&connections, group), Some(3));
    assert_eq!(connections.count(group), 2);
    drop((first, second));
    assert_eq!(connections.count(group), 0);
}

#[test]
fn a_flow_that_cannot_be_counted_ends() {
    let connections = Arc::new(Connections::new(1));
    let held: Vec<_> = (0..WAYS as u32).map(|n| Connections::enter(&connections, address(n).ip())).collect();
    assert!(held.iter().all(Option::is_some));
    assert!(Connections::enter(&connections, address(99).ip()).is_none(), "the row is full");
    drop(held);
    assert!(Connections::enter(&connections, address(99).ip()).is_some());
    // More rules of connlimit than a flow may be counted by.
    let mut memory = Memory::sized(0, 0);
    let rules: Vec<Arc<Connections>> = (0..=CONNLIMITS_PER_FLOW_MAX).map(|_| Arc::new(Connections::new(8))).collect();
    let counted: Vec<bool> = rules.iter().map(|rule| memory.connect(rule, address(1).ip()).is_some()).collect();
    assert_eq!(counted.iter().filter(|counted| **counted).count(), CONNLIMITS_PER_FLOW_MAX);
    assert_eq!(counted.last(), Some(&false));
}

fn rules(matches: Vec<Match>) -> Ruleset {
    let rule = |of: Match| Rule {
        criteria: Criteria { matches: vec![of], ..Criteria::default() },
        target: None,
        place: Place::file("x"),
        text: String::new(),
    };
    let chain = Chain {
        name: "FORWARD".into(),
        policy: Some(ChainPolicy::Accept),
        rules: matches.into_iter().map(rule).collect(),
        place: Place::file("x"),
    };
    Ruleset { tables: vec![Table { kind: TableKind::Filter, chains: vec![chain] }] }
}

fn key(text: &str) -> RuleKey {
    ("filter", "FORWARD".into(), text.to_owned(), 0, 0)
}

#[test]
fn a_new_policy_takes_over_what_stays_the_same() {
    let limit = Limit { period: 10, burst: 5 };
    let hash = hash_limit(HashRate::Flows { period: 1 }, Burst::Flows(1));
    let list = recent(RecentOperation::Set, None, None);
    let all = rules(vec![Match::Recent(Box::new(Not { not: false, value: list.clone() }))]);
    let mut old = Kept::plan(&all);
    let kept = (
        old.rate(key("a"), limit, None),
        old.connections(key("a"), None),
        old.groups(&hash, None),
        old.list(&list, None),
    );
    let mut new = Kept::plan(&all);
    assert!(Arc::ptr_eq(&kept.0, &new.rate(key("a"), limit, Some(&old))));
    assert!(!Arc::ptr_eq(&kept.0, &new.rate(key("b"), limit, Some(&old))));
    assert!(Arc::ptr_eq(&kept.1, &new.connections(key("a"), Some(&old))));
    assert!(Arc::ptr_eq(&kept.2, &new.groups(&HashLimit { above: true, ..hash.clone() }, Some(&old))));
    assert!(Arc::ptr_eq(&kept.3, &new.list(&list, Some(&old))));
    let mut other = Kept::plan(&all);
    assert!(!Arc::ptr_eq(&kept.2, &other.groups(&HashLimit { source_length: 8, ..hash }, Some(&old))));
    // A rule that wants more times of an address than there are places for.
    let more = Recent { hits: Some(100), ..list };
    let mut wider = Kept::plan(&rules(vec![Match::Recent(Box::new(Not { not: false, value: more.clone() }))]));
    assert!(!Arc::ptr_eq(&kept.3, &wider.list(&more, Some(&old))));
}

#[test]
fn many_tables_share_the_memory_there_is() {
    let one = ConnLimit { limit: 1, above: true, length: 32, which: Touched::Source };
    let count = 10_000;
    let mut few = Kept::plan(&rules(vec![Match::ConnLimit(one)]));
    assert_eq!(few.connections(key("a"), None).places(), CONNLIMIT_GROUPS);
    let mut many = Kept::plan(&rules(vec![Match::ConnLimit(one); count]));
    let places = many.connections(key("a"), None).places();
    assert!(places < CONNLIMIT_GROUPS && places * 8 * count <= TABLES_BYTES_MAX + count * WAYS * 8);
    let list = recent(RecentOperation::Set, None, Some(u16::MAX));
    let mut long = Kept::plan(&rules(vec![Match::Recent(Box::new(Not { not: false, value: list.clone() }))]));
    let long = long.list(&list, None);
    assert!(long.places() < RECENT_ADDRESSES && long.places() * long.ring() * 8 <= TABLES_BYTES_MAX + (8 << 20));
}
