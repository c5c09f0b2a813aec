//! Congestion window validation (RFC 7661): a window that was not used says little about the path.
//!
//! pipeACK is the most that was acknowledged within one round trip lately. While it is less than half of the window, the
//! window is "non-validated": it may be kept for five minutes, it does not grow, and a loss falls from what was used and
//! not from what was allowed. What is not followed: 4.4 would keep the window over a whole idle period too. Without
//! pacing that is a burst of a window into an unknown path, so RFC 5681, 4.1 stays in force for idling.

use std::time::Duration;

use crate::limits;
use crate::seq::Position;
use crate::time::Instant;

#[derive(Clone, Debug, Default)]
pub(crate) struct Validation {
    /// Largest sample of this sampling period, and of the one before. Zero in both: undefined.
    samples: [u64; 2],
    period_began: Instant,
    /// Acknowledged in this round, which ends when that is acknowledged.
    acked: u64,
    round_end: Option<Position>,
    /// Since when the window is not validated.
    unused_since: Option<Instant>,
}

/// What an acknowledgment tells about use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) now: Instant,
    pub(crate) acked: u64,
    pub(crate) una: Position,
    pub(crate) nxt: Position,
    pub(crate) smoothed: Duration,
    /// The window was what limited us.
    pub(crate) limited: bool,
}

impl Validation {
    /// 4.2: "pipeACK ... the maximum of the measured size of the acknowledged network capacity"; none while undefined.
    pub(crate) fn pipe_ack(&self) -> Option<u64> {
        Some(self.samples[0].max(self.samples[1])).filter(|pipe| *pipe > 0)
    }

    /// 4.3: "the Validated phase: pipeACK >= (1/2)*cwnd, or pipeACK is undefined".
    pub(crate) fn is_validated(&self, window: u64) -> bool {
        self.pipe_ack().is_none_or(|pipe| 2 * pipe >= window)
    }

    /// Takes a sample once per round trip. True when the non-validated period is over: the window must fall.
    pub(super) fn on_ack(&mut self, used: &Use, window: u64) -> bool {
        self.acked += used.acked;
        if self.round_end.is_none_or(|end| used.una >= end) {
            self.sample(used);
        }
        if used.limited || self.is_validated(window) {
            self.unused_since = None;
            return false;
        }
        let since = *self.unused_since.get_or_insert(used.now);
        let over = used.now - since > limits::NON_VALIDATED_PERIOD;
        if over {
            self.unused_since = Some(used.now);
        }
        over
    }

    fn sample(&mut self, used: &Use) {
        // 4.5.1: "pipeACK Sampling Period ... max(3*RTT, 1 second)". Two periods in turn are a maximum over one to two.
        if used.now - self.period_began > (3 * used.smoothed).max(Duration::from_secs(1)) {
            self.samples = [0, self.samples[0]];
            self.period_began = used.now;
        }
        if self.round_end.is_some() {
            self.samples[0] = self.samples[0].max(self.acked);
        }
        (self.acked, self.round_end) = (0, Some(used.nxt));
    }

    /// 4.4.3: after a loss the samples are of another path: "MUST discard all pipeACK samples".
    pub(super) fn on_loss(&mut self) {
        *self = Validation::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::SeqNumber;

    fn used(ms: u64, acked: u64, una: u64) -> Use {
        let at = |bytes| Position::of_syn(SeqNumber(9)) + bytes;
        let (una, nxt) = (at(una), at(una + acked));
        let now = Instant::ZERO + Duration::from_millis(ms);
        Use { now, acked, una, nxt, smoothed: Duration::from_millis(100), limited: false }
    }

    /// A round of `acked` bytes every 100 ms.
    fn rounds(validation: &mut Validation, from: u64, count: u64, acked: u64, window: u64) -> u64 {
        let falls = (from..from + count).filter(|i| validation.on_ack(&used(i * 100, acked, i * 1_000_000), window));
        falls.count() as u64
    }

    #[test]
    fn the_most_of_the_last_second_is_what_the_path_carried() {
        let mut validation = Validation::default();
        assert!(validation.is_validated(u64::MAX), "undefined: everything is");
        rounds(&mut validation, 1, 3, 50_000, 100_000);
        assert_eq!(validation.pipe_ack(), Some(50_000));
        assert!(validation.is_validated(100_000) && !validation.is_validated(100_001));
        rounds(&mut validation, 4, 40, 1_000, 100_000);
        assert_eq!(validation.pipe_ack(), Some(1_000), "forgotten");
        validation.on_loss();
        assert_eq!(validation.pipe_ack(), None);
    }

    #[test]
    fn five_minutes_unused_and_the_window_falls_once() {
        let mut validation = Validation::default();
        let minutes = |minutes: u64| minutes * 600;
        assert_eq!(rounds(&mut validation, 1, minutes(5) - 10, 1_000, 100_000), 0);
        assert_eq!(rounds(&mut validation, minutes(5), 100, 1_000, 100_000), 1);
        assert_eq!(rounds(&mut validation, minutes(6), 100, 60_000, 100_000), 0);
    }
}
