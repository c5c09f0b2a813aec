//! When to acknowledge: at once, soon, or together with something else.
//!
//! RFC 9293, 3.8.6.3: "a delayed ACK SHOULD be generated for at least every second full-sized segment or 2*RMSS bytes of
//! new data" (SHLD-19) and "MUST be less than 0.5 seconds". RFC 5681, 4.2: "out-of-order data segments SHOULD be
//! acknowledged immediately". At the start every segment is acknowledged, because the peer is in slow start and each
//! acknowledgment lets it double faster.

use std::time::Duration;

use crate::limits;

/// What new data asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// An acknowledgment now.
    Now,
    /// An acknowledgment when the delay has passed.
    Later,
}

/// The acknowledgments we owe.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledge {
    /// Bytes in order since the last acknowledgment.
    bytes: u32,
    /// Payload of a full segment, as seen so far.
    segment: u16,
    /// What we announced: no segment counts as larger.
    announced: u16,
    /// How long one may wait for company, in units of ten microseconds; less than RFC 9293's half of a second fits.
    delay: u16,
    /// Acknowledgments still to be sent without delay.
    quick: u8,
    /// One must go out as soon as output is asked for.
    pub(crate) now: bool,
}

/// Unit of the delay, in microseconds.
const DELAY_UNIT: u16 = 10;

impl Acknowledge {
    pub(crate) fn new(announced: u16, delay: Duration) -> Acknowledge {
        let delay = u16::try_from(delay.as_micros().div_ceil(DELAY_UNIT.into())).unwrap_or(u16::MAX);
        let segment = announced.min(limits::MSS_DEFAULT);
        Acknowledge { bytes: 0, segment, announced, delay, quick: limits::QUICK_ACKS, now: false }
    }

    /// How long one may wait.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_micros(u64::from(self.delay) * u64::from(DELAY_UNIT))
    }

    /// Payload of the largest segment seen, at most what we announced: what "full-sized" means for this peer.
    pub(crate) fn segment(&self) -> u32 {
        u32::from(self.segment)
    }

    /// In-order data arrived, nothing is missing.
    pub(crate) fn on_data(&mut self, bytes: u32) -> Due {
        let full = u16::try_from(bytes).unwrap_or(u16::MAX).min(self.announced);
        self.segment = self.segment.max(full);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.quick > 0 || self.delay == 0 || self.bytes >= 2 * self.segment() {
            self.now = true;
        }
        if self.now { Due::Now } else { Due::Later }
    }

    /// Something is or was missing: the peer wants to know at once, and for a while.
    pub(crate) fn on_disorder(&mut self) {
        self.now = true;
        self.quick = limits::QUICK_ACKS;
    }

    /// A segment with the newest acknowledgment went out.
    pub(crate) fn on_sent(&mut self) {
        if self.bytes > 0 {
            self.quick = self.quick.saturating_sub(1);
        }
        self.now = false;
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled() -> Acknowledge {
        let mut acknowledge = Acknowledge::new(1_460, Duration::from_millis(40));
        while acknowledge.quick > 0 {
            assert_eq!(acknowledge.on_data(1_000), Due::Now);
            acknowledge.on_sent();
        }
        acknowledge
    }

    #[test]
    fn sixteen_quick_ones_at_the_start_and_after_disorder() {
        let mut acknowledge = settled();
        assert_eq!(acknowledge.on_data(10), Due::Later);
        acknowledge.on_disorder();
        assert!(acknowledge.now);
        acknowledge.on_sent();
        assert_eq!(acknowledge.on_data(10), Due::Now);
    }

    #[test]
    fn every_second_full_segment() {
        let mut acknowledge = settled();
        assert_eq!(acknowledge.segment(), 1_000);
        assert_eq!(acknowledge.on_data(1_000), Due::Later);
        assert_eq!(acknowledge.on_data(1_000), Due::Now);
        acknowledge.on_sent();
        assert!(!acknowledge.now);
    }

    #[test]
    fn a_coalesced_segment_is_several() {
        let mut acknowledge = settled();
        assert_eq!(acknowledge.on_data(20_000), Due::Now);
        assert_eq!(acknowledge.segment(), 1_460);
    }
}
