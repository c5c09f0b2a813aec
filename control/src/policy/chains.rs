//! Rules made into something a core can walk: one arena of rules, chains as ranges in it, names as indexes.
//!
//! The walk is linear, rule by rule, as iptables' is. Callers ask [`Chains::walk`] and nothing else, so that a compiled
//! classifier can take its place. It ends: loops between chains, chains nested deeper than the stack below and rule
//! sets that one flow could walk for too long are refused when rules are read.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use super::memory::Memory;
use super::network::{Interface, InterfaceId};
use super::trace::{Criterion, Step, Trace};
use super::translation::NatRange;
use super::tuple::{PacketFacts, TCP, UDP};
use super::verdict::{Logs, RejectKind, RuleRef};
use crate::faults::Place;
use crate::limits::CHAIN_DEPTH_MAX;
use crate::rules::{self, ChainPolicy, Family, Hook, Match, Network, Not, PortSet, Ports, Ruleset, States, TableKind};

/// A flow's first segment.
const SYN: u8 = 0x02;

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
}

/// How a walk ended, and the rule that ended it (none: the chain's policy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Accept(Option<RuleRef>),
    Drop(Option<RuleRef>),
    Reject(RejectKind, RuleRef),
    Redirect {
        address: Option<IpAddr>,
        port: u16,
        rule: RuleRef,
    },
    #[expect(dead_code, reason = "made by the targets of table nat")]
    Translate {
        range: NatRange,
        rule: RuleRef,
    },
}

/// All chains of all tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Chains {
    chains: Vec<Chain>,
    rules: Vec<Rule>,
    info: Vec<RuleInfo>,
    hooks: Vec<(TableKind, Hook, ChainId)>,
}

#[derive(Clone, Debug)]
struct Chain {
    table: TableKind,
    name: Arc<str>,
    rules: Range<u32>,
    policy: ChainPolicy,
}

#[derive(Clone, Debug)]
struct Rule {
    family: Option<Family>,
    protocol: Option<Not<u8>>,
    input: Option<Not<InterfaceSet>>,
    output: Option<Not<InterfaceSet>>,
    source: Option<Not<Network>>,
    destination: Option<Not<Network>>,
    matches: Box<[Match]>,
    target: Target,
}

#[derive(Clone, Debug)]
enum Target {
    Count,
    Accept,
    Drop,
    Return,
    Reject(RejectKind),
    Redirect { address: Option<IpAddr>, port: u16 },
    Jump(ChainId),
    Goto(ChainId),
}

/// The interfaces a name in a rule stands for, sorted: one, or with `+` any number; none when no interface is called
/// so.
#[derive(Clone, Debug)]
struct InterfaceSet(Box<[InterfaceId]>);

