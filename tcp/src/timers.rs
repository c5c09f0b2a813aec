//! All deadlines of a connection: one table, each with its name and when it is set.
//!
//! A timer that has fired is stopped before its consequence is worked out; whoever wants it again sets it again, always
//! later than now. So no deadline stays in the past.

use crate::time::Instant;

/// The timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Timer {
    /// When to send the SYN or SYN-ACK again.
    Handshake,
    /// When to take what is in flight for lost (RFC 6298). Set while anything is in flight.
    Retransmit,
    /// When to probe for a lost tail (RFC 8985, 7). Set while data is in flight, SACK is on and nothing was lost.
    LossProbe,
    /// When segments that might only be reordered count as lost (RFC 8985, 6.2, step 5).
    Reordering,
    /// When the next paced burst may go. Set while there is output that only pacing holds back.
    Pace,
    /// When to probe a closed window (RFC 9293, 3.8.6.1). Set while there is data, none in flight, and no window.
    Persist,
    /// When an acknowledgment has waited long enough for company (RFC 9293, 3.8.6.3).
    DelayedAck,
    /// When to ask a silent peer whether it lives (RFC 9293, 3.8.4).
    KeepAlive,
    /// When unacknowledged data has waited too long (RFC 5482).
    UserTimeout,
    /// When to stop waiting for the FIN of a peer that nobody listens to.
    FinWait2,
    /// When two maximum segment lifetimes have passed (RFC 9293, 3.10.8).
    TimeWait,
}

impl Timer {
    /// All of them, in the order in which they are looked at.
    pub(crate) const ALL: [Timer; 11] = [
        Timer::Handshake,
        Timer::TimeWait,
        Timer::FinWait2,
        Timer::UserTimeout,
        Timer::Reordering,
        Timer::LossProbe,
        Timer::Retransmit,
        Timer::Pace,
        Timer::Persist,
        Timer::KeepAlive,
        Timer::DelayedAck,
    ];
}

/// When each timer fires.
#[derive(Clone, Debug)]
pub(crate) struct Timers {
    at: [Instant; Timer::ALL.len()],
}

impl Timers {
    /// None set.
    pub(crate) fn new() -> Timers {
        Timers { at: [Instant::NEVER; Timer::ALL.len()] }
    }

    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.at[timer as usize] = at;
    }

    pub(crate) fn set_if_stopped(&mut self, timer: Timer, at: Instant) {
        if !self.is_set(timer) {
            self.set(timer, at);
        }
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.at[timer as usize] = Instant::NEVER;
    }

    pub(crate) fn stop_all(&mut self) {
        *self = Timers::new();
    }

    /// When it fires; later than everything if it is stopped.
    pub(crate) fn at(&self, timer: Timer) -> Instant {
        self.at[timer as usize]
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.at[timer as usize] != Instant::NEVER
    }

    /// Whether `timer` is due; if so, stops it.
    pub(crate) fn fire(&mut self, timer: Timer, now: Instant) -> bool {
        let due = self.is_set(timer) && self.at[timer as usize] <= now;
        if due {
            self.stop(timer);
        }
        due
    }

    /// The earliest.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.at.iter().copied().min().filter(|at| *at != Instant::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_next_and_fires_once() {
        let mut timers = Timers::new();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Persist, Instant::from_micros(30));
        timers.set(Timer::DelayedAck, Instant::from_micros(10));
        timers.set_if_stopped(Timer::DelayedAck, Instant::from_micros(20));
        assert_eq!(timers.next(), Some(Instant::from_micros(10)));
        assert!(!timers.fire(Timer::DelayedAck, Instant::from_micros(9)));
        assert!(timers.fire(Timer::DelayedAck, Instant::from_micros(10)));
        assert!(!timers.fire(Timer::DelayedAck, Instant::from_micros(10)));
        assert_eq!(timers.next(), Some(Instant::from_micros(30)));
        timers.stop_all();
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn every_timer_is_in_the_list_once() {
        let mut seen = [false; Timer::ALL.len()];
        for timer in Timer::ALL {
            assert!(!std::mem::replace(&mut seen[timer as usize], true), "{timer:?}");
        }
    }
}
