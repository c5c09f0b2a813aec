//! What an acknowledgment means, in order: what arrived, what the window is, how long it took, what is lost, whether the
//! loss was none, and how much may be in flight from now on.

use std::time::Duration;

use crate::congestion::{Growth, Progress, Use};
use crate::limits;
use crate::options::SackBlocks;
use crate::path_mtu::Outcome;
use crate::payload::Payload;
use crate::recovery::{Measure, Phase, Recovery, Seen, Undo, Verdict};
use crate::scoreboard::Delivered;
use crate::seq::Position;
use crate::time::Instant;
use crate::transmit::Transmit;

/// An acceptable acknowledgment: SND.UNA - MAX.SND.WND ≤ SEG.ACK ≤ SND.NXT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckFacts<'a> {
    pub(crate) now: Instant,
    pub(crate) ack: Position,
    /// SEG.SEQ: orders window updates.
    pub(crate) seq: Position,
    pub(crate) window: u16,
    pub(crate) sack: &'a SackBlocks,
    /// TSecr, if timestamps are in use.
    pub(crate) echo: Option<u32>,
    /// It carries data or a FIN: not a duplicate ACK.
    pub(crate) carries: bool,
    /// It echoes a mark of congestion (RFC 3168).
    pub(crate) congestion: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Acked {
    /// SND.UNA moved: timers start anew.
    pub(crate) advanced: bool,
    /// When RACK wants to look again.
    pub(crate) reordering: Option<Instant>,
}

/// What else the window depends on.
struct Evidence {
    sample: Option<Duration>,
    was_limited: bool,
    advanced: bool,
    new_loss: bool,
}

impl<P: Payload> Transmit<P> {
    /// Nearly always something new was acknowledged, once sent and in order, and that is all; `on_any_ack` does the same.
    pub(crate) fn on_ack(&mut self, facts: &AckFacts<'_>) -> Acked {
        #[cfg(test)]
        if self.long_way {
            return self.on_any_ack(facts);
        }
        let plain = facts.ack > self.head.una
            && facts.sack.is_empty()
            && !facts.congestion
            && !self.recovery.is_held()
            && self.board.is_plain()
            && !self.mtu.is_searching();
        if plain { self.on_plain_ack(facts) } else { self.on_any_ack(facts) }
    }

    /// An acknowledgment of something new while nothing is being repaired or found out.
    fn on_plain_ack(&mut self, facts: &AckFacts<'_>) -> Acked {
        let una = self.head.una;
        let flight = self.head.nxt() - una;
        let limited = self.is_limited(flight);
        self.head.una = facts.ack;
        let plain = self.board.held().map(|board| board.acknowledge_plain(facts.ack)).unwrap_or_default();
        self.buffer.release(facts.ack);
        self.rtt.forget_backoff();
        self.head.window.update(facts.seq, facts.ack, facts.window);
        let sample = plain.latest_once.map(|at| facts.now - at);
        let first = plain.first_once.filter(|_| !plain.ambiguous).map(|at| facts.now - at);
        self.measure(facts, first, sample, flight);
        let bytes = facts.ack - una;
        self.note_use(facts.now, bytes, limited);
        if limited {
            self.grow(facts.now, bytes, sample);
        }
        Acked { advanced: true, reordering: None }
    }

