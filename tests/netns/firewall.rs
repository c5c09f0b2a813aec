//! What is not proxied, and that nothing slips past: dropped, counted, and never seen by the server.

use crate::address::Family;
use crate::limits;
use crate::on_every_device;
use crate::servers::port;
use crate::world::World;

on_every_device!(
    untouched_traffic_is_dropped_and_counted,
    without_a_listener_nothing_passes,
    a_zone_keeps_its_servers_to_itself,
    accepted_traffic_is_forwarded_and_not_terminated,
    the_gateways_own_addresses_answer_pings_and_nothing_else
);

fn untouched_traffic_is_dropped_and_counted(world: &World, family: Family) {
    nothing_arrives(world, family, port::UNTOUCHED + port::ECHO, "drop_filter_policy");
}

fn without_a_listener_nothing_passes(world: &World, family: Family) {
    nothing_arrives(world, family, port::NO_LISTENER + port::ECHO, "drop_no_listener");
}

fn a_zone_keeps_its_servers_to_itself(world: &World, family: Family) {
    nothing_arrives(world, family, port::NOT_LET_IN + port::ECHO, "drop_inbound_denied");
}

/// A server listens on `port`; the client gets no answer, the server no segment, and the operator the reason.
#[track_caller]
fn nothing_arrives(world: &World, family: Family, port: u16, reason: &str) {
    let name = format!("port_{port}");
    world.server.count(&name, "input", &format!("tcp dport {port}"));
    let before = world.counter(reason);
    let (server, timeout) = (family.server().to_string(), limits::SILENCE_S.to_string());
    let result = world.client.client(&["connect", &server, &port.to_string(), "--timeout", &timeout]);
    assert_eq!(result["result"], "timeout", "port {port}: {result}");
    assert_eq!(world.server.counted(&name), 0, "segments to port {port} that reached the server");
    world.wait_for_counter(reason, before);
}

fn accepted_traffic_is_forwarded_and_not_terminated(world: &World, family: Family) {
    let (server, port) = (family.server().to_string(), port::FORWARDED + port::ECHO);
    // Terminated, a segment would come with a fresh TTL; forwarded, with one less than Linux sent: 64.
    let (field, v4) = if family == Family::V4 { ("ip ttl", true) } else { ("ip6 hoplimit", false) };
    let name = if v4 { "hop_v4" } else { "hop_v6" };
    world.server.count(name, "input", &format!("tcp dport {port} {field} 63"));
    let mut held = world.client.start_client(&["hold", &server, &port.to_string()]);
    held.wait_for("held", limits::VISIBLE);
    let flows = world.flows_to(family.server_at(port));
    assert_eq!(flows.len(), 1, "{flows:?}");
    assert_eq!((&flows[0]["step"], &flows[0]["service"]), (&"forward".into(), &serde_json::Value::Null));
    held.go_on();
    assert_eq!(held.finish(limits::VISIBLE).successful().json()["received"], "still here\n");
    assert!(world.server.counted(name) >= 4, "SYN, ACK, data and FIN, one hop on");
}

fn the_gateways_own_addresses_answer_pings_and_nothing_else(world: &World, family: Family) {
    for n in 1..=3 {
        assert!(world.client.ping(family.gateway(n)), "{} does not answer", family.gateway(n));
    }
    let (gateway, timeout) = (family.gateway(1).to_string(), limits::SILENCE_S.to_string());
    let before = world.counter("drop_filter_policy");
    let result = world.client.client(&["connect", &gateway, "22", "--timeout", &timeout]);
    assert_eq!(result["result"], "timeout", "INPUT drops what is not for a proxy: {result}");
    world.wait_for_counter("drop_filter_policy", before);
}
