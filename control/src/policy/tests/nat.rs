//! Table nat around a flow: to other machines, to listeners, to the gateway, and what it leaves alone.

use super::*;

const GATEWAY: &str = r#"
interfaces:
  a: { port: x, addresses: [10.0.0.1/24, "fd00::1/64"] }
  b: { port: y, addresses: [10.0.1.1/24, 10.0.2.1/24, "fd01::1/64"] }
routes: [ { to: 0.0.0.0/0, via: 10.0.2.9 } ]
zones: { all: { networks: [0.0.0.0/0, "::/0"], inbound_services: ["*"], outbound_services: ["*"] } }
services: { s: { proxy: plug } }
listeners: [ { port: 1, service: s }, { port: 2, address: 10.0.1.1, service: s } ]
policy_rules: [ { service: s, src_port: 7 } ]
rules: |
"#;

fn policy(rules: &str) -> Policy {
    let rules: String = rules.lines().map(|line| format!("  {}\n", line.trim())).collect();
    compile(&format!("{GATEWAY}{rules}"))
}

fn nat(rules: &str) -> Policy {
    policy(&format!("*nat\n{rules}\nCOMMIT"))
}

fn translations(policy: &Policy, words: &str) -> [Option<String>; 2] {
    let made = policy.decide(&flow(policy, words), None, &mut Memory::observer(), &mut NoTrace);
    [made.nat.destination, made.nat.source].map(|range| range.map(|range| range.to_string()))
}