impl Chains {
    /// Compiles rules that were read without fault. Chains that rules name and that do not exist are skipped here:
    /// reading refuses them.
    pub(super) fn compile(ruleset: &Ruleset, interfaces: &[Interface]) -> Chains {
        let mut compiled = Chains::default();
        for table in &ruleset.tables {
            let base = compiled.chains.len();
            let id_of =
                |name: &str| table.chains.iter().position(|c| &*c.name == name).map(|at| ChainId((base + at) as u16));
            for chain in &table.chains {
                let first = compiled.rules.len() as u32;
                for (index, rule) in chain.rules.iter().enumerate() {
                    let Some(target) = compile_target(rule.target.as_ref(), &id_of) else { continue };
                    compiled.rules.push(compile_rule(rule, target, interfaces));
                    compiled.info.push(RuleInfo {
                        table: table.kind,
                        chain: chain.name.clone(),
                        index: index as u32 + 1,
                        place: rule.place.clone(),
                        text: rule.text.clone(),
                    });
                }
                compiled.chains.push(Chain {
                    table: table.kind,
                    name: chain.name.clone(),
                    rules: first..compiled.rules.len() as u32,
                    policy: chain.policy.unwrap_or(ChainPolicy::Accept),
                });
            }
            let hooks = table.kind.hooks().iter();
            compiled.hooks.extend(hooks.filter_map(|hook| Some((table.kind, *hook, id_of(hook.name())?))));
        }
        compiled
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

    /// Policy of a chain.
    pub(super) fn policy(&self, chain: ChainId) -> ChainPolicy {
        self.chains[usize::from(chain.0)].policy
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
        let Some(base) = self.hooks.iter().find(|(t, h, _)| (*t, *h) == (table, hook)).map(|(_, _, chain)| *chain)
        else {
            trace.step(Step::NoTable(table));
            return End::Accept(None);
        };
        let mut callers = [(base, 0u32); CHAIN_DEPTH_MAX];
        let mut depth = 0usize;
        let mut chain = base;
        let mut next = self.chains[usize::from(chain.0)].rules.start;
        loop {
            if next >= self.chains[usize::from(chain.0)].rules.end {
                let Some(caller) = depth.checked_sub(1) else { return self.end_by_policy(base, trace) };
                depth = caller;
                trace.step(Step::Returned { from: chain, to: callers[depth].0 });
                (chain, next) = callers[depth];
                continue;
            }
            let at = RuleRef { id: next };
            let rule = &self.rules[next as usize];
            next += 1;
            let mismatch = rule.mismatch(seen);
            trace.step(Step::Rule(at, mismatch));
            if mismatch.is_some() {
                continue;
            }
            memory.met(at, seen.packet.length);
            match rule.target {
                Target::Count => {}
                Target::Accept => return End::Accept(Some(at)),
                Target::Drop => return End::Drop(Some(at)),
                Target::Reject(kind) => return End::Reject(kind, at),
                Target::Redirect { address, port } if seen.protocol == TCP || seen.protocol == UDP => {
                    return End::Redirect { address, port, rule: at };
                }
                Target::Redirect { .. } => {
                    trace.step(Step::NotRedirectable);
                    return End::Accept(Some(at));
                }
                Target::Return => next = self.chains[usize::from(chain.0)].rules.end,
                Target::Jump(to) => {
                    callers[depth] = (chain, next);
                    depth += 1;
                    (chain, next) = (to, self.chains[usize::from(to.0)].rules.start);
                }
                Target::Goto(to) => (chain, next) = (to, self.chains[usize::from(to.0)].rules.start),
            }
        }
    }

    fn end_by_policy<T: Trace>(&self, base: ChainId, trace: &mut T) -> End {
        trace.step(Step::ChainPolicy(base));
        match self.policy(base) {
            ChainPolicy::Accept => End::Accept(None),
            ChainPolicy::Drop => End::Drop(None),
        }
    }
}

fn compile_target(target: Option<&rules::Target>, id_of: &dyn Fn(&str) -> Option<ChainId>) -> Option<Target> {
    Some(match target {
        None => Target::Count,
        Some(rules::Target::Accept) => Target::Accept,
        Some(rules::Target::Drop) => Target::Drop,
        Some(rules::Target::Return) => Target::Return,
        Some(rules::Target::Reject(kind)) => Target::Reject(*kind),
        Some(rules::Target::Tproxy { port, address, .. }) => Target::Redirect { address: *address, port: *port },
        Some(rules::Target::Jump(chain)) => Target::Jump(id_of(chain)?),
        Some(rules::Target::Goto(chain)) => Target::Goto(id_of(chain)?),
        // Reading refuses what is not served; a rule that slips through must not let anything pass.
        Some(_) => Target::Drop,
    })
}

fn compile_rule(rule: &rules::Rule, target: Target, interfaces: &[Interface]) -> Rule {
    let criteria = &rule.criteria;
    let set = |name: &Option<Not<String>>| {
        name.as_ref().map(|name| Not { not: name.not, value: InterfaceSet::compile(&name.value, interfaces) })
    };
    Rule {
        family: criteria.family,
        protocol: criteria.protocol.clone(),
        input: set(&criteria.input),
        output: set(&criteria.output),
        source: criteria.source.clone(),
        destination: criteria.destination.clone(),
        matches: criteria.matches.iter().filter(|m| !matches!(m, Match::Comment(_))).cloned().collect(),
        target,
    }
}

impl InterfaceSet {
    fn compile(name: &str, interfaces: &[Interface]) -> InterfaceSet {
        let fits = |interface: &Interface| match name.strip_suffix('+') {
            Some(beginning) => interface.name.starts_with(beginning),
            None => interface.name == name,
        };
        let ids = interfaces.iter().enumerate().filter(|(_, i)| fits(i)).map(|(at, _)| InterfaceId(at as u16));
        InterfaceSet(ids.collect())
    }

