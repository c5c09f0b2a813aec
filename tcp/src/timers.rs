//! All deadlines of a connection: one table, each with its name and when it is set, and one moment for the owner's timer.
//!
//! A timer that has fired is stopped before its consequence is worked out; whoever wants it again sets it again, always
//! later than now. So no deadline stays in the past.
//!
//! The owner's moment moves lazily: a timer set earlier moves it forward at once, but one that is stopped or set anew to a
//! later time, as the retransmission timer is by every acknowledgment, leaves it where it is. It then comes too early once,
//! nothing is due, and the table is looked through. Asking for it costs one comparison.

use crate::lazy::{Empty, Lazy};
use crate::time::Instant;

/// The timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Timer {
    /// When to take what is in flight for lost (RFC 6298). Set while anything is in flight.
    Retransmit,
    /// When to probe for a lost tail (RFC 8985, 7). Set while data is in flight, SACK is on and nothing was lost.
    LossProbe,
    /// When an acknowledgment has waited long enough for company (RFC 9293, 3.8.6.3).
    DelayedAck,
    /// When to send the SYN or SYN-ACK again.
    Handshake,
    /// When segments that might only be reordered count as lost (RFC 8985, 6.2, step 5).
    Reordering,
    /// When the next paced burst may go. Set while there is output that only pacing holds back.
    Pace,
    /// When to probe a closed window (RFC 9293, 3.8.6.1). Set while there is data, none in flight, and no window.
    Persist,
    /// When to ask a silent peer whether it lives (RFC 9293, 3.8.4).
    KeepAlive,
    /// When unacknowledged data has waited too long (RFC 5482).
    UserTimeout,
    /// When to stop waiting for the FIN of a peer that nobody listens to.
    FinWait2,
    /// When two maximum segment lifetimes have passed (RFC 9293, 3.10.8).
    TimeWait,
    /// When to give back the memory of queues that are empty. Set while nothing waits for anything.
    Rest,
}

impl Timer {
    /// All of them, in the order in which they are looked at.
    pub(crate) const ALL: [Timer; 12] = [
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
        Timer::Rest,
    ];
}

/// Timers that a connection which only transfers data needs; they come first in [`Timer`].
const OFTEN: usize = 3;

/// When each timer fires.
#[derive(Debug)]
pub(crate) struct Timers {
    /// Nothing fires before; what the owner is told.
    wake: Instant,
    rare: Lazy<Rare>,
    /// Microseconds modulo 2^32, from `wake` on: they fire within minutes of being set, and an owner that comes an hour late
    /// finds them early.
    often: [u32; OFTEN],
    /// Which are set: bit n is the timer with that number.
    set: u16,
}

/// When the other timers fire.
#[derive(Debug)]
struct Rare([Instant; Timer::ALL.len() - OFTEN]);

impl Empty for Rare {
    const EMPTY: &'static Rare = &Rare([Instant::NEVER; Timer::ALL.len() - OFTEN]);

    fn new() -> Rare {
        Rare([Instant::NEVER; Timer::ALL.len() - OFTEN])
    }

    fn is_forgettable(&self) -> bool {
        true
    }
}

