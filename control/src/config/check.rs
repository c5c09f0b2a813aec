//! What looks wrong although it can be loaded: parts of the configuration that do not fit each other. Here the rules,
//! in [`services`] what they lead to, in [`unreachable`] rules that no flow can meet.
//!
//! All of these are warnings. A gateway with them fails closed, so nothing passes that should not; but something that
//! should probably does not.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Config;
use crate::faults::{Faults, Place, nearest};
use crate::policy::{Interface, Kind, Listener};
use crate::rules::{Chain, ChainPolicy, Criteria, Family, Hook, Match, Not, Rule, Table, TableKind, Target};

mod services;
mod unreachable;

/// Where things are written that do not know it themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub(super) listeners: Vec<Place>,
    pub(super) policy_rules: Vec<Place>,
}

/// Looks at the whole.
pub(super) fn together(config: &mut Config, places: &Places) {
    let mut warnings = Faults::new();
    if let Some(table) = config.rules.table(TableKind::Mangle) {
        redirections(config, table, &mut warnings);
    }
    if let Some(table) = config.rules.table(TableKind::Tproxy) {
        redirections(config, table, &mut warnings);
        programs(config, table, &mut warnings);
        endings(table, &mut warnings);
        one_family(config, table, &mut warnings);
    }
    services::listeners(config, places, &mut warnings);
    services::policy_rules(config, places, &mut warnings);
    config.rules.tables.iter().for_each(|table| unreachable::rules(table, &mut warnings));
    filter(config, &mut warnings);
    interfaces(config, &mut warnings);
    config.warnings.append(warnings);
}

/// Every TPROXY rule leads to a listener; `--on-ip` is an address of ours.
fn redirections(config: &Config, table: &Table, warnings: &mut Faults) {
    for rule in rules(table) {
        let Some(Target::Tproxy { port, address, .. }) = rule.target else { continue };
        let own = |address: IpAddr| addresses(config).any(|own| own == address);
        if let Some(address) = address.filter(|address| !own(*address)) {
            let message = format!("`--on-ip {address}` is not an address of any interface");
            warnings.add(rule.place.clone(), message);
        }
        if port != 0
            && config.policy_rules.is_empty()
            && !config.listeners.iter().any(|listener| leads_to(port, address, listener))
        {
            let message = format!("no listener stands at `--on-port {port}`: flows that this rule takes are dropped");
            warnings.add_hint(
                rule.place.clone(),
                message,
                format!("add `- {{ port: {port}, service: … }}` to `listeners`"),
            );
        }
    }
}

/// Chain OUTPUT of table tproxy is for connections of programs on the gateway, and what it takes has no proxy.
fn programs(config: &Config, table: &Table, warnings: &mut Faults) {
    let Some(output) = table.chain(Hook::Output.name()) else { return };
    let Some(first) = output.rules.first() else { return };
    if config.interfaces.iter().all(|interface| interface.kernel.is_none()) {
        let message = "rules in OUTPUT of table tproxy have no effect: they are for programs on the gateway";
        let hint = "programs are there where an interface has `kernel`; what proxies send never comes to a proxy again";
        return warnings.add_hint(first.place.clone(), message, hint);
    }
    let (mut met, mut next) = (vec![output], 0);
    while let Some(chain) = met.get(next).copied() {
        next += 1;
        for rule in &chain.rules {
            match &rule.target {
                Some(Target::Tproxy { .. }) => {
                    let message = "TPROXY of what programs on the gateway begin: this version has no proxy for that, \
                                   their connections that the rule takes are dropped";
                    let hint = "let them out by filter OUTPUT, and keep them out of this rule";
                    warnings.add_hint(rule.place.clone(), message, hint);
                }
                Some(Target::Jump(name) | Target::Goto(name)) => {
                    let called = table.chain(name).filter(|called| !met.iter().any(|one| one.name == called.name));
                    met.extend(called);
                }
                _ => {}
            }
        }
    }
}

fn leads_to(port: u16, address: Option<IpAddr>, listener: &Listener) -> bool {
    listener.port == port && (listener.address.is_none() || address.is_none() || listener.address == address)
}

/// A chain of proxy rules ends without DROP: what it leaves untouched is stopped by table filter, and INPUT would be
/// lost.
fn endings(table: &Table, warnings: &mut Faults) {
    for chain in &table.chains {
        let drops = |rule: &&Rule| rule.target == Some(Target::Drop) && is_any(&rule.criteria);
        if let Some(rule) = chain.rules.last().filter(drops) {
            let message = format!("chain {} of table tproxy ends in DROP", chain.name);
            warnings.add_hint(
                rule.place.clone(),
                message,
                "leave it out: what no rule takes is stopped by filter FORWARD",
            );
        }
    }
}

