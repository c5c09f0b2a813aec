//! Routers with several servers, and connections whose ends NAT policies map.

use sim::{Pattern, Progress, Step, Town};
use tcp::Error;

use crate::LONG;

const AT_ONCE: &str = "  at_once:  { proxy: plug, accept: immediate }\n";
const MIRRORED: &str = "  anything: { proxy: plug, accept: mirror }\n";

/// The first of two servers refuses: nothing listens at its port.
fn town(service: &str) -> Town {
    let line = service.trim_end().trim_end_matches('}').trim_end();
    let changed = format!("{line}, router: [\"10.0.0.2:81\", \"203.0.113.254:82\"] }}\n");
    Town::changed(5, &[(service, &changed)])
}

/// Exchanges bytes with whoever answers at the port of the client's choice.
fn exchange(town: &mut Town, remote: &str) {
    let (up, down) = (Pattern { key: 1, len: 9_000 }, Pattern { key: 2, len: 7_000 });
    let client = [Step::Exchange(up, down), Step::Finish, Step::AwaitFinish];
    town.world.connect(town.client, remote, &client);
    town.world.finish(LONG);
}

fn listen(town: &mut Town) {
    let (up, down) = (Pattern { key: 1, len: 9_000 }, Pattern { key: 2, len: 7_000 });
    town.world.get_mut(town.router).tcp.listen(82, &[Step::Exchange(down, up), Step::AwaitFinish, Step::Finish]);
}

#[test]
fn the_next_server_is_asked_before_the_proxy_hears_of_a_failure() {
    let mut town = town(AT_ONCE);
    listen(&mut town);
    exchange(&mut town, "10.9.9.9:8080");
    exchange(&mut town, "10.9.9.9:8080");
    assert_eq!(town.world.accepted(town.router).len(), 2);
    let summaries = &town.world.gateway.summaries;
    assert!(summaries.iter().all(|one| one.server == Some("203.0.113.254:82".parse().unwrap())), "{summaries:?}");
    town.world.settle(LONG);
    town.world.no_faults();
}

#[test]
fn when_no_server_answers_the_client_is_reset() {
    let mut town = town(AT_ONCE);
    let call = town.world.connect(town.client, "10.9.9.9:8080", &[Step::AwaitReset]);
    town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
    assert_eq!(town.world.report(call).error, Some(Error::Reset));
    town.world.settle(LONG);
}

#[test]
fn a_mirrored_refusal_is_the_clients_and_its_next_attempt_finds_the_next_server() {
    let mut town = town(MIRRORED);
    listen(&mut town);
    let call = town.world.connect(town.client, "10.9.9.9:80", &[Step::AwaitReset]);
    town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
    assert_eq!(town.world.report(call).error, Some(Error::Refused));
    exchange(&mut town, "10.9.9.9:80");
    assert_eq!(town.world.accepted(town.router).len(), 1);
    town.world.settle(LONG);
}

#[test]
fn nat_policies_map_both_ends_of_the_connection_to_the_server() {
    let service = "  anything: { proxy: plug, accept: mirror, dnat: inside, snat: hide }\n";
    let policies = "nat_policies:\n  inside: { kind: one_to_one, from: 198.51.100.0/24, to: 203.0.113.0/24 }\n  \
                    hide: { kind: static, address: 203.0.113.1 }\nzones:\n";
    let mut town = Town::changed(6, &[(MIRRORED, service), ("zones:\n", policies)]);
    listen(&mut town);
    exchange(&mut town, "198.51.100.254:82");
    let accepted = &town.world.accepted(town.router)[0];
    assert_eq!(accepted.local.to_string(), "203.0.113.254:82");
    assert_eq!(accepted.remote.ip().to_string(), "203.0.113.1");
    town.world.settle(LONG);
}
