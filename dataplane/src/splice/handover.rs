//! From two connections to a released session: when nothing waits between them, packets pass by.
//!
//! What must hold: a byte is delivered by who acknowledged it. So there is no moment at which both connections must be empty,
//! only one at which nothing waits *between* them: all that one received was written to the other and sent once. From then
//! on new packets pass, and each connection stays for what it is not acknowledged yet, or owes an acknowledgment for
//! (`tails`). Nothing is held back meanwhile, and nobody notices.
//!
//! Where the two ends did not agree on the same with us, numbers, windows and clocks change on the way ([`tcp::Shift`]);
//! what cannot be changed keeps the session terminated (`release_mismatch`).

use control::policy::Release as Policy;
use proxy::relay::Limits;
use proxy::release::{Passed, Release, Stage};
use tcp::{Instant, Shift, Standing};

use super::tails::{Tail, Tails};
use super::{Splice, SpliceLimits};
use crate::counters::Counter;
use crate::flow::tracking::tcp::{Edge, TcpTracking};
use crate::nic::Nic;
use crate::session::SessionKey;
use crate::socket::SocketKey;
use crate::timers::TimerId;
use crate::worker::Worker;

/// A proxy that has no more to read or to say.
pub struct Releasing {
    legs: [SocketKey; 2],
    limits: Limits,
    release: Release,
}

impl Releasing {
    /// The session is over: its proxy hears how.
    pub(super) fn end(&self, passed: Passed) {
        self.release.advance(Stage::Over(passed));
    }
}

impl<N: Nic> Worker<N> {
    /// A proxy would leave its session to the two ends.
    pub(crate) fn ask_release(&mut self, key: SessionKey, legs: [SocketKey; 2], limits: Limits, release: Release) {
        let Some(session) = self.sessions.get_mut(key).filter(|session| session.ended.is_none()) else { return };
        let own = session.client_socket == Some(legs[0]) && session.server_socket == Some(legs[1]);
        // What belongs to it beside the two would have nobody left to speak to.
        if !own || session.related.is_some() || session.service().release == Policy::Never {
            return;
        }
        session.release = Some(Box::new(Releasing { legs, limits, release }));
        self.mark_releasing(legs, true);
    }

    fn mark_releasing(&mut self, legs: [SocketKey; 2], releasing: bool) {
        let mut sockets = self.shared.sockets.borrow_mut();
        for leg in legs {
            if let Some(socket) = sockets.get_mut(leg) {
                socket.releasing = releasing;
            }
            sockets.touch(leg);
        }
    }

    /// A connection of such a session has said what it had to: is nothing left between the two?
    pub(crate) fn try_release(&mut self, now: Instant, key: SessionKey) {
        let Some(releasing) = self.sessions.get(key).and_then(|session| session.release.as_deref()) else { return };
        let legs = releasing.legs;
        if !releasing.release.is_wanted() {
            return self.mark_releasing(legs, false);
        }
        let standing = |leg| self.shared.sockets.borrow().get(leg).and_then(|socket| socket.connection.standing(now));
        let (Some(client), Some(server)) = (standing(legs[0]), standing(legs[1])) else { return };
        match (Shift::between(&client, &server), Shift::between(&server, &client)) {
            (Ok(there), Ok(back)) => self.pass_by(now, key, (&client, &server), [there, back]),
            _ => {
                self.counters.count(Counter::ReleaseMismatch);
                self.mark_releasing(legs, false);
                if let Some(session) = self.sessions.get_mut(key) {
                    session.release = None;
                }
            }
        }
    }

    /// From this moment on packets pass.
    fn pass_by(&mut self, now: Instant, key: SessionKey, standing: (&Standing, &Standing), shifts: [Shift; 2]) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(releasing) = session.release.as_deref() else { return };
        let (legs, limits) = (releasing.legs, releasing.limits);
        let mut sockets = self.shared.sockets.borrow_mut();
        let [Some((client, to_client)), Some((server, to_server))] =
            legs.map(|leg| sockets.get(leg).map(|socket| (socket.flow, socket.path.next_hop)))
        else {
            return;
        };
        for leg in legs {
            if let Some(socket) = sockets.get_mut(leg) {
                (socket.releasing, socket.passed_by) = (false, true);
            }
            sockets.touch(leg);
        }
        drop(sockets);
        (session.client_socket, session.server_socket) = (None, None);
        releasing.release.advance(Stage::Begun);
        let (Some(client_key), Some(server_key)) = (self.flows.key(client), self.flows.key(server)) else { return };
        let ends = client_key.source() != server_key.destination() || client_key.destination() != server_key.source();
        let shifted = shifts.iter().any(|shift| !shift.is_none());
        let tail = |socket, standing: &Standing| {
            Some(Tail { socket, received: standing.received, written: standing.written, said: None })
        };
        let splice = self.splices.records.insert(Splice {
            session: key,
            tracking: between(standing.0, standing.1, &shifts),
            flows: [client, server],
            hops: [to_server, to_client],
            generation: self.policy.generation(),
            bytes: [0; 2],
            fins: [None; 2],
            active: now,
            limits: SpliceLimits { idle: limits.idle, end: limits.end.map(|end| Instant::ZERO + end) },
            timer: TimerId::default(),
            translated: ends,
            shifts: shifted.then(|| Box::new(shifts)),
            tails: Some(Box::new(Tails([tail(legs[0], standing.0), tail(legs[1], standing.1)]))),
            over: false,
        });
        if let Some(session) = self.sessions.get_mut(key) {
            session.splice = Some(splice);
        }
        self.counters.count(Counter::SessionsReleased);
        self.enter_splice(splice, [client, server]);
    }
}

/// What the two connections know of windows, in the numbers of the client's.
fn between(client: &Standing, server: &Standing, [there, back]: &[Shift; 2]) -> TcpTracking {
    let original = Edge {
        sent: client.received.0,
        permitted: client.offered.0,
        window: client.window,
        acknowledged: client.acknowledged.0,
        scale: client.shifts.1,
    };
    let reply = Edge {
        sent: client.written.0,
        permitted: back.forth(server.offered).0,
        window: server.window,
        acknowledged: there.back(server.acknowledged).0,
        scale: client.shifts.0,
    };
    TcpTracking::between(original, reply)
}