impl Timers {
    /// None set.
    pub(crate) fn new() -> Timers {
        Timers { wake: Instant::NEVER, rare: Lazy::new(), often: [0; OFTEN], set: 0 }
    }

    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.wake = if self.set == 0 { at } else { self.wake.min(at) };
        self.set |= 1 << timer as usize;
        match (timer as usize).checked_sub(OFTEN) {
            None => self.often[timer as usize] = self.wake.modulo(at),
            Some(index) => self.rare.0[index] = at,
        }
    }

    pub(crate) fn set_if_stopped(&mut self, timer: Timer, at: impl FnOnce() -> Instant) {
        if !self.is_set(timer) {
            self.set(timer, at());
        }
    }

    /// Sets a timer that is to run and does not; stops one that is not to run.
    pub(crate) fn keep(&mut self, timer: Timer, wanted: bool, at: impl FnOnce() -> Instant) {
        if wanted { self.set_if_stopped(timer, at) } else { self.stop(timer) }
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.set &= !(1 << timer as usize);
    }

    pub(crate) fn stop_all(&mut self) {
        *self = Timers::new();
    }

    /// When it fires; later than everything if it is stopped.
    pub(crate) fn at(&self, timer: Timer) -> Instant {
        if !self.is_set(timer) {
            return Instant::NEVER;
        }
        match (timer as usize).checked_sub(OFTEN) {
            None => self.wake.after(self.often[timer as usize]),
            Some(index) => self.rare.0[index],
        }
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.set & 1 << timer as usize != 0
    }

    /// Whether `timer` is due; if so, stops it.
    pub(crate) fn fire(&mut self, timer: Timer, now: Instant) -> bool {
        let due = self.at(timer) <= now && self.is_set(timer);
        if due {
            self.stop(timer);
        }
        due
    }

    /// When to look at them next: not later than the earliest, and in the future once [`settle`](Timers::settle) was called.
    pub(crate) fn next(&self) -> Option<Instant> {
        (self.set != 0).then_some(self.wake)
    }

    /// Whether any may be due.
    pub(crate) fn may_fire(&self, now: Instant) -> bool {
        self.set != 0 && self.wake <= now
    }

    /// If the owner's moment has come, finds the next one.
    pub(crate) fn settle(&mut self, now: Instant) {
        if self.may_fire(now) {
            let earliest = Timer::ALL.iter().map(|timer| self.at(*timer)).min();
            self.wake = earliest.unwrap_or(Instant::NEVER);
        }
    }

    /// Whether memory is held for rare timers of which none is set.
    pub(crate) fn is_held(&self) -> bool {
        self.rare.is_held() && self.set >> OFTEN == 0
    }

    /// Gives that memory back.
    pub(crate) fn rest(&mut self) {
        if self.set >> OFTEN == 0 {
            self.rare.rest();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn the_earliest_is_next_and_fires_once() {
        let mut timers = Timers::new();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Persist, at(30));
        timers.set(Timer::DelayedAck, at(10));
        timers.set_if_stopped(Timer::DelayedAck, || at(20));
        assert_eq!(timers.next(), Some(at(10)));
        assert!(!timers.fire(Timer::DelayedAck, at(9)));
        assert!(timers.fire(Timer::DelayedAck, at(10)));
        assert!(!timers.fire(Timer::DelayedAck, at(10)));
        timers.settle(at(10));
        assert_eq!(timers.next(), Some(at(30)));
        timers.stop_all();
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn what_is_put_off_moves_the_owner_s_timer_only_when_that_rings() {
        let mut timers = Timers::new();
        for now in 0..50 {
            timers.stop(Timer::Retransmit);
            timers.set_if_stopped(Timer::Retransmit, || at(now + 200));
            timers.set(Timer::Persist, at(1_000));
            timers.settle(at(now));
            assert_eq!(timers.next(), Some(at(200)));
        }
        assert!(timers.may_fire(at(200)) && !timers.fire(Timer::Retransmit, at(200)), "too early, once");
        timers.settle(at(200));
        assert_eq!(timers.next(), Some(at(249)));
        // The last one stopped: there is no deadline, and what it was does not count for the next.
        timers.stop(Timer::Retransmit);
        timers.stop(Timer::Persist);
        assert_eq!(timers.next(), None);
        timers.set(Timer::Rest, at(5_000));
        assert_eq!(timers.next(), Some(at(5_000)));
    }

    #[test]
    fn rare_timers_take_memory_only_while_there_are_any() {
        let mut timers = Timers::new();
        timers.set(Timer::Retransmit, at(1));
        assert!(!timers.rare.is_held());
        timers.set(Timer::Handshake, at(2));
        timers.rest();
        assert!(timers.rare.is_held() && !timers.is_held());
        timers.stop(Timer::Handshake);
        assert!(timers.is_held());
        timers.rest();
        assert_eq!((timers.is_held(), timers.at(Timer::Handshake)), (false, Instant::NEVER));
    }

    #[test]
    fn every_timer_is_in_the_list_once() {
        let mut seen = [false; Timer::ALL.len()];
        for timer in Timer::ALL {
            assert!(!std::mem::replace(&mut seen[timer as usize], true), "{timer:?}");
        }
    }
}
