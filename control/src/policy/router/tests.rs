//! Orders of servers, outages and their end, and the ports of each class.

use super::*;

const SECOND: u64 = 1_000_000;

fn servers(order: Order, servers: &[&str]) -> Router {
    let servers = servers.iter().map(|server| server.parse().unwrap()).collect();
    Router::Directed(Directed { servers, order, retry_after: Duration::from_secs(60) })
}

/// Asks one server after the other until one of `up` answers, or none is left.
fn session(router: &Router, states: &mut ServerStates, up: &[&str], now: u64) -> Vec<String> {
    let original = "203.0.113.9:80".parse().unwrap();
    let (mut search, mut asked) = (Search::default(), Vec::new());
    while let Some(server) = router.next(original, states, &mut search, now) {
        asked.push(server.to_string());
        assert!(asked.len() < 20, "it ends");
        if up.contains(&&*server.to_string()) {
            states.answered(server.ip());
            break;
        }
        states.failed(server.ip(), now, router.retry_after().unwrap_or_default());
    }
    asked
}

#[test]
fn failover_asks_in_order_and_skips_the_dead_for_their_time() {
    let router = servers(Order::Failover, &["10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80", "10.0.0.3:0"]);
    let mut states = ServerStates::default();
    let up = ["10.0.0.2:80"];
    assert_eq!(session(&router, &mut states, &up, 0), ["10.0.0.1:80", "10.0.0.2:80"]);
    // The first is known to be dead.
    assert_eq!(session(&router, &mut states, &up, 59 * SECOND), ["10.0.0.2:80"]);
    // Its time is over: it is asked again, and is up.
    assert_eq!(session(&router, &mut states, &["10.0.0.1:80"], 60 * SECOND), ["10.0.0.1:80"]);
    assert_eq!(session(&router, &mut states, &["10.0.0.1:80"], 61 * SECOND), ["10.0.0.1:80"]);
}

#[test]
fn after_all_have_failed_each_is_asked_once_more() {
    let router = servers(Order::Failover, &["10.0.0.1:80", "10.0.0.2:0"]);
    let mut states = ServerStates::default();
    let both = ["10.0.0.1:80", "10.0.0.2:80"];
    assert_eq!(session(&router, &mut states, &[], 0), [both, both].concat());
    // All are known to be dead: the first round is empty, what is known is cleared, the second asks them.
    assert_eq!(session(&router, &mut states, &["10.0.0.2:80"], SECOND), both);
}

#[test]
fn round_robin_begins_with_the_next_one_each_time() {
    let router = servers(Order::RoundRobin, &["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]);
    let mut states = ServerStates::default();
    let all = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"];
    for round in 0..7 {
        assert_eq!(session(&router, &mut states, &all, 0), [all[round % 3]]);
    }
    // The one whose turn it is is dead: the next takes its place.
    assert_eq!(session(&router, &mut states, &["10.0.0.3:80", "10.0.0.1:80"], 0), ["10.0.0.2:80", "10.0.0.3:80"]);
}

#[test]
fn a_family_without_server_has_none() {
    let router = servers(Order::Failover, &["10.0.0.1:80"]);
    let original = "[fd00::9]:80".parse().unwrap();
    assert_eq!(router.first(original), None);
    assert_eq!(router.next(original, &mut ServerStates::default(), &mut Search::default(), 0), None);
}

#[test]
fn transparent_and_forced_ports_name_one_server_once() {
    let original = "10.0.0.1:80".parse().unwrap();
    for (forced_port, server) in [(0, "10.0.0.1:80"), (8080, "10.0.0.1:8080")] {
        let router = Router::Transparent { forced_port };
        let (mut states, mut search) = (ServerStates::default(), Search::default());
        let mut next = || router.next(original, &mut states, &mut search, 0);
        assert_eq!((next(), next()), (Some(server.parse().unwrap()), None));
    }
    assert_eq!(Router::Inband.first(original), None);
}

#[test]
fn what_is_known_of_servers_is_bounded() {
    let mut states = ServerStates::default();
    for n in 0..2 * ROUTER_TARGETS_MAX as u32 {
        states.failed(IpAddr::V4(n.into()), 0, Duration::from_secs(1));
    }
    assert_eq!(states.down.len(), ROUTER_TARGETS_MAX);
}

#[test]
fn classes_of_ports_have_zorps_borders() {
    let group = |client| ForgePort::Group.range(client);
    assert_eq!((group(1), group(513)), ((1, 513), (1, 513)));
    assert_eq!((group(514), group(1_024)), ((514, 1_024), (514, 1_024)));
    assert_eq!((group(1_025), group(65_535)), ((1_025, 65_535), (1_025, 65_535)));
    assert_eq!(ForgePort::Exact.range(7), (7, 7));
    assert_eq!(ForgePort::Number(9).range(7), (9, 9));
    assert!(ForgePort::Random.range(7).0 >= 1_024 && ForgePort::Any.range(7).0 >= 1_024);
}
