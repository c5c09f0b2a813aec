//! The table against a trivial model, and under the eyes of readers that never stop.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

const TCP: u8 = 6;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a test's address is one")
}

fn audit() -> Audit {
    Audit { owner: crate::requests::Caller::Simulator, since_us: 0, expires_us: None }
}

fn assign(writer: &mut Writer, local: &str, foreign: &str, flags: Flags) {
    let (local, foreign) = (address(local), address(foreign));
    writer.insert(unplaced(TCP, local, foreign, Flags::empty()), audit()).expect("there is room");
    assert_eq!(writer.set_flags((TCP, local), flags), Ok(true));
}

const CLIENT: &str = "192.168.1.77:40000";

#[test]
fn listeners_are_found_by_their_foreign_address_only() {
    let (table, mut writer) = table(16, 1);
    assign(&mut writer, "10.0.0.1:5000", "203.0.113.9:80", Flags::LISTEN);
    let found = table.lookup_foreign(TCP, address("203.0.113.9:80"), address(CLIENT)).expect("it listens there");
    assert_eq!((found.local, found.foreign), (address("10.0.0.1:5000"), address("203.0.113.9:80")));
    for (protocol, destination) in
        [(17, "203.0.113.9:80"), (TCP, "203.0.113.9:81"), (TCP, "203.0.113.8:80"), (TCP, "10.0.0.1:5000")]
    {
        assert_eq!(table.lookup_foreign(protocol, address(destination), address(CLIENT)), None);
    }
    assert_eq!(table.lookup_local(TCP, address("10.0.0.1:5000")), None, "it does not connect");
}

#[test]
fn connectors_are_found_by_their_local_address_only() {
    let (table, mut writer) = table(16, 1);
    assign(&mut writer, "[fd00::1]:5000", "[2001:db8::9]:80", Flags::CONNECT);
    let found = table.lookup_local(TCP, address("[fd00::1]:5000")).expect("it connects from there");
    assert_eq!(found.foreign, address("[2001:db8::9]:80"));
    assert_eq!(table.lookup_foreign(TCP, address("[2001:db8::9]:80"), address("[fd00::2]:1")), None);
}

#[test]
fn an_entry_for_exactly_this_peer_beats_one_for_all() {
    let (table, mut writer) = table(16, 1);
    let foreign = address("203.0.113.9:21");
    assign(&mut writer, "10.0.0.1:1", "203.0.113.9:21", Flags::LISTEN);
    writer.rekey((TCP, address("10.0.0.1:1")), foreign, Some(address(CLIENT))).expect("there is room");
    assign(&mut writer, "10.0.0.1:2", "203.0.113.9:21", Flags::LISTEN);
    let local_for = |source: &str| table.lookup_foreign(TCP, foreign, address(source)).map(|entry| entry.local.port());
    assert_eq!(local_for(CLIENT), Some(1));
    assert_eq!(local_for("192.168.1.77:40001"), Some(2), "another port is another peer");
    writer.remove((TCP, address("10.0.0.1:2"))).expect("it is there");
    assert_eq!(local_for("192.168.1.77:40001"), None);
}

#[test]
fn port_zero_matches_nothing_on_the_listen_side() {
    let (table, mut writer) = table(16, 1);
    assign(&mut writer, "10.0.0.1:1", "203.0.113.9:0", Flags::LISTEN | Flags::CONNECT);
    assert_eq!(table.lookup_foreign(TCP, address("203.0.113.9:0"), address(CLIENT)), None);
    assert!(table.lookup_local(TCP, address("10.0.0.1:1")).is_some(), "connecting does not need a port");
    writer.rekey((TCP, address("10.0.0.1:1")), address("203.0.113.9:33000"), None).expect("there is room");
    assert!(table.lookup_foreign(TCP, address("203.0.113.9:33000"), address(CLIENT)).is_some());
}

