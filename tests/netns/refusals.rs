//! Servers that do not serve: a client must not be able to tell that somebody is between. Linux forwarding is the
//! oracle: the same assertions run over it.

use crate::address::Family;
use crate::limits;
use crate::on_every_device;
use crate::servers::port;
use crate::world::World;
use serde_json::Value;
use std::net::IpAddr;

on_every_device!(
    kernel,
    a_closed_port_refuses_at_once,
    an_absent_host_is_unreachable,
    a_silent_host_stays_silent,
    a_scan_sees_what_it_would_see_without_a_gateway
);

fn a_closed_port_refuses_at_once(world: &World, family: Family) {
    let result = connect(world, family.server(), port::MIRRORED + port::CLOSED, 10.0);
    assert_eq!(result["result"], "ECONNREFUSED");
    assert!(seconds(&result) < limits::AT_ONCE_S, "the first SYN is the one to be refused: {result}");
}

fn an_absent_host_is_unreachable(world: &World, family: Family) {
    let absent = family.address(2, 77);
    let result = connect(world, absent, port::MIRRORED + port::ECHO, limits::UNREACHABLE_S);
    assert_eq!(result["result"], "EHOSTUNREACH", "{result}");
}

fn a_silent_host_stays_silent(world: &World, family: Family) {
    let port = port::MIRRORED + port::SILENT;
    world.server.firewall("input", &format!("tcp dport {port} drop"));
    world.client.count("silence", "input", &format!("tcp sport {port}"));
    let result = connect(world, family.server(), port, limits::SILENCE_S);
    assert_eq!(result["result"], "timeout", "{result}");
    assert_eq!(world.client.counted("silence"), 0, "segments that answered for a silent host");
}

/// Port, the rule of the server's firewall for it, and what a client sees over IPv4 and over IPv6.
const SCANNED: [(u16, Option<&str>, &str, &str); 7] = [
    (port::MIRRORED + port::ECHO, None, "connected", "connected"),
    (port::MIRRORED + port::CLOSED, None, "ECONNREFUSED", "ECONNREFUSED"),
    (port::MIRRORED + 60, Some("drop"), "timeout", "timeout"),
    (port::MIRRORED + 61, Some("reject with tcp reset"), "ECONNREFUSED", "ECONNREFUSED"),
    (port::MIRRORED + 62, Some("reject with icmpx type port-unreachable"), "ECONNREFUSED", "ECONNREFUSED"),
    (port::MIRRORED + 63, Some("reject with icmpx type host-unreachable"), "EHOSTUNREACH", "EHOSTUNREACH"),
    (port::MIRRORED + 64, Some("reject with icmpx type admin-prohibited"), "EHOSTUNREACH", "EACCES"),
];

fn a_scan_sees_what_it_would_see_without_a_gateway(world: &World, family: Family) {
    for (port, rule, ..) in SCANNED {
        if let Some(rule) = rule {
            world.server.firewall("input", &format!("tcp dport {port} {rule}"));
        }
    }
    let ports = SCANNED.map(|(port, ..)| port.to_string());
    let (server, timeout) = (family.server().to_string(), limits::SILENCE_S.to_string());
    let mut words = vec!["scan", &server];
    words.extend(ports.iter().map(String::as_str));
    words.extend(["--timeout", &timeout]);
    let seen = world.client.client(&words);
    let expected = SCANNED.map(|(port, _, v4, v6)| (port, if family == Family::V4 { v4 } else { v6 }));
    let seen =
        SCANNED.map(|(port, ..)| (port, seen["ports"][port.to_string()].as_str().unwrap_or("nothing").to_owned()));
    assert_eq!(seen.each_ref().map(|(port, result)| (*port, result.as_str())), expected);
}

#[track_caller]
fn connect(world: &World, host: IpAddr, port: u16, timeout: f64) -> Value {
    world.client.client(&["connect", &host.to_string(), &port.to_string(), "--timeout", &timeout.to_string()])
}

fn seconds(result: &Value) -> f64 {
    result["seconds"].as_f64().unwrap_or(f64::MAX)
}
