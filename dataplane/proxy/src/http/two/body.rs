//! A body on its way from one HTTP/2 stream to another: as much as the receiver has room for, and no more.
//!
//! What must hold: the sender's window opens again by what the receiver's stream has taken, so that what is held for a body
//! is what its window lets its sender send, and one frame. Whoever keeps it waiting is charged, as in HTTP/1.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::HeaderMap;

use crate::http::body::Trailers;
use crate::http::event::Event;
use crate::http::head::two as heads;
use crate::http::limits::{COPY_BELOW, STREAM_SEND_MAX};
use crate::http::pace::{Pace, Waits};
use crate::limits::RELAY_CHUNKS_PER_POLL_MAX;

/// Why a body did not come to its end.
#[derive(Debug)]
pub(super) enum BodyError {
    /// Its sender broke the rules, or the service's bound.
    Fault(Event),
    /// Its sender gave it up, or its connection failed.
    From(h2::Error),
    /// Its receiver did.
    To(h2::Error),
}

/// How much a body may have, and what is said of one that has more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub left: u64,
    pub event: Event,
}

impl Bound {
    /// As the service says.
    pub(super) fn of(max: Option<u64>) -> Bound {
        Bound { left: max.unwrap_or(u64::MAX), event: Event::BodyLong }
    }

    /// There must be none.
    pub(super) const NONE: Bound = Bound { left: 0, event: Event::BodyUnexpected };
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pump {
    bound: Bound,
    trailers: Trailers,
    /// Read, and waiting for room.
    waiting: Bytes,
    /// Nothing comes behind it.
    last: bool,
    begun: bool,
    done: bool,
    moved: u64,
    dropped_trailers: bool,
    pace: Pace,
}

impl Pump {
    /// A body that is over with its head where `ended`.
    pub(super) fn new(ended: bool, bound: Bound, trailers: Trailers, now: Duration) -> Pump {
        Pump {
            bound,
            trailers,
            waiting: Bytes::new(),
            last: false,
            begun: false,
            done: ended,
            moved: 0,
            dropped_trailers: false,
            pace: Pace::new(now),
        }
    }

    /// Has the whole body been passed on?
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Has nothing of it been read?
    pub(super) fn is_untouched(&self) -> bool {
        !self.begun
    }

    /// Bytes that passed.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    pub(super) fn dropped_trailers(&self) -> bool {
        self.dropped_trailers
    }

    pub(super) fn waits(&self) -> Waits {
        if self.done { Waits::Nobody } else { self.pace.waits() }
    }

    pub(super) fn active(&self) -> Duration {
        self.pace.active()
    }

    /// See [`Pace::slow_at`].
    pub(super) fn slow_at(&self, who: Waits, grace: Duration, rate: u64) -> Option<Duration> {
        if self.done { None } else { self.pace.slow_at(who, grace, rate, self.moved) }
    }

    /// Moves what can be moved; ready when the body is over.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Duration,
        from: &mut RecvStream,
        to: &mut SendStream<Bytes>,
    ) -> Poll<Result<(), BodyError>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        self.pace.charge(now);
        if let Poll::Ready(reset) = to.poll_reset(cx) {
            return Poll::Ready(Err(BodyError::To(reset.map_or_else(|error| error, h2::Error::from))));
        }
        for _ in 0..RELAY_CHUNKS_PER_POLL_MAX {
            if !self.waiting.is_empty() {
                let room = match poll_room(cx, to, self.waiting.len()) {
                    Poll::Ready(room) => room.map_err(BodyError::To)?,
                    Poll::Pending => return self.pending(Waits::Receiver),
                };
                let part = self.waiting.split_to(room.min(self.waiting.len()));
                self.pass(part, now, from, to)?;
                if self.done {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            match from.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    self.waiting = self.take(data, now, from)?;
                    if self.waiting.len() < COPY_BELOW {
                        self.gather(cx, now, from)?;
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(BodyError::From(error))),
                Poll::Ready(None) => match from.poll_trailers(cx) {
                    Poll::Ready(trailers) => {
                        return Poll::Ready(self.end(trailers.map_err(BodyError::From)?, to));
                    }
                    Poll::Pending => return self.pending(Waits::Sender),
                },
                Poll::Pending => return self.pending(Waits::Sender),
            }
        }
        cx.waker().wake_by_ref();
        self.pending(Waits::Nobody)
    }

    fn pending(&mut self, waits: Waits) -> Poll<Result<(), BodyError>> {
        self.pace.wait(waits);
        Poll::Pending
    }

    /// Data from the sender.
    fn take(&mut self, data: Bytes, now: Duration, from: &RecvStream) -> Result<Bytes, BodyError> {
        self.begun = true;
        self.bound.left = self.bound.left.checked_sub(data.len() as u64).ok_or(BodyError::Fault(self.bound.event))?;
        if !data.is_empty() {
            self.pace.moves(now);
        }
        self.last = from.is_end_stream();
        Ok(data)
    }

    /// Small pieces that are there become one, so that nobody gets as many frames as somebody likes to send.
    fn gather(&mut self, cx: &mut Context<'_>, now: Duration, from: &mut RecvStream) -> Result<(), BodyError> {
        let mut all = Vec::new();
        // What else comes (trailers, a failure) comes again to who asks next.
        while all.len() < STREAM_SEND_MAX
            && let Poll::Ready(Some(Ok(data))) = from.poll_data(cx)
        {
            if all.is_empty() {
                all.extend_from_slice(&self.waiting);
            }
            all.extend_from_slice(&self.take(data, now, from)?);
        }
        if !all.is_empty() {
            self.waiting = Bytes::from(all);
        }
        Ok(())
    }

    /// Data to the receiver, which has room for it; the sender may send as much again.
    fn pass(
        &mut self,
        part: Bytes,
        now: Duration,
        from: &mut RecvStream,
        to: &mut SendStream<Bytes>,
    ) -> Result<(), BodyError> {
        let len = part.len();
        let last = self.last && self.waiting.is_empty();
        to.send_data(part, last).map_err(BodyError::To)?;
        from.flow_control().release_capacity(len).map_err(BodyError::From)?;
        self.moved += len as u64;
        self.pace.moves(now);
        self.done = last;
        Ok(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>, to: &mut SendStream<Bytes>) -> Result<(), BodyError> {
        let trailers = heads::fields(&trailers.unwrap_or_default()).map_err(|_| Event::TrailerInvalid);
        let permitted = trailers.and_then(|trailers| self.trailers.permitted(trailers));
        let (trailers, dropped) = permitted.map_err(BodyError::Fault)?;
        self.dropped_trailers = dropped;
        let trailers = trailers.map(|trailers| super::forward::map(&trailers)).transpose().map_err(BodyError::Fault)?;
        match trailers.filter(|trailers| !trailers.is_empty()) {
            Some(trailers) => to.send_trailers(trailers),
            None => to.send_data(Bytes::new(), true),
        }
        .map_err(BodyError::To)?;
        self.done = true;
        Ok(())
    }
}

/// Room on a stream for some of so many bytes.
pub(super) fn poll_room(
    cx: &mut Context<'_>,
    to: &mut SendStream<Bytes>,
    wanted: usize,
) -> Poll<Result<usize, h2::Error>> {
    to.reserve_capacity(wanted);
    loop {
        let room = to.capacity();
        if room > 0 {
            return Poll::Ready(Ok(room));
        }
        match to.poll_capacity(cx) {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
            Poll::Ready(None) => return Poll::Ready(Err(h2::Reason::STREAM_CLOSED.into())),
            Poll::Pending => return Poll::Pending,
        }
    }
}
