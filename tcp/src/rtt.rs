//! Round-trip time and the retransmission timeout (RFC 6298).
//!
//! Samples come with every acknowledgment, not once per round trip; RFC 7323, appendix G has the gains that keep the
//! filter's memory the same. Karn's rule is kept by the caller, who offers no sample of what was sent twice.

use std::time::Duration;

use crate::limits;
use crate::time::Instant;

#[derive(Clone, Debug)]
pub(crate) struct Rtt {
    /// Nanoseconds, so that small gains do not round to nothing; zero before the first sample.
    smoothed: u64,
    /// In sixteenths of a microsecond.
    variation: u32,
    /// Smallest sample in microseconds, and since when it is the smallest, in milliseconds modulo 2^32.
    min: u32,
    min_since: u32,
    /// The SYN had to be sent again: longer before the first sample.
    syn_was_lost: bool,
    /// Doublings since something was acknowledged.
    backoff: u8,
}

/// No sample yet.
const NONE: u32 = u32::MAX;

impl Rtt {
    pub(crate) fn new() -> Rtt {
        Rtt { smoothed: 0, variation: 0, min: NONE, min_since: 0, syn_was_lost: false, backoff: 0 }
    }

    /// The SYN had to be sent again.
    pub(crate) fn syn_was_lost(&mut self) {
        self.syn_was_lost = true;
    }

    /// A measurement that only counts for the minimum.
    pub(crate) fn note_min(&mut self, now: Instant, rtt: Duration) {
        let micros = rtt.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(rtt.subsec_micros()));
        let micros = u32::try_from(micros).unwrap_or(NONE - 1).min(NONE - 1);
        let age = now.tick().wrapping_sub(self.min_since);
        if micros <= self.min || Duration::from_millis(age.into()) > limits::MIN_RTT_WINDOW {
            (self.min, self.min_since) = (micros, now.tick());
        }
    }

    /// One measurement, while `segments` were in flight.
    pub(crate) fn sample(&mut self, now: Instant, rtt: Duration, segments: u64) {
        self.note_min(now, rtt);
        let nanos = rtt.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(rtt.subsec_nanos()));
        let sample = nanos.clamp(1_000, 1 << 40);
        if self.smoothed == 0 {
            // (2.2) SRTT <- R, RTTVAR <- R/2
            (self.smoothed, self.variation) = (sample, coarse(sample / 2));
            return;
        }
        // (2.3) alpha = 1/8, beta = 1/4; RFC 7323, G: divided by the samples expected per round trip, with delayed ACKs.
        let expected = segments.div_ceil(2).max(1);
        let error = self.smoothed.abs_diff(sample);
        self.variation = coarse(step(fine(self.variation), error, 4 * expected));
        self.smoothed = step(self.smoothed, sample, 8 * expected);
    }

    /// The timeout now, backed off.
    pub(crate) fn timeout(&self) -> Duration {
        let base = match self.smoothed() {
            None if self.syn_was_lost => limits::RTO_AFTER_LOST_SYN,
            None => limits::RTO_INITIAL,
            // (2.3) RTO <- SRTT + max (G, K*RTTVAR)
            Some(smoothed) => smoothed + (4 * self.variation()).max(limits::RTO_VARIANCE_MIN),
        };
        base.saturating_mul(1 << self.backoff.min(16)).min(limits::RTO_MAX)
    }

    /// (5.5) "The host MUST set RTO <- RTO * 2 ('back off the timer')".
    pub(crate) fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// Something was acknowledged: the network lives.
    pub(crate) fn forget_backoff(&mut self) {
        self.backoff = 0;
    }

    pub(crate) fn backoff(&self) -> u8 {
        self.backoff
    }

    pub(crate) fn smoothed(&self) -> Option<Duration> {
        (self.smoothed > 0).then(|| Duration::from_nanos(self.smoothed))
    }

    pub(crate) fn variation(&self) -> Duration {
        Duration::from_nanos(fine(self.variation))
    }

    /// The smallest of the last minutes.
    pub(crate) fn min(&self) -> Option<Duration> {
        (self.min != NONE).then(|| Duration::from_micros(u64::from(self.min)))
    }
}

/// Nanoseconds to sixteenths of a microsecond, rounded; up to four minutes.
fn coarse(nanos: u64) -> u32 {
    u32::try_from((nanos * 2).div_ceil(125)).unwrap_or(u32::MAX)
}

fn fine(sixteenths: u32) -> u64 {
    u64::from(sixteenths) * 125 / 2
}

fn step(old: u64, sample: u64, divisor: u64) -> u64 {
    if sample >= old { old + part(sample - old, divisor) } else { old - part(old - sample, divisor) }
}

/// Nearly always both fit into 32 bits, where dividing takes half of the time.
fn part(whole: u64, divisor: u64) -> u64 {
    match (u32::try_from(whole), u32::try_from(divisor)) {
        (Ok(whole), Ok(divisor)) => u64::from(whole / divisor),
        _ => whole / divisor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn rfc_6298_section_2() {
        let mut rtt = Rtt::new();
        assert_eq!(rtt.timeout(), Duration::from_secs(1));
        rtt.sample(Instant::ZERO, 400 * MS, 1);
        assert_eq!((rtt.smoothed(), rtt.variation()), (Some(400 * MS), 200 * MS));
        assert_eq!(rtt.timeout(), 1_200 * MS);
        rtt.sample(Instant::ZERO, 480 * MS, 1);
        assert_eq!((rtt.smoothed(), rtt.variation()), (Some(410 * MS), 170 * MS));
        assert_eq!(rtt.timeout(), 1_090 * MS);
    }

    #[test]
    fn the_floor_is_above_the_round_trip() {
        let mut rtt = Rtt::new();
        for _ in 0..1_000 {
            rtt.sample(Instant::ZERO, 50 * MS, 1);
        }
        assert!((249 * MS..=251 * MS).contains(&rtt.timeout()), "{:?}", rtt.timeout());
    }

    #[test]
    fn many_samples_a_round_trip_do_not_forget_the_past() {
        let (mut few, mut many) = (Rtt::new(), Rtt::new());
        few.sample(Instant::ZERO, 100 * MS, 1);
        many.sample(Instant::ZERO, 100 * MS, 1);
        few.sample(Instant::ZERO, 200 * MS, 2);
        for _ in 0..50 {
            many.sample(Instant::ZERO, 200 * MS, 100);
        }
        let difference = few.smoothed().unwrap().abs_diff(many.smoothed().unwrap());
        assert!(difference < MS, "{few:?} {many:?}");
    }

    #[test]
    fn backs_off_to_the_maximum_and_comes_back() {
        let mut rtt = Rtt::new();
        rtt.syn_was_lost();
        assert_eq!(rtt.timeout(), Duration::from_secs(3));
        for _ in 0..300 {
            rtt.back_off();
        }
        assert_eq!(rtt.timeout(), limits::RTO_MAX);
        rtt.forget_backoff();
        assert_eq!(rtt.timeout(), Duration::from_secs(3));
    }

    #[test]
    fn the_minimum_is_forgotten_after_a_while() {
        let mut rtt = Rtt::new();
        rtt.sample(Instant::ZERO, 10 * MS, 1);
        rtt.sample(Instant::ZERO + 100 * MS, 20 * MS, 1);
        assert_eq!(rtt.min(), Some(10 * MS));
        rtt.sample(Instant::ZERO + limits::MIN_RTT_WINDOW + MS, 20 * MS, 1);
        assert_eq!(rtt.min(), Some(20 * MS));
    }
}
