//! `zones:`: networks by name and the services they permit. A network belongs to one zone; the longest prefix decides.

use ipnet::IpNet;
use std::collections::HashMap;

use super::decode::{self, Mapping};
use super::network::network;
use super::tree::Node;
use crate::faults::{Faults, nearest};
use crate::limits;
use crate::policy::{Permitted, Service, ServiceId, Zone};

/// Reads `zones:`.
pub(super) fn zones(node: &Node, services: &[Service], faults: &mut Faults) -> Vec<Zone> {
    let entries = decode::named(node, "`zones`", faults);
    decode::at_most(entries.len(), limits::ZONES_MAX, node, "zones", faults);
    let mut seen: HashMap<IpNet, (&str, u32)> = HashMap::new();
    let mut zones = Vec::new();
    for (key, node) in entries {
        let what = format!("zone `{}`", key.name);
        let Some(mut mapping) = Mapping::new(node, &what, faults) else { continue };
        let mut networks = Vec::new();
        for item in mapping.require("networks", node, faults).map_or(&[][..], |n| decode::list(n, "`networks`", faults))
        {
            let Some(network) = network(item, "the network", faults) else { continue };
            if let Some((other, line)) = seen.insert(network, (&key.name, item.place.line)) {
                if other == key.name {
                    faults.add(item.place.clone(), format!("network {network} is in {what} twice"));
                    continue;
                }
                let message = format!("network {network} is in {what} and already in zone `{other}` (line {line})");
                faults.add_hint(item.place.clone(), message, "an address is in one zone: that of its longest network");
                continue;
            }
            networks.push(network);
        }
        let mut permitted =
            |key| mapping.get(key).map(|list| permitted(list, key, services, faults)).unwrap_or_default();
        let (inbound, outbound) = (permitted("inbound_services"), permitted("outbound_services"));
        mapping.finish(faults);
        zones.push(Zone { name: key.name.clone(), networks, inbound, outbound });
    }
    decode::at_most(seen.len(), limits::ZONE_NETWORKS_MAX, node, "networks of zones", faults);
    zones
}

fn permitted(node: &Node, key: &str, services: &[Service], faults: &mut Faults) -> Permitted {
    let mut list = Vec::new();
    let mut all = false;
    for item in decode::list(node, &format!("`{key}`"), faults) {
        match decode::text(item, "the service", faults) {
            Some("*") => all = true,
            Some(name) => list.extend(service_named(name, item, services, faults)),
            None => {}
        }
    }
    if all {
        return Permitted::All;
    }
    list.sort_unstable();
    list.dedup();
    Permitted::Only(list)
}

/// The service of that name.
pub(super) fn service_named(name: &str, node: &Node, services: &[Service], faults: &mut Faults) -> Option<ServiceId> {
    let found = services.iter().position(|service| service.name == name).map(|at| ServiceId(at as u32));
    if found.is_none() {
        let message = format!("no service is called `{name}`");
        let known = services.iter().map(|service| &*service.name);
        let hint = match nearest(name, known.clone()) {
            Some(meant) => format!("was `{meant}` meant?"),
            None if services.is_empty() => "there is none: add it under `services:`".to_owned(),
            None => format!("services: {}", known.take(12).collect::<Vec<_>>().join(", ")),
        };
        faults.add_hint(node.place.clone(), message, hint);
    }
    found
}
