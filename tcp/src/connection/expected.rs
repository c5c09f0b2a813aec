//! Header prediction: the short way of the segment that was expected, which nearly all are.
//!
//! In ESTABLISHED, the next bytes in sequence (or none), an acknowledgment within what was sent, no flag but ACK and PSH, no
//! SACK block, no mark, and a timestamp that is not old: then none of the checks of RFC 9293, 3.10.7.4 can refuse it, and
//! unless it acknowledges something there is nothing for the sending half to think about.
//!
//! What must hold: it does what the long way does, to the last timer. `tests.rs` runs both side by side over the same
//! segments. Whatever is not plain here is left to `arrival.rs`; that costs time, never correctness.

use crate::connection::arrival::Place;
use crate::connection::{Connection, Signals};
use crate::payload::Payload;
use crate::segment::{Ecn, Flags, Header, Segment};
use crate::state::State;
use crate::time::Instant;
use crate::timers::Timer;

impl<P: Payload> Connection<P> {
    /// Where the segment lies, if it is one that was expected.
    pub(super) fn expects(&self, segment: &Segment<P>) -> Option<Place> {
        let header = &segment.header;
        let plain = self.state == State::Established
            && header.flags.difference(Flags::PSH) == Flags::ACK
            && header.seq == self.receive.next().seq()
            && header.options.sack.is_empty()
            && segment.ecn != Ecn::CongestionExperienced
            && !self.deaf;
        if !plain || !self.is_timely(header) {
            return None;
        }
        let ack = self.transmit.una.near(header.ack);
        if ack < self.transmit.una || ack > self.transmit.nxt {
            return None;
        }
        let start = self.receive.next();
        let text = segment.payload.iter().map(|piece| piece.len() as u64).sum();
        let place = Place { start, end: start + text, text, fin: false };
        (text == 0 || self.receive.expects(text, segment.payload.len())).then_some(place)
    }

    /// RFC 7323: a timestamp if they are in use, not older than the last one.
    fn is_timely(&self, header: &Header) -> bool {
        let older = |value: u32| value.wrapping_sub(self.recent.value).cast_signed() < 0;
        !self.agreed.timestamps || header.options.timestamp.is_some_and(|timestamp| !older(timestamp.value))
    }

    /// Takes it.
    pub(super) fn arrival_of_expected(&mut self, now: Instant, place: &Place, segment: Segment<P>) -> Signals {
        let header = &segment.header;
        self.note_timestamp(now, header, place);
        (self.heard, self.last_heard, self.probes) = (true, now.tick(), 0);
        let ack = self.transmit.una.near(header.ack);
        let news = ack > self.transmit.una || place.text == 0 || !self.transmit.is_calm();
        let mut signals = Signals::empty();
        if news {
            signals |= self.take_ack(now, header, place, ack);
        } else {
            self.transmit.note_window(place.start, ack, header.window);
            self.timers.stop(Timer::Reordering);
        }
        if place.text > 0 {
            self.receive.take_expected(place.end, segment.payload);
            self.on_in_order(now, place.text);
            signals |= Signals::READABLE;
        }
        signals
    }
}

#[cfg(test)]
mod tests;
