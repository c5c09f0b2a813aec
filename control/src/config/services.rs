//! `services:` and `listeners:`: what is done with a flow, and the local port that leads there. A kind of proxy that this
//! version does not have is a fault, not a default.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::decode::{self, Mapping};
use super::tree::{Node, Value};
use super::zones::service_named;
use crate::faults::{Faults, Place};
use crate::limits;
use crate::policy::{Accept, Listener, Proxy, Router, Service, Source};

/// A plug that moves no byte for so long ends (Zorp's `PlugProxy.timeout`).
pub(super) const IDLE: Duration = Duration::from_secs(600);
/// A server that has not answered for so long is not there (Zorp's `ConnectChainer.timeout_connect`).
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time that may be set: a month.
const SECONDS_MAX: u64 = 31 * 24 * 3600;

/// Reads `services:`. A service with a fault in it is kept, so that what names it is not a fault as well.
pub(super) fn services(node: &Node, faults: &mut Faults) -> Vec<Service> {
    let entries = decode::named(node, "`services`", faults);
    decode::at_most(entries.len(), limits::SERVICES_MAX, node, "services", faults);
    entries.iter().map(|(key, node)| service(&key.name, node, faults)).collect()
}

fn service(name: &str, node: &Node, faults: &mut Faults) -> Service {
    let mut service = Service {
        name: name.to_owned(),
        proxy: Proxy::Plug,
        accept: Accept::Mirror,
        source: Source::Client,
        router: Router::Transparent,
        idle: IDLE,
        connect_timeout: CONNECT_TIMEOUT,
        max_sessions: u32::MAX,
    };
    let what = format!("service `{name}`");
    let Some(mut mapping) = Mapping::new(node, &what, faults) else { return service };
    if let Some(kind) = mapping.require("proxy", node, faults) {
        proxy(kind, faults);
    }
    let accept = [("mirror", Accept::Mirror), ("immediate", Accept::Immediate)];
    if let Some(accept) = mapping.get("accept").and_then(|node| decode::choice(node, "`accept`", &accept, faults)) {
        service.accept = accept;
    }
    if let Some(source) = mapping.get("source").and_then(|node| source(node, faults)) {
        service.source = source;
    }
    if let Some(router) = mapping.get("router").and_then(|node| router(node, faults)) {
        service.router = router;
    }
    let mut seconds = |key: &'static str, what| {
        let number = mapping.get(key).and_then(|node| decode::number(node, what, 1..=SECONDS_MAX, faults));
        number.map(Duration::from_secs)
    };
    service.idle = seconds("idle_s", "`idle_s`").unwrap_or(IDLE);
    service.connect_timeout = seconds("connect_timeout_s", "`connect_timeout_s`").unwrap_or(CONNECT_TIMEOUT);
    let max = mapping.get("max_sessions");
    let max = max.and_then(|node| decode::number::<u32>(node, "`max_sessions`", 0..=u64::from(u32::MAX), faults));
    service.max_sessions = max.filter(|max| *max != 0).unwrap_or(u32::MAX);
    mapping.finish(faults);
    service
}

/// The kinds of proxy that Limpid is to have; this version has the plug.
fn proxy(node: &Node, faults: &mut Faults) {
    const LATER: [&str; 3] = ["http", "ftp", "tls"];
    let Some(word) = decode::text(node, "`proxy`", faults) else { return };
    match word {
        "plug" => {}
        later if LATER.contains(&later) => faults.add_hint(
            node.place.clone(),
            format!("proxy `{later}` is not in this version"),
            "`plug` relays any protocol without reading it; it is the one proxy of this version",
        ),
        _ => {
            decode::choice(node, "`proxy`", &[("plug", ())], faults);
        }
    }
}

fn source(node: &Node, faults: &mut Faults) -> Option<Source> {
    match decode::text(node, "`source`", faults)? {
        "client" => Some(Source::Client),
        "gateway" => Some(Source::Gateway),
        word => match endpoint(word) {
            Some(address) => Some(Source::Address(address)),
            None => {
                let expected = "`client`, `gateway` or ADDRESS:PORT was expected";
                faults.add(node.place.clone(), format!("`source` is `{word}`, {expected}"));
                None
            }
        },
    }
}

fn router(node: &Node, faults: &mut Faults) -> Option<Router> {
    if let Value::List(items) = &node.value {
        decode::at_most(items.len(), limits::ROUTER_TARGETS_MAX, node, "servers in `router`", faults);
        if items.is_empty() {
            faults.add(node.place.clone(), "`router` is an empty list, one server at least was expected");
        }
        let server = |item| {
            let word = decode::text(item, "the server", faults)?;
            let server = endpoint(word).filter(|server| !server.ip().is_unspecified());
            if server.is_none() {
                let expected = "ADDRESS:PORT was expected, with port 0 to keep the client's";
                faults.add(item.place.clone(), format!("the server is `{word}`, {expected}"));
            }
            server
        };
        let servers: Vec<SocketAddr> = items.iter().filter_map(server).collect();
        // A second server that is never asked would be worse than none.
        let of_v4 = servers.iter().filter(|server| server.is_ipv4()).count();
        if of_v4 > 1 || servers.len() - of_v4 > 1 {
            faults.add(
                node.place.clone(),
                "`router` names several servers of a family; failing over is not in this version: one of each family",
            );
        }
        return Some(Router::Directed(servers));
    }
    match decode::text(node, "`router`", faults)? {
        "transparent" => Some(Router::Transparent),
        word => {
            let expected = "`transparent` or a list of ADDRESS:PORT was expected";
            faults.add(node.place.clone(), format!("`router` is `{word}`, {expected}"));
            None
        }
    }
}

/// `ADDRESS:PORT`, or an address alone for port 0.
fn endpoint(word: &str) -> Option<SocketAddr> {
    word.parse().ok().or_else(|| word.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 0)))
}

/// Reads `listeners:`.
pub(super) fn listeners(node: &Node, services: &[Service], faults: &mut Faults) -> Vec<(Listener, Place)> {
    let items = decode::list(node, "`listeners`", faults);
    decode::at_most(items.len(), limits::SERVICES_MAX, node, "listeners", faults);
    let mut seen = HashMap::new();
    let mut listeners = Vec::new();
    for item in items {
        let Some(mut mapping) = Mapping::new(item, "a listener", faults) else { continue };
        let port_node = mapping.require("port", item, faults);
        let port = port_node.and_then(|node| decode::number::<u16>(node, "`port`", 1..=65_535, faults));
        let service_node = mapping.require("service", item, faults);
        let name = service_node.and_then(|node| Some((decode::text(node, "`service`", faults)?, node)));
        let service = name.and_then(|(name, node)| service_named(name, node, services, faults));
        let address_node = mapping.get("address");
        let address = address_node.and_then(|node| decode::parsed::<IpAddr>(node, "`address`", "an address", faults));
        mapping.finish(faults);
        // '' and 0.0.0.0 mean every address, as they do for sockets.
        let address = address.filter(|address| !address.is_unspecified());
        let (Some(port), Some(port_node)) = (port, port_node) else { continue };
        if let Some(line) = seen.insert((address, port), port_node.place.line) {
            let message = format!("port {port} has a listener already, in line {line}");
            faults.add_hint(port_node.place.clone(), message, "two listeners on one port need an `address` each");
            continue;
        }
        listeners.extend(service.map(|service| (Listener { address, port, service }, item.place.clone())));
    }
    listeners
}
