//! A policy on probation: decided by for a while, then given up for the one before, by this core's own clock.
//!
//! What must hold: the core goes back when the time is up whatever has become of the control thread, of who asked it,
//! and of the connection they spoke over. Only a letter that says the policy is to stay keeps it
//! ([`control::mailbox::ToCore::Policy`]). What comes back has the counts of its rules as they were.

use std::sync::Arc;
use std::time::Duration;

use control::mailbox::FromCore;
use control::policy::{Memory, Policy};
use tcp::Instant;

use super::redecide::Redecide;
use crate::counters::Counter;
use crate::nic::Nic;
use crate::worker::Worker;

/// What comes back, and when.
pub(crate) struct Probation {
    before: Arc<Policy>,
    memory: Memory,
    until: Instant,
}

impl<N: Nic> Worker<N> {
    /// New flows are decided by this policy for so long.
    pub(super) fn try_out(&mut self, now: Instant, policy: Arc<Policy>, for_us: u64) {
        let until = now + Duration::from_micros(for_us);
        let memory = std::mem::replace(&mut self.memory, Memory::new(&policy));
        let before = Arc::clone(&self.policy);
        // One after the other, none of them kept: what comes back is what ran before the first.
        self.probation = Some(match self.probation.take() {
            Some(first) => Probation { until, ..first },
            None => Probation { before, memory, until },
        });
        self.enact(policy);
    }

    /// From now on new flows are decided by this policy, for good; those that are keep theirs.
    pub(super) fn adopt(&mut self, policy: Arc<Policy>) {
        let probation = self.probation.take();
        // It was on probation and is to stay, or this core has gone back to it already.
        if policy.generation() == self.policy.generation() {
            return;
        }
        match probation.filter(|probation| probation.before.generation() == policy.generation()) {
            Some(probation) => self.go_back(probation),
            None => {
                self.memory.adopt(&policy);
                self.enact(policy);
            }
        }
    }

    /// Goes back when the time is up and nobody has said that the policy is to stay.
    pub(crate) fn end_probation(&mut self, now: Instant) -> usize {
        let Some(probation) = self.probation.take_if(|probation| probation.until <= now) else { return 0 };
        let tested = self.policy.generation();
        self.go_back(probation);
        self.counters.count(Counter::ProbationEnded);
        self.redecide = Some(Redecide::of(Some(tested)));
        let text = format!(
            "core {}: policy {tested} was on probation and nobody has kept it: {} decides again",
            self.core,
            self.policy.generation()
        );
        if self.control.try_send(FromCore::Notice(text)).is_err() {
            self.counters.count(Counter::RecordLost);
        }
        1
    }

    fn go_back(&mut self, probation: Probation) {
        self.memory = probation.memory;
        self.enact(probation.before);
    }

    /// When [`Worker::end_probation`] has something to do.
    pub(crate) fn probation_until(&self) -> Option<Instant> {
        self.probation.as_ref().map(|probation| probation.until)
    }
}