    /// In full.
    pub(super) fn on_any_ack(&mut self, facts: &AckFacts<'_>) -> Acked {
        let una = self.head.una;
        let flight = self.in_flight();
        let was_limited = self.is_limited(flight);
        let lost = self.board.lost();
        let mut delivered = Delivered::default();

        let advanced = facts.ack > una;
        if advanced {
            self.head.una = facts.ack;
            if let Some(board) = self.board.held() {
                board.acknowledge(facts.ack, &mut delivered);
            }
            self.buffer.release(facts.ack);
            self.rtt.forget_backoff();
        }
        let duplicate = self.take_sack(facts, &mut delivered);
        let window_moved = self.head.window.update(facts.seq, facts.ack, facts.window);
        let sample = delivered.latest_once.map(|(at, _)| facts.now - at);
        if advanced {
            let first = delivered.first_once.filter(|_| !delivered.ambiguous).map(|at| facts.now - at);
            self.measure(facts, first, sample, flight);
        } else if let Some(sample) = sample {
            self.rtt.note_min(facts.now, sample);
        }

        let repeated =
            !advanced && !facts.carries && !window_moved && facts.ack == self.head.una && !self.board.is_empty();
        if !self.sack {
            self.count_duplicates(repeated, facts.ack - una, &mut delivered);
        }
        self.end_probe(facts, duplicate, advanced);
        if self.is_spurious(facts, duplicate, &delivered) {
            self.undo();
        }
        self.test_timeout(facts.now, advanced, repeated, delivered.latest_once.is_some());
        let repaired = self.recovery.phase != Phase::Open && self.head.una >= self.recovery.point && advanced;
        if repaired {
            self.leave_recovery();
        }
        let reordering = if self.sack { self.detect_losses(facts, &delivered) } else { None };

        if advanced && let Outcome::Carried(segment) = self.mtu.on_acknowledged(facts.now, self.head.una) {
            self.widen(segment);
        }
        if self.recovery.phase == Phase::Open && self.board.lost() > lost && !self.is_probe_lost(facts.now) {
            self.enter_recovery(delivered.bytes);
        }
        if advanced {
            self.note_use(facts.now, facts.ack - una, was_limited);
        }
        let was_limited = was_limited && !repaired;
        let evidence = Evidence { sample, was_limited, advanced, new_loss: self.board.lost() > lost };
        if self.congestion.is_model() {
            self.adjust_model(facts.now, &delivered, &evidence, una < self.limited);
        } else {
            self.adjust_window(facts.now, &delivered, &evidence);
        }
        if facts.congestion {
            self.on_congestion(facts.now);
        }
        self.forget_recovery();
        Acked { advanced, reordering }
    }

    /// Nothing is being repaired or found out, so that a segment which acknowledges nothing new says only what the window is.
    pub(crate) fn is_calm(&self) -> bool {
        let quiet = !self.recovery.is_held() || (self.board.is_empty() && self.recovery.is_calm());
        quiet && !self.congestion.is_model()
    }

    /// Marks what the blocks say; gives the block that reports a duplicate (RFC 2883, 4: the first, if it lies below the
    /// cumulative acknowledgment or inside of the second).
    fn take_sack(&mut self, facts: &AckFacts<'_>, delivered: &mut Delivered) -> Option<(Position, Position)> {
        if !self.sack || facts.sack.is_empty() {
            return None;
        }
        let near = |seq| facts.ack.near(seq);
        let blocks = facts.sack.as_slice();
        let (start, end) = (near(blocks[0].0), near(blocks[0].1));
        let inside_second = blocks.get(1).is_some_and(|second| near(second.0) <= start && end <= near(second.1));
        let duplicate = (start < end && (end <= facts.ack || inside_second)).then_some((start, end));
        for &(start, end) in blocks.iter().skip(usize::from(duplicate.is_some())) {
            // CVE-2019-11477 and the like: a block is a claim of the peer, only what is in flight can be true of it.
            let (start, end) = (near(start).max(self.head.una), near(end));
            if start < end && end <= self.head.nxt() {
                self.board.sack(start, end, delivered);
            }
        }
        if duplicate.is_some() {
            self.counts.duplicates += 1;
            self.recovery.rack.on_dsack(self.head.una, self.head.nxt());
        }
        duplicate
    }

    /// RFC 6298, 3 and RFC 7323, 4: SND.UNA moved: a sample from the first that was sent once, or from the echo; the latest is
    /// the shortest.
    fn measure(&mut self, facts: &AckFacts<'_>, first: Option<Duration>, latest: Option<Duration>, flight: u64) {
        if let Some(sample) = first.or_else(|| self.echoed(facts)) {
            let segments = flight.div_ceil(self.segment());
            self.rtt.sample(facts.now, sample, segments);
        }
        if let Some(latest) = latest {
            self.rtt.note_min(facts.now, latest);
        }
    }

    /// The age of the echo, rounded up to the tick of the clock.
    fn echoed(&self, facts: &AckFacts<'_>) -> Option<Duration> {
        let (echo, clock) = facts.echo.zip(self.clock())?;
        let ticks = clock.value(facts.now).wrapping_sub(echo);
        // An echo of something we never said: from the future, or older than any segment can be.
        (ticks < 1 << 22).then(|| Duration::from_millis(u64::from(ticks.max(1))))
    }

