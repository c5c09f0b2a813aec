//! What a core remembers between decisions: how often each rule was met. One per core, touched by nobody else.
//!
//! `explain` looks with an [`Memory::observer`], which counts nothing: asking about a flow must not change what
//! becomes of the next one.

use super::Policy;
use super::verdict::RuleRef;

/// A core's memory of the decisions it made under one policy.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    rules: Vec<(u64, u64)>,
}

impl Memory {
    /// Nothing has been decided yet.
    pub fn new(policy: &Policy) -> Memory {
        Memory { rules: vec![(0, 0); policy.rules().len()] }
    }

    /// Looks, and counts nothing.
    pub fn observer() -> Memory {
        Memory::default()
    }

    /// A new policy: its rules have counted nothing yet.
    pub fn adopt(&mut self, policy: &Policy) {
        *self = Memory::new(policy);
    }

    /// Packets and bytes by [`RuleRef::id`].
    pub fn rule_counters(&self) -> &[(u64, u64)] {
        &self.rules
    }

    pub(super) fn met(&mut self, rule: RuleRef, bytes: u16) {
        if let Some((packets, sum)) = self.rules.get_mut(rule.id as usize) {
            *packets += 1;
            *sum += u64::from(bytes);
        }
    }
}
