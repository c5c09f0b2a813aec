//! Delivery rate samples (draft-cheng-iccrg-delivery-rate-estimation): how fast the path delivers.
//!
//! Every transmission carries what had been delivered when it left. When it arrives, what was delivered since, over the
//! longer of the times it took to send and to acknowledge, is a sample: neither a burst of acknowledgments nor one of
//! segments makes it too high. A sample taken while the application had nothing to send says only "at least".

use std::time::Duration;

use crate::time::Instant;

/// What a transmission remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// P.delivered, P.delivered_time, P.first_sent_time, P.is_app_limited.
    pub(crate) delivered: u64,
    delivered_at: Instant,
    first_sent: Instant,
    limited: bool,
}

/// The connection's side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DeliveryRate {
    /// C.delivered and C.delivered_time.
    delivered: u64,
    delivered_at: Instant,
    /// C.first_sent_time.
    first_sent: Instant,
    /// C.app_limited: samples of what was delivered up to here are limited by the application; zero: none.
    limited_until: u64,
}

/// A sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Bytes per second; none if the interval is too short to be true.
    pub(crate) rate: Option<u64>,
    /// C.delivered when the transmission left, and now.
    pub(crate) prior: u64,
    pub(crate) delivered: u64,
    pub(crate) limited: bool,
}

impl DeliveryRate {
    /// 3.2: something is sent; `alone`: nothing is in flight.
    pub(crate) fn on_sent(&mut self, now: Instant, alone: bool) -> Stamp {
        if alone {
            (self.first_sent, self.delivered_at) = (now, now);
        }
        Stamp {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            limited: self.limited_until > 0,
        }
    }

    /// 3.3: `bytes` were delivered; the latest of them had left at `sent` with `stamp`.
    pub(crate) fn on_delivered(
        &mut self,
        now: Instant,
        bytes: u64,
        latest: Option<(Stamp, Instant)>,
        min_rtt: Duration,
    ) -> Option<Sample> {
        self.delivered += bytes;
        self.delivered_at = now;
        if self.delivered > self.limited_until {
            self.limited_until = 0;
        }
        let (stamp, sent) = latest?;
        self.first_sent = sent;
        let interval = (sent - stamp.first_sent).max(now - stamp.delivered_at);
        // "if (rs.interval < MinRTT(tp)) return false": the ACKs were compressed, or a retransmission's original came.
        let valid = !interval.is_zero() && interval >= min_rtt;
        let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX).max(1);
        let rate = valid.then(|| (self.delivered - stamp.delivered).saturating_mul(1_000_000) / micros);
        Some(Sample { rate, prior: stamp.delivered, delivered: self.delivered, limited: stamp.limited })
    }

    /// 3.4: the application has nothing to send, though more could be in flight.
    pub(crate) fn limit(&mut self, in_flight: u64) {
        self.limited_until = (self.delivered + in_flight).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    const RTT: Duration = Duration::from_millis(100);

    #[test]
    fn the_longer_of_sending_and_acknowledging_counts() {
        let mut rate = DeliveryRate::default();
        let first = rate.on_sent(at(1_000), true);
        let second = rate.on_sent(at(1_050), false);
        let sample = rate.on_delivered(at(1_100), 10_000, Some((first, at(1_000))), RTT).unwrap();
        assert_eq!(sample.rate, Some(100_000));
        // 20,000 bytes since the start, acknowledged within 150 ms.
        let sample = rate.on_delivered(at(1_150), 10_000, Some((second, at(1_050))), RTT).unwrap();
        assert_eq!((sample.rate, sample.prior, sample.delivered), (Some(133_333), 0, 20_000));
        assert_eq!(rate.on_delivered(at(1_160), 10, None, RTT), None);
    }

    #[test]
    fn too_short_to_be_true_and_limited_by_the_application() {
        let mut rate = DeliveryRate::default();
        let stamp = rate.on_sent(at(1_000), true);
        assert_eq!(rate.on_delivered(at(1_010), 10, Some((stamp, at(1_000))), RTT).unwrap().rate, None);
        rate.limit(500);
        let stamp = rate.on_sent(at(1_020), false);
        assert!(rate.on_delivered(at(1_130), 500, Some((stamp, at(1_020))), RTT).unwrap().limited);
        let stamp = rate.on_sent(at(1_140), true);
        assert!(rate.on_delivered(at(1_250), 1, Some((stamp, at(1_140))), RTT).unwrap().limited);
        let stamp = rate.on_sent(at(1_260), true);
        assert!(!rate.on_delivered(at(1_370), 1, Some((stamp, at(1_260))), RTT).unwrap().limited);
    }
}
