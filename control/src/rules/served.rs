//! What deciding serves of what can be read: a rule whose meaning the engine does not know is a fault when it is loaded,
//! never a rule that silently matches nothing or everything. Empties as deciding grows.

use super::criteria::{Match, TcpFlags, Tracking};
use super::target::{Masked, Target};
use super::{Rule, Ruleset, TableKind};
use crate::faults::Faults;

/// Tables that deciding walks.
const TABLES: &[TableKind] = &[TableKind::Tproxy, TableKind::Filter];

/// Says of each rule what deciding does not serve.
pub(super) fn ruleset(ruleset: &Ruleset, faults: &mut Faults) {
    for table in &ruleset.tables {
        for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
            let what = match unserved(rule) {
                Some(what) => what,
                None if TABLES.contains(&table.kind) => continue,
                None => format!("table {}", table.kind.name()),
            };
            faults.add(rule.place.clone(), format!("{what} is not served in this version"));
        }
    }
}

/// What of a rule deciding does not serve.
fn unserved(rule: &Rule) -> Option<String> {
    if rule.criteria.fragment.is_some() {
        return Some("`-f`".to_owned());
    }
    let one = rule.criteria.matches.iter().find(|one| !is_match_served(one));
    one.map(|_| "a match of this rule".to_owned())
        .or_else(|| rule.target.as_ref().filter(|target| !is_target_served(target)).map(|_| "the target".to_owned()))
}

fn is_match_served(one: &Match) -> bool {
    match one {
        Match::Tcp { flags, option, .. } => {
            option.is_none() && flags.as_ref().is_none_or(|flags| flags.value == TcpFlags::SYN)
        }
        Match::Conntrack(tracking) => **tracking == Tracking { states: tracking.states.clone(), ..Tracking::default() },
        Match::Udp { .. } | Match::Multiport { .. } | Match::State(_) | Match::Tproxy(_) | Match::Comment(_) => true,
        _ => false,
    }
}

fn is_target_served(target: &Target) -> bool {
    match target {
        Target::Tproxy { mark, .. } => *mark == Masked { value: 0, mask: 0 },
        Target::Accept | Target::Drop | Target::Return | Target::Reject(_) => true,
        Target::Jump(_) | Target::Goto(_) => true,
        _ => false,
    }
}
