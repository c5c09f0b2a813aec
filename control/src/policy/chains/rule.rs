//! One compiled rule, and whether a flow fits it: what iptables holds a packet to before the matches, then the matches
//! in the order in which they were written.
//!
//! The order matters where a match remembers: `-m limit` before `--dport` counts flows to every port. The first that
//! does not fit ends it, and is what `explain` names.

use std::sync::Arc;

use super::fits;
use super::target::Target;
use super::{Context, Seen};
use crate::policy::memory::{Connections, Groups, Memory, Rate, RecentList};
use crate::policy::network::{Interface, InterfaceId};
use crate::policy::sets::Set;
use crate::policy::trace::Criterion;
use crate::rules::{Family, Match, Network, Not, Recent, SetDirection, Touched};

/// A compiled rule.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Rule {
    pub(in crate::policy) family: Option<Family>,
    pub(in crate::policy) protocol: Option<Not<u8>>,
    pub(in crate::policy) input: Option<Not<InterfaceSet>>,
    pub(in crate::policy) output: Option<Not<InterfaceSet>>,
    pub(in crate::policy) source: Option<Not<Network>>,
    pub(in crate::policy) destination: Option<Not<Network>>,
    pub(super) fragment: Option<Not<()>>,
    pub(in crate::policy) matches: Box<[Check]>,
    pub(super) target: Target,
}

/// One match, with what it looks at beyond the flow.
#[derive(Clone, Debug)]
pub(in crate::policy) enum Check {
    /// Sees the flow and nothing else.
    Plain(Match),
    /// `-m set`.
    Set { not: bool, set: Arc<Set>, directions: Box<[SetDirection]> },
    /// `-m limit`.
    Limit(Arc<Rate>),
    /// `-m hashlimit`.
    HashLimit { above: bool, groups: Arc<Groups> },
    /// `-m connlimit`.
    ConnLimit { limit: u32, above: bool, length: u8, which: Touched, connections: Arc<Connections> },
    /// `-m recent`.
    Recent { recent: Box<Not<Recent>>, list: Arc<RecentList> },
}

impl Check {
    /// Whether it changes something when it is asked.
    pub(in crate::policy) fn remembers(&self) -> bool {
        !matches!(self, Check::Plain(_) | Check::Set { .. })
    }
}

/// Whether a flow fits a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// The rule's target has it.
    Yes,
    /// This does not fit.
    No(Criterion),
    /// It cannot be told for want of room, and so the flow ends here, as in Linux.
    NoRoom(Criterion),
}

/// The interfaces a name in a rule stands for, sorted: one, or with `+` any number; none when no interface is called
/// so.
#[derive(Clone, Debug)]
pub(in crate::policy) struct InterfaceSet(Box<[InterfaceId]>);

impl InterfaceSet {
    pub(super) fn compile(name: &str, interfaces: &[Interface]) -> InterfaceSet {
        let fits = |interface: &Interface| match name.strip_suffix('+') {
            Some(beginning) => interface.name.starts_with(beginning),
            None => interface.name == name,
        };
        let ids = interfaces.iter().enumerate().filter(|(_, i)| fits(i)).map(|(at, _)| InterfaceId(at as u16));
        InterfaceSet(ids.collect())
    }

    pub(in crate::policy) fn ids(&self) -> &[InterfaceId] {
        &self.0
    }

    fn contains(&self, interface: Option<InterfaceId>) -> bool {
        interface.is_some_and(|interface| self.0.binary_search(&interface).is_ok())
    }
}

impl Rule {
    /// Holds a flow against the rule.
    pub(super) fn fit(&self, seen: &Seen, context: &Context<'_>, memory: &mut Memory) -> Fit {
        if let Some(criterion) = self.mismatch(seen) {
            return Fit::No(criterion);
        }
        for check in &self.matches {
            let fit = check.fit(seen, context, memory);
            if fit != Fit::Yes {
                return fit;
            }
        }
        Fit::Yes
    }

    /// The first of what stands before the matches that does not fit.
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
        // IPv4 only, as in iptables: ip6tables has no `-f`.
        let fragment = seen.packet.fragment && family == Family::V4;
        self.fragment.as_ref().is_some_and(|f| !f.holds(fragment)).then_some(Criterion::Fragment)
    }
}

impl Check {
    fn fit(&self, seen: &Seen, context: &Context<'_>, memory: &mut Memory) -> Fit {
        let (holds, criterion) = match self {
            Check::Plain(plain) => {
                return fits::mismatch(plain, seen, context).map_or(Fit::Yes, Fit::No);
            }
            Check::Set { not, set, directions } => {
                (set.contains(seen.protocol, seen.source, seen.destination, directions) != *not, Criterion::Set)
            }
            Check::Limit(rate) => (rate.take(seen.packet.at, memory.acts()), Criterion::Limit),
            Check::HashLimit { above, groups } => {
                let within = groups.take(seen.source, seen.destination, &seen.packet, memory.acts());
                (within != *above, Criterion::HashLimit)
            }
            Check::ConnLimit { limit, above, length, which, connections } => {
                let address = fits::touched(seen, *which);
                match memory.connect(connections, fits::masked(address, *length)) {
                    Some(count) => ((count > *limit) == *above, Criterion::ConnLimit),
                    None => return Fit::NoRoom(Criterion::ConnLimit),
                }
            }
            Check::Recent { recent, list } => {
                let address = fits::touched(seen, recent.value.which);
                let ttl = fits::ttl(seen, context.hook);
                let answer = list.ask(&recent.value, address, ttl, seen.packet.at, memory.acts());
                (recent.holds(answer), Criterion::Recent)
            }
        };
        if holds { Fit::Yes } else { Fit::No(criterion) }
    }
}
