//! Flows that are there, held against a policy that came after them: what it forbids is cut.
//!
//! The flow table is walked a piece at a time, so that a core with a million flows misses no packet. Rules see a flow
//! as `explain` does (by its addresses; of its first packet nothing was kept) and count nothing. A flow stays when it
//! would be let in again the same way: a session by a service of the same name, a forwarded flow without a proxy, that
//! of a program on the gateway by INPUT or OUTPUT, whichever let it begin. One that came by a one-shot tproxy entry, or
//! by a listener that takes one connection, is asked about as if these were still there.

use std::net::SocketAddr;

use control::mailbox::FromCore;
use control::policy::{EntryMatch, InterfaceId, Memory, NewFlow, NoTrace, PacketFacts, Policy, Verdict};
use tcp::Instant;

use crate::counters::Counter;
use crate::flow::Key;
use crate::flow::tracking::Direction;
use crate::limits;
use crate::nic::Nic;
use crate::session::{Ended, SessionKey};
use crate::socket::Leg;
use crate::step::Step;
use crate::worker::Worker;

/// Where the walk is.
#[derive(Debug)]
pub(crate) struct Redecide {
    next: u32,
    only: Option<u64>,
    cut: u64,
}

impl Redecide {
    /// From the beginning; `only` flows of that generation, else of all but the policy's own.
    pub(crate) fn of(only: Option<u64>) -> Self {
        Self { next: 0, only, cut: 0 }
    }

    fn concerns(&self, generation: u64, policy: &Policy) -> bool {
        self.only.map_or(generation != policy.generation(), |only| generation == only)
    }
}

/// How a flow was let in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way<'a> {
    Service(&'a str),
    Forward,
}

impl<N: Nic> Worker<N> {
    /// Walks on. Gives how many flows it looked at.
    pub(crate) fn redecide(&mut self, now: Instant) -> usize {
        let Some(mut walk) = self.redecide.take() else { return 0 };
        let places = limits::REDECIDED_PER_TURN;
        let batch: Vec<(Key, Step)> = self.flows.iter(walk.next, places).map(|(_, key, step)| (*key, *step)).collect();
        for (key, step) in batch {
            walk.cut += u64::from(self.redecide_flow(now, &walk, key, step));
        }
        walk.next += places as u32;
        if walk.next < self.flows.places() {
            self.redecide = Some(walk);
        } else if walk.cut > 0 {
            let generation = self.policy.generation();
            let text =
                format!("core {}: policy {generation} forbids {} flows that were there: cut", self.core, walk.cut);
            if self.control.try_send(FromCore::Notice(text)).is_err() {
                self.counters.count(Counter::RecordLost);
            }
        }
        places
    }

