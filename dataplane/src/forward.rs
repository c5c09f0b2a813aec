//! Flows that pass through: routed, tracked, translated where the rules say so, and datagrams that a plug serves.
//!
//! What the filter's FORWARD chain accepts and no proxy takes, and UDP flows of services ([`crate::datagrams`]), which
//! differ by who is counted and told of them. The decision is made for the flow's first packet, and so is the choice of
//! its translation; later packets are held against the flow's state ([`crate::flow::tracking`]) and sent on (`pass.rs`).
//! The two keys of the flow's entries are the translation: what arrives one way leaves with the ends of what arrives the
//! other way, turned round.
//!
//! Left out: helpers for protocols that name addresses in what they say (FTP, SIP): that is for proxies.

pub(crate) mod errors;
pub(crate) mod pass;

use std::cell::RefCell;
use std::time::Duration;

use control::mailbox::{FlowRecord, FromCore};
use control::policy::{Decision, Holds, InterfaceId};
use proxy::Reason;
use slotmap::{SlotMap, new_key_type};
use tcp::Instant;

use crate::counters::Counter;
use crate::datagrams::Served;
use crate::flow::tracking::{Direction, Tracking, Update, View};
use crate::flow::{FlowId, Key};
use crate::handoff::datagrams::Program;
use crate::limits;
use crate::nic::Nic;
use crate::packet::emit::Ends;
use crate::packet::icmp;
use crate::route::NextHop;
use crate::socket::Timer;
use crate::step::Step;
use crate::timers::{TimerId, Wheel};
use crate::worker::{Arrival, Worker};

new_key_type! {
    /// A forwarded flow of this core; stale keys find nothing.
    pub struct ForwardKey;
}

/// All forwarded flows of a core.
pub type Forwards = SlotMap<ForwardKey, Forward>;

/// A forwarded flow.
pub struct Forward {
    pub(crate) id: u64,
    pub(crate) protocol: u8,
    pub(crate) interface: InterfaceId,
    /// What arrives in each direction.
    pub(crate) arrives: [Ends; 2],
    pub(crate) tracking: Tracking,
    pub(crate) flows: [Option<FlowId>; 2],
    /// IP packets passed on, bytes; of a service's flow their payload.
    pub(crate) bytes: [u64; 2],
    pub(crate) started: Instant,
    pub(crate) last: Instant,
    expires: Instant,
    pub(crate) timer: TimerId,
    generation: u64,
    /// What tables mangle left.
    mark: u32,
    connmark: u32,
    /// The service that took it.
    pub(crate) served: Option<Box<Served>>,
    /// What it takes up in the counts of `-m connlimit`, until it is gone.
    _holds: Option<Holds>,
}

impl Forward {
    /// A flow whose one end is a program: its peer's packets have the key, and go in this direction.
    pub(crate) fn of_program(
        (id, generation): (u64, u64),
        now: Instant,
        key: &Key,
        direction: Direction,
        decision: &Decision,
        (served, holds): (Box<Served>, Option<Holds>),
    ) -> Self {
        let arrives = Ends { source: key.source(), destination: key.destination() };
        let other = arrives.reversed();
        let mut forward = Self {
            id,
            protocol: key.protocol(),
            interface: key.interface(),
            arrives: if direction == Direction::Original { [arrives, other] } else { [other, arrives] },
            tracking: Tracking::Udp { replied: false },
            flows: [None; 2],
            bytes: [0; 2],
            started: now,
            last: now,
            expires: now,
            timer: TimerId::default(),
            generation,
            mark: decision.mark,
            connmark: decision.connmark,
            served: Some(served),
            _holds: holds,
        };
        forward.expires = now + forward.lifetime(now, limits::TRACK_UDP);
        forward
    }

    /// The program that is its other end.
    pub(crate) fn program(&self) -> Option<Program> {
        self.served.as_ref().and_then(|served| served.program)
    }

    /// When it ends if nothing more is said.
    pub(crate) fn expires(&self) -> Instant {
        self.expires
    }

    /// The direction of what a program's peer says.
    fn peers_direction(&self) -> Direction {
        if self.flows[0].is_some() { Direction::Original } else { Direction::Reply }
    }

    /// So many bytes went to its program.
    pub(crate) fn note(&mut self, now: Instant, bytes: usize) {
        self.bytes[self.peers_direction() as usize] += bytes as u64;
        self.last = now;
    }

