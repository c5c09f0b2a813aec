//! Every event has its own place, a name of its own and a sentence.

use std::collections::HashSet;

use super::Event;

#[test]
fn places_names_and_sentences() {
    let mut names = HashSet::new();
    let mut count = 0;
    for (place, event) in Event::all().enumerate() {
        assert_eq!(event.index(), place, "{event:?}");
        assert!(names.insert(event.name()), "{event:?} has the name of another");
        assert!(event.name().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{event:?}");
        assert!(event.sentence().ends_with('.') && event.sentence().contains(' '), "{event:?}");
        count += 1;
    }
    assert_eq!(count, Event::COUNT);
}
