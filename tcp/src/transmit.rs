//! The sending half: what may be sent next.
//!
//! ```text
//!   write → send_buffer ─┐                 ┌─ scoreboard (what is in flight)
//!                        ├→ Transmit::next ┤─ window     (what the peer takes)
//!   ack, timeouts ───────┘                 ├─ congestion (what the path takes)
//!                                          └─ recovery   (what must go again)
//! ```
//!
//! `transmit/output.rs` decides what goes out, `transmit/pacer.rs` when; `transmit/ack.rs` what an acknowledgment means; `transmit/loss.rs` what silence means. What
//! must hold: nothing beyond the peer's window is sent, no more is in flight than the congestion window but for one
//! forced segment and tail probes, and SND.UNA ≤ SND.NXT ≤ end of what was written and the FIN.

mod ack;
mod loss;
mod output;
mod pacer;

use std::time::Duration;

pub(crate) use ack::AckFacts;

use crate::congestion::{Algorithm, Congestion, DeliveryRate};
use crate::open::{Agreed, TimestampClock};
use crate::path_mtu::PathMtu;
use crate::payload::Payload;
use crate::recovery::{Phase, Recovery};
use crate::rtt::Rtt;
use crate::scoreboard::Scoreboard;
use crate::send_buffer::SendBuffer;
use crate::seq::Position;
use crate::time::Instant;
use crate::transmit::pacer::Pacer;
use crate::window::SendWindow;

/// Counts for [`Info`](crate::Info).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_again: u64,
    pub(crate) segments_again: u64,
    pub(crate) bytes_acked: u64,
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
    pub(crate) timeouts: u64,
    pub(crate) undone: u64,
}

/// A segment to be sent: positions, of which the last is the FIN's if `fin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) start: Position,
    /// End of the data.
    pub(crate) end: Position,
    pub(crate) fin: bool,
    /// Nothing that was written follows.
    pub(crate) push: bool,
    /// Sent before.
    pub(crate) again: bool,
}

impl Outgoing {
    /// End in sequence space.
    fn seq_end(&self) -> Position {
        self.end + u64::from(self.fin)
    }
}

#[derive(Debug)]
pub(crate) struct Transmit<P> {
    pub(crate) una: Position,
    pub(crate) nxt: Position,
    buffer: SendBuffer<P>,
    /// Where the FIN is, once there will be no more data.
    fin: Option<Position>,
    board: Scoreboard,
    window: SendWindow,
    congestion: Congestion,
    recovery: Recovery,
    pub(crate) rtt: Rtt,
    /// Payload of a full segment; and of the segments of the last output, which may have been a larger probe.
    segment: u64,
    cut: u64,
    mtu: PathMtu,
    capacity: u64,
    /// The peer does SACK.
    sack: bool,
    clock: Option<TimestampClock>,
    nagle: bool,
    /// What was sent up to here was held back by the congestion window, so its acknowledgment may widen it.
    limited: Position,
    last_sent: Instant,
    /// For congestion control that models the path.
    delivery: Option<Box<DeliveryRate>>,
    /// Output is spread over the round trip.
    paced: bool,
    pacer: Pacer,
    /// SND.NXT when the window was reduced last, and whether the peer, if it does ECN, is still to hear of it.
    reduced_at: Position,
    reduced: bool,
    /// The peer has echoed a mark, so it does ECN.
    ecn: bool,
    /// A tail probe is due.
    probe: bool,
    /// The next segment may be smaller than is wise: the persist timer ran out.
    small: bool,
    pub(crate) counts: Counts,
}

/// What never changes about a sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) capacity: u32,
    pub(crate) algorithm: Algorithm,
    pub(crate) nagle: bool,
    pub(crate) paced: bool,
}

impl<P: Payload> Transmit<P> {
    /// Before the handshake: only the SYN is in flight, and nothing may follow it.
    pub(crate) fn new(now: Instant, iss: Position, settings: Settings) -> Transmit<P> {
        let first = iss + 1;
        let segment = u64::from(crate::limits::MSS_DEFAULT);
        Transmit {
            una: iss,
            nxt: first,
            buffer: SendBuffer::new(first),
            fin: None,
            board: Scoreboard::default(),
            window: SendWindow::new(0, first, 0, Position::default()),
            congestion: Congestion::new(settings.algorithm, segment),
            recovery: Recovery::new(iss),
            rtt: Rtt::new(),
            segment,
            cut: segment,
            mtu: PathMtu::new(segment, false),
            capacity: u64::from(settings.capacity),
            sack: false,
            clock: None,
            nagle: settings.nagle,
            limited: iss,
            last_sent: now,
            delivery: None,
            paced: settings.paced || settings.algorithm == Algorithm::Bbr,
            pacer: Pacer::default(),
            reduced_at: iss,
            reduced: false,
            ecn: false,
            probe: false,
            small: false,
            counts: Counts::default(),
        }
    }

