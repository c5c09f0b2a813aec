//! TLS over any [`Stream`], as a [`Stream`] itself: the handshake, then bytes in clear.
//!
//! The library does the protocol on buffers of its own; this moves bytes between those and the stream below, and keeps
//! them small: no more is read from below while there is something to read here, no more is taken for writing while
//! there is no room below. What must hold beside the contract of streams:
//! - an orderly end is `close_notify`, read as the end of bytes, written by [`Stream::shutdown`] before the FIN. A FIN without it
//!   is a truncation, and is what [`Truncation`] says;
//! - ends are one way at a time, as TLS 1.3 has it (RFC 8446, 6.1); with TLS 1.2 too, as all do;
//! - bytes in clear before a failure are read before the failure is;
//! - what the peer does wrong is answered by the alert the library chooses, which goes out before the connection does.
//!
//! Renegotiation is refused by the library. Left out: early data (it can be replayed) and tickets, see [`super::ends`].

use std::cell::Cell;
use std::future::poll_fn;
use std::io::BufRead;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConnection, Connection, ProtocolVersion, ServerConnection};

use crate::stream::{Chunk, Ends, Stream, StreamError};

/// What went wrong with TLS itself, not with the stream below.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The peer broke the protocol, told us by an alert that it cannot go on, or is not to be trusted.
    Tls(rustls::Error),
    /// Its bytes ended without `close_notify`.
    Truncated,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Tls(error) => write!(f, "{error}"),
            Fault::Truncated => f.write_str("the bytes ended without a close_notify"),
        }
    }
}

/// What a FIN without `close_notify` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// An end here, and an end of the same kind for who is at the other side: they see what they would see without us.
    Mirror,
    /// A failure.
    Deny,
    /// An end like any other.
    Permit,
}

/// Why there is no TLS on a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum HandshakeError {
    /// The stream below failed.
    Stream(StreamError),
    /// TLS did.
    Fault(Fault),
}

/// One end of a TLS connection.
pub struct TlsStream<S: Stream> {
    io: S,
    tls: Connection,
    /// Read from below; the library has not taken all of it.
    incoming: Option<S::Chunk>,
    /// Put back to be read again, the next one last.
    unread: Vec<Bytes>,
    /// The peer has said `close_notify`.
    peer_closed: bool,
    /// The FIN came from below.
    io_ended: bool,
    truncation: Truncation,
    /// Its bytes ended without `close_notify`, and whoever follows ends so, too.
    cut: Rc<Cell<bool>>,
    /// The same of the stream at the other side.
    follows: Option<Rc<Cell<bool>>>,
    /// We have: nothing is written any more.
    shut: bool,
    /// What we wrote last was an alert: it must not be overtaken by a reset.
    alerted: bool,
    failure: Option<StreamError>,
    fault: Option<Fault>,
}

impl<S: Stream> TlsStream<S> {
    /// The end that connected.
    pub fn client(io: S, connection: ClientConnection) -> Self {
        Self::new(io, Connection::Client(connection))
    }

    /// The end that was connected to.
    pub fn server(io: S, connection: ServerConnection) -> Self {
        Self::new(io, Connection::Server(connection))
    }

    fn new(io: S, mut tls: Connection) -> Self {
        // We bound what is written by the room below; a limit of the library's would take part of a chunk.
        tls.set_buffer_limit(None);
        TlsStream {
            io,
            tls,
            incoming: None,
            unread: Vec::new(),
            peer_closed: false,
            io_ended: false,
            truncation: Truncation::Deny,
            cut: Rc::default(),
            follows: None,
            shut: false,
            alerted: false,
            failure: None,
            fault: None,
        }
    }

    /// What a FIN without `close_notify` is from now on; a failure, if nothing is said.
    pub fn set_truncation(&mut self, truncation: Truncation) {
        self.truncation = truncation;
    }

    /// From now on a FIN without `close_notify` is an end like any other.
    pub fn permit_truncation(&mut self) {
        self.set_truncation(Truncation::Permit);
    }

