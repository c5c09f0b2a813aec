//! A new TCP flow that a service takes: the session is made, and its first segment goes out.
//!
//! With `accept: mirror` nothing is answered: a SYN goes to the server that says what the client's said. With
//! `accept: immediate` the client is answered at once and the server waits for the proxy. Everything that can be
//! short (sessions, half-open ones, flows, routes, ports) is asked for before anything is made, and has its counter.

use std::net::SocketAddr;
use std::sync::Arc;

use control::policy::{Accept, Decision, DropReason, InterfaceId, Router, Service, Source, Verdict};
use control::tproxy::Flags;
use tcp::{Connection, Instant, Opening, PeerSyn, TimestampClock};

use super::{Held, Session, SessionKey};
use crate::counters::Counter;
use crate::flow::Key;
use crate::limits;
use crate::nic::Nic;
use crate::packet::{Transport, icmp};
use crate::route::NextHop;
use crate::socket::{Leg, Path, Socket, SocketKey, Timer};
use crate::step::Step;
use crate::worker::{Arrival, Worker, quotable};

/// IP protocol number of TCP.
const TCP: u8 = 6;

/// The ECN field of the traffic class (RFC 3168 5); the rest is DSCP.
pub(crate) const ECN_BITS: u8 = 3;

/// As whom we speak to the server: in our own voice, or in the client's.
#[derive(Clone, Copy)]
struct Voice {
    opening: Opening,
    ecn: bool,
    ttl: u8,
    dscp: u8,
}

/// The server's side of a flow before it exists: where it goes and under which tuple.
#[derive(Clone, Copy)]
pub(crate) struct ServerSide {
    target: SocketAddr,
    local: SocketAddr,
    next_hop: NextHop,
    key: Key,
}

impl<N: Nic> Worker<N> {
    /// Admits the flow of a SYN that `decision` gives to a service.
    pub(crate) fn open_session(
        &mut self,
        now: Instant,
        key: Key,
        arrival: &Arrival<'_, N::Frame>,
        decision: &Decision,
    ) {
        let Verdict::Proxy { service, listener, .. } = decision.verdict else { return };
        let Transport::Tcp { header: syn, .. } = &arrival.ip.kind else {
            return self.counters.count(DropReason::NoProxyForProtocol);
        };
        if let Err(reason) = self.admit(arrival, service) {
            return self.counters.count(reason);
        }
        let (client, original) = (arrival.ip.source_socket(), arrival.ip.destination_socket());
        let policy = Arc::clone(&self.policy);
        let pending = Step::Proxy { session: SessionKey::default(), leg: Leg::Client };
        let client_flow = match self.flows.insert(key, pending) {
            Ok(flow) => flow,
            Err(refused) => return self.counters.count(refused),
        };
        self.sessions_started += 1;
        let session = self.sessions.insert(Session {
            id: self.sessions_started,
            service,
            listener,
            client_zone: decision.client_zone,
            server_zone: decision.server_zone,
            interface: arrival.interface,
            client,
            original,
            started: now,
            last: now,
            client_flow,
            client_socket: None,
            server_socket: None,
            server: None,
            rule: decision.rule,
            held: None,
            connecting: None,
            task: None,
            ended: None,
            established: false,
            policy: Arc::clone(&policy),
        });
        self.flows[client_flow] = Step::Proxy { session, leg: Leg::Client };
        self.serving += 1;
        self.half_open += 1;
        *self.per_service.entry_ref(policy.service(service).name.as_str()).or_insert(0) += 1;
        let opened = match policy.service(service).accept {
            Accept::Mirror => self.hold(now, session, syn, arrival),
            Accept::Immediate => self.answer(now, session, syn, arrival),
        };
        if let Err(counter) = opened {
            self.counters.count(counter);
            if matches!(counter, Counter::NoRoute) {
                self.send_icmp_error(now, arrival, icmp::ErrorKind::Unreachable(icmp::Unreachable::Net));
            }
            self.forget(session);
        }
    }

    /// Is there room for one more?
    fn admit(&self, arrival: &Arrival<'_, N::Frame>, service: control::policy::ServiceId) -> Result<(), Counter> {
        if self.draining {
            return Err(Counter::Draining);
        }
        if self.free_share < limits::FREE_SHARE_FOR_NEW_FLOWS {
            return Err(Counter::NoMemory);
        }
        if self.serving >= self.capacity.sessions {
            return Err(Counter::SessionTableFull);
        }
        if self.half_open >= self.capacity.half_open {
            return Err(Counter::HalfOpenFull);
        }
        // A loop guard: the server of such a flow would be the gateway itself.
        if self.routes.is_own(arrival.ip.destination)
            && matches!(self.policy.service(service).router, Router::Transparent)
        {
            return Err(Counter::from(DropReason::ConnectedDirectly));
        }
        let service = self.policy.service(service);
        if self.per_service.get(&service.name).is_some_and(|running| *running >= service.max_sessions) {
            return Err(Counter::ServiceFull);
        }
        Ok(())
    }

