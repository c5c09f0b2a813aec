//! HyStart++ (RFC 9406): leave slow start when the round-trip time rises, before the queue overflows.
//!
//! Standard slow start until the smallest round-trip time of a round exceeds that of the round before by a threshold;
//! then conservative slow start for five rounds, in case the rise was only jitter; then congestion avoidance.

use std::time::Duration;

use super::Growth;
use crate::seq::Position;

/// 4.3: the constants the RFC recommends.
const MIN_RTT_THRESHOLD: Duration = Duration::from_millis(4);
const MAX_RTT_THRESHOLD: Duration = Duration::from_millis(16);
const MIN_RTT_DIVISOR: u32 = 8;
const SAMPLES: u32 = 8;
const CSS_GROWTH_DIVISOR: u64 = 4;
const CSS_ROUNDS: u8 = 5;
/// "L=8 for non-paced implementations".
const LIMIT: u64 = 8;

#[derive(Clone, Debug)]
pub(crate) struct HyStart {
    /// Smallest of the last round and of this one.
    last: Duration,
    current: Duration,
    samples: u32,
    /// The round ends when this is acknowledged.
    round_end: Option<Position>,
    /// In conservative slow start: the round-trip time that led there, and the rounds left.
    conservative: Option<(Duration, u8)>,
}

impl Default for HyStart {
    fn default() -> HyStart {
        HyStart { last: Duration::MAX, current: Duration::MAX, samples: 0, round_end: None, conservative: None }
    }
}

impl HyStart {
    /// Bytes that the window grows by in slow start.
    pub(super) fn step(&mut self, growth: &Growth, segment: u64) -> u64 {
        if self.round_end.is_none_or(|end| growth.una >= end) {
            self.next_round(growth.nxt);
        }
        if let Some(sample) = growth.sample {
            self.current = self.current.min(sample);
            self.samples += 1;
            if self.samples >= SAMPLES {
                self.judge();
            }
        }
        let bytes = growth.bytes.min(LIMIT * segment);
        if self.conservative.is_some() { bytes / CSS_GROWTH_DIVISOR } else { bytes }
    }

    /// The rise has lasted: time for congestion avoidance.
    pub(super) fn has_ended(&self) -> bool {
        self.conservative.is_some_and(|(_, rounds)| rounds == 0)
    }

    fn next_round(&mut self, nxt: Position) {
        if let Some((_, rounds)) = &mut self.conservative {
            *rounds = rounds.saturating_sub(1);
        }
        self.last = self.current;
        self.current = Duration::MAX;
        self.samples = 0;
        self.round_end = Some(nxt);
    }

    fn judge(&mut self) {
        match self.conservative {
            // "if (currentRoundMinRTT < cssBaselineMinRtt) cssBaselineMinRtt = infinity, resume slow start"
            Some((baseline, _)) if self.current < baseline => self.conservative = None,
            Some(_) => {}
            None if self.last != Duration::MAX => {
                let threshold = (self.last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESHOLD, MAX_RTT_THRESHOLD);
                if self.current >= self.last + threshold {
                    self.conservative = Some((self.current, CSS_ROUNDS));
                }
            }
            None => {}
        }
    }
}
