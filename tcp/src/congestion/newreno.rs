//! RFC 5681: one segment per round trip up, half of it down. The yardstick for the others, and the choice where fairness
//! to old senders matters.

#[derive(Clone, Debug, Default)]
pub(crate) struct NewReno {
    /// Acknowledged bytes that have not made a segment of growth yet.
    acknowledged: u64,
}

impl NewReno {
    /// RFC 5681, 3.1: "when the number of bytes acknowledged reaches cwnd, then cwnd can be incremented by up to SMSS bytes".
    pub(super) fn grow(&mut self, window: u64, segment: u64, bytes: u64) -> u64 {
        self.acknowledged += bytes;
        if self.acknowledged < window {
            return window;
        }
        self.acknowledged -= window;
        window + segment
    }

    /// Equation 4, of what the window was: it grows only while all of it is used.
    pub(super) fn on_loss(&mut self, window: u64) -> u64 {
        self.acknowledged = 0;
        window / 2
    }
}
