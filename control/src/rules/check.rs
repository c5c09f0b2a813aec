//! What must hold for the rules of a table together: chains exist, do not run in circles, end in bounded time.

use super::criteria::{Match, Side};
use super::target::Target;
use super::{Chain, Hook, Rule, Ruleset, Table, TableKind, targets};
use crate::faults::Faults;
use crate::limits::{CHAIN_DEPTH_MAX, CHAINS_MAX, RULE_VISITS_MAX};
use std::collections::HashMap;

/// Checks all tables.
pub(crate) fn ruleset(ruleset: &Ruleset, faults: &mut Faults) {
    for table in &ruleset.tables {
        let by_name: HashMap<&str, usize> =
            table.chains.iter().enumerate().map(|(at, chain)| (&*chain.name, at)).collect();
        references(table, &by_name, faults);
        let mut walk =
            Walk { table, by_name: &by_name, known: vec![State::Unseen; table.chains.len()], path: Vec::new() };
        for at in 0..table.chains.len() {
            walk.visit(at, faults);
        }
        bounds(table, &walk.known, faults);
        hooks(table, faults);
    }
}

fn references(table: &Table, by_name: &HashMap<&str, usize>, faults: &mut Faults) {
    let built_in = |name: &str| table.kind.hooks().iter().any(|hook| hook.name() == name);
    for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
        let Some(Target::Jump(name) | Target::Goto(name)) = &rule.target else { continue };
        if built_in(name) {
            faults.add(rule.place.clone(), format!("`-j {name}`: rules cannot jump to a built-in chain"));
        } else if !by_name.contains_key(&**name) {
            let message = format!(
                "`-j {name}`: there is no such target, and no chain of that name in table {}",
                table.kind.name()
            );
            let own = table.chains.iter().map(|chain| &*chain.name).filter(|name| !built_in(name));
            match targets::meant(name, own) {
                Some(meant) => faults.add_hint(rule.place.clone(), message, format!("was `{meant}` meant?")),
                None => faults.add_hint(rule.place.clone(), message, format!("declare it: `:{name} -`")),
            }
        }
    }
}

/// Depth-first through the chains, each once.
struct Walk<'a> {
    table: &'a Table,
    by_name: &'a HashMap<&'a str, usize>,
    known: Vec<State>,
    path: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unseen,
    Open,
    /// Chains that may wait for a return below it, and rules that one flow may visit in it.
    Done {
        depth: usize,
        visits: u64,
    },
}

impl Walk<'_> {
    fn visit(&mut self, at: usize, faults: &mut Faults) -> (usize, u64) {
        if let State::Done { depth, visits } = self.known[at] {
            return (depth, visits);
        }
        // The recursion is as deep as the path, which a rule set of nested chains alone could make too deep for the
        // stack.
        if self.path.len() > CHAIN_DEPTH_MAX {
            return (usize::MAX, 0);
        }
        self.known[at] = State::Open;
        self.path.push(at);
        let (mut depth, mut visits) = (0usize, 0u64);
        for rule in &self.table.chains[at].rules {
            visits = visits.saturating_add(1);
            let (name, jump) = match &rule.target {
                Some(Target::Jump(name)) => (name, 1),
                Some(Target::Goto(name)) => (name, 0),
                _ => continue,
            };
            let Some(&to) = self.by_name.get(&**name) else { continue };
            if self.known[to] == State::Open {
                let start = self.path.iter().position(|chain| *chain == to).unwrap_or_default();
                let names = self.path[start..].iter().chain([&to]).map(|chain| &*self.table.chains[*chain].name);
                let names = names.collect::<Vec<_>>().join(" → ");
                faults.add(rule.place.clone(), format!("chains run in a circle: {names}"));
                continue;
            }
            let (below, inside) = self.visit(to, faults);
            depth = depth.max(below.saturating_add(jump));
            visits = visits.saturating_add(inside);
        }
        self.path.pop();
        self.known[at] = State::Done { depth, visits };
        (depth, visits)
    }
}

