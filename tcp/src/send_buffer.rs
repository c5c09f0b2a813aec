//! What was written and is not acknowledged: the chunks as they were given, found by position.
//!
//! Nothing is copied: a segment is a list of slices, and a retransmission slices the same chunks again.

use std::collections::VecDeque;

use crate::lazy::Lazy;
use crate::payload::Payload;
use crate::reassembly::cut;
use crate::seq::Position;

#[derive(Debug)]
pub(crate) struct SendBuffer<P> {
    /// Chunks with where they start; consecutive.
    chunks: Lazy<VecDeque<(Position, P)>>,
    /// Where the next chunk will start.
    end: Position,
}

impl<P: Payload> SendBuffer<P> {
    pub(crate) fn new(start: Position) -> SendBuffer<P> {
        SendBuffer { chunks: Lazy::new(), end: start }
    }

    /// Bytes held that are not acknowledged, which those before `una` are.
    pub(crate) fn len(&self, una: Position) -> u64 {
        self.chunks.front().map_or(0, |(at, _)| self.end.saturating_since(una.max(*at)))
    }

    /// Chunks held.
    pub(crate) fn pieces(&self) -> usize {
        self.chunks.len()
    }

    pub(crate) fn end(&self) -> Position {
        self.end
    }

    pub(crate) fn push(&mut self, chunk: P) {
        if !chunk.is_empty() {
            let at = self.end;
            self.end += chunk.len() as u64;
            self.chunks.push_back((at, chunk));
        }
    }

    /// Everything before `to` is acknowledged: lets go of the chunks.
    pub(crate) fn release(&mut self, to: Position) {
        let Some(chunks) = self.chunks.held() else { return };
        while let Some((at, chunk)) = chunks.front()
            && *at + chunk.len() as u64 <= to
        {
            chunks.pop_front();
        }
    }

    /// Nothing will be sent any more.
    pub(crate) fn clear(&mut self) {
        self.chunks.forget();
    }

    /// Whether it takes memory.
    pub(crate) fn is_held(&self) -> bool {
        self.chunks.can_rest()
    }

    /// The connection is quiet: gives memory back.
    pub(crate) fn rest(&mut self) {
        self.chunks.rest();
    }

    /// Appends slices of the bytes `[from, to)` to `out`.
    pub(crate) fn slices(&self, from: Position, to: Position, out: &mut Vec<P>) {
        debug_assert!(from >= to || self.chunks.front().is_some_and(|(at, _)| *at <= from), "{from:?} is not held");
        debug_assert!(to <= self.end, "{to:?} is not held");
        let first = self.chunks.partition_point(|(at, chunk)| *at + chunk.len() as u64 <= from);
        for (at, chunk) in self.chunks.range(first..).take_while(|(at, _)| *at < to) {
            let end = (chunk.len() as u64).min(to - *at);
            out.push(cut(chunk, from.saturating_since(*at), end));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::seq::SeqNumber;

    #[test]
    fn slices_cross_chunks_and_acknowledged_chunks_go() {
        let start = Position::of_syn(SeqNumber(u32::MAX - 2));
        let mut buffer = SendBuffer::new(start);
        for chunk in ["abc", "", "defg", "h"] {
            buffer.push(Bytes::from_static(chunk.as_bytes()));
        }
        assert_eq!((buffer.len(start.minus(1)), buffer.end()), (8, start + 8));
        let text = |buffer: &SendBuffer<Bytes>, from, to| {
            let mut out = Vec::new();
            buffer.slices(start + from, start + to, &mut out);
            out.concat()
        };
        assert_eq!(text(&buffer, 0, 8), b"abcdefgh");
        assert_eq!(text(&buffer, 2, 5), b"cde");
        assert_eq!(text(&buffer, 4, 4), b"");
        buffer.release(start + 4);
        assert_eq!((buffer.len(start + 4), buffer.chunks.len()), (4, 2));
        assert_eq!(text(&buffer, 4, 8), b"efgh");
        // The FIN after the data is acknowledged too.
        buffer.release(start + 9);
        assert_eq!((buffer.len(start + 9), buffer.chunks.len()), (0, 0));
    }
}
