//! `services:`: what is done with a flow. A kind of proxy that this version does not have is a fault, not a default.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::decode::{self, Mapping};
use super::load::ReadFile;
use super::router;
use super::tree::{Node, Value};
use super::zones::zones_named;
use crate::faults::Faults;
use crate::limits;
use crate::modules::{Modules, Reading};
use crate::policy::{
    Accept, Denial, Deny, Kind, Mapping as NatMapping, NatPolicy, NatPolicyId, Proxy, RejectKind, Release, Router,
    Service, Source,
};

/// A plug that moves no byte for so long ends (Zorp's `PlugProxy.timeout`).
pub(super) const IDLE: Duration = Duration::from_secs(600);
/// A server that has not answered for so long is not there (Zorp's `ConnectChainer.timeout_connect`).
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time that may be set: a month.
pub(super) const SECONDS_MAX: u64 = 31 * 24 * 3600;

/// What services may name.
pub(super) struct Known<'a> {
    pub(super) zones: &'a [&'a str],
    pub(super) nat_policies: &'a [NatPolicy],
    pub(super) modules: &'a dyn Modules,
    pub(super) read_file: ReadFile<'a>,
}

/// Reads `services:`. A service with a fault in it is kept, so that what names it is not a fault as well.
pub(super) fn services(node: &Node, known: &Known<'_>, faults: &mut Faults) -> Vec<Service> {
    let entries = decode::named(node, "`services`", faults);
    decode::at_most(entries.len(), limits::SERVICES_MAX, node, "services", faults);
    let services: Vec<Service> = entries.iter().map(|(key, node)| service(&key.name, node, known, faults)).collect();
    hand_on(&services, faults);
    services
}

/// Proxies hand on to services that have proxies, and never in a circle.
fn hand_on(services: &[Service], faults: &mut Faults) {
    let next =
        |service: &Service| service.module.iter().flat_map(|module| module.hands_on_to.clone()).collect::<Vec<_>>();
    let find = |name: &str| services.iter().position(|service| service.name == name);
    for (at, service) in services.iter().enumerate() {
        for (name, place) in next(service) {
            let node = Node { place: place.clone(), value: Value::Text(name.clone()) };
            let names = services.iter().map(|service| &*service.name);
            let Some(to) = decode::named_one(&name, &node, "service", "services", names, faults) else { continue };
            if !matches!(services[to as usize].kind, Kind::Proxy(Proxy::Plug | Proxy::Module(_))) {
                faults.add(place.clone(), format!("service `{name}` has no proxy that a stream could be handed on to"));
            }
            // Depth first from what is named here; the circle is told where it closes on this service.
            let (mut seen, mut left) = (vec![false; services.len()], vec![to as usize]);
            while let Some(reached) = left.pop() {
                if reached == at {
                    faults.add(
                        place.clone(),
                        format!("service `{}` comes back to itself by way of `{name}`", service.name),
                    );
                    break;
                }
                if !std::mem::replace(&mut seen[reached], true) {
                    left.extend(next(&services[reached]).iter().filter_map(|(name, _)| find(name)));
                }
            }
        }
    }
}

fn service(name: &str, node: &Node, known: &Known<'_>, faults: &mut Faults) -> Service {
    let mut service = Service {
        name: name.to_owned(),
        kind: Kind::Proxy(Proxy::Plug),
        accept: Accept::Mirror,
        release: Release::Auto,
        source: Source::Client,
        forge_port: None,
        router: Router::Transparent { forced_port: 0 },
        snat: None,
        dnat: None,
        limit_target_zones_to: Vec::new(),
        idle: IDLE,
        total: None,
        connect_timeout: CONNECT_TIMEOUT,
        max_sessions: u32::MAX,
        module: None,
    };
    let what = format!("service `{name}`");
    let Some(mut mapping) = Mapping::new(node, &what, faults) else { return service };
    service.kind = kind(&mut mapping, node, &what, known, faults);
    match service.kind {
        Kind::Deny(_) => {}
        Kind::Forward => way(&mut service, &mut mapping, known, faults),
        Kind::Proxy(_) => {
            way(&mut service, &mut mapping, known, faults);
            proxied(&mut service, &mut mapping, faults);
            module(&mut service, &mut mapping, node, known, faults);
        }
    }
    together(&service, node, known, faults);
    mapping.finish(faults);
    service
}

