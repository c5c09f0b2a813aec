//! Names are unique, sentences are sentences, and the order of `ALL` is the order of `index`.

use std::collections::HashSet;

use super::Reason;

#[test]
fn every_reason_has_its_place_name_and_sentence() {
    let mut names = HashSet::new();
    for (index, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(reason.index(), index, "{reason:?}");
        assert!(names.insert(reason.name()), "{} twice", reason.name());
        assert!(reason.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        assert!(reason.sentence().ends_with('.') && reason.sentence().len() > 20);
        assert!(reason.verdict().name().bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
    }
    assert_eq!(Reason::ALL.len(), Reason::ScriptFailed.index() + 1);
}
