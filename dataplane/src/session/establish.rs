//! From a handshake to a session: the client has answered, both connections are made as if they had been there all the
//! time, and the proxy begins.
//!
//! What must hold: a session counts against its service and its core from here on, so that SYNs alone use up neither.
//! Who finds no room is reset on both sides, for both have an answer.

use std::rc::Rc;

use control::policy::{Proxy, Service, ZoneId};
use proxy::{SessionId, SessionInfo};
use smallvec::{SmallVec, smallvec};
use tcp::{Connection, Ecn, Instant, Segment};

use super::half_open::HalfOpenKey;
use super::serve::EndGuard;
use super::{Session, SessionKey, connect};
use crate::counters::Counter;
use crate::flow::FlowId;
use crate::limits;
use crate::modules;
use crate::nic::{Frame, Nic};
use crate::packet::Transport;
use crate::piece::Piece;
use crate::socket::{ECN_BITS, IpMarks, Leg, Path, Socket};
use crate::step::Step;
use crate::stream::{CoreHost, SocketStream};
use crate::worker::{Arrival, SliceOf, Worker};

/// A connection and the way of its segments.
type Wired<P> = (Connection<P>, Path);

impl<N: Nic> Worker<N> {
    /// The client's ACK is here.
    pub(crate) fn establish(&mut self, now: Instant, id: HalfOpenKey, arrival: Arrival<'_, N::Frame>) {
        let Transport::Tcp { header, payload } = &arrival.ip.kind else { return };
        let Some((key, record)) = self.half_open_leg(id, Leg::Client) else { return };
        let (client, original, embryo) = (key.source(), key.destination(), record.embryo);
        if let Err(full) = self.admit_session(record.service()) {
            self.counters.count(full);
            return self.cut_half_open(now, id, proxy::Reason::ConnectLimit);
        }
        if self.needs_nobody(id, header) {
            return self.release_handshake(now, id, arrival);
        }
        let Some(next_hop) = self.routes.lookup_from(key.interface(), client.ip()) else {
            self.counters.count(Counter::NoRoute);
            return self.cut_half_open(now, id, proxy::Reason::ClientUnreachable);
        };
        let config = connect::tcp_config(self.interfaces.get(next_hop.interface).mss(client.is_ipv6()), false);
        let mut connection = embryo.client_leg(now, (original.port(), client.port()), &config);
        let payload = payload.clone();
        let header = *header;
        let ecn = Ecn::from_bits(arrival.ip.tos);
        let payload = if payload.is_empty() {
            SmallVec::new()
        } else {
            smallvec![Piece::Received(arrival.frame.into_slice(payload))]
        };
        match connection.handle_segment(now, Segment { header, payload, ecn }) {
            Ok(_) if connection.state().is_synchronized() => {}
            Ok(_) => return self.counters.count(Counter::TcpOutOfState),
            Err(discard) => return self.counters.count(discard),
        }
        self.neighbours.confirm(now, next_hop.interface, next_hop.neighbour);
        let Some(server) = self.server_leg(id) else {
            return self.cut_half_open(now, id, proxy::Reason::ConnectUnreachable);
        };
        if !self.half_open.get(id).is_some_and(|record| record.decided().accept()) {
            self.counters.count(Counter::ListenerOver);
            return self.cut_half_open(now, id, proxy::Reason::ConnectLimit);
        }
        let Some((session, server, marks)) = self.hatch(id, server) else { return };
        let marks = self.after_syn_ack(marks);
        let path = self.path(original, client, next_hop, marks);
        self.begin(now, session, (connection, path), server);
    }

    /// The server's connection of a mirrored handshake; `Some(None)`: it has none.
    #[expect(clippy::option_option, reason = "the outer one says that there is no way to the server any more")]
    fn server_leg(&self, id: HalfOpenKey) -> Option<Option<Wired<SliceOf<N>>>> {
        let record = self.half_open.get(id)?;
        let Some(flow) = record.server_flow() else { return Some(None) };
        let key = self.flows.key(flow)?;
        let (target, local) = (key.source(), key.destination());
        let next_hop = self.routes.lookup(target.ip()).filter(|hop| hop.interface == key.interface())?;
        let config = connect::tcp_config(self.interfaces.get(next_hop.interface).mss(target.is_ipv6()), false);
        let connection = record.embryo.server_leg((local.port(), target.port()), &config)?;
        Some(Some((connection, self.path(local, target, next_hop, record.syn_marks))))
    }

