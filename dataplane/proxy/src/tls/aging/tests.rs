//! The bound holds, and what is asked for stays.

use super::Aging;

#[test]
fn never_more_than_its_bound_and_the_asked_for_stay() {
    let mut map = Aging::new(100);
    map.insert(0, "kept");
    for key in 1..10_000 {
        map.insert(key, "passing");
        assert!(map.len() <= 100);
        assert_eq!(map.get(&0).copied(), Some("kept"), "after {key}");
    }
    assert_eq!(map.get(&1), None);
    assert_eq!(map.get(&9_999).copied(), Some("passing"));
    map.remove(&0);
    assert_eq!(map.get(&0), None);
}

#[test]
fn a_new_value_replaces_the_old_one_in_either_half() {
    let mut map = Aging::new(4);
    for key in [1, 2, 3] {
        map.insert(key, 0);
    }
    map.insert(1, 7);
    assert_eq!(map.get(&1).copied(), Some(7));
    assert_eq!(map.len(), 3);
}
