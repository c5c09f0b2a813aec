//! What a plug may pass, on the gateway's own time: rates over bad cables, sums, and the PROXY protocol ahead of all.

use std::time::Duration;

use sim::{Conditions, Random, Step, Town, for_each_seed};

use crate::udp::{TAKEN, heard, say};
use crate::{LONG, SERVERS, at};

fn town(seed: u64, plug: &str) -> Town {
    let mirrored = format!("  anything: {{ proxy: plug, accept: mirror, {plug} }}");
    let at_once = format!("  at_once:  {{ proxy: plug, accept: immediate, {plug} }}");
    Town::changed(
        seed,
        &[
            ("  anything: { proxy: plug, accept: mirror }", &mirrored),
            ("  at_once:  { proxy: plug, accept: immediate }", &at_once),
        ],
    )
}

#[test]
fn a_rate_is_kept_over_bad_cables_and_nothing_is_lost() {
    for_each_seed(8, |seed| {
        let mut random = Random::new(seed ^ 0x9a7e);
        for port in [80, 8080] {
            let mut town = town(seed, "plug: { to_client: { bytes_per_s: 20000, burst: 20000 } }");
            for interface in ["intra", "dmz"] {
                town.world.set(interface, Conditions { corruption: 0.0, ..Conditions::bad(&mut random) });
            }
            let server = [Step::send(1, 400_000), Step::Finish, Step::AwaitFinish];
            town.world.get_mut(town.server).tcp.listen(port, &server);
            let client = [Step::receive(1, 400_000), Step::AwaitFinish, Step::Finish];
            town.world.connect(town.client, &at(SERVERS[(seed % 2) as usize], port), &client);
            // 380,000 bytes beyond the burst take 19 seconds.
            town.world.run(Duration::from_secs(15));
            assert_eq!(town.world.gateway.counter("session_finished"), 0, "{}", town.world.gateway.state());
            town.world.finish(Duration::from_secs(7_200));
            town.world.set_all(Conditions::CLEAN);
            town.world.settle(LONG);
            assert_eq!(town.world.gateway.counter("plug_throttled"), 1, "{}", town.world.gateway.state());
        }
    });
}

#[test]
fn one_byte_too_many_ends_the_session_behind_what_may_pass() {
    for_each_seed(2, |seed| {
        for port in [80, 8080] {
            let mut town = town(seed, "plug: { to_server: { bytes_max: 5000 } }");
            town.world.get_mut(town.server).tcp.listen(port, &[Step::receive(1, 5_000), Step::AwaitReset]);
            let client = [Step::send(1, 5_001), Step::AwaitReset];
            town.world.connect(town.client, &at(SERVERS[0], port), &client);
            town.world.finish(LONG);
            assert_eq!(town.world.gateway.counter("session_service_limit"), 1, "{}", town.world.gateway.state());
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}

#[test]
fn the_server_is_told_who_the_client_is() {
    for_each_seed(2, |seed| {
        for port in [80, 8080] {
            let mut town = town(seed, "plug: { send_proxy: v1 }");
            let call = town.world.connect(
                town.client,
                &at(SERVERS[0], port),
                &[Step::send(1, 100), Step::Finish, Step::AwaitFinish],
            );
            let client = town.world.report(call).local;
            let line = format!("PROXY TCP4 {} 10.0.0.2 {} {port}\r\n", client.ip(), client.port());
            let server = [Step::Hear(line.leak()), Step::receive(1, 100), Step::AwaitFinish, Step::Finish];
            town.world.get_mut(town.server).tcp.listen(port, &server);
            town.world.finish(LONG);
            assert_eq!(town.world.gateway.counter("plug_announced"), 1, "{}", town.world.gateway.state());
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}

#[test]
fn a_script_denies_a_session_and_one_that_never_ends_denies_its_own() {
    for (source, counter) in [
        ("function session(s) return s.client ~= '192.168.1.2', 'not this one' end", "session_policy_denied"),
        ("function session(s) while true do end end", "session_script_failed"),
        ("function route(s) return 'nowhere' end", "session_script_failed"),
    ] {
        let mut town = town(3, &format!("plug: {{ script: {{ lua: \"{source}\" }} }}"));
        town.world.get_mut(town.server).tcp.listen(80, &[Step::AwaitReset]);
        town.world.connect(town.client, &at(SERVERS[0], 80), &[Step::AwaitReset]);
        town.world.finish(LONG);
        assert_eq!(town.world.gateway.counter(counter), 1, "{source}: {}", town.world.gateway.state());
        town.world.settle(LONG);
        town.world.no_faults();
    }
}

#[test]
fn a_limited_plug_takes_no_datagrams() {
    let limited = "  anything: { proxy: plug, plug: { to_server: { bytes_max: 5 } } }";
    let mut town = Town::changed(1, &[TAKEN, ("  anything: { proxy: plug, accept: mirror }", limited)]);
    say(&mut town.world, town.client, "192.168.1.2:5000", "10.0.0.2:53", b"?");
    town.world.run(Duration::from_secs(1));
    assert_eq!(heard(&mut town.world, town.server), []);
    assert_eq!(town.world.gateway.counter("drop_no_proxy_for_protocol"), 1, "{}", town.world.gateway.state());
}