    /// Without SACK: RFC 5681, 3.2 and RFC 6582, 3.2. Every duplicate stands for a segment that arrived.
    fn count_duplicates(&mut self, repeated: bool, acked: u64, delivered: &mut Delivered) {
        let segment = self.segment();
        if repeated {
            let recovery: &mut Recovery = &mut self.recovery;
            recovery.duplicates += 1;
            recovery.assumed += segment;
            delivered.bytes += segment;
            // "If the Cumulative Acknowledgment field covers more than recover": later duplicates are our own doing.
            if recovery.phase == Phase::Open
                && recovery.duplicates == limits::DUPACK_THRESHOLD
                && self.head.una > recovery.point
            {
                self.board.lose_front(segment);
            }
        } else if acked > 0 {
            let Some(recovery) = self.recovery.held() else { return };
            delivered.bytes = acked.saturating_sub(recovery.assumed).max(acked.min(segment));
            if recovery.phase == Phase::Recovery && self.head.una < recovery.point {
                // A partial acknowledgment: "retransmit the first unacknowledged segment".
                recovery.assumed = recovery.assumed.saturating_sub(acked.saturating_sub(segment));
                self.board.lose_front(segment);
                recovery.force = true;
            } else {
                (recovery.duplicates, recovery.assumed) = (0, 0);
            }
        }
    }

    /// RFC 8985, 7.4.2: is the probe's work done, and did it repair a loss that the window must hear of?
    fn end_probe(&mut self, facts: &AckFacts<'_>, duplicate: Option<(Position, Position)>, advanced: bool) {
        let Some(probe) = self.recovery.tail_probe.filter(|probe| facts.ack >= probe.end) else { return };
        let reported = duplicate.is_some_and(|(_, end)| end == probe.end);
        let both_arrived = !advanced && facts.sack.is_empty() && !facts.carries;
        if !probe.again || reported || both_arrived {
            self.recovery.tail_probe = None;
        } else if facts.ack > probe.end {
            self.recovery.tail_probe = None;
            self.congestion.on_loss(self.board_outstanding());
            self.congestion.fall();
        }
    }

    fn is_spurious(
        &mut self,
        facts: &AckFacts<'_>,
        duplicate: Option<(Position, Position)>,
        delivered: &Delivered,
    ) -> bool {
        let clock = self.clock();
        let Some(undo) = self.recovery.held().and_then(|recovery| recovery.undo.as_mut()) else { return false };
        let echoes = delivered.ambiguous && undo.is_spurious_by_echo(facts.echo.filter(|_| clock.is_some()));
        echoes || duplicate.is_some_and(|(start, end)| undo.is_spurious_by_duplicate(start, end))
    }

    /// Nothing was lost: everything as it was before.
    fn undo(&mut self) {
        if let Some(Undo { before, .. }) = self.recovery.held().and_then(|recovery| recovery.undo.take()) {
            self.congestion.undo(before);
            self.board.forget_lost();
            self.recovery.end();
            self.counts.undone += 1;
        }
    }

    /// RFC 5682, 2.1: goes on with finding out whether the timeout was needless.
    fn test_timeout(&mut self, now: Instant, advanced: bool, repeated: bool, once: bool) {
        let (una, has_new) = (self.head.una, self.may_send_new());
        let Some(forward) = self.recovery.held().and_then(|recovery| recovery.forward.as_mut()) else { return };
        match forward.on_ack(&Seen { una, advanced, repeated, once, has_new }) {
            Verdict::Wait => {}
            Verdict::SendTwo => self.congestion.set_window(self.in_flight() + 2 * self.segment()),
            Verdict::Spurious => self.undo(),
            Verdict::Genuine => {
                self.recovery.forward = None;
                self.lose_all(now);
                // 3a: "the congestion window ... MUST be set to no more than 3 * MSS".
                self.congestion.set_window(if advanced { self.segment() } else { 3 * self.segment() });
            }
        }
    }

    /// After a timeout slow start has set the window already.
    fn leave_recovery(&mut self) {
        if self.recovery.phase == Phase::Recovery || self.congestion.is_model() {
            self.congestion.on_repaired();
        }
        self.recovery.end();
    }

    /// All that was in flight at the last repair has arrived, and the path showed nothing worth remembering: as if it had not
    /// been, so that acknowledgments are plain again.
    fn forget_recovery(&mut self) {
        let over = |recovery: &Recovery, una| recovery.is_calm() && una > recovery.point && una > recovery.reduced_at;
        if self.recovery.is_held() && self.board.is_plain() && over(&self.recovery, self.head.una) {
            self.recovery.rest();
        }
    }

