//! From a configuration that was read without fault to the tables cores look things up in.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::chains::{Chains, check_sets};
use super::listeners::Listeners;
use super::network::{Interface, InterfaceId, Route};
use super::sets::Sets;
use super::zones::{Zone, ZoneId};
use super::{Permitted, Policy};
use crate::config::Config;
use crate::faults::{Faults, Place};
use crate::prefix::PrefixMap;
use crate::rules;

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
            chains: Chains::compile(&config.rules, &config.interfaces, &sets, before.map(|before| &before.chains)),
            sets,
            interfaces: config.interfaces.clone(),
            zones: config.zones.clone(),
            services: config.services.clone(),
            listeners: config.listeners.clone(),
        })
    }
}

/// Every index in the configuration leads somewhere, so that no look-up on a core can fail.
fn references(config: &Config, faults: &mut Faults) {
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.add(Place::file(&config.file), format!("{what} that does not exist"));
        }
    };
    for listener in &config.listeners {
        must((listener.service.0 as usize) < config.services.len(), "a listener names a service");
    }
    for route in &config.routes {
        must(route.interface.index() < config.interfaces.len(), "a route names an interface");
    }
    for Zone { inbound, outbound, .. } in &config.zones {
        for permitted in [inbound, outbound] {
            if let Permitted::Only(services) = permitted {
                must(services.iter().all(|s| (s.0 as usize) < config.services.len()), "a zone names a service");
                must(services.is_sorted(), "a zone has an order of services");
            }
        }
    }
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
