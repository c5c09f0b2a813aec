//! Connections beside the two of a session: data channels that a proxy connects or expects.
//!
//! ```text
//! listen():   EXPECTED (address, peer) ──SYN of the peer──→ ANSWERED ──its ACK──→ the proxy's stream; expected no more
//! connect_related():  SYN ──SYN-ACK──→ the proxy's stream
//! ```
//!
//! An expectation is what conntrack's `nf_conntrack_expect` is: it takes one connection of one peer to one address, before
//! entries and rules are asked, because the session it belongs to was permitted. It is given up with the listener or with the
//! session. What must hold: other peers' SYNs do not use it up, and of several handshakes of the peer the first that is
//! completed wins; a related connection belongs to its session (greed, cut, memory) and outlives its proxy only to
//! finish what was said. It is this core's own: nothing is asked of the control thread, and the peer's packets come to
//! the core of the session as long as one worker runs.

use std::net::{IpAddr, SocketAddr};

use control::policy::{DropReason, InterfaceId};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use proxy::{ConnectError, Expected, Related, Side};
use smallvec::SmallVec;
use tcp::{Connection, Flow, Instant};

use super::SessionKey;
use super::connect::tcp_config;
use crate::counters::Counter;
use crate::flow::Key;
use crate::limits;
use crate::nic::Nic;
use crate::packet::{PROTOCOL_TCP, Transport};
use crate::route::NextHop;
use crate::socket::{IpMarks, Leg, Socket, SocketKey};
use crate::step::Step;
use crate::task::Reply;
use crate::worker::{Arrival, Worker};

/// Where a proxy hears of its connection.
pub type Connected = Reply<Result<SocketKey, ConnectError>>;

/// Where it hears of the one that it expects, and of whom it is.
pub type Arrived = Reply<Result<(SocketKey, SocketAddr), ConnectError>>;

/// The connections of a session beside its two.
#[derive(Debug, Default)]
pub struct RelatedLegs {
    slots: SmallVec<[Option<RelatedLeg>; 2]>,
    /// Where more are expected.
    expected: SmallVec<[SocketAddr; 1]>,
}

#[derive(Debug)]
struct RelatedLeg {
    socket: SocketKey,
    /// Who waits for it to be established.
    waits: Option<Waits>,
}

#[derive(Debug)]
enum Waits {
    Connecting(Connected),
    /// The expectation at this address.
    Arriving(SocketAddr),
}

impl RelatedLegs {
    /// The connection with this number.
    pub fn socket(&self, number: u16) -> Option<SocketKey> {
        self.slots.get(usize::from(number))?.as_ref().map(|leg| leg.socket)
    }

    /// All of them.
    pub fn sockets(&self) -> impl Iterator<Item = SocketKey> {
        self.slots.iter().flatten().map(|leg| leg.socket)
    }

    /// Forgets one.
    pub fn forget(&mut self, number: u16) {
        if let Some(slot) = self.slots.get_mut(usize::from(number)) {
            *slot = None;
        }
    }

    /// Is there none, and none expected?
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }

    /// A number that is free, if there may be one more.
    fn free(&self) -> Option<u16> {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        (free < limits::RELATED_PER_SESSION).then_some(free as u16)
    }

    fn put(&mut self, number: u16, leg: RelatedLeg) {
        let number = usize::from(number);
        if number == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[number] = Some(leg);
    }
}

/// What this core expects, by where it is to arrive.
#[derive(Debug, Default)]
pub struct Expectations(HashMap<SocketAddr, Expectation, FixedState>);

#[derive(Debug)]
struct Expectation {
    session: SessionKey,
    interface: InterfaceId,
    peer: IpAddr,
    peer_port: Option<u16>,
    /// Handshakes of the peer under way.
    answered: usize,
    arrived: Arrived,
}

impl Expectations {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is nothing expected?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is this one the connection that is expected there?
    fn fits(&self, interface: InterfaceId, from: SocketAddr, to: SocketAddr) -> bool {
        self.0.get(&to).is_some_and(|expected| {
            expected.interface == interface
                && expected.peer == from.ip()
                && expected.peer_port.is_none_or(|port| port == from.port())
                && expected.arrived.is_wanted()
        })
    }
}

impl<N: Nic> Worker<N> {
    /// A proxy's `listen()`: chooses the port.
    pub(crate) fn listen_related(
        &mut self,
        key: SessionKey,
        expected: &Expected,
        reply: &Reply<Result<SocketAddr, ConnectError>>,
        arrived: Arrived,
    ) {
        reply.fill(self.expect(key, expected, arrived));
    }

