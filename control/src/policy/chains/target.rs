//! What a rule that fits does: ends the walk, or changes the flow and lets it go on.
//!
//! Jumps are the walk's own. Translation is handed on as a range: which address and port of it a flow gets is chosen
//! where it is known what is free.

use std::net::{IpAddr, SocketAddr};

use super::{ChainId, End, Seen};
use crate::policy::translation::{NatKind, NatRange};
use crate::policy::verdict::{RejectKind, RuleRef};
use crate::rules::{self, Connmark, Family, Masked, Translation};

/// A compiled target.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Count,
    Accept,
    Drop,
    Return,
    Reject(RejectKind),
    Redirect { address: Option<IpAddr>, port: u16, mark: Masked },
    Translate(NatKind, Translation),
    Log,
    Mark(Masked),
    Connmark(Connmark),
    Notrack,
    Jump(ChainId),
    Goto(ChainId),
}

impl Target {
    /// None: it names a chain that does not exist.
    pub(super) fn compile(target: Option<&rules::Target>, id_of: &dyn Fn(&str) -> Option<ChainId>) -> Option<Target> {
        Some(match target {
            None => Target::Count,
            Some(rules::Target::Accept) => Target::Accept,
            Some(rules::Target::Drop) => Target::Drop,
            Some(rules::Target::Return) => Target::Return,
            Some(rules::Target::Reject(kind)) => Target::Reject(*kind),
            Some(rules::Target::Tproxy { port, address, mark }) => {
                Target::Redirect { address: *address, port: *port, mark: *mark }
            }
            Some(rules::Target::Log(_)) => Target::Log,
            Some(rules::Target::Dnat(to)) => Target::Translate(NatKind::Dnat, *to),
            Some(rules::Target::Redirect(to)) => Target::Translate(NatKind::Redirect, *to),
            Some(rules::Target::Snat(to)) => Target::Translate(NatKind::Snat, *to),
            Some(rules::Target::Masquerade(to)) => Target::Translate(NatKind::Masquerade, *to),
            Some(rules::Target::Mark(mark)) => Target::Mark(*mark),
            Some(rules::Target::Connmark(mark)) => Target::Connmark(*mark),
            Some(rules::Target::Notrack) => Target::Notrack,
            Some(rules::Target::Jump(chain)) => Target::Jump(id_of(chain)?),
            Some(rules::Target::Goto(chain)) => Target::Goto(id_of(chain)?),
        })
    }

    /// The family that its addresses are of: the rule is for no other.
    pub(super) fn family(&self) -> Option<Family> {
        let address = match self {
            Target::Redirect { address, .. } => *address,
            Target::Translate(_, to) => to.addresses.map(|range| range.first),
            _ => None,
        };
        address.map(|address| if address.is_ipv4() { Family::V4 } else { Family::V6 })
    }

    /// Does to the flow what is to be done. None: the walk goes on with the next rule.
    pub(super) fn apply(&self, seen: &mut Seen, met: RuleRef) -> Option<End> {
        match self {
            Target::Accept => return Some(End::Accept(Some(met))),
            Target::Drop => return Some(End::Drop(Some(met))),
            Target::Reject(kind) => return Some(End::Reject(*kind, met)),
            Target::Redirect { address, port, mark } => {
                seen.mark = mark.set(seen.mark);
                return Some(End::Redirect { address: *address, port: *port, rule: met });
            }
            Target::Translate(kind, to) => {
                return Some(End::Translate { range: range(*kind, to, seen.destination), rule: met });
            }
            Target::Log => seen.logs.push(met),
            Target::Mark(mark) => seen.mark = mark.set(seen.mark),
            // What is not tracked has no connection to mark.
            Target::Connmark(mark) if !seen.untracked => {
                (seen.mark, seen.connmark) = mark.apply(seen.mark, seen.connmark);
            }
            Target::Notrack => seen.untracked = true,
            Target::Count | Target::Return | Target::Connmark(_) | Target::Jump(_) | Target::Goto(_) => {}
        }
        None
    }
}

fn range(kind: NatKind, to: &Translation, destination: SocketAddr) -> NatRange {
    let ports = match (to.ports, to.base) {
        // `first-last/base`: so far from the first port as the flow's is from the base, and around.
        (Some((first, last)), Some(base)) => {
            let size = u32::from(last.saturating_sub(first)) + 1;
            let port = first + (u32::from(destination.port().wrapping_sub(base)) % size) as u16;
            Some((port, port))
        }
        (ports, _) => ports,
    };
    NatRange {
        addresses: to.addresses.map(|range| (range.first, range.last)),
        ports,
        random: to.random,
        random_fully: to.random_fully,
        persistent: to.persistent,
        ..NatRange::new(kind)
    }
}
