//! CUBIC (RFC 9438): growth by the time since the last loss, not by the round-trip time.
//!
//! Windows in here are counted in segments, as in the RFC. Floating point: it is the RFC's own notation, and the same
//! seed gives the same run on one machine, which is what the tests need.

use std::time::Duration;

use super::Growth;
use crate::time::Instant;

/// 4.6: "C ... 0.4"; segments per second cubed.
const C: f64 = 0.4;
/// 4.6: "beta_cubic ... 0.7".
const BETA: f64 = 0.7;
/// 4.3: 3 * (1 - beta) / (1 + beta): what gives Reno's average rate.
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

#[derive(Clone, Debug, Default)]
pub(crate) struct Cubic {
    /// W_max: the window at the last loss.
    w_max: f64,
    /// The window just before the last loss: above it, W_est grows as fast as Reno does.
    w_prior: f64,
    /// W_est: what Reno would have.
    w_est: f64,
    /// K: seconds from the epoch's start until W_max is reached again.
    k: f64,
    /// When this stretch of congestion avoidance began.
    epoch: Option<Instant>,
}

impl Cubic {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "windows are far below 2^52"
    )]
    pub(super) fn grow(&mut self, window: u64, segment: u64, bytes: u64, growth: &Growth) -> u64 {
        let cwnd = window as f64 / segment as f64;
        let acked = bytes as f64 / segment as f64;
        let epoch = *self.epoch.get_or_insert_with(|| {
            // 4.2: K = cubic_root((W_max - cwnd_epoch) / C); 4.8: without a loss yet, W_max is the window itself.
            self.w_max = self.w_max.max(cwnd);
            self.k = ((self.w_max - cwnd) / C).cbrt();
            self.w_est = cwnd;
            growth.now
        });
        let elapsed = growth.now - epoch;
        // 4.2: target = W_cubic(t + RTT), at least cwnd and at most 1.5 cwnd.
        let target = self.w_cubic(elapsed + growth.smoothed).clamp(cwnd, 1.5 * cwnd);
        // 4.3: W_est = W_est + alpha * segments_acked / cwnd, alpha = 1 once the window before the loss is reached.
        self.w_est += if self.w_est < self.w_prior { ALPHA } else { 1.0 } * acked / cwnd;
        let next = if self.w_cubic(elapsed) < self.w_est {
            // 4.3: the Reno-friendly region.
            cwnd.max(self.w_est)
        } else {
            // 4.4 and 4.5: cwnd + (target - cwnd) / cwnd for every segment.
            cwnd + (target - cwnd) * (acked / cwnd).min(1.0)
        };
        ((next * segment as f64) as u64).max(window)
    }

    /// 4.6 and 4.7: remembers where the loss was, lower if the last one was higher, and falls to beta of the window.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "windows are far below 2^52"
    )]
    pub(super) fn on_loss(&mut self, window: u64, segment: u64) -> u64 {
        let cwnd = window as f64 / segment as f64;
        self.w_max = if cwnd < self.w_max { cwnd * f64::midpoint(1.0, BETA) } else { cwnd };
        self.w_prior = cwnd;
        self.epoch = None;
        (window as f64 * BETA) as u64
    }

    /// 5.8: "CUBIC MUST NOT ... include the idle time": the curve starts anew.
    pub(super) fn on_idle(&mut self) {
        self.epoch = None;
    }

    /// Equation 1.
    fn w_cubic(&self, time: Duration) -> f64 {
        C * (time.as_secs_f64() - self.k).powi(3) + self.w_max
    }
}
