//! Configurations, good and broken, with the exact words an operator reads.
//!
//! The files are data: `tests/golden/config/*.yaml`, each with an `.out` beside it. To take over new words after
//! reading them: `LIMPID_BLESS=1 cargo test -p control golden`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::policy::{Accept, Choice, Permitted, Router, ServiceId, Source};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/config")
}

/// What `check` says of a file, with the file's bare name.
fn said(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let read_file = |file: &Path| std::fs::read_to_string(golden().join(file));
    match load::read(name, &std::fs::read_to_string(path).unwrap(), &read_file) {
        Ok(config) if config.warnings.is_empty() => "ok\n".to_owned(),
        Ok(config) => format!("ok, with warnings\n{}\n", config.warnings),
        Err(faults) => format!("refused\n{faults}\n"),
    }
}

#[test]
fn golden_files_are_said_to_be_what_they_are() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(files.len() >= 8, "golden files are missing from {}", golden().display());
    let mut differ = Vec::new();
    for file in files {
        let (said, kept) = (said(&file), file.with_extension("out"));
        if std::env::var_os("LIMPID_BLESS").is_some() {
            std::fs::write(&kept, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&kept).unwrap_or_default();
        if said != expected {
            differ.push(format!("{}: expected\n{expected}--- said\n{said}", file.display()));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

fn readme() -> Config {
    load(&golden().join("readme.yaml"), &crate::modules::NONE).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn the_designs_file_becomes_what_it_says() {
    let config = readme();
    assert_eq!(config.dpdk.cores, Some(vec![1]));
    assert_eq!(config.interfaces.iter().map(|i| &*i.name).collect::<Vec<_>>(), ["intra", "inter", "dmz"]);
    assert_eq!(config.interfaces[1].mtu, Some(1500));
    assert_eq!(config.interfaces[0].addresses[1].to_string(), "fd00:1::1/64");
    assert_eq!(config.routes[0].interface, crate::InterfaceId(1));
    assert_eq!(config.zones[0].outbound, Permitted::All);
    assert_eq!(config.zones[1].inbound, Permitted::Only(vec![ServiceId(0)]));
    let ftp = &config.services[1];
    assert_eq!((ftp.accept, ftp.idle), (Accept::Immediate, Duration::from_secs(60)));
    assert_eq!((ftp.source, ftp.max_sessions), (Source::Client, u32::MAX));
    assert_eq!(ftp.router, Router::Transparent { forced_port: 0 });
    assert_eq!(config.listeners[2].choice, Choice::Service(ServiceId(2)));
    assert_eq!(config.control.http, Some("127.0.0.1:9145".parse().unwrap()));
}

#[test]
fn rules_in_a_block_keep_their_line_and_column() {
    let file = "interfaces: { a: { port: x } }\nrules: |\n    *filter\n\n    -A INPUT -j NOWHERE\n    -A INPUT -s 1.2.3.400 -j DROP\n    COMMIT\n";
    let faults = parse("x.yaml", file).unwrap_err().to_string();
    assert!(faults.contains("x.yaml:5:5: `-j NOWHERE`"), "{faults}");
    assert!(faults.contains("x.yaml:6:17: `1.2.3.400` is no address"), "{faults}");
}

#[test]
fn rules_in_quotes_have_the_place_of_the_quotes() {
    let file = "interfaces: { a: { port: x } }\nrules: \"*filter\\n-A INPUT -j NOWHERE\\nCOMMIT\\n\"\n";
    let faults = parse("x.yaml", file).unwrap_err().to_string();
    assert!(faults.starts_with("x.yaml:2:8: `-j NOWHERE`"), "{faults}");
}

#[test]
fn rules_in_a_file_have_its_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.yaml"), "interfaces: { a: { port: x } }\nrules_file: r.conf\n").unwrap();
    std::fs::write(folder.path().join("r.conf"), "*filter\n-A INPUT -j NOWHERE\nCOMMIT\n").unwrap();
    let faults = load(&folder.path().join("c.yaml"), &crate::modules::NONE).unwrap_err().to_string();
    assert!(faults.starts_with("r.conf:2:1: `-j NOWHERE`"), "{faults}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let faults = load(Path::new("/nonexistent/limpid.yaml"), &crate::modules::NONE).unwrap_err().to_string();
    assert!(faults.starts_with("/nonexistent/limpid.yaml: cannot be read:"), "{faults}");
}

#[test]
fn hugepages_off_is_a_word_and_numbers_keep_their_text() {
    let file = "dpdk: { hugepages: off }\ninterfaces: { a: { port: 7 } }\nmacros: { N: [10.10, 007] }\nrules: |\n  *filter\n  -A INPUT -s N -j DROP\n  COMMIT\n";
    let config = parse("x.yaml", file).unwrap();
    assert_eq!(config.dpdk.hugepages, Hugepages::Off);
    assert_eq!(config.interfaces[0].port, "7");
    let text = config.rules.to_string();
    assert!(text.contains("-s 10.10.0.0/32") && text.contains("-s 7.0.0.0/32"), "{text}");
}

#[test]
fn merge_keys_and_anchors_work() {
    let file = "interfaces:\n  a: &base { port: x, mtu: 1400 }\n  b: { <<: *base, port: y }\n";
    let config = parse("x.yaml", file).unwrap();
    assert_eq!((config.interfaces[1].port.as_str(), config.interfaces[1].mtu), ("y", Some(1400)));
}

/// The schema and the reader know the same keys: a mapping with an unknown key is told the known ones, section by
/// section.
#[test]
fn the_schema_names_the_keys_that_are_read() {
    let schema = schema(&crate::modules::NONE);
    let keys = |section: &serde_json::Value| {
        let mut keys: Vec<String> = section["properties"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let said = |file: &str| {
        let faults = parse("x.yaml", file).unwrap_err().to_string();
        let line = faults.lines().find_map(|line| line.split_once("known keys: ")).map(|(_, keys)| keys.to_owned());
        let mut keys: Vec<String> = line.unwrap_or_else(|| panic!("{faults}")).split(", ").map(str::to_owned).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&schema), said("xxxxxxxxxxxxxxxx: 1"));
    for (section, file) in [
        ("DpdkSection", "dpdk: { xxxxxxxxxxxxxxxx: 1 }"),
        ("InterfaceSection", "interfaces: { a: { xxxxxxxxxxxxxxxx: 1 } }"),
        ("KernelDeviceSection", "interfaces: { a: { kernel: { xxxxxxxxxxxxxxxx: 1 } } }"),
        ("RouteSection", "routes: [ { xxxxxxxxxxxxxxxx: 1 } ]"),
        ("ZoneSection", "zones: { a: { xxxxxxxxxxxxxxxx: 1 } }"),
        ("SetSection", "sets: { a: { xxxxxxxxxxxxxxxx: 1 } }"),
        ("ServiceSection", "services: { a: { xxxxxxxxxxxxxxxx: 1 } }"),
        ("PolicyRuleSection", "policy_rules: [ { xxxxxxxxxxxxxxxx: 1 } ]"),
        ("DenySection", "services: { a: { deny: { xxxxxxxxxxxxxxxx: 1 } } }"),
        ("ListenerSection", "listeners: [ { xxxxxxxxxxxxxxxx: 1 } ]"),
        ("ControlSection", "control: { xxxxxxxxxxxxxxxx: 1 }"),
    ] {
        assert_eq!(keys(&schema["$defs"][section]), said(file), "{section}");
    }
}

#[test]
fn bounds_are_reached_and_named() {
    let interfaces: String =
        (0..=crate::limits::INTERFACES_MAX).map(|n| format!("  i{n}: {{ port: p{n} }}\n")).collect();
    let faults = parse("x.yaml", &format!("interfaces:\n{interfaces}")).unwrap_err().to_string();
    assert!(faults.contains("there are 4097 interfaces, 4096 are possible"), "{faults}");
    let deep = format!("interfaces: {}{}", "[".repeat(100), "]".repeat(100));
    assert!(parse("x.yaml", &deep).unwrap_err().to_string().contains("this is not YAML"));
}

proptest! {
    #[test]
    fn no_text_panics(text in "(?s).{0,400}") {
        let _ = parse("x.yaml", &text);
    }

    /// A good file with a piece of it replaced: deeper than noise gets.
    #[test]
    fn no_damaged_file_panics(at in 0usize..2200, cut in 0usize..30, piece in "[ -~\n]{0,12}") {
        let good = std::fs::read_to_string(golden().join("readme.yaml")).unwrap();
        let start = at.min(good.len());
        let end = (start + cut).min(good.len());
        let damaged = format!("{}{piece}{}", &good[..start], &good[end..]);
        match parse("x.yaml", &damaged) {
            Ok(config) => { crate::Policy::compile(&config, 1).unwrap(); }
            Err(faults) => prop_assert!(!faults.to_string().is_empty()),
        }
    }
}
