//! The receiving half: what arrived, in order for the application and out of order for the reassembly queue.
//!
//! Everything in an acceptable segment that lies inside of the window and was not there before is taken; the rest is
//! trimmed. What must hold: RCV.NXT only grows; bytes come out once and in order; nothing after the FIN comes out.

mod tuning;

use std::collections::VecDeque;
use std::time::Duration;

use smallvec::SmallVec;

use crate::acknowledge::Acknowledge;
use crate::discard::Discard;
use crate::lazy::{Empty, Lazy};
use crate::limits;
use crate::options::SackBlocks;
use crate::payload::Payload;
use crate::reassembly::{Range, Reassembly, cut};
use crate::receive::tuning::{Progress, Tuning};
use crate::seq::Position;
use crate::time::Instant;
use crate::window::ReceiveWindow;

/// What came of a segment's text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrival {
    /// Bytes that RCV.NXT moved by; a FIN not counted.
    pub(crate) in_order: u64,
    /// Something is missing, was missing until now, or came twice.
    pub(crate) disorder: bool,
    /// The FIN is in order, for the first time.
    pub(crate) fin: bool,
    /// Why part of it was not taken.
    pub(crate) refused: Option<Discard>,
}

/// All of it is for every segment: see `connection/hot.rs`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Receive<P> {
    next: Position,
    ready: Lazy<Ready<P>>,
    window: ReceiveWindow,
    unread: u32,
    /// The acknowledgments we owe.
    pub(crate) acknowledge: Acknowledge,
}

/// What was received: in order and not read, and out of order.
#[derive(Debug)]
struct Ready<P> {
    pieces: VecDeque<P>,
    reassembly: Lazy<Reassembly<P>>,
    /// While the buffer may grow.
    tuning: Option<Tuning>,
}

impl<P: Payload> Empty for Ready<P> {
    const EMPTY: &'static Ready<P> = &Ready { pieces: VecDeque::new(), reassembly: Lazy::new(), tuning: None };

    fn new() -> Ready<P> {
        Ready { pieces: VecDeque::new(), reassembly: Lazy::new(), tuning: None }
    }

    /// What was measured before a rest says nothing about the time after it.
    fn is_forgettable(&self) -> bool {
        self.pieces.is_empty() && self.reassembly.is_forgettable()
    }
}

impl<P: Payload> Receive<P> {
    /// `next`: the position after the peer's SYN.
    pub(crate) fn new(next: Position, buffer: u32, shift: u8, acknowledge: Acknowledge) -> Receive<P> {
        Receive { next, ready: Lazy::new(), window: ReceiveWindow::new(next, buffer, shift), unread: 0, acknowledge }
    }

    /// RCV.NXT.
    pub(crate) fn next(&self) -> Position {
        self.next
    }

    /// RCV.NXT + RCV.WND: data up to here is welcome.
    pub(crate) fn right(&self) -> Position {
        self.window.right(self.next)
    }

    /// The last acknowledgment sent.
    pub(crate) fn acked(&self) -> Position {
        self.window.acked(self.next)
    }

    /// Unread bytes that may be held.
    pub(crate) fn buffer(&self) -> u32 {
        self.window.buffer()
    }

    pub(crate) fn unread(&self) -> u64 {
        u64::from(self.unread)
    }

    /// Pieces held, in order and out of order.
    pub(crate) fn pieces(&self) -> usize {
        self.ready.pieces.len() + self.ready.reassembly.pieces()
    }

    /// Bytes held out of order.
    pub(crate) fn early(&self) -> u64 {
        self.ready.reassembly.bytes()
    }

    /// The FIN was received, and everything before it.
    pub(crate) fn is_finished(&self) -> bool {
        self.window.is_final()
    }

    pub(crate) fn read(&mut self) -> Option<P> {
        let piece = self.ready.held()?.pieces.pop_front()?;
        self.unread -= length(&piece);
        Some(piece)
    }

    /// Whether text that begins at RCV.NXT, in so many pieces, can be taken whole and leaves nothing to think about.
    pub(crate) fn expects(&self, text: u64, pieces: usize) -> bool {
        self.next + text <= self.right()
            && !self.is_finished()
            && self.ready.reassembly.is_forgettable()
            && self.ready.pieces.len() + pieces <= limits::READY_PIECES_MAX
    }

