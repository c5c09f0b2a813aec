//! Rules that no flow can meet: behind one of their chain that takes everything, or that takes the very same.
//!
//! Only what can be seen at a glance: two rules that together leave nothing to a third are not searched for.

use std::collections::HashMap;

use super::is_any;
use crate::faults::Faults;
use crate::policy::{TCP, UDP};
use crate::rules::{Chain, Criteria, Match, Rule, Table, Target};

/// Looks through the chains of a table.
pub(super) fn rules(table: &Table, warnings: &mut Faults) {
    table.chains.iter().for_each(|chain| behind(chain, warnings));
}

fn behind(chain: &Chain, warnings: &mut Faults) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (at, rule) in chain.rules.iter().enumerate() {
        let words = criteria(&rule.criteria);
        if let Some(before) = seen.get(&words) {
            let (number, before) = (at + 1, before + 1);
            let message =
                format!("rule {number} of {} is never met: rule {before} takes all that it would", chain.name);
            warnings.add(rule.place.clone(), message);
            continue;
        }
        if !ends(rule) || !is_constant(&rule.criteria) {
            continue;
        }
        if is_any(&rule.criteria) {
            if let Some(next) = chain.rules.get(at + 1) {
                let (next_number, number) = (at + 2, at + 1);
                let message =
                    format!("rule {next_number} of {} is never met: rule {number} takes everything", chain.name);
                warnings.add(next.place.clone(), message);
            }
            return;
        }
        seen.insert(words, at);
    }
}

/// The criteria without their comments, as a key.
fn criteria(criteria: &Criteria) -> String {
    let matches = criteria.matches.iter().filter(|one| !matches!(one, Match::Comment(_))).cloned().collect();
    format!("{:?}", Criteria { matches, ..criteria.clone() })
}

/// Whether a flow that fits goes no further in the chain.
fn ends(rule: &Rule) -> bool {
    match rule.target {
        Some(Target::Accept | Target::Drop | Target::Return | Target::Reject(_) | Target::Goto(_)) => true,
        // What is neither TCP nor UDP passes it.
        Some(Target::Tproxy { .. }) => {
            rule.criteria.protocol.as_ref().is_some_and(|only| !only.not && [TCP, UDP].contains(&only.value))
        }
        Some(Target::Dnat(_) | Target::Redirect(_) | Target::Snat(_) | Target::Masquerade(_)) => true,
        _ => false,
    }
}

/// Whether a flow that fits once fits always: rates, times and sets change.
fn is_constant(criteria: &Criteria) -> bool {
    let changes = |one: &Match| {
        matches!(
            one,
            Match::Limit(_)
                | Match::HashLimit(_)
                | Match::ConnLimit(_)
                | Match::Recent(_)
                | Match::Time(_)
                | Match::Set(_)
                | Match::Socket { .. }
                | Match::Mark(_)
                | Match::Connmark(_)
        )
    };
    !criteria.matches.iter().any(changes)
}
