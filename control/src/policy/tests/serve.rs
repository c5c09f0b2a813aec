//! Zones above zones, listeners by zones, services that forward and deny, routers, NAT policies and policy rules.

use super::*;

fn policy(sections: &str, filter: &str) -> Policy {
    let filter: String = filter.lines().map(|line| format!("  {}\n", line.trim())).collect();
    compile(&format!(
        r#"
interfaces:
  a: {{ port: x, addresses: [10.0.0.1/24, "fd00::1/64"] }}
  b: {{ port: y, addresses: [10.0.1.1/24, "fd01::1/64"] }}
routes: [ {{ to: 0.0.0.0/0, via: 10.0.1.9 }} ]
{sections}
rules: |
  *tproxy
  -A PREROUTING -p tcp -j TPROXY --on-port 1
  -A PREROUTING -p udp -j TPROXY --on-port 1
  COMMIT
  *filter
{filter}  COMMIT
"#
    ))
}

const ANYBODY: &str =
    r#"zones: { all: { networks: [0.0.0.0/0, "::/0"], inbound_services: ["*"], outbound_services: ["*"] } }"#;

fn with_service(service: &str, more: &str) -> Policy {
    policy(&format!("{ANYBODY}\nservices: {{ s: {service} }}\nlisteners: [ {{ port: 1, service: s }} ]\n{more}"), "")
}

fn decision(policy: &Policy, words: &str) -> Decision {
    policy.decide(&flow(policy, words), None, &mut Memory::observer(), &mut NoTrace)
}

fn last_steps(policy: &Policy, words: &str) -> String {
    policy.explain(&flow(policy, words), None).to_string()
}

