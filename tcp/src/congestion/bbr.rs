//! BBR, version 3 (draft-ietf-ccwg-bbr-06): a model of the path instead of a guess from losses.
//!
//! ```text
//!   Startup → Drain → ┌→ Down → Cruise → Refill → Up ─┐        any → ProbeRtt → Cruise or Startup
//!                     └───────────────────────────────┘
//! ```
//!
//! The model is the highest delivery rate of the last two cycles and the lowest round-trip time of the last ten seconds,
//! bounded by what losses say: for long (what was in flight when a probe lost more than 2 %) and for short (what was
//! delivered in a round trip with a loss, until the next probe). `model.rs` learns, `probe_bw.rs` and `probe_rtt.rs` walk
//! through the states, `loss.rs` hears of losses and marks, `control.rs` sets pace and window. Section numbers are the
//! draft's; its names are in the comments where ours differ.
//!
//! Left out: nothing of the draft's algorithm. ECN it leaves open but for "MUST treat any CE marks as congestion" (3.7): a
//! mark counts as a round trip's loss. Random choices come from the time in microseconds: as good as a die for taking flows
//! apart, and the same run for the same seed.

mod control;
mod loss;
mod model;
mod probe_bw;
mod probe_rtt;

use std::time::Duration;

use super::rate::{LossNews, Sample};
use crate::time::Instant;

use loss::Undo;
use model::{Aggregation, Highest, Plateau};
use probe_bw::Cycle;
use probe_rtt::MinRtt;

/// 2.6: BBR.LossThresh is in `rate.rs`; BBR.Beta and BBR.Headroom, in hundredths.
const BETA: u64 = 70;
const HEADROOM: u64 = 15;
/// 2.7: BBR.MinPipeCwnd, in segments.
const MIN_PIPE: u64 = 4;
/// No bound.
const INFINITE: u64 = u64::MAX;

/// BBR.state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Startup,
    Drain,
    Down,
    Cruise,
    Refill,
    Up,
    ProbeRtt,
}

/// What an acknowledgment tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) now: Instant,
    pub(crate) sample: Sample,
    /// RS.newly_acked.
    pub(crate) bytes: u64,
    /// RS.rtt, of the latest transmission.
    pub(crate) rtt: Option<Duration>,
    /// C.inflight after it.
    pub(crate) in_flight: u64,
    /// Newly held for lost.
    pub(crate) losses: LossNews,
    /// C.is_cwnd_limited: something was held back by the window when this was in flight.
    pub(crate) window_limited: bool,
    /// Losses are being repaired.
    pub(crate) repairing: bool,
    /// C.has_selective_acks.
    pub(crate) sack: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Bbr {
    state: State,
    segment: u64,
    /// C.cwnd, as it becomes during an acknowledgment.
    window: u64,
    /// BBR.max_bw_filter, one slot per cycle; BBR.bw, the bounded one. Bytes per second.
    max_rate: Highest,
    rate: u64,
    min_rtt: MinRtt,
    /// BBR.next_round_delivered, BBR.round_start, BBR.round_count.
    next_round: u64,
    round_start: bool,
    rounds: u64,
    /// C.delivered.
    delivered: u64,
    /// BBR.full_bw_reached, and the estimator.
    filled: bool,
    plateau: Plateau,
    aggregation: Aggregation,
    drain_start: u64,
    cycle: Cycle,
    /// BBR.bw_latest, BBR.inflight_latest.
    latest: (u64, u64),
    /// BBR.bw_shortterm, BBR.inflight_shortterm.
    short: (u64, u64),
    /// BBR.inflight_longterm.
    long: u64,
    /// BBR.is_loss_in_round, BBR.loss_round_delivered, BBR.loss_round_start; acknowledgments of this round that showed losses.
    loss_in_round: bool,
    loss_round: u64,
    loss_round_start: bool,
    loss_events: u8,
    undo: Undo,
    /// BBR.prior_cwnd.
    prior_window: u64,
    repairing: bool,
    idle_restart: bool,
    /// RS.tx_in_flight and RS.is_app_limited of the last sample.
    seen: (u64, bool),
    pace: u64,
}

