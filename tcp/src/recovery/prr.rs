//! Proportional rate reduction (RFC 9937): from the window at the loss to the new one, evenly over one round trip.

/// Bytes delivered and sent since recovery began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prr {
    delivered: u64,
    out: u64,
    /// RecoverFS: in flight when recovery began.
    flight: u64,
}

impl Prr {
    /// No recovery is going on.
    pub(crate) const fn none() -> Prr {
        Prr { delivered: 0, out: 0, flight: 1 }
    }

    /// `flight`: what was outstanding and not known to have arrived before the acknowledgment that began recovery.
    pub(crate) fn begin(flight: u64) -> Prr {
        Prr { delivered: 0, out: 0, flight: flight.max(1) }
    }

    /// The window after an acknowledgment that delivered `delivered`. `safe`: it moved SND.UNA and showed no new loss.
    pub(crate) fn window(&mut self, delivered: u64, safe: bool, in_flight: u64, threshold: u64, segment: u64) -> u64 {
        self.delivered += delivered;
        let may_send = if in_flight > threshold {
            (self.delivered * threshold).div_ceil(self.flight).saturating_sub(self.out)
        } else {
            let conservative = self.delivered.saturating_sub(self.out).max(delivered);
            let limit = conservative + if safe { segment } else { 0 };
            limit.min(threshold - in_flight)
        };
        // "Force a fast retransmit upon entering recovery".
        let may_send = if self.out == 0 { may_send.max(segment) } else { may_send };
        in_flight + may_send
    }

    /// Data was sent, again or for the first time.
    pub(crate) fn on_sent(&mut self, bytes: u64) {
        self.out += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9937, section 7, figure 1's case: 20 segments, the first lost, CUBIC's or Reno's half.
    #[test]
    fn reduces_evenly_over_the_round_trip() {
        let (segment, threshold) = (1, 10);
        let mut in_flight = 19;
        let mut prr = Prr::begin(20);
        let mut sent = Vec::new();
        for _ in 0..19 {
            in_flight -= 1;
            let window = prr.window(1, false, in_flight, threshold, segment);
            let send = window - in_flight;
            prr.on_sent(send);
            in_flight += send;
            sent.push(send);
        }
        assert_eq!(sent.iter().sum::<u64>(), 10, "{sent:?}");
        assert!(sent.iter().all(|sent| *sent <= 1), "{sent:?}");
        assert_eq!(in_flight, 10);
    }

    #[test]
    fn after_heavy_loss_it_slow_starts_up_to_the_threshold_and_no_further() {
        let mut prr = Prr::begin(100);
        assert_eq!(prr.window(1, true, 5, 50, 1), 7);
        prr.on_sent(2);
        assert_eq!(prr.window(60, true, 20, 50, 1), 50);
    }
}
