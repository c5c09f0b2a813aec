//! What silence means: timeouts, and segments that the path cannot carry. What is lost is marked here, sent elsewhere.

use crate::payload::Payload;
use crate::recovery::{Forward, Phase, Prr, Recovery, Undo};
use crate::seq::Position;
use crate::time::Instant;
use crate::transmit::{Transmit, segment_payload};

impl<P: Payload> Transmit<P> {
    /// RFC 6298, 5.4: "Retransmit the earliest segment that has not been acknowledged"; what else is lost, RACK says, or
    /// all of it where there is no SACK.
    pub(crate) fn on_timeout(&mut self, now: Instant) {
        if self.board.is_empty() {
            return;
        }
        self.counts.timeouts += 1;
        self.rtt.back_off();
        let length = self.board.first_length();
        if let Some(base) = self.mtu.on_timeout(now, self.rtt.backoff(), length, self.segment()) {
            self.shrink(base, self.head.una);
        }
        // RFC 2018, 8: "the data sender SHOULD turn off all of the SACKed bits" when the first segment has one and times out.
        if self.board.has_reneged() {
            self.board.forget_sacked();
        }
        // RFC 5681, 3.1: ssthresh is set once, "when a TCP sender detects segment loss using the retransmission timer and the
        // given segment has not yet been resent by way of the retransmission timer".
        let first = self.recovery.phase == Phase::Open;
        if self.recovery.phase != Phase::Loss {
            let before = self.congestion.on_loss(self.board_outstanding());
            self.recovery.undo = Some(Undo::new(before, self.head.una));
            self.note_reduced();
        }
        self.congestion.on_timeout();
        self.recovery.begin(Phase::Loss, self.head.nxt());
        (self.recovery.duplicates, self.recovery.assumed) = (0, 0);
        if first && self.board.sacked() == 0 {
            self.board.lose_front(u64::from(self.segment));
            self.recovery.forward = self.board.first_lost().map(|(_, end)| Forward::begin(end));
        } else {
            self.lose_all(now);
        }
    }

    /// What was sent before the repair began and is old enough not to be on its way any more is lost; without SACK, all.
    pub(super) fn lose_all(&mut self, now: Instant) {
        let (una, sack, window) = (self.head.una, self.sack, self.reordering_window());
        let smoothed = self.rtt.smoothed().unwrap_or_default();
        let Transmit { board, recovery, .. } = self;
        let recovery: &Recovery = recovery;
        let point = recovery.point;
        board.judge(|entry| {
            let old = !sack || entry.start == una || recovery.rack.lost_at_timeout(entry, now, window, smoothed);
            Some(old && entry.end <= point)
        });
    }

    /// RFC 8985, 7.3: the probe timer ran out.
    pub(crate) fn on_probe_timeout(&mut self) {
        self.probe = !self.board.is_empty();
    }

    /// RFC 8985, 6.2, step 5: the reordering timer ran out. Gives when to look again.
    pub(crate) fn on_reordering_timeout(&mut self, now: Instant) -> Option<Instant> {
        if self.recovery.forward.is_some() {
            return None;
        }
        let again = self.detect(now);
        if self.board.lost() > 0 && self.recovery.phase == Phase::Open && !self.is_probe_lost(now) {
            self.enter_recovery(0);
        }
        again
    }

    /// The path carries segments of at most `mss`, options included. What is larger went nowhere and goes again, which says
    /// nothing about congestion (RFC 1191, 6.4).
    pub(crate) fn on_too_big(&mut self, now: Instant, mss: u16, timestamps: bool, from: Position) {
        let segment = u64::from(segment_payload(mss, timestamps));
        if segment < self.segment() {
            self.mtu.on_too_big(now, segment);
            self.shrink(segment, from);
        } else if self.mtu.on_probe_too_big(now, segment) {
            let largest = self.segment();
            self.board.judge(|entry| Some(entry.start == from && entry.end - entry.start > largest));
            self.recovery.force = true;
        }
    }

    /// Segments are smaller from now on. Of what was sent from `from` on, the larger ones are lost.
    fn shrink(&mut self, segment: u64, from: Position) {
        self.set_segment(segment);
        self.congestion.set_segment(segment);
        self.board.judge(|entry| Some(entry.end > from && entry.end - entry.start > segment));
        self.recovery.force = true;
    }

    /// Segments may be larger from now on: a probe has arrived.
    pub(super) fn widen(&mut self, segment: u64) {
        self.set_segment(segment);
        self.congestion.set_segment(segment);
    }

    /// Is what is held for lost only a probe of the path's MTU? Then it goes again in pieces, and that is all.
    pub(super) fn is_probe_lost(&mut self, now: Instant) -> bool {
        let wait = self.rtt.timeout();
        let lost = self.board.lost();
        let Some(first) = self.board.first_lost() else { return false };
        let only = self.mtu.is_probe_lost(now, first, lost, wait);
        self.recovery.force |= only;
        only
    }

    /// What RACK says now; gives when to ask again.
    pub(super) fn detect(&mut self, now: Instant) -> Option<Instant> {
        let window = self.reordering_window();
        self.recovery.rack.detect(now, window, &mut self.board)
    }

    /// Fast recovery begins. `delivered`: by the acknowledgment that shows the loss.
    pub(super) fn enter_recovery(&mut self, delivered: u64) {
        let flight = self.board_outstanding() - self.board.sacked() + delivered;
        let before = self.congestion.on_loss(self.board_outstanding() + delivered);
        self.recovery.undo = Some(Undo::new(before, self.head.una));
        self.recovery.begin(Phase::Recovery, self.head.nxt());
        self.recovery.prr = Prr::begin(flight);
        if !self.congestion.is_model() {
            self.congestion.set_window(self.in_flight() + self.segment());
        }
        self.note_reduced();
    }

    /// The window was reduced: once for what is in flight now.
    pub(super) fn note_reduced(&mut self) {
        self.recovery.reduced_at = self.head.nxt();
        self.reduced = self.ecn;
    }
}
