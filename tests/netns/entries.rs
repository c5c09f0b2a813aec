//! The tproxy requests, on the wire: foreign listen, foreign connect, ONCE.
//!
//! A foreign listener is an entry whose local address is a listener of the gateway: connections to the foreign address
//! go there although no rule redirects them. Without the entry FORWARD drops them, so that each result here has one cause.

use crate::address::Family;
use crate::limits;
use crate::on_every_device;
use crate::process::Ended;
use crate::servers::port;
use crate::world::World;
use serde_json::{Value, json};
use std::net::SocketAddr;

on_every_device!(
    of_two_racing_connections_once_takes_one,
    a_foreign_listener_takes_until_it_is_unassigned,
    nothing_is_taken_before_flags_say_so,
    a_connect_entry_gives_the_server_a_foreign_address,
    requests_are_refused_by_the_kernel_patches_names
);

/// Foreign: the echo server, by a port that no rule redirects. Local: the gateway's plug listener.
fn listener(family: Family, offset: u16) -> (String, SocketAddr) {
    let local = SocketAddr::from((family.gateway(1), 50000));
    (local.to_string(), family.server_at(port::FOREIGN_LISTEN + offset))
}

fn of_two_racing_connections_once_takes_one(world: &World, family: Family) {
    let (local, foreign) = listener(family, port::ECHO);
    ok(world, &["assign", "tcp", &local, &foreign.to_string(), "--flags", "LISTEN,ONCE"]);
    assert_eq!(race(world, foreign), json!(["taken", "timeout"]));
    // The entry went with the one that was taken.
    assert_eq!(refused(world, &["query", "tcp", &local]), "ENOENT");
    assert_eq!(race(world, foreign), json!(["timeout", "timeout"]));
}

fn a_foreign_listener_takes_until_it_is_unassigned(world: &World, family: Family) {
    let (local, foreign) = listener(family, port::ECHO);
    ok(world, &["assign", "tcp", &local, &foreign.to_string(), "--flags", "LISTEN"]);
    assert_eq!(ok(world, &["query", "tcp", &local])["foreign"], *foreign.to_string());
    let (server, port) = (foreign.ip().to_string(), foreign.port().to_string());
    let mut child = world.client.start_client(&["hold", &server, &port]);
    child.wait_for("held", limits::VISIBLE);
    assert_eq!(race(world, foreign), json!(["taken", "taken"]));
    ok(world, &["unassign", "tcp", &local]);
    assert_eq!(race(world, foreign), json!(["timeout", "timeout"]), "after unassign");
    child.go_on();
    let result = child.finish(limits::VISIBLE).successful().json();
    assert_eq!(result["received"], "still here\n", "a connection outlives its entry");
}

fn nothing_is_taken_before_flags_say_so(world: &World, family: Family) {
    let (local, foreign) = listener(family, port::ECHO);
    ok(world, &["assign", "tcp", &local, &foreign.to_string()]);
    assert_eq!(race(world, foreign), json!(["timeout", "timeout"]), "assigned, without LISTEN");
    ok(world, &["flags", "tcp", &local, "LISTEN"]);
    assert_eq!(race(world, foreign), json!(["taken", "taken"]));
    ok(world, &["unassign", "tcp", &local]);
}

fn a_connect_entry_gives_the_server_a_foreign_address(world: &World, family: Family) {
    let local = SocketAddr::from((family.gateway(2), 40001));
    let foreign = SocketAddr::from((family.address(1, 200), 40002));
    assert_eq!(seen_by_server(world, family), local, "without an entry: the service's own source");
    ok(world, &["assign", "tcp", &local.to_string(), &foreign.to_string(), "--flags", "CONNECT"]);
    assert_eq!(seen_by_server(world, family), foreign);
    ok(world, &["unassign", "tcp", &local.to_string()]);
}

fn requests_are_refused_by_the_kernel_patches_names(world: &World, family: Family) {
    let (local, foreign) = listener(family, port::WHOAMI);
    let (foreign, second) = (foreign.to_string(), SocketAddr::from((family.gateway(1), 50100)).to_string());
    assert_eq!(refused(world, &["unassign", "tcp", &local]), "ENOENT");
    ok(world, &["assign", "tcp", &local, &foreign, "--flags", "LISTEN"]);
    assert_eq!(refused(world, &["assign", "tcp", &local, &foreign]), "EEXIST");
    assert_eq!(refused(world, &["assign", "tcp", &second, &foreign]), "EADDRINUSE");
    ok(world, &["unassign", "tcp", &local]);
}

/// What the server of the foreign-source service says about its peer.
#[track_caller]
fn seen_by_server(world: &World, family: Family) -> SocketAddr {
    let tens = if family == Family::V4 { 0 } else { 50 };
    let port = (port::FOREIGN_SOURCE + tens + port::WHOAMI).to_string();
    let answer = world.client.client(&["read", &family.server().to_string(), &port]);
    let seen: Value = serde_json::from_str(answer["received"].as_str().unwrap_or_default()).unwrap_or_default();
    let address = seen["peer"].as_str().and_then(|text| text.parse().ok());
    let port = seen["peer_port"].as_u64().and_then(|port| u16::try_from(port).ok());
    match (address, port) {
        (Some(address), Some(port)) => SocketAddr::new(address, port),
        _ => panic!("the server saw no peer: {answer}"),
    }
}

/// Two connections in the same instant; their fates, sorted.
#[track_caller]
fn race(world: &World, to: SocketAddr) -> Value {
    let (host, port) = (to.ip().to_string(), to.port().to_string());
    let timeout = limits::SILENCE_S.to_string();
    world.client.client(&["race", &host, &port, "--timeout", &timeout])["results"].clone()
}

#[track_caller]
fn ok(world: &World, words: &[&str]) -> Value {
    world.limpid(words)
}

/// A request that must be refused: exit code 1 and the error's name.
#[track_caller]
fn refused(world: &World, words: &[&str]) -> String {
    let ended: Ended = world.gateway().cli(&world.router, &[words, &["--json"]].concat());
    assert_eq!(ended.code(), 1, "{ended:?}");
    let report = format!("{}{}", ended.stdout, ended.stderr);
    let names = ["EPERM", "EINVAL", "EEXIST", "EADDRINUSE", "ENOBUFS", "ENOENT", "EFAULT", "ENOPROTOOPT"];
    let name = names.into_iter().find(|name| report.contains(name));
    name.unwrap_or_else(|| panic!("no error name in: {report}")).to_owned()
}
