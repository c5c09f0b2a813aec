//! Was the loss none? Two ways to find out, both from what the peer says.
//!
//! Eifel (RFC 3522): an acknowledgment of something sent again that echoes a timestamp from before the retransmission was
//! for the original. D-SACK (RFC 3708): the peer got everything twice that was sent again. Then nothing was lost, the
//! path is only slower or reorders, and the window is given back.

use crate::congestion::Before;
use crate::seq::Position;

#[derive(Clone, Debug)]
pub(crate) struct Undo {
    pub(crate) before: Before,
    /// Our timestamp when the first retransmission left; none before, and none when an answer to it came.
    stamp: Option<u32>,
    armed: bool,
    /// SND.UNA when the repair began: D-SACKs for what was sent before do not count.
    una: Position,
    /// Bytes sent again that the peer has not reported as duplicates.
    again: u64,
}

impl Undo {
    pub(crate) fn new(before: Before, una: Position) -> Undo {
        Undo { before, stamp: None, armed: true, una, again: 0 }
    }

    /// Something was sent again, at this value of our timestamp clock.
    pub(crate) fn on_resent(&mut self, bytes: u64, stamp: Option<u32>) {
        self.again += bytes;
        if self.armed && self.stamp.is_none() {
            self.stamp = stamp;
        }
    }

    /// Something sent again was acknowledged, with this echo: was it the original?
    pub(crate) fn is_spurious_by_echo(&mut self, echo: Option<u32>) -> bool {
        let Some((echo, stamp)) = echo.zip(self.stamp) else { return false };
        self.stamp = None;
        self.armed = false;
        echo.wrapping_sub(stamp).cast_signed() < 0
    }

    /// The peer reports `[start, end)` as received twice: was that the last of them?
    pub(crate) fn is_spurious_by_duplicate(&mut self, start: Position, end: Position) -> bool {
        if start < self.una || self.again == 0 {
            return false;
        }
        self.again = self.again.saturating_sub(end.saturating_since(start));
        self.again == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::{Algorithm, Congestion};
    use crate::seq::SeqNumber;

    fn undo() -> Undo {
        Undo::new(Congestion::new(Algorithm::Cubic, 1_000).on_loss(u64::MAX), una())
    }

    fn una() -> Position {
        Position::of_syn(SeqNumber(7))
    }

    #[test]
    fn the_first_answer_decides_by_its_echo() {
        let mut spurious = undo();
        spurious.on_resent(100, Some(500));
        assert!(spurious.is_spurious_by_echo(Some(499)));
        let mut genuine = undo();
        genuine.on_resent(100, Some(500));
        assert!(!genuine.is_spurious_by_echo(Some(500)));
        genuine.on_resent(100, Some(600));
        assert!(!genuine.is_spurious_by_echo(Some(499)));
        assert!(!undo().is_spurious_by_echo(Some(1)));
    }

    #[test]
    fn all_that_was_sent_again_must_be_reported() {
        let mut undo = undo();
        undo.on_resent(200, None);
        assert!(!undo.is_spurious_by_duplicate(una().minus(100), una()));
        assert!(!undo.is_spurious_by_duplicate(una(), una() + 100));
        assert!(undo.is_spurious_by_duplicate(una() + 100, una() + 200));
        assert!(!undo.is_spurious_by_duplicate(una() + 100, una() + 200));
    }
}