impl Bbr {
    /// 5.2.1.
    pub(super) fn new(segment: u64) -> Bbr {
        Bbr {
            state: State::Startup,
            segment,
            window: super::initial_window(segment),
            max_rate: Highest::default(),
            rate: 0,
            min_rtt: MinRtt::default(),
            next_round: 0,
            round_start: false,
            rounds: 0,
            delivered: 0,
            filled: false,
            plateau: Plateau::default(),
            aggregation: Aggregation::default(),
            drain_start: 0,
            cycle: Cycle::default(),
            latest: (0, 0),
            short: (INFINITE, INFINITE),
            long: INFINITE,
            loss_in_round: false,
            loss_round: 0,
            loss_round_start: false,
            loss_events: 0,
            undo: Undo::default(),
            prior_window: 0,
            repairing: false,
            idle_restart: false,
            seen: (0, false),
            pace: 0,
        }
    }

    /// 5.2.3: UpdateOnACK, in its order. Gives the window.
    pub(super) fn on_ack(&mut self, window: u64, segment: u64, progress: &Progress) -> u64 {
        (self.window, self.segment, self.repairing) = (window, segment, progress.repairing);
        self.seen = (progress.sample.in_flight, progress.sample.limited);
        self.take_losses(progress);
        self.update_latest_signals(&progress.sample);
        self.update_round(&progress.sample);
        self.update_max_rate(&progress.sample);
        self.update_congestion_signals();
        self.update_aggregation(progress);
        self.check_plateau(&progress.sample);
        self.check_startup_done(progress);
        self.check_drain_done(progress);
        self.update_cycle(progress);
        self.update_min_rtt(progress);
        self.check_probe_rtt(progress);
        self.advance_latest_signals(&progress.sample);
        self.rate = self.max_rate.get().min(self.short.0);
        self.set_pace(self.pacing_gain());
        self.set_window(progress);
        self.window
    }

    /// 5.4.1: HandleRestartFromIdle: something is sent, nothing was in flight, and the application had nothing to send.
    pub(super) fn on_restart(&mut self, now: Instant, window: u64) -> u64 {
        self.window = window;
        self.idle_restart = true;
        self.aggregation.restart(now);
        if self.is_probing_bw_state() {
            self.set_pace(100);
        } else if self.state == State::ProbeRtt {
            self.check_probe_rtt_done(now);
        }
        self.window
    }

    /// 5.3.4.3: "MarkConnectionAppLimited: Ignore low rate samples during ProbeRTT".
    pub(super) fn ignores_rates(&self) -> bool {
        self.state == State::ProbeRtt
    }

    /// 5.3.1.1: CheckStartupDone.
    fn check_startup_done(&mut self, progress: &Progress) {
        self.check_startup_losses(progress);
        if self.state == State::Startup && self.filled {
            self.state = State::Drain;
            self.drain_start = self.rounds;
        }
    }

    /// 5.3.2: CheckDrainDone: "BBR enters ProbeBW after 3 round-trips" if the rate was overestimated.
    fn check_drain_done(&mut self, progress: &Progress) {
        let drained = progress.in_flight <= self.inflight(100) || self.rounds > self.drain_start + 3;
        if self.state == State::Drain && drained {
            self.start_down(progress.now);
        }
    }

    /// IsInAProbeBWState.
    fn is_probing_bw_state(&self) -> bool {
        matches!(self.state, State::Down | State::Cruise | State::Refill | State::Up)
    }

    /// IsProbingBW.
    fn is_accelerating(&self) -> bool {
        matches!(self.state, State::Startup | State::Refill | State::Up)
    }
}

#[cfg(test)]
mod tests;
