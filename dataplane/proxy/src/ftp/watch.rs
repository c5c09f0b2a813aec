//! The clock of a session: when something was last said or moved, and when it has to be over.

use std::cell::Cell;
use std::time::Duration;

use crate::host::Host;
use crate::outcome::Reason;

/// All deadlines of a session.
#[derive(Debug)]
pub(super) struct Watch {
    /// When a line came or a byte of data moved.
    active: Cell<Duration>,
    /// Until when the user has to be logged in; none: it is.
    login: Cell<Option<Duration>>,
    /// How long logging in may take.
    login_time: Duration,
    /// Silence that ends it.
    idle: Duration,
    /// Ends it, whatever moves.
    end: Option<Duration>,
}

impl Watch {
    /// From now on.
    pub(super) fn new(now: Duration, idle: Duration, login_time: Duration, total: Option<Duration>) -> Watch {
        Watch {
            active: Cell::new(now),
            login: Cell::new(Some(now.saturating_add(login_time))),
            login_time,
            idle,
            end: total.map(|total| now.saturating_add(total)),
        }
    }

    /// Something was said, or moved.
    pub(super) fn touch(&self, now: Duration) {
        self.active.set(now);
    }

    /// The user is logged in.
    pub(super) fn logged_in(&self) {
        self.login.set(None);
    }

    /// The user has to log in anew.
    pub(super) fn logged_out(&self, now: Duration) {
        self.login.set(Some(now.saturating_add(self.login_time)));
    }

    /// How long silence may last.
    pub(super) fn idle(&self) -> Duration {
        self.idle
    }

    /// Ready when time is over, with what for.
    pub(super) async fn expired<H: Host>(&self, host: &H) -> Reason {
        loop {
            let now = host.now();
            let (at, reason) = self.next();
            if at <= now {
                return reason;
            }
            // Deadlines move away mostly; a log-in that begins anew brings a nearer one, seen this much later at most.
            host.sleep((at - now).min(self.login_time)).await;
        }
    }

    fn next(&self) -> (Duration, Reason) {
        let idle = (self.active.get().saturating_add(self.idle), Reason::IdleTimeout);
        let login = self.login.get().map(|at| (at, Reason::ClientTooSlow));
        let end = self.end.map(|at| (at, Reason::TotalTimeout));
        [Some(idle), login, end].into_iter().flatten().min_by_key(|(at, _)| *at).unwrap_or(idle)
    }
}