#[test]
fn once_is_claimed_once_and_reported_with_who_used_it() {
    let (table, mut writer) = table(16, 1);
    assign(&mut writer, "10.0.0.1:1", "203.0.113.9:80", Flags::LISTEN | Flags::ONCE);
    let look = || table.lookup_foreign(TCP, address("203.0.113.9:80"), address(CLIENT));
    let (first, second) = (look().expect("it listens"), look().expect("nobody has claimed it yet"));
    assert!(table.claim(&first));
    assert!(!table.claim(&second), "the second comes too late");
    assert_eq!(look(), None, "invisible at once");
    assert_eq!(writer.flags((TCP, address("10.0.0.1:1"))), None);
    assert!(writer.remove((TCP, address("10.0.0.1:1"))).is_none(), "used up is not there");
    let claims = writer.reclaim();
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].used_by, Some(address(CLIENT)));
    assert_eq!(claims[0].entry.local, address("10.0.0.1:1"));
    assert_eq!(table.len(), 0);
    assert!(writer.record((TCP, address("10.0.0.1:1"))).is_none());
}

#[test]
fn without_once_every_claim_wins_and_marks_the_entry_applied() {
    let (table, mut writer) = table(16, 1);
    assign(&mut writer, "10.0.0.1:1", "203.0.113.9:80", Flags::LISTEN);
    let local = (TCP, address("10.0.0.1:1"));
    let entry = table.lookup_foreign(TCP, address("203.0.113.9:80"), address(CLIENT)).expect("it listens");
    assert!(!writer.flags(local).expect("there").contains(Flags::APPLIED));
    assert!(table.claim(&entry) && table.claim(&entry));
    assert!(writer.flags(local).expect("there").contains(Flags::APPLIED));
    assert!(writer.reclaim().is_empty());
}

#[test]
fn a_stale_entry_claims_nothing_even_if_its_slot_is_in_use_again() {
    let (table, mut writer) = table(1, 1);
    assign(&mut writer, "10.0.0.1:1", "203.0.113.9:80", Flags::LISTEN | Flags::ONCE);
    let look = || table.lookup_foreign(TCP, address("203.0.113.9:80"), address(CLIENT)).expect("it listens");
    let stale = look();
    writer.remove((TCP, address("10.0.0.1:1"))).expect("it is there");
    assert!(!table.claim(&stale));
    assign(&mut writer, "10.0.0.1:1", "203.0.113.9:80", Flags::LISTEN | Flags::ONCE);
    assert!(!table.claim(&stale), "same slot, same words, another entry");
    assert!(table.claim(&look()));
}

#[test]
fn full_is_full_and_room_comes_back() {
    let (table, mut writer) = table(100, 7);
    let local = |port: u16| SocketAddr::new(address("10.0.0.1:0").ip(), port);
    for port in 1..=100 {
        writer.insert(unplaced(TCP, local(port), local(port), Flags::MARK), audit()).expect("there is room");
    }
    let one_more = unplaced(TCP, local(101), local(101), Flags::MARK);
    assert_eq!(writer.insert(one_more, audit()), Err(Full));
    assert_eq!(table.len(), 100);
    writer.remove((TCP, local(50))).expect("it is there");
    writer.insert(one_more, audit()).expect("there is room again");
    assert!(table.lookup_local(TCP, local(101)).is_some());
    assert!(table.lookup_local(TCP, local(50)).is_none());
}

#[test]
fn keys_that_all_want_one_bucket_lie_within_reach_of_it_or_are_refused() {
    let index = index::Index::new(1_000);
    let reach = 12 * limits::PROBE_BUCKETS_MAX as u32;
    let look = |slot: u32| index.find(7, |found| (found == slot).then_some(found));
    for slot in 0..reach {
        assert_eq!(look(slot), None);
        index.insert(7, slot).expect("there is room");
    }
    assert!(index.insert(7, reach).is_err());
    assert!((0..reach).all(|slot| look(slot) == Some(slot)));
    index.remove(7, 3);
    index.insert(7, reach).expect("one has gone");
    assert_eq!((look(3), look(reach)), (None, Some(reach)));
    for slot in (0..=reach).filter(|slot| *slot != 3) {
        index.remove(7, slot);
    }
    assert!(index.likely(7) == index::Likely::ABSENT, "and nothing is beyond any more");
}

