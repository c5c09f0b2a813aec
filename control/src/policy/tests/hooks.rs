//! The order of a flow's way, as data: every built-in chain of every table has a rule that only counts, and each line
//! below says which of them a flow meets, one after the other, and what comes between.

use super::*;
use crate::rules::Hook;

const SECTIONS: &str = r#"
interfaces:
  a: { port: x, addresses: [10.0.0.1/24] }
  b: { port: y, addresses: [10.0.1.1/24] }
zones: { all: { networks: [10.0.0.0/16], inbound_services: [s, p, f], outbound_services: [s, p, f] } }
services:
  s: { proxy: plug }
  p: { proxy: handoff }
  f: { forward: true }
  d: { deny: drop }
listeners:
  - { port: 1, service: s }
  - { port: 2, service: f }
  - { port: 3, service: d }
  - { port: 4, service: p }
rules: |
"#;

/// What rules say besides; a chain's counting rule comes before its others.
const RULES: [(TableKind, &[&str]); 5] = [
    (TableKind::Raw, &["-A PREROUTING -p tcp --dport 90 -j DROP", "-A PREROUTING -p tcp --dport 91 -j CT --notrack"]),
    (
        TableKind::Mangle,
        &["-A PREROUTING -p tcp --dport 80 -j TPROXY --on-port 1", "-A PREROUTING -p tcp --dport 92 -j DROP"],
    ),
    (
        TableKind::Tproxy,
        &[
            "-A PREROUTING -p tcp --dport 81 -j TPROXY --on-port 1",
            "-A PREROUTING -p tcp --dport 82 -j TPROXY --on-port 2",
            "-A PREROUTING -p tcp --dport 83 -j TPROXY --on-port 3",
            "-A PREROUTING -p tcp --dport 84 -j TPROXY --on-port 4",
            "-A PREROUTING -p tcp --dport 85 -j TPROXY --on-port 9",
            "-A PREROUTING -p tcp --dport 93 -j DROP",
            "-A OUTPUT -p tcp --dport 81 -j TPROXY --on-port 1",
        ],
    ),
    (TableKind::Nat, &[]),
    (TableKind::Filter, &["-A INPUT -p tcp --dport 94 -j DROP", "-A OUTPUT -p tcp --dport 95 -j REJECT"]),
];

fn policy() -> Policy {
    let mut text = SECTIONS.to_owned();
    for (table, rules) in RULES {
        text.push_str(&format!("  *{}\n", table.name()));
        for hook in table.hooks() {
            text.push_str(&format!("  -A {} -m comment --comment counts\n", hook.name()));
        }
        rules.iter().for_each(|rule| text.push_str(&format!("  {rule}\n")));
        text.push_str("  COMMIT\n");
    }
    compile(&text)
}

/// Notes the way.
struct Way<'a> {
    policy: &'a Policy,
    met: Vec<String>,
}

impl Trace for Way<'_> {
    fn step(&mut self, step: Step<'_>) {
        let said = match step {
            Step::Rule(rule, None) => {
                let rule = self.policy.rule(rule);
                if rule.text.starts_with("-m comment") {
                    let hooks = rule.table.hooks().iter().map(|hook: &Hook| hook.name());
                    assert!(hooks.into_iter().any(|hook| hook == &*rule.chain));
                    format!("{} {}", rule.table.name(), short(&rule.chain))
                } else {
                    return;
                }
            }
            Step::Entry(_) => "entry".to_owned(),
            Step::Redirected(_) => "taken".to_owned(),
            Step::Listener { .. } => "listener".to_owned(),
            Step::NoListener(_) => "no listener".to_owned(),
            Step::Zone { direction: Direction::Outbound, .. } => "client's zone".to_owned(),
            Step::Zone { direction: Direction::Inbound, .. } => "server's zone".to_owned(),
            Step::Denied(_) => "denies".to_owned(),
            Step::Forwards(_) => "forwards".to_owned(),
            _ => return,
        };
        self.met.push(said);
    }
}

fn short(chain: &str) -> &str {
    match chain {
        "PREROUTING" => "PRE",
        "POSTROUTING" => "POST",
        other => other,
    }
}

