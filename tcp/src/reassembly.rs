//! Data that came too early: runs of consecutive bytes, each a queue of pieces, ordered by where they start.
//!
//! What must hold: runs do not touch or overlap; bytes that came first stay (a later segment cannot change them); a
//! segment costs O(log n) whatever the peer sends (CVE-2018-5390), for which two runs that meet are joined by moving
//! the shorter one; pieces and runs are bounded. Nothing is copied: pieces are slices.

use std::collections::{BTreeMap, VecDeque};

use crate::lazy::Empty;
use crate::limits;
use crate::options::SackBlocks;
use crate::payload::Payload;
use crate::seq::Position;

/// A stretch of sequence space.
pub(crate) type Range = (Position, Position);

/// The queue holds as much as it may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

#[derive(Debug)]
struct Run<P> {
    end: Position,
    pieces: VecDeque<P>,
}

#[derive(Debug)]
pub(crate) struct Reassembly<P> {
    runs: BTreeMap<Position, Run<P>>,
    bytes: u64,
    pieces: usize,
    /// Places in the runs that changed last, latest first: the order of SACK blocks.
    recent: [Option<Position>; SackBlocks::MAX],
    /// What came twice last, to be reported once (RFC 2883).
    pub(crate) duplicate: Option<Range>,
    /// Where the FIN is, if it came early.
    pub(crate) fin: Option<Position>,
}

impl<P: Payload> Empty for Reassembly<P> {
    const EMPTY: &'static Reassembly<P> = &Reassembly::new();

    fn new() -> Reassembly<P> {
        Reassembly::new()
    }

    fn is_forgettable(&self) -> bool {
        self.runs.is_empty() && self.duplicate.is_none() && self.fin.is_none()
    }
}

