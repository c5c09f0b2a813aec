//! Values stay for their time, and the oldest makes room.

use std::time::Duration;

use super::super::limits::SHARED_VALUES_MAX;
use super::{Kept, Shared};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn values_have_their_time() {
    let mut shared = Shared::default();
    shared.set(b"a", Kept::Flag(true), 10 * SECOND, SECOND);
    assert_eq!(shared.get(b"a", 10 * SECOND), Some(&Kept::Flag(true)));
    assert_eq!(shared.get(b"a", 11 * SECOND), None);
    assert_eq!(shared.add(b"n", 2, 10 * SECOND, Duration::ZERO), 2);
    assert_eq!(shared.add(b"n", 3, 10 * SECOND, 9 * SECOND), 5, "an old number keeps its own time");
    assert_eq!(shared.add(b"n", 1, 10 * SECOND, 10 * SECOND), 1, "and begins anew after it");
    assert_eq!(shared.add(b"n", i64::MAX, 10 * SECOND, 10 * SECOND), i64::MAX);
    shared.remove(b"n");
    assert_eq!(shared.get(b"n", 10 * SECOND), None);
}

#[test]
fn the_oldest_makes_room() {
    let mut shared = Shared::default();
    for n in 0..=SHARED_VALUES_MAX {
        shared.set(n.to_string().as_bytes(), Kept::Integer(1), 10 * SECOND, Duration::ZERO);
    }
    assert_eq!((shared.len(), shared.take_evicted()), (SHARED_VALUES_MAX, 1));
    assert_eq!(shared.get(b"0", Duration::ZERO), None);
    assert_eq!(shared.get(b"1", Duration::ZERO), Some(&Kept::Integer(1)));
    shared.set(b"new", Kept::Integer(1), 10 * SECOND, 20 * SECOND);
    assert_eq!(shared.take_evicted(), 0, "what had no time left is not missed");
}
