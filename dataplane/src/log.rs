//! What a core tells about flows as they are decided: those that are not let in, and those that a LOG rule met.
//!
//! A core formats nothing and waits for nobody: it hands the decision to the control thread over a bounded channel.
//! Whoever sends a million forbidden SYNs fills a token bucket and no disk: what is beyond it is counted, and told in
//! one line once a second. Left out: later packets of a flow, which are not decided.

use control::mailbox::{DecidedFlow, FromCore};
use control::policy::{Decision, NewFlow, Verdict};
use std::sync::Arc;
use std::time::Duration;
use tcp::Instant;

use crate::counters::Counter;
use crate::limits::{self, Rate, TokenBucket};
use crate::nic::Nic;
use crate::worker::Worker;

pub mod format;

/// A core's part of the log.
#[derive(Debug)]
pub(crate) struct FlowLog {
    bucket: TokenBucket,
    suppressed: u64,
    tell: Instant,
    /// Whether forwarded flows leave a line at their end, too.
    pub(crate) forwarded: bool,
}

impl Default for FlowLog {
    fn default() -> Self {
        let rate = Rate::new(limits::LOGGED_FLOWS_PER_SECOND, limits::LOGGED_FLOWS_BURST);
        Self { bucket: TokenBucket::new(rate), suppressed: 0, tell: Instant::ZERO, forwarded: false }
    }
}

impl<N: Nic> Worker<N> {
    /// Forwarded flows leave a line in the log when they end.
    pub fn log_forwarded(&mut self, wanted: bool) {
        self.log.forwarded = wanted;
    }

    /// Hands a decision on if somebody wants to read it.
    pub(crate) fn log_decision(&mut self, now: Instant, flow: &NewFlow, decision: &Decision) {
        let denied = matches!(decision.verdict, Verdict::Drop(_) | Verdict::Reject(_));
        if denied || !decision.logs.rules().is_empty() {
            self.log_flow(now, flow, decision, None);
        }
    }

    /// A flow that the policy let in, and something else did not.
    pub(crate) fn log_refused(&mut self, now: Instant, flow: &NewFlow, decision: &Decision, reason: Counter) {
        self.log_flow(now, flow, decision, Some((reason.name(), reason.sentence())));
    }

    fn log_flow(
        &mut self,
        now: Instant,
        flow: &NewFlow,
        decision: &Decision,
        refused: Option<(&'static str, &'static str)>,
    ) {
        if !self.log.bucket.take(now) {
            if self.log.suppressed == 0 {
                self.log.tell = now + Duration::from_secs(1);
            }
            self.log.suppressed += 1;
            return self.counters.count(Counter::LogSuppressed);
        }
        let policy = Arc::clone(&self.policy);
        let line = DecidedFlow { core: self.core, policy, flow: *flow, decision: *decision, refused };
        if self.control.try_send(FromCore::Decided(line)).is_err() {
            self.counters.count(Counter::RecordLost);
        }
    }

    /// Tells how many flows were not logged.
    pub(crate) fn tell_suppressed(&mut self, now: Instant) -> usize {
        if self.log.suppressed == 0 || now < self.log.tell {
            return 0;
        }
        let told = FromCore::Suppressed { core: self.core, flows: std::mem::take(&mut self.log.suppressed) };
        if self.control.try_send(told).is_err() {
            self.counters.count(Counter::RecordLost);
        }
        1
    }

    /// When [`Worker::tell_suppressed`] has something to do.
    pub(crate) fn suppressed_due(&self) -> Option<Instant> {
        (self.log.suppressed > 0).then_some(self.log.tell)
    }
}
