//! Delivery rate samples (draft-ietf-ccwg-bbr-06, 4.1): how fast the path delivers, and how much of it is lost.
//!
//! Every transmission carries what had been delivered and lost when it left. When it arrives, what was delivered since,
//! over the longer of the times it took to send and to acknowledge, is a sample: neither a burst of acknowledgments nor one
//! of segments makes it too high. A sample taken while the application had nothing to send says only "at least". Kept only
//! for those that model the path; the others have no use for it.

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
    /// P.lost and P.tx_in_flight.
    lost: u64,
    in_flight: u64,
}

/// What is known of the transmissions in flight when another one leaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leaving {
    /// In flight before it.
    pub(crate) before: u64,
    pub(crate) bytes: u64,
    /// C.lost.
    pub(crate) lost: u64,
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
    /// RS.lost: since the transmission left.
    pub(crate) lost: u64,
    /// RS.tx_in_flight: when it had left.
    pub(crate) in_flight: u64,
}

impl Sample {
    /// RS.delivered.
    pub(crate) fn volume(&self) -> u64 {
        self.delivered - self.prior
    }
}

impl DeliveryRate {
    /// 4.1.2.2: something is sent.
    pub(crate) fn on_sent(&mut self, now: Instant, leaving: &Leaving) -> Stamp {
        if leaving.before == 0 {
            (self.first_sent, self.delivered_at) = (now, now);
        }
        Stamp {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            limited: self.is_limited(),
            lost: leaving.lost,
            in_flight: leaving.before + leaving.bytes,
        }
    }

    /// 4.1.2.3: `bytes` were delivered; the latest of them had left at `sent` with `stamp`.
    pub(crate) fn on_delivered(
        &mut self,
        now: Instant,
        bytes: u64,
        latest: Option<(Stamp, Instant)>,
        min_rtt: Duration,
        lost: u64,
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
        Some(Sample {
            rate,
            prior: stamp.delivered,
            delivered: self.delivered,
            limited: stamp.limited,
            lost: lost - stamp.lost,
            in_flight: stamp.in_flight,
        })
    }

    /// 4.1.2.4: the application has nothing to send, though more could be in flight.
    pub(crate) fn limit(&mut self, in_flight: u64) {
        self.limited_until = (self.delivered + in_flight).max(1);
    }

    /// C.app_limited.
    pub(crate) fn is_limited(&self) -> bool {
        self.limited_until > 0
    }
}

/// What was lost: C.lost, and what a model of the path must hear of it at the next acknowledgment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Losses {
    /// C.lost.
    total: u64,
    news: LossNews,
}

/// Losses since the last acknowledgment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LossNews {
    pub(crate) bytes: u64,
    /// The first transmission whose loss made the rate exceed the threshold.
    pub(crate) over: Option<Excess>,
    /// The last one lost.
    pub(crate) last: Option<Excess>,
}

/// What was in flight when there was too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    pub(crate) in_flight: u64,
    pub(crate) limited: bool,
}

impl Losses {
    /// 5.5.10.2: HandleLostPacket: `bytes`, sent with `stamp`, are lost.
    pub(crate) fn on_lost(&mut self, stamp: &Stamp, bytes: u64) {
        self.total += bytes;
        self.news.bytes += bytes;
        let lost = self.total - stamp.lost;
        self.news.last = Some(Excess { in_flight: stamp.in_flight, limited: stamp.limited });
        if self.news.over.is_none() && is_too_much(lost, stamp.in_flight) {
            let in_flight = at_loss(stamp.in_flight, lost, bytes);
            self.news.over = Some(Excess { in_flight, limited: stamp.limited });
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn take(&mut self) -> LossNews {
        std::mem::take(&mut self.news)
    }
}

/// 5.5.10.2: IsInflightTooHigh: "RS.lost > RS.tx_in_flight * BBR.LossThresh", 2 %.
pub(crate) fn is_too_much(lost: u64, in_flight: u64) -> bool {
    lost * 50 > in_flight
}

/// 5.5.10.2: InflightAtLoss: "At what prefix of packet P did losses exceed BBR.LossThresh?" A transmission may be 64 KiB.
fn at_loss(in_flight: u64, lost: u64, bytes: u64) -> u64 {
    let (before, lost_before) = (in_flight.saturating_sub(bytes), lost - bytes);
    // (LossThresh * inflight_prev - lost_prev) / (1 - LossThresh)
    before + before.saturating_sub(50 * lost_before) / 49
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    const RTT: Duration = Duration::from_millis(100);

    fn leaving(before: u64) -> Leaving {
        Leaving { before, bytes: 10, lost: 0 }
    }

    #[test]
    fn the_longer_of_sending_and_acknowledging_counts() {
        let mut rate = DeliveryRate::default();
        let first = rate.on_sent(at(1_000), &leaving(0));
        let second = rate.on_sent(at(1_050), &leaving(1));
        let sample = rate.on_delivered(at(1_100), 10_000, Some((first, at(1_000))), RTT, 0).unwrap();
        assert_eq!(sample.rate, Some(100_000));
        // 20,000 bytes since the start, acknowledged within 150 ms.
        let sample = rate.on_delivered(at(1_150), 10_000, Some((second, at(1_050))), RTT, 0).unwrap();
        assert_eq!((sample.rate, sample.prior, sample.delivered), (Some(133_333), 0, 20_000));
        assert_eq!(rate.on_delivered(at(1_160), 10, None, RTT, 0), None);
    }

    #[test]
    fn too_short_to_be_true_and_limited_by_the_application() {
        let mut rate = DeliveryRate::default();
        let stamp = rate.on_sent(at(1_000), &leaving(0));
        assert_eq!(rate.on_delivered(at(1_010), 10, Some((stamp, at(1_000))), RTT, 0).unwrap().rate, None);
        rate.limit(500);
        let stamp = rate.on_sent(at(1_020), &leaving(1));
        assert!(rate.on_delivered(at(1_130), 500, Some((stamp, at(1_020))), RTT, 0).unwrap().limited);
        let stamp = rate.on_sent(at(1_140), &leaving(0));
        assert!(rate.on_delivered(at(1_250), 1, Some((stamp, at(1_140))), RTT, 0).unwrap().limited);
        let stamp = rate.on_sent(at(1_260), &leaving(0));
        assert!(!rate.on_delivered(at(1_370), 1, Some((stamp, at(1_260))), RTT, 0).unwrap().limited);
    }

    #[test]
    fn the_prefix_of_a_burst_that_was_still_safe() {
        let (mut rate, mut losses) = (DeliveryRate::default(), Losses::default());
        let stamp = |rate: &mut DeliveryRate, losses: &Losses, before| {
            rate.on_sent(at(1), &Leaving { before, bytes: 10_000, lost: losses.total() })
        };
        // One of a hundred is 1 %: not too much.
        let first = stamp(&mut rate, &losses, 990_000);
        losses.on_lost(&first, 10_000);
        assert_eq!((losses.take().over, losses.total()), (None, 10_000));
        // Sent before that was known; lost after it: 2 % is crossed within the burst.
        let burst = rate.on_sent(at(1), &Leaving { before: 990_000, bytes: 60_000, lost: 0 });
        losses.on_lost(&burst, 60_000);
        let over = losses.take().over.expect("7 % of 1,050,000");
        // 10,000 of 990,000 were lost; (0.02 * 990,000 - 10,000) / 0.98 more make 2 %.
        assert_eq!(over, Excess { in_flight: 990_000 + 10_000, limited: false });
        assert_eq!(losses.take(), LossNews::default());
    }
}
