//! The mirrored handshake, steps 2 and 3: what the server says to our SYN, the client is told in the server's words.
//!
//! | the server leg | the client gets |
//! | - | - |
//! | SYN-ACK | a SYN-ACK with the server's sequence number, MSS (clamped), window scale, SACK-permitted, timestamps |
//! | RST | that RST, to its SYN (RFC 9293 3.10.7.3) |
//! | ICMP error from the network | that error, quoting its own SYN |
//! | no neighbour: nobody answers ARP or ND | our host unreachable, as a router sends it (RFC 1812 5.2.7.1) |
//! | nothing | nothing |
//!
//! The server's SYN-ACK is acknowledged only when the client has acknowledged ours: who forges SYNs from addresses of
//! others gets the server no further than a half-open connection, as without a gateway.

use tcp::{Connection, Instant, Opening};

use super::open::{ECN_BITS, tcp_config};
use super::{Ended, SessionKey};
use crate::counters::Counter;
use crate::nic::Nic;
use crate::packet::{Ip, icmp};
use crate::socket::{Leg, Socket, SocketKey};
use crate::worker::Worker;

impl<N: Nic> Worker<N> {
    /// A SYN-ACK has come: the held client gets its own.
    pub(crate) fn mirror_answer(&mut self, now: Instant, key: SessionKey, answer: &Ip) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let (Some(held), Some(server)) = (session.held.take(), session.server_socket) else { return };
        let (client, original, flow) = (session.client, session.original, session.client_flow);
        let Some(next_hop) = self.routes.lookup_from(session.interface, client.ip()) else {
            self.counters.count(Counter::NoRoute);
            return self.cut(now, key, Ended::unserved(proxy::Reason::ClientUnreachable));
        };
        let interface = self.interfaces.get(next_hop.interface);
        let mss_max = interface.mss(client.is_ipv6());
        let (opening, ecn) = {
            let mut sockets = self.shared.sockets.borrow_mut();
            let Some(server) = sockets.get_mut(server) else { return };
            let Some(peer) = server.connection.peer_syn() else { return };
            server.muted = true;
            (Opening::mirror(now, &peer, mss_max), peer.does_ecn())
        };
        let config = tcp_config(mss_max, ecn);
        let connection = Connection::accept(now, (original.port(), client.port()), &config, &held.syn, opening);
        let path = self.path(original, client, next_hop, answer.ttl.saturating_sub(1).max(1), answer.tos & !ECN_BITS);
        let socket = Socket::new(connection, path, key, Leg::Client, flow);
        let socket = self.shared.sockets.borrow_mut().insert(socket);
        if let Some(session) = self.sessions.get_mut(key) {
            session.client_socket = Some(socket);
        }
    }

    /// The server leg has ended before it was established, by RST or for want of an answer.
    pub(crate) fn mirror_failure(&mut self, now: Instant, key: SessionKey, error: Option<tcp::Error>) {
        let Some(held) = self.sessions.get_mut(key).and_then(|session| session.held.take()) else { return };
        let reason = match error {
            Some(tcp::Error::Refused | tcp::Error::Reset) => {
                self.counters.count(Counter::MirrorRefused);
                self.refuse_held(now, key, &held);
                proxy::Reason::ConnectRefused
            }
            Some(tcp::Error::Unreachable) => {
                self.counters.count(Counter::MirrorUnreachable);
                proxy::Reason::ConnectUnreachable
            }
            _ => {
                self.counters.count(Counter::MirrorSilent);
                proxy::Reason::ConnectTimedOut
            }
        };
        self.cut(now, key, Ended::unserved(reason));
    }

    /// An ICMP error about our SYN: the client gets it about its own, from the same router.
    pub(crate) fn mirror_icmp(&mut self, now: Instant, key: SessionKey, from: std::net::IpAddr, error: &icmp::Error) {
        let Some(held) = self.sessions.get_mut(key).and_then(|session| session.held.take()) else { return };
        self.counters.count(Counter::MirrorUnreachable);
        self.tell_held(now, key, &held.packet, from, error.wire);
        self.cut(now, key, Ended::unserved(proxy::Reason::ConnectUnreachable));
    }

    /// Nobody answers for the server's address on its link: we are the router that says so.
    pub(crate) fn mirror_no_neighbour(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let (interface, client) = (session.interface, session.client);
        let Some(held) = session.held.take() else { return };
        self.counters.count(Counter::MirrorUnreachable);
        if let Some(ours) = self.routes.source_for(interface, client.ip()) {
            let wire = icmp::ErrorKind::Unreachable(icmp::Unreachable::Host).wire(client.is_ipv6());
            self.tell_held(now, key, &held.packet, ours, wire);
        }
        self.cut(now, key, Ended::unserved(proxy::Reason::ConnectUnreachable));
    }

    /// Something came from a client whose SYN is held: its own retransmission needs no answer (our SYN has its own
    /// timer); its RST takes the SYN back; a new SYN with another number is a new attempt under the old tuple.
    pub(crate) fn while_held(&mut self, now: Instant, key: SessionKey, header: &tcp::Header) -> bool {
        let Some(held) = self.sessions.get(key).and_then(|session| session.held.as_ref()) else {
            self.counters.count(Counter::TcpOutOfState);
            return false;
        };
        let same = header.seq == held.syn.seq;
        let syn = header.flags.contains(tcp::Flags::SYN);
        let reset = header.flags.contains(tcp::Flags::RST);
        match (syn, reset) {
            (true, false) if same => self.counters.count(Counter::MirrorSynRepeated),
            (true, false) => {
                // A SYN-SENT connection says nothing when it is given up; its tuple is free for the new SYN at once.
                if let Some(server) = self.sessions.get(key).and_then(|session| session.server_socket) {
                    self.reap(now, server);
                }
                self.cut(now, key, Ended::unserved(proxy::Reason::ClientReset));
                return true;
            }
            // RFC 9293 3.10.7.4: a RST counts when its sequence number is the next one expected.
            (false, true) if header.seq == held.syn.seq + 1 => {
                self.cut(now, key, Ended::unserved(proxy::Reason::ClientReset));
            }
            _ => self.counters.count(Counter::TcpOutOfState),
        }
        false
    }

    /// The server has not answered in the service's time.
    pub(crate) fn connect_timeout(&mut self, now: Instant, key: SessionKey, socket: SocketKey) {
        let waiting =
            self.shared.sockets.borrow().get(socket).is_some_and(|s| s.connection.state() == tcp::State::SynSent);
        if !waiting {
            return;
        }
        if let Some(reply) = self.sessions.get_mut(key).and_then(|session| session.connecting.take()) {
            reply.fill(Err(proxy::ConnectError::TimedOut));
        }
        // Given up without a word, as a client gives up.
        self.reap(now, socket);
        self.mirror_failure(now, key, Some(tcp::Error::TimedOut));
    }
}