    fn contains(&self, interface: Option<InterfaceId>) -> bool {
        interface.is_some_and(|interface| self.0.binary_search(&interface).is_ok())
    }
}

impl Rule {
    /// The first criterion that the flow does not fit.
    fn mismatch(&self, seen: &Seen) -> Option<Criterion> {
        let family = if seen.destination.is_ipv4() { Family::V4 } else { Family::V6 };
        if self.family.is_some_and(|only| only != family) {
            return Some(Criterion::Family);
        }
        if self.protocol.as_ref().is_some_and(|p| !p.holds(p.value == seen.protocol)) {
            return Some(Criterion::Protocol);
        }
        if self.input.as_ref().is_some_and(|i| !i.holds(i.value.contains(seen.input))) {
            return Some(Criterion::Input);
        }
        if self.output.as_ref().is_some_and(|o| !o.holds(o.value.contains(seen.output))) {
            return Some(Criterion::Output);
        }
        if self.source.as_ref().is_some_and(|s| !s.holds(s.value.contains(seen.source.ip()))) {
            return Some(Criterion::Source);
        }
        if self.destination.as_ref().is_some_and(|d| !d.holds(d.value.contains(seen.destination.ip()))) {
            return Some(Criterion::Destination);
        }
        self.matches.iter().find_map(|m| match_mismatch(m, seen))
    }
}

fn match_mismatch(criterion: &Match, seen: &Seen) -> Option<Criterion> {
    let (from, to) = (seen.source.port(), seen.destination.port());
    let unless = |holds: bool, criterion| (!holds).then_some(criterion);
    let port = |ports: &Option<Not<Ports>>, port| ports.as_ref().is_none_or(|p| p.holds(p.value.contains(port)));
    match criterion {
        Match::Tcp { source, destination, flags, .. } => unless(port(source, from), Criterion::SourcePort)
            .or(unless(port(destination, to), Criterion::DestinationPort))
            .or(unless(flags.as_ref().is_none_or(|flags| flags.holds(flags.value.holds(SYN))), Criterion::Syn)),
        Match::Udp { source, destination } => unless(port(source, from), Criterion::SourcePort)
            .or(unless(port(destination, to), Criterion::DestinationPort)),
        Match::Multiport { which, ports } => {
            let any = |port: u16| ports.value.iter().any(|range| range.contains(port));
            match which {
                PortSet::Source => unless(ports.holds(any(from)), Criterion::SourcePort),
                PortSet::Destination => unless(ports.holds(any(to)), Criterion::DestinationPort),
                PortSet::Either => unless(ports.holds(any(from) || any(to)), Criterion::EitherPort),
            }
        }
        Match::State(states) => unless(states.holds(states.value.contains(States::NEW)), Criterion::State),
        Match::Conntrack(tracking) => {
            let states = tracking.states.as_ref();
            unless(states.is_none_or(|states| states.holds(states.value.contains(States::NEW))), Criterion::State)
        }
        Match::Tproxy(tproxy) => unless(tproxy.holds(seen.tproxy), Criterion::Tproxy),
        Match::Comment(_) => None,
        // Reading refuses what is not served.
        _ => Some(Criterion::State),
    }
}