    fn expect(&mut self, key: SessionKey, expected: &Expected, arrived: Arrived) -> Result<SocketAddr, ConnectError> {
        let next_hop = self.way(key, expected.side, expected.peer)?;
        let Some(session) = self.sessions.get(key).filter(|session| session.ended.is_none()) else {
            return Err(ConnectError::Cut);
        };
        let waiting = session.related.as_ref().map_or(0, |related| related.expected.len());
        if waiting >= limits::RELATED_PER_SESSION || self.expectations.len() >= self.capacity.sessions {
            self.counters.count(Counter::RelatedLimit);
            return Err(ConnectError::Limit);
        }
        let (low, high) = (*expected.ports.start(), *expected.ports.end());
        if low == 0 || low > high {
            return Err(ConnectError::NoPort);
        }
        let count = u32::from(high - low) + 1;
        let first = self.random.below(count);
        let address = (0..count.min(limits::PORT_TRIES))
            .map(|step| SocketAddr::new(expected.local, low + ((first + step) % count) as u16))
            .find(|address| !self.expectations.0.contains_key(address));
        let Some(address) = address else {
            self.counters.count(Counter::PortsExhausted);
            return Err(ConnectError::NoPort);
        };
        let expectation = Expectation {
            session: key,
            interface: next_hop.interface,
            peer: expected.peer,
            peer_port: expected.peer_port,
            answered: 0,
            arrived,
        };
        self.expectations.0.insert(address, expectation);
        if let Some(session) = self.sessions.get_mut(key) {
            session.related.get_or_insert_default().expected.push(address);
        }
        Ok(address)
    }

    /// A listener was dropped.
    pub(crate) fn unlisten(&mut self, key: SessionKey, address: SocketAddr) {
        if self.expectations.0.get(&address).is_some_and(|expected| expected.session == key) {
            self.expectations.0.remove(&address);
        }
        if let Some(related) = self.sessions.get_mut(key).and_then(|session| session.related.as_mut()) {
            related.expected.retain(|expected| *expected != address);
        }
    }

    /// A session is over: nothing is expected for it any more.
    pub(crate) fn forget_expected(&mut self, related: Option<&RelatedLegs>) {
        for address in related.into_iter().flat_map(|related| &related.expected) {
            self.expectations.0.remove(address);
        }
    }

    /// The first packet of a flow: is it a connection that some proxy expects? Then it is answered here.
    pub(crate) fn takes_expected(&mut self, now: Instant, flow: Key, arrival: &Arrival<'_, N::Frame>) -> bool {
        let (peer, local) = (flow.source(), flow.destination());
        if self.expectations.is_empty() || !self.expectations.fits(arrival.interface, peer, local) {
            return false;
        }
        let Transport::Tcp { header, .. } = &arrival.ip.kind else { return false };
        if let Err(counter) = self.answer_expected(now, flow, header, arrival) {
            self.counters.count(counter);
        }
        true
    }

    fn answer_expected(
        &mut self,
        now: Instant,
        flow: Key,
        syn: &tcp::Header,
        arrival: &Arrival<'_, N::Frame>,
    ) -> Result<(), Counter> {
        let (peer, local) = (flow.source(), flow.destination());
        let next_hop = self.routes.lookup_from(arrival.interface, peer.ip()).ok_or(Counter::NoRoute)?;
        let expectation = self.expectations.0.get_mut(&local).ok_or(Counter::SessionGone)?;
        if expectation.answered >= limits::EXPECTED_HANDSHAKES {
            return Err(Counter::RelatedLimit);
        }
        let key = expectation.session;
        let session = self.sessions.get_mut(key).ok_or(Counter::SessionGone)?;
        let number = session.related.get_or_insert_default().free().ok_or(Counter::RelatedLimit)?;
        let leg = Leg::Related(number);
        let id = self.flows.insert(flow, Step::Proxy { session: key, leg })?;
        expectation.answered += 1;
        let mss = self.interfaces.get(next_hop.interface).mss(peer.is_ipv6());
        let opening = self.own_opening(now, &Flow { local, remote: peer }, mss);
        let ports = (local.port(), peer.port());
        let connection = Connection::accept(now, ports, &tcp_config(mss, false), syn, opening);
        let path = self.path(local, peer, next_hop, IpMarks::of_answer(arrival.ip));
        let socket = self.shared.sockets.borrow_mut().insert(Socket::new(connection, path, key, leg, id));
        self.place_related(key, number, RelatedLeg { socket, waits: Some(Waits::Arriving(local)) });
        Ok(())
    }

    /// A proxy's `connect_related()`.
    pub(crate) fn connect_related(&mut self, now: Instant, key: SessionKey, related: &Related, reply: &Connected) {
        if let Err(error) = self.begin_related(now, key, related, reply) {
            reply.fill(Err(error));
        }
    }