#[test]
fn a_zone_asks_its_parents_unless_it_is_an_umbrella() {
    let policy = policy(
        r#"
zones:
  top: { networks: [10.9.0.0/16], outbound_services: [s], inbound_services: [s] }
  mid: { networks: [10.9.1.0/24], parent: top }
  low: { networks: [10.9.1.128/25], parent: mid, inherit: true }
  shut: { networks: [10.9.2.0/24], parent: top, umbrella: true }
  own: { networks: [10.9.2.128/25], parent: shut, outbound_services: [s], umbrella: true }
  below: { networks: [10.9.2.64/26], parent: shut }
services: { s: { proxy: plug } }
listeners: [ { port: 1, service: s } ]
"#,
        "",
    );
    for (client, expected) in [
        ("10.9.0.9", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1"),
        ("10.9.1.9", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1"),
        ("10.9.1.200", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1"),
        ("10.9.2.9", "drop outbound_denied by tproxy PREROUTING 1"),
        ("10.9.2.200", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1"),
        ("10.9.2.65", "drop outbound_denied by tproxy PREROUTING 1"),
    ] {
        check(&policy, &[(&format!("a tcp {client}:5 10.9.1.10:80"), expected)]);
    }
    // The server's zone is asked the same way.
    check(&policy, &[("a tcp 10.9.0.9:5 10.9.2.9:80", "drop inbound_denied by tproxy PREROUTING 1")]);
    let steps = last_steps(&policy, "a tcp 10.9.1.200:5 10.9.1.10:80");
    assert!(steps.contains("is in zone low, below top, whose outbound_services permit s"), "{steps}");
    let zone = |address: &str| policy.zone_name(policy.zone_of(address.parse().unwrap()).unwrap());
    assert_eq!((zone("10.9.1.200"), zone("10.9.1.9")), ("mid", "mid"));
}

#[test]
fn listeners_choose_by_zones_the_nearest_parent_first_and_the_clients_before_the_servers() {
    let sections = |follow| {
        format!(
            r#"
zones:
  top: {{ networks: [10.9.0.0/16], outbound_services: ["*"], inbound_services: ["*"] }}
  low: {{ networks: [10.9.1.0/24], parent: top }}
  net: {{ networks: [0.0.0.0/0], outbound_services: ["*"], inbound_services: ["*"] }}
services: {{ s1: {{ proxy: plug }}, s2: {{ proxy: plug }}, s3: {{ proxy: plug }}, s4: {{ proxy: plug }} }}
listeners:
  - port: 1
    zone_pairs: {{ low: {{ top: s1 }}, top: {{ low: s2, "*": s3 }}, "*": {{ net: s4 }} }}
    follow_parent: {follow}
"#
        )
    };
    let (exact, following) = (policy(&sections("false"), ""), policy(&sections("true"), ""));
    for (flow, by_exact, by_following) in [
        ("a tcp 10.9.1.9:5 10.9.0.9:80", "s1", "s1"),
        // (low, low): the client's own level with the server's parent comes before the client's parent.
        ("a tcp 10.9.1.9:5 10.9.1.8:80", "no_service", "s1"),
        ("a tcp 10.9.0.9:5 10.9.1.8:80", "s2", "s2"),
        ("a tcp 10.9.0.9:5 10.9.0.8:80", "s3", "s3"),
        ("a tcp 10.9.1.9:5 8.8.8.8:80", "s4", "s3"),
        ("a tcp 11.9.1.9:5 10.9.1.8:80", "no_service", "no_service"),
        ("a tcp 11.9.1.9:5 8.8.8.8:80", "s4", "s4"),
    ] {
        for (policy, expected) in [(&exact, by_exact), (&following, by_following)] {
            let said = decided(policy, flow);
            assert_eq!(said.split_whitespace().nth(1), Some(expected), "{flow}\n{}", last_steps(policy, flow));
        }
    }
    let by_client = policy_by_client();
    check(&by_client, &[("a tcp 10.9.1.9:5 8.8.8.8:80", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1")]);
    check(&by_client, &[("a tcp 12.9.1.9:5 8.8.8.8:80", "drop denied_by_service by tproxy PREROUTING 1")]);
}

fn policy_by_client() -> Policy {
    policy(
        r#"
zones:
  in: { networks: [10.9.0.0/16], outbound_services: ["*"] }
  net: { networks: [0.0.0.0/0], inbound_services: ["*"] }
services: { s: { proxy: plug }, no: { deny: drop } }
listeners: [ { port: 1, zones: { in: s, "*": no } } ]
"#,
        "",
    )
}

#[test]
fn deny_services_answer_by_family() {
    let policy = with_service("{ deny: { ipv4: reset, ipv6: icmp6-addr-unreachable } }", "");
    check(
        &policy,
        &[
            ("a tcp 10.0.0.9:5 8.8.8.8:80", "reject tcp-reset by tproxy PREROUTING 1"),
            ("a udp [fd00::9]:5 [fd01::9]:80", "reject icmp-host-unreachable by tproxy PREROUTING 2"),
        ],
    );
    let steps = last_steps(&policy, "a tcp 10.0.0.9:5 8.8.8.8:80");
    assert!(steps.starts_with("reject: service s denies the flow and answers tcp-reset [tcp-reset]"), "{steps}");
    assert_eq!(decision(&policy, "a tcp 10.0.0.9:5 8.8.8.8:80").service, Some(ServiceId(0)));
}

#[test]
fn forward_services_leave_the_last_word_to_the_filter() {
    let filter = ":FORWARD DROP\n-A FORWARD -m tproxy -d 10.0.1.80 -p tcp --dport 8080 -j ACCEPT";
    let sections = format!(
        "{ANYBODY}\nservices: {{ s: {{ forward: true, router: [10.0.1.80:8080], snat: n }} }}\n\
         nat_policies: {{ n: {{ kind: static, address: 10.0.1.7 }} }}\nlisteners: [ {{ port: 1, service: s }} ]"
    );
    let policy = policy(&sections, filter);
    let made = decision(&policy, "a tcp 10.0.0.9:5 8.8.8.8:80");
    assert_eq!(
        (made.verdict, made.tproxy),
        (Verdict::Forward, true),
        "{}",
        last_steps(&policy, "a tcp 10.0.0.9:5 8.8.8.8:80")
    );
    let ends = (made.nat.destination.unwrap(), made.nat.source.unwrap());
    assert_eq!(ends.0.to_string(), "DNAT 10.0.1.80 port 8080");
    assert_eq!(ends.1.to_string(), "SNAT 10.0.1.7");
    check(&policy, &[("a udp 10.0.0.9:5 8.8.8.8:80", "drop filter_policy by tproxy PREROUTING 2")]);
    check(&policy, &[("a tcp [fd00::9]:5 [fd01::9]:80", "drop no_server by tproxy PREROUTING 1")]);
}

#[test]
fn one_translation_after_another_keeps_what_it_does_not_change() {
    let sections = format!(
        "{ANYBODY}\nservices: {{ s: {{ forward: true, router: [10.0.1.80:8080], dnat: d }}, two: {{ forward: true, snat: n }} }}\n\
         nat_policies: {{ d: {{ kind: one_to_one, from: 10.0.1.80/32, to: 10.0.2.80/32 }}, n: {{ kind: static, address: 10.0.1.7 }} }}\n\
         listeners: [ {{ port: 1, service: s }} ]"
    );
    let filter = ":FORWARD DROP\n-A FORWARD -d 10.0.2.80 -p tcp --dport 8080 -j ACCEPT";
    let made = decision(&policy(&sections, filter), "a tcp 10.0.0.9:5 8.8.8.8:80");
    assert_eq!(made.verdict, Verdict::Forward, "the filter sees both");
    assert_eq!(made.nat.destination.unwrap().to_string(), "DNAT 10.0.2.80 port 8080", "and so does the wire");
    // A policy that gives an address of the other family ends the flow here, and not only on the wire.
    let other = policy(&sections.replace("port: 1, service: s", "port: 1, service: two"), ":FORWARD ACCEPT");
    check(&other, &[("a tcp [fd00::9]:5 [fd01::9]:80", "drop nat_rejected by tproxy PREROUTING 1")]);
}

#[test]
fn the_first_server_of_the_family_is_decided_about_and_the_next_ones_when_it_is_their_turn() {
    let policy = policy(
        r#"
zones:
  in: { networks: [10.0.0.0/8], outbound_services: ["*"] }
  farm: { networks: [10.0.1.80/32, 10.0.1.81/32, "fd01::80/128"], inbound_services: ["*"] }
  else: { networks: [10.0.1.82/32] }
services: { s: { proxy: plug, router: ["[fd01::80]:0", 10.0.1.80:0, 10.0.1.81:443, 10.0.1.82:0, 10.0.1.1:0] } }
listeners: [ { port: 1, service: s } ]
"#,
        ":OUTPUT DROP\n-A OUTPUT -d 10.0.1.80 -j ACCEPT\n-A OUTPUT -p tcp -d 10.0.1.81 --dport 443 -j ACCEPT",
    );
    let words = "a tcp 10.0.0.9:5 10.0.1.9:80";
    check(&policy, &[(words, "proxy s 10.0.0.1:1 by tproxy PREROUTING 1")]);
    let first = decision(&policy, words);
    let next = |server: &str| {
        let server = server.parse().unwrap();
        policy.decide_server(&flow(&policy, words), &first, server, &mut Memory::observer(), &mut NoTrace)
    };
    assert_eq!(next("10.0.1.81:443").verdict, first.verdict);
    assert_eq!(next("10.0.1.81:444").verdict, Verdict::Drop(DropReason::FilterPolicy));
    assert_eq!(next("10.0.1.82:80").verdict, Verdict::Drop(DropReason::InboundDenied));
    assert_eq!(next("11.0.1.83:80").verdict, Verdict::Drop(DropReason::NoZone));
    assert_eq!(next("10.0.1.1:80").verdict, Verdict::Drop(DropReason::ConnectedDirectly));
    assert_eq!(next("127.0.0.1:80").verdict, Verdict::Drop(DropReason::ConnectedDirectly));
}

#[test]
fn target_zones_hold_for_the_zone_and_those_below() {
    let policy = policy(
        r#"
zones:
  all: { networks: [0.0.0.0/0], outbound_services: ["*"], inbound_services: ["*"] }
  farm: { networks: [10.5.0.0/16], parent: all }
  barn: { networks: [10.5.1.0/24], parent: farm }
services: { s: { proxy: plug, limit_target_zones_to: farm } }
listeners: [ { port: 1, service: s } ]
"#,
        "",
    );
    check(
        &policy,
        &[
            ("a tcp 10.0.0.9:5 10.5.0.9:80", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1"),
            ("a tcp 10.0.0.9:5 10.5.1.9:80", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1"),
            ("a tcp 10.0.0.9:5 10.6.1.9:80", "drop target_zone_denied by tproxy PREROUTING 1"),
        ],
    );
}

#[test]
fn permission_is_asked_before_nat_policies_map() {
    let sections = r#"
zones:
  in: { networks: [10.0.0.0/24], outbound_services: ["*"] }
  shown: { networks: [10.7.0.0/24], inbound_services: ["*"] }
nat_policies:
  d: { kind: one_to_one, from: 10.7.0.0/25, to: 10.0.1.128/25 }
  s: { kind: static, address: "10.0.1.7:99" }
services: { s: { proxy: plug, dnat: d, snat: s } }
listeners: [ { port: 1, service: s } ]
"#;
    let filter = ":OUTPUT DROP\n-A OUTPUT -o b -s 10.0.1.7 -d 10.0.1.133 -p tcp --sport 99 --dport 80 -j ACCEPT";
    let policy = policy(sections, filter);
    let made = decision(&policy, "a tcp 10.0.0.9:5 10.7.0.5:80");
    assert_eq!(policy.zone_name(made.server_zone.unwrap()), "shown");
    assert!(matches!(made.verdict, Verdict::Proxy { .. }), "{}", last_steps(&policy, "a tcp 10.0.0.9:5 10.7.0.5:80"));
    assert_eq!(made.nat.destination.unwrap().to_string(), "DNAT 10.0.1.133");
    assert_eq!(made.nat.source.unwrap().to_string(), "SNAT 10.0.1.7 port 99");
    check(
        &policy,
        &[
            // What the mapping leads to is not permitted itself; what it does not map is refused.
            ("a tcp 10.0.0.9:5 10.0.1.133:80", "drop no_zone by tproxy PREROUTING 1"),
            ("a tcp 10.0.0.9:5 10.7.0.200:80", "drop nat_rejected by tproxy PREROUTING 1"),
        ],
    );
}

#[test]
fn nat64_reaches_a_server_of_the_other_family_from_the_gateways_address() {
    let more = "nat_policies: { n: { kind: nat64 } }";
    let policy = with_service("{ proxy: plug, source: gateway, dnat: n }", more);
    let made = decision(&policy, "a tcp [fd00::9]:5 [64:ff9b::a00:150]:80");
    assert!(matches!(made.verdict, Verdict::Proxy { .. }), "{:?}", made.verdict);
    assert_eq!(made.nat.destination.unwrap().address(), Some("10.0.1.80".parse().unwrap()));
    check(&policy, &[("a tcp [fd00::9]:5 [fd01::9]:80", "drop nat_rejected by tproxy PREROUTING 1")]);
}

#[test]
fn policy_rules_choose_where_no_listener_stands_and_need_no_zones_list() {
    let policy = policy(
        r#"
zones: { in: { networks: [10.0.0.0/24] }, lab: { networks: [10.0.0.128/25], parent: in } }
services: { s: { proxy: plug }, t: { proxy: plug }, no: { deny: reset } }
policy_rules:
  - { id: 5, service: no }
  - { id: 4, service: s, src_zone: in }
  - { id: 3, service: t, src_zone: lab, dst_port: 443 }
  - { id: 9, service: s, src_subnet: 10.0.0.128/25, dst_port: 443, src_port: 7 }
  - { id: 8, service: t, src_subnet: 10.0.0.128/25, dst_port: 443, src_port: 7 }
"#,
        "",
    );
    check(
        &policy,
        &[
            ("a tcp 10.0.0.9:5 8.8.8.8:80", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1"),
            ("a tcp 10.0.0.200:5 8.8.8.8:80", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1"),
            ("a tcp 10.0.0.200:5 8.8.8.8:443", "proxy t 10.0.0.1:1 by tproxy PREROUTING 1"),
            ("a tcp 10.0.0.200:7 8.8.8.8:443", "proxy t 10.0.0.1:1 by tproxy PREROUTING 1"),
            ("a tcp 11.0.0.9:5 8.8.8.8:80", "reject tcp-reset by tproxy PREROUTING 1"),
            ("a udp 10.0.0.9:5 8.8.8.8:80", "proxy s 10.0.0.1:1 by tproxy PREROUTING 2"),
        ],
    );
    let made = decision(&policy, "a tcp 10.0.0.200:7 8.8.8.8:443");
    let chosen = made.policy_rule.unwrap();
    let id = |rule: PolicyRuleId| policy.policy_rule(rule).id;
    assert_eq!((id(chosen.rule), chosen.tie.map(id)), (8, Some(9)));
    let json = serde_json::to_value(policy.explain(&flow(&policy, "a tcp 10.0.0.200:7 8.8.8.8:443"), None)).unwrap();
    assert_eq!((&json["policy_rule"], &json["listener"]), (&8.into(), &serde_json::Value::Null));
}

#[test]
fn what_a_program_on_the_gateway_begins_meets_output_and_proxies_do_not_loop() {
    let policy = compile(&format!(
        "{SMALL}  -A OUTPUT -p tcp --dport 80 -j TPROXY --on-port 1\n  -A PREROUTING -p tcp -j TPROXY --on-port 1\n  COMMIT\n  *filter\n  -A OUTPUT -p udp -j DROP\n  COMMIT\n"
    ));
    let output =
        |words: &str| policy.decide_output(&flow(&policy, words), None, &mut Memory::observer(), &mut NoTrace).verdict;
    // Taken: to loopback, where the gateway's listener stands.
    let Verdict::Proxy { local, .. } = output("b tcp 10.0.1.1:5 10.0.1.9:80") else { panic!() };
    assert_eq!(local, "127.0.0.1:1".parse().unwrap());
    assert_eq!(output("b tcp 10.0.1.1:5 10.0.1.9:81"), Verdict::Forward);
    assert_eq!(output("b udp 10.0.1.1:5 10.0.1.9:81"), Verdict::Drop(DropReason::FilterRule));
    assert_eq!(output("b tcp 10.0.1.1:5 10.0.0.1:81"), Verdict::Local);
    // A proxy's own connection to port 80 is not asked again.
    check(&policy, &[("a tcp 10.0.0.9:5 10.0.1.9:80", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1")]);
}

#[test]
fn a_listener_that_accepts_one_is_gone_once_it_has_it() {
    let text = |more: &str| {
        format!(
            r#"{ANYBODY}
services: {{ s: {{ proxy: plug }}, other: {{ proxy: plug, router: [10.0.1.80:0] }} }}
listeners:
  - {{ port: 1, address: 10.0.0.1, service: s, accept_one: true }}
{more}"#
        )
    };
    let tcp = "a tcp 10.0.0.9:5 10.0.1.9:80";
    let alone = policy(&text(""), "");
    let one = ListenerId(0);
    check(&alone, &[(tcp, "proxy s 10.0.0.1:1 by tproxy PREROUTING 1")]);
    // Deciding uses nothing up; the connection does, and of two one wins.
    check(&alone, &[(tcp, "proxy s 10.0.0.1:1 by tproxy PREROUTING 1")]);
    assert!(alone.accept(one) && !alone.accept(one) && alone.is_over(one));
    check(&alone, &[(tcp, "drop no_listener by tproxy PREROUTING 1")]);
    let steps = last_steps(&alone, tcp);
    assert!(steps.contains("the listener at 10.0.0.1:1 (port 1) takes one connection, and has it"), "{steps}");
    // Asked about the connection that it took, it is still there.
    let asked = alone.decide(&flow(&alone, tcp), None, &mut Memory::of_running(), &mut NoTrace);
    assert!(matches!(asked.verdict, Verdict::Proxy { .. }), "{asked:?}");

    // One that stands behind it, as with sockets, is next.
    let two = policy(&text("  - { port: 1, service: other }"), "");
    check(&two, &[(tcp, "proxy s 10.0.0.1:1 by tproxy PREROUTING 1")]);
    assert!(two.accept(one));
    check(&two, &[(tcp, "proxy other 10.0.0.1:1 by tproxy PREROUTING 1")]);
    assert!(two.accept(ListenerId(1)) && two.accept(ListenerId(1)), "the other takes any number");
}

#[test]
fn a_reload_gives_a_listener_no_second_connection() {
    let config = |port: u16| {
        let listeners = format!("listeners: [ {{ port: {port}, service: s, accept_one: true }} ]");
        let text = format!("interfaces: {{ a: {{ port: x }} }}\nservices: {{ s: {{ proxy: plug }} }}\n{listeners}\n");
        config::parse("limpid.yaml", &text).unwrap_or_else(|faults| panic!("{faults}"))
    };
    let compile = |port, before| Policy::compile_after(&config(port), 2, before).unwrap();
    let first = compile(1, None);
    assert!(first.accept(ListenerId(0)));
    let again = compile(1, Some(&first));
    assert!(again.is_over(ListenerId(0)), "the same listener");
    let elsewhere = compile(2, Some(&again));
    assert!(!elsewhere.is_over(ListenerId(0)), "another listener");
    assert!(!compile(1, Some(&elsewhere)).is_over(ListenerId(0)), "it was gone, and is there anew");
    // Where the new policy comes before the old one has taken it, both speak of the same connection.
    let old = compile(3, None);
    let next = compile(3, Some(&old));
    assert!(next.accept(ListenerId(0)) && !old.accept(ListenerId(0)));
}
