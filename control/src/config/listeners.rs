//! `listeners:`: the local ports that rules lead to, and which service a flow gets there.

use std::collections::HashMap;
use std::net::IpAddr;

use super::decode::{self, Mapping};
use super::tree::Node;
use super::zones::{service_named, zone_named};
use crate::faults::{Faults, Place};
use crate::limits;
use crate::policy::{Choice, Listener, Protocols, Service, ServiceId, TCP, UDP, ZoneId};

/// Reads `listeners:`.
pub(super) fn listeners(
    node: &Node,
    services: &[Service],
    zones: &[&str],
    faults: &mut Faults,
    warnings: &mut Faults,
) -> Vec<(Listener, Place)> {
    let items = decode::list(node, "`listeners`", faults);
    decode::at_most(items.len(), limits::SERVICES_MAX, node, "listeners", faults);
    let mut seen = HashMap::new();
    let mut listeners = Vec::new();
    for item in items {
        let Some(mut mapping) = Mapping::new(item, "a listener", faults) else { continue };
        let port_node = mapping.require("port", item, faults);
        let port = port_node.and_then(|node| decode::number::<u16>(node, "`port`", 1..=65_535, faults));
        let choice = choice(&mut mapping, item, services, zones, faults);
        let address_node = mapping.get("address");
        let address = address_node.and_then(|node| decode::parsed::<IpAddr>(node, "`address`", "an address", faults));
        let protocols = [("tcp", Protocols::Tcp), ("udp", Protocols::Udp), ("both", Protocols::Both)];
        let protocol = mapping.get("protocol");
        let protocol = protocol.and_then(|node| decode::choice(node, "`protocol`", &protocols, faults));
        let protocol = protocol.unwrap_or_default();
        let one_node = mapping.get("accept_one");
        let accept_one = one_node.and_then(|node| decode::boolean(node, "`accept_one`", faults)).unwrap_or(false);
        if let (true, Some(node), Some(choice)) = (accept_one, one_node, &choice) {
            let proxied = |id: &ServiceId| services.get(id.0 as usize).is_none_or(|one| one.proxy().is_some());
            for other in choice.services().into_iter().filter(|id| !proxied(id)) {
                let name = &services[other.0 as usize].name;
                let message =
                    format!("`accept_one` counts what proxies take: flows of service `{name}` are not counted");
                warnings.add(node.place.clone(), message);
            }
        }
        mapping.finish(faults);
        // '' and 0.0.0.0 mean every address, as they do for sockets.
        let address = address.filter(|address| !address.is_unspecified());
        let (Some(port), Some(port_node)) = (port, port_node) else { continue };
        let mut taken = None;
        for protocol in [TCP, UDP].into_iter().filter(|one| protocol.contains(*one)) {
            taken = taken.or(seen.insert((address, port, protocol), port_node.place.line));
        }
        if let Some(line) = taken {
            let message = format!("port {port} has a listener already, in line {line}");
            faults.add_hint(port_node.place.clone(), message, "two listeners on one port need an `address` each");
            continue;
        }
        let listener = |choice| Listener { address, port, protocol, choice, accept_one };
        listeners.extend(choice.map(|choice| (listener(choice), item.place.clone())));
    }
    listeners
}

/// `service`, `zones` or `zone_pairs`.
fn choice(
    mapping: &mut Mapping<'_>,
    item: &Node,
    services: &[Service],
    zones: &[&str],
    faults: &mut Faults,
) -> Option<Choice> {
    let (service, by_zone, by_pair) = (mapping.get("service"), mapping.get("zones"), mapping.get("zone_pairs"));
    let follow = mapping.get("follow_parent");
    let follow_parent = follow.and_then(|node| decode::boolean(node, "`follow_parent`", faults)).unwrap_or(false);
    if [service, by_zone, by_pair].iter().flatten().count() > 1 {
        let message = "a listener has more than one of `service`, `zones` and `zone_pairs`, one was expected";
        faults.add(item.place.clone(), message);
        return None;
    }
    let named = |node: &Node, faults: &mut Faults| {
        let name = decode::text(node, "`service`", faults)?;
        service_named(name, node, services, faults)
    };
    let mut table: HashMap<(Option<ZoneId>, Option<ZoneId>), ServiceId> = HashMap::default();
    if let Some(node) = by_zone {
        for (client, node) in by_zones(node, "`zones`", zones, faults) {
            table.extend(named(node, faults).map(|service| ((client, None), service)));
        }
    } else if let Some(node) = by_pair {
        for (client, node) in by_zones(node, "`zone_pairs`", zones, faults) {
            for (server, node) in by_zones(node, "the servers' zones", zones, faults) {
                table.extend(named(node, faults).map(|service| ((client, server), service)));
            }
        }
    } else {
        if let Some(node) = follow {
            faults.add(node.place.clone(), "`follow_parent` means nothing without `zones` or `zone_pairs`");
        }
        return mapping.require("service", item, faults).and_then(|node| named(node, faults)).map(Choice::Service);
    }
    let services = table.into_iter().collect();
    Some(Choice::Zones { services, follow_parent })
}

/// What stands under zones' names; `*` is any.
fn by_zones<'a>(node: &'a Node, what: &str, zones: &[&str], faults: &mut Faults) -> Vec<(Option<ZoneId>, &'a Node)> {
    let entries = decode::entries(node, what, faults).unwrap_or_default();
    let mut found = Vec::new();
    for (key, node) in entries {
        if key.name == "*" {
            found.push((None, node));
            continue;
        }
        let place = Node { place: key.place.clone(), value: super::tree::Value::Null };
        found.extend(zone_named(&key.name, &place, zones, faults).map(|zone| (Some(zone), node)));
    }
    found
}
