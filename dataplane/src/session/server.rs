//! Which server a session is taken to, and how its connection is translated: the policy's choices, with what this core
//! knows of the servers.
//!
//! A router with several servers is asked for the next one that is not known to be down. In a session that was
//! accepted at once a server that fails is followed by the next one before the proxy hears of it. A mirrored handshake
//! tells its client what *one* server said: the client's next attempt finds the next server. Every server but the one
//! that the flow was decided by is decided about here, a proxy's own choice too: nothing is connected to that no zone
//! permits.

use std::net::SocketAddr;

use control::policy::{
    Decision, DropReason, InterfaceId, ListenerId, Memory, Moment, Nat, NatRange, NewFlow, NoTrace, PacketFacts,
    Policy, RuleRef, Search, Service, ServiceId, Verdict, ZoneId,
};
use control::rules::TableKind;
use tcp::Instant;

use super::{Session, SessionKey};
use crate::counters::Counter;
use crate::limits;
use crate::nic::Nic;
use crate::packet::PROTOCOL_TCP;
use crate::worker::Worker;

/// A flow that asks for a server: what was decided about it.
#[derive(Clone, Copy)]
pub(crate) struct Asking {
    pub(crate) interface: InterfaceId,
    /// IP protocol number.
    pub(crate) protocol: u8,
    pub(crate) client: SocketAddr,
    pub(crate) original: SocketAddr,
    pub(crate) service: ServiceId,
    pub(crate) listener: Option<ListenerId>,
    pub(crate) client_zone: Option<ZoneId>,
    pub(crate) rule: Option<RuleRef>,
    /// Which of the router's servers were asked.
    pub(crate) search: Search,
    /// The server that the session was connected to before.
    pub(crate) last_server: Option<SocketAddr>,
    /// The client's port has served for a connection to this server: it is in TIME-WAIT there, or not yet closed.
    pub(crate) port_is_used: bool,
}

impl Asking {
    /// What a session asks with.
    pub(crate) fn of(session: &Session) -> Asking {
        Asking {
            interface: session.interface,
            protocol: PROTOCOL_TCP,
            client: session.client,
            original: session.original,
            service: session.service,
            listener: session.listener,
            client_zone: session.client_zone,
            rule: session.rule,
            search: session.search,
            last_server: None,
            port_is_used: false,
        }
    }
}

impl<N: Nic> Worker<N> {
    /// The server to connect to, and the translation of that connection, its destination done already.
    pub(crate) fn choose_server(
        &mut self,
        now: Instant,
        policy: &Policy,
        asking: &mut Asking,
        target: proxy::Target,
    ) -> Result<(SocketAddr, Nat), Counter> {
        let service = policy.service(asking.service);
        let server = match target {
            proxy::Target::Address(address) => address,
            proxy::Target::Original => {
                let states = self.servers.entry_ref(service.name.as_str()).or_default();
                let next = service.router.next(asking.original, states, &mut asking.search, now.as_micros());
                next.ok_or(Counter::from(DropReason::NoServer))?
            }
        };
        // The flow was decided with this very server, and nothing translates the connection to it.
        let decided = service.server(asking.original) == Some(server);
        if decided && service.snat.is_none() && service.dnat.is_none() && !policy.has_table(TableKind::Nat) {
            return Ok((server, Nat::default()));
        }
        let flow = NewFlow {
            interface: asking.interface,
            protocol: asking.protocol,
            source: asking.client,
            destination: asking.original,
            packet: PacketFacts {
                at: Moment { micros: now.as_micros(), unix_seconds: self.wall_clock(now) },
                ..PacketFacts::default()
            },
        };
        let verdict = Verdict::Proxy { service: asking.service, listener: asking.listener, local: asking.original };
        let first =
            Decision { client_zone: asking.client_zone, rule: asking.rule, tproxy: true, ..Decision::new(verdict) };
        // Rules have counted the flow when it was decided: here they are only asked.
        let made = policy.decide_server(&flow, &first, server, &mut Memory::observer(), &mut NoTrace);
        match made.verdict {
            Verdict::Proxy { .. } => Ok((translated(server, made.nat.destination), made.nat)),
            Verdict::Drop(reason) => Err(Counter::from(reason)),
            Verdict::Reject(_) | Verdict::Forward | Verdict::Local => Err(Counter::Rejected),
        }
    }

    /// A server refused, or did not answer: others are asked first for a while.
    pub(crate) fn server_failed(&mut self, now: Instant, service: &Service, server: SocketAddr) {
        let Some(retry_after) = service.router.retry_after() else { return };
        let states = self.servers.entry_ref(service.name.as_str()).or_default();
        states.failed(server.ip(), now.as_micros(), retry_after);
    }

    /// A server that a proxy waits for has failed: is another one being asked?
    pub(crate) fn ask_next_server(&mut self, now: Instant, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get(key) else { return false };
        if session.connecting.is_none() || session.search == Search::default() {
            return false;
        }
        let policy = std::sync::Arc::clone(&session.policy);
        let service = policy.service(session.service);
        if service.router.retry_after().is_none() {
            return false;
        }
        if let Some((server, _)) = session.server {
            self.server_failed(now, service, server);
        }
        // The search ends after two rounds through the list.
        for _ in 0..2 * control::limits::ROUTER_TARGETS_MAX {
            match self.connect_immediately(now, key, proxy::Target::Original) {
                Ok(_) => return true,
                Err(counter) => {
                    self.counters.count(counter);
                    if counter == Counter::from(DropReason::NoServer) {
                        return false;
                    }
                }
            }
        }
        false
    }

    /// Ports to look for a free one in, for a client's port.
    pub(crate) fn source_ports(service: &Service, client: SocketAddr) -> (u16, u16) {
        service.forge_port.map_or_else(|| limits::port_class(client.port()), |forge| forge.range(client.port()))
    }
}

fn translated(server: SocketAddr, range: Option<NatRange>) -> SocketAddr {
    let Some(range) = range else { return server };
    SocketAddr::new(range.address().unwrap_or(server.ip()), range.port(server.port()))
}
