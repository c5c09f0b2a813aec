//! Decisions about flows, on the README's own example: three zones, PR and LO chains.

use std::net::SocketAddr;

use super::*;
use crate::config;

mod hooks;
mod nat;
mod serve;
mod walk;

fn compile(text: &str) -> Policy {
    let config = config::parse("limpid.yaml", text).unwrap_or_else(|faults| panic!("{faults}"));
    Policy::compile(&config, 7).unwrap()
}

fn readme() -> Policy {
    compile(include_str!("../../../tests/golden/config/readme.yaml"))
}

/// A flow in words: `intra tcp 192.168.1.9:4000 203.0.113.80:80`.
fn flow(policy: &Policy, words: &str) -> NewFlow {
    let words: Vec<&str> = words.split_whitespace().collect();
    let endpoint =
        |word: &str| word.parse::<SocketAddr>().unwrap_or_else(|_| SocketAddr::new(word.parse().unwrap(), 0));
    NewFlow {
        interface: policy.interface_named(words[0]).unwrap(),
        protocol: protocol_number(words[1]).unwrap(),
        source: endpoint(words[2]),
        destination: endpoint(words[3]),
        packet: PacketFacts::default(),
    }
}

/// The verdict in words, and the rule as `table chain index`.
fn decided(policy: &Policy, words: &str) -> String {
    let decision = policy.decide(&flow(policy, words), None, &mut Memory::observer(), &mut NoTrace);
    let verdict = match decision.verdict {
        Verdict::Proxy { service, local, .. } => format!("proxy {} {local}", policy.service(service).name),
        Verdict::Forward => "forward".to_owned(),
        Verdict::Local => "local".to_owned(),
        Verdict::Drop(reason) => format!("drop {}", reason.name()),
        Verdict::Reject(kind) => format!("reject {}", kind.name()),
    };
    match decision.rule.map(|rule| policy.rule(rule)) {
        Some(rule) => format!("{verdict} by {} {} {}", rule.table.name(), rule.chain, rule.index),
        None => verdict,
    }
}

fn check(policy: &Policy, table: &[(&str, &str)]) {
    for (flow, expected) in table {
        assert_eq!(&decided(policy, flow), expected, "{flow}\n{}", {
            let explanation = policy.explain(&self::flow(policy, flow), None);
            explanation.to_string()
        });
    }
}

#[test]
fn the_readmes_example_decides_as_the_readme_says() {
    check(
        &readme(),
        &[
            ("intra tcp 192.168.1.9:4000 203.0.113.80:80", "proxy intra_http 192.168.1.1:50080 by tproxy PRintra 1"),
            ("intra tcp 192.168.1.9:4000 203.0.113.80:21", "proxy intra_ftp 192.168.1.1:50021 by tproxy PRintra 2"),
            ("intra tcp 192.168.1.9:4000 203.0.113.80:25", "proxy anything 192.168.1.1:50000 by tproxy PRintra 3"),
            // Both families by the same rules.
            ("intra tcp [fd00:1::9]:4000 [2001:db8::80]:80", "proxy intra_http [fd00:1::1]:50080 by tproxy PRintra 1"),
            // The DMZ takes intra_http and nothing else.
            ("intra tcp 192.168.1.9:4000 10.0.0.5:80", "proxy intra_http 192.168.1.1:50080 by tproxy PRintra 1"),
            ("intra tcp 192.168.1.9:4000 10.0.0.5:25", "drop inbound_denied by tproxy PRintra 3"),
            // A source that is not of the zone: it is the internet's, which may use nothing.
            ("intra tcp 172.16.0.1:4000 203.0.113.80:80", "drop outbound_denied by tproxy PRintra 1"),
            // Not TCP: no PR rule takes it, FORWARD stops it.
            ("intra udp 192.168.1.9:4000 203.0.113.80:53", "drop filter_policy"),
            ("intra icmp 192.168.1.9 203.0.113.80", "drop filter_policy"),
            // From the internet nothing is taken, and nothing passes.
            ("inter tcp 198.51.100.9:4000 192.168.1.9:80", "drop filter_policy"),
            ("dmz tcp 10.0.0.5:4000 203.0.113.80:80", "drop filter_policy"),
            // The gateway itself: SSH for two addresses of the intranet.
            ("intra tcp 192.168.1.4:4000 192.168.1.1:22", "local by filter LOintra 1"),
            ("intra tcp 192.168.1.5:4000 192.168.1.1:22", "local by filter LOintra 2"),
            ("intra tcp 192.168.1.6:4000 192.168.1.1:22", "drop filter_rule by filter LOintra 3"),
            ("inter tcp 192.168.1.4:4000 203.0.113.1:22", "drop filter_rule by filter LOinter 1"),
            ("intra udp 192.168.1.4:4000 255.255.255.255:67", "drop filter_rule by filter LOintra 3"),
            ("intra udp 192.168.1.4:4000 192.168.1.255:137", "drop filter_rule by filter LOintra 3"),
        ],
    );
}

