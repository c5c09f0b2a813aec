//! What a policy's rules remember together, found by name or by the rule's own text, so that a new policy can take it
//! over from the one before.
//!
//! | kept over a reload | while |
//! | - | - |
//! | buckets of `limit`, counts of `connlimit` | the rule's text stays the same in the same chain |
//! | groups of `hashlimit` | name and parameters stay the same |
//! | lists of `recent` | the name stays, and no rule wants more times of an address than are kept |
//!
//! The tables have fixed sizes; together they take [`TABLES_BYTES_MAX`] or little more, however many rules name one.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::recent::STAMPS;
use super::{Connections, Groups, Rate, RecentList};
use crate::limits::{CONNLIMIT_GROUPS, HASHLIMIT_GROUPS_MAX, RECENT_ADDRESSES, TABLES_BYTES_MAX};
use crate::rules::{HashLimit, Limit, Match, Recent, Ruleset};

/// Bytes of a place in a table of hashlimit.
const GROUP_BYTES: usize = 32;
/// Bytes of a place in a list of recent, without its times.
const ADDRESS_BYTES: usize = 24;

/// A match of a rule: table, chain, the rule's text, which of the rules of that text, which of its matches.
pub(in crate::policy) type RuleKey = (&'static str, Arc<str>, String, u32, usize);

/// Everything that is kept.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Kept {
    rates: HashMap<RuleKey, Arc<Rate>, FixedState>,
    connections: HashMap<RuleKey, Arc<Connections>, FixedState>,
    groups: HashMap<String, Arc<Groups>, FixedState>,
    lists: HashMap<String, Arc<RecentList>, FixedState>,
    /// Times that the rules of each list want of an address.
    rings: HashMap<String, usize, FixedState>,
    /// Bytes that one table may take.
    share: usize,
}

impl Kept {
    /// Looks what rules there are, so that each table can be made at its size.
    pub(in crate::policy) fn plan(ruleset: &Ruleset) -> Kept {
        let mut kept = Kept::default();
        let mut tables = 0usize;
        let mut names: HashMap<&str, (), FixedState> = HashMap::default();
        for rule in ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules) {
            for of in &rule.criteria.matches {
                match of {
                    Match::ConnLimit(_) => tables += 1,
                    Match::HashLimit(limit) => tables += usize::from(names.insert(&limit.name, ()).is_none()),
                    Match::Recent(recent) => {
                        let wanted = usize::from(recent.value.hits.unwrap_or(0)).max(STAMPS);
                        let ring = kept.rings.entry(recent.value.name.clone()).or_insert_with(|| {
                            tables += 1;
                            wanted
                        });
                        *ring = wanted.max(*ring);
                    }
                    _ => {}
                }
            }
        }
        kept.share = TABLES_BYTES_MAX / tables.max(1);
        kept
    }

    pub(in crate::policy) fn rate(&mut self, key: RuleKey, limit: Limit, before: Option<&Kept>) -> Arc<Rate> {
        let running = before.and_then(|before| before.rates.get(&key)).cloned();
        let rate = running.unwrap_or_else(|| Arc::new(Rate::new(limit)));
        self.rates.insert(key, Arc::clone(&rate));
        rate
    }

    pub(in crate::policy) fn connections(&mut self, key: RuleKey, before: Option<&Kept>) -> Arc<Connections> {
        let running = before.and_then(|before| before.connections.get(&key)).cloned();
        let groups = (self.share / size_of::<u64>()).clamp(1, CONNLIMIT_GROUPS);
        let connections = running.unwrap_or_else(|| Arc::new(Connections::new(groups)));
        self.connections.insert(key, Arc::clone(&connections));
        connections
    }

    pub(in crate::policy) fn groups(&mut self, limit: &HashLimit, before: Option<&Kept>) -> Arc<Groups> {
        if let Some(groups) = self.groups.get(&limit.name) {
            return Arc::clone(groups);
        }
        let running = before.and_then(|before| before.groups.get(&limit.name)).filter(|groups| groups.is_for(limit));
        let places = (self.share / GROUP_BYTES).clamp(1, HASHLIMIT_GROUPS_MAX);
        let groups = running.cloned().unwrap_or_else(|| Arc::new(Groups::new(limit, places)));
        self.groups.insert(limit.name.clone(), Arc::clone(&groups));
        groups
    }

    pub(in crate::policy) fn list(&mut self, recent: &Recent, before: Option<&Kept>) -> Arc<RecentList> {
        if let Some(list) = self.lists.get(&recent.name) {
            return Arc::clone(list);
        }
        let ring = self.rings.get(&recent.name).copied().unwrap_or(STAMPS);
        let running = before.and_then(|before| before.lists.get(&recent.name)).filter(|list| list.ring() >= ring);
        let places = (self.share / (ADDRESS_BYTES + ring * size_of::<u64>())).clamp(1, RECENT_ADDRESSES);
        let list = running.cloned().unwrap_or_else(|| Arc::new(RecentList::new(places, ring)));
        self.lists.insert(recent.name.clone(), Arc::clone(&list));
        list
    }

    /// Groups and addresses that lost their place to others, over all tables.
    pub(in crate::policy) fn evicted(&self) -> u64 {
        let groups = self.groups.values().map(|groups| groups.evicted());
        groups.chain(self.lists.values().map(|list| list.evicted())).sum()
    }
}
