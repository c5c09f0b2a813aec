//! A control connection: lines in, lines out. What has come and was not asked for yet waits in the stream, but for the
//! chunk that the last line was in.

use std::future::{Future, poll_fn};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::line::{LineError, LineReader};
use super::wire::Wire;
use crate::stack::BoxStream;
use crate::stream::{Chunk, Stream, StreamError};

/// See the module.
pub struct Control<S: Stream> {
    wire: Wire<S>,
    rest: Option<S::Chunk>,
    reader: LineReader,
    written: u64,
}

/// Why no line comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlError {
    /// The connection failed.
    Stream(StreamError),
    /// What came is no line.
    Line(LineError),
}

impl<S: Stream> Control<S> {
    /// Of a connection on which nothing was said yet.
    pub fn new(stream: S, line_max: usize) -> Control<S> {
        Control { wire: Wire::Plain(stream), rest: None, reader: LineReader::new(line_max), written: 0 }
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The connection itself.
    pub fn wire(&mut self) -> &mut Wire<S> {
        &mut self.wire
    }

    /// The next line; `None`: the peer has finished.
    pub fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, ControlError>> {
        loop {
            let chunk = match self.rest.take() {
                Some(rest) => Some(rest),
                None => match self.wire.poll_read(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(read) => read.map_err(ControlError::Stream)?,
                },
            };
            let Some(mut chunk) = chunk else { return Poll::Ready(Ok(None)) };
            let (taken, line) = self.reader.take(chunk.as_slice()).map_err(ControlError::Line)?;
            if taken < chunk.len() {
                let _ = chunk.split_to(taken);
                self.rest = Some(chunk);
            }
            if line.is_some() {
                return Poll::Ready(Ok(line));
            }
        }
    }

    /// Has something come behind the last line?
    pub fn has_more(&self) -> bool {
        self.rest.is_some() || self.reader.has_begun()
    }

    /// Waits for room, then writes.
    ///
    /// # Errors
    /// The connection has failed.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<(), StreamError> {
        let bytes = bytes.into();
        self.written += bytes.len() as u64;
        self.wire.send(bytes.into()).await
    }

    /// Says no more, and waits until all was heard.
    ///
    /// # Errors
    /// The connection has failed.
    pub async fn finish(&mut self) -> Result<(), StreamError> {
        self.wire.shutdown();
        poll_fn(|cx| self.wire.poll_finished(cx)).await
    }

    /// Puts the connection into TLS.
    ///
    /// # Errors
    /// What `handshake` says; the connection is gone then.
    pub async fn upgrade<F, E>(&mut self, handshake: impl FnOnce(BoxStream) -> F) -> Result<(), E>
    where
        F: Future<Output = Result<BoxStream, E>>,
    {
        let plain = self.wire.take().boxed();
        self.wire = Wire::Boxed(handshake(plain).await?);
        Ok(())
    }
}
