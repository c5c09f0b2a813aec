//! Datagrams of programs: what is led to their sockets, and what they send.
//!
//! A flow between a program and a peer is a UDP flow of the service ([`crate::datagrams`]) with one key, that of what the
//! peer sends: the program is its other end. It begins with a peer's datagram that is led to a socket that listens, or with
//! the program's own to a peer, decided as a connection of a program is; it ends by silence, by the service's total
//! time, with its entry and with its socket. A program's datagram that answers one needs no permission of its own.
//!
//! Both ways have room for so much per socket ([`control::limits::SOCKET_ROOM`]); what comes for a program beyond it is
//! lost and counted. Who sends one that cannot go, or of which the network says that it did not arrive, is told.

use std::net::SocketAddr;

use bytes::Bytes;
use control::handoff::{FromFlow, FromSocket, ToSocket, cost};
use control::limits::SOCKET_ROOM;
use control::policy::{Decision, Moment, NewFlow, PacketFacts, Policy, Verdict};
use control::tproxy::{Flags, Link};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use proxy::Reason;
use tcp::Instant;

use crate::counters::Counter;
use crate::datagrams::Served;
use crate::flow::Key;
use crate::flow::tracking::Direction;
use crate::forward::{Forward, ForwardKey};
use crate::limits;
use crate::link::Delivery;
use crate::nat::Wish;
use crate::nic::Nic;
use crate::packet::emit::{self, Cut, Ends, IpOut};
use crate::packet::{PROTOCOL_UDP, Transport, icmp};
use crate::step::Step;
use crate::worker::{Arrival, Worker};

/// The sockets of datagrams of all programs.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    sockets: HashMap<u64, Socket, FixedState>,
    /// Those that listen, by their own address.
    listening: HashMap<SocketAddr, u64, FixedState>,
    /// Closed ones whose flows are still to be ended.
    closing: Vec<u64>,
    /// Where datagrams that are cut are put together first.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Socket {
    local: SocketAddr,
    peer: Option<SocketAddr>,
    /// What the program's side has room for.
    room: u32,
    /// By the program's ends as it writes them.
    flows: HashMap<Ends, ForwardKey, FixedState>,
}

/// The program's end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    socket: u64,
    /// From whom and to whom the program's datagrams go.
    says: Ends,
    /// The same as it was written: perhaps without a source.
    asked: Ends,
}

impl Sockets {
    /// Peers choose what is hashed: `seed` is nobody's to know.
    fn open(&mut self, socket: u64, local: SocketAddr, seed: u64) {
        let flows = HashMap::with_hasher(FixedState::with_seed(seed));
        let new = Socket { local, peer: None, room: SOCKET_ROOM, flows };
        self.sockets.insert(socket, new);
    }

    fn listen(&mut self, socket: u64, listens: bool) {
        let Some(local) = self.local(socket) else { return };
        if listens {
            self.listening.insert(local, socket);
        } else if self.listening.get(&local) == Some(&socket) {
            self.listening.remove(&local);
        }
    }

    fn close(&mut self, socket: u64) {
        self.listen(socket, false);
        if self.sockets.contains_key(&socket) {
            self.closing.push(socket);
        }
    }

    /// Where a socket stands.
    pub(crate) fn local(&self, socket: u64) -> Option<SocketAddr> {
        self.sockets.get(&socket).map(|socket| socket.local)
    }

    fn flow(&self, socket: u64, says: &Ends) -> Option<ForwardKey> {
        self.sockets.get(&socket)?.flows.get(says).copied()
    }

    fn remember(&mut self, program: &Program, key: ForwardKey) {
        let Some(socket) = self.sockets.get_mut(&program.socket) else { return };
        socket.flows.insert(program.says, key);
        socket.flows.insert(program.asked, key);
    }

    /// A flow has ended.
    pub(crate) fn forget(&mut self, program: &Program) {
        let Some(socket) = self.sockets.get_mut(&program.socket) else { return };
        socket.flows.remove(&program.says);
        socket.flows.remove(&program.asked);
    }

    /// Takes room for something that is to be said to a program.
    fn take_room(&mut self, socket: u64, cost: u32) -> bool {
        let Some(socket) = self.sockets.get_mut(&socket) else { return false };
        let Some(left) = socket.room.checked_sub(cost) else { return false };
        socket.room = left;
        true
    }
}

