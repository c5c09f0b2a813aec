//! A segment's way through a connection, in the order of RFC 9293, 3.10.7.4, with RFC 7323's and RFC 5961's checks where
//! they belong: RST, SYN, timestamps, sequence, ACK, text, FIN.
//!
//! RST and SYN are looked at before the sequence number, because RFC 5961 gives them answers of their own.

use smallvec::SmallVec;

use crate::connection::{Connection, Error, Signals};
use crate::discard::Discard;
use crate::payload::Payload;
use crate::reset::reset_for;
use crate::segment::{Flags, Header, Segment};
use crate::seq::Position;
use crate::state::{Event, State};
use crate::time::Instant;
use crate::timers::Timer;
use crate::transmit::AckFacts;

/// Where a segment lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Its first byte of text.
    pub(super) start: Position,
    /// After its text and FIN.
    pub(super) end: Position,
    /// Bytes of text.
    pub(super) text: u64,
    pub(super) fin: bool,
}

impl<P: Payload> Connection<P> {
    /// A segment arrived. `Err`: it, or its text, was not used; it may still have to be answered.
    pub fn handle_segment(&mut self, now: Instant, segment: Segment<P>) -> Result<Signals, Discard> {
        self.beat.segments_in = self.beat.segments_in.wrapping_add(1);
        #[cfg(test)]
        if self.long_way && self.beat.state.is_synchronized() {
            self.unexpected = self.unexpected.wrapping_add(1);
            return self.arrival(now, segment);
        }
        if let Some(expected) = self.expects(&segment) {
            return Ok(self.arrival_of_expected(now, expected, segment));
        }
        self.unexpected = self.unexpected.wrapping_add(1);
        match self.beat.state {
            State::Closed => Err(Discard::Closed),
            State::SynSent => self.arrival_in_syn_sent(now, &segment),
            _ => self.arrival(now, segment),
        }
    }

    fn arrival(&mut self, now: Instant, segment: Segment<P>) -> Result<Signals, Discard> {
        let header = &segment.header;
        if let Some(discard) = self.repeated_syn(now, header) {
            return Err(discard);
        }
        let place = self.place(&segment);
        if header.flags.contains(Flags::RST) {
            return self.arrival_of_reset(now, &place);
        }
        self.check_syn(now, header)?;
        self.check_timestamp(now, header, &place)?;
        self.check_sequence(now, &place)?;
        self.note_timestamp(header, &place);
        if self.beat.notification.on_segment(header.flags, segment.ecn, place.text) {
            self.receive.acknowledge.now = true;
        }
        let signals = self.arrival_of_ack(now, header, &place)?;
        if self.beat.state == State::Closed {
            return Ok(signals);
        }
        // Urgent data is read in line with the rest (RFC 6093, 6), so the pointer means nothing here.
        match self.arrival_of_text(now, &place, segment.payload) {
            Ok(more) => Ok(signals | more),
            // What the ACK changed must be heard of, even if the text was of no use.
            Err(discard) if signals.is_empty() => Err(discard),
            Err(_) => Ok(signals),
        }
    }

    fn place(&self, segment: &Segment<P>) -> Place {
        let flags = segment.header.flags;
        let text = segment.payload.iter().map(|piece| piece.len() as u64).sum();
        // A SYN that gets as far as this is one we know (simultaneous open): what counts begins after it.
        let start = self.receive.next().near(segment.header.seq) + u64::from(flags.contains(Flags::SYN));
        let fin = flags.contains(Flags::FIN);
        Place { start, end: start + text + u64::from(fin), text, fin }
    }

    /// RFC 7323, 5.3, R1: "If there is a Timestamps option in the arriving segment, SEG.TSval < TS.Recent, TS.Recent is valid,
    /// and if the RST bit is not set, then treat the arriving segment as not acceptable". What occupies no sequence space
    /// says nothing newer than what we know, and is not answered.
    fn check_timestamp(&mut self, now: Instant, header: &Header, place: &Place) -> Result<(), Discard> {
        if !self.agreed.timestamps {
            return Ok(());
        }
        // 3.2: "If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently drop the segment."
        let timestamp = header.options.timestamp.ok_or(Discard::TimestampMissing)?;
        let older = timestamp.value.wrapping_sub(self.beat.recent).cast_signed() < 0;
        if !older || self.beat.is_outdated(now) {
            return Ok(());
        }
        if place.end > place.start {
            self.answer_unacceptable(now, place);
        }
        Err(Discard::TimestampOld)
    }

