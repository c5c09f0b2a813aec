//! A session whose client is there: its proxy runs, asks for what it needs, and ends; then the rest is swept up.

use std::rc::Rc;

use control::mailbox::{FromCore, SessionSummary};
use control::policy::Search;
use proxy::{ConnectError, Outcome};
use smallvec::SmallVec;
use tcp::{Instant, Signals};

use super::{Ended, Request, Session, SessionKey};
use crate::counters::Counter;
use crate::nic::Nic;
use crate::socket::{Leg, Shared, SocketKey};
use crate::worker::Worker;

impl<N: Nic> Worker<N> {
    /// What a connection's new state means for its session: a proxy that waits in `connect()` hears of it.
    pub(crate) fn socket_event(&mut self, socket: SocketKey, signals: Signals) {
        let (session, leg, error, passed_by) = {
            let sockets = self.shared.sockets.borrow();
            let Some(socket) = sockets.get(socket) else { return };
            (socket.session, socket.leg, socket.connection.error(), socket.passed_by)
        };
        if passed_by {
            if signals.is_over() {
                self.tail_failed(self.shared.now.get(), session, leg);
            }
            return;
        }
        let result = if signals.contains(Signals::ESTABLISHED) {
            Ok(socket)
        } else if signals.is_over() {
            Err(refusal(error))
        } else {
            return;
        };
        match leg {
            Leg::Client => {}
            // What becomes of a connection before is nothing to who waits for the present one.
            Leg::Server => {
                if self.sessions.get(session).is_some_and(|found| found.server_socket == Some(socket)) {
                    self.server_ready(session, result);
                }
            }
            Leg::Related(number) => self.related_ready(self.shared.now.get(), session, number, result),
        }
    }

    /// Tells a proxy that waits in `connect()`.
    ///
    /// Of several servers the next one is asked before it hears of a failure.
    pub(crate) fn server_ready(&mut self, key: SessionKey, result: Result<SocketKey, ConnectError>) {
        if result.is_err() && self.ask_next_server(self.shared.now.get(), key) {
            return;
        }
        if let Some(reply) = self.sessions.get_mut(key).and_then(|session| session.connecting.take()) {
            reply.fill(result);
        }
    }

    /// What the proxies asked for in this turn.
    pub(crate) fn serve_requests(&mut self, now: Instant) -> usize {
        let requests = std::mem::take(&mut *self.shared.requests.borrow_mut());
        let work = requests.len();
        for request in requests {
            match request {
                Request::Connect { session, target, reply } => self.connect(now, session, target, reply),
                Request::ConnectRelated { session, related, reply } => {
                    self.connect_related(now, session, &related, &reply);
                }
                Request::Listen { session, expected, reply, arrived } => {
                    self.listen_related(session, &expected, &reply, arrived);
                }
                Request::Unlisten { session, address } => self.unlisten(session, address),
                Request::Release { session, legs, limits, release } => self.ask_release(session, legs, limits, release),
                Request::Record { session, record } => self.put_on_record(session, record),
                Request::Tproxy { request, reply } => self.ask_control(request, reply),
                Request::Notice { session, text } => self.notice(session, &text),
                Request::Ended { session, ended } => self.proxy_ended(now, session, ended),
            }
        }
        work
    }

    /// A proxy's `connect()`: the mirrored leg if that is the one meant, else a new connection.
    fn connect(
        &mut self,
        now: Instant,
        key: SessionKey,
        target: proxy::Target,
        reply: crate::task::Reply<Result<SocketKey, ConnectError>>,
    ) {
        let Some(session) = self.sessions.get(key) else { return reply.fill(Err(ConnectError::Cut)) };
        if let Some(socket) = session.server_socket {
            let (let_go, remote) = match self.shared.sockets.borrow().get(socket) {
                Some(found) => (found.was_owned && !found.owned, Some(found.path.remote)),
                None => (true, None),
            };
            let same = match target {
                proxy::Target::Original => true,
                proxy::Target::Address(address) => remote == Some(address),
            };
            if same && !let_go {
                // A proxy that gave up waiting and asks again waits for the same one.
                let asked = self.shared.sockets.borrow().get(socket).map(|s| s.connection.state());
                if asked == Some(tcp::State::SynSent)
                    && let Some(session) = self.sessions.get_mut(key)
                {
                    session.connecting = Some(reply);
                    return;
                }
                return reply.fill(Ok(socket));
            }
            // What the proxy let go of finishes on its own, as it was told to; what it never wanted has no end else.
            if !let_go {
                self.abort(now, socket);
            }
            self.set_server_aside(now, key);
        }
        // Who asks again begins again: the router's first server that is not down.
        if let Some(session) = self.sessions.get_mut(key) {
            session.search = Search::default();
        }
        match self.connect_immediately(now, key, target) {
            Ok(_) => {
                if let Some(session) = self.sessions.get_mut(key) {
                    session.connecting = Some(reply);
                }
            }
            Err(counter) => {
                self.counters.count(counter);
                reply.fill(Err(match counter {
                    Counter::NoRoute | Counter::NoSourceAddress => ConnectError::Unreachable,
                    Counter::PortsExhausted | Counter::TupleBusy => ConnectError::NoPort,
                    Counter::FlowTableFull => ConnectError::Limit,
                    _ => ConnectError::Denied,
                }));
            }
        }
    }

