//! Connections that programs make: from the foreign address that an entry gives them, as their server will see it.
//!
//! The order: entry, way, decision (the firewall's OUTPUT and the zones), room, port, and only then the claim of an entry
//! for one connection: who is refused for another reason has not used it up.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use control::handoff::FromFlow;
use control::policy::{Moment, NewFlow, PacketFacts, TCP, Verdict};
use proxy::outcome::Side;
use proxy::{ConnectError, Outcome, Reason};
use tcp::{Connection, Flow, Instant};

use super::carry::{Carrier, Times};
use crate::counters::Counter;
use crate::flow::Key;
use crate::limits;
use crate::nic::Nic;
use crate::session::connect::tcp_config;
use crate::session::half_open::Decided;
use crate::session::serve::EndGuard;
use crate::session::{Session, SessionKey};
use crate::socket::{Leg, Socket, SocketKey};
use crate::step::Step;
use crate::stream::{CoreHost, SocketStream};
use crate::task::Reply;
use crate::worker::Worker;

type Connected = Result<SocketKey, ConnectError>;

impl<N: Nic> Worker<N> {
    /// Begins a connection for a program, or says why not.
    pub(super) fn program_connects(&mut self, now: Instant, flow: u64, local: SocketAddr, remote: SocketAddr) {
        self.counters.count(Counter::HandoffConnects);
        if let Err(errno) = self.begin_connect(now, flow, local, remote) {
            self.counters.count(Counter::HandoffConnectsRefused);
            if let Some(end) = &self.handoff.end {
                // A thread that is gone needs not be told.
                let _ = end.to_programs.send(FromFlow::Failed { flow, errno });
            }
        }
    }

    fn begin_connect(
        &mut self,
        now: Instant,
        flow: u64,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(), &'static str> {
        if self.draining {
            return Err("ENETDOWN");
        }
        let entry = match self.table.lookup_local(TCP, local) {
            Some(entry) if entry.mark_only() => None,
            Some(entry) if entry.remote.is_none_or(|meant| meant == remote) => Some(entry),
            // Used up, gone, or for another peer: the program must not appear by the gateway's own address instead.
            _ => return Err("EADDRNOTAVAIL"),
        };
        let wished = entry.as_ref().map_or(local, |entry| entry.foreign);
        let next_hop = self.routes.lookup(remote.ip()).ok_or("ENETUNREACH")?;
        let interface = next_hop.interface;
        let source =
            self.with_port(wished, limits::port_class(local.port()), remote, interface).map_err(|_| "EADDRNOTAVAIL")?;
        let wall = self.unix_at_zero.saturating_add_unsigned(now.as_micros() / 1_000_000);
        let at = Moment { micros: now.as_micros(), unix_seconds: wall };
        let packet = PacketFacts { at, ..PacketFacts::default() };
        let asked = NewFlow { interface, protocol: TCP, source, destination: remote, packet };
        self.memory.release_holds();
        let policy = Arc::clone(&self.policy);
        let decision = policy.decide_program_connect(&asked, &mut self.memory);
        let service = match decision.verdict {
            Verdict::Proxy { service, .. } => service,
            Verdict::Drop(reason) => {
                self.counters.count(reason);
                return Err("EACCES");
            }
            _ => return Err("EACCES"),
        };
        let holds = self.memory.take_holds();
        self.admit_session(policy.service(service)).map_err(|full| {
            self.counters.count(full);
            "ENOBUFS"
        })?;
        let key = Key::new(interface, TCP, remote, source);
        self.clear_time_wait(&key).map_err(|_| "EADDRINUSE")?;
        if entry.as_ref().is_some_and(|entry| !self.claim(entry)) {
            return Err("EADDRNOTAVAIL");
        }
        let pending = Step::Proxy { session: SessionKey::default(), leg: Leg::Server };
        let id = self.flows.insert(key, pending).map_err(|refused| {
            self.counters.count(refused);
            "ENOBUFS"
        })?;
        self.sessions_started += 1;
        if let Some(holds) = holds {
            self.holds.insert(self.sessions_started, holds);
        }
        let decided = Decided::new(&policy, service, None, &decision);
        let mut session = Session::new(self.sessions_started, decided, interface, (source, remote), now, id);
        session.server = Some((remote, source));
        self.serving += 1;
        *self.per_service.entry_ref(session.service().name.as_str()).or_insert(0) += 1;
        let patience = session.service().connect_timeout;
        let session = self.sessions.insert(session);
        self.flows[id] = Step::Proxy { session, leg: Leg::Server };

        let mss = self.interfaces.get(interface).mss(remote.is_ipv6());
        let opening = self.own_opening(now, &Flow { local: source, remote }, mss);
        let connection = Connection::connect(now, (source.port(), remote.port()), &tcp_config(mss, false), opening);
        let marks = self.own_marks(0);
        let path = self.path(source, remote, next_hop, marks);
        let socket = Socket::new(connection, path, session, Leg::Server, id);
        let socket = self.shared.sockets.borrow_mut().insert(socket);
        self.shared.be_patient(now + patience, session, socket);
        self.counters.count(Counter::SessionsServed);
        self.await_server(session, socket, flow, source);
        Ok(())
    }

    /// The task that waits for the server, and carries the flow when it is there.
    fn await_server(&mut self, key: SessionKey, socket: SocketKey, flow: u64, source: SocketAddr) {
        let Some(end) = &self.handoff.end else { return };
        let (to_programs, over) = (end.to_programs.clone(), Rc::clone(&self.handoff.over));
        let mut carrier = Carrier::new(flow, self.handoff.pipe(flow), to_programs, over);
        let reply: Reply<Connected> = Reply::new();
        let waits = reply.clone();
        let (guard, shared) = (EndGuard::new(&self.shared, key), Rc::clone(&self.shared));
        let Some(session) = self.sessions.get_mut(key) else { return };
        let host = CoreHost::new(&self.shared, key, &session.policy);
        session.server_socket = Some(socket);
        session.connecting = Some(reply);
        let times = Times::of(session.service());
        session.task = Some(self.shared.executor.spawn(async move {
            let mut waits = pin!(waits);
            let connected: Connected = poll_fn(|cx| match waits.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(done),
                Poll::Pending => carrier.poll_given_up(cx).map(|()| Err(ConnectError::Cut)),
            })
            .await;
            let outcome = match connected {
                Ok(socket) => {
                    let stream = SocketStream::own(&shared, socket);
                    carrier.say(FromFlow::Connected { flow: carrier.flow(), source });
                    carrier.run(stream, Side::Server, times, &host).await
                }
                Err(error) => {
                    carrier.say(FromFlow::Failed { flow: carrier.flow(), errno: errno(error) });
                    carrier.untold();
                    Outcome::unserved(Reason::from(error))
                }
            };
            guard.end(outcome);
        }));
    }
}

fn errno(error: ConnectError) -> &'static str {
    match error {
        ConnectError::Refused => "ECONNREFUSED",
        ConnectError::TimedOut => "ETIMEDOUT",
        ConnectError::Unreachable => "EHOSTUNREACH",
        ConnectError::NoPort => "EADDRNOTAVAIL",
        ConnectError::Limit => "ENOBUFS",
        ConnectError::Denied => "EACCES",
        ConnectError::Cut => "ECONNABORTED",
    }
}
