//! A body on its way from one stream to the other: counted, bounded, framed anew, its data not copied.
//!
//! Who keeps it waiting is charged for the time: a client that sends or takes less than the service's rate is told from
//! a server that is slow, and each has its own bound. What must hold: after the body's last byte nothing more is read.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::chunked::Piece;
use super::event::Event;
use super::head::Body;
use super::headers::Headers;
use super::limits::COPY_BELOW;
use super::pace::{Pace, Waits};
use super::source::Source;
use crate::limits::RELAY_CHUNKS_PER_POLL_MAX;
use crate::stream::{Chunk, Stream, StreamError};

/// What becomes of trailer fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trailers {
    /// They are left out: RFC 9110, 6.5.1 permits it, and few servers expect them.
    #[default]
    Drop,
    /// They are passed, but for those that frame, route or authenticate.
    Pass,
    /// A message with any is refused.
    Refuse,
}

impl Trailers {
    /// Those that pass, if there were any, and whether some were left out.
    pub(super) fn permitted(self, mut trailers: Headers) -> Result<(Option<Headers>, bool), Event> {
        if trailers.is_empty() {
            return Ok((None, false));
        }
        match self {
            Trailers::Refuse => return Err(Event::TrailerInvalid),
            Trailers::Drop => return Ok((None, true)),
            Trailers::Pass => {}
        }
        // RFC 9110, 6.5.1: a sender must not generate such; who merges them into the head would obey them.
        let dropped: usize = NO_TRAILERS.iter().map(|name| trailers.remove(name)).sum();
        Ok((Some(trailers), dropped > 0))
    }
}

/// How the body is said to the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// As many bytes as there are.
    Plain,
    /// In chunks.
    Chunked,
}

/// Why a body did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// Its sender broke the rules, or the service's bound.
    Fault(Event),
    /// Its sender finished in the middle.
    Truncated,
    /// Its sender's stream failed.
    From(StreamError),
    /// Its receiver's stream failed.
    To(StreamError),
    /// The scanner between them did not do what it should.
    Scanner(crate::icap::Event),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pump {
    source: Source,
    framing: Framing,
    trailers: Trailers,
    /// Bytes of data still permitted.
    left: u64,
    /// Bytes of data that passed.
    pub moved: u64,
    /// Trailers that were left out.
    pub dropped_trailers: bool,
    /// The head that goes before it.
    head: Option<Bytes>,
    /// Framing and small pieces that wait to be written as one.
    out: Vec<u8>,
    begun: bool,
    done: bool,
    pace: Pace,
}

impl Pump {
    /// A pump for a head and a body of at most `max` bytes.
    pub(super) fn new(
        head: Bytes,
        body: Body,
        framing: Framing,
        trailers: Trailers,
        max: Option<u64>,
        now: Duration,
    ) -> Pump {
        Pump {
            done: false,
            source: Source::new(body),
            framing,
            trailers,
            left: max.unwrap_or(u64::MAX),
            moved: 0,
            dropped_trailers: false,
            head: Some(head),
            out: Vec::new(),
            begun: false,
            pace: Pace::new(now),
        }
    }

    /// A pump for a body whose beginning was read before, after which its source stands; it goes behind the head.
    pub(super) fn resume(
        head: Bytes,
        held: &[u8],
        source: Source,
        framing: Framing,
        trailers: Trailers,
        max: Option<u64>,
        now: Duration,
    ) -> Pump {
        let (mut head, over, unframed) = (Vec::from(head), source.is_over(), source.unframed());
        if framing == Framing::Chunked && !held.is_empty() {
            head.extend_from_slice(format!("{:x}\r\n", held.len()).as_bytes());
        }
        head.extend_from_slice(held);
        if framing == Framing::Chunked {
            let end: &[u8] = if held.is_empty() { b"" } else { b"\r\n" };
            head.extend_from_slice(end);
            head.extend_from_slice(if over { b"0\r\n\r\n" } else { b"" });
        }
        let mut pump = Pump::new(Bytes::from(head), Body::None, framing, trailers, max, now);
        pump.head = pump.head.filter(|head| over || !head.is_empty());
        pump.source = source;
        pump.moved = held.len() as u64;
        pump.left = pump.left.saturating_sub(pump.moved);
        if framing == Framing::Chunked && unframed > 0 {
            pump.begin(unframed);
        }
        pump
    }

    /// Has the whole body been written?
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whom it waits for now.
    pub(super) fn waits(&self) -> Waits {
        if self.done { Waits::Nobody } else { self.pace.waits() }
    }

    /// When its sender, or its receiver, will have been too slow, should nothing come: see [`Pace::slow_at`].
    pub(super) fn slow_at(&self, who: Waits, grace: Duration, rate: u64) -> Option<Duration> {
        if self.done { None } else { self.pace.slow_at(who, grace, rate, self.moved) }
    }

    /// When bytes last moved.
    pub(super) fn active(&self) -> Duration {
        self.pace.active()
    }

    /// Moves what can be moved; ready when the body is over.
    pub(super) fn poll<F: Stream, T: Stream<Chunk = F::Chunk>>(
        &mut self,
        cx: &mut Context<'_>,
        now: Duration,
        from: &mut F,
        to: &mut T,
    ) -> Poll<Result<(), BodyError>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        self.pace.charge(now);
        for _ in 0..RELAY_CHUNKS_PER_POLL_MAX {
            match to.poll_writable(cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(BodyError::To(error))),
                Poll::Pending => return self.pending(Waits::Receiver),
            }
            if let Some(head) = self.head.take() {
                to.write(T::Chunk::from(head)).map_err(BodyError::To)?;
                self.done = matches!(self.source, Source::None);
                if self.done {
                    return Poll::Ready(Ok(()));
                }
            }
            let chunk = match from.poll_read(cx) {
                Poll::Ready(Ok(Some(chunk))) => chunk,
                Poll::Ready(Ok(None)) => return Poll::Ready(self.end_of_stream(to)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(BodyError::From(error))),
                Poll::Pending => return self.pending(Waits::Sender),
            };
            self.pace.moves(now);
            let rest = self.pass(chunk, to)?;
            if self.done {
                if let Some(rest) = rest {
                    from.unread(rest);
                }
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        self.pending(Waits::Nobody)
    }

