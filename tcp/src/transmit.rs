//! The sending half: what may be sent next.
//!
//! ```text
//!   write → send_buffer ─┐                 ┌─ scoreboard (what is in flight)
//!                        ├→ Transmit::next ┤─ window     (what the peer takes)
//!   ack, timeouts ───────┘                 ├─ congestion (what the path takes)
//!                                          └─ recovery   (what must go again)
//! ```
//!
//! This file decides what goes out; `transmit/ack.rs` what an acknowledgment means; `transmit/loss.rs` what silence means. What
//! must hold: nothing beyond the peer's window is sent, no more is in flight than the congestion window but for one
//! forced segment and tail probes, and SND.UNA ≤ SND.NXT ≤ end of what was written and the FIN.

mod ack;
mod loss;

use std::time::Duration;

pub(crate) use ack::AckFacts;

use crate::congestion::{Algorithm, Congestion};
use crate::open::{Agreed, TimestampClock};
use crate::payload::Payload;
use crate::recovery::{Phase, Recovery, TailProbe};
use crate::rtt::Rtt;
use crate::scoreboard::Scoreboard;
use crate::send_buffer::SendBuffer;
use crate::seq::Position;
use crate::time::Instant;
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
    /// Payload of a full segment.
    segment: u64,
    capacity: u64,
    /// The peer does SACK.
    sack: bool,
    clock: Option<TimestampClock>,
    nagle: bool,
    /// What was sent up to here was held back by the congestion window, so its acknowledgment may widen it.
    limited: Position,
    last_sent: Instant,
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
            capacity: u64::from(settings.capacity),
            sack: false,
            clock: None,
            nagle: settings.nagle,
            limited: iss,
            last_sent: now,
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
        window: SendWindow,
    ) {
        self.clock = clock.filter(|_| agreed.timestamps);
        self.sack = agreed.sack;
        self.segment = segment_payload(agreed.send_mss, agreed.timestamps);
        self.congestion = Congestion::new(algorithm, self.segment);
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

    /// The next segment, with at most `limit` bytes of payload.
    pub(crate) fn next(&mut self, now: Instant, limit: usize) -> Option<Outgoing> {
        // RFC 3168's CWR belongs to one segment, which not every NIC that cuts a larger one sees to.
        let limit = if self.reduced { (limit as u64).min(self.segment) } else { limit as u64 }.max(1);
        if std::mem::take(&mut self.probe)
            && let Some(outgoing) = self.next_probe(now, limit)
        {
            return Some(outgoing);
        }
        if self.board.lost() > 0 {
            return self.next_lost(now, limit);
        }
        self.next_new(now, limit)
    }

    /// RFC 8985, 7.3: "if new data is available, and within the peer's window, send it; else resend the last segment".
    fn next_probe(&mut self, now: Instant, limit: u64) -> Option<Outgoing> {
        if self.board.is_empty() {
            return None;
        }
        let limit = limit.min(self.segment);
        let peer = self.window.right().saturating_since(self.nxt);
        let fresh = limit.min(self.unsent()).min(peer);
        let outgoing = if fresh > 0 && self.board.has_room() {
            let mut outgoing = self.outgoing(self.nxt, self.nxt + fresh, false);
            outgoing.fin &= peer > fresh;
            self.send_new(now, outgoing);
            outgoing
        } else {
            let (start, end) = self.board.tail(limit)?;
            if end > self.window.right() {
                // A window taken back (RFC 9293, 3.8.6) left the tail outside: the timeout's turn, not another probe's.
                self.recovery.tail_probe = Some(TailProbe { end: self.nxt, again: false });
                return None;
            }
            let outgoing = self.outgoing(start, end, true);
            self.send_again(now, outgoing);
            outgoing
        };
        self.recovery.tail_probe = Some(TailProbe { end: self.nxt, again: outgoing.again });
        Some(outgoing)
    }

    /// The first lost part, as much of it as the window lets go again.
    fn next_lost(&mut self, now: Instant, limit: u64) -> Option<Outgoing> {
        let (start, end) = self.board.first_lost()?;
        let step = self.segment.min(limit);
        let room = self.congestion.window().saturating_sub(self.in_flight());
        let length = end - start;
        let mut most = if room >= length.min(step) { room } else { 0 };
        if most == 0 && self.recovery.force {
            most = step;
        }
        let peer = self.window.right().saturating_since(start);
        if peer > 0 {
            most = most.min(peer);
        } else if start != self.una {
            return None;
        }
        if most == 0 {
            return None;
        }
        let outgoing = self.outgoing(start, end.min(start + whole(most.min(limit), length, step)), true);
        self.recovery.force = false;
        self.send_again(now, outgoing);
        Some(outgoing)
    }

    /// What was not sent before, as windows and good manners allow.
    fn next_new(&mut self, now: Instant, limit: u64) -> Option<Outgoing> {
        if !self.has_unsent() || !self.board.has_room() {
            return None;
        }
        self.restart_after_idle(now);
        let step = self.segment.min(limit);
        let unsent = self.unsent();
        let flight = self.in_flight();
        let path = self.congestion.window().saturating_sub(flight);
        let peer = self.window.right().saturating_since(self.nxt);
        if path < unsent.min(step).max(1) {
            self.limited = self.nxt;
            return None;
        }
        let length = whole(unsent.min(path).min(peer).min(limit), unsent, step);
        if length < unsent && length < step && !self.is_worth_sending(length) {
            return None;
        }
        // RFC 9293, 3.7.4: Nagle's algorithm "MUST be possible to disable".
        if self.nagle && length < step && !self.board.is_empty() && self.fin.is_none() {
            return None;
        }
        let mut outgoing = self.outgoing(self.nxt, self.nxt + length, false);
        outgoing.fin &= peer > length;
        if length == 0 && !outgoing.fin {
            return None;
        }
        self.small = false;
        self.send_new(now, outgoing);
        Some(outgoing)
    }

    /// RFC 9293, 3.8.6.2.1 (MUST-38): less than a segment of what waits goes out only if it is "at least a fraction Fs of the
    /// maximum usable window", Fs = 1/2, or when the override timeout has passed.
    fn is_worth_sending(&self, length: u64) -> bool {
        length > 0 && (self.small || 2 * length >= self.window.largest())
    }

    fn outgoing(&self, start: Position, end: Position, again: bool) -> Outgoing {
        let data_end = end.min(self.buffer.end());
        let fin = self.fin == Some(data_end) && (!again || end > data_end);
        Outgoing { start, end: data_end, fin, push: data_end == self.buffer.end(), again }
    }

    fn send_new(&mut self, now: Instant, outgoing: Outgoing) {
        let end = outgoing.seq_end();
        self.board.push(outgoing.start, end, now);
        self.nxt = end;
        self.last_sent = now;
        let bytes = outgoing.end - outgoing.start;
        self.counts.bytes_sent += bytes;
        self.recovery.prr.on_sent(bytes);
    }

    fn send_again(&mut self, now: Instant, outgoing: Outgoing) {
        let end = outgoing.seq_end();
        self.board.resend(outgoing.start, end, now);
        self.last_sent = now;
        let bytes = end - outgoing.start;
        self.counts.bytes_again += outgoing.end - outgoing.start;
        self.counts.segments_again += (outgoing.end - outgoing.start).div_ceil(self.segment).max(1);
        self.recovery.prr.on_sent(bytes);
        let stamp = self.clock.map(|clock| clock.value(now));
        if let Some(undo) = &mut self.recovery.undo {
            undo.on_resent(bytes, stamp);
        }
    }

    /// The window was reduced, for whatever reason, and the peer was not told.
    pub(crate) fn take_reduced(&mut self) -> bool {
        std::mem::take(&mut self.reduced)
    }

    fn restart_after_idle(&mut self, now: Instant) {
        let idle = now - self.last_sent;
        let timeout = self.rtt.timeout();
        if self.board.is_empty() && idle > timeout {
            self.congestion.on_idle(idle, timeout);
            self.last_sent = now;
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

/// As much of `most` as makes whole segments; all of it if that is all there is, or less than one.
fn whole(most: u64, all: u64, step: u64) -> u64 {
    let most = most.min(all);
    if most == all || most < step { most } else { most - most % step }
}