/// Which of the three kinds it is: one of their keys is there.
fn kind(mapping: &mut Mapping<'_>, node: &Node, what: &str, known: &Known<'_>, faults: &mut Faults) -> Kind {
    let (proxy_node, forward, deny_node) = (mapping.get("proxy"), mapping.get("forward"), mapping.get("deny"));
    if [proxy_node, forward, deny_node].iter().flatten().count() != 1 {
        let there = if proxy_node.or(forward).or(deny_node).is_some() { "more than one of" } else { "none of" };
        faults.add(node.place.clone(), format!("{what} has {there} `proxy`, `forward` and `deny`, one was expected"));
    }
    if let Some(node) = proxy_node {
        return Kind::Proxy(proxy(node, known, faults));
    } else if let Some(node) = deny_node {
        return Kind::Deny(deny(node, faults));
    } else if let Some(node) = forward {
        if decode::boolean(node, "`forward`", faults) == Some(false) {
            faults.add(node.place.clone(), "`forward` is `false`: leave it out, or say `deny`");
        }
        return Kind::Forward;
    }
    Kind::Proxy(Proxy::Plug)
}

/// Plug and handoff are always there, the rest is whose modules there are.
fn proxy(node: &Node, known: &Known<'_>, faults: &mut Faults) -> Proxy {
    let always = [("plug", Proxy::Plug), ("handoff", Proxy::Handoff)];
    let modules = known.modules.kinds().iter().map(|kind| (kind.name, Proxy::Module(kind)));
    let choices: Vec<(&str, Proxy)> = always.into_iter().chain(modules).collect();
    decode::choice(node, "`proxy`", &choices, faults).unwrap_or(Proxy::Plug)
}

/// The section that carries the proxy's name.
fn module(service: &mut Service, mapping: &mut Mapping<'_>, node: &Node, known: &Known<'_>, faults: &mut Faults) {
    let kind = match service.proxy() {
        Some(Proxy::Plug) => "plug",
        Some(Proxy::Module(kind)) => kind.name,
        Some(Proxy::Handoff) | None => return,
    };
    // The plug is always there; what it can be told, only where its module is.
    let section = if known.modules.schema(kind).is_some() { mapping.get(kind) } else { None };
    let mut reading = Reading { service: &service.name, place: &node.place, faults, read_file: known.read_file };
    service.module = known.modules.read(kind, section, &mut reading);
}

/// One answer for both families, or one for each.
fn deny(node: &Node, faults: &mut Faults) -> Deny {
    let mut deny = Deny { v4: Denial::Drop, v6: Denial::Drop, log: true };
    let Value::Map(_) = node.value else {
        deny.v4 = denial(node, faults);
        return Deny { v6: deny.v4, ..deny };
    };
    let Some(mut mapping) = Mapping::new(node, "`deny`", faults) else { return deny };
    if let Some(node) = mapping.get("ipv4") {
        deny.v4 = denial(node, faults);
    }
    if let Some(node) = mapping.get("ipv6") {
        deny.v6 = denial(node, faults);
    }
    if let Some(log) = mapping.get("log").and_then(|node| decode::boolean(node, "`log`", faults)) {
        deny.log = log;
    }
    mapping.finish(faults);
    deny
}

fn denial(node: &Node, faults: &mut Faults) -> Denial {
    let kinds = RejectKind::ALL.iter().map(|kind| (kind.name(), Denial::Reject(*kind)));
    let choices: Vec<(&str, Denial)> = [("drop", Denial::Drop), ("reset", Denial::Reject(RejectKind::TcpReset))]
        .into_iter()
        .chain(kinds)
        .chain([
            ("icmp6-no-route", Denial::Reject(RejectKind::NetUnreachable)),
            ("icmp6-adm-prohibited", Denial::Reject(RejectKind::AdminProhibited)),
            ("icmp6-addr-unreachable", Denial::Reject(RejectKind::HostUnreachable)),
            ("icmp6-port-unreachable", Denial::Reject(RejectKind::PortUnreachable)),
        ])
        .collect();
    decode::choice(node, "`deny`", &choices, faults).unwrap_or(Denial::Drop)
}

/// Which server, and how addresses are mapped on the way to it.
fn way(service: &mut Service, mapping: &mut Mapping<'_>, known: &Known<'_>, faults: &mut Faults) {
    if let Some(router) = mapping.get("router").and_then(|node| router::router(node, service, faults)) {
        service.router = router;
    }
    let mut policy = |key: &'static str| {
        let node = mapping.get(key)?;
        let name = decode::text(node, &format!("`{key}`"), faults)?;
        let names = known.nat_policies.iter().map(|policy| &*policy.name);
        decode::named_one(name, node, "NAT policy", "nat_policies", names, faults).map(NatPolicyId)
    };
    (service.snat, service.dnat) = (policy("snat"), policy("dnat"));
    if let Some(node) = mapping.get("limit_target_zones_to") {
        service.limit_target_zones_to = zones_named(node, "the zone", known.zones, faults);
    }
}