    /// Each of the two ends as the other does: see [`Truncation::Mirror`].
    pub fn mirror<O: Stream>(&mut self, other: &mut TlsStream<O>) {
        self.follows = Some(Rc::clone(&other.cut));
        other.follows = Some(Rc::clone(&self.cut));
    }

    /// Ready when the peers know each other.
    ///
    /// To be bounded in time by the caller.
    ///
    /// # Errors
    /// It will not be; the peer has been told.
    pub fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HandshakeError>> {
        loop {
            if let Some(error) = self.failure {
                return Poll::Ready(Err(self
                    .fault
                    .clone()
                    .map_or(HandshakeError::Stream(error), HandshakeError::Fault)));
            }
            if let Err(error) = ready!(self.poll_flush(cx)) {
                return Poll::Ready(Err(HandshakeError::Stream(error)));
            }
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.io_ended {
                self.fail(Fault::Truncated);
                continue;
            }
            // A failure comes around by `self.failure`, with its fault.
            let _ = ready!(self.poll_fill(cx));
        }
    }

    /// [`TlsStream::poll_handshake`] as a future.
    ///
    /// # Errors
    /// As there.
    pub async fn handshake(&mut self) -> Result<(), HandshakeError> {
        poll_fn(|cx| self.poll_handshake(cx)).await
    }

    /// Ends as who leaves without a `close_notify` does.
    #[cfg(test)]
    pub(crate) fn truncate(&mut self) {
        self.io.shutdown();
        self.shut = true;
    }

