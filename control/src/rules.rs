//! Packet filter rules: iptables-save text in, typed rules out.
//!
//! ```text
//! text → lex (words with columns) → macros (copies) → parse (base, matches, targets) → check (hooks, loops) → Ruleset
//!                                                                              Ruleset → print (canonical text)
//! ```
//!
//! The grammar is iptables-restore's, read strictly; what is refused on purpose and what is read differently is
//! listed in the crate's README. One file serves both address families: a rule without addresses is for both, a rule
//! with an IPv4 address for IPv4 only. The file is taken as a whole or not at all, where iptables-restore commits
//! table by table.
//!
//! Matches and targets are modules (`matches.rs`, `targets.rs`), each with its options, its reading and its printing;
//! those of iptables that are refused are listed there with the reason that the operator is told. Counters are read
//! for their syntax and not kept: a policy's begin at nothing.

use std::fmt;
use std::sync::Arc;

pub use address::Network;
pub use criteria::*;
pub use source::Source;
pub use target::{ChainPolicy, Connmark, Log, Masked, Target, Translation};

use crate::faults::{Faults, Place};

mod address;
pub(crate) mod check;
mod command;
mod criteria;
mod draft;
mod generate;
mod lex;
mod macros;
mod matches;
mod modules;
mod options;
mod parse;
mod ports;
mod print;
mod rule;
mod served;
mod source;
mod target;
mod targets;

#[cfg(test)]
mod tests;

pub use generate::{Generated, Named, ReadFile, generate};
pub use macros::{Definition, Macros, is_name};

/// The tables this version serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// Redirection to listeners.
    Tproxy,
    /// Who may pass.
    Filter,
    /// What is translated, of what no proxy takes.
    Nat,
    /// Marks, and TPROXY in its modern place.
    Mangle,
    /// What is not tracked.
    Raw,
}

/// The points of a packet's way that built-in chains hang on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// Just arrived.
    Prerouting,
    /// For the gateway itself, redirected flows included.
    Input,
    /// For someone else.
    Forward,
    /// From the gateway itself.
    Output,
    /// About to leave.
    Postrouting,
}

impl TableKind {
    /// Every table, in the order of a packet's way.
    pub const ALL: [TableKind; 5] =
        [TableKind::Raw, TableKind::Mangle, TableKind::Tproxy, TableKind::Nat, TableKind::Filter];

    /// As written after `*`.
    pub fn name(self) -> &'static str {
        match self {
            TableKind::Tproxy => "tproxy",
            TableKind::Filter => "filter",
            TableKind::Nat => "nat",
            TableKind::Mangle => "mangle",
            TableKind::Raw => "raw",
        }
    }

    /// Its built-in chains.
    pub fn hooks(self) -> &'static [Hook] {
        match self {
            TableKind::Tproxy => &[Hook::Prerouting, Hook::Output],
            TableKind::Filter => &[Hook::Input, Hook::Forward, Hook::Output],
            TableKind::Nat => &[Hook::Prerouting, Hook::Input, Hook::Output, Hook::Postrouting],
            TableKind::Mangle => &[Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting],
            TableKind::Raw => &[Hook::Prerouting, Hook::Output],
        }
    }
}

impl Hook {
    /// The built-in chain's name.
    pub fn name(self) -> &'static str {
        match self {
            Hook::Prerouting => "PREROUTING",
            Hook::Input => "INPUT",
            Hook::Forward => "FORWARD",
            Hook::Output => "OUTPUT",
            Hook::Postrouting => "POSTROUTING",
        }
    }
}

/// All rules of a file. Its `Display` is the canonical iptables-save text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The tables the file names, each once.
    pub tables: Vec<Table>,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Which.
    pub kind: TableKind,
    /// Its chains: the built-in ones first, in the order of their hooks, then the user's in the order of the file.
    pub chains: Vec<Chain>,
}

/// One chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: Arc<str>,
    /// What happens at its end; none for the user's chains, which return.
    pub policy: Option<ChainPolicy>,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// Where it was declared; a built-in chain that was not has the place of its table.
    pub place: Place,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What a flow must fit.
    pub criteria: Criteria,
    /// What then happens; none: the rule only counts.
    pub target: Option<Target>,
    /// Where it was written.
    pub place: Place,
    /// As it was written, macros and comma lists expanded, without the chain.
    pub text: String,
}

impl Ruleset {
    /// The table, when the file names it.
    pub fn table(&self, kind: TableKind) -> Option<&Table> {
        self.tables.iter().find(|table| table.kind == kind)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.tables.iter().flat_map(|table| &table.chains).map(|chain| chain.rules.len()).sum()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Table {
    /// The chain of that name.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| &*chain.name == name)
    }
}

/// Packets and bytes that rules and chains have counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// Of each rule, by its number over all tables, as in [`crate::policy::RuleRef`].
    pub rules: &'a [(u64, u64)],
    /// Of each chain, by its number over all tables: what a built-in chain's policy has decided. Other chains have no
    /// policy, and count nothing.
    pub chains: &'a [(u64, u64)],
}

impl Ruleset {
    /// Canonical text, with what rules and chains have counted if given.
    pub fn print(&self, counters: Option<Counted<'_>>) -> String {
        self.printed(print::Style { counters, only: None })
    }

    /// What concerns one family, as iptables-save or ip6tables-save prints it.
    pub fn print_for(&self, family: Family) -> String {
        self.printed(print::Style { counters: None, only: Some(family) })
    }

    fn printed(&self, style: print::Style<'_>) -> String {
        fmt::from_fn(|f| print::ruleset(self, &style, f)).to_string()
    }
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::ruleset(self, &print::Style::default(), f)
    }
}

/// Reads rules. Everything that is wrong goes to `faults`, what looks wrong to `warnings`; what comes back is whole
/// only when no fault was added.
pub fn parse(source: &Source<'_>, macros: &Macros, faults: &mut Faults, warnings: &mut Faults) -> Ruleset {
    let before = faults.len();
    let ruleset = read(source, macros, None, faults, warnings);
    if faults.len() == before {
        served::ruleset(&ruleset, faults);
    }
    ruleset
}

/// Reads rules that are for one family, as iptables-restore or ip6tables-restore reads them: each rule is that
/// family's, and `-4` or `-6` of the other leaves a rule out.
pub fn parse_for(
    family: Family,
    source: &Source<'_>,
    macros: &Macros,
    faults: &mut Faults,
    warnings: &mut Faults,
) -> Ruleset {
    read(source, macros, Some(family), faults, warnings)
}

fn read(
    source: &Source<'_>,
    macros: &Macros,
    only: Option<Family>,
    faults: &mut Faults,
    warnings: &mut Faults,
) -> Ruleset {
    let ruleset = parse::ruleset(source, macros, only, faults, warnings);
    check::ruleset(&ruleset, faults);
    ruleset
}