/// What only a proxied flow has.
fn proxied(service: &mut Service, mapping: &mut Mapping<'_>, faults: &mut Faults) {
    let accept = [("mirror", Accept::Mirror), ("immediate", Accept::Immediate)];
    let accept_node = mapping.get("accept");
    if let Some(accept) = accept_node.and_then(|node| decode::choice(node, "`accept`", &accept, faults)) {
        service.accept = accept;
    }
    let release = [("auto", Release::Auto), ("never", Release::Never)];
    if let Some(release) = mapping.get("release").and_then(|node| decode::choice(node, "`release`", &release, faults)) {
        service.release = release;
    }
    // The program is the server: there is nobody whose answer could be mirrored.
    if service.proxy() == Some(Proxy::Handoff) {
        if let (Some(node), Accept::Mirror) = (accept_node, service.accept) {
            faults.add(node.place.clone(), "`proxy: handoff` answers by itself, `accept: immediate` was expected");
        }
        service.accept = Accept::Immediate;
    }
    let (source_node, forge_node) = (mapping.get("source"), mapping.get("forge_address"));
    if let Some(source) = source_node.and_then(|node| source(node, faults)) {
        service.source = source;
    }
    if let Some(node) = forge_node {
        match source_node {
            Some(_) => faults.add(node.place.clone(), "`source` says already whose address the server sees"),
            None => router::forge_address(node, service, faults),
        }
    }
    if let Some(node) = mapping.get("forge_port") {
        router::forge_port(node, service, faults);
    }
    let mut seconds = |key: &'static str, what| {
        let number = mapping.get(key).and_then(|node| decode::number(node, what, 1..=SECONDS_MAX, faults));
        number.map(Duration::from_secs)
    };
    service.idle = seconds("idle_s", "`idle_s`").unwrap_or(IDLE);
    service.total = seconds("total_s", "`total_s`");
    service.connect_timeout = seconds("connect_timeout_s", "`connect_timeout_s`").unwrap_or(CONNECT_TIMEOUT);
    let (sessions, instances) = (mapping.get("max_sessions"), mapping.get("max_instances"));
    if let (Some(_), Some(node)) = (sessions, instances) {
        faults.add(node.place.clone(), "`max_instances` and `max_sessions` are the same, one was expected");
    }
    let what = if instances.is_some() { "`max_instances`" } else { "`max_sessions`" };
    let max = instances.or(sessions);
    let max = max.and_then(|node| decode::number::<u32>(node, what, 0..=u64::from(u32::MAX), faults));
    service.max_sessions = max.filter(|max| *max != 0).unwrap_or(u32::MAX);
}

/// What does not fit each other within a service.
fn together(service: &Service, node: &Node, known: &Known<'_>, faults: &mut Faults) {
    if let (Router::Inband, Some(proxy)) = (&service.router, service.proxy())
        && !proxy.names_servers()
    {
        let message = format!(
            "`router: inband` needs a proxy that learns the server from the client; `{}` does not",
            proxy.name()
        );
        faults.add_hint(node.place.clone(), message, "`transparent` takes the server the client meant");
    }
    let mapping = |id: Option<NatPolicyId>| id.map(|id| &known.nat_policies[id.0 as usize].mapping);
    let changes_family =
        |mapping: Option<&NatMapping>| matches!(mapping, Some(NatMapping::Nat64(_) | NatMapping::Nat46(_)));
    let (snat, dnat) = (mapping(service.snat), mapping(service.dnat));
    match service.kind {
        Kind::Forward if changes_family(snat) || changes_family(dnat) => {
            let message = "a forward service keeps a flow's family; `nat64` and `nat46` are for proxies";
            faults.add(node.place.clone(), message);
        }
        Kind::Forward if service.router == Router::Inband => {
            faults
                .add(node.place.clone(), "a forward service has no proxy that could learn a server: `router: inband`");
        }
        Kind::Proxy(_) if changes_family(dnat) && snat.is_none() && service.source == Source::Client => {
            let message = "`dnat` changes the family of the server's address, and the client's cannot be its source";
            faults.add_hint(node.place.clone(), message, "say `source: gateway`, or map the source by `snat` as well");
        }
        _ => {}
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

/// `ADDRESS:PORT`, or an address alone for port 0.
pub(super) fn endpoint(word: &str) -> Option<SocketAddr> {
    word.parse().ok().or_else(|| word.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 0)))
}
