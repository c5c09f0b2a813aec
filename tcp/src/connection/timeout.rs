//! When a deadline comes: each timer's consequence, and when to set which. There is one deadline, the earliest.

use std::time::Duration;

use crate::connection::hot::{Beat, Marks};
use crate::connection::{Connection, Error, Signals};
use crate::limits;
use crate::payload::Payload;
use crate::state::State;
use crate::time::Instant;
use crate::timers::Timer;

impl<P: Payload> Connection<P> {
    /// To be called when [`deadline`](Connection::deadline) has come; earlier or later does no harm.
    pub fn handle_timeout(&mut self, now: Instant) -> Signals {
        let mut signals = Signals::empty();
        if !self.beat.timers.may_fire(now) {
            return signals;
        }
        for timer in Timer::ALL {
            if self.beat.timers.fire(timer, now) {
                signals |= self.on_timer(now, timer);
            }
        }
        self.beat.timers.settle(now);
        signals
    }

    fn on_timer(&mut self, now: Instant, timer: Timer) -> Signals {
        match timer {
            Timer::Handshake => return self.on_handshake_timeout(),
            Timer::TimeWait => return self.on_time_wait_over(),
            Timer::FinWait2 | Timer::UserTimeout => return self.give_up(Error::TimedOut),
            Timer::Reordering => {
                if let Some(at) = self.transmit.on_reordering_timeout(now) {
                    self.beat.timers.set(Timer::Reordering, at);
                }
            }
            Timer::LossProbe => {
                self.transmit.on_probe_timeout();
                // RFC 8985, 7.3: "Rearm the RTO timer": the probe gets its time to be answered.
                self.beat.timers.stop(Timer::Retransmit);
            }
            Timer::Retransmit => return self.on_retransmit_timeout(now),
            // Output is asked for after every call.
            Timer::Pace => {}
            Timer::Persist => return self.on_persist_timeout(),
            Timer::KeepAlive => return self.on_keepalive_timeout(now),
            Timer::DelayedAck => self.receive.acknowledge.now = true,
            Timer::Rest => self.on_rest(now),
        }
        Signals::empty()
    }

    /// The SYN or SYN-ACK was not answered.
    fn on_handshake_timeout(&mut self) -> Signals {
        let most = if self.beat.state == State::SynSent { self.terms.syn_retries } else { self.terms.syn_ack_retries };
        self.retries = self.retries.saturating_add(1);
        if self.retries > most {
            return self.fail(Error::TimedOut);
        }
        self.transmit.rtt.back_off();
        self.syn_due = true;
        Signals::empty()
    }

    /// RFC 9293, 3.8.3 (R2): too often is too often. A peer that answers, but with a closed window, is there: that is
    /// never too often (3.8.6.1: "as long as the receiving TCP peer continues to send acknowledgments ... the sending TCP
    /// implementation MUST allow the connection to stay open").
    fn on_retransmit_timeout(&mut self, now: Instant) -> Signals {
        if !self.transmit.has_outstanding() {
            return Signals::empty();
        }
        let answered = self.beat.take(Marks::HEARD) && self.transmit.is_window_closed() && !self.is_unwanted();
        self.retries = if answered { 0 } else { self.retries.saturating_add(1) };
        if self.retries > self.terms.retries {
            return self.give_up(Error::TimedOut);
        }
        self.transmit.on_timeout(now);
        Signals::empty()
    }

    /// The window stayed closed, or too small: send what fits, or ask.
    fn on_persist_timeout(&mut self) -> Signals {
        let squats = self.is_unwanted() && self.persist_backoff >= limits::UNWANTED_PROBES_MAX;
        if squats || self.beat.probes > self.terms.retries {
            return self.give_up(Error::TimedOut);
        }
        if !self.transmit.allow_small() {
            self.beat.marks.insert(Marks::PROBE_DUE);
            self.beat.probes = self.beat.probes.saturating_add(1);
        }
        self.persist_backoff = self.persist_backoff.saturating_add(1);
        Signals::empty()
    }

    /// RFC 6429: nobody reads any more, or memory is short, so a window that stays closed is not waited for without end.
    fn is_unwanted(&self) -> bool {
        self.is_deaf() || self.receive.is_pressed()
    }

