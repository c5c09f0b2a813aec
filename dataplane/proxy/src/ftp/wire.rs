//! A connection as it is, or within TLS: what the proxy reads and writes is the same.
//!
//! Plain to plain moves packet buffers without copying; TLS copies anyhow, where it encrypts.

use std::task::{Context, Poll};

use crate::stack::BoxStream;
use crate::stream::{Chunk, Ends, Stream, StreamError};

/// See the module.
pub enum Wire<S: Stream> {
    /// As it is.
    Plain(S),
    /// Within TLS, or a stream of another proxy's.
    Boxed(BoxStream),
    /// Neither: it is being set up, or is no more.
    Gone,
}

impl<S: Stream> Wire<S> {
    /// Takes it out, to put another one in its place.
    pub fn take(&mut self) -> Wire<S> {
        std::mem::replace(self, Wire::Gone)
    }

    /// As a stream of bytes.
    pub fn boxed(self) -> BoxStream {
        match self {
            Wire::Plain(stream) => crate::stack::boxed(stream),
            Wire::Boxed(stream) => stream,
            gone @ Wire::Gone => crate::stack::boxed(gone),
        }
    }
}

impl<S: Stream> Stream for Wire<S> {
    type Chunk = S::Chunk;

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<S::Chunk>, StreamError>> {
        match self {
            Wire::Plain(stream) => stream.poll_read(cx),
            Wire::Boxed(stream) => stream.poll_read(cx).map_ok(|chunk| chunk.map(S::Chunk::from)),
            Wire::Gone => Poll::Ready(Err(StreamError::Cut)),
        }
    }

    fn unread(&mut self, chunk: S::Chunk) {
        match self {
            Wire::Plain(stream) => stream.unread(chunk),
            Wire::Boxed(stream) => stream.unread(Chunk::into_bytes(chunk)),
            Wire::Gone => {}
        }
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        match self {
            Wire::Plain(stream) => stream.poll_writable(cx),
            Wire::Boxed(stream) => stream.poll_writable(cx),
            Wire::Gone => Poll::Ready(Err(StreamError::Cut)),
        }
    }

    fn write(&mut self, chunk: S::Chunk) -> Result<(), StreamError> {
        match self {
            Wire::Plain(stream) => stream.write(chunk),
            Wire::Boxed(stream) => stream.write(Chunk::into_bytes(chunk)),
            Wire::Gone => Err(StreamError::Cut),
        }
    }

    fn shutdown(&mut self) {
        match self {
            Wire::Plain(stream) => stream.shutdown(),
            Wire::Boxed(stream) => stream.shutdown(),
            Wire::Gone => {}
        }
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        match self {
            Wire::Plain(stream) => stream.poll_finished(cx),
            Wire::Boxed(stream) => stream.poll_finished(cx),
            Wire::Gone => Poll::Ready(Err(StreamError::Cut)),
        }
    }

    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        match self {
            Wire::Plain(stream) => stream.poll_failed(cx),
            Wire::Boxed(stream) => stream.poll_failed(cx),
            Wire::Gone => Poll::Ready(StreamError::Cut),
        }
    }

    fn unacknowledged(&self) -> usize {
        match self {
            Wire::Plain(stream) => stream.unacknowledged(),
            Wire::Boxed(stream) => stream.unacknowledged(),
            Wire::Gone => 0,
        }
    }

    fn abort(&mut self) {
        match self {
            Wire::Plain(stream) => stream.abort(),
            Wire::Boxed(stream) => stream.abort(),
            Wire::Gone => {}
        }
    }

    fn ends(&self) -> Option<Ends> {
        match self {
            Wire::Plain(stream) => stream.ends(),
            Wire::Boxed(stream) => stream.ends(),
            Wire::Gone => None,
        }
    }
}
