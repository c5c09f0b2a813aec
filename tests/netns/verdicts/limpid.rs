//! Limpid's side: the policy, and what it decides about a batch, in the form that Linux' side has.

use control::config;
use control::policy::{Policy, TCP, UDP};
use control::rules::{Family as Rules4or6, Macros, Source, TableKind, parse_for};
use control::{Faults, Memory, NoTrace, Verdict};

use super::packet::{Left, Packet};
use super::rules::Rules;
use super::{Ends, Outcome};
use crate::address::Family;

/// The gateway that the kernel's namespace is, too.
const GATEWAY: &str = r#"
interfaces:
  a: { port: "net_null0", addresses: [10.0.1.1/24, "fd00:1::1/64"] }
  b: { port: "net_null1", addresses: [10.0.2.1/24, "fd00:2::1/64"] }
routes:
  - { to: 0.0.0.0/0, via: 10.0.2.99 }
  - { to: "::/0", via: "fd00:2::99" }
zones:
  all: { networks: [0.0.0.0/0, "::/0"], inbound_services: ["*"], outbound_services: ["*"] }
services:
  any: { proxy: plug }
listeners:
  - { port: 50080, service: any }
"#;

/// Between two packets, in microseconds: nothing against an hour.
const BETWEEN: u64 = 100;

/// Decides about each packet, and says how many ended how.
pub(crate) fn decide(family: Family, rules: &Rules, packets: &[Packet]) -> (Outcome, Ends) {
    let policy = policy(family, &rules.for_limpid());
    let mut memory = Memory::new(&policy);
    let (mut outcome, mut ends) = (Outcome::default(), Ends::new());
    for (packet, at) in packets.iter().zip(1..) {
        let flow = packet.flow(at * BETWEEN);
        let decision = policy.decide(&flow, None, &mut memory, &mut NoTrace);
        // What the flow takes up stays taken: it lives longer than the batch.
        std::mem::forget(memory.take_holds());
        let end = match decision.verdict {
            _ if decision.tproxy => "taken",
            Verdict::Proxy { .. } => "taken",
            Verdict::Forward => "forward",
            Verdict::Local => "local",
            Verdict::Drop(_) => "drop",
            Verdict::Reject(_) => "reject",
        };
        *ends.entry(end).or_default() += 1;
        if decision.nat.destination.is_some() || decision.nat.source.is_some() {
            *ends.entry("translated").or_default() += 1;
        }
        if decision.verdict == Verdict::Forward && !decision.tproxy {
            let mut left = Left { interface: 0, source: flow.source, destination: flow.destination, ports: None };
            if !matches!(packet.protocol, TCP | UDP) {
                left.destination.set_port(0);
            }
            if let Some(range) = decision.nat.destination {
                left = left.to(range, packet.protocol);
            }
            if let Some(range) = decision.nat.source {
                left = left.from(range, packet.protocol);
            }
            left.interface = policy.route(left.destination.ip()).expect("there is a default route").interface.0;
            outcome.left.insert(packet.id, left);
        }
    }
    for (info, counted) in policy.rules().iter().zip(memory.rule_counters()) {
        let name = info.text.split_whitespace().skip_while(|word| *word != "--comment").nth(1).expect("its comment");
        outcome.counted.insert(name.to_owned(), *counted);
    }
    // Where Linux walks the tables as one chain, their policies are not told apart.
    let tproxy = rules.has("tproxy");
    // A proxy's leg, which goes through POSTROUTING, is no packet of Linux'.
    let redirects = tproxy || rules.for_limpid().contains("50080");
    for (at, table, chain, _) in policy.built_in_chains() {
        let one = tproxy && chain == "PREROUTING" && matches!(table, TableKind::Mangle | TableKind::Tproxy);
        if !one && chain != "OUTPUT" && !(redirects && chain == "POSTROUTING") {
            outcome.counted.insert(format!("{} {chain}", table.name()), memory.chain_counters()[at]);
        }
    }
    (outcome, ends)
}

fn policy(family: Family, text: &str) -> Policy {
    let mut config = config::parse("limpid.yaml", GATEWAY).unwrap_or_else(|faults| panic!("{faults}"));
    let of = match family {
        Family::V4 => Rules4or6::V4,
        Family::V6 => Rules4or6::V6,
    };
    let (mut faults, mut warnings) = (Faults::new(), Faults::new());
    config.rules = parse_for(of, &Source::file("rules", text), &Macros::default(), &mut faults, &mut warnings);
    assert!(faults.is_empty(), "{faults}\n{text}");
    Policy::compile(&config, 1).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}
