//! Rules made into something a core can walk: one arena of rules, chains as ranges in it, names as indexes.
//!
//! A walk visits rules in order, as iptables' does; where the table has many, [`super::classifier`] tells it which it can
//! leave out. Who traces a walk sees every rule, so `explain` walks without the index: what fits is decided by the same
//! code ([`rule`]), and a property test holds both walks to the same end, counts, marks and logs. A walk ends: loops
//! between chains, chains nested deeper than the stack below and rule sets that one flow could walk for too long are
//! refused when rules are read.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use super::classifier::{Classifier, ClassifierSize};
use super::memory::{Kept, Memory};
use super::network::InterfaceId;
use super::sets::Sets;
use super::trace::{Step, Trace};
use super::translation::NatRange;
use super::tuple::{PacketFacts, TCP, UDP};
use super::verdict::{Logs, RejectKind, RuleRef};
use crate::faults::{Faults, Place};
use crate::limits::CHAIN_DEPTH_MAX;
use crate::rules::{ChainPolicy, Hook, Log, Match, Ruleset, TableKind};
use addresses::Addresses;
pub(super) use fits::masked;
use rule::Fit;
pub(super) use rule::{Check, InterfaceSet, Rule};
use target::Target;

mod addresses;
mod compile;
mod fits;
mod rule;
mod target;

/// Index of a chain in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChainId(pub(super) u16);

/// What is known about a rule beyond what deciding needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its table.
    pub table: TableKind,
    /// Its chain.
    pub chain: Arc<str>,
    /// Its number in the chain, from 1, copies made by macros and comma lists counted.
    pub index: u32,
    /// Where it was written.
    pub place: Place,
    /// As it was written, without the chain.
    pub text: String,
    /// What `limpid rules gen` made it of.
    pub origin: Option<Place>,
    /// What `-j LOG` is to write.
    pub log: Option<Log>,
}

/// A flow at one hook. What rules change on the way (marks, tracking) and note (LOG) goes on to the next hook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) input: Option<InterfaceId>,
    pub(super) output: Option<InterfaceId>,
    pub(super) protocol: u8,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) tproxy: bool,
    pub(super) packet: PacketFacts,
    pub(super) mark: u32,
    pub(super) connmark: u32,
    pub(super) untracked: bool,
    pub(super) logs: Logs,
    /// Source and destination of the flow before anything was translated.
    pub(super) original: (SocketAddr, SocketAddr),
}

/// How a walk ended, and the rule that ended it (none: the chain's policy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Accept(Option<RuleRef>),
    Drop(Option<RuleRef>),
    Reject(RejectKind, RuleRef),
    Redirect { address: Option<IpAddr>, port: u16, rule: RuleRef },
    Translate { range: NatRange, rule: RuleRef },
}

/// All chains of all tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Chains {
    chains: Vec<Chain>,
    rules: Vec<Rule>,
    info: Vec<RuleInfo>,
    /// Built-in chains, and the index of their tables.
    hooks: Vec<Entrance>,
    classifiers: Vec<(TableKind, Classifier)>,
    addresses: Addresses,
    kept: Kept,
}

#[derive(Clone, Copy, Debug)]
struct Entrance {
    table: TableKind,
    hook: Hook,
    chain: ChainId,
    classifier: Option<usize>,
}

#[derive(Clone, Debug)]
struct Chain {
    table: TableKind,
    name: Arc<str>,
    rules: Range<u32>,
    policy: ChainPolicy,
}

/// What a rule is held against besides the flow.
struct Context<'a> {
    table: TableKind,
    hook: Hook,
    addresses: &'a Addresses,
}

/// Where a walk stands.
struct Position {
    chain: ChainId,
    next: u32,
    callers: [(ChainId, u32); CHAIN_DEPTH_MAX],
    depth: usize,
}

impl Chains {
    /// Notes where rules come from that were made of others, by their line.
    pub(super) fn originate(&mut self, origin: impl Fn(u32) -> Option<Place>) {
        for rule in &mut self.info {
            rule.origin = origin(rule.place.line);
        }
    }

    /// What is known about a rule.
    pub(super) fn info(&self, rule: RuleRef) -> &RuleInfo {
        &self.info[rule.id as usize]
    }

    /// All rules, by their identity.
    pub(super) fn infos(&self) -> &[RuleInfo] {
        &self.info
    }

    /// Table and name of a chain.
    pub(super) fn name(&self, chain: ChainId) -> (TableKind, &str) {
        let chain = &self.chains[usize::from(chain.0)];
        (chain.table, &chain.name)
    }

    /// How many chains there are.
    pub(super) fn len(&self) -> usize {
        self.chains.len()
    }

    /// Policy of a chain.
    pub(super) fn policy(&self, chain: ChainId) -> ChainPolicy {
        self.chains[usize::from(chain.0)].policy
    }

    /// Built-in chains: place, table, name, and whether the policy is ACCEPT.
    pub(super) fn built_in(&self) -> impl Iterator<Item = (usize, TableKind, &str, bool)> {
        let of = |entrance: &Entrance| {
            let (at, chain) = (usize::from(entrance.chain.0), &self.chains[usize::from(entrance.chain.0)]);
            (at, chain.table, &*chain.name, chain.policy == ChainPolicy::Accept)
        };
        self.hooks.iter().map(of)
    }

