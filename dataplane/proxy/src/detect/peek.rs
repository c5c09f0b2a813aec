//! The first bytes of one side: read to be looked at, and put back, so that the service that is found reads them as if nobody had.

use bytes::Bytes;

use super::limits::CHUNKS_MAX;
use crate::stream::{Chunk, Stream};

/// See the module.
pub(super) struct Peeked<C> {
    chunks: Vec<C>,
    bytes: Vec<u8>,
}

impl<C: Chunk> Peeked<C> {
    pub(super) fn new() -> Self {
        Peeked { chunks: Vec::new(), bytes: Vec::new() }
    }

    /// What was read next; returns where it begins among [`Peeked::bytes`].
    pub(super) fn push(&mut self, chunk: C) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(chunk.as_slice());
        if self.chunks.len() < CHUNKS_MAX {
            self.chunks.push(chunk);
        } else {
            self.chunks = vec![Bytes::copy_from_slice(&self.bytes).into()];
        }
        start
    }

    /// All that was read.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Chunks that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.chunks.len()
    }

    /// Puts it back, to be read again by who serves the session.
    pub(super) fn put_back<S: Stream<Chunk = C>>(self, stream: &mut S) {
        for chunk in self.chunks.into_iter().rev() {
            stream.unread(chunk);
        }
    }
}
