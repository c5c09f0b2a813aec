//! What BBR does with its model (draft-ietf-ccwg-bbr-06, 5.6): the pace at which it sends, and the window that bounds it when the
//! model is wrong or losses say so.

use std::time::Duration;

use crate::congestion::bbr::{Bbr, INFINITE, MIN_PIPE, Progress, State};
use crate::congestion::initial_window;
use crate::limits;

/// 5.6.2: "BBR.PacingMarginPercent constant of 1": a hundredth below the rate, so that queues empty.
const MARGIN: u64 = 99;
/// 5.3.1.1: BBR.StartupPacingGain.
const STARTUP_GAIN: u64 = 277;

impl Bbr {
    /// 5.6.1, the table; in hundredths.
    pub(super) fn pacing_gain(&self) -> u64 {
        match self.state {
            State::Startup => STARTUP_GAIN,
            State::Drain => 50,
            State::Down => 90,
            State::Up => 125,
            State::Cruise | State::Refill | State::ProbeRtt => 100,
        }
    }

    fn window_gain(&self) -> u64 {
        match self.state {
            State::Up => 225,
            State::ProbeRtt => 50,
            _ => 200,
        }
    }

    /// SetPacingRateWithGain: "if (BBR.full_bw_reached || rate > C.pacing_rate)".
    pub(super) fn set_pace(&mut self, gain: u64) {
        let pace = (self.rate / 100).saturating_mul(gain) / 100 * MARGIN;
        if self.filled || pace > self.pace {
            self.pace = pace;
        }
    }

    /// Bytes per second; before the first sample InitPacingRate: the initial window over the handshake's round-trip time.
    pub(in crate::congestion) fn pace(&self, window: u64, smoothed: Option<Duration>) -> u64 {
        if self.pace > 0 {
            return self.pace;
        }
        let micros = smoothed.map_or(1_000, |rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX).max(1));
        (window.saturating_mul(10_000) / micros).saturating_mul(STARTUP_GAIN)
    }

    /// 5.6.3: C.send_quantum, which is the pacer's burst.
    pub(super) fn quantum(&self) -> u64 {
        (self.pace / limits::PACING_BURSTS_PER_SECOND).min(limits::PACING_BURST_MAX).max(2 * self.segment)
    }

    pub(super) fn min_pipe(&self) -> u64 {
        MIN_PIPE * self.segment
    }

    /// 5.6.4.6: SetCwnd.
    pub(super) fn set_window(&mut self, progress: &Progress) {
        // UpdateMaxInflight.
        let most = self.with_quantum(self.product(self.window_gain()) + self.aggregation.get());
        if self.filled {
            self.window = (self.window + progress.bytes).min(most);
        } else if self.window < most || progress.sample.delivered < initial_window(self.segment) {
            self.window += progress.bytes;
        }
        self.window = self.window.max(self.min_pipe());
        if self.state == State::ProbeRtt {
            self.window = self.window.min(self.probe_rtt_window());
        }
        self.window = self.window.min(self.bound());
    }

    /// 5.6.4.7: BoundCwndForModel.
    fn bound(&self) -> u64 {
        let cap = match self.state {
            State::Down | State::Refill | State::Up => self.long,
            State::Cruise | State::ProbeRtt => self.with_headroom(),
            State::Startup | State::Drain => INFINITE,
        };
        cap.min(self.short.1).max(self.min_pipe())
    }
}