    /// Takes it, up to `end`.
    pub(crate) fn take_expected(&mut self, end: Position, payload: SmallVec<[P; 1]>) {
        for piece in payload {
            if !piece.is_empty() {
                self.unread += length(&piece);
                self.ready.pieces.push_back(piece);
            }
        }
        self.next = end;
    }

    /// Takes the text of an acceptable segment.
    pub(crate) fn accept(&mut self, start: Position, payload: SmallVec<[P; 1]>, fin: bool) -> Arrival {
        let mut arrival = Arrival::default();
        let before = self.next;
        let mut at = start;
        for piece in payload {
            let end = at + piece.len() as u64;
            if end > at {
                self.accept_piece(at, end, &piece, &mut arrival);
            }
            at = end;
        }
        if start < before && at > start && !self.is_finished() {
            self.note_duplicate((start, at.min(before)), &mut arrival);
        }
        let fin_at = if fin { self.note_fin(at, &mut arrival) } else { self.fin() };
        arrival.in_order = self.next - before;
        arrival.disorder |= !self.ready.reassembly.is_empty();
        if fin_at == Some(self.next) {
            self.next += 1;
            self.window.finish();
            if let Some(reassembly) = self.ready.held().and_then(|ready| ready.reassembly.held()) {
                reassembly.fin = None;
            }
            arrival.fin = true;
        }
        arrival
    }

    fn accept_piece(&mut self, at: Position, end: Position, piece: &P, arrival: &mut Arrival) {
        let fin_at = self.fin();
        let limit = fin_at.map_or(self.right(), |fin| fin.min(self.right()));
        let (from, to) = (at.max(self.next), end.min(limit));
        if end > limit {
            let after_fin = fin_at.is_some_and(|fin| end > fin);
            arrival.refused = Some(if after_fin { Discard::AfterFin } else { Discard::BeyondWindow });
        }
        if from >= to {
            return;
        }
        let part = cut(piece, from - at, to - at);
        if from == self.next {
            self.accept_in_order(to, part, arrival);
        } else {
            self.accept_early(from, part, arrival);
        }
    }

    fn accept_in_order(&mut self, to: Position, part: P, arrival: &mut Arrival) {
        if self.ready.pieces.len() >= limits::READY_PIECES_MAX {
            arrival.refused = Some(Discard::QueueFull);
            return;
        }
        let Receive { ready, unread, .. } = self;
        let Ready { pieces, reassembly, .. } = &mut **ready;
        let mut take = |piece: P| {
            *unread += length(&piece);
            pieces.push_back(piece);
        };
        take(part);
        self.next = to;
        if !reassembly.is_empty() {
            // RFC 5681, 4.2: "a TCP receiver SHOULD send an immediate ACK when the incoming segment fills in all or part of a
            // gap in the sequence space".
            arrival.disorder = true;
            self.next = reassembly.take(to, take);
        }
    }

    fn accept_early(&mut self, from: Position, part: P, arrival: &mut Arrival) {
        arrival.disorder = true;
        if self.is_pressed() {
            arrival.refused = Some(Discard::ReassemblyFull);
            return;
        }
        match self.ready.reassembly.insert(from, part) {
            Ok(None) => {}
            Ok(Some(duplicate)) => self.note_duplicate(duplicate, arrival),
            Err(_) => arrival.refused = Some(Discard::ReassemblyFull),
        }
    }

    /// Where the FIN is, if one was seen.
    fn fin(&self) -> Option<Position> {
        if self.is_finished() { Some(self.next.minus(1)) } else { self.ready.reassembly.fin }
    }

    /// A FIN counts where the first one was, and only if no byte was received beyond it.
    fn note_fin(&mut self, at: Position, arrival: &mut Arrival) -> Option<Position> {
        let known = self.fin();
        let counts = at >= self.next && at <= self.right() && at >= self.ready.reassembly.end().unwrap_or(at);
        if known.is_some() || !counts {
            return known;
        }
        if at > self.next {
            self.ready.reassembly.fin = Some(at);
            arrival.disorder = true;
        }
        Some(at)
    }