#[test]
fn entries_beat_rules() {
    let policy = readme();
    let foreign = "203.0.113.80:80".parse().unwrap();
    let flow = flow(&policy, "inter tcp 198.51.100.9:4000 203.0.113.80:80");
    let entry = EntryMatch { local: "192.168.1.1:50080".parse().unwrap(), foreign, mark_only: false, program: false };
    // The internet may use nothing, so the entry leads to a denial; without it the flow would be a matter of FORWARD.
    let decision = policy.decide(&flow, Some(&entry), &mut Memory::observer(), &mut NoTrace);
    assert_eq!((decision.verdict, decision.tproxy), (Verdict::Drop(DropReason::OutboundDenied), true));

    let flow = self::flow(&policy, "intra tcp 192.168.1.9:4000 203.0.113.80:80");
    let other = EntryMatch { local: "192.168.1.1:50021".parse().unwrap(), ..entry };
    let Verdict::Proxy { service, .. } =
        policy.decide(&flow, Some(&other), &mut Memory::observer(), &mut NoTrace).verdict
    else {
        panic!()
    };
    assert_eq!(policy.service(service).name, "intra_ftp");
    let nobody = EntryMatch { local: "192.168.1.1:9".parse().unwrap(), ..entry };
    assert_eq!(
        policy.decide(&flow, Some(&nobody), &mut Memory::observer(), &mut NoTrace).verdict,
        Verdict::Drop(DropReason::NoListener)
    );
}

#[test]
fn a_mark_only_entry_marks_and_redirects_nothing() {
    let policy = readme();
    let own = "192.168.1.1:9000".parse().unwrap();
    let entry = EntryMatch { local: own, foreign: own, mark_only: true, program: false };
    let flow = flow(&policy, "intra tcp 192.168.1.9:4000 192.168.1.1:9000");
    let decision = policy.decide(&flow, Some(&entry), &mut Memory::observer(), &mut NoTrace);
    assert_eq!((decision.verdict, decision.tproxy), (Verdict::Local, true));
    assert_eq!(
        policy.decide(&flow, None, &mut Memory::observer(), &mut NoTrace).verdict,
        Verdict::Drop(DropReason::FilterRule)
    );
}

const SMALL: &str = r#"
interfaces:
  a: { port: x, addresses: [10.0.0.1/24, 10.0.0.2/24] }
  b: { port: y, addresses: [10.0.1.1/24, "fd00::1/64"] }
routes: [ { to: 0.0.0.0/0, via: 10.0.1.9 } ]
zones:
  all: { networks: [10.0.0.0/8], inbound_services: ["*"], outbound_services: ["*"] }
services: { s: { proxy: plug }, d: { proxy: plug, router: [10.0.1.80:0], source: gateway } }
listeners: [ { port: 1, service: s }, { port: 1, address: 10.0.0.2, service: d }, { port: 80, service: s }, { port: 2, service: d } ]
rules: |
  *tproxy
"#;

fn small(tproxy: &str, filter: &str) -> Policy {
    let indent = |text: &str| text.lines().map(|line| format!("  {}\n", line.trim())).collect::<String>();
    compile(&format!("{SMALL}{}  COMMIT\n  *filter\n{}  COMMIT\n", indent(tproxy), indent(filter)))
}

