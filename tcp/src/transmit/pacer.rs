//! Pacing: when the next burst may go, so that a window is spread over its round trip.
//!
//! The rate is the congestion control's; a burst is what one call for output gives, a millisecond's worth but not less
//! than two segments and not more than segmentation offload takes. The caller learns of the wait by a deadline like any
//! other. A wake-up that comes late is made up for, by one burst at most. Retransmissions wait too; probes do not.

use crate::limits;
use crate::time::Instant;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pacer {
    /// When the next burst may go, in nanoseconds: at 10 Gbit/s a segment takes little more than a microsecond.
    at: u64,
    /// The last call for output was turned down.
    held: bool,
}

impl Pacer {
    /// Bytes that may go at once, at that rate in bytes per second.
    pub(crate) fn burst(rate: u64, segment: u64) -> u64 {
        (rate / limits::PACING_BURSTS_PER_SECOND).min(limits::PACING_BURST_MAX).max(2 * segment)
    }

    /// Whether a burst may go now; if not, [`deadline`](Pacer::deadline) says when.
    pub(crate) fn may_send(&mut self, now: Instant) -> bool {
        self.held = self.at > nanos(now);
        !self.held
    }

    /// That much went out.
    pub(crate) fn on_sent(&mut self, now: Instant, bytes: u64, rate: u64, segment: u64) {
        let late = nanos_for(Pacer::burst(rate, segment), rate);
        self.at = self.at.max(nanos(now).saturating_sub(late)).saturating_add(nanos_for(bytes, rate));
    }

    /// When output that was turned down may go.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.held.then(|| Instant::from_micros(self.at.div_ceil(1_000)))
    }

    /// Output is not turned down now.
    pub(crate) fn release(&mut self) {
        self.held = false;
    }
}

fn nanos(at: Instant) -> u64 {
    at.as_micros().saturating_mul(1_000)
}

fn nanos_for(bytes: u64, rate: u64) -> u64 {
    bytes.saturating_mul(1_000_000_000) / rate.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_are_a_millisecond_within_bounds() {
        assert_eq!(Pacer::burst(100_000, 1_460), 2_920);
        assert_eq!(Pacer::burst(12_500_000, 1_460), 12_500);
        assert_eq!(Pacer::burst(1_250_000_000, 1_460), limits::PACING_BURST_MAX);
    }

    #[test]
    fn keeps_the_rate_though_wake_ups_are_late() {
        let (mut pacer, mut now, mut sent) = (Pacer::default(), Instant::from_micros(5_000_000), 0);
        let start = now;
        // 1 MB/s, woken 300 µs late every time.
        while now < start + std::time::Duration::from_secs(1) {
            assert!(pacer.may_send(now));
            pacer.on_sent(now, 3_000, 1_000_000, 1_000);
            sent += 3_000;
            while pacer.may_send(now) {
                pacer.on_sent(now, 3_000, 1_000_000, 1_000);
                sent += 3_000;
            }
            let at = pacer.deadline().expect("held");
            assert!(at > now);
            now = at + std::time::Duration::from_micros(300);
        }
        assert!((995_000..=1_006_000).contains(&sent), "{sent}");
    }

    #[test]
    fn a_long_silence_gives_no_more_than_one_burst_extra() {
        let mut pacer = Pacer::default();
        let now = Instant::from_micros(60_000_000);
        let mut bursts = 0;
        while pacer.may_send(now) {
            pacer.on_sent(now, 2_000, 1_000_000, 1_000);
            bursts += 1;
        }
        assert!(bursts <= 2, "{bursts}");
    }
}
