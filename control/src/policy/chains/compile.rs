//! From rules as they were read to rules as they are walked: names become indexes, matches that remember get what they
//! remember in, from the policy before where it has the same.

use std::collections::HashMap;
use std::sync::Arc;

use super::addresses::Addresses;
use super::target::Target;
use super::{Chain, ChainId, Chains, Check, Entrance, InterfaceSet, Rule, RuleInfo};
use crate::policy::classifier::Classifier;
use crate::policy::memory::{Kept, RuleKey};
use crate::policy::network::Interface;
use crate::policy::sets::Sets;
use crate::rules::{self, ChainPolicy, Hook, Match, Not, Rule as Written, Ruleset, TableKind};

/// What rules are compiled with.
struct Compiler<'a> {
    interfaces: &'a [Interface],
    sets: &'a Sets,
    before: Option<&'a Kept>,
    kept: Kept,
    /// How many rules of the same text have been met in a chain.
    texts: HashMap<(TableKind, Arc<str>, &'a str), u32>,
}

impl Chains {
    /// Compiles rules that were read without fault; what those of `before` remember is taken over. Chains and sets that
    /// rules name and that do not exist are skipped here: reading refuses them.
    pub(in crate::policy) fn compile(
        ruleset: &Ruleset,
        interfaces: &[Interface],
        sets: &Sets,
        before: Option<&Chains>,
    ) -> Chains {
        let before = before.map(|before| &before.kept);
        let mut compiler = Compiler { interfaces, sets, before, kept: Kept::plan(ruleset), texts: HashMap::new() };
        let mut compiled = Chains { addresses: Addresses::of(interfaces), ..Chains::default() };
        for table in &ruleset.tables {
            let (base, first_rule) = (compiled.chains.len(), compiled.rules.len());
            let names: HashMap<&str, usize> = table.chains.iter().enumerate().map(|(at, c)| (&*c.name, at)).collect();
            let id_of = |name: &str| names.get(name).map(|at| ChainId((base + at) as u16));
            for chain in &table.chains {
                let first = compiled.rules.len() as u32;
                for (index, written) in chain.rules.iter().enumerate() {
                    let target = Target::compile(written.target.as_ref(), &id_of);
                    let rule = target.and_then(|target| compiler.rule(table.kind, &chain.name, written, target));
                    let Some(rule) = rule else { continue };
                    compiled.rules.push(rule);
                    compiled.info.push(RuleInfo {
                        table: table.kind,
                        chain: chain.name.clone(),
                        index: index as u32 + 1,
                        place: written.place.clone(),
                        text: written.text.clone(),
                        origin: None,
                        log: match &written.target {
                            Some(rules::Target::Log(log)) => Some(log.clone()),
                            _ => None,
                        },
                    });
                }
                compiled.chains.push(Chain {
                    table: table.kind,
                    name: chain.name.clone(),
                    rules: first..compiled.rules.len() as u32,
                    policy: chain.policy.unwrap_or(ChainPolicy::Accept),
                });
            }
            let classifier = Classifier::compile(first_rule as u32, &compiled.rules[first_rule..]).map(|classifier| {
                compiled.classifiers.push((table.kind, classifier));
                compiled.classifiers.len() - 1
            });
            let entrance =
                |hook: &Hook| Some(Entrance { table: table.kind, hook: *hook, chain: id_of(hook.name())?, classifier });
            compiled.hooks.extend(table.kind.hooks().iter().filter_map(entrance));
        }
        Chains { kept: compiler.kept, ..compiled }
    }
}

impl<'a> Compiler<'a> {
    fn rule(&mut self, table: TableKind, chain: &Arc<str>, rule: &'a Written, target: Target) -> Option<Rule> {
        let criteria = &rule.criteria;
        let set = |name: &Option<Not<String>>| {
            let compile = |name: &Not<String>| InterfaceSet::compile(&name.value, self.interfaces);
            name.as_ref().map(|name| Not { not: name.not, value: compile(name) })
        };
        let (input, output) = (set(&criteria.input), set(&criteria.output));
        let occurrence = self.texts.entry((table, chain.clone(), &rule.text)).and_modify(|n| *n += 1).or_insert(0);
        let occurrence = *occurrence;
        let mut matches = Vec::new();
        for (at, written) in criteria.matches.iter().enumerate() {
            if !matches!(written, Match::Comment(_)) {
                matches.push(self.check(written, || (table.name(), chain.clone(), rule.text.clone(), occurrence, at))?);
            }
        }
        Some(Rule {
            family: criteria.family.or(target.family()),
            protocol: criteria.protocol.clone(),
            input,
            output,
            source: criteria.source.clone(),
            destination: criteria.destination.clone(),
            fragment: criteria.fragment.clone(),
            matches: matches.into(),
            target,
        })
    }

    fn check(&mut self, written: &Match, key: impl Fn() -> RuleKey) -> Option<Check> {
        Some(match written {
            Match::Set(of) => Check::Set {
                not: of.not,
                set: Arc::clone(self.sets.get(&of.value.name)?),
                directions: of.value.directions.clone().into(),
            },
            Match::Limit(limit) => Check::Limit(self.kept.rate(key(), *limit, self.before)),
            Match::HashLimit(limit) => {
                Check::HashLimit { above: limit.above, groups: self.kept.groups(limit, self.before) }
            }
            Match::ConnLimit(limit) => Check::ConnLimit {
                limit: limit.limit,
                above: limit.above,
                length: limit.length,
                which: limit.which,
                connections: self.kept.connections(key(), self.before),
            },
            Match::Recent(recent) => {
                let list = self.kept.list(&recent.value, self.before);
                Check::Recent { recent: recent.clone(), list }
            }
            plain => Check::Plain(plain.clone()),
        })
    }
}
