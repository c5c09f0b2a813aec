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
use crate::lazy::{Empty, Lazy};
use crate::open::{Agreed, TimestampClock};
use crate::path_mtu::PathMtu;
use crate::payload::Payload;
use crate::recovery::{Phase, Recovery};
use crate::rtt::Rtt;
use crate::scoreboard::Scoreboard;
use crate::send_buffer::SendBuffer;
use crate::seq::{Position, SeqNumber};
use crate::time::Instant;
use crate::transmit::pacer::Pacer;
use crate::window::SendWindow;

/// What went wrong, for [`Info`](crate::Info).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) bytes_again: u64,
    pub(crate) segments_again: u64,
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
    pub(crate) timeouts: u64,
    pub(crate) undone: u64,
}

impl Empty for Counts {
    const EMPTY: &'static Counts =
        &Counts { bytes_again: 0, segments_again: 0, duplicates: 0, reordered: 0, timeouts: 0, undone: 0 };

    fn new() -> Counts {
        Counts::default()
    }

    fn is_forgettable(&self) -> bool {
        false
    }
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

/// What the sending half must know of every segment that comes: see `connection/hot.rs`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Head {
    /// SND.UNA.
    pub(crate) una: Position,
    /// SND.NXT, within a window of it.
    nxt: SeqNumber,
    pub(crate) window: SendWindow,
}

impl Head {
    /// SND.NXT.
    pub(crate) fn nxt(&self) -> Position {
        self.una.near(self.nxt)
    }

    /// SND.UNA + SND.WND: the first position that is not ours to send.
    pub(crate) fn right(&self) -> Position {
        self.window.right(self.una)
    }

    fn advance(&mut self, nxt: Position) {
        self.nxt = nxt.seq();
    }
}

