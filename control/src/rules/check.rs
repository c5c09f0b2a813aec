//! What must hold for the rules of a table together: chains exist, do not run in circles, end in bounded time.

use super::target::Target;
use super::{Chain, Ruleset, Table};
use crate::faults::{Faults, nearest};
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
            let targets = ["ACCEPT", "DROP", "RETURN", "REJECT", "TPROXY"];
            match nearest(name, targets.into_iter().chain(own)) {
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
