//! Rules as canonical text: what iptables-save would print, and what reads back as the same rules.
//!
//! Options in the order `-s -d -i -o -p`, then the matches in the rule's order, then the target; `!` before the
//! option; numbers for names; addresses with their length. Two things are ours: `-4` or `-6` where a rule is for one
//! family and no address in it says so, and `0.0.0.0/0`, which here means every IPv4 address and not every address,
//! is printed.

use std::fmt::{Formatter, Result};

use super::criteria::{Family, Match, Not, PortSet, Ports, States};
use super::lex::quote;
use super::target::Target;
use super::{Rule, Ruleset, Table};
use crate::policy::protocol_name;

/// Prints all tables.
pub(super) fn ruleset(ruleset: &Ruleset, f: &mut Formatter<'_>) -> Result {
    ruleset.tables.iter().try_for_each(|one| table(one, f))
}

fn table(table: &Table, f: &mut Formatter<'_>) -> Result {
    writeln!(f, "*{}", table.kind.name())?;
    for chain in &table.chains {
        writeln!(f, ":{} {} [0:0]", chain.name, chain.policy.map_or("-", |policy| policy.name()))?;
    }
    for chain in &table.chains {
        for one in &chain.rules {
            write!(f, "-A {}", chain.name)?;
            rule(one, f)?;
            writeln!(f)?;
        }
    }
    writeln!(f, "COMMIT")
}

/// A rule without its chain, each option with a blank before it.
pub(super) fn rule(rule: &Rule, f: &mut Formatter<'_>) -> Result {
    let criteria = &rule.criteria;
    let by_address = criteria.source.is_some()
        || criteria.destination.is_some()
        || matches!(rule.target, Some(Target::Tproxy { address: Some(_), .. }));
    match criteria.family {
        Some(Family::V4) if !by_address => f.write_str(" -4")?,
        Some(Family::V6) if !by_address => f.write_str(" -6")?,
        _ => {}
    }
    option(f, "-s", &criteria.source)?;
    option(f, "-d", &criteria.destination)?;
    option(f, "-i", &criteria.input)?;
    option(f, "-o", &criteria.output)?;
    if let Some(Not { not, value }) = &criteria.protocol {
        write!(f, "{} -p {}", bang(*not), protocol_name(*value))?;
    }
    criteria.matches.iter().try_for_each(|one| print_match(one, f))?;
    match &rule.target {
        None => Ok(()),
        Some(target) => print_target(target, f),
    }
}

fn bang(not: bool) -> &'static str {
    if not { " !" } else { "" }
}

fn option<T: std::fmt::Display>(f: &mut Formatter<'_>, name: &str, value: &Option<Not<T>>) -> Result {
    match value {
        Some(Not { not, value }) => write!(f, "{} {name} {value}", bang(*not)),
        None => Ok(()),
    }
}

fn print_match(one: &Match, f: &mut Formatter<'_>) -> Result {
    match one {
        Match::Tcp { source, destination, flags, .. } => {
            f.write_str(" -m tcp")?;
            option(f, "--sport", source)?;
            option(f, "--dport", destination)?;
            match flags {
                Some(Not { not, .. }) => write!(f, "{} --tcp-flags FIN,SYN,RST,ACK SYN", bang(*not)),
                None => Ok(()),
            }
        }
        Match::Udp { source, destination } => {
            f.write_str(" -m udp")?;
            option(f, "--sport", source)?;
            option(f, "--dport", destination)
        }
        Match::Multiport { which, ports: Not { not, value } } => {
            let name = match which {
                PortSet::Source => "--sports",
                PortSet::Destination => "--dports",
                PortSet::Either => "--ports",
            };
            let ports = value.iter().map(Ports::to_string).collect::<Vec<_>>().join(",");
            write!(f, " -m multiport{} {name} {ports}", bang(*not))
        }
        Match::State(Not { not, value }) => write!(f, " -m state{} --state {}", bang(*not), states(*value)),
        Match::Conntrack(tracking) => match &tracking.states {
            Some(Not { not, value }) => write!(f, " -m conntrack{} --ctstate {}", bang(*not), states(*value)),
            None => Ok(()),
        },
        Match::Tproxy(Not { not, .. }) => write!(f, "{} -m tproxy", bang(*not)),
        Match::Comment(comment) => write!(f, " -m comment --comment {}", quote(comment)),
        _ => Ok(()),
    }
}

fn states(states: States) -> String {
    let named = [
        (states.contains(States::INVALID), "INVALID"),
        (states.contains(States::NEW), "NEW"),
        (states.contains(States::RELATED), "RELATED"),
        (states.contains(States::ESTABLISHED), "ESTABLISHED"),
        (states.contains(States::UNTRACKED), "UNTRACKED"),
    ];
    named.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect::<Vec<_>>().join(",")
}

fn print_target(target: &Target, f: &mut Formatter<'_>) -> Result {
    match target {
        Target::Accept => f.write_str(" -j ACCEPT"),
        Target::Drop => f.write_str(" -j DROP"),
        Target::Return => f.write_str(" -j RETURN"),
        Target::Reject(kind) => write!(f, " -j REJECT --reject-with {}", kind.name()),
        Target::Tproxy { port, address: Some(address), .. } => {
            write!(f, " -j TPROXY --on-port {port} --on-ip {address}")
        }
        Target::Tproxy { port, address: None, .. } => write!(f, " -j TPROXY --on-port {port} --on-ip 0.0.0.0"),
        Target::Jump(chain) => write!(f, " -j {chain}"),
        Target::Goto(chain) => write!(f, " -g {chain}"),
        _ => Ok(()),
    }
}
