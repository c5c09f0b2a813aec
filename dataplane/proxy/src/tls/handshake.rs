//! Handshakes within their time, for this module and for protocols that begin TLS in their middle (FTP's AUTH TLS).

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::stream::{Fault, HandshakeError, TlsStream};
use crate::host::Host;
use crate::stream::{Chunk, Stream, StreamError};

/// Why there is no TLS.
#[derive(Clone, Debug, PartialEq)]
pub enum Unsecured {
    /// It took too long.
    TooSlow,
    /// It failed.
    Failed(HandshakeError),
}

impl Unsecured {
    /// The library has no place for the connection.
    pub(super) fn unmade(error: rustls::Error) -> Unsecured {
        Unsecured::Failed(HandshakeError::Fault(Fault::Tls(error)))
    }
}

impl fmt::Display for Unsecured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsecured::TooSlow => f.write_str("it took too long"),
            Unsecured::Failed(HandshakeError::Stream(error)) => write!(f, "the connection failed ({error:?})"),
            Unsecured::Failed(HandshakeError::Fault(fault)) => write!(f, "{fault}"),
        }
    }
}

/// What comes of a future, if it does in that time.
pub async fn within<H: Host, T>(host: &H, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut timer) = (pin!(future), pin!(host.sleep(limit)));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Does the handshake. The time of certificates is to be set before ([`super::clock::Clock`]).
///
/// # Errors
/// There is no TLS, and the peer has been told; what is left to do is to drop the stream.
pub async fn secure<H: Host, S: Stream>(host: &H, limit: Duration, stream: &mut TlsStream<S>) -> Result<(), Unsecured> {
    match within(host, limit, stream.handshake()).await {
        Some(result) => result.map_err(Unsecured::Failed),
        None => Err(Unsecured::TooSlow),
    }
}

/// Before the answer that permits TLS is sent: is there nothing behind the command that asked for it?
///
/// What came in clear before the handshake would be taken for what was said within it: an injection by whoever is between.
/// To be asked when the lines already read are used up and the answer has not been sent; bytes that are there make the session
/// one to be ended, and are counted by the caller as [`super::event::Event::ClearBehindStarttls`].
///
/// # Errors
/// The stream has failed.
pub async fn is_clear_of_text<S: Stream>(stream: &mut S) -> Result<bool, StreamError> {
    poll_fn(|cx| {
        Poll::Ready(match stream.poll_read(cx) {
            Poll::Ready(Ok(Some(chunk))) => {
                let none = chunk.is_empty();
                stream.unread(chunk);
                Ok(none)
            }
            // An end is no text; it will be read again.
            Poll::Ready(Ok(None)) | Poll::Pending => Ok(true),
            Poll::Ready(Err(error)) => Err(error),
        })
    })
    .await
}