    /// `accept: mirror`, steps 1 of the mirrored handshake: the client's SYN, said again to the server.
    fn hold(
        &mut self,
        now: Instant,
        key: SessionKey,
        syn: &tcp::Header,
        arrival: &Arrival<'_, N::Frame>,
    ) -> Result<(), Counter> {
        let ip = arrival.ip;
        if ip.ttl <= 1 {
            self.send_icmp_error(now, arrival, icmp::ErrorKind::TimeExceeded { reassembly: false });
            return Err(Counter::TtlExpired);
        }
        let side = self.server_side(now, key, proxy::Target::Original)?;
        let mss_max = self.interfaces.get(side.next_hop.interface).mss(side.target.is_ipv6());
        let said = PeerSyn::from(syn);
        let voice = Voice {
            opening: Opening::mirror(now, &said, mss_max),
            ecn: said.does_ecn(),
            ttl: ip.ttl - 1,
            dscp: ip.tos & !ECN_BITS,
        };
        let held = Held { syn: *syn, packet: quotable(arrival) };
        self.connect_server(now, key, side, voice)?;
        if let Some(session) = self.sessions.get_mut(key) {
            session.held = Some(Box::new(held));
        }
        Ok(())
    }

    /// `accept: immediate`: the SYN-ACK is ours.
    fn answer(
        &mut self,
        now: Instant,
        key: SessionKey,
        syn: &tcp::Header,
        arrival: &Arrival<'_, N::Frame>,
    ) -> Result<(), Counter> {
        let (client, original) = (arrival.ip.source_socket(), arrival.ip.destination_socket());
        let next_hop = self.routes.lookup_from(arrival.interface, client.ip()).ok_or(Counter::NoRoute)?;
        let interface = self.interfaces.get(next_hop.interface);
        let opening = Opening {
            isn: self.isn.isn(now, original, client),
            mss: interface.mss(client.is_ipv6()),
            window_scale: Some(limits::WINDOW_SCALE),
            sack_permitted: true,
            timestamp: Some(TimestampClock::with_offset(self.random.next_u64() as u32)),
        };
        let config = tcp_config(interface.mss(client.is_ipv6()), false);
        let connection = Connection::accept(now, (original.port(), client.port()), &config, syn, opening);
        let path = self.path(original, client, next_hop, limits::TTL, arrival.ip.tos & !ECN_BITS);
        let Some(session) = self.sessions.get_mut(key) else { return Ok(()) };
        let socket = Socket::new(connection, path, key, Leg::Client, session.client_flow);
        session.client_socket = Some(self.shared.sockets.borrow_mut().insert(socket));
        Ok(())
    }

    /// Serves a proxy's `connect()` of a session that has no server yet.
    pub(crate) fn connect_immediately(
        &mut self,
        now: Instant,
        key: SessionKey,
        target: proxy::Target,
    ) -> Result<SocketKey, Counter> {
        let side = self.server_side(now, key, target)?;
        let interface = self.interfaces.get(side.next_hop.interface);
        let opening = Opening {
            isn: self.isn.isn(now, side.local, side.target),
            mss: interface.mss(side.target.is_ipv6()),
            window_scale: Some(limits::WINDOW_SCALE),
            sack_permitted: true,
            timestamp: Some(TimestampClock::with_offset(self.random.next_u64() as u32)),
        };
        self.connect_server(now, key, side, Voice { opening, ecn: false, ttl: limits::TTL, dscp: 0 })
    }

    /// Who the server is, how to get there and as whom.
    fn server_side(&mut self, now: Instant, key: SessionKey, target: proxy::Target) -> Result<ServerSide, Counter> {
        let Some(session) = self.sessions.get(key) else { return Err(Counter::SessionGone) };
        let (client, original, policy) = (session.client, session.original, Arc::clone(&session.policy));
        let service = policy.service(session.service);
        let target = match target {
            proxy::Target::Address(address) => address,
            proxy::Target::Original => service.server(original).ok_or(Counter::NoRoute)?,
        };
        if self.routes.is_own(target.ip()) {
            return Err(Counter::from(DropReason::ConnectedDirectly));
        }
        let next_hop = self.routes.lookup(target.ip()).ok_or(Counter::NoRoute)?;
        let local = self.source(service, client, target, &next_hop)?;
        // A proxy may name a server of the other family, an entry a foreign address of it.
        if local.is_ipv4() != target.is_ipv4() {
            return Err(Counter::NoSourceAddress);
        }
        let key = Key::new(next_hop.interface, TCP, target, local);
        self.clear_time_wait(now, &key)?;
        Ok(ServerSide { target, local, next_hop, key })
    }

