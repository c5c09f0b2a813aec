//! Every counter has its own place, a name of its own and a sentence that is one.

use std::collections::HashSet;

use super::{Counter, Counters};

#[test]
fn places_names_and_sentences() {
    let mut names = HashSet::new();
    let mut places = 0;
    for (index, counter) in Counter::all().enumerate() {
        assert_eq!(counter.index(), index, "{counter:?}");
        let (name, sentence) = (counter.name(), counter.sentence());
        assert!(names.insert(name), "{name} twice");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
        assert!(!name.contains("__") && !name.starts_with('_') && !name.ends_with('_'), "{name}");
        assert!(sentence.ends_with('.') && !sentence.ends_with(".."), "{name}: {sentence}");
        assert!(sentence.starts_with(char::is_uppercase) && sentence.contains(' '), "{name}: {sentence}");
        places += 1;
    }
    assert_eq!(places, Counter::COUNT);
}

#[test]
fn counting_moves_one_counter_only() {
    let mut counters = Counters::new();
    for (n, counter) in (1u64..).zip(Counter::all()) {
        counters.add(counter, n);
    }
    counters.count(Counter::NoRoute);
    for (n, counter) in (1u64..).zip(Counter::all()) {
        assert_eq!(counters.get(counter), n + u64::from(counter == Counter::NoRoute), "{counter:?}");
    }
    let reported: Vec<(&str, u64)> = counters.iter().map(|value| (value.name, value.value)).collect();
    let expected: Vec<(&str, u64)> = Counter::all().map(|counter| (counter.name(), counters.get(counter))).collect();
    assert_eq!(reported, expected);
}

#[test]
fn reasons_of_the_parts_are_counted_as_they_are() {
    let mut counters = Counters::new();
    counters.count(control::policy::DropReason::NoListener);
    counters.count(tcp::Discard::Duplicate);
    counters.count(proxy::Reason::IdleTimeout);
    let moved: Vec<&str> = counters.iter().filter(|value| value.value > 0).map(|value| value.name).collect();
    assert_eq!(moved, ["tcp_duplicate", "drop_no_listener", "session_idle_timeout"]);
}