    /// The record becomes a session.
    #[expect(clippy::type_complexity, reason = "what comes out of a record, once")]
    fn hatch(
        &mut self,
        id: HalfOpenKey,
        server: Option<Wired<SliceOf<N>>>,
    ) -> Option<(Session, Option<(FlowId, Wired<SliceOf<N>>)>, IpMarks)> {
        let session = self.half_open.get(id)?.session(&self.flows)?;
        let record = self.half_open.remove(session.interface, id)?;
        self.shared.wheel.borrow_mut().cancel(record.timer);
        Some((session, record.server_flow().zip(server), record.answer_marks))
    }

    /// Is there room for one more session?
    pub(crate) fn admit_session(&self, service: &Service) -> Result<(), Counter> {
        if self.serving >= self.capacity.sessions {
            return Err(Counter::SessionTableFull);
        }
        let running = self.per_service.get(&service.name).copied().unwrap_or(0);
        if running >= service.max_sessions { Err(Counter::ServiceFull) } else { Ok(()) }
    }

    /// A session whose client is there: its connections, and the proxy with both streams.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        session: Session,
        client: Wired<SliceOf<N>>,
        server: Option<(FlowId, Wired<SliceOf<N>>)>,
    ) {
        let client_flow = session.client_flow;
        let key = self.begin_session(session);
        let mut place = |flow: FlowId, leg: Leg, (connection, path): Wired<SliceOf<N>>| {
            self.flows[flow] = Step::Proxy { session: key, leg };
            self.shared.sockets.borrow_mut().insert(Socket::new(connection, path, key, leg, flow))
        };
        let client_socket = place(client_flow, Leg::Client, client);
        let server_socket = server.map(|(flow, wired)| place(flow, Leg::Server, wired));
        if let Some(session) = self.sessions.get_mut(key) {
            session.last = now;
            (session.client_socket, session.server_socket) = (Some(client_socket), server_socket);
        }
        self.counters.count(Counter::SessionsServed);
        self.start_proxy(key);
    }

    /// From here on it counts.
    pub(crate) fn begin_session(&mut self, session: Session) -> SessionKey {
        self.serving += 1;
        *self.per_service.entry_ref(session.service().name.as_str()).or_insert(0) += 1;
        self.sessions.insert(session)
    }

    fn start_proxy(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(client) = session.client_socket else { return };
        let service = session.policy.service(session.service);
        if service.proxy() == Some(Proxy::Handoff) {
            return self.offer(key);
        }
        let zone = |id: Option<ZoneId>| id.map(|id| Rc::from(session.policy.zone_name(id)));
        let given = proxy::Session {
            id: SessionId(session.id),
            host: CoreHost::new(&self.shared, key, &session.policy),
            client: SocketStream::own(&self.shared, client),
            info: SessionInfo {
                client: session.client,
                original_destination: session.original,
                service: Rc::from(service.name.as_str()),
                client_zone: zone(session.client_zone),
                server_zone: zone(session.server_zone),
                interface: Rc::from(self.interfaces.get(session.interface).name.as_str()),
                idle: service.idle,
                total: service.total,
            },
        };
        let guard = EndGuard::new(&self.shared, key);
        // The configuration's reader gives every service that has a proxy its module.
        let Some(module) = modules::of(service) else { return };
        let task = self.shared.executor.spawn(async move { guard.end(proxy::serve(given, module).await) });
        session.task = Some(task);
    }
}

impl<N: Nic> Worker<N> {
    /// IP marks of what follows a SYN-ACK with these: a Linux host's SYN-ACK has identification 0, the rest of its
    /// segments count from a number of the connection's own.
    fn after_syn_ack(&mut self, mut marks: IpMarks) -> IpMarks {
        if marks.identification == 0 {
            marks.identification = self.random.next_u64() as u16 | 1;
        }
        marks
    }

    /// IP marks of a connection in our own voice.
    pub(crate) fn own_marks(&mut self, tos: u8) -> IpMarks {
        let random = self.random.next_u64();
        IpMarks {
            flow_label: (random >> 16) as u32 & 0x000f_ffff,
            identification: random as u16 | 1,
            ttl: limits::TTL,
            dscp: tos & !ECN_BITS,
        }
    }
}