    fn note_duplicate(&mut self, duplicate: Range, arrival: &mut Arrival) {
        arrival.disorder = true;
        self.ready.reassembly.duplicate = Some(duplicate);
    }

    /// A segment with nothing new in it: to be reported.
    pub(crate) fn on_duplicate(&mut self, start: Position, end: Position) {
        self.ready.reassembly.duplicate = Some((start, end));
    }

    /// Whether the next acknowledgment has something selective to say.
    pub(crate) fn has_blocks(&self) -> bool {
        self.ready.reassembly.duplicate.is_some() || !self.ready.reassembly.is_empty()
    }

    /// The blocks to report; the duplicate first, and only once (RFC 2883, 4).
    pub(crate) fn blocks(&mut self, most: usize) -> SackBlocks {
        let mut blocks = SackBlocks::new();
        if let Some(reassembly) = self.ready.held().and_then(|ready| ready.reassembly.held()) {
            if let Some((start, end)) = reassembly.duplicate.take() {
                blocks.push(start.seq(), end.seq());
            }
            reassembly.blocks(most, &mut blocks);
        }
        blocks
    }

    /// The window field of a segment that acknowledges all there is.
    pub(crate) fn offer(&mut self, segment: u32) -> u16 {
        self.window.offer(self.next, self.unread(), segment)
    }

    pub(crate) fn offer_on_syn(&mut self) -> u16 {
        self.window.offer_on_syn(self.next)
    }

    /// Whether the peer should hear of the room that reading made.
    pub(crate) fn update_is_due(&self, segment: u32) -> bool {
        !self.is_finished() && self.window.update_is_due(self.next, self.unread(), segment)
    }

    /// Lets the buffer grow, up to `most` and to the owner's share, if the application keeps up with the sender.
    pub(crate) fn tune(&mut self, now: Instant, most: u32, smoothed: impl FnOnce() -> Option<Duration>) {
        let most = most.min(self.window.share());
        if self.window.buffer() >= most || self.is_finished() || self.is_pressed() || !self.ready.is_held() {
            return;
        }
        let read = self.next.minus(self.unread());
        let (next, right) = (self.next, self.right());
        let segment = u64::from(self.acknowledge.segment());
        let progress = Progress { now, read, next, right, smoothed: smoothed(), segment };
        let tuning = self.ready.tuning.get_or_insert_with(|| Tuning::begin(&progress));
        if let Some(wanted) = tuning.on_progress(&progress) {
            self.window.grow(u32::try_from(wanted).unwrap_or(u32::MAX).min(most));
        }
    }

    /// The buffer may grow to so many bytes from now on; what it has it keeps.
    pub(crate) fn set_share(&mut self, bytes: u32) {
        self.window.set_share(bytes);
    }

    /// Memory is short.
    pub(crate) fn is_pressed(&self) -> bool {
        self.window.is_pressed()
    }

    /// Under pressure the window stays where it is, and nothing is taken out of order.
    pub(crate) fn set_pressure(&mut self, pressure: bool) {
        self.window.set_pressure(pressure);
    }

    /// The connection ended early: what is in order may still be read, the rest will never be.
    pub(crate) fn end(&mut self) {
        if let Some(ready) = self.ready.held() {
            ready.reassembly.forget();
        }
    }

    /// Nobody reads any more.
    pub(crate) fn clear(&mut self) {
        self.end();
        self.ready.forget();
        self.unread = 0;
    }

    /// Whether it takes memory beside what was received.
    pub(crate) fn is_held(&self) -> bool {
        self.ready.can_rest()
    }

    /// The connection is quiet: gives memory back.
    pub(crate) fn rest(&mut self) {
        self.ready.rest();
    }
}

/// A piece is never longer than a window.
#[expect(clippy::cast_possible_truncation, reason = "a piece lies inside of a window, which is below 2^30")]
fn length<P: Payload>(piece: &P) -> u32 {
    piece.len() as u32
}

#[cfg(test)]
mod tests;
