//! `zones:`: networks by name and the services they permit. A network belongs to one zone; the longest prefix decides.

use ipnet::IpNet;
use std::collections::HashMap;

use super::decode::{self, Mapping};
use super::network::network;
use super::tree::Node;
use crate::faults::{Faults, Place};
use crate::limits;
use crate::policy::zones::lineage;
use crate::policy::{Permitted, Service, ServiceId, Zone, ZoneId};

/// Reads `zones:`.
pub(super) fn zones(node: &Node, names: &[&str], services: &[Service], faults: &mut Faults) -> Vec<Zone> {
    let entries = decode::named(node, "`zones`", faults);
    decode::at_most(entries.len(), limits::ZONES_MAX, node, "zones", faults);
    let mut seen: HashMap<IpNet, (&str, u32)> = HashMap::new();
    let mut zones: Vec<Zone> = Vec::new();
    let mut places = vec![None; entries.len()];
    for (key, node) in entries {
        let what = format!("zone `{}`", key.name);
        let Some(mut mapping) = Mapping::new(node, &what, faults) else {
            // What names it is not a fault as well.
            zones.push(Zone::named(&key.name));
            continue;
        };
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
        let parent_node = mapping.get("parent");
        let parent = parent_node.and_then(|node| Some((decode::text(node, "`parent`", faults)?, node)));
        let parent = parent.and_then(|(name, node)| zone_named(name, node, names, faults));
        let mut flag = |key, what| {
            mapping.get(key).and_then(|node| {
                let value = decode::boolean(node, what, faults)?;
                if value && parent_node.is_none() {
                    faults.add(node.place.clone(), format!("{what} means nothing without `parent`"));
                }
                Some(value)
            })
        };
        let umbrella = flag("umbrella", "`umbrella`").unwrap_or(false);
        let inherit = flag("inherit", "`inherit`").unwrap_or(false);
        mapping.finish(faults);
        places[zones.len()] = parent_node.map(|node| node.place.clone());
        let name = key.name.clone();
        zones.push(Zone { name, networks, inbound, outbound, parent, umbrella, inherit });
    }
    ancestry(&zones, &places, faults);
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
    let known = services.iter().map(|service| &*service.name);
    decode::named_one(name, node, "service", "services", known, faults).map(ServiceId)
}

/// The zone of that name.
pub(super) fn zone_named(name: &str, node: &Node, zones: &[&str], faults: &mut Faults) -> Option<ZoneId> {
    decode::named_one(name, node, "zone", "zones", zones.iter().copied(), faults).map(ZoneId)
}

/// A zone, or one of a list.
pub(super) fn zones_named(node: &Node, what: &str, zones: &[&str], faults: &mut Faults) -> Vec<ZoneId> {
    let one = |item| {
        let name = decode::text(item, what, faults)?;
        zone_named(name, item, zones, faults)
    };
    decode::some(node).iter().filter_map(one).collect()
}

/// Every zone's parents come to an end.
fn ancestry(zones: &[Zone], places: &[Option<Place>], faults: &mut Faults) {
    for (id, place) in (0..).map(ZoneId).zip(places) {
        let Some(place) = place else { continue };
        let zone = &zones[id.0 as usize].name;
        if lineage(zones, id).skip(1).take(zones.len()).any(|above| above == id) {
            faults.add(place.clone(), format!("zone `{zone}` is above itself"));
        } else if lineage(zones, id).nth(limits::ZONE_DEPTH_MAX).is_some() {
            let message = format!("zone `{zone}` has more than {} zones above it", limits::ZONE_DEPTH_MAX - 1);
            faults.add(place.clone(), message);
        }
    }
}
