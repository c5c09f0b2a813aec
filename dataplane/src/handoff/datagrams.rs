//! Datagrams of programs: what is led to their sockets, and what they send.
//!
//! A flow between a program and a peer is a UDP flow of the service ([`crate::datagrams`]) with one key, that of what the
//! peer sends: the program is its other end. It begins with a peer's datagram that is led to a socket that listens, or with
//! the program's own to a peer, decided as a connection of a program is; it ends by silence, by the service's total
//! time, with its entry and with its socket. A program's datagram that answers one needs no permission of its own.
//!
//! Both ways have room for so much per socket ([`control::limits::SOCKET_ROOM`]); what comes for a program beyond it is
//! lost and counted. Who sends one that cannot go, or of which the network says that it did not arrive, is told.

mod begin;
mod sockets;

use std::net::SocketAddr;

use bytes::Bytes;
use control::handoff::{FromFlow, FromSocket, ToSocket, cost};
use control::limits::SOCKET_ROOM;
use control::policy::Decision;
use proxy::Reason;
use tcp::Instant;

use crate::counters::Counter;
use crate::datagrams::Served;
use crate::flow::Key;
use crate::flow::tracking::Direction;
use crate::forward::{Forward, ForwardKey};
use crate::limits;
use crate::nic::Nic;
use crate::packet::emit::Ends;
use crate::packet::{Transport, icmp};
use crate::step::Step;
use crate::worker::{Arrival, Worker};

pub(crate) use sockets::{Program, Sockets};

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
        self.watch_forward(flow, expires);
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
        let Some(known) = self.handoff.sockets.sockets.get(&socket) else { return Err("EBADF") };
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
    pub(super) fn is_over(&mut self, flow: ForwardKey) -> bool {
        let over =
            self.may_be_unlinked() && self.forwards.get(flow).is_some_and(|forward| self.has_lost_its_entry(forward));
        if over {
            self.end_by_entry(flow);
        }
        over
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
