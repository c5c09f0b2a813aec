//! What may not pass: it ends at the gateway, under a name, and `explain` gives the same verdict for it.

use std::time::Duration;

use sim::{Step, Town, for_each_seed};
use tcp::State;

use crate::LONG;

const NOBODY: &[Step] = &[Step::AwaitReset];

/// Connects; nothing must reach anybody, and the counter says why.
fn check(changes: &[(&str, &str)], from_router: bool, remote: &str, counter: &str) {
    for_each_seed(2, |seed| {
        let mut town = Town::changed(seed, changes);
        let remote_port = remote.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        for host in [town.server, town.client, town.router] {
            town.world.get_mut(host).tcp.listen(remote_port, NOBODY);
        }
        let (caller, interface) = if from_router { (town.router, "inter") } else { (town.client, "intra") };
        let before = town.world.gateway.counter(counter);
        let call = town.world.connect(caller, remote, NOBODY);
        town.world.run(Duration::from_millis(500));
        let report = town.world.report(call).clone();
        assert_eq!((report.state, report.error), (State::SynSent, None), "nothing comes back");
        for host in [town.server, town.client, town.router] {
            assert!(town.world.accepted(host).is_empty(), "nothing goes through");
        }
        assert_eq!(town.world.gateway.counter(counter), before + 1, "{counter}");
        let explanation = town.world.gateway.explain(town.world.now, interface, report.local, report.remote);
        let reason = explanation["reason"].as_str().map(|reason| format!("drop_{reason}"));
        assert_eq!((&explanation["verdict"], reason.as_deref()), (&"drop".into(), Some(counter)), "{explanation:#}");
        town.world.run(Duration::from_secs(200));
        town.world.settle(LONG);
    });
}

#[test]
fn what_no_rule_takes_is_not_forwarded() {
    let rules =
        ("-A PRintra -p tcp -j TPROXY --on-port 50000", "-A PRintra -p tcp --dport 443 -j TPROXY --on-port 50000");
    check(&[rules], false, "10.0.0.2:80", "drop_filter_policy");
}

#[test]
fn strangers_open_nothing() {
    check(&[], true, "10.0.0.2:80", "drop_filter_policy");
    check(&[], true, "[fd00:2::2]:80", "drop_filter_policy");
}

#[test]
fn a_drop_rule_drops() {
    let before = ":OUTPUT ACCEPT\n  -A INPUT -m tproxy -j ACCEPT";
    // INPUT sees the address the flow was taken to, so the rule is on the source instead.
    let rule = (before, ":OUTPUT ACCEPT\n  -A INPUT -s 192.168.1.2 -j DROP\n  -A INPUT -m tproxy -j ACCEPT");
    check(&[rule], false, "10.0.0.2:80", "drop_filter_rule");
}

#[test]
fn without_a_listener_nothing_passes() {
    let listener = ("  - { port: 50000, service: anything }\n", "");
    check(&[listener], false, "10.0.0.2:80", "drop_no_listener");
    check(&[listener], false, "[fd00:2::2]:80", "drop_no_listener");
}

#[test]
fn a_client_zone_that_does_not_permit_denies() {
    let zone = (r#"outbound_services: ["*"]"#, "outbound_services: [at_once]");
    check(&[zone], false, "10.0.0.2:80", "drop_outbound_denied");
}

#[test]
fn a_server_zone_that_does_not_permit_denies() {
    let zone = (r#""fd00:2::/64"], inbound_services: ["*"]"#, r#""fd00:2::/64"], inbound_services: [at_once]"#);
    check(&[zone], false, "10.0.0.2:80", "drop_inbound_denied");
    check(&[zone], false, "[fd00:2::2]:80", "drop_inbound_denied");
}

#[test]
fn a_server_in_no_zone_is_denied() {
    let zone = (r#"  internet: { networks: [0.0.0.0/0, "::/0"], inbound_services: ["*"] }"#, "");
    check(&[zone], false, "198.51.100.7:80", "drop_no_zone");
}

#[test]
fn what_passes_is_explained_as_passing() {
    let mut town = Town::new(1);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Finish, Step::AwaitFinish]);
    let call = town.world.connect(town.client, "10.0.0.2:80", &[Step::AwaitFinish, Step::Finish]);
    town.world.finish(LONG);
    let report = town.world.report(call).clone();
    let explanation = town.world.gateway.explain(town.world.now, "intra", report.local, report.remote);
    assert_eq!((&explanation["verdict"], &explanation["service"]), (&"proxy".into(), &"anything".into()));
    town.world.settle(LONG);
}