    /// Whether the flow was cut.
    fn redecide_flow(&mut self, now: Instant, walk: &Redecide, key: Key, step: Step) -> bool {
        match step {
            Step::Proxy { .. } | Step::Splice { .. } => {
                let Some(session) = self.session_of(step) else { return false };
                let Some(found) = self.sessions.get(session) else { return false };
                if found.ended.is_some() || !walk.concerns(found.policy.generation(), &self.policy) {
                    return false;
                }
                let (listener, service) = (found.listener, found.service().name.as_str());
                let way = Way::Service(service);
                let local = listener.map(|id| {
                    let listener = found.policy.listener(id);
                    local_of(&found.policy, key.interface(), listener.address, listener.port, key.destination())
                });
                let program = self.handoff.local(found.id).map(|local| (local, listener.is_none()));
                let local = program.or(local.flatten().map(|local| (local, false)));
                if self.is_permitted(&found.policy, &key, way, local) {
                    return false;
                }
                self.cut_by_policy(now, session);
                true
            }
            Step::HalfOpen { key: handshake, leg: Leg::Client } => {
                let Some(found) = self.half_open.get(handshake) else { return false };
                let decided = found.decided();
                if !walk.concerns(decided.policy.generation(), &self.policy)
                    || self.is_permitted(&decided.policy, &key, Way::Service(&decided.service().name), None)
                {
                    return false;
                }
                self.counters.count(Counter::RedecidedSessions);
                self.cut_half_open(now, handshake, proxy::Reason::Cut);
                true
            }
            Step::Forward { forward, direction: Direction::Original } => {
                let Some(found) = self.forwards.get(forward) else { return false };
                if !walk.concerns(found.generation(), &self.policy) {
                    return false;
                }
                if let Some(served) = &found.served {
                    let local = served.listener.and_then(|id| {
                        let listener = served.policy.listener(id);
                        let (address, port) = (listener.address, listener.port);
                        local_of(&served.policy, key.interface(), address, port, key.destination())
                    });
                    if self.is_permitted(
                        &served.policy,
                        &key,
                        Way::Service(&served.service().name),
                        local.map(|local| (local, false)),
                    ) {
                        return false;
                    }
                    self.counters.count(Counter::RedecidedSessions);
                    self.cut_forward(forward);
                    return true;
                }
                if self.is_permitted(&self.policy, &key, Way::Forward, None) {
                    return false;
                }
                self.counters.count(Counter::RedecidedForwards);
                self.end_forward(forward);
                true
            }
            Step::Local { local, direction: Direction::Original } => {
                let concerned = |generation| walk.concerns(generation, &self.policy);
                self.exceptions.generation(local).is_some_and(concerned) && self.redecide_local(now, local)
            }
            _ => false,
        }
    }

    /// The session whose client's packets have this step.
    fn session_of(&self, step: Step) -> Option<SessionKey> {
        match step {
            Step::Proxy { session, leg: Leg::Client } => Some(session),
            Step::Splice { key, direction: Direction::Original } => self.splices.session(key),
            _ => None,
        }
    }

    fn cut_by_policy(&mut self, now: Instant, session: SessionKey) {
        self.counters.count(Counter::RedecidedSessions);
        self.cut(now, session, Ended::unserved(proxy::Reason::Cut));
    }

    /// Whether a flow that `began` let in would be let in the same way now; `local` is where its listener stands, or
    /// a program (true).
    fn is_permitted(&self, began: &Policy, key: &Key, way: Way<'_>, local: Option<(SocketAddr, bool)>) -> bool {
        let (source, destination) = (key.source(), key.destination());
        let (interface, protocol) = (key.interface(), key.protocol());
        let flow = NewFlow { interface, protocol, source, destination, packet: PacketFacts::default() };
        let live = self.table.lookup_foreign(protocol, destination, source);
        let live = live.as_ref().map(EntryMatch::from);
        if goes(&self.policy, &flow, live.as_ref(), way) {
            return true;
        }
        // Its own policy would not have let it in without an entry: so there was one, for one connection.
        let (None, Some((local, program))) = (live, local) else { return false };
        let used = EntryMatch { local, foreign: destination, mark_only: false, program };
        !goes(began, &flow, None, way) && goes(&self.policy, &flow, Some(&used), way)
    }
}

/// The address of a listener; one that stands at all of them was reached at the interface's own.
fn local_of(
    policy: &Policy,
    interface: InterfaceId,
    address: Option<std::net::IpAddr>,
    port: u16,
    like: SocketAddr,
) -> Option<SocketAddr> {
    let mut own = policy.interface(interface).addresses.iter().map(ipnet::IpNet::addr);
    let address = address.or_else(|| own.find(|own| own.is_ipv4() == like.is_ipv4()))?;
    Some(SocketAddr::new(address, port))
}

fn goes(policy: &Policy, flow: &NewFlow, entry: Option<&EntryMatch>, way: Way<'_>) -> bool {
    let by = |mut memory: Memory| {
        let decision = policy.decide(flow, entry, &mut memory, &mut NoTrace);
        match (decision.verdict, way) {
            (Verdict::Proxy { service, .. }, Way::Service(name)) => policy.service(service).name == name,
            (Verdict::Forward, Way::Forward) => true,
            _ => false,
        }
    };
    by(Memory::observer()) || by(Memory::of_running())
}
