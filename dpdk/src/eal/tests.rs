//! EAL's command line, without EAL.

use super::*;

fn options(args: &[&str]) -> Options {
    Options { cores: vec![1], memory_mib: 64, args: args.iter().map(|&arg| arg.into()).collect(), ..Options::default() }
}

fn line(options: &Options) -> String {
    arguments(options, "0@(0),1@1", &Machine::default()).unwrap().0.join(" ")
}

#[test]
fn by_default_no_bus_is_probed_and_nothing_is_shared() {
    let prefix = format!("limpid-{}", process::id());
    assert_eq!(
        line(&options(&[])),
        format!(
            "limpid --lcores 0@(0),1@1 --main-lcore 0 --no-huge --no-shconf -m 64 --file-prefix {prefix} --no-pci --no-telemetry"
        )
    );
}

#[test]
fn with_pci_only_what_is_attached_is_probed() {
    let options = Options { pci: true, ..options(&[]) };
    assert!(line(&options).contains(" -a ffff:ff:1f.7 "));
    assert!(!line(&options).contains("--no-pci"));
}

#[test]
fn the_operators_arguments_are_last_and_replace_ours() {
    let line = line(&options(&["--in-memory", "--file-prefix=mine", "--telemetry", "-d", "x.so"]));
    assert_eq!(
        line,
        "limpid --lcores 0@(0),1@1 --main-lcore 0 --no-pci --in-memory --file-prefix=mine --telemetry -d x.so"
    );
}

#[test]
fn an_own_prefix_is_used() {
    assert!(line(&Options { file_prefix: "gate".into(), ..options(&[]) }).contains("--file-prefix gate"));
}

#[test]
fn the_choice_of_memory_is_told() {
    let (_, choices) = arguments(&options(&[]), "0@0,1@1", &Machine::default()).unwrap();
    assert_eq!(choices, ["memory: 64 MiB of ordinary pages, because too few hugepages are free"]);
}
