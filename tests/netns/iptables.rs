//! Rules as Linux takes them: the same files to iptables-restore, in a namespace that is thrown away, and to Limpid.
//! Accepted or refused alike, and printed alike.
//!
//! Three sources of rules: `iptables/cases.txt`, written for what is said about each option; a seeded generator over
//! the whole grammar, good rules and slightly broken ones; and `iptables/exceptions.txt`, where the two differ on
//! purpose, each with its reason, and which must still differ exactly so. The rules are really loaded: `--test` alone
//! lets through what only the kernel refuses. The legacy back-end is the oracle for what is printed (it prints what
//! was said, the other what it made of it); both are oracles for what is refused. `LIMPID_RULES` is the number of
//! generated rules of each family, `LIMPID_SEED` the seed.

mod generate;
mod oracle;

use control::rules::{Family, Macros, Source, parse_for};
use control::{Faults, Place};
use oracle::{Backend, Line, Oracle};
use std::path::Path;

/// Rules in one file, where all are expected to be taken.
const BATCH: usize = 25;

/// What Limpid makes of one rule: its canonical form, all its lines in one, or what is wrong with it.
fn limpid(family: Family, line: &Line) -> Result<String, String> {
    let (mut faults, mut warnings) = (Faults::new(), Faults::new());
    let text = line.file();
    let rules = parse_for(family, &Source::file("r", &text), &Macros::default(), &mut faults, &mut warnings);
    if !faults.is_empty() {
        return Err(faults.to_string());
    }
    Ok(oracle::rules_of(&rules.print_for(family)))
}

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("netns/iptables").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Plays the rules to both and says where they differ.
fn differences(oracle: &Oracle, family: Family, lines: &[Line]) -> Vec<String> {
    let ours: Vec<_> = lines.iter().map(|line| limpid(family, line)).collect();
    let mut wrong = Vec::new();
    let (good, bad): (Vec<usize>, Vec<usize>) = (0..lines.len()).partition(|at| ours[*at].is_ok());
    // What we refuse is asked for one by one; what we take is asked for in files, and one by one when a file differs.
    let mut alone: Vec<usize> = bad;
    for (table, places) in oracle::by_table(lines, &good) {
        let batches: Vec<&[usize]> = places.chunks(BATCH).collect();
        let files: Vec<String> = batches.iter().map(|batch| oracle::batch(table, lines, batch)).collect();
        let legacy = oracle.load(family, Backend::Legacy, table, &files);
        let nft = oracle.load(family, Backend::Nft, table, &files);
        for ((batch, legacy), nft) in batches.iter().zip(legacy).zip(nft) {
            let expected: Vec<&str> = batch.iter().filter_map(|at| ours[*at].as_deref().ok()).collect();
            let same = legacy.as_ref().is_ok_and(|text| sorted([&**text]) == sorted(expected));
            if !same || nft.is_err() {
                alone.extend_from_slice(batch);
            }
        }
    }
    for (table, places) in oracle::by_table(lines, &alone) {
        let files: Vec<String> = places.iter().map(|at| lines[*at].file()).collect();
        let legacy = oracle.load(family, Backend::Legacy, table, &files);
        let nft = oracle.load(family, Backend::Nft, table, &files);
        for ((at, legacy), nft) in places.iter().zip(legacy).zip(nft) {
            let ours = &ours[*at];
            let alike = match (ours, &legacy) {
                (Ok(ours), Ok(theirs)) => ours == theirs,
                (ours, theirs) => ours.is_err() && theirs.is_err(),
            };
            if !alike || nft.is_ok() != ours.is_ok() {
                let said = |what: &Result<String, String>| match what {
                    Ok(text) if text.is_empty() => "taken".to_owned(),
                    Ok(text) => text.clone(),
                    Err(why) => format!("refused: {}", why.lines().next().unwrap_or_default()),
                };
                let nft =
                    if nft.is_ok() == legacy.is_ok() { String::new() } else { format!("\n  nft: {}", said(&nft)) };
                wrong.push(format!("{}\n  iptables: {}{nft}\n  limpid: {}", lines[*at], said(&legacy), said(ours)));
            }
        }
    }
    wrong
}

/// The rules of these texts, in an order of their own: iptables prints chain by chain.
fn sorted<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let rules = texts.into_iter().flat_map(|text| text.split("; ")).filter(|rule| !rule.is_empty());
    let mut rules: Vec<&str> = rules.collect();
    rules.sort_unstable();
    rules
}

#[track_caller]
fn agree(oracle: &Oracle, family: Family, lines: &[Line]) {
    let wrong = differences(oracle, family, lines);
    let shown = wrong.iter().take(40).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} rules differ:\n{shown}", wrong.len(), lines.len());
}

#[test]
fn cases_are_taken_or_refused_as_by_linux() {
    let Some(oracle) = Oracle::new("cases") else { return };
    let cases = oracle::lines(&data("cases.txt"));
    for family in [Family::V4, Family::V6] {
        let of: Vec<Line> =
            cases.iter().filter(|(only, _)| only.is_none_or(|only| only == family)).map(|(_, l)| l.clone()).collect();
        assert!(of.len() > 50, "cases are missing");
        agree(&oracle, family, &of);
    }
}

#[test]
fn generated_rules_are_taken_or_refused_as_by_linux() {
    let Some(oracle) = Oracle::new("generated") else { return };
    let number =
        |name: &str, otherwise| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (count, seed) = (number("LIMPID_RULES", 1000), number("LIMPID_SEED", 1));
    for family in [Family::V4, Family::V6] {
        let lines = generate::rules(family, count as usize, seed);
        let taken = lines.iter().filter(|line| limpid(family, line).is_ok()).count();
        eprintln!("{} rules, {taken} taken", lines.len());
        // A generator that makes only good or only broken rules compares nothing.
        assert!(taken * 5 > lines.len() && taken * 10 < lines.len() * 9, "{taken} of {} are taken", lines.len());
        agree(&oracle, family, &lines);
    }
}

#[test]
fn exceptions_are_exactly_those_listed() {
    let Some(oracle) = Oracle::new("exceptions") else { return };
    let listed = oracle::exceptions(&data("exceptions.txt"));
    assert!(listed.len() > 20, "exceptions are missing");
    for family in [Family::V4, Family::V6] {
        let of: Vec<_> = listed.iter().filter(|exception| exception.family == family).collect();
        let lines: Vec<Line> = of.iter().map(|exception| exception.line.clone()).collect();
        let found = differences(&oracle, family, &lines);
        let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
        let mut expected: Vec<&str> = of.iter().map(|exception| exception.text.as_str()).collect();
        found.sort_unstable();
        expected.sort_unstable();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "the exception is another one now");
        }
        assert_eq!(found.len(), expected.len(), "listed as an exception, and no difference: {expected:#?}\n{found:#?}");
    }
}

/// A fault has a place: the generated files' rules stand in their third line.
#[test]
fn faults_name_the_rules_line() {
    for line in generate::rules(Family::V4, 500, 7) {
        let (mut faults, mut warnings) = (Faults::new(), Faults::new());
        let text = line.file();
        parse_for(Family::V4, &Source::file("r", &text), &Macros::default(), &mut faults, &mut warnings);
        for fault in &faults {
            let Place { line: at, .. } = fault.place;
            assert_eq!(at as usize, text.lines().count() - 1, "{line}: {fault}");
        }
    }
}
