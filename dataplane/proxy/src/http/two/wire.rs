//! A [`Stream`] as the library wants it: `AsyncRead` and `AsyncWrite` of tokio, as traits alone, without its runtime.
//!
//! The library reads into a buffer of its own and writes from slices, so bytes are copied once each way; several slices
//! become one write. Reading goes by rounds, so that streams take what was read before there is more of it. On their way both directions are metered ([`Meter`]), and when a flood has begun nothing more is read.
//! A wire is a handle: who gave it to the library keeps another one, to have the stream back when the library is done.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::flood::{Meter, Tally};
use crate::http::event::Event;
use crate::http::limits::READ_ROUND_MAX;
use crate::stream::{Chunk, Stream, StreamError};

/// See the module.
pub(super) struct Wire<S: Stream>(Rc<RefCell<Inner<S>>>);

struct Inner<S: Stream> {
    stream: S,
    /// Read from the stream; the library has not taken all of it.
    chunk: Option<S::Chunk>,
    meter: Meter,
    failure: Option<StreamError>,
    shut: bool,
    written: u64,
    /// Bytes that are still given away in this round, and whether more were wanted.
    credit: usize,
    stalled: bool,
}

impl<S: Stream> Clone for Wire<S> {
    fn clone(&self) -> Self {
        Wire(Rc::clone(&self.0))
    }
}

impl<S: Stream> Wire<S> {
    pub(super) fn new(stream: S, meter: Meter) -> Wire<S> {
        let inner =
            Inner { stream, chunk: None, meter, failure: None, shut: false, written: 0, credit: 0, stalled: false };
        Wire(Rc::new(RefCell::new(inner)))
    }

    /// Another round: time goes on, and so many bytes are read ([`READ_ROUND_MAX`]).
    pub(super) fn tick(&self, now: Duration) {
        let mut inner = self.0.borrow_mut();
        inner.meter.tick(now);
        (inner.credit, inner.stalled) = (READ_ROUND_MAX, false);
    }

    /// Were there bytes left to read in this round?
    pub(super) fn is_stalled(&self) -> bool {
        self.0.borrow().stalled
    }

    /// The flood that the peer has begun, if it has.
    pub(super) fn flood(&self) -> Option<Event> {
        self.0.borrow().meter.flood()
    }

    /// Since when a head has been on its way in.
    pub(super) fn head_since(&self) -> Option<Duration> {
        self.0.borrow().meter.head_since()
    }

    /// What is to be counted since the last time.
    pub(super) fn take_tally(&self) -> Tally {
        self.0.borrow_mut().meter.take_tally()
    }

    /// Why the stream failed, if it did.
    pub(super) fn failure(&self) -> Option<StreamError> {
        self.0.borrow().failure
    }

    /// Bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.0.borrow().written
    }

    /// Looks at the stream itself, when the library is done with it.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut S) -> T) -> T {
        act(&mut self.0.borrow_mut().stream)
    }
}

impl<S: Stream> Inner<S> {
    fn fail(&mut self, error: StreamError) -> io::Error {
        self.failure.get_or_insert(error);
        io::Error::from(io::ErrorKind::ConnectionReset)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.stream.poll_writable(cx)).map_err(|error| self.fail(error))?;
        let len = slices.iter().map(|slice| slice.len()).sum();
        let mut bytes = Vec::with_capacity(len);
        for slice in slices {
            bytes.extend_from_slice(slice);
        }
        self.meter.outgoing(&bytes);
        if len > 0 {
            self.stream.write(Bytes::from(bytes).into()).map_err(|error| self.fail(error))?;
        }
        self.written += len as u64;
        Poll::Ready(Ok(len))
    }
}

impl<S: Stream> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        let inner = &mut *inner;
        if inner.meter.flood().is_some() {
            return Poll::Pending;
        }
        if inner.credit == 0 {
            inner.stalled = true;
            return Poll::Pending;
        }
        let mut chunk = match inner.chunk.take() {
            Some(chunk) => chunk,
            None => match ready!(inner.stream.poll_read(cx)) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(inner.fail(error))),
            },
        };
        let part = chunk.split_to(chunk.len().min(into.remaining()).min(inner.credit));
        inner.credit -= part.len();
        if !chunk.is_empty() {
            inner.chunk = Some(chunk);
        }
        inner.meter.incoming(part.as_slice());
        // What a flood is made of does not reach the library; who polls it asks for the flood afterwards.
        if inner.meter.flood().is_some() {
            return Poll::Pending;
        }
        into.put_slice(part.as_slice());
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        if !inner.shut && inner.failure.is_none() {
            inner.shut = true;
            inner.stream.shutdown();
        }
        Poll::Ready(Ok(()))
    }
}
