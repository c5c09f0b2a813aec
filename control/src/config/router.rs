//! `router:` of a service, as a word, a list of servers or a mapping, and the forged source address and port.
//!
//! `forge_address` and `forge_port` may stand within the router, where Zorp has them, or beside it.

use std::net::SocketAddr;
use std::time::Duration;

use super::decode::{self, Mapping};
use super::services::{SECONDS_MAX, endpoint};
use super::tree::{Node, Value};
use crate::faults::Faults;
use crate::limits;
use crate::policy::{Directed, ForgePort, Order, Router, Service, Source};

/// How long a server that failed is not asked (Zorp's `timeout_state`).
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Reads a router; what it says of the source goes to the service.
pub(super) fn router(node: &Node, service: &mut Service, faults: &mut Faults) -> Option<Router> {
    match &node.value {
        Value::List(_) => Some(directed(servers(node, "`router`", faults))),
        Value::Map(_) => mapping(node, service, faults),
        _ => match decode::text(node, "`router`", faults)? {
            "transparent" => Some(Router::Transparent { forced_port: 0 }),
            "inband" => Some(Router::Inband),
            word => {
                let expected = "`transparent`, `inband`, a list of ADDRESS:PORT or a mapping with `kind` was expected";
                faults.add(node.place.clone(), format!("`router` is `{word}`, {expected}"));
                None
            }
        },
    }
}

/// The kinds, for the schema, too.
#[derive(Clone, Copy, schemars::JsonSchema)]
#[schemars(rename = "RouterKind", rename_all = "lowercase")]
pub(super) enum Kind {
    Transparent,
    Directed,
    Inband,
}

fn mapping(node: &Node, service: &mut Service, faults: &mut Faults) -> Option<Router> {
    let mut mapping = Mapping::new(node, "`router`", faults)?;
    let kinds = [("transparent", Kind::Transparent), ("directed", Kind::Directed), ("inband", Kind::Inband)];
    let kind = mapping.require("kind", node, faults).and_then(|node| decode::choice(node, "`kind`", &kinds, faults));
    if let Some(node) = mapping.get("forge_address") {
        forge_address(node, service, faults);
    }
    if let Some(node) = mapping.get("forge_port") {
        forge_port(node, service, faults);
    }
    let router = match kind? {
        Kind::Transparent => {
            let port = mapping.get("forced_port");
            let port = port.and_then(|node| decode::number(node, "`forced_port`", 0..=65_535, faults));
            Router::Transparent { forced_port: port.unwrap_or(0) }
        }
        Kind::Inband => Router::Inband,
        Kind::Directed => {
            let list = mapping.require("servers", node, faults);
            let list = list.map(|node| servers(node, "`servers`", faults)).unwrap_or_default();
            let orders = [("failover", Order::Failover), ("round_robin", Order::RoundRobin)];
            let order = mapping.get("policy").and_then(|node| decode::choice(node, "`policy`", &orders, faults));
            let max = Duration::from_secs(SECONDS_MAX);
            let retry = mapping.get("retry_after");
            let retry = retry.and_then(|node| decode::duration(node, "`retry_after`", max, faults));
            Router::Directed(Directed {
                servers: list,
                order: order.unwrap_or_default(),
                retry_after: retry.unwrap_or(RETRY_AFTER),
            })
        }
    };
    mapping.finish(faults);
    Some(router)
}

fn directed(servers: Vec<SocketAddr>) -> Router {
    Router::Directed(Directed { servers, order: Order::Failover, retry_after: RETRY_AFTER })
}

fn servers(node: &Node, what: &str, faults: &mut Faults) -> Vec<SocketAddr> {
    let items = decode::list(node, what, faults);
    decode::at_most(items.len(), limits::ROUTER_TARGETS_MAX, node, format!("servers in {what}"), faults);
    if items.is_empty() {
        faults.add(node.place.clone(), format!("{what} is an empty list, one server at least was expected"));
    }
    let mut servers: Vec<SocketAddr> = Vec::new();
    for item in items {
        let Some(word) = decode::text(item, "the server", faults) else { continue };
        match endpoint(word).filter(|server| !server.ip().is_unspecified()) {
            Some(server) if servers.contains(&server) => {
                faults.add(item.place.clone(), format!("the server {server} is there twice"));
            }
            Some(server) => servers.push(server),
            None => {
                let expected = "ADDRESS:PORT was expected, with port 0 to keep the client's";
                faults.add(item.place.clone(), format!("the server is `{word}`, {expected}"));
            }
        }
    }
    servers
}

/// `true`: the client's address; `false`: the gateway's.
pub(super) fn forge_address(node: &Node, service: &mut Service, faults: &mut Faults) {
    if let Some(forged) = decode::boolean(node, "`forge_address`", faults) {
        service.source = if forged { Source::Client } else { Source::Gateway };
    }
}

/// A word or a port.
pub(super) fn forge_port(node: &Node, service: &mut Service, faults: &mut Faults) {
    if service.forge_port.is_some() {
        faults.add(node.place.clone(), "`forge_port` is there twice, in `router` and beside it");
    }
    let words = [
        ("any", ForgePort::Any),
        ("group", ForgePort::Group),
        ("exact", ForgePort::Exact),
        ("random", ForgePort::Random),
    ];
    service.forge_port = match &node.value {
        Value::Number(_) => decode::number(node, "`forge_port`", 1..=65_535, faults).map(ForgePort::Number),
        _ => decode::choice(node, "`forge_port`", &words, faults),
    };
    if let (Source::Address(address), Some(_)) = (service.source, service.forge_port)
        && address.port() != 0
    {
        faults.add(node.place.clone(), format!("`source` says port {} already", address.port()));
    }
}
