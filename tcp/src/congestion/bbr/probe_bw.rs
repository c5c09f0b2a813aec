//! ProbeBW (5.3.3): slower until the queue is gone, as fast as the path, as fast with the pipe refilled, faster; and what each
//! probe taught.

use std::time::Duration;

use crate::congestion::bbr::model::Plateau;
use crate::congestion::bbr::{Bbr, HEADROOM, INFINITE, Progress, State};
use crate::congestion::rate::{Sample, is_too_much};
use crate::time::Instant;

/// 5.3.3.8: as often as Reno needs to come back from a loss, but "rounds = min(reno_rounds, 63)".
const RENO_ROUNDS_MAX: u64 = 63;
/// 5.3.3.9: "min(BBR.bw_probe_up_rounds + 1, 30)".
const UP_ROUNDS_MAX: u32 = 30;

/// BBR.ack_phase: of which part of a probe the acknowledgments tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum AckPhase {
    #[default]
    Init,
    Refilling,
    Starting,
    Feedback,
    Stopping,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cycle {
    pub(super) ack_phase: AckPhase,
    /// BBR.cycle_stamp and BBR.bw_probe_wait.
    began: Instant,
    wait: Duration,
    /// BBR.rounds_since_probe_up.
    rounds: u64,
    /// BBR.is_bw_probe_sample, BBR.prev_probe_too_high, BBR.prev_probe_precautionary.
    pub(super) sampling: bool,
    pub(super) too_high: bool,
    precautionary: bool,
    /// BBR.probe_up_acked_per_inc, BBR.bw_probe_up_acked, BBR.bw_probe_up_rounds.
    per_step: u64,
    acked: u64,
    up_rounds: u32,
}

impl Cycle {
    pub(super) fn on_round(&mut self) {
        self.rounds += 1;
    }
}

impl Bbr {
    /// 5.3.3.9: UpdateProbeBWCyclePhase.
    pub(super) fn update_cycle(&mut self, progress: &Progress) {
        if !self.filled || self.adapt_long(progress) {
            return;
        }
        match self.state {
            State::Down | State::Cruise if self.is_time_to_probe(progress.now) => self.start_refill(),
            State::Down if self.is_time_to_cruise(progress.in_flight) => self.state = State::Cruise,
            State::Refill if self.round_start => {
                self.cycle.sampling = true;
                self.start_up(&progress.sample);
            }
            State::Up => self.consider_down(progress),
            _ => {}
        }
    }

    /// StartProbeBW_DOWN.
    pub(super) fn start_down(&mut self, now: Instant) {
        self.reset_congestion_signals();
        self.cycle.per_step = INFINITE;
        self.pick_wait(now);
        self.cycle.began = now;
        self.cycle.ack_phase = AckPhase::Stopping;
        self.start_round();
        self.state = State::Down;
    }

    /// StartProbeBW_REFILL.
    pub(super) fn start_refill(&mut self) {
        self.reset_short();
        (self.cycle.up_rounds, self.cycle.acked) = (0, 0);
        self.cycle.precautionary = false;
        self.cycle.ack_phase = AckPhase::Refilling;
        self.start_round();
        self.state = State::Refill;
    }

    /// StartProbeBW_UP.
    fn start_up(&mut self, sample: &Sample) {
        self.cycle.ack_phase = AckPhase::Starting;
        self.start_round();
        self.plateau = Plateau::from(sample.rate);
        self.state = State::Up;
        self.raise_slope();
    }

    /// 5.3.3.8: PickProbeWait: two to three seconds, zero or one round.
    fn pick_wait(&mut self, now: Instant) {
        let die = (now.as_micros() ^ self.delivered).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.cycle.rounds = die >> 63;
        self.cycle.wait = Duration::from_secs(2) + Duration::from_micros((die >> 20) % 1_000_000);
    }

    /// IsTimeToProbeBW: by the clock, or as often as Reno would.
    fn is_time_to_probe(&self, now: Instant) -> bool {
        let reno = (self.target() / self.segment).min(RENO_ROUNDS_MAX);
        now > self.cycle.began + self.cycle.wait || self.cycle.rounds >= reno
    }

    fn is_time_to_cruise(&self, in_flight: u64) -> bool {
        in_flight <= self.with_headroom() && in_flight <= self.inflight(100)
    }

    /// IsTimeToGoDown, and what follows.
    fn consider_down(&mut self, progress: &Progress) {
        // 5.3.3.6: "Precautionary Bandwidth Probing": the last probe went too high just here.
        let careful = self.cycle.too_high && progress.in_flight >= self.long;
        self.cycle.precautionary |= careful;
        let bounded = progress.window_limited && self.window >= self.long;
        if careful || (!bounded && self.plateau.now) {
            self.cycle.too_high = false;
            self.start_down(progress.now);
        } else if bounded {
            // Not the path limits the rate but our bound: "ResetFullBW".
            self.plateau = Plateau::from(progress.sample.rate);
        }
    }

    /// InflightWithHeadroom: room in the queue for others.
    pub(super) fn with_headroom(&self) -> u64 {
        if self.long == INFINITE {
            return INFINITE;
        }
        let headroom = self.segment.max(self.long * HEADROOM / 100);
        self.long.saturating_sub(headroom).max(self.min_pipe())
    }

    /// RaiseInflightLongtermSlope: the bound grows by 1, 2, 4, ... segments per round trip.
    fn raise_slope(&mut self) {
        let steps = 1 << self.cycle.up_rounds;
        self.cycle.up_rounds = (self.cycle.up_rounds + 1).min(UP_ROUNDS_MAX);
        self.cycle.per_step = (self.window / steps).max(self.segment);
    }

    /// ProbeInflightLongtermUpward.
    fn raise_long(&mut self, progress: &Progress) {
        if !progress.window_limited || self.window < self.long {
            return;
        }
        self.cycle.acked += progress.bytes;
        let steps = self.cycle.acked / self.cycle.per_step;
        self.cycle.acked %= self.cycle.per_step;
        self.long = self.long.saturating_add(steps * self.segment);
        if self.round_start {
            self.raise_slope();
        }
    }

    /// AdaptLongTermModel. True if it decided on the next state.
    fn adapt_long(&mut self, progress: &Progress) -> bool {
        let sample = &progress.sample;
        if self.round_start && self.cycle.ack_phase == AckPhase::Starting {
            self.cycle.ack_phase = AckPhase::Feedback;
        }
        if self.round_start && self.cycle.ack_phase == AckPhase::Stopping {
            self.cycle.sampling = false;
            self.cycle.ack_phase = AckPhase::Init;
            if self.is_probing_bw_state() {
                if !sample.limited {
                    self.max_rate.advance();
                }
                // "Precautionary Bandwidth Probing: Acceleration".
                if self.cycle.precautionary && !self.cycle.too_high {
                    self.start_refill();
                    return true;
                }
            }
        }
        let lost = if progress.sack { is_too_much(sample.lost, sample.in_flight) } else { sample.lost > 0 };
        if !lost && self.long != INFINITE {
            self.long = self.long.max(sample.in_flight);
            if self.state == State::Up {
                self.raise_long(progress);
            }
        }
        false
    }
}
