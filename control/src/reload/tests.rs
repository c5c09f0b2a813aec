//! What a running gateway takes over, and what it does not.

use super::*;

const YAML: &str = r#"
dpdk: { memory_mib: 256 }
interfaces:
  intra: { port: "net_null0", addresses: [10.0.0.1/24] }
  inter: { port: "net_null1", addresses: [203.0.113.1/24] }
control:
  socket: control.sock
"#;

fn stuck(old: &str, new: &str) -> Vec<String> {
    let parse = |text: &str| config::parse("limpid.yaml", text).unwrap_or_else(|faults| panic!("{faults}"));
    let next = YAML.replace(old, new);
    assert_ne!(next, YAML, "{old} is in the file");
    needs_restart(&parse(YAML), &parse(&next))
}

#[test]
fn what_was_given_to_dpdk_and_the_kernel_stays() {
    for (old, new, said) in [
        ("memory_mib: 256", "memory_mib: 512", "dpdk"),
        ("  intra: {", "  extra: { port: net_null5, addresses: [10.5.0.1/24] }\n  intra: {", "interface extra (new)"),
        ("  inter: { port: \"net_null1\", addresses: [203.0.113.1/24] }\n", "", "interface inter (removed)"),
        ("net_null1", "net_null9", "interface inter (changed)"),
        ("203.0.113.1/24", "203.0.113.2/24", "interface inter (changed)"),
        ("control.sock", "other.sock", "control"),
    ] {
        let stuck = stuck(old, new);
        assert!(stuck.len() == 1 && stuck[0].starts_with(said), "{new}: {stuck:?}");
    }
}

#[test]
fn interfaces_in_another_order_are_other_numbers() {
    let first = "  intra: { port: \"net_null0\", addresses: [10.0.0.1/24] }\n";
    let second = "  inter: { port: \"net_null1\", addresses: [203.0.113.1/24] }\n";
    let stuck = stuck(&format!("{first}{second}"), &format!("{second}{first}"));
    assert!(stuck.len() == 1 && stuck[0].contains("order"), "{stuck:?}");
}

#[test]
fn everything_else_can_change() {
    let routes = "routes: [{ to: 198.51.100.0/24, via: 203.0.113.9 }]\ncontrol:";
    assert_eq!(stuck("control:", routes), Vec::<String>::new());
}