    /// The proxy is through: the session's record is written, its connections finish on their own.
    fn proxy_ended(&mut self, now: Instant, key: SessionKey, ended: Ended) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.task = None;
        self.end(now, key, ended);
        // A server leg that the proxy never took in its hands, or that was still being connected.
        self.abort_unowned(now, key);
        self.forget_if_over(key);
    }

    /// Ends a session from our side: both connections are reset, or given up where nobody was told of them yet.
    pub(crate) fn cut(&mut self, now: Instant, key: SessionKey, ended: Ended) {
        let passed = match ended {
            Ended::With(Outcome { reason, .. }) => self.cut_splice(now, key, reason),
            Ended::Broken => None,
        };
        let ended = passed.map_or(ended, Ended::from);
        let Some(session) = self.sessions.get_mut(key) else { return };
        // The task's streams are dropped with it, in its next turn; that aborts them.
        session.task = None;
        self.end(now, key, ended);
        let sockets: SmallVec<[SocketKey; 4]> = self.sessions.get(key).into_iter().flat_map(Session::sockets).collect();
        for socket in sockets {
            self.abort(now, socket);
        }
        self.forget_if_over(key);
    }

    /// Resets a connection; the RST goes out at the end of the turn.
    pub(crate) fn abort(&mut self, _: Instant, socket: SocketKey) {
        let mut sockets = self.shared.sockets.borrow_mut();
        if let Some(found) = sockets.get_mut(socket) {
            found.connection.abort();
            found.wake();
            sockets.touch(socket);
        }
    }

    fn abort_unowned(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get(key) else { return };
        let sockets = self.shared.sockets.borrow();
        let never_used = |key: &SocketKey| {
            let socket = sockets.get(*key);
            socket.is_some_and(|s| s.leg != Leg::Client && !s.owned && !s.was_owned && s.connection.error().is_none())
        };
        let unowned: SmallVec<[SocketKey; 4]> = session.sockets().filter(never_used).collect();
        drop(sockets);
        for socket in unowned {
            self.abort(now, socket);
        }
    }

    /// A connection is over: its flow is free for others, and the session with its last one.
    pub(crate) fn reap(&mut self, now: Instant, key: SocketKey) {
        let Some(socket) = self.shared.take_socket(key) else { return };
        self.flows.remove(socket.flow);
        self.leg_is_over(now, socket.session, socket.leg, key);
    }

    /// A session has lost a connection. A proxy may have connected anew meanwhile: only the one that is gone is
    /// forgotten.
    pub(crate) fn leg_is_over(&mut self, _: Instant, session: SessionKey, leg: Leg, socket: SocketKey) {
        if let Some(found) = self.sessions.get_mut(session)
            && found.socket(leg) == Some(socket)
        {
            found.forget_socket(leg);
        }
        self.forget_if_over(session);
    }

    /// Removes a session that has ended and has no connection left.
    fn forget_if_over(&mut self, key: SessionKey) {
        let over = self.sessions.get(key).is_some_and(|session| {
            let idle = session.task.is_none() && session.splice.is_none();
            session.ended.is_some() && idle && session.sockets().next().is_none()
        });
        if over {
            self.forget(key);
        }
    }

    /// A released session's ends are through with each other.
    pub(crate) fn released_is_over(&mut self, now: Instant, key: SessionKey, passed: proxy::release::Passed) {
        self.end(now, key, Ended::from(passed));
        self.forget_if_over(key);
    }

    /// Takes a session out of all tables.
    pub(crate) fn forget(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.remove(key) else { return };
        self.holds.remove(&session.id);
        self.forget_expected(session.related.as_deref());
        self.handoff.forget(session.id);
        if session.ended.is_none() {
            self.serving -= 1;
        }
        if let Some(running) = self.per_service.get_mut(session.service().name.as_str()) {
            *running -= 1;
        }
    }

    /// The session has ended, once; what is left are its connections' last words.
    fn end(&mut self, now: Instant, key: SessionKey, ended: Ended) {
        let Some(session) = self.sessions.get(key).filter(|session| session.ended.is_none()) else { return };
        let summary = self.summary(now, session, ended);
        if let Some(session) = self.sessions.get_mut(key) {
            session.ended = Some(ended);
        }
        self.serving -= 1;
        self.write_record(ended, summary);
    }

    /// The record of a session that never began.
    pub(crate) fn summarise(&mut self, now: Instant, session: &Session, ended: Ended) {
        let summary = self.summary(now, session, ended);
        self.write_record(ended, summary);
    }

    /// The one record of a session.
    fn write_record(&mut self, ended: Ended, summary: SessionSummary) {
        self.counters.count(match ended {
            Ended::With(Outcome { reason, .. }) => Counter::from(reason),
            Ended::Broken => Counter::ProxyBroken,
        });
        if self.control.try_send(FromCore::Summary(summary)).is_err() {
            self.counters.count(Counter::RecordLost);
        }
    }

    fn summary(&self, now: Instant, session: &Session, ended: Ended) -> SessionSummary {
        let (verdict, reason, to_server, to_client) = ended.record();
        let zone = |id: Option<control::policy::ZoneId>| id.map(|id| session.policy.zone_name(id).to_owned());
        SessionSummary {
            core: self.core,
            id: session.id,
            service: session.service().name.clone(),
            protocol: "tcp".to_owned(),
            interface: self.interfaces.get(session.interface).name.clone(),
            client: session.client,
            destination: session.original,
            client_local: session.original,
            started: self.unix_at_zero.saturating_add_unsigned(session.started.as_micros() / 1_000_000),
            server: session.server.map(|(server, _)| server),
            server_local: session.server.map(|(_, local)| local),
            rule: session.rule.map(|rule| session.policy.rule(rule).place.to_string()),
            generation: session.policy.generation(),
            client_zone: zone(session.client_zone),
            server_zone: zone(session.server_zone),
            verdict: verdict.to_owned(),
            reason: reason.to_owned(),
            bytes_to_server: to_server,
            bytes_to_client: to_client,
            duration_ms: (now - session.started).as_millis() as u64,
        }
    }

    /// The server has not answered a proxy's `connect()` in the service's time: given up without a word, as a client
    /// gives up.
    pub(crate) fn connect_timeout(&mut self, now: Instant, key: SessionKey, socket: SocketKey) {
        let waiting =
            self.shared.sockets.borrow().get(socket).is_some_and(|s| s.connection.state() == tcp::State::SynSent);
        if waiting {
            let leg = self.shared.sockets.borrow().get(socket).map(|socket| socket.leg);
            match leg {
                Some(Leg::Related(number)) => self.related_ready(now, key, number, Err(ConnectError::TimedOut)),
                _ => self.server_ready(key, Err(ConnectError::TimedOut)),
            }
            self.reap(now, socket);
        }
    }
}

/// What a failed connection means to who waits for it.
fn refusal(error: Option<tcp::Error>) -> ConnectError {
    match error {
        Some(tcp::Error::Refused | tcp::Error::Reset) => ConnectError::Refused,
        Some(tcp::Error::Unreachable) => ConnectError::Unreachable,
        Some(tcp::Error::TimedOut) | None => ConnectError::TimedOut,
    }
}

/// Tells the worker that a proxy is through; dropped without that, that it broke or was cut.
pub(crate) struct EndGuard<P: tcp::Payload> {
    shared: Rc<Shared<P>>,
    session: SessionKey,
    ended: Ended,
}

impl<P: tcp::Payload> EndGuard<P> {
    pub(crate) fn new(shared: &Rc<Shared<P>>, session: SessionKey) -> Self {
        Self { shared: Rc::clone(shared), session, ended: Ended::Broken }
    }

    pub(crate) fn end(mut self, outcome: Outcome) {
        self.ended = Ended::With(outcome);
    }
}

impl<P: tcp::Payload> Drop for EndGuard<P> {
    fn drop(&mut self) {
        let request = Request::Ended { session: self.session, ended: self.ended };
        self.shared.requests.borrow_mut().push(request);
    }
}
