//! What a connection carries: bytes in the buffer they were received in, or bytes that a proxy made.
//!
//! Received ones keep their packet buffer until the other peer has acknowledged them; made ones (a header rewritten, a
//! page, a decrypted record) are on the heap, so that making them needs no packet memory and cannot fail.

use std::ops::Range;

use bytes::Bytes;

/// See the module; `S` is a slice of a received packet.
#[derive(Clone, Debug)]
pub enum Piece<S> {
    /// As it came.
    Received(S),
    /// By a proxy.
    Made(Bytes),
}

impl<S> From<Bytes> for Piece<S> {
    fn from(bytes: Bytes) -> Self {
        Piece::Made(bytes)
    }
}

impl<S: tcp::Payload> tcp::Payload for Piece<S> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Piece::Received(slice) => slice.as_slice(),
            Piece::Made(bytes) => bytes,
        }
    }

    fn len(&self) -> usize {
        match self {
            Piece::Received(slice) => slice.len(),
            Piece::Made(bytes) => bytes.len(),
        }
    }

    fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Piece::Received(slice) => Piece::Received(slice.slice(range)),
            Piece::Made(bytes) => Piece::Made(bytes.slice(range)),
        }
    }
}

impl<S: tcp::Payload> proxy::Chunk for Piece<S> {
    fn as_slice(&self) -> &[u8] {
        tcp::Payload::as_slice(self)
    }

    fn len(&self) -> usize {
        tcp::Payload::len(self)
    }

    fn split_to(&mut self, at: usize) -> Self {
        match self {
            Piece::Received(slice) => {
                let head = slice.slice(0..at);
                *slice = slice.slice(at..slice.len());
                Piece::Received(head)
            }
            Piece::Made(bytes) => Piece::Made(bytes.split_to(at)),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Piece::Received(slice) => Bytes::copy_from_slice(slice.as_slice()),
            Piece::Made(bytes) => bytes,
        }
    }
}