#[test]
fn redirect_and_dnat_lead_to_a_listener_or_to_a_program() {
    let policy = nat("-A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 1
         -A PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 3
         -A PREROUTING -p tcp --dport 82 -j DNAT --to-destination 10.0.1.1:2
         -A PREROUTING -p tcp --dport 83 -j DNAT --to-destination 10.0.0.1:2
         -A PREROUTING -p tcp --dport 84 -j DNAT --to-destination 10.0.1.80
         -A PREROUTING -p icmp -j REDIRECT");
    check(
        &policy,
        &[
            ("a tcp 10.0.0.9:5 8.8.8.8:80", "proxy s 10.0.0.1:1 by nat PREROUTING 1"),
            ("a tcp [fd00::9]:5 [fd09::9]:80", "proxy s [fd00::1]:1 by nat PREROUTING 1"),
            // Nobody of ours listens there, and policy rules are for what TPROXY took.
            ("a tcp 10.0.0.9:7 8.8.8.8:81", "local"),
            ("a tcp 10.0.0.9:5 8.8.8.8:82", "proxy s 10.0.1.1:2 by nat PREROUTING 3"),
            ("a tcp 10.0.0.9:5 8.8.8.8:83", "local"),
            ("a tcp 10.0.0.9:5 8.8.8.8:84", "forward"),
            ("a icmp 10.0.0.9 8.8.8.8", "local"),
            // Who knows of a listener has no way to it, and no server behind it.
            ("a tcp 10.0.0.9:5 10.0.0.1:1", "local"),
            ("a tcp 10.0.0.9:5 10.0.0.1:80", "drop connected_directly by nat PREROUTING 1"),
        ],
    );
    assert_eq!(translations(&policy, "a tcp 10.0.0.9:5 8.8.8.8:80"), [None, None], "a proxy speaks for itself");
    assert_eq!(translations(&policy, "a tcp 10.0.0.9:5 8.8.8.8:81")[0].as_deref(), Some("REDIRECT 10.0.0.1 port 3"));
}

#[test]
fn input_is_asked_about_what_is_led_here_and_mtproxy_is_false() {
    let policy = policy(
        "*nat
         -A PREROUTING -p tcp -j REDIRECT --to-ports 1
         COMMIT
         *filter
         :INPUT DROP
         -A INPUT -m tproxy -j REJECT
         -A INPUT -d 10.0.0.1 -p tcp --dport 1 -m conntrack --ctstate DNAT --ctorigdst 8.8.8.8 -j ACCEPT
         COMMIT",
    );
    check(
        &policy,
        &[
            ("a tcp 10.0.0.9:5 8.8.8.8:80", "proxy s 10.0.0.1:1 by nat PREROUTING 1"),
            ("a tcp 10.0.0.9:5 8.8.4.4:80", "drop filter_policy"),
        ],
    );
}

#[test]
fn what_tproxy_took_is_none_of_nats() {
    let policy = policy(
        "*tproxy
         -A PREROUTING -p tcp --dport 80 -j TPROXY --on-port 1
         COMMIT
         *nat
         -A PREROUTING -p tcp -j DNAT --to-destination 10.0.1.80
         COMMIT",
    );
    check(&policy, &[("a tcp 10.0.0.9:5 8.8.8.8:80", "proxy s 10.0.0.1:1 by tproxy PREROUTING 1")]);
    assert_eq!(translations(&policy, "a tcp 10.0.0.9:5 8.8.8.8:81")[0].as_deref(), Some("DNAT 10.0.1.80"));
}

#[test]
fn masquerade_is_the_address_beside_the_next_hop() {
    let policy = nat("-A POSTROUTING -o b -j MASQUERADE");
    for (words, source) in [
        ("a udp 10.0.0.9:5 8.8.8.8:53", Some("MASQUERADE 10.0.2.1")),
        ("a udp 10.0.0.9:5 10.0.1.80:53", Some("MASQUERADE 10.0.1.1")),
        ("a udp [fd00::9]:5 [fd01::9]:53", Some("MASQUERADE fd01::1")),
        ("b udp 10.0.1.9:5 10.0.0.80:53", None),
    ] {
        assert_eq!(translations(&policy, words)[1].as_deref(), source, "{words}");
    }
}

#[test]
fn a_destinations_port_is_chosen_before_the_filter_is_asked() {
    let policy = policy(
        "*nat
         -A PREROUTING -p udp --dport 1 -j DNAT --to-destination 10.0.1.80:3000-3009
         -A PREROUTING -p udp --dport 2 -j DNAT --to-destination 10.0.1.80:3000-3009 --random
         -A PREROUTING -p udp --dport 3005 -j DNAT --to-destination 10.0.1.80:3000-3009
         -A PREROUTING -p udp -j DNAT --to-destination 10.0.1.80:3000-3009/4000
         COMMIT
         *filter
         :FORWARD DROP
         -A FORWARD -p udp --dport 3000 -j ACCEPT
         -A FORWARD -p udp --dport 3005 -j ACCEPT
         -A FORWARD -p udp --dport 3007 -j ACCEPT
         COMMIT",
    );
    check(
        &policy,
        &[
            ("a udp 10.0.0.9:5 8.8.8.8:1", "forward by filter FORWARD 1"),
            ("a udp 10.0.0.9:5 8.8.8.8:3005", "forward by filter FORWARD 2"),
            ("a udp 10.0.0.9:5 8.8.8.8:4017", "forward by filter FORWARD 3"),
            ("a udp 10.0.0.9:5 8.8.8.8:4018", "drop filter_policy"),
        ],
    );
    let mut drawn = std::collections::HashSet::new();
    for port in 0..200 {
        let [to, _] = translations(&policy, &format!("a udp 10.0.0.9:{port} 8.8.8.8:2"));
        let to = to.expect("it is translated");
        let port: u16 = to.strip_prefix("DNAT 10.0.1.80 port ").and_then(|port| port.parse().ok()).expect("one port");
        assert!((3_000..=3_009).contains(&port));
        drawn.insert(port);
    }
    assert_eq!(drawn.len(), 10, "each of them");
}

#[test]
fn notrack_keeps_a_flow_from_table_nat() {
    let policy = policy(
        "*raw
         -A PREROUTING -p udp -j CT --notrack
         COMMIT
         *nat
         -A PREROUTING -j DNAT --to-destination 10.0.1.80
         -A POSTROUTING -j MASQUERADE
         COMMIT",
    );
    assert_eq!(translations(&policy, "a udp 10.0.0.9:5 8.8.8.8:53"), [None, None]);
    assert!(translations(&policy, "a tcp 10.0.0.9:5 8.8.8.8:53").iter().all(Option::is_some));
}