    /// Its program said so many bytes.
    pub(crate) fn said_by_program(
        &mut self,
        now: Instant,
        bytes: usize,
        key: ForwardKey,
        wheel: &RefCell<Wheel<Timer>>,
    ) {
        let direction = self.peers_direction().reversed();
        self.bytes[direction as usize] += bytes as u64;
        self.last = now;
        // A datagram always belongs to its flow.
        if let Ok(Update::Live(lifetime)) = self.tracking.update(direction, View::Udp) {
            self.prolong(now, lifetime, key, wheel);
        }
    }

    /// The policy that let it in.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// What leaves in a direction.
    pub(crate) fn leaves(&self, direction: Direction) -> Ends {
        self.arrives[direction.reversed() as usize].reversed()
    }

    /// Does it change on its way?
    pub(crate) fn is_translated(&self) -> bool {
        self.arrives[0] != self.arrives[1].reversed()
    }

    /// It lives for so long from now. An earlier end needs a new timer; a later one is found when the old one rings.
    fn prolong(&mut self, now: Instant, lifetime: Duration, key: ForwardKey, wheel: &RefCell<Wheel<Timer>>) {
        let expires = now + self.lifetime(now, lifetime);
        if expires < self.expires {
            wheel.borrow_mut().replace(&mut self.timer, expires, Timer::Forward(key));
        }
        self.expires = expires;
    }

    /// What tracking gives it, or the service that took it.
    fn lifetime(&self, now: Instant, tracked: Duration) -> Duration {
        let Some(served) = &self.served else { return tracked };
        let spoken = self.tracking == Tracking::Udp { replied: true };
        let stream = spoken && now - self.started >= limits::DATAGRAMS_STREAM_AFTER;
        let idle = served.idle().min(if stream { limits::DATAGRAMS_IDLE_STREAM } else { limits::DATAGRAMS_IDLE });
        served.total().map_or(idle, |total| idle.min((self.started + total) - now))
    }
}

impl<N: Nic> Worker<N> {
    /// The first packet of a flow that the filter forwards.
    pub(crate) fn open_forward(
        &mut self,
        now: Instant,
        key: Key,
        arrival: &Arrival<'_, N::Frame>,
        decision: &Decision,
    ) {
        if self.draining {
            return self.counters.count(Counter::Draining);
        }
        if decision.untracked {
            return self.pass_untracked(now, arrival);
        }
        let arrives = Ends { source: key.source(), destination: key.destination() };
        match self.translation(key.protocol(), &arrives, &decision.nat) {
            Ok((next_hop, leaves)) => self.open_flow(now, key, arrival, (&next_hop, leaves), decision, None),
            Err(counter) => self.refuse_flow(now, arrival, counter),
        }
    }

    /// A new flow that cannot be: counted, and where nothing leads there, its sender is told.
    pub(crate) fn refuse_flow(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>, counter: Counter) {
        self.counters.count(counter);
        if counter == Counter::NoRoute {
            self.send_icmp_error(now, arrival, icmp::ErrorKind::Unreachable(icmp::Unreachable::Net));
        }
    }

    /// Makes a flow that leaves with these ends, and sends its first packet on.
    pub(crate) fn open_flow(
        &mut self,
        now: Instant,
        key: Key,
        arrival: &Arrival<'_, N::Frame>,
        (next_hop, leaves): (&NextHop, Ends),
        decision: &Decision,
        served: Option<Box<Served>>,
    ) {
        let (tracking, lifetime) = match Tracking::new(arrival.ip) {
            Ok(begun) => begun,
            Err(invalid) => return self.counters.count(invalid),
        };
        let reply = Key::new(next_hop.interface, key.protocol(), leaves.destination, leaves.source);
        // A tuple that is in use on the other side belongs to that flow; one that is its own answer, to nobody.
        if reply == key || self.flows.find(&reply).is_some() {
            return self.counters.count(Counter::TupleBusy);
        }
        self.sessions_started += 1;
        let mut forward = Forward {
            id: self.sessions_started,
            protocol: key.protocol(),
            interface: key.interface(),
            arrives: [Ends { source: key.source(), destination: key.destination() }, leaves.reversed()],
            tracking,
            flows: [None; 2],
            bytes: [0; 2],
            started: now,
            last: now,
            expires: now,
            timer: TimerId::default(),
            generation: self.policy.generation(),
            mark: decision.mark,
            connmark: decision.connmark,
            served,
            _holds: self.memory.take_holds(),
        };
        forward.expires = now + forward.lifetime(now, lifetime);
        let expires = forward.expires;
        let id = self.forwards.insert(forward);
        for (index, (key, direction)) in [(key, Direction::Original), (reply, Direction::Reply)].into_iter().enumerate()
        {
            match self.flows.insert(key, Step::Forward { forward: id, direction }) {
                Ok(flow) => self.forwards[id].flows[index] = Some(flow),
                Err(refused) => {
                    self.counters.count(refused);
                    self.remove_forward(id);
                    return;
                }
            }
        }
        self.datagrams_begin(id);
        self.watch_forward(id, expires);
        self.pass(now, id, Direction::Original, arrival);
    }

