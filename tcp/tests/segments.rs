//! Runs every script in `tests/scripts`: given these segments at these times, these come out.
//!
//! `SCRIPT=3.5` runs those whose path contains it. The language is in `tests/scripts/README.md`.

#[path = "segments/grammar.rs"]
mod grammar;
#[path = "segments/run.rs"]
mod run;
#[path = "segments/serve.rs"]
mod serve;
#[path = "segments/show.rs"]
mod show;

use std::path::{Path, PathBuf};

fn scripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut scripts: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|is| is == "script")).collect();
    scripts.sort();
    scripts
}

#[test]
fn every_script_says_what_happens() {
    let wanted = std::env::var("SCRIPT").unwrap_or_default();
    let mut failures = Vec::new();
    for path in scripts().into_iter().filter(|path| path.to_str().unwrap().contains(&wanted)) {
        let text = std::fs::read_to_string(&path).unwrap();
        if let Err(what) = grammar::parse(&text).and_then(|lines| run::run(&lines)) {
            failures.push(format!("{}: {what}", path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display()));
        }
    }
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

#[test]
fn there_are_scripts_for_every_section() {
    let scripts = scripts();
    assert!(scripts.len() >= 110, "{}", scripts.len());
    let sections = [
        "rfc9293-3.5",
        "rfc9293-3.6",
        "rfc9293-3.7",
        "rfc9293-3.8",
        "rfc9293-3.10",
        "rfc7323",
        "rfc2018",
        "rfc2883",
        "rfc5961",
        "rfc6298",
        "rfc4987",
        "rfc5682",
        "rfc5927",
        "rfc6191",
        "rfc6928",
        "rfc6937",
        "rfc8985",
        "rfc3168",
        "rfc6582",
    ];
    for section in sections {
        assert!(scripts.iter().any(|path| path.parent().unwrap().ends_with(section)), "{section}");
    }
}

/// A script that expects the wrong thing fails, whatever part of it is wrong.
#[test]
fn a_wrong_script_fails() {
    let right = "+0 established\n+0 write 500\n+0 > P. 1:501(500) ack 1 win 20000 <>\n+0.01 < . 1:1(0) ack 501\n+0 state ESTABLISHED\n";
    let outcome = |text: &str| grammar::parse(text).and_then(|lines| run::run(&lines));
    assert_eq!(outcome(right), Ok(()));
    let wrong = [
        ("P. 1", ". 1"),
        ("1:501(500)", "2:502(500)"),
        ("ack 1 ", "ack 2 "),
        ("win 20000", "win 1"),
        ("<>", "<sackOK>"),
        ("+0.01", "+1"),
        ("state ESTABLISHED", "state CLOSED"),
        ("ack 501", "ack 9000"),
        ("+0 > P", "+0.2 > P"),
        ("write 500", "write x"),
        ("+0 state", "0 state"),
        ("ack 501", "ack 501 ! tcp_duplicate"),
        ("1:501(500)", "1:502(500)"),
    ];
    for (from, to) in wrong {
        assert!(right.contains(from));
        assert!(outcome(&right.replacen(from, to, 1)).is_err(), "{from} -> {to}");
    }
}