    fn pending(&mut self, waits: Waits) -> Poll<Result<(), BodyError>> {
        self.pace.wait(waits);
        Poll::Pending
    }

    /// One chunk of the stream; what is left of it belongs to what comes after the body.
    fn pass<T: Stream>(&mut self, chunk: T::Chunk, to: &mut T) -> Result<Option<T::Chunk>, BodyError> {
        match &mut self.source {
            Source::None => Ok(Some(chunk)),
            Source::Length(left) => {
                let mut rest = chunk;
                let ours = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                *left -= ours as u64;
                let over = *left == 0;
                let data = rest.split_to(ours);
                if self.framing == Framing::Chunked {
                    self.begin(data.len() as u64);
                }
                self.data(data, to)?;
                if over {
                    self.finish(None, to)?;
                }
                Ok((!rest.is_empty()).then_some(rest))
            }
            Source::Chunked(_) => self.pass_chunked(chunk, to),
            Source::UntilClose => {
                if self.framing == Framing::Chunked {
                    self.begin(chunk.len() as u64);
                }
                self.data(chunk, to)?;
                self.flush(to)?;
                Ok(None)
            }
        }
    }

    fn pass_chunked<T: Stream>(&mut self, mut chunk: T::Chunk, to: &mut T) -> Result<Option<T::Chunk>, BodyError> {
        while !chunk.is_empty() {
            let Source::Chunked(decoder) = &mut self.source else { break };
            let (taken, piece) = decoder.next(chunk.as_slice()).map_err(BodyError::Fault)?;
            let data = chunk.split_to(taken);
            match piece {
                Piece::More => {}
                Piece::Begin(size) => {
                    if size > self.left {
                        return Err(BodyError::Fault(Event::BodyLong));
                    }
                    if self.framing == Framing::Chunked {
                        self.begin(size);
                    }
                }
                Piece::Data(_) => self.data(data, to)?,
                Piece::End => {
                    let trailers = decoder.trailers().map_err(BodyError::Fault)?;
                    let trailers = self.permitted(trailers)?;
                    self.finish(trailers.as_ref(), to)?;
                    return Ok((!chunk.is_empty()).then_some(chunk));
                }
            }
        }
        self.flush(to)?;
        Ok(None)
    }

    /// The trailers that pass.
    fn permitted(&mut self, trailers: Headers) -> Result<Option<Headers>, BodyError> {
        let (trailers, dropped) = self.trailers.permitted(trailers).map_err(BodyError::Fault)?;
        self.dropped_trailers |= dropped;
        Ok(trailers)
    }

    fn end_of_stream<T: Stream>(&mut self, to: &mut T) -> Result<(), BodyError> {
        match self.source {
            Source::UntilClose => self.finish(None, to),
            _ => Err(BodyError::Truncated),
        }
    }

    /// A chunk's size on its own line, behind the end of the chunk before.
    fn begin(&mut self, size: u64) {
        let separator = if self.begun { "\r\n" } else { "" };
        self.begun = true;
        self.out.extend_from_slice(format!("{separator}{size:x}\r\n").as_bytes());
    }

    fn data<T: Stream>(&mut self, data: T::Chunk, to: &mut T) -> Result<(), BodyError> {
        let len = data.len() as u64;
        self.left = self.left.checked_sub(len).ok_or(BodyError::Fault(Event::BodyLong))?;
        self.moved += len;
        if data.len() < COPY_BELOW && matches!(self.source, Source::Chunked(_)) {
            self.out.extend_from_slice(data.as_slice());
            return Ok(());
        }
        self.flush(to)?;
        if data.is_empty() { Ok(()) } else { to.write(data).map_err(BodyError::To) }
    }

    fn finish<T: Stream>(&mut self, trailers: Option<&Headers>, to: &mut T) -> Result<(), BodyError> {
        if self.framing == Framing::Chunked {
            self.out.extend_from_slice(if self.begun { b"\r\n0\r\n" } else { b"0\r\n" });
            if let Some(trailers) = trailers {
                trailers.write_to(&mut self.out);
            }
            self.out.extend_from_slice(b"\r\n");
        }
        self.done = true;
        self.flush(to)
    }

    fn flush<T: Stream>(&mut self, to: &mut T) -> Result<(), BodyError> {
        if self.out.is_empty() {
            return Ok(());
        }
        let out = Bytes::from(std::mem::take(&mut self.out));
        to.write(T::Chunk::from(out)).map_err(BodyError::To)
    }
}

/// Fields that decide how a message is framed, routed, authenticated or read.
const NO_TRAILERS: &[&str] = &[
    "Transfer-Encoding",
    "Content-Length",
    "Host",
    "Connection",
    "Trailer",
    "TE",
    "Upgrade",
    "Expect",
    "Range",
    "Cache-Control",
    "Max-Forwards",
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
    "Content-Encoding",
    "Content-Type",
    "Content-Range",
    "Location",
    "Age",
    "Date",
    "Expires",
    "Vary",
    "X-Forwarded-For",
    "Forwarded",
];

#[cfg(test)]
mod tests;