impl<N: Nic> Worker<N> {
    /// What is said about a socket of datagrams.
    pub(super) fn hear_socket(&mut self, now: Instant, socket: u64, message: ToSocket) {
        let sockets = &mut self.handoff.sockets;
        match message {
            ToSocket::Open { local } => sockets.open(socket, local, self.random.next_u64()),
            ToSocket::Listen(listens) => sockets.listen(socket, listens),
            ToSocket::Peer(peer) => {
                if let Some(socket) = sockets.sockets.get_mut(&socket) {
                    socket.peer = Some(peer);
                }
            }
            ToSocket::Datagram { source, destination, bytes } => {
                let said = Ends { source, destination };
                self.say_to_program(socket, FromSocket::Taken(cost(bytes.len())));
                if let Err(errno) = self.program_says(now, socket, said, &bytes) {
                    self.counters.count(Counter::HandoffDatagramsRefused);
                    self.tell_program(socket, said, errno);
                }
            }
            ToSocket::Taken(room) => {
                if let Some(socket) = sockets.sockets.get_mut(&socket) {
                    socket.room = socket.room.saturating_add(room).min(SOCKET_ROOM);
                }
            }
            ToSocket::Close => sockets.close(socket),
        }
    }

    /// Ends the flows of sockets that were closed, some in each turn. Gives how many.
    pub(super) fn end_closed_sockets(&mut self) -> usize {
        let mut ended = 0;
        while let Some(&socket) = self.handoff.sockets.closing.last() {
            let Some(found) = self.handoff.sockets.sockets.get_mut(&socket) else {
                self.handoff.sockets.closing.pop();
                continue;
            };
            let left = limits::LINKED_PER_TURN - ended;
            let ends: Vec<Ends> = found.flows.keys().take(left).copied().collect();
            let keys: Vec<ForwardKey> = ends.iter().filter_map(|ends| found.flows.remove(ends)).collect();
            if keys.is_empty() {
                self.handoff.sockets.sockets.remove(&socket);
                self.handoff.sockets.closing.pop();
                continue;
            }
            ended += keys.len();
            for key in keys {
                self.datagrams_end(key, Some(Reason::Finished));
                self.remove_forward(key);
            }
            if ended >= limits::LINKED_PER_TURN {
                break;
            }
        }
        ended
    }

    /// The first datagram of a flow to a program, let in by the firewall and the zones.
    pub(crate) fn open_to_program(
        &mut self,
        now: Instant,
        key: Key,
        arrival: &Arrival<'_, N::Frame>,
        decision: &Decision,
        (served, local): (Box<Served>, SocketAddr),
    ) {
        let Some(&socket) = self.handoff.sockets.listening.get(&local) else {
            self.counters.count(Counter::HandoffRefused);
            return self.send_icmp_error(now, arrival, icmp::ErrorKind::Unreachable(icmp::Unreachable::Port));
        };
        self.counters.count(Counter::HandoffOffered);
        let says = Ends { source: key.destination(), destination: key.source() };
        let program = Program { socket, says, asked: says };
        let served = Box::new(served.with(program));
        if let Ok(flow) = self.insert_programs(now, key, Direction::Original, decision, served) {
            self.pass_to_program(now, flow, arrival);
        }
    }