/// `! -d` an address makes a rule one family's. Where the interface has addresses of both, the other family's flows
/// skip it.
fn one_family(config: &Config, table: &Table, warnings: &mut Faults) {
    for chain in &table.chains {
        for rule in &chain.rules {
            let Criteria { family: Some(family), destination: Some(Not { not: true, .. }), input, .. } = &rule.criteria
            else {
                continue;
            };
            let other = if *family == Family::V4 { Family::V6 } else { Family::V4 };
            let twin = |twin: &Rule| {
                let criteria = &twin.criteria;
                criteria.family != Some(*family) && (&criteria.input, &twin.target) == (input, &rule.target)
            };
            let is_other = |address: IpAddr| address.is_ipv4() == (other == Family::V4);
            let at =
                |interface: &&Interface| input.as_ref().is_none_or(|input| input.holds(interface.name == input.value));
            let addresses = || config.interfaces.iter().filter(at).flat_map(|interface| &interface.addresses);
            let Some(own) = addresses().map(IpNet::addr).find(|address| is_other(*address)) else {
                continue;
            };
            if !chain.rules.iter().any(twin) {
                let (this, other) = if *family == Family::V4 { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
                let message = format!("the rule is for {this} only, as its address is: {other} flows skip it");
                let hint = format!("`! -d` takes one address of each family, such as `,{own}` after the first");
                warnings.add_hint(rule.place.clone(), message, hint);
            }
        }
    }
}

/// The firewall around the proxies.
fn filter(config: &Config, warnings: &mut Faults) {
    let table = config.rules.table(TableKind::Filter);
    let redirects = redirecting(config).next().is_some();
    let forward = table.and_then(|table| table.chain(Hook::Forward.name()));
    if !forward.is_some_and(ends_in_drop) {
        let place = forward.map_or_else(|| Place::file(&config.file), |chain| chain.place.clone());
        let message = "filter FORWARD does not end in DROP: what no proxy takes is forwarded untouched";
        warnings.add_hint(place, message, "write `:FORWARD DROP` in table filter, unless routing is meant");
    }
    forward_services(config, forward, warnings);
    let Some(input) = table.and_then(|table| table.chain(Hook::Input.name())) else { return };
    if !redirects || (input.rules.is_empty() && input.policy == Some(ChainPolicy::Accept)) {
        return;
    }
    let accepts = |rule: &Rule| rule.target == Some(Target::Accept) && is_tproxy_alone(&rule.criteria);
    match input.rules.iter().position(accepts) {
        Some(0) => {}
        Some(at) => {
            let message = format!("`-m tproxy -j ACCEPT` is rule {} of INPUT, not the first", at + 1);
            warnings.add_hint(
                input.rules[at].place.clone(),
                message,
                "rules before it see, and may drop, redirected flows",
            );
        }
        None => {
            let message = "INPUT does not accept `-m tproxy`: redirected flows may be dropped";
            warnings.add_hint(input.place.clone(), message, "let its first rule be `-A INPUT -m tproxy -j ACCEPT`");
        }
    }
}

/// Forward services are asked for what was redirected, and filter FORWARD has the last word.
fn forward_services(config: &Config, forward: Option<&Chain>, warnings: &mut Faults) {
    let Some(service) = config.services.iter().find(|service| service.kind == Kind::Forward) else { return };
    let Some(forward) = forward.filter(|chain| ends_in_drop(chain)) else { return };
    let may_accept =
        |rule: &Rule| !matches!(rule.target, None | Some(Target::Drop | Target::Reject(_) | Target::Log(_)));
    if !forward.rules.iter().any(may_accept) {
        let message =
            format!("service `{}` forwards, and FORWARD accepts nothing: its flows are dropped", service.name);
        let hint = "`-A FORWARD -m tproxy -j ACCEPT` accepts what forward services were given";
        warnings.add_hint(forward.place.clone(), message, hint);
    }
}

/// Rules that redirect, in the tables that can.
fn redirecting(config: &Config) -> impl Iterator<Item = &Rule> {
    let tables = [TableKind::Mangle, TableKind::Tproxy].into_iter().filter_map(|kind| config.rules.table(kind));
    tables.flat_map(rules).filter(|rule| matches!(rule.target, Some(Target::Tproxy { .. })))
}

fn ends_in_drop(chain: &Chain) -> bool {
    let last = chain.rules.last().filter(|rule| is_any(&rule.criteria)).and_then(|rule| rule.target.as_ref());
    chain.policy == Some(ChainPolicy::Drop) || matches!(last, Some(Target::Drop | Target::Reject(_)))
}

/// Rules name interfaces that are there.
fn interfaces(config: &Config, warnings: &mut Faults) {
    for rule in config.rules.tables.iter().flat_map(rules) {
        let named = [("-i", &rule.criteria.input), ("-o", &rule.criteria.output)];
        for (option, name) in named.into_iter().filter_map(|(option, name)| Some((option, &name.as_ref()?.value))) {
            let exists = |interface: &Interface| match name.strip_suffix('+') {
                Some(beginning) => interface.name.starts_with(beginning),
                None => interface.name == *name,
            };
            if config.interfaces.iter().any(exists) {
                continue;
            }
            let message = format!("`{option} {name}`: no interface is called so, the rule cannot match by it");
            match nearest(name, config.interfaces.iter().map(|interface| &*interface.name)) {
                Some(meant) => warnings.add_hint(rule.place.clone(), message, format!("was `{meant}` meant?")),
                None => warnings.add(rule.place.clone(), message),
            }
        }
    }
}

fn rules(table: &Table) -> impl Iterator<Item = &Rule> {
    table.chains.iter().flat_map(|chain| &chain.rules)
}

fn addresses(config: &Config) -> impl Iterator<Item = IpAddr> + '_ {
    config.interfaces.iter().flat_map(|interface| &interface.addresses).map(IpNet::addr)
}

fn is_any(criteria: &Criteria) -> bool {
    let Criteria { family, source, destination, input, output, protocol, fragment, matches } = criteria;
    family.is_none()
        && (source.is_none() && destination.is_none() && input.is_none() && output.is_none())
        && (protocol.is_none() && fragment.is_none())
        && matches.iter().all(|one| matches!(one, Match::Comment(_)))
}

fn is_tproxy_alone(criteria: &Criteria) -> bool {
    let is_tproxy = |one: &Match| matches!(one, Match::Tproxy(Not { not: false, .. }));
    let rest = |one: &&Match| !is_tproxy(one);
    let without = Criteria { matches: criteria.matches.iter().filter(rest).cloned().collect(), ..criteria.clone() };
    criteria.matches.iter().any(is_tproxy) && is_any(&without)
}
