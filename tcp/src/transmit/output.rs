//! What goes out: a probe, what was lost, or what is new, in that order; never more than the peer's window, congestion
//! control and pacing let out.

use crate::congestion::{Leaving, Stamp};
use crate::limits;
use crate::payload::Payload;
use crate::recovery::{Phase, TailProbe};
use crate::seq::Position;
use crate::time::Instant;
use crate::transmit::pacer::Pacer;
use crate::transmit::{Outgoing, Transmit, length_of};

impl<P: Payload> Transmit<P> {
    /// The next segment, with at most `limit` bytes of payload.
    pub(crate) fn next(&mut self, now: Instant, limit: usize) -> Option<Outgoing> {
        self.cut = self.segment;
        // RFC 3168's CWR belongs to one segment, which not every NIC that cuts a larger one sees to.
        let limit = if self.reduced { (limit as u64).min(self.segment()) } else { limit as u64 }.max(1);
        if std::mem::take(&mut self.probe)
            && let Some(outgoing) = self.next_probe(now, limit)
        {
            return Some(outgoing);
        }
        if let Some(pacer) = &mut self.pacer {
            pacer.release();
        }
        if let Some(outgoing) = self.next_mtu_probe(now, limit) {
            return Some(outgoing);
        }
        // Who does not cut gives a limit that one segment may reach, if it is a probe.
        let limit = if limit <= self.mtu.largest() { limit.min(self.segment()) } else { limit };
        let limit = self.pacing_rate().map_or(limit, |rate| limit.min(Pacer::burst(rate, self.segment())));
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
        let limit = limit.min(self.segment());
        let peer = self.head.right().saturating_since(self.head.nxt());
        let fresh = limit.min(self.unsent()).min(peer);
        let outgoing = if fresh > 0 && self.board.has_room() {
            let mut outgoing = self.outgoing(self.head.nxt(), self.head.nxt() + fresh, false);
            outgoing.fin &= peer > fresh;
            self.send_new(now, outgoing);
            outgoing
        } else {
            let (start, end) = self.board.tail(limit)?;
            if end > self.head.right() {
                // A window taken back (RFC 9293, 3.8.6) left the tail outside: the timeout's turn, not another probe's.
                self.recovery.tail_probe = Some(TailProbe { end: self.head.nxt(), again: false });
                return None;
            }
            let outgoing = self.outgoing(start, end, true);
            self.send_again(now, outgoing);
            outgoing
        };
        self.recovery.tail_probe = Some(TailProbe { end: self.head.nxt(), again: outgoing.again });
        Some(outgoing)
    }

    /// RFC 4821, 7.4: a segment larger than the others, when it delays nothing: enough follows to tell soon what became of it.
    fn next_mtu_probe(&mut self, now: Instant, limit: u64) -> Option<Outgoing> {
        let size = self.mtu.due(now)?;
        let behind = size + limits::PATH_MTU_BEHIND * self.segment();
        let flight = self.in_flight();
        let calm =
            self.sack && self.recovery.phase == Phase::Open && self.board.lost() == 0 && self.board.sacked() == 0;
        let room =
            self.congestion.window().saturating_sub(flight).min(self.head.right().saturating_since(self.head.nxt()));
        let wide = self.congestion.window() >= limits::PATH_MTU_WINDOW * self.segment();
        if !calm || !wide || limit < size || room < size || self.unsent() < behind || !self.board.has_room() {
            return None;
        }
        if !self.is_in_pace(now) {
            return None;
        }
        let outgoing = self.outgoing(self.head.nxt(), self.head.nxt() + size, false);
        self.send_new(now, outgoing);
        self.mtu.on_sent(outgoing.start, outgoing.end);
        self.cut = length_of(size);
        Some(outgoing)
    }

    /// The first lost part, as much of it as the window lets go again.
    fn next_lost(&mut self, now: Instant, limit: u64) -> Option<Outgoing> {
        let (start, end) = self.board.first_lost()?;
        let step = self.segment().min(limit);
        let room = self.congestion.window().saturating_sub(self.in_flight());
        let length = end - start;
        let mut most = if room >= length.min(step) { room } else { 0 };
        if most == 0 && self.recovery.force {
            most = step;
        }
        let peer = self.head.right().saturating_since(start);
        if peer > 0 {
            most = most.min(peer);
        } else if start != self.head.una {
            return None;
        }
        if most == 0 || !self.is_in_pace(now) {
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
            let flight = self.in_flight();
            if flight < self.congestion.window()
                && let Some(delivery) = &mut self.delivery
            {
                delivery.limit(flight);
            }
            return None;
        }
        self.restart_after_idle(now);
        let step = self.segment().min(limit);
        let unsent = self.unsent();
        let flight = self.in_flight();
        let path = self.congestion.window().saturating_sub(flight);
        let peer = self.head.right().saturating_since(self.head.nxt());
        if path < unsent.min(step).max(1) {
            self.limited = self.head.nxt();
            return None;
        }
        let length = whole(unsent.min(path).min(peer).min(limit), unsent, step);
        if length < unsent && length < step && !self.is_worth_sending(length) {
            return None;
        }
        // RFC 9293, 3.7.4: Nagle's algorithm "MUST be possible to disable".
        if self.nagle && length < step && !self.board.is_empty() && !self.finishing {
            return None;
        }
        let mut outgoing = self.outgoing(self.head.nxt(), self.head.nxt() + length, false);
        outgoing.fin &= peer > length;
        if (length == 0 && !outgoing.fin) || !self.is_in_pace(now) {
            return None;
        }
        self.small = false;
        self.send_new(now, outgoing);
        Some(outgoing)
    }

