//! From a configuration that was read without fault to the tables cores look things up in.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::best_match::Index;
use super::chains::{Chains, check_sets};
use super::listeners::{Accepted, Choice, Listeners};
use super::network::{Interface, InterfaceId, Route};
use super::sets::Sets;
use super::zones::{Zone, ZoneId, lineage};
use super::{NatPolicyId, Permitted, Policy, Proxy, Service, ServiceId};
use crate::config::Config;
use crate::faults::{Faults, Place};
use crate::limits;
use crate::prefix::PrefixMap;
use crate::rules::{self, Ruleset, TableKind};

impl Policy {
    /// Compiles a configuration. What [`crate::config`] has read compiles; faults are of configurations put together by
    /// programs, whose indexes may lead nowhere.
    pub fn compile(config: &Config, generation: u64) -> Result<Policy, Faults> {
        Policy::compile_after(config, generation, None)
    }

    /// Compiles a configuration that takes the place of a policy: what rules of both remember goes on, and so do sets
    /// that are defined as before.
    pub fn compile_after(config: &Config, generation: u64, before: Option<&Policy>) -> Result<Policy, Faults> {
        let mut faults = Faults::new();
        references(config, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        rules::check::ruleset(&config.rules, &mut faults);
        let listeners_by_address = Listeners::new(&config.listeners).unwrap_or_else(|id| {
            let port = config.listeners[id.0 as usize].port;
            faults.add(Place::file(&config.file), format!("two listeners stand at port {port}"));
            Listeners::default()
        });
        let zones_by_network = zones_by_network(config, &mut faults);
        let sets = Sets::compile(&config.sets, before.map(|before| &before.sets)).unwrap_or_else(|(name, error)| {
            faults.add(Place::file(&config.file), format!("set {name}: {error}"));
            Sets::default()
        });
        check_sets(&config.rules, &sets, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let accepted = Accepted::of(&config.listeners, before);
        let before = before.map(|before| &before.chains);
        let mut chains = Chains::compile(&config.rules, &config.interfaces, &sets, before);
        if let Some(file) = &config.rules_file {
            chains.originate(|line| file.origin(line).cloned());
        }
        let mut routes = connected(&config.interfaces);
        routes.extend_from_slice(&config.routes);
        Ok(Policy {
            generation,
            file: config.file.clone(),
            routes_by_network: by_network(&routes),
            routes,
            own: config.interfaces.iter().flat_map(|i| &i.addresses).map(IpNet::addr).collect(),
            broadcasts: config.interfaces.iter().flat_map(|i| &i.addresses).filter_map(directed_broadcast).collect(),
            zones_by_network,
            listeners_by_address,
            accepted,
            best_match: Index::new(&config.policy_rules, &config.zones),
            policy_rules: config.policy_rules.clone(),
            nat_policies: config.nat_policies.clone(),
            tables: tables(&config.rules),
            chains,
            sets,
            interfaces: config.interfaces.clone(),
            zones: config.zones.clone(),
            services: config.services.clone(),
            program: config
                .services
                .iter()
                .position(|service| service.proxy() == Some(Proxy::Handoff))
                .map(|at| ServiceId(at as u32)),
            listeners: config.listeners.clone(),
        })
    }
}

/// Every index in the configuration leads somewhere, so that no look-up on a core can fail, and every chain of zones
/// ends.
fn references(config: &Config, faults: &mut Faults) {
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.add(Place::file(&config.file), format!("{what} that does not exist"));
        }
    };
    let service = |id: &ServiceId| (id.0 as usize) < config.services.len();
    let zone = |id: &ZoneId| (id.0 as usize) < config.zones.len();
    let interface = |id: &InterfaceId| id.index() < config.interfaces.len();
    let policy = |id: &NatPolicyId| (id.0 as usize) < config.nat_policies.len();
    for listener in &config.listeners {
        must(listener.choice.services().iter().all(service), "a listener names a service");
        if let Choice::Zones { services, .. } = &listener.choice {
            must(services.keys().all(|(a, b)| a.iter().chain(b).all(zone)), "a listener names a zone");
        }
    }
    for route in &config.routes {
        must(interface(&route.interface), "a route names an interface");
    }
    for Zone { inbound, outbound, parent, .. } in &config.zones {
        must(parent.iter().all(zone), "a zone names a parent");
        for permitted in [inbound, outbound] {
            if let Permitted::Only(services) = permitted {
                must(services.iter().all(service), "a zone names a service");
                must(services.is_sorted(), "a zone has an order of services");
            }
        }
    }
    for Service { snat, dnat, limit_target_zones_to, .. } in &config.services {
        must(snat.iter().chain(dnat).all(policy), "a service names a NAT policy");
        must(limit_target_zones_to.iter().all(zone), "a service names a zone");
    }
    for rule in &config.policy_rules {
        must(service(&rule.service), "a policy rule names a service");
        must(rule.src_zone.iter().chain(&rule.dst_zone).all(zone), "a policy rule names a zone");
        must(rule.src_iface.iter().chain(&rule.dst_iface).all(interface), "a policy rule names an interface");
    }
    let ends = |zone: usize| lineage(&config.zones, ZoneId(zone as u32)).nth(limits::ZONE_DEPTH_MAX).is_none();
    must((0..config.zones.len()).all(ends), "a zone has an end of its parents");
}

/// Which tables the file names, by their number.
fn tables(rules: &Ruleset) -> [bool; TableKind::ALL.len()] {
    let mut tables = [false; TableKind::ALL.len()];
    rules.tables.iter().for_each(|table| tables[table.kind as usize] = true);
    tables
}

fn zones_by_network(config: &Config, faults: &mut Faults) -> PrefixMap<ZoneId> {
    let mut map = PrefixMap::new();
    for (index, zone) in config.zones.iter().enumerate() {
        for network in &zone.networks {
            if map.insert(*network, ZoneId(index as u32)).is_some() {
                faults.add(Place::file(&config.file), format!("network {network} is in two zones"));
            }
        }
    }
    map
}

/// The networks that interfaces stand in are reached without a gateway.
fn connected(interfaces: &[Interface]) -> Vec<Route> {
    let of = |(index, interface): (usize, &Interface)| {
        let networks = interface.addresses.iter().map(IpNet::trunc);
        networks.map(|to| Route { to, via: None, interface: InterfaceId(index as u16) }).collect::<Vec<_>>()
    };
    let mut routes: Vec<Route> = interfaces.iter().enumerate().flat_map(of).collect();
    let mut seen = PrefixMap::new();
    routes.retain(|route| seen.insert(route.to, ()).is_none());
    routes
}

/// Of two routes to the same network the first wins: connected networks cannot be routed elsewhere.
fn by_network(routes: &[Route]) -> PrefixMap<u32> {
    let mut map = PrefixMap::new();
    for (index, route) in routes.iter().enumerate().rev() {
        map.insert(route.to, index as u32);
    }
    map
}

fn directed_broadcast(network: &IpNet) -> Option<Ipv4Addr> {
    match network.broadcast() {
        IpAddr::V4(broadcast) if network.prefix_len() < 31 => Some(broadcast),
        _ => None,
    }
}