#[test]
fn redirection_fails_closed() {
    let policy = small(
        "-A PREROUTING -p tcp --dport 7 -j TPROXY --on-port 9
         -A PREROUTING -p tcp --dport 8 -j TPROXY --on-port 1
         -A PREROUTING -p udp -j TPROXY --on-port 1
         -A PREROUTING -p tcp -j TPROXY --on-port 0
         -A PREROUTING -j TPROXY --on-port 1",
        "",
    );
    check(
        &policy,
        &[
            ("a tcp 10.0.0.9:5 10.0.1.9:7", "drop no_listener by tproxy PREROUTING 1"),
            ("a tcp 10.0.0.9:5 10.0.1.9:8", "proxy s 10.0.0.1:1 by tproxy PREROUTING 2"),
            ("b tcp 10.0.0.9:5 10.0.1.9:8", "proxy s 10.0.1.1:1 by tproxy PREROUTING 2"),
            // Interface a has no IPv6 address.
            ("a tcp [fd00::9]:5 [fd00::8]:8", "drop no_local_address by tproxy PREROUTING 2"),
            ("b tcp [fd00::9]:5 [fd00::8]:8", "drop no_zone by tproxy PREROUTING 2"),
            ("a udp 10.0.0.9:5 10.0.1.9:8", "proxy s 10.0.0.1:1 by tproxy PREROUTING 3"),
            // --on-port 0 keeps the port.
            ("a tcp 10.0.0.9:5 10.0.1.9:80", "proxy s 10.0.0.1:80 by tproxy PREROUTING 4"),
            // A listener for flows to the gateway itself would connect to itself.
            ("a tcp 10.0.0.9:5 10.0.1.1:80", "drop connected_directly by tproxy PREROUTING 4"),
            ("a tcp 11.0.0.9:5 10.0.1.9:80", "drop no_zone by tproxy PREROUTING 4"),
            ("a tcp 10.0.0.9:5 11.0.1.9:80", "drop no_zone by tproxy PREROUTING 4"),
            // Neither TCP nor UDP: untouched.
            ("a icmp 10.0.0.9 10.0.1.9", "forward"),
        ],
    );
}

#[test]
fn on_ip_chooses_the_listener_bound_to_it() {
    let policy = small("-A PREROUTING -p tcp -j TPROXY --on-port 1 --on-ip 10.0.0.2", "");
    check(
        &policy,
        &[
            ("a tcp 10.0.0.9:5 11.0.1.9:80", "proxy d 10.0.0.2:1 by tproxy PREROUTING 1"),
            // The rule has an IPv4 address, so it is for IPv4 only.
            ("b tcp [fd00::9]:5 [fd00::8]:8", "forward"),
        ],
    );
}

