//! What is served of what can be read. A rule whose meaning cannot be kept is a fault when it is loaded, never a rule
//! that silently matches nothing, or does nothing.
//!
//! Deciding knows every match and target; what stands here waits for the data plane: who makes it do one of these takes
//! it out.

use super::criteria::Match;
use super::target::Target;
use super::{Rule, Ruleset};
use crate::faults::Faults;
use crate::policy::{TCP, UDP};

/// Says of each rule what is not served.
pub(super) fn ruleset(ruleset: &Ruleset, faults: &mut Faults) {
    for rule in ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules) {
        if let Some((what, why)) = unserved(rule) {
            faults.add_hint(rule.place.clone(), format!("{what} is not served in this version"), why);
        }
    }
}

/// What of a rule is not served, and why.
fn unserved(rule: &Rule) -> Option<(&'static str, &'static str)> {
    let other = rule.criteria.protocol.as_ref().is_some_and(|p| p.value != TCP && p.value != UDP);
    let of_match = |one: &Match| match one {
        Match::Ported { .. } => Some(("a match by port for SCTP or DCCP", PORTS)),
        Match::Multiport { .. } if other => Some(("`-m multiport` for other protocols than TCP and UDP", PORTS)),
        Match::Socket { restore_mark: true, .. } => {
            Some(("`--restore-skmark`", "sockets have no marks here: an entry's mark is set when it is assigned"))
        }
        _ => None,
    };
    let of_target = match &rule.target {
        Some(Target::Dnat(_) | Target::Redirect(_) | Target::Snat(_) | Target::Masquerade(_)) => Some((
            "translation of what no proxy takes",
            "forwarded flows keep their addresses; services have `snat` and `dnat`",
        )),
        _ => None,
    };
    rule.criteria.matches.iter().find_map(of_match).or(of_target)
}

const PORTS: &str = "ports of other protocols are not read from packets, so the rule would never match";
