//! The table of names is whole and unambiguous.

use std::collections::HashSet;

use super::Malformed;

#[test]
fn index_is_place_in_all_and_names_differ() {
    for (place, kind) in Malformed::ALL.iter().enumerate() {
        assert_eq!(kind.index(), place, "{kind:?}");
        assert!(kind.name().bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'));
        assert!(kind.sentence().len() > 20, "{kind:?} has no sentence");
    }
    assert_eq!(Malformed::ALL.last(), Some(&Malformed::NdSolicited), "the last variant is listed");
    let names: HashSet<_> = Malformed::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), Malformed::COUNT);
}