    fn begin_related(
        &mut self,
        now: Instant,
        key: SessionKey,
        related: &Related,
        reply: &Connected,
    ) -> Result<(), ConnectError> {
        let remote = related.remote;
        if self.routes.is_own(remote.ip()) {
            self.counters.count(DropReason::ConnectedDirectly);
            return Err(ConnectError::Denied);
        }
        let next_hop = self.way(key, related.side, remote.ip())?;
        let address = related.local.or(next_hop.source).filter(|local| local.is_ipv4() == remote.is_ipv4());
        let Some(address) = address else {
            self.counters.count(Counter::NoSourceAddress);
            return Err(ConnectError::Unreachable);
        };
        let ports = match (*related.ports.start(), *related.ports.end()) {
            (0, 0) => limits::port_class(u16::MAX),
            (low, high) if low != 0 && low <= high => (low, high),
            _ => return Err(ConnectError::NoPort),
        };
        let no_port = |worker: &mut Self, counter| {
            worker.counters.count(counter);
            ConnectError::NoPort
        };
        let wished = SocketAddr::new(address, if ports.0 == ports.1 { ports.0 } else { 0 });
        let local =
            self.with_port(wished, ports, remote, next_hop.interface).map_err(|counter| no_port(self, counter))?;
        let flow = Key::new(next_hop.interface, PROTOCOL_TCP, remote, local);
        self.clear_time_wait(&flow).map_err(|counter| no_port(self, counter))?;
        let Some(session) = self.sessions.get_mut(key).filter(|session| session.ended.is_none()) else {
            return Err(ConnectError::Cut);
        };
        let patience = session.service().connect_timeout;
        let Some(number) = session.related.get_or_insert_default().free() else {
            self.counters.count(Counter::RelatedLimit);
            return Err(ConnectError::Limit);
        };
        let leg = Leg::Related(number);
        let id = self.flows.insert(flow, Step::Proxy { session: key, leg }).map_err(|refused| {
            self.counters.count(refused);
            ConnectError::Limit
        })?;
        let mss = self.interfaces.get(next_hop.interface).mss(remote.is_ipv6());
        let opening = self.own_opening(now, &Flow { local, remote }, mss);
        let connection = Connection::connect(now, (local.port(), remote.port()), &tcp_config(mss, false), opening);
        let marks = self.own_marks(0);
        let path = self.path(local, remote, next_hop, marks);
        let socket = self.shared.sockets.borrow_mut().insert(Socket::new(connection, path, key, leg, id));
        self.place_related(key, number, RelatedLeg { socket, waits: Some(Waits::Connecting(reply.clone())) });
        self.shared.be_patient(now + patience, key, socket);
        self.counters.count(Counter::RelatedConnects);
        Ok(())
    }

    /// A related connection is established, or will not be.
    pub(crate) fn related_ready(
        &mut self,
        now: Instant,
        key: SessionKey,
        number: u16,
        result: Result<SocketKey, ConnectError>,
    ) {
        let Some(related) = self.sessions.get_mut(key).and_then(|session| session.related.as_mut()) else { return };
        let Some(leg) = related.slots.get_mut(usize::from(number)).and_then(Option::as_mut) else { return };
        match leg.waits.take() {
            None => {}
            Some(Waits::Connecting(reply)) => reply.fill(result),
            Some(Waits::Arriving(address)) => self.arrived(now, key, address, result),
        }
    }

    /// A handshake of an expected peer is through: the first one is it.
    fn arrived(&mut self, now: Instant, key: SessionKey, address: SocketAddr, result: Result<SocketKey, ConnectError>) {
        let Some(expectation) = self.expectations.0.get_mut(&address) else {
            if let Ok(late) = result {
                self.abort(now, late);
            }
            return;
        };
        expectation.answered -= 1;
        let Ok(socket) = result else { return };
        let Some(peer) = self.shared.sockets.borrow().get(socket).map(|socket| socket.path.remote) else { return };
        let arrived = expectation.arrived.clone();
        self.unlisten(key, address);
        self.counters.count(Counter::RelatedAccepted);
        arrived.fill(Ok((socket, peer)));
    }

    /// The session's server leg makes room for another: until its last segment it is one beside the two.
    pub(crate) fn set_server_aside(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(socket) = session.server_socket.take() else { return };
        let Some(number) = session.related.get_or_insert_default().free() else {
            self.counters.count(Counter::RelatedLimit);
            return self.abort(now, socket);
        };
        let leg = Leg::Related(number);
        let flow = self.shared.sockets.borrow_mut().get_mut(socket).map(|found| {
            found.leg = leg;
            found.flow
        });
        if let Some(flow) = flow {
            self.flows[flow] = Step::Proxy { session: key, leg };
            self.place_related(key, number, RelatedLeg { socket, waits: None });
        }
    }

    fn place_related(&mut self, key: SessionKey, number: u16, leg: RelatedLeg) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.related.get_or_insert_default().put(number, leg);
        }
    }

    /// The way to a peer on one side of a session.
    fn way(&mut self, key: SessionKey, side: Side, peer: IpAddr) -> Result<NextHop, ConnectError> {
        let session = self.sessions.get(key).ok_or(ConnectError::Cut)?;
        let next_hop = match side {
            Side::Client => self.routes.lookup_from(session.interface, peer),
            Side::Server => self.routes.lookup(peer),
        };
        next_hop.ok_or_else(|| {
            self.counters.count(Counter::NoRoute);
            ConnectError::Unreachable
        })
    }
}
