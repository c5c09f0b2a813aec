//! Congestion control: how much may be in flight.
//!
//! One window and one threshold, which recovery reads and sets; what differs between the algorithms, growth without loss
//! and how far to fall, is in an enum: the set is closed. Slow start is the same for all and leaves early by HyStart++.
//! What must hold: the window is at least one segment; it grows only while it is what limits us, and a loss falls from what
//! was used of it (RFC 7661, `validation.rs`).

mod bbr;
mod cubic;
mod hystart;
mod newreno;
mod rate;
mod validation;

use std::time::Duration;

use bbr::Bbr;
pub(crate) use bbr::Progress;
use cubic::Cubic;
use hystart::HyStart;
use newreno::NewReno;
pub(crate) use rate::{DeliveryRate, Leaving, LossNews, Losses, Stamp};
pub(crate) use validation::Use;
use validation::Validation;

use crate::limits;
use crate::seq::Position;
use crate::time::Instant;

/// Which congestion control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RFC 9438.
    #[default]
    Cubic,
    /// RFC 5681 and RFC 6582.
    NewReno,
    /// Version 3: draft-ietf-ccwg-bbr-06. Always paced.
    Bbr,
}

#[derive(Clone, Debug)]
enum Controller {
    Cubic(Cubic),
    NewReno(NewReno),
    Bbr(Box<Bbr>),
}

#[derive(Clone, Debug)]
pub(crate) struct Congestion {
    window: u64,
    /// Slow start threshold; `u64::MAX` until a loss showed one.
    threshold: u64,
    /// Sender maximum segment size.
    segment: u64,
    controller: Controller,
    /// Only while data flows.
    pulse: Option<Box<Pulse>>,
}

/// What is measured round trip by round trip. An idle connection has none: both begin anew with the next round anyway.
#[derive(Clone, Debug, Default)]
struct Pulse {
    hystart: HyStart,
    validation: Validation,
}

/// What an acknowledgment means for the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    pub(crate) now: Instant,
    /// Bytes newly acknowledged.
    pub(crate) bytes: u64,
    /// A round-trip time, if this acknowledgment gave one.
    pub(crate) sample: Option<Duration>,
    /// The smoothed round-trip time.
    pub(crate) smoothed: Duration,
    /// The cumulative acknowledgment and the end of what was sent.
    pub(crate) una: Position,
    pub(crate) nxt: Position,
}

/// The state before a loss, should it turn out to have been none.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    window: u64,
    threshold: u64,
    /// None: a model of the path is not undone.
    controller: Option<Controller>,
}

impl Congestion {
    /// With the initial window of RFC 6928.
    pub(crate) fn new(algorithm: Algorithm, segment: u64) -> Congestion {
        let controller = match algorithm {
            Algorithm::Cubic => Controller::Cubic(Cubic::default()),
            Algorithm::NewReno => Controller::NewReno(NewReno::default()),
            Algorithm::Bbr => Controller::Bbr(Box::new(Bbr::new(segment))),
        };
        let window = initial_window(segment);
        Congestion { window, threshold: u64::MAX, segment, controller, pulse: None }
    }

    /// Whether it takes memory that a quiet connection can do without.
    pub(crate) fn is_held(&self) -> bool {
        self.pulse.is_some()
    }

    /// The connection is quiet.
    pub(crate) fn rest(&mut self) {
        self.pulse = None;
    }

    /// RFC 5681, 3.1: "if the SYN or SYN/ACK is lost, the initial window ... MUST be at most one segment".
    pub(crate) fn syn_was_lost(&mut self) {
        self.window = self.segment;
    }

    pub(crate) fn window(&self) -> u64 {
        self.window
    }

    pub(crate) fn threshold(&self) -> u64 {
        self.threshold
    }

