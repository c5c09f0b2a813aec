//! What is remembered from one decision to the next.
//!
//! ```text
//! Memory      one per core: how often each rule was met, and the connections that the decision at hand has counted
//! Kept        one per policy, shared by the cores: buckets of limit, groups of hashlimit, lists of recent, counts of
//!             connlimit. A new policy takes over what it has in common with the one before it.
//! ```
//!
//! What cores share is made of atomics, in tables of a fixed size: no core waits for another, and two that touch the same
//! place at the same instant may at worst count one flow more or less. `explain` looks with a [`Memory::observer`], which
//! changes nothing: asking about a flow must not change what becomes of the next one.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub(super) use connections::Connections;
pub(super) use groups::Groups;
pub(super) use kept::{Kept, RuleKey};
pub(super) use rate::Rate;
pub(super) use recent::RecentList;

use super::Policy;
use super::chains::ChainId;
use super::verdict::RuleRef;
use crate::limits::CONNLIMITS_PER_FLOW_MAX;
use connections::Hold;

mod connections;
mod groups;
mod kept;
mod rate;
mod recent;

#[cfg(test)]
mod tests;

/// A core's memory of the decisions it made under one policy.
#[derive(Debug, Default)]
pub struct Memory {
    rules: Vec<(u64, u64)>,
    chains: Vec<(u64, u64)>,
    acts: bool,
    of_running: bool,
    holds: Vec<Hold>,
}

/// The places that a flow takes in the counts of `-m connlimit`. Kept with the flow; when it is dropped, they are free.
#[derive(Default)]
pub struct Holds(Box<[Hold]>);

impl Memory {
    /// Nothing has been decided yet.
    pub fn new(policy: &Policy) -> Memory {
        Memory::sized(policy.chains.infos().len(), policy.chains.len())
    }

    /// With room for the counts of so many rules and chains.
    pub(super) fn sized(rules: usize, chains: usize) -> Memory {
        Memory {
            rules: vec![(0, 0); rules],
            chains: vec![(0, 0); chains],
            acts: true,
            of_running: false,
            holds: Vec::with_capacity(CONNLIMITS_PER_FLOW_MAX),
        }
    }

    /// Looks, and changes nothing.
    pub fn observer() -> Memory {
        Memory::default()
    }

    /// Looks on behalf of a flow that is there already, and changes nothing: what is used up may have been used by it.
    pub fn of_running() -> Memory {
        Memory { of_running: true, ..Memory::default() }
    }

    /// A new policy: its rules have counted nothing yet. What else they remember came with the policy.
    pub fn adopt(&mut self, policy: &Policy) {
        *self = Memory::new(policy);
    }

    /// Packets and bytes by [`RuleRef::id`].
    pub fn rule_counters(&self) -> &[(u64, u64)] {
        &self.rules
    }

    /// Packets and bytes that a built-in chain's policy decided, by [`ChainId`].
    pub fn chain_counters(&self) -> &[(u64, u64)] {
        &self.chains
    }

    /// What the flow that was decided last takes up. Whoever lets the flow in keeps it as long as the flow lives; it is
    /// to be taken after each decision, for a flow that ended takes nothing up.
    pub fn take_holds(&mut self) -> Option<Holds> {
        (!self.holds.is_empty()).then(|| Holds(self.holds.drain(..).collect()))
    }

    /// Frees what the flow that was decided last takes up: it is not let in.
    pub fn release_holds(&mut self) {
        self.holds.clear();
    }

    /// Whether the flow is there already.
    pub(super) fn is_of_running(&self) -> bool {
        self.of_running
    }

    /// Whether what is remembered may change.
    pub(super) fn acts(&self) -> bool {
        self.acts
    }

    /// Counts a flow that fits a rule.
    pub(super) fn met(&mut self, rule: RuleRef, bytes: u16) {
        count(&mut self.rules, rule.id as usize, bytes);
    }

    /// Counts a flow that a built-in chain's policy decides.
    pub(super) fn fell(&mut self, chain: ChainId, bytes: u16) {
        count(&mut self.chains, usize::from(chain.0), bytes);
    }

    /// The connections of a group, this one counted; none when there is no room to count them.
    pub(super) fn connect(&mut self, connections: &Arc<Connections>, group: IpAddr) -> Option<u32> {
        if !self.acts {
            return Some(connections.count(group) + 1);
        }
        // A rule that is visited twice on a flow's way counts it once, as Linux does, which keeps tuples.
        let mut own = self.holds.iter().filter(|hold| hold.is_of(connections));
        if own.any(|hold| hold.is_in(group)) {
            return Some(connections.count(group));
        }
        if self.holds.len() == CONNLIMITS_PER_FLOW_MAX {
            return None;
        }
        let (hold, count) = Connections::enter(connections, group)?;
        self.holds.push(hold);
        Some(count)
    }
}

fn count(counters: &mut [(u64, u64)], at: usize, bytes: u16) {
    if let Some((packets, sum)) = counters.get_mut(at) {
        *packets += 1;
        *sum += u64::from(bytes);
    }
}

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holds({})", self.0.len())
    }
}
