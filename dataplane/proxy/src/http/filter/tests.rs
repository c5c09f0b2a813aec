//! Which URLs a rule is for, and that a list finds exactly its entries.

use std::sync::Arc;

use regex::Regex;

use super::{Filter, FilterRule, List, Pattern, Sentence};
use crate::http::limits::LIST_BYTES_MAX;
use crate::http::policy::Action;
use crate::http::url::{Url, UrlRules};

fn url(text: &str) -> Url {
    Url::parse(text.as_bytes(), &UrlRules::default()).expect("it is a URL")
}

fn check(pattern: &Pattern, fit: &[&str], other: &[&str]) {
    for text in fit {
        assert!(pattern.fits(&url(text)), "{pattern:?} is for {text}");
    }
    for text in other {
        assert!(!pattern.fits(&url(text)), "{pattern:?} is not for {text}");
    }
}

#[test]
fn patterns_see_one_spelling() {
    check(
        &Pattern::Exact("e.com/a?b".into()),
        &["http://e.com/a?b", "HTTP://E.com:80/%61?b", "http://e.com/x/../a?b", "http://e.com//a?b"],
        &["http://e.com/a", "http://e.com/a?b=", "http://e.com:81/a?b", "http://x.e.com/a?b"],
    );
    check(
        &Pattern::Host("e.com".into()),
        &["http://e.com/", "http://a.b.e.com/x", "http://E.COM./"],
        &["http://e.com.x/", "http://ae.com/", "http://com/"],
    );
    check(
        &Pattern::Prefix("e.com/a".into()),
        &["http://e.com/a", "http://e.com/a/b?c", "http://e.com///a//b", "http://e.com/a?x"],
        &["http://e.com/ab", "http://e.com/", "http://e.com/A"],
    );
    let regex = Regex::new("^https?://[^/]*/.*\\.exe(\\?|$)").expect("it is one");
    check(&Pattern::Regex(regex), &["http://e/x/y.exe", "http://e/y%2Eexe?1"], &["http://e/exe", "http://y.exe/"]);
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rule = |pattern, action| FilterRule { pattern, sentence: Sentence::Action(action) };
    let filter = Filter(vec![
        rule(Pattern::Prefix("e.com/free".into()), Action::Accept),
        rule(Pattern::Host("e.com".into()), Action::Deny),
        FilterRule {
            pattern: Pattern::Host("old.net".into()),
            sentence: Sentence::Elsewhere("http://new.net/".into()),
        },
    ]);
    assert!(matches!(filter.judge(&url("http://e.com/free/x")), Some(Sentence::Action(Action::Accept))));
    assert!(matches!(filter.judge(&url("http://e.com/x")), Some(Sentence::Action(Action::Deny))));
    assert!(matches!(filter.judge(&url("http://old.net/")), Some(Sentence::Elsewhere(_))));
    assert!(filter.judge(&url("http://other/")).is_none());
}

#[test]
fn a_list_has_domains_and_directories() {
    let list = List::parse(
        "# bad ones\nBad.com\n.worse.net # and all of it\n\nhttp://mixed.org/a/b/\nmixed.org/c\n10.0.0.1\nbad.com\n\
         whole.org/x\nwhole.org\n[2001:db8::1]/x\n",
    )
    .expect("it is a list");
    assert_eq!(list.len(), 8);
    check(
        &Pattern::List(Arc::new(list)),
        &[
            "http://bad.com/",
            "http://x.bad.com/y",
            "http://worse.net/",
            "http://a.b.worse.net/",
            "http://mixed.org/a/b",
            "http://mixed.org/a/b/c?d",
            "http://x.mixed.org/a//b/",
            "http://mixed.org/c",
            "http://10.0.0.1/x",
            "http://whole.org/",
            "http://whole.org/y",
            "http://[2001:db8::1]/x/y",
        ],
        &[
            "http://good.com/",
            "http://mixed.org/",
            "http://mixed.org/a",
            "http://mixed.org/a/bc",
            "http://notbad.com/",
            "http://10.0.0.2/",
            "http://com/",
            "http://1.10.0.0.1.x/",
            "http://[2001:db8::1]/y",
        ],
    );
}

#[test]
fn a_list_is_what_a_plain_set_says() {
    let name = |n: u64| {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        if n.is_multiple_of(3) { format!("h{mixed}.example/d{}", n % 7) } else { format!("h{mixed}.example") }
    };
    let names: std::collections::BTreeSet<String> = (0..5_000).map(name).collect();
    let list = List::parse(&names.iter().map(|name| format!("{name}\n")).collect::<String>()).expect("it is a list");
    assert_eq!(list.len(), names.len());
    for n in 0..20_000 {
        let (name, sought) = (name(n), name(n));
        let (host, path) = name.split_at(name.find('/').unwrap_or(name.len()));
        let path = if path.is_empty() { "/" } else { path };
        assert_eq!(list.has(host, path), names.contains(&sought) || names.contains(host), "{sought}");
    }
}

#[test]
fn lines_that_are_no_entries_are_told() {
    let faults = List::parse("good.com\nhttp://a b/\n127.1\ne.com/?q\n").expect_err("there are faults");
    assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(List::parse("").expect("an empty list is one").is_empty());
}

#[test]
fn long_hosts_and_paths_are_looked_up_from_their_ends() {
    let list = List::parse("bad.com\ndirs.com/a/b\n").expect("it is a list");
    let host = format!("{}bad.com", "a.".repeat(100));
    assert!(list.has(&host, "/"), "the last labels decide");
    let path = format!("/a/b{}", "/x".repeat(1000));
    assert!(list.has("dirs.com", &path));
}

#[test]
fn a_list_as_large_as_may_be_and_one_byte_more() {
    let comments = "#".repeat(LIST_BYTES_MAX);
    assert!(List::parse(&comments).is_ok());
    let faults = List::parse(&(comments + "\n")).expect_err("one more");
    assert_eq!((faults.len(), faults[0].line), (1, 0));
}