#[test]
fn unused_entries_expire() {
    let (table, mut writer) = table(4, 1);
    let audit = Audit { expires_us: Some(500), ..audit() };
    writer.insert(unplaced(TCP, address("10.0.0.1:1"), address("10.9.9.9:1"), Flags::empty()), audit).expect("room");
    assert_eq!(writer.deadline_us(), Some(500));
    assert!(writer.expire(499).is_empty());
    assert_eq!(writer.expire(500).len(), 1);
    assert_eq!((table.len(), writer.deadline_us()), (0, None));
}

#[test]
fn flags_read_as_people_and_programs_write_them() {
    for text in ["LISTEN,ONCE", "ITP_LISTEN|ITP_ONCE", " once , listen ", "0x10002", "65538"] {
        assert_eq!(text.parse::<Flags>(), Ok(Flags::LISTEN | Flags::ONCE), "{text}");
    }
    assert_eq!((Flags::LISTEN | Flags::ONCE | Flags::LIVE).to_string(), "LISTEN,ONCE");
    assert!("LISTEN,CLAIMED".parse::<Flags>().is_err(), "internal flags have no name");
    let json = serde_json::to_string(&(Flags::CONNECT | Flags::APPLIED)).expect("serializes");
    assert_eq!(json, r#"["CONNECT","APPLIED"]"#);
    for json in [r#"["LISTEN","ONCE"]"#, r#""LISTEN,ONCE""#, "65538"] {
        assert_eq!(serde_json::from_str::<Flags>(json).expect(json), Flags::LISTEN | Flags::ONCE);
    }
}

/// Many threads claim the same entry over and over: always exactly one of them wins, and none ever wins an entry that
/// the writer has taken out first.
#[test]
fn of_all_cores_that_race_for_once_exactly_one_wins() {
    const CORES: usize = 4;
    const ROUNDS: u64 = 2_000;
    let (table, mut writer) = table(8, 3);
    let (round, arrived, wins, stop) =
        (AtomicU64::new(0), AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for core in 0..CORES {
            let (table, round, arrived, wins, stop) = (Arc::clone(&table), &round, &arrived, &wins, &stop);
            scope.spawn(move || {
                let source = SocketAddr::new(address(CLIENT).ip(), core as u16 + 1);
                let mut seen = 0;
                while !stop.load(Ordering::Acquire) {
                    if round.load(Ordering::Acquire) == seen {
                        std::thread::yield_now();
                        continue;
                    }
                    seen += 1;
                    if let Some(entry) = table.lookup_foreign(TCP, address("203.0.113.9:80"), source)
                        && table.claim(&entry)
                    {
                        wins.fetch_add(1, Ordering::AcqRel);
                    }
                    arrived.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        for this in 1..=ROUNDS {
            assign(&mut writer, "10.0.0.1:1", "203.0.113.9:80", Flags::LISTEN | Flags::ONCE);
            wins.store(0, Ordering::Release);
            arrived.store(0, Ordering::Release);
            round.store(this, Ordering::Release);
            // In every other round the writer is in the race as well.
            let taken_out = this % 2 == 0 && writer.remove((TCP, address("10.0.0.1:1"))).is_some();
            while arrived.load(Ordering::Acquire) < CORES {
                std::thread::yield_now();
            }
            assert_eq!(wins.load(Ordering::Acquire), usize::from(!taken_out), "round {this}");
            assert_eq!(writer.reclaim().len(), usize::from(!taken_out), "round {this}");
            assert_eq!(table.len(), 0);
        }
        stop.store(true, Ordering::Release);
    });
}

/// Readers look while the writer moves entries about: what they get is always one entry, never parts of two, and an
/// entry that nobody touches is always found.
#[test]
fn readers_see_whole_entries_while_the_writer_never_rests() {
    let (table, mut writer) = table(64, 5);
    // Local port, foreign port and remote port of an entry are alike, so that mixtures show.
    let alike = |text: &str, port: u16| SocketAddr::new(address(text).ip(), port);
    let steady = address("203.0.113.9:9");
    assign(&mut writer, "10.0.0.1:9", "203.0.113.9:9", Flags::LISTEN | Flags::CONNECT);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (table, stop) = (Arc::clone(&table), &stop);
            scope.spawn(move || {
                let mut port = 0;
                while !stop.load(Ordering::Acquire) {
                    port = port % 8 + 1;
                    let source = alike("192.168.1.77:0", port);
                    let found = table.lookup_foreign(TCP, alike("203.0.113.9:0", port), source);
                    let other = table.lookup_local(TCP, alike("10.0.0.1:0", port));
                    for entry in [found, other].into_iter().flatten() {
                        assert_eq!((entry.local.port(), entry.foreign.port()), (port, port));
                        assert!(entry.remote.is_none_or(|remote| remote == source), "{entry:?}");
                    }
                    assert!(table.lookup_foreign(TCP, steady, source).is_some(), "nobody has touched it");
                }
            });
        }
        for turn in 0..30_000_u32 {
            let port = (turn % 8 + 1) as u16;
            let local = (TCP, alike("10.0.0.1:0", port));
            if writer.remove(local).is_none() {
                let entry = unplaced(TCP, local.1, alike("203.0.113.9:0", port), Flags::empty());
                writer.insert(entry, audit()).expect("there is room");
                writer.set_flags(local, Flags::LISTEN | Flags::CONNECT).expect("there is room");
                if turn % 3 == 0 {
                    writer.rekey(local, entry.foreign, Some(alike("192.168.1.77:0", port))).expect("there is room");
                }
            }
        }
        stop.store(true, Ordering::Release);
    });
}

#[derive(Debug, Clone)]
enum Step {
    Assign { local: u16, foreign: u16, flags: u8 },
    Remove { local: u16 },
    Flags { local: u16, flags: u8 },
    Remote { local: u16, remote: u16 },
    Claim { foreign: u16, source: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    let port = 1..12_u16;
    prop_oneof![
        (port.clone(), 0..12_u16, any::<u8>()).prop_map(|(local, foreign, flags)| Step::Assign {
            local,
            foreign,
            flags
        }),
        port.clone().prop_map(|local| Step::Remove { local }),
        (port.clone(), any::<u8>()).prop_map(|(local, flags)| Step::Flags { local, flags }),
        (port.clone(), 1..4_u16).prop_map(|(local, remote)| Step::Remote { local, remote }),
        (port, 1..4_u16).prop_map(|(foreign, source)| Step::Claim { foreign, source }),
    ]
}

fn flags_of(bits: u8) -> Flags {
    let choices = [Flags::LISTEN, Flags::CONNECT, Flags::ESTABLISHED, Flags::ONCE];
    choices.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, flag)| flag).collect()
}

