//! The table of RFC 9293's requirements is whole: each one is either followed, and tests say so, or a reason says why not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

struct Row {
    id: String,
    followed: bool,
    proof: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("requirements.md")).unwrap();
    let rows = text
        .lines()
        .filter(|line| ["| MUST-", "| SHLD-", "| MAY-", "| REC-"].iter().any(|start| line.starts_with(start)));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, section, meaning, followed, proof] = cells[..] else { panic!("five cells: {line}") };
        assert!(section.starts_with('3') && meaning.len() > 5, "{line}");
        let followed = match followed {
            "yes" => true,
            "no" => false,
            other => panic!("{id}: yes or no, not {other:?}"),
        };
        Row { id: id.into(), followed, proof: proof.into() }
    })
    .collect()
}

fn files(under: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(under).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files(&entry, extension, found);
        } else if entry.extension().is_some_and(|is| is == extension) {
            found.push(entry);
        }
    }
}

/// Names of all test functions, and of all scripts as `folder/name`.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut sources = Vec::new();
    files(&root().join("src"), "rs", &mut sources);
    files(&root().join("tests"), "rs", &mut sources);
    for source in sources {
        let text = std::fs::read_to_string(source).unwrap();
        for after in text.split("#[test]").skip(1) {
            let name = after.trim_start().strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            names.extend(name.map(String::from));
        }
    }
    let mut scripts = Vec::new();
    files(&root().join("tests"), "script", &mut scripts);
    for script in scripts {
        let name = script.strip_prefix(root().join("tests/scripts")).unwrap().with_extension("");
        names.insert(name.to_str().unwrap().into());
    }
    names
}

#[test]
fn what_is_followed_has_tests_and_what_is_not_has_a_reason() {
    let tests = tests();
    for Row { id, followed, proof } in rows() {
        if !followed {
            assert!(proof.len() >= 12 && proof.ends_with('.'), "{id}: a reason is a sentence: {proof:?}");
            continue;
        }
        for name in proof.split(',').map(str::trim) {
            assert!(tests.contains(name), "{id}: there is no test {name:?}");
        }
    }
}

#[test]
fn every_requirement_is_there_once_and_in_order() {
    let ids: Vec<String> = rows().into_iter().map(|row| row.id).collect();
    let all = [("MUST", 69), ("SHLD", 31), ("MAY", 18), ("REC", 1)];
    let expected: Vec<String> =
        all.iter().flat_map(|(kind, count)| (1..=*count).map(move |n| format!("{kind}-{n}"))).collect();
    assert_eq!(ids, expected);
}

/// What another requirement's reason points at must be a row with a reason itself.
#[test]
fn reasons_lead_to_reasons() {
    let rows = rows();
    for Row { id, proof, .. } in &rows {
        let Some(other) = proof.split("See ").nth(1).map(|rest| rest.trim_end_matches('.')) else { continue };
        assert!(rows.iter().any(|row| row.id == other && !row.followed), "{id} points at {other}");
    }
}

/// Every bound of `limits.rs` is in the second table, with tests that are there.
#[test]
fn every_bound_has_a_test() {
    let tests = tests();
    let limits = std::fs::read_to_string(root().join("src/limits.rs")).unwrap();
    let bounds: Vec<&str> = limits
        .lines()
        .filter_map(|line| line.strip_prefix("pub(crate) const ")?.split(':').next())
        .filter(|name| name.chars().next().is_some_and(char::is_uppercase))
        .collect();
    let text = std::fs::read_to_string(root().join("requirements.md")).unwrap();
    let rows = text.split("# Bounds").nth(1).expect("the table of bounds").lines();
    let rows: Vec<Vec<&str>> = rows
        .filter(|line| line.starts_with("| ") && !line.contains("Tests") && !line.starts_with("| -"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), bounds);
    for row in rows {
        for name in row[1].split(',').map(str::trim) {
            assert!(tests.contains(name), "{}: there is no test {name:?}", row[0]);
        }
    }
}
