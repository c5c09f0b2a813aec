//! Sets of addresses, networks and ports that rules ask (`-m set`) and that change while the gateway runs.
//!
//! A set's members are in a hash table of atomics ([`table::Table`]): cores look up without waiting, and the control
//! thread, the only one that writes, adds and deletes in place. When a table must grow, is flushed or is swapped with
//! another's, a new one takes its place at once; a core that is in the middle of a look-up finishes it in the old one. So
//! a change is seen by all cores from the next look-up on, without a reload and without a letter.
//!
//! Networks are found by their lengths, longest first, as ipset finds them: a look-up costs a probe for each length that
//! the set has. A member marked `nomatch` is an exception from shorter ones that cover it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::limits::SET_MEMBERS_MAX;
use crate::rules::SetDirection;
pub use member::{Member, SetKind};
use table::Table;

mod member;
mod table;

#[cfg(test)]
mod tests;

/// A set as a configuration defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetDefinition {
    /// Its name.
    pub name: String,
    /// What its members are.
    pub kind: SetKind,
    /// What it begins with.
    pub members: Vec<Member>,
}

/// A set.
#[derive(Debug)]
pub struct Set {
    definition: SetDefinition,
    table: ArcSwap<Table>,
}

/// All sets of a policy, by name.
#[derive(Clone, Debug, Default)]
pub struct Sets(BTreeMap<String, Arc<Set>>);

/// Why a set was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError {
    /// The member is not of the set's kind.
    Kind,
    /// The set has as many members as a set may have.
    Full,
    /// Two sets of different kinds cannot be swapped.
    Unlike,
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetError::Kind => f.write_str("the member is not of the kind of the set"),
            SetError::Full => write!(f, "a set has at most {SET_MEMBERS_MAX} members"),
            SetError::Unlike => f.write_str("sets of different kinds cannot be swapped"),
        }
    }
}

impl Sets {
    /// The sets of a configuration. A set that is defined as before goes on with the members it has, those that were
    /// added since included; one that is defined otherwise begins with what is written.
    pub(super) fn compile(definitions: &[SetDefinition], before: Option<&Sets>) -> Result<Sets, (String, SetError)> {
        let mut sets = BTreeMap::new();
        for definition in definitions {
            let running = before.and_then(|before| before.get(&definition.name));
            let set = match running.filter(|set| set.definition == *definition) {
                Some(set) => Arc::clone(set),
                None => Arc::new(Set::new(definition).map_err(|error| (definition.name.clone(), error))?),
            };
            sets.insert(definition.name.clone(), set);
        }
        Ok(Sets(sets))
    }

    /// The set of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Set>> {
        self.0.get(name)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Set>> {
        self.0.values()
    }
}

impl Set {
    /// A set with the members it begins with.
    pub fn new(definition: &SetDefinition) -> Result<Set, SetError> {
        if definition.members.iter().any(|member| !member.is_of(definition.kind)) {
            return Err(SetError::Kind);
        }
        if definition.members.len() > SET_MEMBERS_MAX {
            return Err(SetError::Full);
        }
        let table = Table::of(definition.kind.has_port(), &definition.members);
        Ok(Set { definition: definition.clone(), table: ArcSwap::from_pointee(table) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// What its members are.
    pub fn kind(&self) -> SetKind {
        self.definition.kind
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.table.load().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a flow's addresses are in it, each dimension looked up with what its direction says. A flow that is asked
    /// for fewer dimensions than the set has is in none.
    pub fn contains(
        &self,
        protocol: u8,
        source: SocketAddr,
        destination: SocketAddr,
        directions: &[SetDirection],
    ) -> bool {
        let end = |direction: &SetDirection| match direction {
            SetDirection::Source => source,
            SetDirection::Destination => destination,
        };
        let Some(address) = directions.first().map(end) else { return false };
        let port = match (self.kind().has_port(), directions.get(1).map(end)) {
            (false, _) => None,
            (true, Some(end)) => Some((protocol, end.port())),
            (true, None) => return false,
        };
        let second = match (self.kind().has_second(), directions.get(2).map(end)) {
            (false, _) => None,
            (true, Some(end)) => Some(end.ip()),
            (true, None) => return false,
        };
        self.table.load().contains(address.ip(), port, second)
    }

    /// Whether an address is in the set; of a network, whether the set has exactly this one.
    pub fn test(&self, member: &Member) -> bool {
        let table = self.table.load();
        let whole = member.network.prefix_len() == member.network.max_prefix_len();
        if whole { table.contains(member.network.addr(), member.port, member.second) } else { table.has(member) }
    }

    /// Adds a member; false: it was there. Only the control thread calls this and what follows.
    pub fn add(&self, member: &Member) -> Result<bool, SetError> {
        if !member.is_of(self.kind()) {
            return Err(SetError::Kind);
        }
        let table = self.table.load_full();
        if table.len() >= SET_MEMBERS_MAX && !table.has(member) {
            return Err(SetError::Full);
        }
        if let Some(added) = table.add(member) {
            return Ok(added);
        }
        let larger = table.grown();
        let added = larger.add(member).unwrap_or(false);
        self.table.store(Arc::new(larger));
        Ok(added)
    }

    /// Takes a member out; false: it was not there.
    pub fn delete(&self, member: &Member) -> bool {
        self.table.load().delete(member)
    }

    /// Takes all members out.
    pub fn flush(&self) {
        self.table.store(Arc::new(Table::of(self.kind().has_port(), &[])));
    }

    /// Gives each the other's members, at once for each: a core may look between the two.
    pub fn swap(&self, other: &Set) -> Result<(), SetError> {
        if self.kind() != other.kind() {
            return Err(SetError::Unlike);
        }
        let theirs = other.table.swap(self.table.load_full());
        self.table.store(theirs);
        Ok(())
    }

    /// Up to `limit` members, in no order.
    pub fn members(&self, limit: usize) -> Vec<Member> {
        self.table.load().members().take(limit).collect()
    }
}