    /// RFC 5961, 3.2: a RST counts at RCV.NXT exactly; elsewhere in the window it is challenged; outside it is dropped.
    fn arrival_of_reset(&mut self, now: Instant, place: &Place) -> Result<Signals, Discard> {
        if self.beat.state == State::TimeWait {
            // RFC 1337, fix F1: "Ignore RST segments in TIME-WAIT state."
            return Err(Discard::TimeWaitReset);
        }
        let next = self.receive.next();
        if place.start == next {
            // A FIN of ours acknowledged or not, there is nobody left to wait for.
            return Ok(self.fail(Error::Reset));
        }
        if place.start > next && place.start < self.receive.right() {
            self.challenge(now);
            return Err(Discard::ResetChallenged);
        }
        Err(Discard::ResetOutside)
    }

    /// RFC 5961, 4.2: "If the SYN bit is set, irrespective of the sequence number, TCP MUST send an ACK (also referred to as
    /// challenge ACK) to the remote peer". But for the SYN-ACK of a simultaneous open.
    fn check_syn(&mut self, now: Instant, header: &Header) -> Result<(), Discard> {
        if !header.flags.contains(Flags::SYN) {
            return Ok(());
        }
        let known = self.met && self.peer.seq() == header.seq;
        if self.beat.state == State::SynReceived && known && header.flags.contains(Flags::ACK) {
            return Ok(());
        }
        self.challenge(now);
        Err(Discard::SynChallenged)
    }

    /// RFC 9293, 3.10.7.4, first: is any of it in the window? Two allowances: what begins at or after the last
    /// acknowledgment we sent was in the window when it was sent, if it has no text; and at a closed window a segment that
    /// begins right there is looked at for its ACK, and its FIN needs no room.
    fn check_sequence(&mut self, now: Instant, place: &Place) -> Result<(), Discard> {
        let (next, acked, right) = (self.receive.next(), self.receive.acked(), self.receive.right());
        let empty = place.end == place.start;
        let too_old = if empty { place.start < acked } else { place.end <= next };
        let too_far = place.start > right || (place.start == right && !empty && place.start != next);
        if !too_old && !too_far {
            return Ok(());
        }
        self.answer_unacceptable(now, place);
        if too_far {
            return Err(Discard::BeyondWindow);
        }
        if self.beat.state == State::TimeWait && place.fin {
            // "The only thing that can arrive in this state is a retransmission of the remote FIN. Acknowledge it, and
            // restart the 2 MSL timeout."
            self.beat.timers.set(Timer::TimeWait, now + self.terms.time_wait());
        }
        Err(Discard::Duplicate)
    }

    /// "If an incoming segment is not acceptable, an acknowledgment should be sent in reply". Text came twice for a reason:
    /// our acknowledgment was lost; without text it may be half of an ACK loop, and is limited.
    fn answer_unacceptable(&mut self, now: Instant, place: &Place) {
        if place.end > place.start {
            self.receive.acknowledge.on_disorder();
            let known = place.end.min(self.receive.next());
            if place.text > 0 && place.start < known {
                self.receive.on_duplicate(place.start, known);
            }
        } else {
            self.challenge(now);
        }
    }

    /// RFC 7323, 4.3: "If SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent, then SEG.TSval is copied to TS.Recent".
    pub(super) fn note_timestamp(&mut self, header: &Header, place: &Place) {
        let Connection { receive, beat, .. } = self;
        beat.note_timestamp(header, place, receive.acked());
    }

    /// RFC 9293, 3.10.7.4, fifth: check the ACK field.
    fn arrival_of_ack(&mut self, now: Instant, header: &Header, place: &Place) -> Result<Signals, Discard> {
        if !header.flags.contains(Flags::ACK) {
            return Err(Discard::NoAck);
        }
        let una = self.transmit.head.una;
        let ack = una.near(header.ack);
        let mut signals = Signals::empty();
        if self.beat.state == State::SynReceived {
            // "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED ... If not acceptable, form a reset segment".
            if ack <= una || ack > self.transmit.head.nxt() {
                self.aside = reset_for(header, 0).map(Box::new);
                return Err(Discard::HandshakeAck);
            }
            self.go(Event::SynAcknowledged);
            signals |= self.establish(now);
        }
        // RFC 5961, 5.2: acceptable if "((SND.UNA - MAX.SND.WND) <= SEG.ACK <= SND.NXT)"; all others "MUST be discarded and an
        // ACK sent back".
        if ack > self.transmit.head.nxt() {
            self.challenge(now);
            return Err(Discard::AckAhead);
        }
        if ack < una.minus(self.transmit.window().largest()) {
            self.challenge(now);
            return Err(Discard::AckStale);
        }
        self.beat.note_heard(now);
        let old = ack < self.transmit.head.una;
        if !old {
            signals |= self.take_ack(now, header, place, ack);
        }
        Ok(signals)
    }

