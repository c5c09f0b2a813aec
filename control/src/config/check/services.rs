//! What rules lead to: listeners that are reached, services that somebody may use, policy rules that differ.

use std::collections::{BTreeSet, HashMap};

use super::{Places, addresses, leads_to, redirecting, rules};
use crate::config::Config;
use crate::faults::{Faults, Place};
use crate::policy::zones::{Direction, lineage, permitted};
use crate::policy::{Choice, Kind, Listener, PolicyRule, ServiceId, ZoneId};
use crate::rules::{AddressRange, TableKind, Target};

/// Every listener is reached by a rule, and its services by some pair of zones.
pub(super) fn listeners(config: &Config, places: &Places, warnings: &mut Faults) {
    for (listener, place) in config.listeners.iter().zip(&places.listeners) {
        let redirected = redirecting(config).any(|rule| match rule.target {
            Some(Target::Tproxy { port: 0, .. }) => true,
            Some(Target::Tproxy { port, address, .. }) => leads_to(port, address, listener),
            _ => false,
        });
        let redirected = redirected || translated_to(config, listener);
        if !redirected {
            let message = format!("no TPROXY rule leads to the listener at port {}", listener.port);
            warnings.add_hint(
                place.clone(),
                message,
                "only tproxy entries can lead to it; a rule would say `--on-port`",
            );
        }
        if let Some(address) = listener.address.filter(|address| !addresses(config).any(|own| own == *address)) {
            warnings.add(place.clone(), format!("the listener's address {address} is not an address of any interface"));
        }
        match &listener.choice {
            Choice::Service(service) => permissions(config, *service, None, None, place, warnings),
            Choice::Zones { services, .. } => {
                let ordered: BTreeSet<_> = services.iter().map(|(zones, service)| (*zones, *service)).collect();
                for ((client, server), service) in ordered {
                    permissions(config, service, client, server, place, warnings);
                }
            }
        }
    }
}

/// DNAT or REDIRECT leads to the listener.
fn translated_to(config: &Config, listener: &Listener) -> bool {
    let rules = config.rules.table(TableKind::Nat).into_iter().flat_map(rules);
    let fits = |ports: Option<(u16, u16)>| ports.is_none_or(|(first, last)| (first..=last).contains(&listener.port));
    let own = |range: AddressRange| {
        addresses(config)
            .any(|own| (range.first..=range.last).contains(&own) && listener.address.is_none_or(|at| at == own))
    };
    rules.into_iter().any(|rule| match rule.target {
        Some(Target::Redirect(to)) => fits(to.ports),
        Some(Target::Dnat(to)) => fits(to.ports) && to.addresses.is_some_and(own),
        _ => false,
    })
}

/// Some client's zone permits the service outbound and some server's inbound; of named zones, those, or one below.
fn permissions(
    config: &Config,
    service: ServiceId,
    client: Option<ZoneId>,
    server: Option<ZoneId>,
    place: &Place,
    warnings: &mut Faults,
) {
    if matches!(config.services[service.0 as usize].kind, Kind::Deny(_)) {
        return;
    }
    let allowed = |among: Option<ZoneId>, direction| {
        (0..config.zones.len() as u32).map(ZoneId).any(|zone| {
            let meant = among.is_none_or(|among| lineage(&config.zones, zone).any(|above| above == among));
            meant && permitted(&config.zones, zone, direction, service).is_some()
        })
    };
    let (outbound, inbound) = (allowed(client, Direction::Outbound), allowed(server, Direction::Inbound));
    let name = &config.services[service.0 as usize].name;
    let of = |zone: Option<ZoneId>| zone.map(|zone| &config.zones[zone.0 as usize].name);
    let message = match (outbound, inbound) {
        (true, true) => return,
        (false, _) if let Some(zone) = of(client) => {
            format!("the listener gives zone `{zone}` service `{name}`, which its outbound_services do not permit")
        }
        (_, false) if let Some(zone) = of(server) => {
            format!(
                "the listener gives service `{name}` towards zone `{zone}`, whose inbound_services do not permit it"
            )
        }
        (false, true) => format!("service `{name}` is in no zone's outbound_services: it is permitted to nobody"),
        (true, false) => format!("service `{name}` is in no zone's inbound_services: it is permitted to nobody"),
        (false, false) => format!(
            "service `{name}` is in no zone's outbound_services, nor in inbound_services: it is permitted to nobody"
        ),
    };
    warnings.add(place.clone(), message);
}

/// Policy rules are asked, and none of them can only tie with another.
pub(super) fn policy_rules(config: &Config, places: &Places, warnings: &mut Faults) {
    if let Some(first) = places.policy_rules.first().filter(|_| redirecting(config).next().is_none()) {
        let message = "no TPROXY rule redirects anything: policy rules are asked about redirected flows only";
        warnings.add_hint(first.clone(), message, "`-A PREROUTING -p tcp -j TPROXY --on-port 1` redirects all TCP");
    }
    let mut seen: HashMap<String, u32> = HashMap::new();
    for (rule, place) in config.policy_rules.iter().zip(&places.policy_rules) {
        let conditions = format!("{:?}", PolicyRule { id: 0, service: ServiceId(0), ..rule.clone() });
        if let Some(other) = seen.insert(conditions, rule.id) {
            let (winner, loser) = (rule.id.min(other), rule.id.max(other));
            let message =
                format!("policy rule {loser} asks for the same as {winner}, which always wins by its lower id");
            warnings.add(place.clone(), message);
        }
    }
}