fn bounds(table: &Table, known: &[State], faults: &mut Faults) {
    for (chain, state) in table.chains.iter().zip(known) {
        let Chain { name, policy: Some(_), place, .. } = chain else { continue };
        let State::Done { depth, visits } = *state else { continue };
        if depth > CHAIN_DEPTH_MAX {
            let message = format!("chains are nested deeper than {CHAIN_DEPTH_MAX} below {name}");
            faults.add(place.clone(), message);
        }
        if visits > RULE_VISITS_MAX {
            let message = format!("one flow could visit {visits} rules in {name}, {RULE_VISITS_MAX} are possible");
            faults.add_hint(place.clone(), message, "chains that are called from many places are walked each time");
        }
    }
    if table.chains.len() > CHAINS_MAX {
        let place = table.chains[0].place.clone();
        faults.add(place, format!("there are {} chains in table {}", table.chains.len(), table.kind.name()));
    }
}

/// Matches and targets that can stand only where a packet has what they need: in a built-in chain, and in those that
/// are called from it.
fn hooks(table: &Table, faults: &mut Faults) {
    for hook in table.kind.hooks() {
        for (chain, _) in table.chains.iter().zip(reached(table, *hook)).filter(|(_, reached)| *reached) {
            for rule in &chain.rules {
                let Some((what, possible)) = misplaced(rule, table.kind, *hook) else { continue };
                let names = possible.iter().map(|hook| hook.name()).collect::<Vec<_>>().join(", ");
                let message = format!("{what} cannot stand in {}, only in {names}", hook.name());
                let called = &*chain.name != hook.name();
                let message = if called { format!("{message}, from where this chain is called") } else { message };
                faults.add(rule.place.clone(), message);
            }
        }
    }
}

/// What in a rule cannot stand at a hook, and where it can.
fn misplaced(rule: &Rule, table: TableKind, hook: Hook) -> Option<(&'static str, &'static [Hook])> {
    const IN: &[Hook] = &[Hook::Prerouting, Hook::Input];
    const FROM_OUTSIDE: &[Hook] = &[Hook::Prerouting, Hook::Input, Hook::Forward];
    const TO_OUTSIDE: &[Hook] = &[Hook::Forward, Hook::Output, Hook::Postrouting];
    let of_match = |one: &Match| match one {
        Match::Mac(_) => Some(("`-m mac`", FROM_OUTSIDE)),
        Match::Socket { .. } => Some(("`-m socket`", IN)),
        Match::AddrType { interface: Some(Side::In), .. } => Some(("`--limit-iface-in`", FROM_OUTSIDE)),
        Match::AddrType { interface: Some(Side::Out), .. } => Some(("`--limit-iface-out`", TO_OUTSIDE)),
        _ => None,
    };
    let of_target: Option<(&'static str, &'static [Hook])> = match &rule.target {
        Some(Target::Reject(_)) => Some(("REJECT", &[Hook::Input, Hook::Forward, Hook::Output])),
        Some(Target::Tproxy { .. }) if table == TableKind::Mangle => Some(("TPROXY", &[Hook::Prerouting])),
        Some(Target::Dnat(_)) => Some(("DNAT", &[Hook::Prerouting, Hook::Output])),
        Some(Target::Redirect(_)) => Some(("REDIRECT", &[Hook::Prerouting, Hook::Output])),
        Some(Target::Snat(_)) => Some(("SNAT", &[Hook::Input, Hook::Postrouting])),
        Some(Target::Masquerade(_)) => Some(("MASQUERADE", &[Hook::Postrouting])),
        _ => None,
    };
    let placed = rule.criteria.matches.iter().filter_map(of_match).chain(of_target);
    placed.into_iter().find(|(_, possible)| !possible.contains(&hook))
}

/// The chains that a packet may come to from a hook, by their places.
pub(super) fn reached(table: &Table, hook: Hook) -> Vec<bool> {
    let by_name: HashMap<&str, usize> = table.chains.iter().enumerate().map(|(at, chain)| (&*chain.name, at)).collect();
    let mut reached = vec![false; table.chains.len()];
    let mut open: Vec<usize> = by_name.get(hook.name()).copied().into_iter().collect();
    while let Some(at) = open.pop() {
        if std::mem::replace(&mut reached[at], true) {
            continue;
        }
        for rule in &table.chains[at].rules {
            if let Some(Target::Jump(name) | Target::Goto(name)) = &rule.target {
                open.extend(by_name.get(&**name));
            }
        }
    }
    reached
}