    /// Bytes per second at which to send, given the smoothed round-trip time: twice what the window makes while it doubles, a
    /// fifth more afterwards, so that the window stays what limits (the factors are Linux's).
    pub(crate) fn pacing_rate(&self, smoothed: Option<Duration>) -> Option<u64> {
        let micros = u64::try_from(smoothed?.as_micros()).unwrap_or(u64::MAX).max(1);
        if let Controller::Bbr(bbr) = &self.controller {
            return Some(bbr.pace(self.window, smoothed).max(self.segment));
        }
        let percent = if self.window < self.threshold / 2 { 200 } else { 120 };
        Some((self.window.saturating_mul(10_000) / micros).saturating_mul(percent).max(self.segment))
    }

    pub(crate) fn in_slow_start(&self) -> bool {
        self.window < self.threshold
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.controller {
            Controller::Cubic(_) => "cubic",
            Controller::NewReno(_) => "newreno",
            Controller::Bbr(_) => "bbr",
        }
    }

    /// The path carries only smaller segments from now on.
    pub(crate) fn set_segment(&mut self, segment: u64) {
        self.segment = segment;
        self.window = self.window.max(segment);
    }

    /// Data was acknowledged, and the window was what limited us.
    pub(crate) fn grow(&mut self, growth: &Growth) {
        let mut bytes = growth.bytes;
        if self.in_slow_start() {
            // RFC 9406, 4.3: HyStart++ "only for the initial slow start (when the ssthresh is at its initial value)".
            let initial = self.threshold == u64::MAX;
            let hystart = &mut self.pulse.get_or_insert_default().hystart;
            let step = if initial { hystart.step(growth, self.segment) } else { bytes };
            let ended = initial && hystart.has_ended();
            let room = self.threshold - self.window;
            self.window += step.min(room);
            if ended {
                self.threshold = self.window;
            }
            if step < room {
                return;
            }
            bytes = step - room;
        }
        self.window = match &mut self.controller {
            Controller::Cubic(cubic) => cubic.grow(self.window, self.segment, bytes, growth),
            Controller::NewReno(reno) => reno.grow(self.window, self.segment, bytes),
            Controller::Bbr(_) => self.window,
        };
    }

    /// How much of the window is used. RFC 7661, 4.4: after five minutes of little use "ssthresh = max(ssthresh, 3*cwnd/4)" and
    /// "cwnd = max(1/2*cwnd, IW)".
    pub(crate) fn on_use(&mut self, used: &Use) {
        // A model of the path knows what it carries.
        if self.is_model() {
            return;
        }
        if let Controller::Cubic(cubic) = &mut self.controller
            && !used.limited
        {
            cubic.on_unused(used.now);
        }
        if self.pulse.get_or_insert_default().validation.on_ack(used, self.window) {
            let known = if self.threshold == u64::MAX { 0 } else { self.threshold };
            self.threshold = known.max(self.window * 3 / 4);
            self.window = (self.window / 2).max(initial_window(self.segment).min(self.window));
        }
    }

    /// Segments were lost, of `flight` bytes that were sent: sets the threshold; how the window gets there is recovery's matter.
    pub(crate) fn on_loss(&mut self, flight: u64) -> Before {
        if let Controller::Bbr(bbr) = &mut self.controller {
            bbr.on_loss(self.window);
            return Before { window: self.window, threshold: self.threshold, controller: None };
        }
        let controller = Some(self.controller.clone());
        let before = Before { window: self.window, threshold: self.threshold, controller };
        // RFC 7661, 4.4.1: in the non-validated phase the fall is from "max(pipeACK, LossFlightSize)".
        let validation = &mut self.pulse.get_or_insert_default().validation;
        let used = match validation.pipe_ack() {
            Some(pipe) if !validation.is_validated(self.window) => pipe.max(flight).min(self.window),
            _ => self.window,
        };
        validation.on_loss();
        let target = match &mut self.controller {
            Controller::Cubic(cubic) => cubic.on_loss(used, self.segment),
            Controller::NewReno(reno) => reno.on_loss(used),
            Controller::Bbr(_) => u64::MAX,
        };
        self.threshold = target.max(2 * self.segment);
        before
    }