impl<P: Payload> Reassembly<P> {
    pub(crate) const fn new() -> Reassembly<P> {
        let runs = BTreeMap::new();
        Reassembly { runs, bytes: 0, pieces: 0, recent: [None; SackBlocks::MAX], duplicate: None, fin: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Pieces held.
    pub(crate) fn pieces(&self) -> usize {
        self.pieces
    }

    /// Where the last run ends.
    pub(crate) fn end(&self) -> Option<Position> {
        self.runs.last_key_value().map(|(_, run)| run.end)
    }

    /// Takes what is new in `payload`; gives the first part that was not, for D-SACK.
    pub(crate) fn insert(&mut self, mut start: Position, mut payload: P) -> Result<Option<Range>, Full> {
        let end = start + payload.len() as u64;
        let mut duplicate = None;
        if let Some((_, before)) = self.runs.range(..=start).next_back()
            && before.end > start
        {
            let known = before.end.min(end);
            duplicate = Some((start, known));
            payload = cut(&payload, known - start, end - start);
            start = known;
        }
        let touched = start;
        while start < end {
            let next = self.runs.range(start..).next().map(|(at, run)| (*at, run.end));
            let (gap_end, known_end) = next.filter(|(at, _)| *at < end).unwrap_or((end, end));
            if gap_end > start {
                let piece = cut(&payload, 0, gap_end - start);
                self.fill(start, gap_end, piece)?;
            }
            let covered = known_end.min(end);
            if covered > gap_end {
                duplicate = duplicate.or(Some((gap_end, covered)));
            }
            payload = cut(&payload, covered - start, end - start);
            start = covered;
        }
        self.note_recent(touched.min(end.minus(1)));
        Ok(duplicate)
    }

    /// Moves what now is in order, from `next` on, to the end of `ready`; gives the position after it.
    pub(crate) fn take(&mut self, mut next: Position, mut ready: impl FnMut(P)) -> Position {
        while let Some(entry) = self.runs.first_entry()
            && *entry.key() <= next
        {
            let (mut at, run) = entry.remove_entry();
            self.pieces -= run.pieces.len();
            self.bytes -= run.end - at;
            for piece in run.pieces {
                let end = at + piece.len() as u64;
                if end > next {
                    ready(cut(&piece, next.saturating_since(at), piece.len() as u64));
                    next = end;
                }
                at = end;
            }
        }
        next
    }

    /// SACK blocks, RFC 2018, 4: "The first SACK block ... MUST specify the contiguous block of data containing the segment
    /// which triggered this ACK", the others repeat what was reported before.
    /// A block already there reports a duplicate, and may be one of the runs.
    pub(crate) fn blocks(&self, most: usize, blocks: &mut SackBlocks) {
        let first = blocks.len();
        for place in self.recent.iter().flatten() {
            if blocks.len() >= most {
                return;
            }
            if let Some((start, run)) = self.runs.range(..=*place).next_back()
                && run.end > *place
            {
                let block = (start.seq(), run.end.seq());
                if !blocks.as_slice()[first..].contains(&block) {
                    blocks.push(block.0, block.1);
                }
            }
        }
    }

    /// Puts a piece that overlaps nothing into its place.
    fn fill(&mut self, start: Position, end: Position, piece: P) -> Result<(), Full> {
        if self.is_too_many(self.pieces, limits::REASSEMBLY_PIECES_MAX) {
            return Err(Full);
        }
        let after = self.runs.contains_key(&end);
        let before = self.runs.range_mut(..start).next_back().filter(|(_, run)| run.end == start);
        match (before, after) {
            (Some((_, run)), false) => {
                run.pieces.push_back(piece);
                run.end = end;
            }
            (Some((at, run)), true) => {
                let at = *at;
                run.pieces.push_back(piece);
                self.join(at, end);
            }
            (None, true) => {
                let mut run = self.runs.remove(&end).expect("seen just now");
                run.pieces.push_front(piece);
                self.runs.insert(start, run);
            }
            (None, false) => {
                if self.is_too_many(self.runs.len(), limits::REASSEMBLY_RUNS_MAX) {
                    return Err(Full);
                }
                self.runs.insert(start, Run { end, pieces: VecDeque::from([piece]) });
            }
        }
        self.pieces += 1;
        self.bytes += end - start;
        Ok(())
    }

    /// Beyond the bound there may be more only as long as they are not crumbs: what a window of full segments can bring must
    /// find room, or who filled it learns of no later loss and waits for a timeout.
    fn is_too_many(&self, count: usize, most: usize) -> bool {
        count >= most && self.bytes < count as u64 * limits::REASSEMBLY_PIECE_MIN
    }

    /// Joins two runs that meet by moving the shorter one, so that all joins together cost O(n log n).
    fn join(&mut self, left: Position, right: Position) {
        let mut tail = self.runs.remove(&right).expect("the caller found it");
        let head = self.runs.get_mut(&left).expect("the caller found it");
        head.end = tail.end;
        if head.pieces.len() >= tail.pieces.len() {
            head.pieces.append(&mut tail.pieces);
        } else {
            while let Some(piece) = head.pieces.pop_back() {
                tail.pieces.push_front(piece);
            }
            head.pieces = tail.pieces;
        }
    }

    fn note_recent(&mut self, place: Position) {
        let run = |place: Position| {
            self.runs.range(..=place).next_back().filter(|(_, run)| run.end > place).map(|(at, _)| *at)
        };
        let changed = run(place);
        let others =
            self.recent.iter().flatten().copied().filter(|other| run(*other).is_some_and(|at| Some(at) != changed));
        let mut recent = [None; SackBlocks::MAX];
        for (slot, place) in recent.iter_mut().zip(std::iter::once(place).chain(others)) {
            *slot = Some(place);
        }
        self.recent = recent;
    }
}

/// The part of `payload` from `from` to `to`; both were computed to lie inside.
#[expect(clippy::cast_possible_truncation, reason = "offsets inside of a buffer")]
pub(crate) fn cut<P: Payload>(payload: &P, from: u64, to: u64) -> P {
    if from == 0 && to as usize == payload.len() { payload.clone() } else { payload.slice(from as usize..to as usize) }
}

#[cfg(test)]
mod tests;
