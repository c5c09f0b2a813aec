//! CUBIC (RFC 9438): growth by the time since the last loss, not by the round-trip time.
//!
//! Windows in here are counted in segments, as in the RFC. Floating point: it is the RFC's own notation, and the same
//! seed gives the same run on one machine, which is what the tests need. What does not accumulate is kept in 32 bits,
//! which is seven digits.

use std::time::Duration;

use super::Growth;
use crate::time::Instant;

/// 4.6: "C ... 0.4"; segments per second cubed.
const C: f64 = 0.4;
/// 4.6: "beta_cubic ... 0.7".
const BETA: f64 = 0.7;
/// 4.3: 3 * (1 - beta) / (1 + beta): what gives Reno's average rate.
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

#[derive(Clone, Debug)]
pub(crate) struct Cubic {
    /// W_max: the window at the last loss.
    w_max: f64,
    /// The window just before the last loss: above it, W_est grows as fast as Reno does.
    w_prior: f32,
    /// W_est: what Reno would have.
    w_est: f64,
    /// K: seconds from the epoch's start until W_max is reached again.
    k: f32,
    /// When this stretch of congestion avoidance began; never: it has not.
    epoch: Instant,
    /// Since when the window has not been what limits; never: it is.
    unused: Instant,
}

impl Default for Cubic {
    fn default() -> Cubic {
        Cubic { w_max: 0.0, w_prior: 0.0, w_est: 0.0, k: 0.0, epoch: Instant::NEVER, unused: Instant::NEVER }
    }
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
        if self.epoch == Instant::NEVER {
            // 4.2: K = cubic_root((W_max - cwnd_epoch) / C); without a loss yet, or after a timeout (4.8), "K is set to 0, and
            // W_max is set to the congestion window size at the beginning".
            self.w_max = self.w_max.max(cwnd);
            self.k = ((self.w_max - cwnd) / C).cbrt() as f32;
            self.w_est = cwnd;
            self.epoch = growth.now;
        } else if self.unused != Instant::NEVER {
            // 5.8: the curve does not go on while the application sends less than the window lets it.
            self.epoch += growth.now - self.unused;
        }
        self.unused = Instant::NEVER;
        let elapsed = growth.now - self.epoch;
        // 4.2: target = W_cubic(t + RTT), at least cwnd and at most 1.5 cwnd.
        let target = self.w_cubic(elapsed + growth.smoothed).clamp(cwnd, 1.5 * cwnd);
        // 4.3: W_est = W_est + alpha * segments_acked / cwnd, alpha = 1 once the window before the loss is reached.
        self.w_est += if self.w_est < f64::from(self.w_prior) { ALPHA } else { 1.0 } * acked / cwnd;
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
        self.w_prior = cwnd as f32;
        self.epoch = Instant::NEVER;
        (window as f64 * BETA) as u64
    }

    /// 5.8: "CUBIC MUST NOT ... include the idle time": the curve starts anew.
    pub(super) fn on_idle(&mut self) {
        self.epoch = Instant::NEVER;
    }

    /// 4.8: after a timeout the curve begins where slow start ends, and not below where the loss was.
    pub(super) fn on_timeout(&mut self) {
        self.w_max = 0.0;
        self.epoch = Instant::NEVER;
    }

    /// The window is not what limits.
    pub(super) fn on_unused(&mut self, now: Instant) {
        if self.unused == Instant::NEVER {
            self.unused = now;
        }
    }

    /// Equation 1.
    fn w_cubic(&self, time: Duration) -> f64 {
        C * (time.as_secs_f64() - f64::from(self.k)).powi(3) + self.w_max
    }
}