    /// RFC 5681, 3.1: "Upon a timeout ... cwnd MUST be set to no more than the loss window, LW, which equals 1 full-sized
    /// segment".
    pub(crate) fn on_timeout(&mut self) {
        self.window = self.segment;
        if let Controller::Cubic(cubic) = &mut self.controller {
            cubic.on_timeout();
        }
    }

    /// The window follows a model of the path, not losses.
    pub(crate) fn is_model(&self) -> bool {
        matches!(self.controller, Controller::Bbr(_))
    }

    /// What was delivered, for those that model the path.
    pub(crate) fn on_progress(&mut self, progress: &Progress) {
        if let Controller::Bbr(bbr) = &mut self.controller {
            self.window = bbr.on_ack(self.window, self.segment, progress).max(self.segment);
        }
    }

    /// RFC 3168, 6.1.2: a mark counts as a loss, but nothing needs repair: the source "halves the congestion
    /// window", or as far as each algorithm falls. RFC 8511 would let it fall less; marks come from shallow queues there, and we cannot tell.
    pub(crate) fn on_mark(&mut self, now: Instant, flight: u64) {
        if let Controller::Bbr(bbr) = &mut self.controller {
            self.window = bbr.on_mark(now, self.window);
            return;
        }
        self.on_loss(flight);
        self.fall();
    }

    /// Something is sent after a time in which the application had nothing to send and nothing was in flight.
    pub(crate) fn on_restart(&mut self, now: Instant) {
        if let Controller::Bbr(bbr) = &mut self.controller {
            self.window = bbr.on_restart(now, self.window);
        }
    }

    /// What is delivered now says nothing about the path's rate.
    pub(crate) fn ignores_rates(&self) -> bool {
        matches!(&self.controller, Controller::Bbr(bbr) if bbr.ignores_rates())
    }

    /// Down to the threshold at once.
    pub(crate) fn fall(&mut self) {
        self.window = self.window.min(self.threshold);
    }

    /// Recovery is over. RFC 9937: "at the end of recovery, cwnd = ssthresh".
    pub(crate) fn on_repaired(&mut self) {
        self.window = match &mut self.controller {
            Controller::Bbr(bbr) => bbr.on_repaired(self.window),
            _ => self.threshold.max(self.segment),
        };
    }

    /// During recovery, as proportional rate reduction says.
    pub(crate) fn set_window(&mut self, window: u64) {
        self.window = window.max(self.segment);
    }

    /// The loss was none.
    pub(crate) fn undo(&mut self, before: Before) {
        self.window = self.window.max(before.window);
        self.threshold = before.threshold;
        if let Controller::Bbr(bbr) = &mut self.controller {
            self.window = bbr.on_spurious(self.window);
        }
        if let Some(controller) = before.controller {
            self.controller = controller;
        }
    }

    /// RFC 5681, 4.1: after idling for longer than a timeout the window says nothing about the path any more. Halved for
    /// every timeout (RFC 7661's spirit), at least the restart window.
    pub(crate) fn on_idle(&mut self, idle: Duration, timeout: Duration) {
        if self.is_model() {
            // Draft, 5.4.2: "BBR restarts by pacing at BBR.bw".
            return;
        }
        let floor = initial_window(self.segment).min(self.window);
        let mut left = idle;
        self.threshold = if self.threshold == u64::MAX { u64::MAX } else { self.threshold.max(self.window * 3 / 4) };
        while left > timeout && self.window > floor {
            self.window = (self.window / 2).max(floor);
            left = left.saturating_sub(timeout);
        }
        if let Controller::Cubic(cubic) = &mut self.controller {
            cubic.on_idle();
        }
    }
}

fn initial_window(segment: u64) -> u64 {
    (limits::INITIAL_WINDOW_SEGMENTS * segment).min(limits::INITIAL_WINDOW_BYTES.max(2 * segment))
}

#[cfg(test)]
mod tests;
