//! How a released session ends: by its ends' FINs, by a reset, by silence, by the service's time, or by order.
//!
//! Nothing of it is forgotten while an end goes on: who is not told would find out by a reset to a segment in the middle. So
//! whatever is not the ends' own doing resets both, each by the number it expects (RFC 5961, 3.2). After two FINs late copies
//! still pass for a while, for the last ACK may be lost; the oldest make room when there are too many.

use std::time::Duration;

use proxy::Reason;
use proxy::release::Passed;
use tcp::{Flags, Header, Instant, Options, SeqNumber};

use super::{Splice, SpliceKey};
use crate::counters::Counter;
use crate::flow::tracking::Direction;
use crate::limits;
use crate::nic::Nic;
use crate::session::SessionKey;
use crate::worker::Worker;

impl Splice {
    fn passed(&self, reason: Reason) -> Passed {
        let [to_server, to_client] = self.bytes;
        Passed { reason, to_server, to_client }
    }

    /// How long nothing may move.
    fn quiet_max(&self) -> Duration {
        if self.is_finishing() { self.limits.idle.min(limits::SPLICE_FINISH) } else { self.limits.idle }
    }
}

impl<N: Nic> Worker<N> {
    /// Both FINs were acknowledged. A copy of one of them that comes later passes, and its answer.
    pub(super) fn splice_finished(&mut self, now: Instant, id: SpliceKey) {
        self.linger(now, id, Reason::Finished);
    }

    /// A reset has passed. Should it be lost, its sender will be asked for another one.
    pub(super) fn splice_reset(&mut self, now: Instant, id: SpliceKey, direction: Direction) {
        self.linger(now, id, if direction == Direction::Original { Reason::ClientReset } else { Reason::ServerReset });
    }

    fn linger(&mut self, now: Instant, id: SpliceKey, reason: Reason) {
        if !self.end_splice(now, id, reason) {
            return;
        }
        if let Some(splice) = self.splices.records.get_mut(id) {
            splice.over = true;
        }
        self.splices.over += 1;
        self.splices.lingering.push_back((now + limits::SPLICE_LINGER, id));
        while self.splices.lingering.len() > self.capacity.lingering() {
            self.evict_splice();
        }
    }

    /// A new flow needs two entries in the table: one that lingers makes room.
    pub(crate) fn spare_lingering(&mut self) {
        while self.flows.len() + 2 > self.flows.capacity() && self.splices.over > 0 {
            self.evict_splice();
        }
    }

    /// The oldest that lingers is forgotten.
    fn evict_splice(&mut self) {
        let Some((_, oldest)) = self.splices.lingering.pop_front() else { return };
        if self.forget_splice(oldest) {
            self.counters.count(Counter::TimeWaitEvicted);
        }
    }

    /// Ends a session's release by order; what had passed, if there was one.
    pub(crate) fn cut_splice(&mut self, now: Instant, session: SessionKey, reason: Reason) -> Option<Passed> {
        let id = self.sessions.get(session)?.splice?;
        let passed = self.splices.records.get(id)?.passed(reason);
        self.give_up_splice(now, id, reason);
        Some(passed)
    }

    /// Ends one from our side.
    fn give_up_splice(&mut self, now: Instant, id: SpliceKey, reason: Reason) {
        self.reset_ends(now, id);
        if self.end_splice(now, id, reason) {
            self.take_splice(id);
        }
    }

    /// The session's record is written, once; false: it was over already.
    fn end_splice(&mut self, now: Instant, id: SpliceKey, reason: Reason) -> bool {
        let Some(splice) = self.splices.records.get_mut(id) else { return false };
        let (session, passed) = (splice.session, splice.passed(reason));
        let tails = splice.tails.take();
        self.shared.wheel.borrow_mut().cancel(splice.timer);
        for tail in tails.into_iter().flat_map(|tails| tails.0).flatten() {
            self.shared.take_socket(tail.socket);
        }
        let Some(found) = self.sessions.get_mut(session).filter(|session| session.splice == Some(id)) else {
            return false;
        };
        found.splice = None;
        // A proxy that waits for it ends the session, with what it did itself in its record.
        match found.release.take().filter(|_| found.task.is_some()) {
            Some(releasing) => releasing.end(passed),
            None => self.released_is_over(now, session, passed),
        }
        true
    }

    /// Tells both ends, each by the number that it expects next.
    fn reset_ends(&mut self, now: Instant, id: SpliceKey) {
        let Some(splice) = self.splices.records.get(id) else { return };
        let (tracking, flows) = (splice.tracking, splice.flows);
        let shifts = splice.shifts.as_deref().copied().unwrap_or_default();
        for from in [Direction::Original, Direction::Reply] {
            let Some(key) = self.flows.key(flows[from as usize]).copied() else { continue };
            let Some(expected) = tracking.acknowledged(from) else { continue };
            // Tracking knows the client's numbers.
            let (seq, ack) = match from {
                Direction::Original => (SeqNumber(expected), SeqNumber(tracking.sent(from))),
                Direction::Reply => {
                    (shifts[0].forth(SeqNumber(expected)), shifts[1].back(SeqNumber(tracking.sent(from))))
                }
            };
            let header = Header {
                src_port: key.destination().port(),
                dst_port: key.source().port(),
                seq,
                ack,
                flags: Flags::RST | Flags::ACK,
                window: 0,
                urgent: 0,
                options: Options::default(),
            };
            let marks = self.own_marks(0);
            self.counters.count(Counter::RstSent);
            self.say_to(now, key, marks, &header);
        }
    }

    /// When it may have to end.
    pub(super) fn splice_deadline(&self, id: SpliceKey) -> Option<Instant> {
        let splice = self.splices.records.get(id).filter(|splice| !splice.over)?;
        let quiet = splice.active + splice.quiet_max();
        Some(splice.limits.end.map_or(quiet, |end| quiet.min(end)))
    }

    /// Its time may be over; if bytes have moved since, it is looked at again later.
    pub(crate) fn splice_timeout(&mut self, now: Instant, id: SpliceKey) {
        let Some(at) = self.splice_deadline(id) else { return };
        if at > now {
            return self.watch_splice(id);
        }
        let Some(splice) = self.splices.records.get(id) else { return };
        let total = splice.limits.end.is_some_and(|end| end <= now);
        let reason = match (total, splice.is_finishing()) {
            (true, _) => Reason::TotalTimeout,
            (false, true) => Reason::FinishTimeout,
            (false, false) => Reason::IdleTimeout,
        };
        self.give_up_splice(now, id, reason);
    }

    /// Those that have lingered long enough are forgotten, a bounded number a turn.
    pub(crate) fn expire_splices(&mut self, now: Instant) -> usize {
        for done in 0..limits::TIMERS_PER_TURN {
            let Some((_, id)) = self.splices.lingering.front().copied().filter(|(until, _)| *until <= now) else {
                return done;
            };
            self.splices.lingering.pop_front();
            self.forget_splice(id);
        }
        limits::TIMERS_PER_TURN
    }

    /// Forgets one that lingers; was it there?
    pub(super) fn forget_splice(&mut self, id: SpliceKey) -> bool {
        let there = self.take_splice(id);
        self.splices.over -= usize::from(there);
        there
    }

    /// Takes one and its flows out of all tables.
    fn take_splice(&mut self, id: SpliceKey) -> bool {
        let Some(splice) = self.splices.records.remove(id) else { return false };
        for flow in splice.flows {
            self.flows.remove(flow);
        }
        true
    }
}