    /// The indexes over tables that have one.
    pub(super) fn classifiers(&self) -> impl Iterator<Item = (TableKind, ClassifierSize)> {
        self.classifiers.iter().map(|(table, classifier)| (*table, classifier.size()))
    }

    /// Groups and addresses that lost their place in a table of hashlimit or recent.
    pub(super) fn evicted(&self) -> u64 {
        self.kept.evicted()
    }

    /// Takes a flow through a built-in chain. A table that no file names lets everything pass, as an empty one does.
    pub(super) fn walk<T: Trace>(
        &self,
        table: TableKind,
        hook: Hook,
        seen: &mut Seen,
        memory: &mut Memory,
        trace: &mut T,
    ) -> End {
        let Some(entrance) = self.hooks.iter().find(|entrance| (entrance.table, entrance.hook) == (table, hook)) else {
            trace.step(Step::NoTable(table));
            return End::Accept(None);
        };
        let base = entrance.chain;
        let context = Context { table, hook, addresses: &self.addresses };
        let classifier = entrance.classifier.filter(|_| !T::EVERY_RULE).map(|at| &self.classifiers[at].1);
        let mut candidates = classifier.map(|classifier| classifier.look_up(seen));
        let mut at =
            Position { chain: base, next: self.range(base).start, callers: [(base, 0); CHAIN_DEPTH_MAX], depth: 0 };
        loop {
            let end = self.range(at.chain).end;
            let found = match &mut candidates {
                Some(candidates) => candidates.next(at.next, end),
                None => (at.next < end).then_some(at.next),
            };
            let Some(id) = found else {
                if !self.go_back(&mut at, trace) {
                    return self.end_by_policy(base, seen, memory, trace);
                }
                continue;
            };
            at.next = id + 1;
            let (rule, met) = (&self.rules[id as usize], RuleRef { id });
            let fit = rule.fit(seen, &context, memory);
            match fit {
                Fit::Yes => trace.step(Step::Rule(met, None)),
                Fit::No(criterion) => {
                    trace.step(Step::Rule(met, Some(criterion)));
                    continue;
                }
                Fit::NoRoom(criterion) => {
                    trace.step(Step::Rule(met, Some(criterion)));
                    return End::Drop(Some(met));
                }
            }
            memory.met(met, seen.packet.length);
            match rule.target {
                Target::Jump(to) => {
                    at.callers[at.depth] = (at.chain, at.next);
                    at.depth += 1;
                    (at.chain, at.next) = (to, self.range(to).start);
                }
                Target::Goto(to) => (at.chain, at.next) = (to, self.range(to).start),
                Target::Return => at.next = end,
                Target::Redirect { .. } if seen.protocol != TCP && seen.protocol != UDP => {
                    trace.step(Step::NotRedirectable);
                    return End::Accept(Some(met));
                }
                ref target => {
                    if let Some(ended) = target.apply(seen, met) {
                        return ended;
                    }
                }
            }
        }
    }

    fn range(&self, chain: ChainId) -> &Range<u32> {
        &self.chains[usize::from(chain.0)].rules
    }

    /// Leaves a chain that is at its end; false in the built-in chain.
    fn go_back<T: Trace>(&self, at: &mut Position, trace: &mut T) -> bool {
        let Some(caller) = at.depth.checked_sub(1) else { return false };
        at.depth = caller;
        trace.step(Step::Returned { from: at.chain, to: at.callers[caller].0 });
        (at.chain, at.next) = at.callers[caller];
        true
    }

    fn end_by_policy<T: Trace>(&self, base: ChainId, seen: &Seen, memory: &mut Memory, trace: &mut T) -> End {
        trace.step(Step::ChainPolicy(base));
        memory.fell(base, seen.packet.length);
        match self.policy(base) {
            ChainPolicy::Accept => End::Accept(None),
            ChainPolicy::Drop => End::Drop(None),
        }
    }
}

/// Sets that rules name exist, and have no more dimensions than the rule gives directions for.
pub(super) fn check_sets(ruleset: &Ruleset, sets: &Sets, faults: &mut Faults) {
    let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
    for rule in chains.flat_map(|chain| &chain.rules) {
        for of in &rule.criteria.matches {
            let Match::Set(of) = of else { continue };
            let (name, given) = (&of.value.name, of.value.directions.len());
            match sets.get(name) {
                None => {
                    let hint = "sets are defined under `sets:` of the configuration";
                    faults.add_hint(rule.place.clone(), format!("there is no set `{name}`"), hint);
                }
                Some(set) if set.kind().dimensions() > given => {
                    let message = format!(
                        "set `{name}` is of {}: it needs {} directions, and the rule gives {given}",
                        set.kind().name(),
                        set.kind().dimensions()
                    );
                    let hint = ["write for instance `src,dst`", "write for instance `src,dst,dst`"];
                    faults.add_hint(rule.place.clone(), message, hint[set.kind().dimensions() / 3]);
                }
                Some(_) => {}
            }
        }
    }
}