    /// Whose address the server sees: the client's own (foreign connect), or a bound one, which a CONNECT entry of
    /// the tproxy table may exchange for a foreign one.
    fn source(
        &mut self,
        service: &Service,
        client: SocketAddr,
        target: SocketAddr,
        next_hop: &NextHop,
    ) -> Result<SocketAddr, Counter> {
        let bound = match service.source {
            Source::Client => return Ok(client),
            Source::Gateway => SocketAddr::new(next_hop.source.ok_or(Counter::NoSourceAddress)?, 0),
            Source::Address(address) => address,
        };
        if bound.is_ipv4() != target.is_ipv4() {
            return Err(Counter::NoSourceAddress);
        }
        let local = self.with_port(bound, client.port(), target, next_hop.interface)?;
        let Some(entry) = self.table.lookup_local(TCP, local) else { return Ok(local) };
        let meant = entry.remote.is_none_or(|remote| remote == target);
        if !entry.flags.contains(Flags::CONNECT) || !meant || !self.claim(&entry) {
            return Ok(local);
        }
        self.with_port(entry.foreign, client.port(), target, next_hop.interface)
    }

    /// Chooses a port where none is given: a free one, of the client port's class (Zorp's `forge_port` GROUP).
    fn with_port(
        &mut self,
        address: SocketAddr,
        like: u16,
        target: SocketAddr,
        interface: InterfaceId,
    ) -> Result<SocketAddr, Counter> {
        if address.port() != 0 {
            return Ok(address);
        }
        let (low, high) = limits::port_class(like);
        let count = u32::from(high - low) + 1;
        let first = self.random.below(count);
        (0..count.min(limits::PORT_TRIES))
            .map(|step| SocketAddr::new(address.ip(), low + ((first + step) % count) as u16))
            .find(|local| self.flows.find(&Key::new(interface, TCP, target, *local)).is_none())
            .ok_or(Counter::PortsExhausted)
    }

    /// The tuple may still be in TIME-WAIT from a connection before; the client's new one takes it over (RFC 6191's
    /// purpose: the client, whose port it is, has left its own TIME-WAIT or it would not use it again).
    fn clear_time_wait(&mut self, now: Instant, key: &Key) -> Result<(), Counter> {
        let Some(id) = self.flows.find(key) else { return Ok(()) };
        let Step::Proxy { session, leg } = self.flows[id] else { return Err(Counter::TupleBusy) };
        let Some(socket) = self.sessions.get(session).and_then(|session| session.socket(leg)) else {
            return Err(Counter::TupleBusy);
        };
        let waiting = self
            .shared
            .sockets
            .borrow()
            .get(socket)
            .is_some_and(|s| s.connection.state() == tcp::State::TimeWait && !s.owned);
        if !waiting {
            return Err(Counter::TupleBusy);
        }
        self.reap(now, socket);
        Ok(())
    }

    /// Makes the server's connection; its SYN goes out at the end of the turn.
    fn connect_server(
        &mut self,
        now: Instant,
        key: SessionKey,
        side: ServerSide,
        voice: Voice,
    ) -> Result<SocketKey, Counter> {
        let ServerSide { target, local, next_hop, key: flow_key } = side;
        let flow = self.flows.insert(flow_key, Step::Proxy { session: key, leg: Leg::Server })?;
        let mss = self.interfaces.get(next_hop.interface).mss(target.is_ipv6());
        let config = tcp_config(mss, voice.ecn);
        let connection = Connection::connect(now, (local.port(), target.port()), &config, voice.opening);
        let path = self.path(local, target, next_hop, voice.ttl, voice.dscp);
        let socket = self.shared.sockets.borrow_mut().insert(Socket::new(connection, path, key, Leg::Server, flow));
        if let Some(session) = self.sessions.get_mut(key) {
            session.server_socket = Some(socket);
            session.server = Some((target, local));
            let limit = now + session.service().connect_timeout;
            self.shared.wheel.borrow_mut().set(limit, Timer::Connect(key, socket));
        }
        Ok(socket)
    }

    /// A path under today's routes.
    pub(crate) fn path(&self, local: SocketAddr, remote: SocketAddr, next_hop: NextHop, ttl: u8, dscp: u8) -> Path {
        Path { local, remote, next_hop, generation: self.policy.generation(), ttl, dscp }
    }
}

/// How our connections behave; the same for all, but for the size of segments and for what a mirrored end can do.
pub(crate) fn tcp_config(mss_max: u16, ecn: bool) -> tcp::Config {
    tcp::Config {
        mss_max,
        ecn,
        receive_buffer: limits::RECEIVE_BUFFER,
        send_buffer: limits::SEND_BUFFER,
        ..tcp::Config::default()
    }
}