    /// Puts a flow of a program into the tables; its errno if there is no room.
    fn insert_programs(
        &mut self,
        now: Instant,
        key: Key,
        direction: Direction,
        decision: &Decision,
        served: Box<Served>,
    ) -> Result<ForwardKey, &'static str> {
        self.sessions_started += 1;
        let (id, generation) = (self.sessions_started, self.policy.generation());
        let program = served.program;
        let holds = self.memory.take_holds();
        let forward = Forward::of_program((id, generation), now, &key, direction, decision, (served, holds));
        let expires = forward.expires();
        let flow = self.forwards.insert(forward);
        match self.flows.insert(key, Step::Forward { forward: flow, direction }) {
            Ok(id) => self.forwards[flow].flows[direction as usize] = Some(id),
            Err(refused) => {
                self.counters.count(refused);
                self.remove_forward(flow);
                return Err("ENOBUFS");
            }
        }
        self.datagrams_begin(flow);
        self.shared.wheel.borrow_mut().set(expires, crate::socket::Timer::Forward(flow));
        if let Some(program) = &program {
            self.handoff.sockets.remember(program, flow);
        }
        Ok(flow)
    }

    /// A datagram of a peer to its program.
    pub(crate) fn pass_to_program(&mut self, now: Instant, key: ForwardKey, arrival: &Arrival<'_, N::Frame>) {
        let Some(forward) = self.forwards.get_mut(key) else { return };
        let Some(program) = forward.program() else { return };
        let Transport::Udp { payload, .. } = &arrival.ip.kind else { return };
        let (bytes, at) = (&arrival.data()[payload.clone()], program.says.reversed());
        if !self.handoff.sockets.take_room(program.socket, cost(bytes.len())) {
            return self.counters.count(Counter::HandoffDatagramsLost);
        }
        forward.note(now, bytes.len());
        let bytes = Bytes::copy_from_slice(bytes);
        let message = FromSocket::Datagram { source: at.source, destination: at.destination, bytes };
        self.say_to_program(program.socket, message);
    }

    /// A datagram of a program.
    fn program_says(&mut self, now: Instant, socket: u64, said: Ends, bytes: &[u8]) -> Result<(), &'static str> {
        let Some(known) = self.handoff.sockets.sockets.get(&socket) else { return Ok(()) };
        let destination = match (said.destination.port(), known.peer) {
            (0, peer) => peer.ok_or("EDESTADDRREQ")?,
            _ => said.destination,
        };
        let asked = Ends { destination, ..said };
        let local = known.local;
        let flow = self.handoff.sockets.flow(socket, &asked).filter(|flow| !self.is_over(*flow));
        let flow = match flow {
            Some(flow) => flow,
            None => self.begin_to_peer(now, socket, local, asked)?,
        };
        let Some(forward) = self.forwards.get_mut(flow) else { return Err("ENOBUFS") };
        let Some(Program { says, .. }) = forward.program() else { return Err("ENOBUFS") };
        self.send_datagram(now, says, bytes)?;
        if let Some(forward) = self.forwards.get_mut(flow) {
            forward.said_by_program(now, bytes.len(), flow, &self.shared.wheel);
        }
        Ok(())
    }

    /// Its entry has changed, and the walk has not come to it yet.
    fn is_over(&mut self, flow: ForwardKey) -> bool {
        let over =
            self.may_be_unlinked() && self.forwards.get(flow).is_some_and(|forward| self.has_lost_its_entry(forward));
        if over {
            self.end_by_entry(flow);
        }
        over
    }

    /// A flow that a program begins: foreign connect. The order is that of connections ([`super::connect`]).
    fn begin_to_peer(
        &mut self,
        now: Instant,
        socket: u64,
        local: SocketAddr,
        asked: Ends,
    ) -> Result<ForwardKey, &'static str> {
        if self.draining {
            return Err("ENETDOWN");
        }
        let remote = asked.destination;
        let seen = self.table.changes();
        let entry = match self.table.lookup_local(PROTOCOL_UDP, local) {
            Some(entry) if entry.remote.is_none_or(|meant| meant == remote) => entry,
            // Used up, gone, not for connecting, or for another peer.
            _ => return Err("EADDRNOTAVAIL"),
        };
        let foreign = if entry.mark_only() { local } else { entry.foreign };
        if asked.source.port() != 0
            && (asked.source.ip() != foreign.ip() || ![0, asked.source.port()].contains(&foreign.port()))
        {
            return Err("EADDRNOTAVAIL");
        }
        let next_hop = self.routes.lookup(remote.ip()).ok_or("ENETUNREACH")?;
        let wish = match (asked.source.port(), foreign.port()) {
            (0, 0) => Wish { address: foreign.ip(), prefer: None, ports: Some(limits::port_class(local.port())) },
            (0, port) | (port, _) => Wish::exactly(SocketAddr::new(foreign.ip(), port)),
        };
        let interface = next_hop.interface;
        let source = self.free_source(PROTOCOL_UDP, &wish, remote, interface).map_err(|_| "EADDRINUSE")?;
        let packet = PacketFacts {
            at: Moment { micros: now.as_micros(), unix_seconds: self.wall_clock(now) },
            ..PacketFacts::default()
        };
        let flow = NewFlow { interface, protocol: PROTOCOL_UDP, source, destination: remote, packet };
        self.memory.release_holds();
        let policy = std::sync::Arc::clone(&self.policy);
        let decision = policy.decide_program_connect(&flow, &mut self.memory);
        let link = (!entry.flags.contains(Flags::ONCE)).then(|| entry.link(seen));
        let key = Key::new(interface, PROTOCOL_UDP, remote, source);
        let served = self.admit_to_peer(&policy, &key, &decision, link)?;
        if !self.claim(&entry) {
            return Err("EADDRNOTAVAIL");
        }
        let program = Program { socket, says: Ends { source, destination: remote }, asked };
        let served = Box::new(served.with(program));
        self.counters.count(Counter::HandoffConnects);
        self.insert_programs(now, key, Direction::Reply, &decision, served)
    }

    fn admit_to_peer(
        &mut self,
        policy: &std::sync::Arc<Policy>,
        key: &Key,
        decision: &Decision,
        link: Option<Link>,
    ) -> Result<Served, &'static str> {
        let service = match decision.verdict {
            Verdict::Proxy { service, .. } => service,
            Verdict::Drop(reason) => {
                self.counters.count(reason);
                return Err("EACCES");
            }
            _ => return Err("EACCES"),
        };
        let admitted =
            self.admit_session(policy.service(service)).and_then(|()| self.admit_client(key.destination().ip()));
        admitted.map_err(|full| {
            self.counters.count(full);
            "ENOBUFS"
        })?;
        Ok(Served::new(policy, service, None, decision, [link, None]))
    }

    /// Sends a datagram of our own making: whole where it fits the link, else in fragments.
    fn send_datagram(&mut self, now: Instant, ends: Ends, bytes: &[u8]) -> Result<(), &'static str> {
        let next_hop = self.routes.lookup(ends.destination.ip()).ok_or("ENETUNREACH")?;
        let interface = self.interfaces.get(next_hop.interface);
        let (limit, offloads) = (usize::from(interface.mtu), interface.offloads);
        let random = self.random.next_u64();
        let ip = IpOut { identification: random as u16, ..IpOut::new(ends.source.ip(), ends.destination.ip()) };
        let ports = (ends.source.port(), ends.destination.port());
        let mut datagram = std::mem::take(&mut self.handoff.sockets.scratch);
        let written = emit::datagram(&mut datagram, &ip, ports, bytes);
        let fits = ip.source.is_ipv6() && datagram.len() <= limit;
        let repeated = datagram.len().saturating_sub(8 + bytes.len());
        let cut = Cut { limit, repeated, next_at: 6, identification: (random >> 32) as u32, dont_fragment: false };
        let mut sent = written.map_err(|_| "EMSGSIZE");
        let mut at = sent.is_ok().then_some(0);
        while let Some(begin) = at.take() {
            let Some(frame) = self.nic.allocate() else {
                self.counters.count(Counter::NoMemory);
                sent = Err("ENOBUFS");
                break;
            };
            let delivery = self.deliver(now, &next_hop, frame, |frame, link| {
                if fits {
                    return emit::udp(frame, link, &ip, ports.0, ports.1, std::iter::once(bytes), &offloads).is_ok();
                }
                let written = emit::piece(frame, link, &datagram, &cut, begin);
                at = written.ok().flatten();
                written.is_ok()
            });
            match delivery {
                Delivery::Done => {}
                Delivery::Lost => sent = Err("ENOBUFS"),
                Delivery::Unreachable => sent = Err("EHOSTUNREACH"),
            }
            if sent.is_err() {
                break;
            }
            if at.is_some() || begin > 0 {
                self.counters.count(Counter::Fragmented);
            }
        }
        self.handoff.sockets.scratch = datagram;
        sent
    }

    /// The network says of a program's datagram that it did not arrive.
    pub(crate) fn program_told(&mut self, program: Program, kind: icmp::ErrorKind) {
        self.tell_program(program.socket, program.says, errno(kind, program.says.source.is_ipv6()));
    }

    fn tell_program(&mut self, socket: u64, said: Ends, errno: &'static str) {
        if !self.handoff.sockets.take_room(socket, cost(0)) {
            return self.counters.count(Counter::HandoffDatagramsLost);
        }
        let Ends { source, destination } = said;
        self.say_to_program(socket, FromSocket::Fault { source, destination, errno });
    }

    fn say_to_program(&self, socket: u64, message: FromSocket) {
        if let Some(end) = &self.handoff.end {
            // A thread that is gone takes its programs along.
            let _ = end.to_programs.send(FromFlow::Socket { socket, message });
        }
    }
}

/// What Linux makes of an ICMP error for a UDP socket.
fn errno(kind: icmp::ErrorKind, ipv6: bool) -> &'static str {
    use icmp::Unreachable;
    match kind {
        icmp::ErrorKind::Unreachable(unreachable) => match unreachable {
            Unreachable::Port => "ECONNREFUSED",
            Unreachable::Net => "ENETUNREACH",
            Unreachable::Protocol => "ENOPROTOOPT",
            Unreachable::SourceRouteFailed => "EOPNOTSUPP",
            Unreachable::AdminProhibited if ipv6 => "EACCES",
            Unreachable::NetAdminProhibited => "ENETUNREACH",
            Unreachable::AdminProhibited | Unreachable::HostAdminProhibited => "EHOSTUNREACH",
            Unreachable::Host | Unreachable::Other => "EHOSTUNREACH",
        },
        icmp::ErrorKind::TooBig { .. } => "EMSGSIZE",
        icmp::ErrorKind::TimeExceeded { .. } => "EHOSTUNREACH",
        icmp::ErrorKind::ParameterProblem { .. } => "EPROTO",
    }
}
