//! Sets out of the file and out of files beside it, and everything that can be wrong with them.

use std::path::Path;

use crate::config::load;
use crate::policy::{Policy, SetKind};

const REST: &str = r#"
interfaces:
  a: { port: "net_null0", addresses: [10.0.0.1/24] }
rules: |
  *filter
  :FORWARD DROP
  -A FORWARD -m set --match-set bad src -j DROP
  COMMIT
"#;

fn read(sets: &str, rest: &str) -> Result<crate::Config, crate::Faults> {
    let read_file = |name: &Path| match name.to_str() {
        Some("members.txt") => Ok("# bad ones\n\n203.0.113.0/24\n  198.51.100.7\n203.0.113.0/24\n".to_owned()),
        Some("broken.txt") => Ok("203.0.113.0/24\nnonsense\n".to_owned()),
        _ => Err(std::io::Error::other("there is no such file")),
    };
    load::read("limpid.yaml", &format!("{sets}{rest}"), &read_file)
}

#[test]
fn a_set_has_the_entries_of_the_file_and_of_the_one_beside_it() {
    let sets = "sets:\n  bad: { type: \"hash:net\", entries: [10.9.0.0/16, 10.9.1.0/24 nomatch], file: members.txt }\n";
    let config = read(sets, REST).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((config.sets[0].kind, config.sets[0].members.len()), (SetKind::Net, 4));
    let policy = Policy::compile(&config, 1).unwrap_or_else(|faults| panic!("{faults}"));
    let set = policy.sets().get("bad").expect("the set");
    let has = |text: &str| set.test(&SetKind::Ip.member(text).expect("an address"));
    assert!(has("10.9.0.1") && !has("10.9.1.1") && has("203.0.113.9") && has("198.51.100.7") && !has("10.8.0.1"));
    // The same definition again: what was added at run time stays. Another one: it begins anew.
    set.add(&SetKind::Net.member("10.8.0.0/16").expect("a network")).expect("room");
    let next = Policy::compile_after(&config, 2, Some(&policy)).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(next.sets().get("bad").expect("the set").len(), 5);
    let other = read("sets:\n  bad: { type: \"hash:net\" }\n", REST).unwrap_or_else(|faults| panic!("{faults}"));
    let next = Policy::compile_after(&other, 3, Some(&policy)).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(next.sets().get("bad").expect("the set").is_empty());
}

#[test]
fn what_is_wrong_with_a_set_is_said() {
    for (sets, expected) in [
        ("sets:\n  bad: { type: \"hash:mac\" }\n", "`type`"),
        ("sets:\n  bad: { entries: [10.0.0.1] }\n", "type"),
        ("sets:\n  bad: { type: \"hash:ip\", entries: [10.0.0.0/8] }\n", "`10.0.0.0/8` is no member"),
        ("sets:\n  bad: { type: \"hash:ip\", file: nowhere.txt }\n", "`nowhere.txt` cannot be read"),
        ("sets:\n  bad: { type: \"hash:net\", file: broken.txt }\n", "broken.txt:2: `nonsense`"),
    ] {
        let faults = read(sets, REST).expect_err(sets).to_string();
        assert!(faults.contains(expected), "{sets}: {faults}");
    }
    // Rules and sets together are the policy's to check.
    for (sets, expected) in [
        ("sets:\n  good: { type: \"hash:ip\" }\n", "there is no set `bad`"),
        ("sets:\n  bad: { type: \"hash:ip,port\" }\n", "needs 2 directions, and the rule gives 1"),
        ("sets:\n  bad: { type: \"hash:ip,port,ip\" }\n", "needs 3 directions, and the rule gives 1"),
    ] {
        let config = read(sets, REST).unwrap_or_else(|faults| panic!("{faults}"));
        let faults = Policy::compile(&config, 1).expect_err(sets).to_string();
        assert!(faults.contains(expected), "{sets}: {faults}");
    }
}