    /// What went wrong with TLS, if that is why the stream failed.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// The protocol that both ends agreed on (ALPN).
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    /// The version that both ends agreed on.
    #[must_use]
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.tls.protocol_version()
    }

    /// The peer's certificate and what it sent with it, as they were sent.
    #[must_use]
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.tls.peer_certificates().unwrap_or_default()
    }

    /// Takes bytes from below and lets the library make of them what it can.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let mut chunk = match self.incoming.take() {
            Some(chunk) => chunk,
            None => match ready!(self.io.poll_read(cx)) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => {
                    self.io_ended = true;
                    return Poll::Ready(Ok(()));
                }
                Err(error) => {
                    self.failure = Some(error);
                    return Poll::Ready(Err(error));
                }
            },
        };
        while !chunk.is_empty() {
            let taken = match self.tls.read_tls(&mut chunk.as_slice()) {
                Ok(0) => break,
                Ok(taken) => taken,
                // The library holds a message that is larger than any may be.
                Err(error) => {
                    return Poll::Ready(Err(self.fail(Fault::Tls(rustls::Error::General(error.to_string())))));
                }
            };
            let _ = chunk.split_to(taken);
            let state = match self.tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => return Poll::Ready(Err(self.fail(Fault::Tls(error)))),
            };
            self.peer_closed |= state.peer_has_closed();
            if state.plaintext_bytes_to_read() > 0 {
                break;
            }
        }
        if !chunk.is_empty() && !self.peer_closed {
            self.incoming = Some(chunk);
        }
        Poll::Ready(Ok(()))
    }

    /// What can be read in clear now.
    fn take_clear(&mut self) -> Option<Bytes> {
        if let Some(chunk) = self.unread.pop() {
            return Some(chunk);
        }
        let mut reader = self.tls.reader();
        let clear = reader.fill_buf().ok().filter(|clear| !clear.is_empty())?;
        let chunk = Bytes::copy_from_slice(clear);
        reader.consume(chunk.len());
        Some(chunk)
    }

    /// The stream is at its end: the peer gets the alert that the library made, if it made one, and then a FIN.
    fn fail(&mut self, fault: Fault) -> StreamError {
        let error = StreamError::Reset;
        if !self.shut && self.tls.wants_write() && self.push().is_ok() {
            self.io.shutdown();
            self.shut = true;
            self.alerted = true;
        }
        self.failure = Some(error);
        self.fault = Some(fault);
        error
    }

    /// Writes what the library has for the peer as there is room below.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        while self.tls.wants_write() && !self.shut {
            ready!(self.io.poll_writable(cx))?;
            self.push()?;
        }
        Poll::Ready(Ok(()))
    }

    fn push(&mut self) -> Result<(), StreamError> {
        let mut sealed = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut sealed).expect("a Vec takes all");
        }
        if sealed.is_empty() { Ok(()) } else { self.io.write(Bytes::from(sealed).into()) }
    }

    /// RFC 8446, 6.1: "Any data received after a closure alert has been received MUST be ignored." It is taken from below,
    /// with the FIN behind it, so that the peer is rid of it and finishes.
    fn discard(&mut self, cx: &mut Context<'_>) {
        while self.peer_closed && !self.io_ended {
            match self.io.poll_read(cx) {
                Poll::Ready(Ok(Some(_))) => {}
                Poll::Ready(Ok(None) | Err(_)) => self.io_ended = true,
                Poll::Pending => return,
            }
        }
    }

    /// Has everything been said both ways? What becomes of the connection then is of no interest: many answer our
    /// `close_notify` with a reset, because they have closed.
    fn is_over(&self) -> bool {
        self.shut && self.peer_closed
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    type Chunk = Bytes;

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamError>> {
        loop {
            if let Some(chunk) = self.take_clear() {
                return Poll::Ready(Ok(Some(chunk)));
            }
            if self.peer_closed {
                return Poll::Ready(Ok(None));
            }
            if let Some(error) = self.failure {
                return Poll::Ready(Err(error));
            }
            if self.io_ended && self.truncation == Truncation::Deny {
                return Poll::Ready(Err(self.fail(Fault::Truncated)));
            }
            if self.io_ended {
                self.cut.set(self.truncation == Truncation::Mirror);
                self.peer_closed = true;
                continue;
            }
            // Answers of the library (to a key update) go when there is room; reading does not wait for it.
            if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                self.failure = Some(error);
                continue;
            }
            let _ = ready!(self.poll_fill(cx));
        }
    }

    fn unread(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.unread.push(chunk);
        }
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        if let Some(error) = self.failure {
            return Poll::Ready(Err(error));
        }
        if self.tls.is_handshaking()
            && let Err(error) = ready!(self.poll_handshake(cx))
        {
            return Poll::Ready(Err(match error {
                HandshakeError::Stream(error) => error,
                HandshakeError::Fault(_) => StreamError::Reset,
            }));
        }
        ready!(self.poll_flush(cx))?;
        self.io.poll_writable(cx)
    }

    fn write(&mut self, chunk: Bytes) -> Result<(), StreamError> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        assert!(!self.shut, "a stream is not written after shutdown");
        std::io::Write::write_all(&mut self.tls.writer(), &chunk).map_err(|_| StreamError::Reset)?;
        self.push()
    }

    fn shutdown(&mut self) {
        if self.shut {
            return;
        }
        let cut = self.follows.as_ref().is_some_and(|other| other.get());
        if self.failure.is_none() && !cut {
            self.tls.send_close_notify();
            // A stream that fails now says so to who reads or waits for the end.
            let _ = self.push();
        }
        self.io.shutdown();
        self.shut = true;
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        if let Some(error) = self.failure {
            return Poll::Ready(Err(error));
        }
        self.discard(cx);
        match ready!(self.io.poll_finished(cx)) {
            Err(StreamError::Reset) if self.is_over() => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }

    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        if let Some(error) = self.failure {
            return Poll::Ready(error);
        }
        match ready!(self.io.poll_failed(cx)) {
            StreamError::Reset if self.is_over() => Poll::Pending,
            error => Poll::Ready(error),
        }
    }

    fn unacknowledged(&self) -> usize {
        self.io.unacknowledged()
    }

    /// Those of the connection below. It has no handle: packets that passed it by would pass TLS by.
    fn ends(&self) -> Option<Ends> {
        self.io.ends()
    }

    fn abort(&mut self) {
        if !self.alerted {
            self.io.abort();
        }
        self.shut = true;
        self.failure.get_or_insert(StreamError::Cut);
        self.incoming = None;
        self.unread.clear();
    }
}

#[cfg(test)]
mod tests;
