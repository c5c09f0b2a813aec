//! Connections in TIME-WAIT: a cache line each and a little, instead of a connection with its session.
//!
//! A leg that comes into TIME-WAIT, said all it had to say and was let go by its proxy leaves a [`tcp::TimeWait`]: the
//! last numbers, and the rules about who may reuse them (RFC 6191) and what must not end it early (RFC 1337). The
//! session goes on without it, and is over when its other leg is. The flow's entry in the table leads here.
//!
//! All wait equally long, so the order in which they came is the order in which they go: no timer each. A peer whose
//! FIN comes again waits anew, at the end of the queue. When there are too many the oldest is forgotten: Linux refuses
//! the newest, which protects nobody.

use std::collections::VecDeque;

use slotmap::{SlotMap, new_key_type};
use tcp::{Instant, Lingering};

use crate::counters::Counter;
use crate::flow::{FlowId, Key};
use crate::limits;
use crate::nic::Nic;
use crate::packet::Transport;
use crate::socket::{IpMarks, SocketKey};
use crate::step::Step;
use crate::worker::{Arrival, Worker};

new_key_type! {
    /// A connection in TIME-WAIT; stale keys find nothing.
    pub struct TimeWaitKey;
}

/// One of them.
struct Waiting {
    record: tcp::TimeWait,
    flow: FlowId,
    marks: IpMarks,
}

/// Bytes of one.
pub(crate) const RECORD: usize = size_of::<Waiting>();

const _: () = assert!(RECORD <= 80);

/// All of a core.
#[derive(Default)]
pub(crate) struct TimeWaits {
    waiting: SlotMap<TimeWaitKey, Waiting>,
    /// In the order in which they end; some of these are gone, or wait anew.
    order: VecDeque<TimeWaitKey>,
}

impl TimeWaits {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When the first is over, or something else is to be looked at.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = self.order.front()?;
        Some(self.waiting.get(*first).map_or(Instant::ZERO, |waiting| waiting.record.deadline()))
    }
}

impl<N: Nic> Worker<N> {
    /// A connection has come into TIME-WAIT and is nobody's any more: its record takes its place.
    pub(crate) fn enter_time_wait(&mut self, now: Instant, key: SocketKey) {
        let Some(socket) = self.shared.take_socket(key) else { return };
        let (flow, session, leg) = (socket.flow, socket.session, socket.leg);
        match socket.connection.into_time_wait() {
            Ok(record) => {
                let marks = socket.path.marks;
                let waits = self.time_wait.waiting.insert(Waiting { record, flow, marks });
                self.time_wait.order.push_back(waits);
                self.flows[flow] = Step::TimeWait { key: waits };
                self.bound_time_wait();
            }
            // It has something to say or to be read after all, and nobody who would: it ends here.
            Err(_) => drop(self.flows.remove(flow)),
        }
        self.leg_is_over(now, session, leg, key);
    }

    /// The oldest makes room.
    fn bound_time_wait(&mut self) {
        while self.time_wait.len() > self.capacity.time_wait() {
            let Some(oldest) = self.time_wait.order.pop_front() else { return };
            if self.forget_time_wait(oldest) {
                self.counters.count(Counter::TimeWaitEvicted);
            }
        }
    }

    /// Takes one out; was it there?
    pub(crate) fn forget_time_wait(&mut self, key: TimeWaitKey) -> bool {
        let Some(waiting) = self.time_wait.waiting.remove(key) else { return false };
        self.flows.remove(waiting.flow);
        true
    }

    /// Those whose time is over are forgotten, a bounded number a turn.
    pub(crate) fn expire_time_wait(&mut self, now: Instant) -> usize {
        for done in 0..limits::TIMERS_PER_TURN {
            if self.time_wait.deadline().is_none_or(|at| at > now) {
                return done;
            }
            let Some(first) = self.time_wait.order.pop_front() else { return done };
            self.forget_time_wait(first);
        }
        limits::TIMERS_PER_TURN
    }

    /// A segment for a connection in TIME-WAIT.
    pub(crate) fn lingering(&mut self, now: Instant, id: TimeWaitKey, key: Key, arrival: &Arrival<'_, N::Frame>) {
        let Transport::Tcp { header, payload } = &arrival.ip.kind else {
            return self.counters.count(Counter::TcpOutOfState);
        };
        let Some(waiting) = self.time_wait.waiting.get_mut(id) else {
            return self.counters.count(Counter::TcpOutOfState);
        };
        let until = waiting.record.deadline();
        match waiting.record.handle_segment(now, header, payload.len()) {
            Lingering::Reply(answer) => {
                let marks = waiting.marks;
                waiting.marks = marks.next(1);
                if waiting.record.deadline() != until {
                    self.wait_anew(id);
                }
                self.say_to(now, key, marks, &answer);
            }
            Lingering::Reuse => {
                self.forget_time_wait(id);
                self.classify(now, key, arrival);
            }
            Lingering::Ignored(discard) => self.counters.count(discard),
        }
    }

    /// Its place in the queue is the last again. The queue never holds more than twice what there is.
    fn wait_anew(&mut self, id: TimeWaitKey) {
        let Some(waiting) = self.time_wait.waiting.remove(id) else { return };
        let flow = waiting.flow;
        let key = self.time_wait.waiting.insert(waiting);
        self.time_wait.order.push_back(key);
        self.flows[flow] = Step::TimeWait { key };
        if self.time_wait.order.len() > 2 * self.time_wait.len() + limits::TIMERS_PER_TURN {
            let there = &self.time_wait.waiting;
            self.time_wait.order.retain(|key| there.contains_key(*key));
        }
    }

    /// Sends a segment without payload to whom packets of this flow come from.
    pub(crate) fn say_to(&mut self, now: Instant, key: Key, marks: IpMarks, header: &tcp::Header) {
        let (local, remote) = (key.destination(), key.source());
        let Some(next_hop) = self.routes.lookup_from(key.interface(), remote.ip()) else {
            return self.counters.count(Counter::NoRoute);
        };
        let path = self.path(local, remote, next_hop, marks);
        self.send_segment(now, &path, tcp::Ecn::NotCapable, header, &[], None);
    }
}
