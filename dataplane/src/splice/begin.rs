//! How a session is released: from its handshake, when its proxy would read nothing.
//!
//! A plug that limits, says and asks nothing has nothing to do but to pass on what comes. Its mirrored session is released
//! by the client's ACK: no connection is made, no task, and the ACK itself is the first packet that passes. It was admitted
//! like any other, and counts like any other.

use control::policy::{Accept, Release};
use tcp::{Flags, Header, Instant};

use super::{Splice, SpliceKey, SpliceLimits};
use crate::counters::Counter;
use crate::flow::tracking::Direction;
use crate::flow::tracking::tcp::TcpTracking;
use crate::modules;
use crate::nic::Nic;
use crate::session::Session;
use crate::session::half_open::HalfOpenKey;
use crate::socket::{Leg, Timer};
use crate::step::Step;
use crate::timers::TimerId;
use crate::worker::{Arrival, Worker};

impl<N: Nic> Worker<N> {
    /// Whether a handshake's session needs nobody from this ACK of the client's on.
    pub(crate) fn needs_nobody(&self, id: HalfOpenKey, ack: &Header) -> bool {
        self.half_open.get(id).is_some_and(|record| {
            let service = record.service();
            self.keeps_family(id)
                && service.release == Release::Auto
                && service.accept == Accept::Mirror
                && record.embryo.may_be_left_alone(ack)
                && modules::reads_nothing(service)
        })
    }

    /// Whether the handshake has a server, and of the client's family.
    fn keeps_family(&self, id: HalfOpenKey) -> bool {
        let family = |leg| self.half_open_leg(id, leg).map(|(key, _)| key.source().is_ipv4());
        family(Leg::Server).is_some() && family(Leg::Server) == family(Leg::Client)
    }

    /// The client's ACK is here, and passes.
    pub(crate) fn release_handshake(&mut self, now: Instant, id: HalfOpenKey, arrival: Arrival<'_, N::Frame>) {
        let (Some((client, record)), Some((server, _))) =
            (self.half_open_leg(id, Leg::Client), self.half_open_leg(id, Leg::Server))
        else {
            return;
        };
        let ports = (client.source().port(), client.destination().port());
        let Some(tracking) = handshake(record.embryo.syn().header(ports), record.embryo.answer().header(ports)) else {
            return self.counters.count(Counter::TcpOutOfState);
        };
        let to_client = self.routes.lookup_from(client.interface(), client.source().ip());
        let to_server = self.routes.lookup(server.source().ip()).filter(|hop| hop.interface == server.interface());
        let Some((to_client, to_server)) = to_client.zip(to_server) else {
            self.counters.count(Counter::NoRoute);
            return self.cut_half_open(now, id, proxy::Reason::ConnectUnreachable);
        };
        if !self.half_open.get(id).is_some_and(|record| record.decided().accept()) {
            self.counters.count(Counter::ListenerOver);
            return self.cut_half_open(now, id, proxy::Reason::ConnectLimit);
        }
        let Some((session, server_flow)) = self.take_mirrored(id) else { return };
        let flows = [session.client_flow, server_flow];
        let limits = SpliceLimits {
            idle: session.service().idle,
            end: session.service().total.map(|total| session.started + total),
        };
        let key = self.begin_session(session);
        let splice = self.splices.records.insert(Splice {
            session: key,
            tracking,
            flows,
            hops: [to_server, to_client],
            generation: self.policy.generation(),
            bytes: [0; 2],
            fins: [None; 2],
            active: now,
            limits,
            timer: TimerId::default(),
            shifts: None,
            tails: None,
            translated: client.source() != server.destination() || client.destination() != server.source(),
            over: false,
        });
        self.sessions[key].splice = Some(splice);
        self.counters.count(Counter::SessionsServed);
        self.counters.count(Counter::SessionsReleased);
        self.enter_splice(splice, flows);
        self.neighbours.confirm(now, to_client.interface, to_client.neighbour);
        self.spliced(now, splice, Direction::Original, client, arrival);
    }

    /// A record of a handshake that has a server becomes a session.
    fn take_mirrored(&mut self, id: HalfOpenKey) -> Option<(Session, crate::flow::FlowId)> {
        let session = self.half_open.get(id)?.session(&self.flows)?;
        let record = self.half_open.remove(session.interface, id)?;
        self.shared.wheel.borrow_mut().cancel(record.timer);
        let server_flow = record.server_flow()?;
        Some((session, server_flow))
    }

    /// The flows' packets pass from now on.
    pub(super) fn enter_splice(&mut self, key: SpliceKey, flows: [crate::flow::FlowId; 2]) {
        for (flow, direction) in flows.into_iter().zip([Direction::Original, Direction::Reply]) {
            self.flows[flow] = Step::Splice { key, direction };
        }
        self.watch_splice(key);
    }

    /// When it is to be looked at again is on the wheel.
    pub(super) fn watch_splice(&mut self, key: SpliceKey) {
        let at = self.splice_deadline(key);
        if let Some((splice, at)) = self.splices.records.get_mut(key).zip(at) {
            self.shared.wheel.borrow_mut().replace(&mut splice.timer, at, Timer::Splice(key));
        }
    }
}

/// What the two SYNs say about the windows.
fn handshake(syn: Header, answer: Header) -> Option<TcpTracking> {
    let syn = Header { flags: Flags::SYN, ..syn };
    let answer = Header { flags: Flags::SYN | Flags::ACK, ack: syn.seq + 1, ..answer };
    let (mut tracking, _) = TcpTracking::new(&syn, 0).ok()?;
    tracking.update(Direction::Reply, &answer, 0).ok()?;
    Some(tracking)
}
