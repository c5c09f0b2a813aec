//! A body on its way through us: straight, or from its sender to the scanner and from the scanner to its receiver.
//!
//! Both halves of the way through a scanner are polled together and each has its own room: who takes nothing stops the
//! one before it, and nobody waits for somebody who waits for them.

use std::task::{Context, Poll};
use std::time::Duration;

use super::feed::Feed;
use crate::http::body::{BodyError, Pump};
use crate::http::pace::Waits;
use crate::icap::{self, Connection};
use crate::stream::Stream;

/// See the module.
pub(in crate::http) struct Passage<S> {
    pump: Pump,
    through: Option<Box<Through<S>>>,
}

/// The scanner in the middle of giving a body back.
pub(in crate::http) struct Through<S> {
    pub feed: Feed,
    pub scanner: Connection<S>,
    /// A body comes behind the head.
    pub has_body: bool,
    /// How long the body is, as its head says.
    pub length: Option<u64>,
    /// How long the scanner may be silent.
    pub timeout: Duration,
    /// The connection may be asked again.
    pub persistent: bool,
}

impl<S: Stream> Passage<S> {
    /// Nobody looks at it.
    pub(in crate::http) fn straight(pump: Pump) -> Passage<S> {
        Passage { pump, through: None }
    }

    /// The pump passes on what the scanner gives back.
    pub(in crate::http) fn through(pump: Pump, through: Through<S>) -> Passage<S> {
        Passage { pump, through: Some(Box::new(through)) }
    }

    /// Has its receiver the whole body?
    pub(in crate::http) fn is_done(&self) -> bool {
        self.pump.is_done()
    }

    /// Has it been read to its end? A scanner may have had enough before.
    pub(in crate::http) fn is_read(&self) -> bool {
        self.through.as_ref().map_or(self.pump.is_done(), |through| through.feed.is_read())
    }

    /// Whom it waits for; nobody: the scanner.
    pub(in crate::http) fn waits(&self) -> Waits {
        match (self.pump.waits(), &self.through) {
            (Waits::Sender, Some(through)) if through.feed.waits() != Waits::Sender => Waits::Nobody,
            (waits, _) => waits,
        }
    }

    /// As [`Pump::slow_at`].
    pub(in crate::http) fn slow_at(&self, who: Waits, grace: Duration, rate: u64) -> Option<Duration> {
        match &self.through {
            Some(through) if who == Waits::Sender => through.feed.slow_at(grace, rate),
            _ => self.pump.slow_at(who, grace, rate),
        }
    }

    /// When bytes last moved.
    pub(in crate::http) fn active(&self) -> Duration {
        self.through.as_ref().map_or(self.pump.active(), |through| self.pump.active().max(through.feed.active()))
    }

    /// When the scanner will have been silent for too long, if it is the scanner that is waited for.
    pub(in crate::http) fn scanner_until(&self) -> Option<Duration> {
        let through = self.through.as_ref().filter(|_| !self.is_done() && self.waits() == Waits::Nobody)?;
        Some(self.active().saturating_add(through.timeout))
    }

    /// Bytes of data that its receiver has.
    pub(in crate::http) fn moved(&self) -> u64 {
        self.pump.moved
    }

    pub(in crate::http) fn dropped_trailers(&self) -> bool {
        self.pump.dropped_trailers
    }

    /// Moves what can be moved; ready when its receiver has the whole body.
    pub(in crate::http) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Duration,
        from: &mut S,
        to: &mut S,
    ) -> Poll<Result<(), BodyError>> {
        let Some(through) = &mut self.through else { return self.pump.poll(cx, now, from, to) };
        through.feed.poll(cx, now, from, &mut through.scanner.stream)?;
        self.poll_back(cx, now, to)
    }

    /// Only the way from the scanner.
    pub(super) fn poll_back(&mut self, cx: &mut Context<'_>, now: Duration, to: &mut S) -> Poll<Result<(), BodyError>> {
        let Some(through) = &mut self.through else { return Poll::Ready(Ok(())) };
        let polled = self.pump.poll(cx, now, &mut through.scanner.stream, to);
        let wrong = Poll::Ready(Err(BodyError::Scanner(icap::Event::BodyInvalid)));
        let moved = self.pump.moved;
        match polled {
            Poll::Ready(Ok(())) if through.length.is_some_and(|length| moved != length) => wrong,
            Poll::Ready(Err(BodyError::Fault(_))) => wrong,
            Poll::Ready(Err(BodyError::From(_) | BodyError::Truncated)) => {
                Poll::Ready(Err(BodyError::Scanner(icap::Event::Closed)))
            }
            polled => polled,
        }
    }

    /// The scanner's connection, if it may be asked again.
    pub(in crate::http) fn into_scanner(self) -> Option<Connection<S>> {
        let done = self.pump.is_done();
        let through = self.through.filter(|through| done && through.persistent && through.feed.is_said())?;
        Some(through.scanner)
    }
}