    pub(super) fn take_ack(&mut self, now: Instant, header: &Header, place: &Place, ack: Position) -> Signals {
        let initial = self.terms.initial_buffer();
        let (had_room, was_finished) = (self.transmit.room(initial) > 0, self.transmit.is_finished());
        let facts = AckFacts {
            now,
            ack,
            // RFC 7323, 2.2: the window of a segment with SYN "MUST NOT be scaled". That of a SYN-ACK that crossed ours says what its SYN
            // said: it counts as older.
            seq: if header.flags.contains(Flags::SYN) { place.start.minus(2) } else { place.start },
            window: header.window,
            sack: &header.options.sack,
            echo: header.options.timestamp.filter(|_| self.agreed.timestamps).map(|timestamp| timestamp.echo),
            carries: place.end > place.start,
            congestion: self.beat.notification.is_agreed() && header.flags.contains(Flags::ECE),
        };
        let acked = self.transmit.on_ack(&facts);
        match acked.reordering {
            Some(at) => self.beat.timers.set(Timer::Reordering, at),
            None => self.beat.timers.stop(Timer::Reordering),
        }
        if acked.advanced {
            // RFC 6298, 5.3: "When an ACK is received that acknowledges new data, restart the retransmission timer".
            self.retries = 0;
            for timer in [Timer::Retransmit, Timer::LossProbe, Timer::UserTimeout] {
                self.beat.timers.stop(timer);
            }
        }
        let mut signals = Signals::empty();
        if self.transmit.is_finished() && !was_finished {
            self.on_fin_acknowledged(now);
            signals |= Signals::WRITABLE;
        }
        if !had_room && self.transmit.room(initial) > 0 {
            signals |= Signals::WRITABLE;
        }
        if matches!(self.beat.state, State::Closed | State::TimeWait) {
            signals |= Signals::CLOSED;
        }
        signals
    }

    /// RFC 9293, 3.10.7.4, seventh and eighth: the segment text and the FIN bit.
    fn arrival_of_text(&mut self, now: Instant, place: &Place, payload: SmallVec<[P; 1]>) -> Result<Signals, Discard> {
        if place.end == place.start {
            return Ok(Signals::empty());
        }
        if !self.beat.state.may_receive() {
            // "This should not occur since a FIN has been received from the remote side. Ignore the segment text."
            self.receive.acknowledge.on_disorder();
            return Err(Discard::AfterFin);
        }
        if self.is_deaf() && place.text > 0 {
            // RFC 9293, 3.10.4: the application closed; "if data arrives ... a RST should be sent" (RFC 2525, 2.17).
            return Ok(self.give_up(Error::Reset));
        }
        let arrival = self.receive.accept(place.start, payload, place.fin);
        let mut signals = Signals::empty();
        if arrival.in_order > 0 {
            signals |= Signals::READABLE;
            self.on_in_order(now, arrival.in_order);
        }
        if arrival.disorder || arrival.refused.is_some() {
            self.receive.acknowledge.on_disorder();
        }
        if arrival.fin {
            self.receive.acknowledge.now = true;
            signals |= Signals::PEER_FINISHED | self.on_fin(now);
        }
        match arrival.refused {
            Some(discard) if signals.is_empty() => Err(discard),
            _ => Ok(signals),
        }
    }

    /// RCV.NXT moved by so many bytes of text: when to acknowledge them.
    pub(super) fn on_in_order(&mut self, now: Instant, bytes: u64) {
        let Connection { receive, beat, .. } = self;
        beat.on_in_order(now, &mut receive.acknowledge, bytes);
    }

    /// An answer that anybody could have provoked: an acknowledgment, if the limit allows (RFC 5961, 7).
    pub(super) fn challenge(&mut self, now: Instant) {
        if self.challenge.allow(now) {
            self.receive.acknowledge.now = true;
        }
    }
}
