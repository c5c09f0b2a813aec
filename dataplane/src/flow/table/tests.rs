//! The table against the standard library's map, its refusals, stale ids, and keys chosen to collide.

use std::collections::HashMap;
use std::net::SocketAddr;

use control::policy::InterfaceId;
use proptest::prelude::*;

use super::{FlowId, Refused, Table};
use crate::flow::Key;

/// Few distinct keys, so that random operations meet.
fn key(number: u16) -> Key {
    let source = SocketAddr::from(([10, 0, 0, (number >> 4) as u8], number & 15));
    Key::new(InterfaceId(number & 1), 6, source, SocketAddr::from(([10, 0, 1, 1], 80)))
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u16, u32),
    Remove(u16),
    Change(u16, u32),
    Find(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..64u16;
    prop_oneof![
        (number.clone(), any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
        number.clone().prop_map(Step::Remove),
        (number.clone(), any::<u32>()).prop_map(|(key, value)| Step::Change(key, value)),
        number.prop_map(Step::Find),
    ]
}

proptest! {
    #[test]
    fn it_behaves_as_a_map_of_limited_size(
        steps in prop::collection::vec(step(), 0..400),
        capacity in 0..40usize,
        seed in any::<u64>(),
    ) {
        let mut table = Table::new(capacity, seed);
        let mut model: HashMap<u16, u32> = HashMap::new();
        let mut gone: Vec<FlowId> = Vec::new();
        for step in steps {
            match step {
                Step::Insert(number, value) => {
                    let expected = match table.find(&key(number)) {
                        Some(id) => Err(Refused::Exists(id)),
                        None if model.len() == capacity => Err(Refused::Full),
                        None => Ok(()),
                    };
                    prop_assert_eq!(table.insert(key(number), value).map(|_| ()), expected);
                    if expected.is_ok() {
                        model.insert(number, value);
                    }
                }
                Step::Remove(number) => {
                    let id = table.find(&key(number));
                    prop_assert_eq!(id.and_then(|id| table.remove(id)), model.remove(&number));
                    gone.extend(id);
                }
                Step::Change(number, value) => {
                    if let Some(id) = table.find(&key(number)) {
                        table[id] = value;
                    }
                    model.entry(number).and_modify(|old| *old = value);
                }
                Step::Find(number) => {
                    let found = table.find(&key(number));
                    prop_assert_eq!(found.map(|id| table[id]), model.get(&number).copied());
                    prop_assert_eq!(found.and_then(|id| table.key(id).copied()), found.map(|_| key(number)));
                }
            }
            prop_assert_eq!(table.len(), model.len());
            prop_assert_eq!(table.is_full(), model.len() == capacity);
        }
        for id in gone {
            prop_assert!(table.get(id).is_none() && table.remove(id).is_none(), "a stale id finds nothing");
        }
        let mut listed: Vec<u32> = table.iter(0, usize::MAX).map(|(_, _, &value)| value).collect();
        let mut expected: Vec<u32> = model.into_values().collect();
        listed.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(listed, expected);
    }
}

#[test]
fn a_listing_in_parts_sees_every_entry_once() {
    let mut table = Table::new(100, 1);
    let ids: Vec<FlowId> = (0..100).map(|n| table.insert(key(n), n).expect("there is room")).collect();
    for id in ids.iter().step_by(3) {
        table.remove(*id);
    }
    let mut seen = Vec::new();
    let mut cursor = 0;
    while cursor < table.places() {
        seen.extend(table.iter(cursor, 7).map(|(id, ..)| id));
        cursor += 7;
    }
    let expected: Vec<FlowId> = (0..100).filter(|n| n % 3 != 0).map(|n| ids[n]).collect();
    assert_eq!(seen, expected);
    assert_eq!(seen[0].index(), 1);
}

#[test]
fn it_is_filled_to_the_last_place_and_emptied_without_growing() {
    let capacity = 1 << 12;
    let mut table = Table::new(capacity, 7);
    let room = table.index.capacity();
    let keys: Vec<Key> = (0..capacity as u32)
        .map(|n| {
            let source = SocketAddr::from(([10, (n >> 16) as u8, (n >> 8) as u8, n as u8], 1));
            Key::new(InterfaceId(0), 6, source, SocketAddr::from(([10, 0, 1, 1], 80)))
        })
        .collect();
    for _ in 0..20 {
        for key in &keys {
            table.insert(*key, ()).expect("there is room");
        }
        assert_eq!(table.insert(key(9).reply(InterfaceId(5)), ()), Err(Refused::Full));
        for key in &keys {
            let id = table.find(key).expect("it is there");
            table.remove(id);
        }
        assert!(table.is_empty());
    }
    assert_eq!(table.slots.capacity(), capacity, "the arena did not grow");
    assert!(table.index.capacity() <= room, "the index did not grow");
    assert!(table.index.capacity() >= room - room / 16, "and has few tombstones");
}

/// Keys that differ in few bits, as a flood's do, must still spread: with one hash for all, this would take minutes.
#[test]
fn keys_of_a_pattern_spread() {
    let shared = super::KeyHash { seed: 3, shared: foldhash::SharedSeed::from_u64(3) };
    let mut low = vec![0u32; 1 << 12];
    let mut high = vec![0u32; 1 << 7];
    let patterns = (0..1u32 << 16).map(|n| {
        let source = SocketAddr::from(([192, 168, (n >> 14) as u8, 7], (n << 2) as u16));
        Key::new(InterfaceId(1), 6, source, SocketAddr::from(([10, 0, 0, 9], 443)))
    });
    for key in patterns {
        let hash = shared.of(&key);
        low[(hash & 0xfff) as usize] += 1;
        high[(hash >> 57) as usize] += 1;
    }
    assert!(low.iter().all(|&count| (1..64).contains(&count)), "16 keys to a bucket on average");
    assert!(high.iter().all(|&count| (256..1024).contains(&count)), "512 keys to a tag on average");
}

#[test]
fn the_seed_decides_where_keys_go() {
    let one = super::KeyHash { seed: 1, shared: foldhash::SharedSeed::from_u64(1) };
    let two = super::KeyHash { seed: 2, shared: foldhash::SharedSeed::from_u64(2) };
    assert!((0..64).filter(|&n| one.of(&key(n)) & 63 == two.of(&key(n)) & 63).count() < 16);
}
