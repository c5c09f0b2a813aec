//! What is served of what can be read. A rule whose meaning cannot be kept is a fault when it is loaded, never a rule
//! that silently matches nothing, or does nothing.
//!
//! Deciding knows every match and target; what stands here waits for the data plane: who makes it do one of these takes
//! it out.

use super::criteria::{Criteria, Match};
use super::target::Target;
use super::{Hook, Rule, Ruleset, TableKind, check};
use crate::faults::Faults;
use crate::policy::{ICMP, ICMPV6, TCP, UDP};

/// Says of each rule what is not served.
pub(super) fn ruleset(ruleset: &Ruleset, faults: &mut Faults) {
    for table in &ruleset.tables {
        let hooks = [Hook::Output, Hook::Input].map(|hook| (hook, check::reached(table, hook)));
        for (at, chain) in table.chains.iter().enumerate() {
            let at_hook = |rule: &Rule| {
                let met = hooks.iter().filter(|(_, reached)| reached[at] && table.kind == TableKind::Nat);
                met.map(|(hook, _)| *hook).find_map(|hook| unserved_at(hook, rule))
            };
            for rule in &chain.rules {
                if let Some((what, why)) = unserved(rule).or_else(|| at_hook(rule)) {
                    faults.add_hint(rule.place.clone(), format!("{what} is not served in this version"), why);
                }
            }
        }
    }
}

/// What of a rule of table nat is not served at a hook from which it is reached, and why.
fn unserved_at(hook: Hook, rule: &Rule) -> Option<(&'static str, &'static str)> {
    match (hook, &rule.target) {
        (Hook::Output, Some(Target::Redirect(_))) => Some((
            "REDIRECT in OUTPUT",
            "it leads back to the gateway: a proxy's connection would come to a proxy again, and a program's packets have \
             left the host's kernel, which believes no packet from its own address",
        )),
        (Hook::Input, Some(Target::Snat(_))) => Some((
            "SNAT in INPUT",
            "the host's kernel would look for the new address on its wire, and proxies know clients by their own address; \
             services have `snat`",
        )),
        _ => None,
    }
}

/// What of a rule is not served, and why.
fn unserved(rule: &Rule) -> Option<(&'static str, &'static str)> {
    let other = is_other(&rule.criteria, &[TCP, UDP]);
    let of_match = |one: &Match| match one {
        Match::Ported { .. } => Some(("a match by port for SCTP or DCCP", PORTS)),
        Match::Multiport { .. } if other => Some(("`-m multiport` for other protocols than TCP and UDP", PORTS)),
        Match::Socket { restore_mark: true, .. } => {
            Some(("`--restore-skmark`", "sockets have no marks here: an entry's mark is set when it is assigned"))
        }
        _ => None,
    };
    let of_target = match &rule.target {
        Some(Target::Dnat(to)) if to.addresses.is_some_and(|range| range.first.is_loopback()) => Some((
            "DNAT to a loopback address",
            "nothing from the network is for it: an address of an interface is meant",
        )),
        Some(Target::Dnat(to) | Target::Redirect(to)) if to.ports.is_some() && other => Some((
            "a new destination port for other protocols than TCP and UDP",
            "other protocols have none, and the identifier of an echo is changed by SNAT and MASQUERADE",
        )),
        Some(Target::Snat(to) | Target::Masquerade(to))
            if to.ports.is_some() && is_other(&rule.criteria, &[TCP, UDP, ICMP, ICMPV6]) =>
        {
            Some(("a new source port for other protocols than TCP, UDP and ICMP", NO_PORTS))
        }
        _ => None,
    };
    rule.criteria.matches.iter().find_map(of_match).or(of_target)
}

/// Is the rule about a protocol that is none of these?
fn is_other(criteria: &Criteria, protocols: &[u8]) -> bool {
    criteria.protocol.as_ref().is_some_and(|protocol| !protocols.contains(&protocol.value))
}

const NO_PORTS: &str = "ports of other protocols are not read from packets, nor written";
const PORTS: &str = "ports of other protocols are not read from packets, so the rule would never match";