    /// Both SYNs are known: what was agreed on, and the first window.
    pub(crate) fn agree(
        &mut self,
        agreed: &Agreed,
        clock: Option<TimestampClock>,
        algorithm: Algorithm,
        probing: bool,
        window: SendWindow,
    ) {
        self.clock = clock.filter(|_| agreed.timestamps);
        self.sack = agreed.sack;
        self.segment = segment_payload(agreed.send_mss, agreed.timestamps);
        self.cut = self.segment;
        self.mtu = PathMtu::new(self.segment, probing);
        self.congestion = Congestion::new(algorithm, self.segment);
        if self.congestion.is_model() {
            self.delivery = Some(Box::default());
            self.board.follow_losses();
        }
        self.window = window;
    }

    /// Our SYN is acknowledged.
    pub(crate) fn establish(&mut self, syn_was_lost: bool) {
        self.una = self.nxt;
        self.rtt.forget_backoff();
        if syn_was_lost {
            self.congestion.syn_was_lost();
            if self.rtt.smoothed().is_none() {
                self.rtt.syn_was_lost();
            }
        }
    }

    /// Bytes on the way, as far as we know.
    pub(crate) fn in_flight(&self) -> u64 {
        let outstanding = self.board_outstanding() - self.board.sacked() - self.board.lost();
        outstanding.saturating_sub(self.recovery.assumed)
    }

    fn board_outstanding(&self) -> u64 {
        if self.board.is_empty() { 0 } else { self.nxt - self.una }
    }

    /// Something is sent and not acknowledged.
    pub(crate) fn has_outstanding(&self) -> bool {
        !self.board.is_empty()
    }

    /// Bytes written and not sent.
    pub(crate) fn unsent(&self) -> u64 {
        self.buffer.end().saturating_since(self.nxt).min(self.buffer.len())
    }

    /// Data or the FIN waits to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent() > 0 || self.fin.is_some_and(|fin| self.nxt <= fin)
    }

    /// New data waits, and the peer takes it.
    fn may_send_new(&self) -> bool {
        self.unsent() > 0 && self.window.right() > self.nxt && self.board.has_room()
    }

    /// Bytes written and not acknowledged.
    pub(crate) fn held(&self) -> u64 {
        self.buffer.len()
    }

    /// Chunks held.
    pub(crate) fn pieces(&self) -> usize {
        self.buffer.pieces()
    }

    /// Room to write.
    pub(crate) fn room(&self) -> u64 {
        if self.fin.is_some() { 0 } else { self.capacity.saturating_sub(self.buffer.len()) }
    }

    pub(crate) fn write(&mut self, chunk: P) {
        self.buffer.push(chunk);
    }

    /// The slices of a segment.
    pub(crate) fn slices(&self, outgoing: &Outgoing, out: &mut Vec<P>) {
        self.buffer.slices(outgoing.start, outgoing.end, out);
    }

    /// No more will be written.
    pub(crate) fn finish(&mut self) {
        self.fin = self.fin.or(Some(self.buffer.end()));
    }

    /// [`finish`](Transmit::finish) was called.
    pub(crate) fn is_finishing(&self) -> bool {
        self.fin.is_some()
    }

    /// The FIN is acknowledged, and so everything before it.
    pub(crate) fn is_finished(&self) -> bool {
        self.fin.is_some_and(|fin| self.una > fin)
    }

    /// Nothing will be sent any more: lets go of the data.
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.board = Scoreboard::default();
    }

    /// The persist timer ran out: a small segment may go. False if there is no window at all.
    pub(crate) fn allow_small(&mut self) -> bool {
        self.small = self.window.right() > self.nxt;
        self.small
    }

    /// The peer's window is closed.
    pub(crate) fn is_window_closed(&self) -> bool {
        self.window.size() == 0
    }

    /// RFC 8985, 7.2: how long to wait for an acknowledgment before probing for a lost tail; none when not to.
    pub(crate) fn probe_timeout(&self) -> Option<Duration> {
        let quiet = self.recovery.phase == Phase::Open && self.board.sacked() == 0 && self.board.lost() == 0;
        if !self.sack || !quiet || self.board.is_empty() || self.recovery.tail_probe.is_some() {
            return None;
        }
        let base = self.rtt.smoothed().map_or(crate::limits::RTO_INITIAL, |smoothed| 2 * smoothed);
        let alone = self.in_flight() <= self.segment;
        Some(base + if alone { crate::limits::WORST_DELAYED_ACK } else { 2 * crate::limits::CLOCK_GRANULARITY })
    }

    pub(crate) fn segment(&self) -> u64 {
        self.segment
    }

    /// What the last output is to be cut to.
    pub(crate) fn cut(&self) -> u64 {
        self.cut
    }

    /// The largest that a segment may ever be.
    pub(crate) fn largest_segment(&self) -> u64 {
        self.mtu.largest()
    }

    pub(crate) fn window(&self) -> &SendWindow {
        &self.window
    }

    pub(crate) fn congestion(&self) -> &Congestion {
        &self.congestion
    }

    pub(crate) fn phase(&self) -> Phase {
        self.recovery.phase
    }

    pub(crate) fn board(&self) -> &Scoreboard {
        &self.board
    }
}

/// Payload that fits into a segment of that size beside the timestamps (RFC 6691).
fn segment_payload(mss: u16, timestamps: bool) -> u64 {
    u64::from(mss) - if timestamps { 12 } else { 0 }
}
