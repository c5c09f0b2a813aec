//! The server's side of a session: who the server is, as whom it is spoken to, and the connection.
//!
//! A mirrored handshake asks for the first two and speaks in the client's voice; a proxy's `connect()` of a session that
//! has no server yet makes a connection in our own.

use std::net::SocketAddr;
use std::sync::Arc;

use control::policy::{DropReason, InterfaceId, NatRange, Policy, Search, Service, Source};
use control::tproxy::Flags;
use tcp::{Connection, Flow, Instant};

use super::SessionKey;
use super::server::Asking;
use crate::counters::Counter;
use crate::flow::Key;
use crate::limits;
use crate::nic::Nic;
use crate::route::NextHop;
use crate::socket::{IpMarks, Leg, Path, Socket, SocketKey};
use crate::step::Step;
use crate::worker::Worker;

/// IP protocol number of TCP.
const TCP: u8 = 6;

/// The server's side of a flow before it exists: where it goes and under which tuple.
#[derive(Clone, Copy)]
pub(crate) struct ServerSide {
    target: SocketAddr,
    local: SocketAddr,
    next_hop: NextHop,
    pub(crate) key: Key,
}

impl<N: Nic> Worker<N> {
    /// Serves a proxy's `connect()` of a session that has no server yet.
    pub(crate) fn connect_immediately(
        &mut self,
        now: Instant,
        key: SessionKey,
        target: proxy::Target,
    ) -> Result<SocketKey, Counter> {
        let Some(session) = self.sessions.get(key) else { return Err(Counter::SessionGone) };
        let (mut asking, policy) = (Asking::of(session), Arc::clone(&session.policy));
        // Who names a server means that one, and none of the router's in its place.
        if matches!(target, proxy::Target::Address(_)) {
            asking.search = Search::default();
        }
        asking.last_server = self.sessions.get(key).and_then(|session| session.server).map(|(server, _)| server);
        let search = asking.search;
        let mut side = self.server_side(now, &policy, &mut asking, target);
        if matches!(side, Err(Counter::TupleBusy)) && !asking.port_is_used {
            asking.port_is_used = true;
            asking.search = search;
            side = self.server_side(now, &policy, &mut asking, target);
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.search = asking.search;
        }
        let side = side?;
        let ServerSide { target, local, next_hop, key: flow_key } = side;
        let flow = self.flows.insert(flow_key, Step::Proxy { session: key, leg: Leg::Server })?;
        let mss = self.interfaces.get(next_hop.interface).mss(target.is_ipv6());
        let opening = self.own_opening(now, &Flow { local, remote: target }, mss);
        let connection = Connection::connect(now, (local.port(), target.port()), &tcp_config(mss, false), opening);
        let marks = self.own_marks(0);
        let path = self.path(local, target, next_hop, marks);
        let socket = self.shared.sockets.borrow_mut().insert(Socket::new(connection, path, key, Leg::Server, flow));
        if let Some(session) = self.sessions.get_mut(key) {
            session.server_socket = Some(socket);
            session.server = Some((target, local));
            let limit = now + session.service().connect_timeout;
            self.shared.be_patient(limit, key, socket);
        }
        Ok(socket)
    }

    /// Who the server is, how to get there and as whom.
    pub(crate) fn server_side(
        &mut self,
        now: Instant,
        policy: &Policy,
        asking: &mut Asking,
        target: proxy::Target,
    ) -> Result<ServerSide, Counter> {
        let (target, nat) = self.choose_server(now, policy, asking, target)?;
        let service = policy.service(asking.service);
        if self.routes.is_own(target.ip()) {
            return Err(Counter::from(DropReason::ConnectedDirectly));
        }
        let next_hop = self.routes.lookup(target.ip()).ok_or(Counter::NoRoute)?;
        asking.port_is_used |= asking.last_server == Some(target);
        let local = self.source(service, asking, target, &next_hop, nat.source)?;
        // A proxy may name a server of the other family, an entry a foreign address of it.
        if local.is_ipv4() != target.is_ipv4() {
            return Err(Counter::NoSourceAddress);
        }
        let key = Key::new(next_hop.interface, TCP, target, local);
        self.clear_time_wait(&key)?;
        Ok(ServerSide { target, local, next_hop, key })
    }

