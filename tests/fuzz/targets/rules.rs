//! Any text as rules: faults have places, and rules without any decide every flow the same way `explain` does.
#![no_main]

use control::{Memory, NewFlow, NoTrace, PacketFacts, Policy, Verdict, config};
use libfuzzer_sys::fuzz_target;

/// What surrounds the rules; they are put where the mark is, each line indented as YAML wants it.
const AROUND: &str = r#"
interfaces:
  intra: { port: "net_null0", addresses: [192.168.1.1/24, "fd00:1::1/64"] }
  inter: { port: "net_null1", addresses: [203.0.113.1/24] }
zones:
  all: { networks: [0.0.0.0/0, "::/0"], inbound_services: ["*"], outbound_services: ["*"] }
services:
  anything: { proxy: plug }
listeners:
  - { port: 50000, service: anything }
macros:
  FRIENDS: [192.168.1.4, 192.168.1.5]
rules: |
"#;

fuzz_target!(|text: &str| {
    let mut yaml = AROUND.to_owned();
    for line in text.lines().filter(|line| !line.contains('\r')) {
        yaml.push_str("  ");
        yaml.push_str(line);
        yaml.push('\n');
    }
    let Ok(config) = config::parse("fuzz.yaml", &yaml) else { return };
    let policy = Policy::compile(&config, 1).expect("rules without fault compile");
    let ends = [
        ("192.168.1.4:999", "10.0.0.1:80"),
        ("192.168.1.9:53", "192.168.1.1:22"),
        ("[fd00:1::5]:1", "[fd00:2::1]:443"),
    ];
    for (source, destination) in ends {
        for protocol in [6, 17] {
            let (source, destination) = (source.parse().expect("an address"), destination.parse().expect("an address"));
            let flow = NewFlow { interface: control::InterfaceId(0), protocol, source, destination, packet: PacketFacts::default() };
            let decision = policy.decide(&flow, None, &mut Memory::observer(), &mut NoTrace);
            let explained = policy.explain(&flow, None).verdict;
            let decided = match decision.verdict {
                Verdict::Proxy { .. } => "proxy",
                Verdict::Forward => "forward",
                Verdict::Local => "local",
                Verdict::Drop(_) => "drop",
                Verdict::Reject(_) => "reject",
            };
            assert_eq!(decided, explained);
        }
    }
});
