//! Rules as canonical text: what iptables-save would print, and what reads back as the same rules.
//!
//! Options in the order `-s -d -i -o -p -f`, then the matches in the rule's order, then the target; `!` before the
//! option; numbers for names; addresses with their length. Two things are ours: `-4` or `-6` where a rule is for one
//! family and no address in it says so, and `0.0.0.0/0`, which here means every IPv4 address and not every address,
//! is printed. Printed for one family, the text is that family's tool's own: the other family's rules are left out.

use std::fmt::{Formatter, Result};

use super::criteria::{Family, Match, Not};
use super::matches::{bang, value};
use super::{Counted, Rule, Ruleset, Table, TableKind, matches, targets};
use crate::policy::protocol_name;

/// How rules are printed.
#[derive(Clone, Copy, Default)]
pub(super) struct Style<'a> {
    /// What rules and chains have counted.
    pub(super) counters: Option<Counted<'a>>,
    /// Only what concerns this family, as its tool writes it.
    pub(super) only: Option<Family>,
}

/// Prints all tables.
pub(super) fn ruleset(ruleset: &Ruleset, style: &Style<'_>, f: &mut Formatter<'_>) -> Result {
    let (mut number, mut chains) = (0, 0);
    ruleset.tables.iter().try_for_each(|one| table(one, style, &mut number, &mut chains, f))
}

fn table(table: &Table, style: &Style<'_>, number: &mut usize, chains: &mut usize, f: &mut Formatter<'_>) -> Result {
    writeln!(f, "*{}", table.kind.name())?;
    for chain in &table.chains {
        let counted = style.counters.and_then(|counters| counters.chains.get(*chains).copied());
        *chains += 1;
        let (packets, bytes) = counted.unwrap_or_default();
        writeln!(f, ":{} {} [{packets}:{bytes}]", chain.name, chain.policy.map_or("-", |policy| policy.name()))?;
    }
    for chain in &table.chains {
        for one in &chain.rules {
            let counters = style.counters.map(|counters| counters.rules.get(*number).copied().unwrap_or_default());
            *number += 1;
            if style.only.is_some() && one.criteria.family.is_some() && one.criteria.family != style.only {
                continue;
            }
            if let Some((packets, bytes)) = counters {
                write!(f, "[{packets}:{bytes}] ")?;
            }
            write!(f, "-A {}", chain.name)?;
            rule(one, table.kind, style, f)?;
            writeln!(f)?;
        }
    }
    writeln!(f, "COMMIT")
}

/// A rule without its chain, each option with a blank before it.
fn rule(rule: &Rule, table: TableKind, style: &Style<'_>, f: &mut Formatter<'_>) -> Result {
    let criteria = &rule.criteria;
    let family = style.only.or(criteria.family);
    match criteria.family {
        Some(family) if style.only.is_none() && !rule.tells_family() => {
            f.write_str(if family == Family::V4 { " -4" } else { " -6" })?;
        }
        _ => {}
    }
    // Printed for one family, all its addresses are no criterion.
    let narrow = |network: &Option<_>| {
        network.clone().filter(|n: &Not<super::Network>| n.not || style.only.is_none() || !n.value.is_all())
    };
    value(f, "-s", &narrow(&criteria.source))?;
    value(f, "-d", &narrow(&criteria.destination))?;
    value(f, "-i", &criteria.input)?;
    value(f, "-o", &criteria.output)?;
    if let Some(Not { not, value }) = &criteria.protocol {
        write!(f, "{} -p {}", bang(*not), protocol_name(*value))?;
    }
    if let Some(Not { not, .. }) = &criteria.fragment {
        write!(f, "{} -f", bang(*not))?;
    }
    criteria.matches.iter().try_for_each(|one| matches::print(one, family, f))?;
    match &rule.target {
        None => Ok(()),
        Some(target) => targets::print(target, table, style, f),
    }
}

impl Rule {
    /// Whether the rule's family can be read off its text without `-4` or `-6`.
    fn tells_family(&self) -> bool {
        self.criteria.source.is_some()
            || self.criteria.destination.is_some()
            || self.criteria.fragment.is_some()
            || self.criteria.matches.iter().any(|one| one.family().is_some())
            || self.target.as_ref().is_some_and(|target| target.family().is_some())
    }
}

impl Match {
    /// The family a match is for, by what it looks at.
    pub(super) fn family(&self) -> Option<Family> {
        match self {
            Match::Icmp(_) | Match::Ttl(..) => Some(Family::V4),
            Match::Icmp6(_) | Match::HopLimit(..) => Some(Family::V6),
            Match::IpRange { source, destination } => {
                source.as_ref().or(destination.as_ref()).map(|range| Family::of(range.value.first))
            }
            Match::Conntrack(tracking) => {
                tracking.original.networks().chain(tracking.reply.networks()).next().map(super::Network::family)
            }
            Match::Recent(recent) => recent.value.mask.map(Family::of),
            _ => None,
        }
    }
}