#[test]
fn the_firewall_stands_around_the_proxies() {
    let tproxy = "-A PREROUTING -p tcp -j TPROXY --on-port 1";
    check(
        &small(tproxy, ":INPUT DROP\n-A INPUT -d 10.0.1.9 -m tproxy -j ACCEPT"),
        &[
            // INPUT sees the redirected destination.
            ("a tcp 10.0.0.9:5 10.0.1.9:80", "drop filter_policy"),
        ],
    );
    check(
        &small(tproxy, ":INPUT DROP\n-A INPUT -p tcp -d 10.0.0.1 --dport 1 -m tproxy -j ACCEPT"),
        &[("a tcp 10.0.0.9:5 10.0.1.9:80", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1")],
    );
    // OUTPUT sees the gateway's own connection, from the client's address to the server.
    let output = ":OUTPUT DROP\n-A OUTPUT -o b -s 10.0.0.9 -d 10.0.1.9 -p tcp --sport 5 --dport 80 -m tproxy -j ACCEPT";
    check(
        &small(tproxy, output),
        &[
            ("a tcp 10.0.0.9:5 10.0.1.9:80", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1"),
            ("a tcp 10.0.0.9:6 10.0.1.9:80", "drop filter_policy by tproxy PREROUTING 1"),
        ],
    );
    // A directed router with the gateway's address: the server and the source are other ones.
    let directed = "-A PREROUTING -p tcp -j TPROXY --on-port 2";
    check(
        &small(directed, ":OUTPUT DROP\n-A OUTPUT -s 10.0.1.1 -d 10.0.1.80 -p tcp --dport 443 -j ACCEPT"),
        &[
            ("a tcp 10.0.0.9:5 12.0.1.9:443", "proxy d 10.0.0.1:2 by tproxy PREROUTING 1"),
            ("a tcp 10.0.0.9:5 12.0.1.9:444", "drop filter_policy by tproxy PREROUTING 1"),
        ],
    );
}

#[test]
fn the_tables_can_drop_and_reject() {
    check(
        &small(
            "-A PREROUTING -s 10.0.0.66 -j DROP",
            "-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\n-A INPUT -j REJECT",
        ),
        &[
            ("a tcp 10.0.0.66:5 10.0.1.9:80", "drop tproxy_rule by tproxy PREROUTING 1"),
            ("a tcp 10.0.0.9:5 10.0.1.9:80", "reject tcp-reset by filter FORWARD 1"),
            ("a udp 10.0.0.9:5 10.0.1.1:80", "reject icmp-port-unreachable by filter INPUT 1"),
            ("a udp 10.0.0.9:5 10.0.1.9:80", "forward"),
        ],
    );
    check(&small(":PREROUTING DROP", ""), &[("a tcp 10.0.0.66:5 10.0.1.9:80", "drop tproxy_policy")]);
}

#[test]
fn explanations_say_each_step() {
    let policy = readme();
    let explained = |words: &str| policy.explain(&flow(&policy, words), None);
    let explanation = explained("intra tcp 192.168.1.9:4000 203.0.113.80:80");
    assert_eq!(
        explanation.steps,
        [
            "a new tcp flow arrives on intra: 192.168.1.9:4000 → 203.0.113.80:80",
            "tproxy PREROUTING rule 1 (limpid.yaml:42): -i intra ! -d 192.168.1.1/32 -j PRintra: matches",
            "tproxy PRintra rule 1 (limpid.yaml:45): -p tcp --dport 80 -j TPROXY --on-port 50080: matches",
            "redirected to 192.168.1.1:50080; -m tproxy is true from here on",
            "192.168.1.1:50080 is the gateway: filter INPUT is asked",
            "filter INPUT rule 1 (limpid.yaml:56): -m tproxy -j ACCEPT: matches",
            "the listener at 192.168.1.1:50080 belongs to service intra_http",
            "the client 192.168.1.9 is in zone intranet, whose outbound_services permit intra_http",
            "the server 203.0.113.80 is in zone internet, whose inbound_services permit intra_http",
            "the gateway connects to 203.0.113.80:80, beyond inter: filter OUTPUT is asked",
            "filter OUTPUT ends: its policy is ACCEPT",
        ]
    );
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["verdict"], "proxy");
    assert_eq!(json["service"], "intra_http");
    assert_eq!(json["listener"], "*:50080");
    assert_eq!(json["rule"]["table"], "tproxy");
    assert_eq!(json["rule"]["chain"], "PRintra");
    assert_eq!((json["rule"]["index"].as_u64(), json["rule"]["line"].as_u64()), (Some(1), Some(45)));
    assert_eq!(json["rule"]["file"], "limpid.yaml");
    assert_eq!((&json["zones"]["client"], &json["zones"]["server"]), (&"intranet".into(), &"internet".into()));
    assert_eq!((&json["nat"]["from"], &json["nat"]["to"]), (&"203.0.113.80:80".into(), &"192.168.1.1:50080".into()));

    let denied = explained("intra tcp 192.168.1.6:4000 192.168.1.1:22");
    assert!(
        denied
            .steps
            .iter()
            .any(|step| step.ends_with("-p tcp -s 192.168.1.4 --dport 22 -j ACCEPT: does not match (-s)")),
        "{denied}"
    );
    let text = denied.to_string();
    assert!(text.starts_with("drop: a DROP rule of table filter ended the flow [filter_rule]\n  rule     filter LOintra 3 (limpid.yaml:62): -j DROP"), "{text}");
}

#[test]
fn every_reason_has_its_own_name_and_place() {
    let names: std::collections::BTreeSet<&str> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(names.len(), DropReason::ALL.len());
    for (index, reason) in DropReason::ALL.iter().enumerate() {
        assert_eq!(reason.index(), index);
        assert!(reason.sentence().len() > 10);
    }
}

#[test]
fn routes_include_the_interfaces_own_networks() {
    let policy = readme();
    let via = |address: &str| {
        policy.route(address.parse().unwrap()).map(|r| (policy.interface(r.interface).name.clone(), r.via))
    };
    assert_eq!(via("10.0.0.7"), Some(("dmz".to_owned(), None)));
    assert_eq!(via("8.8.8.8"), Some(("inter".to_owned(), Some("203.0.113.254".parse().unwrap()))));
    assert_eq!(via("2001:db8::1"), None);
    assert!(policy.is_own("fd00:1::1".parse().unwrap()) && !policy.is_own("10.0.0.7".parse().unwrap()));
    assert_eq!(policy.generation(), 7);
}

#[test]
fn a_configuration_put_together_by_a_program_is_checked() {
    let mut config = config::parse("limpid.yaml", include_str!("../../../tests/golden/config/readme.yaml")).unwrap();
    config.listeners[0].choice = Choice::Service(ServiceId(99));
    let faults = Policy::compile(&config, 1).unwrap_err().to_string();
    assert!(faults.contains("a listener names a service that does not exist"), "{faults}");
    config.listeners[0].choice = Choice::Service(ServiceId(0));
    config.listeners[1].port = config.listeners[2].port;
    let faults = Policy::compile(&config, 1).unwrap_err().to_string();
    assert!(faults.contains("two listeners stand at port 50000"), "{faults}");
}
