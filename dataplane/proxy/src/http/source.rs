//! A body out of a stream, its data without its framing, for who looks at it before it is passed on.
//!
//! What is left of it afterwards is a [`super::body::Pump`]'s: it takes up the source where this one stopped.

use std::task::{Context, Poll};

use super::body::{BodyError, Trailers};
use super::chunked::{Chunked, Piece};
use super::event::Event;
use super::head::Body;
use crate::stream::{Chunk, Stream};

/// Where a body ends, and how much of it has been read.
#[derive(Debug)]
pub(super) enum Source {
    None,
    Length(u64),
    Chunked(Box<Chunked>),
    UntilClose,
}

impl Source {
    pub(super) fn new(body: Body) -> Source {
        match body {
            Body::None | Body::Length(0) => Source::None,
            Body::Length(length) => Source::Length(length),
            Body::Chunked => Source::Chunked(Box::new(Chunked::new())),
            Body::UntilClose => Source::UntilClose,
        }
    }

    /// Has it been read to its end?
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Source::None)
    }

    /// Bytes of data that come before any more framing.
    pub(super) fn unframed(&self) -> u64 {
        match self {
            Source::Chunked(decoder) => decoder.left(),
            _ => 0,
        }
    }

    /// The next data, at most `max` bytes; `None` at its end. After its last byte nothing more is read.
    pub(super) fn poll_data<F: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut F,
        max: usize,
        trailers: Trailers,
    ) -> Poll<Result<Option<F::Chunk>, BodyError>> {
        loop {
            if self.is_over() {
                return Poll::Ready(Ok(None));
            }
            let mut chunk = match from.poll_read(cx) {
                Poll::Ready(Ok(Some(chunk))) => chunk,
                Poll::Ready(Ok(None)) if matches!(self, Source::UntilClose) => {
                    *self = Source::None;
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Ok(None)) => return Poll::Ready(Err(BodyError::Truncated)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(BodyError::From(error))),
                Poll::Pending => return Poll::Pending,
            };
            let data = self.take(&mut chunk, max, trailers)?;
            if !chunk.is_empty() {
                from.unread(chunk);
            }
            if let Some(data) = data {
                return Poll::Ready(Ok(Some(data)));
            }
        }
    }

    /// Data from a chunk of the stream, if there is any in it; what is left of the chunk was not looked at.
    fn take<C: Chunk>(&mut self, chunk: &mut C, max: usize, trailers: Trailers) -> Result<Option<C>, BodyError> {
        match self {
            Source::None => Ok(None),
            Source::UntilClose => Ok(Some(chunk.split_to(chunk.len().min(max)))),
            Source::Length(left) => {
                let ours = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.len()).min(max);
                *left -= ours as u64;
                if *left == 0 {
                    *self = Source::None;
                }
                Ok(Some(chunk.split_to(ours)))
            }
            Source::Chunked(decoder) => {
                while !chunk.is_empty() {
                    let some = chunk.len().min(if decoder.left() > 0 { max } else { usize::MAX });
                    let (taken, piece) = decoder.next(&chunk.as_slice()[..some]).map_err(BodyError::Fault)?;
                    let data = chunk.split_to(taken);
                    match piece {
                        Piece::Data(_) => return Ok(Some(data)),
                        Piece::More | Piece::Begin(_) => {}
                        Piece::End => {
                            let any = !decoder.trailers().map_err(BodyError::Fault)?.is_empty();
                            *self = Source::None;
                            if any && trailers == Trailers::Refuse {
                                return Err(BodyError::Fault(Event::TrailerInvalid));
                            }
                            return Ok(None);
                        }
                    }
                }
                Ok(None)
            }
        }
    }
}