/// The way of a flow, and how it ends.
fn way(policy: &Policy, words: &str) -> String {
    let (from, words) = words.split_once(": ").expect("`wire:`, `gateway:`, `entry:`, `mark:` or `program:`");
    let flow = flow(policy, words);
    let local = "10.0.0.1:1".parse().expect("an address");
    let entry = EntryMatch { local, foreign: flow.destination, mark_only: from == "mark", program: from == "program" };
    let entry = matches!(from, "entry" | "mark" | "program").then_some(&entry);
    let mut trace = Way { policy, met: Vec::new() };
    let mut memory = Memory::new(policy);
    let decision = match from {
        "gateway" => policy.decide_output(&flow, entry, &mut memory, &mut trace),
        _ => policy.decide(&flow, entry, &mut memory, &mut trace),
    };
    let mut met = trace.met;
    met.push(match decision.verdict {
        Verdict::Proxy { .. } => "PROXY".to_owned(),
        Verdict::Forward => "FORWARD".to_owned(),
        Verdict::Local => "LOCAL".to_owned(),
        Verdict::Drop(reason) => format!("DROP {}", reason.name()),
        Verdict::Reject(_) => "REJECT".to_owned(),
    });
    met.join(", ")
}

const WAYS: &[(&str, &str)] = &[
    // Routed on, untouched.
    (
        "wire: a tcp 10.0.0.9:5 10.0.1.9:79",
        "raw PRE, mangle PRE, tproxy PRE, nat PRE, mangle FORWARD, filter FORWARD, mangle POST, nat POST, FORWARD",
    ),
    (
        "wire: a icmp 10.0.0.9 10.0.1.9",
        "raw PRE, mangle PRE, tproxy PRE, nat PRE, mangle FORWARD, filter FORWARD, mangle POST, nat POST, FORWARD",
    ),
    // NOTRACK: table nat does not see it.
    (
        "wire: a tcp 10.0.0.9:5 10.0.1.9:91",
        "raw PRE, mangle PRE, tproxy PRE, mangle FORWARD, filter FORWARD, mangle POST, FORWARD",
    ),
    // For the gateway itself.
    (
        "wire: a tcp 10.0.0.9:5 10.0.0.1:22",
        "raw PRE, mangle PRE, tproxy PRE, nat PRE, mangle INPUT, filter INPUT, nat INPUT, LOCAL",
    ),
    (
        "wire: a tcp 10.0.0.9:5 10.0.0.1:94",
        "raw PRE, mangle PRE, tproxy PRE, nat PRE, mangle INPUT, filter INPUT, DROP filter_rule",
    ),
    // Taken: the firewall, the listener, the zones, then the gateway's own connection with tables of its own.
    (
        "wire: a tcp 10.0.0.9:5 10.0.1.9:81",
        "raw PRE, mangle PRE, tproxy PRE, taken, mangle INPUT, filter INPUT, listener, client's zone, server's zone, \
         raw OUTPUT, mangle OUTPUT, nat OUTPUT, filter OUTPUT, mangle POST, nat POST, PROXY",
    ),
    // By table mangle: table tproxy is not asked any more.
    (
        "wire: a tcp 10.0.0.9:5 10.0.1.9:80",
        "raw PRE, mangle PRE, taken, mangle INPUT, filter INPUT, listener, client's zone, server's zone, \
         raw OUTPUT, mangle OUTPUT, nat OUTPUT, filter OUTPUT, mangle POST, nat POST, PROXY",
    ),
    // By an entry: no table tproxy either; raw and mangle have been before it.
    (
        "entry: a tcp 10.0.0.9:5 10.0.1.9:79",
        "raw PRE, mangle PRE, entry, taken, mangle INPUT, filter INPUT, listener, client's zone, server's zone, \
         raw OUTPUT, mangle OUTPUT, nat OUTPUT, filter OUTPUT, mangle POST, nat POST, PROXY",
    ),
    // An entry beats a rule that would drop the flow.
    (
        "entry: a tcp 10.0.0.9:5 10.0.1.9:93",
        "raw PRE, mangle PRE, entry, taken, mangle INPUT, filter INPUT, listener, client's zone, server's zone, \
         raw OUTPUT, mangle OUTPUT, nat OUTPUT, filter OUTPUT, mangle POST, nat POST, PROXY",
    ),
    // An entry that marks: table tproxy is not asked, and the flow goes on as it is.
    (
        "mark: a tcp 10.0.0.9:5 10.0.0.1:22",
        "raw PRE, mangle PRE, entry, nat PRE, mangle INPUT, filter INPUT, nat INPUT, LOCAL",
    ),
    // For a program at the handoff socket: no listener, no connection of the gateway's own.
    (
        "program: a tcp 10.0.0.9:5 10.0.1.9:79",
        "raw PRE, mangle PRE, entry, taken, mangle INPUT, filter INPUT, client's zone, server's zone, PROXY",
    ),
    (
        "wire: a tcp 10.0.0.9:5 10.0.1.9:84",
        "raw PRE, mangle PRE, tproxy PRE, taken, mangle INPUT, filter INPUT, listener, client's zone, server's zone, PROXY",
    ),
    // Services that forward and deny.
    (
        "wire: a tcp 10.0.0.9:5 10.0.1.9:82",
        "raw PRE, mangle PRE, tproxy PRE, taken, mangle INPUT, filter INPUT, listener, client's zone, server's zone, \
         forwards, mangle FORWARD, filter FORWARD, mangle POST, nat POST, FORWARD",
    ),
    (
        "wire: a tcp 10.0.0.9:5 10.0.1.9:83",
        "raw PRE, mangle PRE, tproxy PRE, taken, mangle INPUT, filter INPUT, listener, denies, DROP denied_by_service",
    ),
    // Ends on the way.
    ("wire: a tcp 10.0.0.9:5 10.0.1.9:90", "raw PRE, DROP raw_rule"),
    ("wire: a tcp 10.0.0.9:5 10.0.1.9:92", "raw PRE, mangle PRE, DROP mangle_rule"),
    ("wire: a tcp 10.0.0.9:5 10.0.1.9:93", "raw PRE, mangle PRE, tproxy PRE, DROP tproxy_rule"),
    (
        "wire: a tcp 10.0.0.9:5 10.0.1.9:85",
        "raw PRE, mangle PRE, tproxy PRE, taken, mangle INPUT, filter INPUT, no listener, DROP no_listener",
    ),
    (
        "wire: a tcp 172.16.0.9:5 10.0.1.9:81",
        "raw PRE, mangle PRE, tproxy PRE, taken, mangle INPUT, filter INPUT, listener, client's zone, DROP no_zone",
    ),
    (
        "wire: a tcp 10.0.0.9:5 172.16.0.9:81",
        "raw PRE, mangle PRE, tproxy PRE, taken, mangle INPUT, filter INPUT, listener, client's zone, server's zone, \
         DROP no_zone",
    ),
    // What programs on the gateway begin: OUTPUT of every table, then POSTROUTING.
    (
        "gateway: b tcp 10.0.1.1:5 10.0.1.9:79",
        "raw OUTPUT, mangle OUTPUT, tproxy OUTPUT, nat OUTPUT, filter OUTPUT, mangle POST, nat POST, FORWARD",
    ),
    (
        "gateway: b tcp 10.0.1.1:5 10.0.1.9:95",
        "raw OUTPUT, mangle OUTPUT, tproxy OUTPUT, nat OUTPUT, filter OUTPUT, REJECT",
    ),
    // To an address of the gateway's own: both ways round.
    (
        "gateway: b tcp 10.0.1.1:5 10.0.0.1:22",
        "raw OUTPUT, mangle OUTPUT, tproxy OUTPUT, nat OUTPUT, filter OUTPUT, mangle INPUT, filter INPUT, nat INPUT, LOCAL",
    ),
    // To a group.
    (
        "gateway: b 89 10.0.1.1 224.0.0.5",
        "raw OUTPUT, mangle OUTPUT, tproxy OUTPUT, nat OUTPUT, filter OUTPUT, mangle POST, nat POST, FORWARD",
    ),
    (
        "wire: b 89 10.0.1.9 224.0.0.5",
        "raw PRE, mangle PRE, tproxy PRE, nat PRE, mangle INPUT, filter INPUT, nat INPUT, LOCAL",
    ),
];

#[test]
fn each_flow_meets_the_tables_in_their_order() {
    let policy = policy();
    let found: Vec<(&str, String)> = WAYS.iter().map(|(flow, _)| (*flow, way(&policy, flow))).collect();
    let wrong: Vec<String> = WAYS
        .iter()
        .zip(&found)
        .filter(|((_, expected), (_, found))| expected != found)
        .map(|((flow, expected), (_, found))| format!("{flow}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
