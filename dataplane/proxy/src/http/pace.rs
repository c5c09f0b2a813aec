//! Whom a body waits for, and how long it has waited for each: a slow client is told from a slow server by this.
//!
//! Time is charged to whoever the body last waited for, from one look at it to the next. The rate that a service asks for
//! counts only against the time that a peer has kept the body waiting, beyond a grace.

use std::time::Duration;

/// Whom a body waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    Nobody,
    Sender,
    Receiver,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    waits: Waits,
    /// When it was last looked at, and when bytes last moved.
    since: Duration,
    active: Duration,
    /// Time that its sender and its receiver have kept it waiting, the present wait not counted.
    waited: (Duration, Duration),
}

impl Pace {
    pub(super) fn new(now: Duration) -> Pace {
        Pace { waits: Waits::Nobody, since: now, active: now, waited: (Duration::ZERO, Duration::ZERO) }
    }

    /// Whom it waits for now.
    pub(super) fn waits(&self) -> Waits {
        self.waits
    }

    /// When bytes last moved.
    pub(super) fn active(&self) -> Duration {
        self.active
    }

    /// It is looked at again: the time since then is charged.
    pub(super) fn charge(&mut self, now: Duration) {
        let waited = now.saturating_sub(self.since);
        match self.waits {
            Waits::Sender => self.waited.0 += waited,
            Waits::Receiver => self.waited.1 += waited,
            Waits::Nobody => {}
        }
        self.since = now;
    }

    /// Bytes moved.
    pub(super) fn moves(&mut self, now: Duration) {
        self.active = now;
    }

    /// From now on it waits for that side.
    pub(super) fn wait(&mut self, waits: Waits) {
        self.waits = waits;
    }

    /// When its sender, or its receiver, will have kept it waiting for longer than `grace` and a rate of bytes in a second
    /// permit, should nothing come after the bytes that have `moved`.
    pub(super) fn slow_at(&self, who: Waits, grace: Duration, rate: u64, moved: u64) -> Option<Duration> {
        if self.waits != who {
            return None;
        }
        let waited = if who == Waits::Sender { self.waited.0 } else { self.waited.1 };
        let earned = Duration::from_millis(moved.saturating_mul(1000).checked_div(rate)?);
        Some(self.since.saturating_add((grace + earned).saturating_sub(waited)))
    }
}