    /// A later packet of a forwarded flow.
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        forward: ForwardKey,
        direction: Direction,
        key: Key,
        arrival: Arrival<'_, N::Frame>,
    ) {
        if self.may_be_unlinked() && self.forwards.get(forward).is_some_and(|found| self.has_lost_its_entry(found)) {
            self.end_by_entry(forward);
            return self.classify(now, key, &arrival);
        }
        let Some(found) = self.forwards.get_mut(forward) else { return };
        match found.tracking.update(direction, arrival.ip) {
            Ok(Update::Live(lifetime)) => found.prolong(now, lifetime, forward, &self.shared.wheel),
            Ok(Update::Keep) => {}
            Ok(Update::Over) => {
                self.end_forward(forward);
                return self.classify(now, key, &arrival);
            }
            Err(invalid) => return self.counters.count(invalid),
        }
        if found.program().is_some() {
            return self.pass_to_program(now, forward, &arrival);
        }
        self.pass_through(now, forward, direction, arrival);
    }

    /// A flow's lifetime may be over; if packets have prolonged it, the timer is set again.
    pub(crate) fn forward_timeout(&mut self, now: Instant, key: ForwardKey) {
        let Some(forward) = self.forwards.get(key) else { return };
        if forward.expires <= now {
            return self.end_forward(key);
        }
        let expires = forward.expires;
        self.watch_forward(key, expires);
    }

    /// When it is to be looked at again is on the wheel.
    pub(crate) fn watch_forward(&mut self, key: ForwardKey, at: Instant) {
        if let Some(forward) = self.forwards.get_mut(key) {
            self.shared.wheel.borrow_mut().replace(&mut forward.timer, at, Timer::Forward(key));
        }
    }

    /// A flow is over: written down, by the record of its session or, where the operator wants that, by one of its own.
    pub(crate) fn end_forward(&mut self, key: ForwardKey) {
        if let Some(forward) = self.forwards.get(key)
            && let Some(served) = &forward.served
        {
            let over = served.total().is_some_and(|total| self.shared.now.get() >= forward.started + total);
            self.datagrams_end(key, over.then_some(Reason::TotalTimeout));
        } else if self.log.forwarded {
            self.log_forward(key);
        }
        self.remove_forward(key);
    }

    /// The one line of a forwarded flow.
    fn log_forward(&mut self, key: ForwardKey) {
        let Some(forward) = self.forwards.get(key) else { return };
        let record = self.forward_record(forward.last, forward);
        if self.control.try_send(FromCore::Forwarded(record)).is_err() {
            self.counters.count(Counter::RecordLost);
        }
    }

    pub(crate) fn remove_forward(&mut self, key: ForwardKey) {
        let Some(forward) = self.forwards.remove(key) else { return };
        self.shared.wheel.borrow_mut().cancel(forward.timer);
        for flow in forward.flows.into_iter().flatten() {
            self.flows.remove(flow);
        }
    }

    pub(crate) fn forward_record(&self, now: Instant, forward: &Forward) -> FlowRecord {
        let zone = |id: Option<control::policy::ZoneId>| {
            let served = forward.served.as_ref()?;
            id.map(|id| served.policy.zone_name(id).to_owned())
        };
        let served = forward.served.as_deref();
        let [sent, answered] = forward.arrives;
        FlowRecord {
            core: self.core,
            id: forward.id,
            protocol: control::policy::protocol_name(forward.protocol).to_string(),
            interface: self.interfaces.get(forward.interface).name.clone(),
            source: sent.source,
            destination: sent.destination,
            step: if served.is_some() { "proxy" } else { "forward" }.to_owned(),
            service: served.map(|served| served.service().name.clone()),
            state: forward.tracking.name().to_owned(),
            client_zone: zone(served.and_then(|served| served.client_zone)),
            server_zone: zone(served.and_then(|served| served.server_zone)),
            bytes_to_server: forward.bytes[0],
            bytes_to_client: forward.bytes[1],
            age_ms: (now - forward.started).as_millis() as u64,
            idle_ms: (now - forward.last).as_millis() as u64,
            generation: forward.generation,
            client: None,
            server: None,
            translated_source: Some(answered.destination).filter(|source| *source != sent.source),
            translated_destination: Some(answered.source).filter(|to| *to != sent.destination),
            mark: forward.mark,
            connmark: forward.connmark,
        }
    }
}