    fn on_keepalive_timeout(&mut self, now: Instant) -> Signals {
        let Some(keepalive) = self.terms.keepalive() else { return Signals::empty() };
        let due = self.heard_at(now) + keepalive.idle;
        if due > now || self.transmit.has_outstanding() {
            // Something came meanwhile, or other timers watch the peer.
            self.beat.timers.set(Timer::KeepAlive, due.max(now + keepalive.interval));
            return Signals::empty();
        }
        if self.beat.probes >= keepalive.probes {
            return self.give_up(Error::TimedOut);
        }
        self.beat.marks.insert(Marks::PROBE_DUE);
        self.beat.probes = self.beat.probes.saturating_add(1);
        self.beat.timers.set(Timer::KeepAlive, now + keepalive.interval);
        Signals::empty()
    }

    /// All output is drained: sets what must be watched, stops what need not.
    pub(super) fn rearm(&mut self, now: Instant) {
        if self.beat.state.is_synchronized() && self.beat.state != State::TimeWait {
            self.rearm_synchronized(now);
        }
        self.beat.timers.settle(now);
    }

    fn rearm_synchronized(&mut self, now: Instant) {
        let outstanding = self.transmit.has_outstanding();
        let Connection { transmit, beat: Beat { timers, .. }, .. } = self;
        timers.keep(Timer::Retransmit, outstanding, || now + transmit.rtt.timeout());
        // RFC 8985, 7.2: "If the time of the RTO expiry is earlier, use it".
        let expiry = timers.at(Timer::Retransmit);
        timers.keep(Timer::LossProbe, transmit.may_probe(), || (now + transmit.probe_timeout()).min(expiry));
        match self.transmit.paced_until() {
            Some(at) => self.beat.timers.set(Timer::Pace, at),
            None => self.beat.timers.stop(Timer::Pace),
        }
        let blocked = !outstanding && self.transmit.has_unsent();
        if !blocked {
            self.persist_backoff = 0;
        }
        if blocked {
            let at = now + self.persist_interval();
            self.beat.timers.set_if_stopped(Timer::Persist, || at);
        } else {
            self.beat.timers.stop(Timer::Persist);
        }
        let timeout = self.terms.user_timeout().filter(|_| outstanding || self.beat.probes > 0);
        self.beat.timers.keep(Timer::UserTimeout, timeout.is_some(), || now + timeout.unwrap_or_default());
        if !outstanding {
            self.beat.timers.stop(Timer::Reordering);
            if !blocked && !self.beat.timers.is_set(Timer::Rest) && self.is_held() {
                self.beat.timers.set(Timer::Rest, now + self.rest_interval());
            }
        }
    }

    /// Memory is held that an idle connection can do without; what RACK remembers of reordering is not.
    fn is_held(&self) -> bool {
        self.transmit.is_held() || self.receive.is_held() || self.beat.timers.is_held()
    }

    /// When the peer was heard last, to a millisecond; of the last 49 days.
    fn heard_at(&self, now: Instant) -> Instant {
        let age = now.tick().wrapping_sub(self.beat.last_heard);
        Instant::from_micros(now.as_millis().saturating_sub(u64::from(age)) * 1_000)
    }

    fn rest_interval(&self) -> Duration {
        limits::REST.max(self.transmit.rtt.timeout())
    }

    /// If it was quiet, gives memory back; if not, whoever finds it quiet sets the timer again.
    fn on_rest(&mut self, now: Instant) {
        if self.transmit.has_outstanding() || self.transmit.has_unsent() {
            return;
        }
        let quiet_at = self.heard_at(now).max(self.transmit.last_sent()) + self.rest_interval();
        if now < quiet_at {
            self.beat.timers.set(Timer::Rest, quiet_at);
            return;
        }
        self.transmit.rest();
        self.receive.rest();
        self.beat.timers.rest();
    }

    /// RFC 9293, 3.8.6.1 (SHLD-29, SHLD-30): first after a retransmission timeout, then ever longer.
    fn persist_interval(&self) -> Duration {
        let base = self.transmit.rtt.timeout();
        base.saturating_mul(1 << self.persist_backoff.min(12)).min(limits::RTO_MAX)
    }
}

#[cfg(test)]
mod tests;
