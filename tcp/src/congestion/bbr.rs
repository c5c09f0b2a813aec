//! BBR, version 1 (draft-cardwell-iccrg-bbr-congestion-control-00): a model of the path instead of a guess from losses.
//!
//! ```text
//!   Startup ── rate grows no more ──→ Drain ── queue empty ──→ ProbeBw ⇄ ProbeRtt
//! ```
//!
//! The model is the highest delivery rate of the last ten round trips and the lowest round-trip time of the last ten
//! seconds; what is in flight is their product times a gain, the pace is the rate times a gain. Version 1, because it is
//! the one with the most experience and a whole specification. Its known faults are its own: it takes no notice of loss or
//! of ECN, so in a shallow queue it loses much and takes more than its share from Reno and CUBIC; the defaults stay CUBIC.

use std::time::Duration;

use super::rate::Sample;
use crate::limits;
use crate::time::Instant;

/// BBRHighGain, 2/ln(2), and its inverse, in hundredths.
const HIGH_GAIN: u64 = 289;
const DRAIN_GAIN: u64 = 35;
const CWND_GAIN: u64 = 200;
/// BBRGainCycle.
const CYCLE: [u64; 8] = [125, 75, 100, 100, 100, 100, 100, 100];
/// BtlBwFilterLen, in round trips.
const FILTER: usize = 10;
/// RTpropFilterLen and ProbeRTTDuration.
const RTPROP_WINDOW: Duration = Duration::from_secs(10);
const PROBE_RTT: Duration = Duration::from_millis(200);
/// BBRMinPipeCwnd, in segments.
const MIN_PIPE: u64 = 4;
/// BBRStartupFullBwThresh of 1.25, and BBRStartupFullBwCount.
const FULL_GROWTH: u64 = 125;
const FULL_ROUNDS: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Startup,
    Drain,
    ProbeBw,
    ProbeRtt,
}

/// What an acknowledgment tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) now: Instant,
    pub(crate) sample: Sample,
    /// Bytes this acknowledgment delivered.
    pub(crate) bytes: u64,
    pub(crate) rtt: Option<Duration>,
    /// Before and after it.
    pub(crate) prior_in_flight: u64,
    pub(crate) in_flight: u64,
    /// It showed a loss; a fast recovery is going on.
    pub(crate) loss: bool,
    pub(crate) recovery: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Bbr {
    mode: Mode,
    /// BBR.BtlBwFilter: the highest rate of each of the last rounds that had a sample, in bytes per second.
    rates: [u64; FILTER],
    rate_round: usize,
    /// BBR.RTprop and BBR.rtprop_stamp.
    rtprop: Option<Duration>,
    rtprop_at: Instant,
    /// BBR.next_round_delivered and BBR.round_start.
    next_round: u64,
    round_start: bool,
    fresh_round: bool,
    /// BBR.filled_pipe, BBR.full_bw, BBR.full_bw_count.
    filled: bool,
    full_rate: u64,
    full_rounds: u8,
    cycle: usize,
    cycle_at: Instant,
    probe_rtt_done: Option<Instant>,
    probe_rtt_round: bool,
    /// BBR.packet_conservation: until this much is delivered, no more is sent than arrives.
    conserve_until: Option<u64>,
    delivered: u64,
    /// BBR.prior_cwnd.
    prior_window: u64,
    pace: u64,
}

impl Bbr {
    pub(super) fn new() -> Bbr {
        Bbr {
            mode: Mode::Startup,
            rates: [0; FILTER],
            rate_round: 0,
            rtprop: None,
            rtprop_at: Instant::ZERO,
            next_round: 0,
            round_start: false,
            fresh_round: false,
            filled: false,
            full_rate: 0,
            full_rounds: 0,
            cycle: 0,
            cycle_at: Instant::ZERO,
            probe_rtt_done: None,
            probe_rtt_round: false,
            conserve_until: None,
            delivered: 0,
            prior_window: 0,
            pace: 0,
        }
    }

