//! Where a sender is in repairing losses, and what it must remember meanwhile.
//!
//! ```text
//!            loss detected                    timeout
//!   Open ───────────────────→ Recovery ───────────────────→ Loss
//!    ↑  └───────── timeout ─────────────────────────────────→┤
//!    └── everything up to `point` acknowledged, or the loss was none ──┘
//! ```
//!
//! Detection is RACK's (`rack.rs`) where the peer does SACK, duplicate ACKs' where not (RFC 6582). In Recovery, `prr.rs` says
//! how much may be sent; in Loss, slow start does. This file holds the facts; `transmit/ack.rs` decides.

mod forward;
mod prr;
mod rack;
mod undo;

pub(crate) use forward::{Forward, Seen, Verdict};
pub(crate) use prr::Prr;
pub(crate) use rack::{Measure, Rack};
pub(crate) use undo::Undo;

use crate::lazy::Empty;
use crate::seq::Position;

/// Which kind of repair is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// None.
    Open,
    /// Fast recovery.
    Recovery,
    /// After a timeout.
    Loss,
}

impl Phase {
    /// For [`Info`](crate::Info).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Open => "open",
            Phase::Recovery => "recovery",
            Phase::Loss => "loss",
        }
    }
}

/// RFC 8985, 7: a tail loss probe on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TailProbe {
    /// TLP.end_seq.
    pub(crate) end: Position,
    /// TLP.is_retrans.
    pub(crate) again: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    pub(crate) phase: Phase,
    /// SND.NXT when the last repair began: it ends when this is acknowledged.
    pub(crate) point: Position,
    pub(crate) rack: Rack,
    pub(crate) prr: Prr,
    pub(crate) undo: Option<Undo>,
    /// After a timeout, while it is being found out whether it was needless.
    pub(crate) forward: Option<Forward>,
    pub(crate) tail_probe: Option<TailProbe>,
    /// Without SACK: duplicate ACKs in a row, and the bytes they stand for.
    pub(crate) duplicates: u32,
    pub(crate) assumed: u64,
    /// One segment may be sent again whatever the window says: the one whose loss began the repair.
    pub(crate) force: bool,
    /// SND.NXT when the window was reduced last, by a loss or by a mark (RFC 3168).
    pub(crate) reduced_at: Position,
}

impl Empty for Recovery {
    const EMPTY: &'static Recovery = &Recovery::new();

    fn new() -> Recovery {
        Recovery::new()
    }

    /// That the path reorders is remembered for as long as RACK says.
    fn is_forgettable(&self) -> bool {
        self.phase == Phase::Open && self.rack.is_ordinary()
    }
}

impl Recovery {
    pub(crate) const fn new() -> Recovery {
        Recovery {
            phase: Phase::Open,
            point: Position::ZERO,
            rack: Rack::new(),
            prr: Prr::none(),
            undo: None,
            forward: None,
            tail_probe: None,
            duplicates: 0,
            assumed: 0,
            force: false,
            reduced_at: Position::ZERO,
        }
    }

    /// No acknowledgment is waited for that would decide anything.
    pub(crate) fn is_calm(&self) -> bool {
        self.phase == Phase::Open
            && self.tail_probe.is_none()
            && self.undo.is_none()
            && self.forward.is_none()
            && self.duplicates == 0
            && self.assumed == 0
    }

    /// A repair begins.
    pub(crate) fn begin(&mut self, phase: Phase, point: Position) {
        self.phase = phase;
        self.point = point;
        self.force = true;
        self.forward = None;
        self.tail_probe = None;
    }

    /// It is over.
    pub(crate) fn end(&mut self) {
        self.phase = Phase::Open;
        self.undo = None;
        self.forward = None;
        self.duplicates = 0;
        self.assumed = 0;
        self.force = false;
        self.rack.on_recovery_end();
    }
}
