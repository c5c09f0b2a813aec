//! What `gen` writes, byte by byte, and with which code each command ends where no gateway runs.

use std::fs;

use clap::Parser;

use super::*;

/// The example's files in a folder of their own; `-c` names a configuration that has no faults but that its rules file
/// is missing.
fn folder() -> tempfile::TempDir {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/cli");
    let folder = tempfile::tempdir().expect("a folder");
    for suffix in [rules_files::IN, rules_files::VAR] {
        let name = format!("iptables.conf{suffix}");
        fs::copy(golden.join(&name), folder.path().join(&name)).expect("a file");
    }
    let socket = folder.path().join("nobody.sock");
    let config = format!("rules_file: iptables.conf\ncontrol: {{ socket: {} }}\n", socket.display());
    fs::write(folder.path().join("limpid.yaml"), config).expect("a file");
    folder
}

/// Exit code and message.
fn ended(folder: &tempfile::TempDir, words: &str) -> (u8, String) {
    let config = folder.path().join("limpid.yaml");
    let line = ["limpid", "-c", config.to_str().expect("plain"), "rules"].into_iter().chain(words.split_whitespace());
    let cli = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{words}: {error}"));
    let super::super::Command::Rules(command) = &cli.command else { panic!("{words}") };
    match run(&cli, command) {
        Ok(()) | Err(Failure::NobodyReads) => (0, String::new()),
        Err(Failure::Failed(text)) => (1, text),
        Err(Failure::Wrong(text)) => (2, text),
        Err(Failure::Code(code, text)) => (code, text),
    }
}

fn new_rules(folder: &tempfile::TempDir) -> Option<String> {
    fs::read_to_string(folder.path().join("iptables.conf.new")).ok()
}

#[test]
fn gen_writes_the_same_bytes_each_time() {
    let folder = folder();
    assert_eq!(ended(&folder, "gen"), (0, String::new()));
    let first = new_rules(&folder).expect("written");
    assert_eq!(ended(&folder, "gen").0, 0);
    assert_eq!(new_rules(&folder), Some(first.clone()));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/cli/iptables.conf.new");
    if std::env::var_os("LIMPID_GOLDEN_WRITE").is_some() {
        fs::write(&golden, &first).expect("the golden file");
    }
    assert_eq!(first, fs::read_to_string(golden).expect("the golden file"));
    assert!(!fs::exists(folder.path().join("iptables.conf")).expect("a folder"), "gen loads and replaces nothing");
}

#[test]
fn what_was_made_says_what_it_was_made_of() {
    let folder = folder();
    assert_eq!(ended(&folder, "gen").0, 0);
    let rules = control::config::RulesFile::new("iptables.conf".into(), &new_rules(&folder).expect("written"));
    let made: Vec<(u32, String)> = (1u32..)
        .zip(rules.text.lines())
        .filter(|(_, line)| line.contains("--dport 22"))
        .map(|(line, _)| (line, rules.origin(line).expect("an origin").to_string()))
        .collect();
    assert_eq!(made.len(), 2, "a macro of two words");
    assert!(made.iter().all(|(_, origin)| origin == "iptables.conf.in:17"), "{made:?}");
}

#[test]
fn wrong_rules_end_with_2_and_write_nothing() {
    let folder = folder();
    let path = folder.path().join("iptables.conf.in");
    let text = fs::read_to_string(&path).expect("there");
    fs::write(&path, text.replace("-j LOintra", "-j LOinter")).expect("a file");
    let (code, said) = ended(&folder, "gen");
    assert_eq!(code, 2);
    assert!(said.contains("iptables.conf.in:16") && said.contains("LOinter"), "{said}");
    assert_eq!(new_rules(&folder), None);
    fs::remove_file(&path).expect("there");
    assert_eq!(ended(&folder, "gen").0, 2);
}

#[test]
fn what_needs_a_running_gateway_says_so_and_ends_with_3() {
    let folder = folder();
    for words in ["test", "commit", "commit-confirm", "confirm --here", "revert", "show --counters"] {
        let (code, said) = ended(&folder, words);
        assert_eq!(code, 3, "{words}: {said}");
        assert!(said.contains("is limpid running?"), "{words}: {said}");
    }
}

#[test]
fn whoever_is_second_ends_with_5() {
    let folder = folder();
    let files = RulesFiles::new(folder.path().join("iptables.conf"));
    let held = files.lock("limpid rules test").expect("free");
    let (code, said) = ended(&folder, "gen");
    assert_eq!(code, 5);
    assert!(said.contains("limpid rules test is at work"), "{said}");
    drop(held);
    assert_eq!(ended(&folder, "gen").0, 0);
}
