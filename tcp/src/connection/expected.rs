//! Header prediction: the short way of the segment that was expected, which nearly all are.
//!
//! In ESTABLISHED, the next bytes in sequence (or none), an acknowledgment within what was sent, no flag but ACK and PSH, no
//! SACK block, no mark, and a timestamp that is not old: then none of the checks of RFC 9293, 3.10.7.4 can refuse it, and
//! unless it acknowledges something there is nothing for the sending half to think about.
//!
//! What must hold: it does what the long way does, to the last timer. `tests.rs` runs both side by side over the same
//! segments. Whatever is not plain here is left to `arrival.rs`; that costs time, never correctness.

use crate::connection::arrival::Place;
use crate::connection::hot::Hot;
use crate::connection::{Connection, Signals};
use crate::payload::Payload;
use crate::segment::Segment;
use crate::seq::Position;
use crate::time::Instant;

impl<P: Payload> Connection<P> {
    fn hot(&mut self) -> Hot<'_, P> {
        Hot { receive: &mut self.receive, beat: &mut self.beat, head: &mut self.transmit.head }
    }

    /// Where the segment lies, if it is one that was expected; and its acknowledgment.
    pub(super) fn expects(&mut self, segment: &Segment<P>) -> Option<(Place, Position)> {
        self.hot().expects(segment)
    }

    /// Takes it.
    pub(super) fn arrival_of_expected(
        &mut self,
        now: Instant,
        (place, ack): (Place, Position),
        segment: Segment<P>,
    ) -> Signals {
        let header = &segment.header;
        let mut signals = Signals::empty();
        self.hot().note(now, header, &place);
        // Outside of the hot lines only when something is in flight.
        let quiet = ack == self.transmit.head.nxt() || self.transmit.is_calm();
        if self.hot().is_news(&place, ack, quiet) {
            signals |= self.take_ack(now, header, &place, ack);
        } else {
            self.hot().note_window(&place, ack, header.window);
        }
        if place.text > 0 {
            self.hot().take_text(now, &place, segment);
            signals |= Signals::READABLE;
        }
        signals
    }
}

#[cfg(test)]
mod tests;