    /// Whose address the server sees: the client's own (foreign connect), or a bound one, which a CONNECT entry of
    /// the tproxy table may exchange for a foreign one.
    fn source(
        &mut self,
        service: &Service,
        asking: &Asking,
        target: SocketAddr,
        next_hop: &NextHop,
        nat: Option<NatRange>,
    ) -> Result<SocketAddr, Counter> {
        let client = asking.client;
        let ports = Self::source_ports(service, client);
        let bound = match service.source {
            _ if let Some(nat) = nat => {
                let port = nat.ports.filter(|(first, last)| first == last).map_or(0, |(port, _)| port);
                let address = nat.address().unwrap_or(client.ip());
                let ports = nat.ports.unwrap_or(ports);
                return self.with_port(SocketAddr::new(address, port), ports, target, next_hop.interface);
            }
            Source::Client if service.forge_port.is_none() && !asking.port_is_used => return Ok(client),
            Source::Client => SocketAddr::new(client.ip(), 0),
            Source::Gateway => SocketAddr::new(next_hop.source.ok_or(Counter::NoSourceAddress)?, 0),
            Source::Address(address) => address,
        };
        if bound.is_ipv4() != target.is_ipv4() {
            return Err(Counter::NoSourceAddress);
        }
        let local = self.with_port(bound, ports, target, next_hop.interface)?;
        let Some(entry) = self.table.lookup_local(TCP, local) else { return Ok(local) };
        let meant = entry.remote.is_none_or(|remote| remote == target);
        if !entry.flags.contains(Flags::CONNECT) || !meant || !self.claim(&entry) {
            return Ok(local);
        }
        self.with_port(entry.foreign, ports, target, next_hop.interface)
    }

    /// Chooses a port where none is given: a free one of the range.
    pub(crate) fn with_port(
        &mut self,
        address: SocketAddr,
        (low, high): (u16, u16),
        target: SocketAddr,
        interface: InterfaceId,
    ) -> Result<SocketAddr, Counter> {
        if address.port() != 0 {
            return Ok(address);
        }
        let count = u32::from(high - low) + 1;
        let first = self.random.below(count);
        (0..count.min(limits::PORT_TRIES))
            .map(|step| SocketAddr::new(address.ip(), low + ((first + step) % count) as u16))
            .find(|local| self.flows.find(&Key::new(interface, TCP, target, *local)).is_none())
            .ok_or(Counter::PortsExhausted)
    }

    /// The tuple may still be in TIME-WAIT from a connection before; the client's new one takes it over (RFC 6191's
    /// purpose: the client, whose port it is, has left its own TIME-WAIT or it would not use it again).
    pub(crate) fn clear_time_wait(&mut self, key: &Key) -> Result<(), Counter> {
        let Some(id) = self.flows.find(key) else { return Ok(()) };
        let Step::TimeWait { key } = self.flows[id] else { return Err(Counter::TupleBusy) };
        self.forget_time_wait(key);
        Ok(())
    }

    /// A path under today's routes.
    pub(crate) fn path(&self, local: SocketAddr, remote: SocketAddr, next_hop: NextHop, marks: IpMarks) -> Path {
        Path { local, remote, next_hop, generation: self.policy.generation(), marks }
    }
}

/// How our connections behave; the same for all, but for the size of segments and for what a mirrored end can do.
pub(crate) fn tcp_config(mss_max: u16, ecn: bool) -> tcp::Config {
    tcp::Config {
        mss_max,
        ecn,
        receive_buffer: limits::RECEIVE_BUFFER,
        send_buffer: limits::SEND_BUFFER,
        initial_buffer: Some(limits::INITIAL_BUFFER),
        ..tcp::Config::default()
    }
}