/// What the table should be, without any cleverness.
#[derive(Debug, Default)]
struct Model(HashMap<u16, (u16, Option<u16>, Flags)>);

impl Model {
    fn listens((foreign, remote, flags): (u16, Option<u16>, Flags)) -> bool {
        foreign != 0 && (flags.contains(Flags::LISTEN) || flags.contains(Flags::ESTABLISHED) && remote.is_some())
    }

    fn listener(&self, foreign: u16, source: u16) -> Option<u16> {
        let find = |wanted: Option<u16>| {
            let mut hits =
                self.0.iter().filter(|(_, entry)| entry.0 == foreign && entry.1 == wanted && Model::listens(**entry));
            hits.next().map(|(local, _)| *local)
        };
        find(Some(source)).or_else(|| find(None))
    }

    /// The caller's part of the bargain: nobody else listens there.
    fn taken(&self, local: u16, entry: (u16, Option<u16>, Flags)) -> bool {
        Model::listens(entry)
            && self
                .0
                .iter()
                .any(|(other, has)| *other != local && has.0 == entry.0 && has.1 == entry.1 && Model::listens(*has))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_table_does_what_a_plain_map_would(steps in proptest::collection::vec(step(), 1..200), seed: u64) {
        let (table, mut writer) = table(16, seed);
        let mut model = Model::default();
        let local_at = |port: u16| (TCP, SocketAddr::new(address("10.0.0.1:0").ip(), port));
        let foreign_at = |port: u16| SocketAddr::new(address("203.0.113.9:0").ip(), port);
        let source_at = |port: u16| SocketAddr::new(address(CLIENT).ip(), port);
        for step in steps {
            match step {
                Step::Assign { local, foreign, flags } => {
                    let entry = (foreign, None, flags_of(flags));
                    if !model.0.contains_key(&local) && !model.taken(local, entry) {
                        let new = unplaced(TCP, local_at(local).1, foreign_at(foreign), entry.2);
                        prop_assert!(writer.insert(new, audit()).is_ok());
                        model.0.insert(local, entry);
                    }
                }
                Step::Remove { local } => {
                    prop_assert_eq!(writer.remove(local_at(local)).is_some(), model.0.remove(&local).is_some());
                }
                Step::Flags { local, flags } => {
                    if let Some(&(foreign, remote, _)) = model.0.get(&local) {
                        let entry = (foreign, remote, flags_of(flags));
                        if !model.taken(local, entry) {
                            prop_assert_eq!(writer.set_flags(local_at(local), entry.2), Ok(true));
                            model.0.insert(local, entry);
                        }
                    }
                }
                Step::Remote { local, remote } => {
                    if let Some(&(foreign, _, flags)) = model.0.get(&local) {
                        let entry = (foreign, Some(remote), flags);
                        if !model.taken(local, entry) {
                            let moved = writer.rekey(local_at(local), foreign_at(foreign), Some(source_at(remote)));
                            prop_assert_eq!(moved, Ok(true));
                            model.0.insert(local, entry);
                        }
                    }
                }
                Step::Claim { foreign, source } => {
                    let found = table.lookup_foreign(TCP, foreign_at(foreign), source_at(source));
                    let expected = model.listener(foreign, source);
                    prop_assert_eq!(found.map(|entry| entry.local.port()), expected);
                    if let Some(entry) = found {
                        prop_assert!(table.claim(&entry));
                        let local = entry.local.port();
                        let once = model.0[&local].2.contains(Flags::ONCE);
                        if once {
                            model.0.remove(&local);
                        }
                        prop_assert_eq!(writer.reclaim().len(), usize::from(once));
                    }
                }
            }
            prop_assert_eq!(table.len(), model.0.len());
            let wanted: Vec<Wanted> = (0..12 * 3)
                .map(|i| Wanted { protocol: TCP, destination: foreign_at(i / 3), source: source_at(i % 3) })
                .collect();
            let one_by_one = |flow: &Wanted| table.lookup_foreign(flow.protocol, flow.destination, flow.source);
            let mut together = vec![None; wanted.len()];
            table.lookup_foreign_burst(&wanted, |at, entry| together[at] = Some(*entry));
            prop_assert_eq!(together, wanted.iter().map(one_by_one).collect::<Vec<_>>());
            for port in 0..12 {
                let connects = |(_, remote, flags): &(u16, Option<u16>, Flags)| {
                    flags.contains(Flags::CONNECT) || flags.contains(Flags::ESTABLISHED) && remote.is_some()
                };
                let expected = model.0.get(&port).filter(|entry| connects(entry)).map(|entry| entry.0);
                let found = table.lookup_local(TCP, local_at(port).1);
                prop_assert_eq!(found.map(|entry| entry.foreign.port()), expected);
            }
        }
    }
}