    /// 4.1.1: BBRUpdateOnACK: the model, then the window. Gives the window.
    pub(super) fn on_ack(&mut self, window: u64, segment: u64, progress: &Progress) -> u64 {
        self.update_round(&progress.sample);
        self.update_rate(&progress.sample);
        self.check_cycle(segment, progress);
        self.check_full_pipe(&progress.sample);
        self.check_drain(segment, progress);
        let over = self.update_rtprop(window, segment, progress);
        let window = if over { window.max(self.prior_window) } else { window };
        self.set_pace();
        self.window(window, segment, progress)
    }

    /// 4.1.1.3.
    fn update_round(&mut self, sample: &Sample) {
        self.delivered = sample.delivered;
        self.round_start = sample.prior >= self.next_round;
        if self.round_start {
            self.next_round = sample.delivered;
            self.fresh_round = true;
        }
        if self.conserve_until.is_some_and(|until| sample.prior >= until) {
            self.conserve_until = None;
        }
    }

    /// 4.1.1.5: samples limited by the application count only if they raise the estimate.
    fn update_rate(&mut self, sample: &Sample) {
        let Some(rate) = sample.rate else { return };
        // 4.3.5: "Ignore low rate samples during ProbeRTT".
        if (sample.limited || self.mode == Mode::ProbeRtt) && rate < self.rate() {
            return;
        }
        if std::mem::take(&mut self.fresh_round) {
            self.rate_round = (self.rate_round + 1) % FILTER;
            self.rates[self.rate_round] = 0;
        }
        self.rates[self.rate_round] = self.rates[self.rate_round].max(rate);
    }

    /// BBR.BtlBw.
    pub(super) fn rate(&self) -> u64 {
        self.rates.iter().copied().max().unwrap_or(0)
    }

    /// 4.3.4.3: the next phase of the cycle after an RTprop; probing lasts until it made a queue or a loss, draining until
    /// the queue is gone.
    fn check_cycle(&mut self, segment: u64, progress: &Progress) {
        if self.mode != Mode::ProbeBw {
            return;
        }
        let full = progress.now - self.cycle_at > self.rtprop.unwrap_or_default();
        let next = match CYCLE[self.cycle] {
            100 => full,
            gain if gain > 100 => full && (progress.loss || progress.prior_in_flight >= self.inflight(gain, segment)),
            _ => full || progress.prior_in_flight <= self.inflight(100, segment),
        };
        if next {
            self.cycle = (self.cycle + 1) % CYCLE.len();
            self.cycle_at = progress.now;
        }
    }

    /// 4.3.2.2: "three round trips with less than 25 % growth".
    fn check_full_pipe(&mut self, sample: &Sample) {
        if self.filled || !self.round_start || sample.limited {
            return;
        }
        if self.rate() * 100 >= self.full_rate * FULL_GROWTH {
            (self.full_rate, self.full_rounds) = (self.rate(), 0);
            return;
        }
        self.full_rounds += 1;
        self.filled = self.full_rounds >= FULL_ROUNDS;
    }

    /// 4.3.3.
    fn check_drain(&mut self, segment: u64, progress: &Progress) {
        if self.mode == Mode::Startup && self.filled {
            self.mode = Mode::Drain;
        }
        if self.mode == Mode::Drain && progress.in_flight <= self.inflight(100, segment) {
            self.enter_probe_bw(progress.now);
        }
    }

    /// 4.3.4.3: begins anywhere but in the draining phase, so that flows that began together do not probe together. The time
    /// to the microsecond is as good as a die for that, and keeps a run reproducible.
    fn enter_probe_bw(&mut self, now: Instant) {
        self.mode = Mode::ProbeBw;
        let die = usize::try_from(now.as_micros().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).unwrap_or(0) % 7;
        self.cycle = if die == 0 { 0 } else { die + 1 };
        self.cycle_at = now;
    }