    /// RFC 9293, 3.8.6.2.1 (MUST-38): less than a segment of what waits goes out only if it is "at least a fraction Fs of the
    /// maximum usable window", Fs = 1/2, or when the override timeout has passed.
    fn is_worth_sending(&self, length: u64) -> bool {
        length > 0 && (self.small || 2 * length >= self.head.window.largest())
    }

    fn outgoing(&self, start: Position, end: Position, again: bool) -> Outgoing {
        let data_end = end.min(self.buffer.end());
        let fin = self.finishing && data_end == self.buffer.end() && (!again || end > data_end);
        Outgoing { start, end: data_end, fin, push: data_end == self.buffer.end(), again }
    }

    fn send_new(&mut self, now: Instant, outgoing: Outgoing) {
        let end = outgoing.seq_end();
        let stamp = self.stamp(now, end - outgoing.start);
        self.board.push(outgoing.start, end, now, stamp);
        self.head.advance(end);
        let bytes = outgoing.end - outgoing.start;
        self.note_sent(now, bytes);
    }

    fn send_again(&mut self, now: Instant, outgoing: Outgoing) {
        let end = outgoing.seq_end();
        let stamp = self.stamp(now, end - outgoing.start);
        self.board.resend(outgoing.start, end, now, stamp);
        let bytes = end - outgoing.start;
        self.note_sent(now, bytes);
        self.counts.bytes_again += outgoing.end - outgoing.start;
        self.counts.segments_again += (outgoing.end - outgoing.start).div_ceil(self.segment()).max(1);
        let stamp = self.clock().map(|clock| clock.value(now));
        if let Some(undo) = self.recovery.held().and_then(|recovery| recovery.undo.as_mut()) {
            undo.on_resent(bytes, stamp);
        }
    }

    /// What the model of the path will ask about this transmission when it arrives or is lost.
    fn stamp(&mut self, now: Instant, bytes: u64) -> Stamp {
        if self.delivery.is_none() {
            return Stamp::default();
        }
        let leaving = Leaving { before: self.in_flight(), bytes, lost: self.board.lost_ever() };
        let Some(delivery) = &mut self.delivery else { return Stamp::default() };
        if leaving.before == 0 && delivery.is_limited() {
            self.congestion.on_restart(now);
        }
        delivery.on_sent(now, &leaving)
    }

    fn note_sent(&mut self, now: Instant, bytes: u64) {
        self.last_sent = now;
        if let Some(recovery) = self.recovery.held() {
            recovery.prr.on_sent(bytes);
        }
        let (rate, segment) = (self.pacing_rate(), self.segment());
        if let Some((pacer, rate)) = self.pacer.as_mut().zip(rate) {
            pacer.on_sent(now, bytes, rate, segment);
        }
    }

    /// Bytes per second to keep to; none before there is a round-trip time to spread the window over.
    fn pacing_rate(&self) -> Option<u64> {
        self.pacer.as_ref().and_then(|_| self.congestion.pacing_rate(self.rtt.smoothed()))
    }

    fn is_in_pace(&mut self, now: Instant) -> bool {
        self.pacer.as_mut().is_none_or(|pacer| pacer.may_send(now))
    }

    /// When output that pacing held back may go.
    pub(crate) fn paced_until(&self) -> Option<Instant> {
        self.pacer.as_ref().and_then(|pacer| pacer.deadline())
    }

    /// The window was reduced, for whatever reason, and the peer was not told.
    pub(crate) fn take_reduced(&mut self) -> bool {
        std::mem::take(&mut self.reduced)
    }

    fn restart_after_idle(&mut self, now: Instant) {
        if !self.board.is_empty() {
            return;
        }
        let (idle, timeout) = (now - self.last_sent, self.rtt.timeout());
        if idle > timeout {
            self.congestion.on_idle(idle, timeout);
            self.last_sent = now;
        }
    }
}

/// As much of `most` as makes whole segments; all of it if that is all there is, or less than one.
fn whole(most: u64, all: u64, step: u64) -> u64 {
    let most = most.min(all);
    if most == all || most <= step { most } else { most - most % step }
}