/// First the head; then what an acknowledgment of new data touches, then what only few do.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Transmit<P> {
    pub(crate) head: Head,
    board: Lazy<Scoreboard>,
    recovery: Lazy<Recovery>,
    buffer: SendBuffer<P>,
    /// What was sent up to here was held back by the congestion window, so its acknowledgment may widen it.
    limited: Position,
    pub(crate) rtt: Rtt,
    congestion: Congestion,
    last_sent: Instant,
    /// Payload of a full segment; and of the segments of the last output, which may have been a larger probe.
    segment: u32,
    cut: u32,
    capacity: u32,
    mtu: PathMtu,
    /// Our timestamp clock, if timestamps are in use.
    clock: TimestampClock,
    stamps: bool,
    /// The peer does SACK.
    sack: bool,
    nagle: bool,
    /// There will be no more data: the FIN is where the buffer ends.
    finishing: bool,
    /// The window was reduced, and the peer, if it does ECN, is still to hear of it.
    reduced: bool,
    /// The peer has echoed a mark, so it does ECN.
    ecn: bool,
    /// A tail probe is due.
    probe: bool,
    /// The next segment may be smaller than is wise: the persist timer ran out.
    small: bool,
    /// For congestion control that models the path.
    delivery: Option<Box<DeliveryRate>>,
    /// If output is spread over the round trip.
    pacer: Option<Box<Pacer>>,
    pub(crate) counts: Lazy<Counts>,
    /// Both ways must do the same: see `connection/expected/tests.rs`.
    #[cfg(test)]
    pub(crate) long_way: bool,
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
        let segment = u32::from(crate::limits::MSS_DEFAULT);
        let paced = settings.paced || settings.algorithm == Algorithm::Bbr;
        Transmit {
            head: Head { una: iss, nxt: first.seq(), window: SendWindow::new(0, first, 0, Position::default()) },
            board: Lazy::new(),
            recovery: Lazy::new(),
            buffer: SendBuffer::new(first),
            limited: iss,
            last_sent: now,
            segment,
            cut: segment,
            capacity: settings.capacity,
            mtu: PathMtu::new(u64::from(segment), false),
            clock: TimestampClock::with_offset(0),
            stamps: false,
            sack: false,
            nagle: settings.nagle,
            finishing: false,
            reduced: false,
            ecn: false,
            probe: false,
            small: false,
            rtt: Rtt::new(),
            congestion: Congestion::new(settings.algorithm, u64::from(segment)),
            delivery: None,
            pacer: paced.then(Box::default),
            counts: Lazy::new(),
            #[cfg(test)]
            long_way: false,
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
        if let Some(clock) = clock.filter(|_| agreed.timestamps) {
            (self.clock, self.stamps) = (clock, true);
        }
        self.sack = agreed.sack;
        self.segment = segment_payload(agreed.send_mss, agreed.timestamps);
        self.cut = self.segment;
        self.mtu = PathMtu::new(self.segment(), probing);
        self.congestion = Congestion::new(algorithm, self.segment());
        if self.congestion.is_model() {
            self.delivery = Some(Box::default());
            self.board.follow_losses();
        }
        self.head.window = window;
    }

    /// Our SYN is acknowledged.
    pub(crate) fn establish(&mut self, syn_was_lost: bool) {
        self.head.una = self.head.nxt();
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
        if self.board.is_empty() { 0 } else { self.head.nxt() - self.head.una }
    }

    /// Something is sent and not acknowledged.
    pub(crate) fn has_outstanding(&self) -> bool {
        !self.board.is_empty()
    }

    /// Bytes written and not sent.
    pub(crate) fn unsent(&self) -> u64 {
        self.buffer.end().saturating_since(self.head.nxt()).min(self.buffer.len(self.head.una))
    }

    /// Data or the FIN waits to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent() > 0 || (self.finishing && self.head.nxt() <= self.buffer.end())
    }

    /// New data waits, and the peer takes it.
    fn may_send_new(&self) -> bool {
        self.unsent() > 0 && self.head.right() > self.head.nxt() && self.board.has_room()
    }

    /// Bytes written and not acknowledged.
    pub(crate) fn held(&self) -> u64 {
        self.buffer.len(self.head.una)
    }

    /// Chunks held.
    pub(crate) fn pieces(&self) -> usize {
        self.buffer.pieces()
    }

    /// Room to write. Twice the window is what a sender needs that is to find more to send when its window has doubled; below
    /// `initial` nobody saves.
    pub(crate) fn room(&self, initial: u32) -> u64 {
        let needed = (2 * self.congestion.window()).max(u64::from(initial));
        let capacity = u64::from(self.capacity).min(needed);
        if self.finishing { 0 } else { capacity.saturating_sub(self.buffer.len(self.head.una)) }
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
        self.finishing = true;
    }

    /// [`finish`](Transmit::finish) was called.
    pub(crate) fn is_finishing(&self) -> bool {
        self.finishing
    }

    /// The FIN is acknowledged, and so everything before it.
    pub(crate) fn is_finished(&self) -> bool {
        self.finishing && self.head.una > self.buffer.end()
    }

    /// Nothing will be sent any more: lets go of the data.
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.board.forget();
    }

    /// Payload of the first `nxt` and `una` since `first`, sent once and acknowledged.
    pub(crate) fn progress(&self, first: Position) -> (u64, u64) {
        let end = self.buffer.end();
        (self.head.nxt().min(end).saturating_since(first), self.head.una.min(end).saturating_since(first))
    }

    /// Whether it takes memory beside what was written.
    pub(crate) fn is_held(&self) -> bool {
        self.buffer.is_held() || self.board.can_rest() || self.recovery.can_rest() || self.congestion.is_held()
    }

    /// The connection is quiet: gives memory back.
    pub(crate) fn rest(&mut self) {
        self.buffer.rest();
        self.board.rest();
        self.recovery.rest();
        self.congestion.rest();
    }

    /// Our timestamp clock, if timestamps are in use.
    pub(crate) fn clock(&self) -> Option<TimestampClock> {
        self.stamps.then_some(self.clock)
    }

    /// When something was sent last; before that, since when it might have been.
    pub(crate) fn last_sent(&self) -> Instant {
        self.last_sent
    }

    /// The SYN or SYN-ACK goes out for the first time.
    pub(crate) fn on_syn_sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    /// The persist timer ran out: a small segment may go. False if there is no window at all.
    pub(crate) fn allow_small(&mut self) -> bool {
        self.small = self.head.right() > self.head.nxt();
        self.small
    }

    /// The peer's window is closed.
    pub(crate) fn is_window_closed(&self) -> bool {
        self.head.window.size() == 0
    }

    /// RFC 8985, 7.2: whether to wait for an acknowledgment, and then to probe for a lost tail.
    pub(crate) fn may_probe(&self) -> bool {
        let quiet = self.recovery.phase == Phase::Open && self.board.sacked() == 0 && self.board.lost() == 0;
        self.sack && quiet && !self.board.is_empty() && self.recovery.tail_probe.is_none()
    }

    /// How long.
    pub(crate) fn probe_timeout(&self) -> Duration {
        let base = self.rtt.smoothed().map_or(crate::limits::RTO_INITIAL, |smoothed| 2 * smoothed);
        let alone = self.in_flight() <= self.segment();
        base + if alone { crate::limits::WORST_DELAYED_ACK } else { 2 * crate::limits::CLOCK_GRANULARITY }
    }

    pub(crate) fn segment(&self) -> u64 {
        u64::from(self.segment)
    }

    /// Segments are that large from now on.
    fn set_segment(&mut self, segment: u64) {
        (self.segment, self.cut) = (length_of(segment), length_of(segment));
    }

    /// What the last output is to be cut to.
    pub(crate) fn cut(&self) -> u64 {
        u64::from(self.cut)
    }

    /// The largest that a segment may ever be.
    pub(crate) fn largest_segment(&self) -> u64 {
        self.mtu.largest()
    }

    pub(crate) fn window(&self) -> &SendWindow {
        &self.head.window
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

/// A segment's length: at most what 16 bits of MSS say.
#[expect(clippy::cast_possible_truncation, reason = "made from 16 bits")]
fn length_of(segment: u64) -> u32 {
    segment as u32
}

/// Payload that fits into a segment of that size beside the timestamps (RFC 6691).
fn segment_payload(mss: u16, timestamps: bool) -> u32 {
    u32::from(mss) - if timestamps { 12 } else { 0 }
}
