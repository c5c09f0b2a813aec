//! What is in a set, and what is no set.

use super::Names;

#[test]
fn names_domains_and_expressions() {
    let names = Names::new(["www.Example.com", ".health.example", r"/^api[0-9]+\.shop\./"]).expect("it is good");
    for (name, expected) in [
        ("www.example.com", true),
        ("example.com", false),
        ("a.www.example.com", false),
        ("health.example", true),
        ("a.b.health.example", true),
        ("unhealth.example", false),
        ("health.example.evil", false),
        ("api7.shop.example", true),
        ("xapi7.shop.example", false),
        ("", false),
    ] {
        assert_eq!(names.contains(name), expected, "{name}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (words, place) in [
        (vec!["a.example", "b..example"], 1),
        (vec![""], 0),
        (vec!["."], 0),
        (vec!["*.example.com"], 0),
        (vec!["a.example", "/(/"], 1),
        (vec!["/a{1000}{1000}{1000}/"], 0),
    ] {
        let error = Names::new(words.iter().copied()).expect_err("it is wrong");
        assert_eq!(error.0, place, "{words:?}: {}", error.1);
        assert!(!error.1.is_empty());
    }
}