    fn detect_losses(&mut self, facts: &AckFacts<'_>, delivered: &Delivered) -> Option<Instant> {
        if !self.recovery.is_held() && self.board.sacked() == 0 && facts.sack.is_empty() {
            // Everything arrived in the order in which it was sent, once: nothing in flight was sent before what arrived.
            return None;
        }
        let echo = facts.echo.zip(self.clock());
        let min_rtt = self.rtt.min().unwrap_or_default();
        if self.recovery.rack.on_delivered(facts.now, delivered, echo, min_rtt) {
            self.counts.reordered += 1;
        }
        if self.recovery.forward.is_some() { None } else { self.detect(facts.now) }
    }

    /// RFC 3168, 6.1.2: "TCP should not react to congestion indications more than once every window of data (or more loosely,
    /// more than once every round-trip time)"; a loss in the same window was the reaction already.
    fn on_congestion(&mut self, now: Instant) {
        self.ecn = true;
        if self.recovery.phase != Phase::Open || self.head.una <= self.recovery.reduced_at {
            return;
        }
        self.congestion.on_mark(now, self.board_outstanding());
        self.note_reduced();
    }

    fn note_use(&mut self, now: Instant, acked: u64, limited: bool) {
        let smoothed = self.rtt.smoothed().unwrap_or_default();
        self.congestion.on_use(&Use { now, acked, una: self.head.una, nxt: self.head.nxt(), smoothed, limited });
    }

    /// During recovery PRR sets the window. Otherwise it grows by what this acknowledgment delivered, if SND.UNA moved
    /// (RFC 5681, 3.2: not by duplicates) and the window was what limited us.
    fn adjust_window(&mut self, now: Instant, delivered: &Delivered, evidence: &Evidence) {
        let bytes = delivered.bytes;
        if bytes == 0 || self.recovery.forward.is_some() {
            return;
        }
        if self.recovery.phase == Phase::Recovery {
            let safe = evidence.advanced && !evidence.new_loss;
            let (in_flight, threshold) = (self.in_flight(), self.congestion.threshold());
            let segment = self.segment();
            let window = self.recovery.prr.window(bytes, safe, in_flight, threshold, segment);
            self.congestion.set_window(window);
        } else if evidence.was_limited && evidence.advanced {
            self.grow(now, bytes, evidence.sample);
        }
    }

    fn grow(&mut self, now: Instant, bytes: u64, sample: Option<Duration>) {
        let smoothed = self.rtt.smoothed().unwrap_or_default();
        let (una, nxt) = (self.head.una, self.head.nxt());
        self.congestion.grow(&Growth { now, bytes, sample, smoothed, una, nxt });
    }

    fn adjust_model(&mut self, now: Instant, delivered: &Delivered, evidence: &Evidence, window_limited: bool) {
        let (min_rtt, lost) = (self.rtt.min().unwrap_or_default(), self.board.lost_ever());
        let in_flight = self.in_flight();
        let Some(delivery) = &mut self.delivery else { return };
        let sample = delivery.on_delivered(now, delivered.bytes, delivered.latest_stamp, min_rtt, lost);
        let Some(sample) = sample.filter(|_| self.recovery.forward.is_none()) else { return };
        self.congestion.on_progress(&Progress {
            now,
            sample,
            bytes: delivered.bytes,
            rtt: evidence.sample,
            in_flight,
            losses: self.board.take_losses(),
            window_limited,
            repairing: self.recovery.phase != Phase::Open,
            sack: self.sack,
        });
        if self.congestion.ignores_rates() {
            delivery.limit(in_flight);
        }
    }

    /// Whether the congestion window is what limits us: in slow start, if half of it is used (so that it keeps doubling
    /// ahead of an application that fills it), otherwise only if it held something back.
    fn is_limited(&self, flight: u64) -> bool {
        let window = self.congestion.window();
        self.recovery.phase == Phase::Loss
            || (self.congestion.in_slow_start() && window < 2 * flight)
            || self.head.una < self.limited
    }

    /// RFC 8985, 6.2, step 4.
    pub(super) fn reordering_window(&self) -> Duration {
        let certain = self.recovery.phase != Phase::Open
            || self.board.sacked() >= u64::from(limits::DUPACK_THRESHOLD) * self.segment();
        let min_rtt = self.rtt.min().unwrap_or_default();
        let smoothed = self.rtt.smoothed().unwrap_or_default();
        self.recovery.rack.window(&Measure { certain, min_rtt, smoothed })
    }
}
