//! Byte streams as a proxy sees them: chunks read in place, passed on without copying, closed one way at a time.
//!
//! Called by one task only: all `poll_*` methods of a stream are given the same waker, so an implementor may keep one
//! waker for all of them and wake it on any change. A `poll_*` that returns `Pending` has registered the waker.
//!
//! What must hold for every implementor:
//! - bytes received before a failure are read before the failure is (a server's last words count);
//! - once [`Stream::shutdown`] or [`Stream::abort`] was called, nothing more is written;
//! - dropping a stream that was not shut down aborts it; one that was shut down finishes on its own.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::release::Handle;

/// A counted reference to bytes; cloning and splitting do not copy them.
///
/// Bytes that a proxy makes itself become a chunk by `From<Bytes>`, without a copy either.
pub trait Chunk: Clone + From<Bytes> + 'static {
    /// The bytes, in place.
    fn as_slice(&self) -> &[u8];

    /// How many.
    fn len(&self) -> usize;

    /// None at all?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the first `at` bytes off; panics when there are fewer.
    #[must_use]
    fn split_to(&mut self, at: usize) -> Self;

    /// The bytes out of the packet buffer they came in, for who keeps them longer than it takes to pass them on.
    #[must_use]
    fn into_bytes(self) -> Bytes {
        Bytes::copy_from_slice(self.as_slice())
    }
}

impl Chunk for Bytes {
    fn as_slice(&self) -> &[u8] {
        self
    }

    fn len(&self) -> usize {
        Bytes::len(self)
    }

    fn split_to(&mut self, at: usize) -> Self {
        Bytes::split_to(self, at)
    }

    fn into_bytes(self) -> Bytes {
        self
    }
}

/// Why a stream can neither be read nor written any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamError {
    /// The peer sent a reset.
    Reset,
    /// The peer stopped answering: retransmissions or keep-alives ran out.
    TimedOut,
    /// The network says that the peer cannot be reached.
    Unreachable,
    /// The gateway or its operator ended it.
    Cut,
}

/// The two ends of a connection as packets have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// The gateway's end, under whatever address it appears.
    pub local: SocketAddr,
    /// The peer's.
    pub peer: SocketAddr,
}

/// One connection: bytes in, bytes out.
pub trait Stream: 'static {
    /// What is read and written.
    type Chunk: Chunk;

    /// The next bytes in order; `None` when the peer has finished (its FIN) and everything was read.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Self::Chunk>, StreamError>>;

    /// Puts back what was read, so that it is read again first: who looked at the first bytes hands the stream on whole.
    ///
    /// Bounded by who calls it: nothing is to be put back that was not read.
    fn unread(&mut self, chunk: Self::Chunk);

    /// Room for writing in bytes, greater than zero.
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>>;

    /// Queues bytes for the peer; to be called after [`Stream::poll_writable`] was ready.
    ///
    /// The chunk may exceed the room: it is taken whole, and the next `poll_writable` waits until there is room again.
    ///
    /// # Errors
    /// The stream has failed; the chunk is lost.
    fn write(&mut self, chunk: Self::Chunk) -> Result<(), StreamError>;

    /// Finishes our direction: FIN after what was written. Reading goes on.
    fn shutdown(&mut self);

    /// Ready once everything written, and the FIN if [`Stream::shutdown`] was called, is acknowledged.
    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>>;

    /// Ready once the stream has failed, however much is still to be read; never ready for an orderly end.
    ///
    /// This is how a proxy hears of a reset while it has no reason to read or write.
    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<StreamError>;

    /// Bytes written that the peer has not acknowledged: shrinks as long as the peer takes what we wrote.
    fn unacknowledged(&self) -> usize;

    /// Ends both directions at once with a reset; what was not acknowledged is forgotten.
    fn abort(&mut self);

    /// Between which addresses it is, where it is a connection of its own: a proxy that names addresses asks.
    fn ends(&self) -> Option<Ends> {
        None
    }

    /// Its number at the host, if it is one of the host's own connections and nothing was put back: packets could pass it by
    /// ([`crate::release`]).
    fn handle(&self) -> Option<Handle> {
        None
    }

    /// [`Stream::poll_read`] as a future.
    fn read(&mut self) -> impl Future<Output = Result<Option<Self::Chunk>, StreamError>>
    where
        Self: Sized,
    {
        poll_fn(|cx| self.poll_read(cx))
    }

    /// Waits for room, then writes.
    fn send(&mut self, chunk: Self::Chunk) -> impl Future<Output = Result<(), StreamError>>
    where
        Self: Sized,
    {
        let mut chunk = Some(chunk);
        poll_fn(move |cx| {
            self.poll_writable(cx).map(|room| {
                room?;
                chunk.take().map_or(Ok(()), |chunk| self.write(chunk))
            })
        })
    }

    /// [`Stream::poll_finished`] as a future.
    fn finished(&mut self) -> impl Future<Output = Result<(), StreamError>>
    where
        Self: Sized,
    {
        poll_fn(|cx| self.poll_finished(cx))
    }

    /// [`Stream::poll_failed`] as a future.
    fn failed(&mut self) -> impl Future<Output = StreamError>
    where
        Self: Sized,
    {
        poll_fn(|cx| self.poll_failed(cx))
    }
}
