//! What nearly every segment touches, in two cache lines: the receiving half, what belongs to neither half, and of the sending
//! half what was acknowledged, what was sent and what may be.
//!
//! A gateway with a hundred thousand flows finds each connection in memory, not in a cache, so what counts is how many lines
//! a segment touches. With these two, the packet's own and those of the queue it goes to, a segment of data in order is
//! taken: checked, queued, the acknowledgment for it decided, window and timer included, and the acknowledgment that comes
//! with it looked at.
//!
//! What must hold: [`Hot`] is all that the short way of such a segment is given (so the compiler sees to it that nothing else is
//! touched), and its three parts lie in the first 128 bytes of the connection (asserted below).
//!
//! Left out: an acknowledgment of something new, and sending. They need, beside this, the map of what is in flight, the
//! round-trip time and the congestion window: the next line or two, for which there is no room here.

use std::mem::offset_of;

use bitflags::bitflags;

use crate::acknowledge::{Acknowledge, Due};
use crate::connection::Connection;
use crate::connection::arrival::Place;
use crate::ecn::Notification;
use crate::limits;
use crate::payload::Payload;
use crate::receive::Receive;
use crate::segment::{Ecn, Flags, Header, Segment};
use crate::seq::Position;
use crate::state::State;
use crate::time::Instant;
use crate::timers::{Timer, Timers};
use crate::transmit::Head;

bitflags! {
    /// What is true of a connection.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Marks: u8 {
        /// After [`Connection::close`]: nobody reads.
        const DEAF = 1;
        /// Something came since the last timeout.
        const HEARD = 2;
        /// A probe of the peer's window or life is to be sent.
        const PROBE_DUE = 4;
        /// Timestamps are in use.
        const STAMPS = 8;
    }
}

/// What every segment changes, or asks for, that belongs to neither half.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Beat {
    pub(super) timers: Timers,
    /// TS.Recent (RFC 7323, 4.3).
    pub(super) recent: u32,
    /// When the peer was heard last, in milliseconds modulo 2^32.
    pub(super) last_heard: u32,
    pub(super) segments_in: u32,
    pub(super) state: State,
    pub(super) notification: Notification,
    pub(super) marks: Marks,
    /// Probes in a row without an answer.
    pub(super) probes: u8,
}

impl Beat {
    pub(super) fn new(now: Instant, state: State) -> Beat {
        Beat {
            timers: Timers::new(),
            recent: 0,
            last_heard: now.tick(),
            segments_in: 0,
            state,
            notification: Notification::default(),
            marks: Marks::empty(),
            probes: 0,
        }
    }

    /// Whether a mark was there; it is not any more.
    pub(super) fn take(&mut self, mark: Marks) -> bool {
        let had = self.marks.contains(mark);
        self.marks.remove(mark);
        had
    }

    /// RFC 7323, 5.5: on "a connection [that] has been idle for more than 24 days" TS.Recent says nothing any more.
    pub(super) fn is_outdated(&self, now: Instant) -> bool {
        u128::from(now.tick().wrapping_sub(self.last_heard)) > limits::TIMESTAMP_LIFETIME.as_millis()
    }

    /// RFC 7323: a timestamp if they are in use, not older than the last one.
    fn is_timely(&self, header: &Header) -> bool {
        let older = |value: u32| value.wrapping_sub(self.recent).cast_signed() < 0;
        !self.marks.contains(Marks::STAMPS) || header.options.timestamp.is_some_and(|timestamp| !older(timestamp.value))
    }

    /// RFC 7323, 4.3: "If SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent, then SEG.TSval is copied to TS.Recent".
    pub(super) fn note_timestamp(&mut self, header: &Header, place: &Place, acked: Position) {
        let Some(timestamp) = header.options.timestamp.filter(|_| self.marks.contains(Marks::STAMPS)) else { return };
        if place.start <= acked {
            self.recent = timestamp.value;
        }
    }

    /// An acceptable acknowledgment came: the peer is there.
    pub(super) fn note_heard(&mut self, now: Instant) {
        self.marks.insert(Marks::HEARD);
        (self.last_heard, self.probes) = (now.tick(), 0);
    }

    /// RCV.NXT moved by so many bytes of text: when to acknowledge them.
    pub(super) fn on_in_order(&mut self, now: Instant, acknowledge: &mut Acknowledge, bytes: u64) {
        if acknowledge.on_data(u32::try_from(bytes).unwrap_or(u32::MAX)) == Due::Later {
            self.timers.set_if_stopped(Timer::DelayedAck, || now + acknowledge.delay());
        }
    }
}

/// The two cache lines.
pub(super) struct Hot<'a, P> {
    pub(super) receive: &'a mut Receive<P>,
    pub(super) beat: &'a mut Beat,
    pub(super) head: &'a mut Head,
}

impl<P: Payload> Hot<'_, P> {
    /// Where the segment lies, if it is one that was expected; and its acknowledgment.
    pub(super) fn expects(&self, segment: &Segment<P>) -> Option<(Place, Position)> {
        let header = &segment.header;
        let plain = self.beat.state == State::Established
            && header.flags.difference(Flags::PSH) == Flags::ACK
            && header.seq == self.receive.next().seq()
            && header.options.sack.is_empty()
            && segment.ecn != Ecn::CongestionExperienced
            && !self.beat.marks.contains(Marks::DEAF);
        if !plain || !self.beat.is_timely(header) {
            return None;
        }
        let ack = self.head.una.near(header.ack);
        if ack < self.head.una || ack > self.head.nxt() {
            return None;
        }
        let start = self.receive.next();
        let text = segment.payload.iter().map(|piece| piece.len() as u64).sum();
        let place = Place { start, end: start + text, text, fin: false };
        (text == 0 || self.receive.expects(text, segment.payload.len())).then_some((place, ack))
    }

    /// What every such segment tells.
    pub(super) fn note(&mut self, now: Instant, header: &Header, place: &Place) {
        self.beat.note_timestamp(header, place, self.receive.acked());
        self.beat.note_heard(now);
    }

    /// Whether its acknowledgment says more than what the window is: it is for something new, or alone, or not `quiet`: what is in
    /// flight is being repaired or found out.
    pub(super) fn is_news(&self, place: &Place, ack: Position, quiet: bool) -> bool {
        ack > self.head.una || place.text == 0 || !quiet
    }

    /// The window that such a segment tells.
    pub(super) fn note_window(&mut self, place: &Place, ack: Position, field: u16) {
        self.head.window.update(place.start, ack, field);
        self.beat.timers.stop(Timer::Reordering);
    }

    /// Takes its text.
    pub(super) fn take_text(&mut self, now: Instant, place: &Place, segment: Segment<P>) {
        self.receive.take_expected(place.end, segment.payload);
        self.beat.on_in_order(now, &mut self.receive.acknowledge, place.text);
    }
}

/// The lines that [`Hot`] may touch.
const LINES: usize = 128;

type Example = Connection<bytes::Bytes>;

const _: () = assert!(align_of::<Example>() == 64 && offset_of!(Example, receive) == 0);
const _: () = assert!(offset_of!(Example, beat) + size_of::<Beat>() <= LINES);
const _: () = assert!(offset_of!(Example, transmit.head) + size_of::<Head>() <= LINES);
