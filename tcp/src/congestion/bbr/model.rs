//! What BBR learns of the path: rounds, the highest rate, how acknowledgments bunch, whether the pipe is full, and what was
//! delivered in the last round trip.

use crate::congestion::bbr::{BETA, Bbr, INFINITE, Progress, State};
use crate::congestion::rate::Sample;
use crate::time::Instant;

/// 5.3.1.2: a rate that grew by a quarter is still growing; three rounds without are a plateau.
const GROWTH: u64 = 125;
const PLATEAU_ROUNDS: u8 = 3;
/// 2.11: BBR.ExtraAckedFilterLen is ten rounds: two slots of five.
const EXTRA_ROUNDS: u8 = 5;

/// A windowed maximum over this slot and the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Highest {
    slots: [u64; 2],
}

impl Highest {
    pub(super) fn get(&self) -> u64 {
        self.slots[0].max(self.slots[1])
    }

    pub(super) fn note(&mut self, value: u64) {
        self.slots[0] = self.slots[0].max(value);
    }

    /// A slot is over. One in which nothing was seen says nothing: the old one stays.
    pub(super) fn advance(&mut self) {
        if self.slots[0] > 0 {
            self.slots = [0, self.slots[0]];
        }
    }
}

/// BBR.full_bw, BBR.full_bw_count, BBR.full_bw_now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plateau {
    rate: u64,
    rounds: u8,
    pub(super) now: bool,
}

impl Plateau {
    /// ResetFullBW, with a first rate to grow from.
    pub(super) fn from(rate: Option<u64>) -> Plateau {
        Plateau { rate: rate.unwrap_or(0), ..Plateau::default() }
    }
}

/// BBR.extra_acked and what it is computed from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Aggregation {
    highest: Highest,
    rounds: u8,
    since: Instant,
    delivered: u64,
}

impl Aggregation {
    pub(super) fn get(&self) -> u64 {
        self.highest.get()
    }

    pub(super) fn restart(&mut self, now: Instant) {
        self.since = now;
    }

    fn next_round(&mut self, filled: bool) {
        self.rounds += 1;
        if !filled {
            // "1 round trip during STARTUP".
            *self = Aggregation { highest: Highest::default(), rounds: 0, ..*self };
        } else if self.rounds >= EXTRA_ROUNDS {
            self.rounds = 0;
            self.highest.slots = [0, self.highest.slots[0]];
        }
    }
}

impl Bbr {
    /// 5.5.1: UpdateRound.
    pub(super) fn update_round(&mut self, sample: &Sample) {
        self.delivered = sample.delivered;
        self.round_start = sample.prior >= self.next_round;
        if self.round_start {
            self.start_round();
            self.rounds += 1;
            self.cycle.on_round();
            self.aggregation.next_round(self.filled);
        }
    }

    pub(super) fn start_round(&mut self) {
        self.next_round = self.delivered;
    }

    /// 5.5.5: UpdateMaxBw: a sample that the application limited counts only if it is higher.
    pub(super) fn update_max_rate(&mut self, sample: &Sample) {
        if let Some(rate) = sample.rate
            && (rate >= self.max_rate.get() || !sample.limited)
        {
            self.max_rate.note(rate);
        }
    }

    /// 5.5.9: UpdateACKAggregation: what came beyond what the rate promised, as acknowledgments came in bunches.
    pub(super) fn update_aggregation(&mut self, progress: &Progress) {
        let mut expected = bytes_in(self.rate, progress.now - self.aggregation.since);
        if self.aggregation.delivered <= expected {
            (self.aggregation.delivered, self.aggregation.since) = (0, progress.now);
            expected = 0;
        }
        self.aggregation.delivered += progress.bytes;
        let extra = self.aggregation.delivered - expected.min(self.aggregation.delivered);
        self.aggregation.highest.note(extra.min(self.window));
    }

    /// 5.3.1.2: CheckFullBWReached.
    pub(super) fn check_plateau(&mut self, sample: &Sample) {
        if self.plateau.now || !self.round_start || sample.limited {
            return;
        }
        let rate = sample.rate.unwrap_or(0);
        if rate * 100 >= self.plateau.rate * GROWTH {
            self.plateau = Plateau::from(sample.rate);
            return;
        }
        self.plateau.rounds += 1;
        self.plateau.now = self.plateau.rounds >= PLATEAU_ROUNDS;
        self.filled |= self.plateau.now;
    }

    /// 5.5.10.3: UpdateLatestDeliverySignals.
    pub(super) fn update_latest_signals(&mut self, sample: &Sample) {
        self.latest = (self.latest.0.max(sample.rate.unwrap_or(0)), self.latest.1.max(sample.volume()));
        self.loss_round_start = sample.prior >= self.loss_round;
        if self.loss_round_start {
            self.loss_round = sample.delivered;
        }
    }

    /// 5.5.10.3: AdvanceLatestDeliverySignals.
    pub(super) fn advance_latest_signals(&mut self, sample: &Sample) {
        if self.loss_round_start {
            self.latest = (sample.rate.unwrap_or(0), sample.volume());
            self.loss_events = 0;
        }
    }

    /// 5.5.10.3: UpdateCongestionSignals: once per round trip, down towards what was delivered in it if something was lost.
    pub(super) fn update_congestion_signals(&mut self) {
        if !self.loss_round_start {
            return;
        }
        if std::mem::take(&mut self.loss_in_round) && !self.is_accelerating() {
            let (rate, in_flight) = self.short;
            let rate = if rate == INFINITE { self.max_rate.get() } else { rate };
            let in_flight = if in_flight == INFINITE { self.window } else { in_flight };
            self.short = (self.latest.0.max(rate * BETA / 100), self.latest.1.max(in_flight * BETA / 100));
        }
    }

    /// ResetCongestionSignals.
    pub(super) fn reset_congestion_signals(&mut self) {
        self.loss_in_round = false;
        self.latest = (0, 0);
    }

    /// ResetShortTermModel.
    pub(super) fn reset_short(&mut self) {
        self.short = (INFINITE, INFINITE);
    }

    /// BBR.bdp times a gain in hundredths; BDPMultiple.
    pub(super) fn product(&self, gain: u64) -> u64 {
        let Some(min_rtt) = self.min_rtt.get() else { return super::super::initial_window(self.segment) };
        bytes_in(self.rate, min_rtt).saturating_mul(gain) / 100
    }

    /// 5.3.3.8: TargetInflight: "Our estimated BDP, unless congestion cut C.cwnd".
    pub(super) fn target(&self) -> u64 {
        self.product(100).min(self.window)
    }

    /// Inflight.
    pub(super) fn inflight(&self, gain: u64) -> u64 {
        self.with_quantum(self.product(gain))
    }

    /// 5.6.4.2: QuantizationBudget, with 5.5.8.1: "BBR.offload_budget = 3 * C.send_quantum".
    pub(super) fn with_quantum(&self, bytes: u64) -> u64 {
        let least = bytes.max(3 * self.quantum()).max(self.min_pipe());
        if self.state == State::Up { least + 2 * self.segment } else { least }
    }
}

/// What a rate in bytes per second carries in a time.
fn bytes_in(rate: u64, time: std::time::Duration) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    rate.saturating_mul(micros) / 1_000_000
}