    /// 4.1.2.3 and 4.3.5. True when the window is to be as before the probe again.
    fn update_rtprop(&mut self, window: u64, segment: u64, progress: &Progress) -> bool {
        let now = progress.now;
        let expired = self.rtprop.is_some() && now - self.rtprop_at > RTPROP_WINDOW;
        if let Some(rtt) = progress.rtt
            && (expired || self.rtprop.is_none_or(|lowest| rtt <= lowest))
        {
            (self.rtprop, self.rtprop_at) = (Some(rtt), now);
        }
        if expired && self.mode != Mode::ProbeRtt {
            self.mode = Mode::ProbeRtt;
            self.save(window, progress.recovery);
            self.probe_rtt_done = None;
        }
        if self.mode != Mode::ProbeRtt {
            return false;
        }
        match self.probe_rtt_done {
            None if progress.in_flight <= MIN_PIPE * segment => {
                self.probe_rtt_done = Some(now + PROBE_RTT);
                self.probe_rtt_round = false;
                self.next_round = self.delivered;
            }
            None => {}
            Some(done) => {
                self.probe_rtt_round |= self.round_start;
                if self.probe_rtt_round && now > done {
                    self.rtprop_at = now;
                    if self.filled {
                        self.enter_probe_bw(now);
                    } else {
                        self.mode = Mode::Startup;
                    }
                    return true;
                }
            }
        }
        false
    }

    /// 4.2.1: never slower than before while the pipe fills.
    fn set_pace(&mut self) {
        let gain = match self.mode {
            Mode::Startup => HIGH_GAIN,
            Mode::Drain => DRAIN_GAIN,
            Mode::ProbeBw => CYCLE[self.cycle],
            Mode::ProbeRtt => 100,
        };
        let pace = self.rate().saturating_mul(gain) / 100;
        if self.filled || pace > self.pace {
            self.pace = pace;
        }
    }

    /// Bytes per second; before the first sample the initial window over the handshake's round-trip time, times the gain.
    pub(super) fn pace(&self, window: u64, smoothed: Option<Duration>) -> u64 {
        if self.pace > 0 {
            return self.pace;
        }
        let micros = smoothed.map_or(1_000, |rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX).max(1));
        (window.saturating_mul(10_000) / micros).saturating_mul(HIGH_GAIN)
    }

    /// 4.2.3.2: BBRInflight: the model's product, and what offload and delayed acknowledgments hold back.
    fn inflight(&self, gain: u64, segment: u64) -> u64 {
        let Some(rtprop) = self.rtprop else { return super::initial_window(segment) };
        let micros = u64::try_from(rtprop.as_micros()).unwrap_or(u64::MAX);
        let product = self.rate().saturating_mul(micros) / 1_000_000;
        product.saturating_mul(gain) / 100 + 3 * self.quantum(segment)
    }

    /// 4.2.2: BBR.send_quantum.
    fn quantum(&self, segment: u64) -> u64 {
        match self.pace {
            ..150_000 => segment,
            150_000..3_000_000 => 2 * segment,
            pace => (pace / limits::PACING_BURSTS_PER_SECOND).min(limits::PACING_BURST_MAX),
        }
    }

    /// 4.2.3.6: BBRSetCwnd.
    fn window(&mut self, window: u64, segment: u64, progress: &Progress) -> u64 {
        let gain = match self.mode {
            Mode::Startup | Mode::Drain => HIGH_GAIN,
            Mode::ProbeBw => CWND_GAIN,
            Mode::ProbeRtt => 100,
        };
        let target = self.inflight(gain, segment);
        // 4.2.3.4: "packet conservation": for a round trip after a loss, what arrived may go.
        if progress.recovery && self.conserve_until.is_some() {
            return window.max(progress.in_flight + progress.bytes);
        }
        let next = if self.filled {
            (window + progress.bytes).min(target)
        } else if window < target || progress.sample.delivered < super::initial_window(segment) {
            window + progress.bytes
        } else {
            window
        };
        let next = next.max(MIN_PIPE * segment);
        if self.mode == Mode::ProbeRtt { next.min(MIN_PIPE * segment) } else { next }
    }

    /// 4.2.3.4: BBRSaveCwnd; then no more is sent than arrives, for a round trip.
    pub(super) fn on_loss(&mut self, window: u64) {
        self.save(window, false);
        self.conserve_until = Some(self.delivered);
    }

    fn save(&mut self, window: u64, recovery: bool) {
        let keep = recovery || self.mode == Mode::ProbeRtt;
        self.prior_window = if keep { self.prior_window.max(window) } else { window };
    }

    /// BBRRestoreCwnd.
    pub(super) fn on_repaired(&mut self, window: u64) -> u64 {
        self.conserve_until = None;
        window.max(self.prior_window)
    }
}

#[cfg(test)]
mod tests;
