//! A new TCP flow that a service takes: a record of its handshake is made, and its first segment goes out.
//!
//! With `accept: mirror` nothing is answered: a SYN goes to the server that says what the client's said. With
//! `accept: immediate` the client is answered at once and the server waits for the proxy. Everything that can be
//! short (sessions, handshakes, flows, routes, ports) is asked for before anything is made, and has its counter.

use std::net::SocketAddr;

use control::policy::{Accept, Decision, DropReason, Router, ServiceId, Verdict};
use tcp::{Embryo, Flow, Instant};

use super::half_open::{Decided, HalfOpen, HalfOpenKey};
use crate::counters::Counter;
use crate::flow::{FlowId, Key};
use crate::limits;
use crate::nic::Nic;
use crate::packet::{Transport, icmp};
use crate::socket::{IpMarks, Leg};
use crate::step::Step;
use crate::worker::{Arrival, Worker};

impl<N: Nic> Worker<N> {
    /// Admits the flow of a SYN that `decision` gives to a service.
    pub(crate) fn open_session(
        &mut self,
        now: Instant,
        key: Key,
        arrival: &Arrival<'_, N::Frame>,
        decision: &Decision,
    ) {
        let Verdict::Proxy { service, listener, .. } = decision.verdict else { return };
        let syn = match &arrival.ip.kind {
            Transport::Tcp { header, .. } => header,
            Transport::Udp { .. } => return self.open_datagrams(now, key, arrival, decision),
            _ => return self.counters.count(DropReason::NoProxyForProtocol),
        };
        if let Err(reason) = self.admit(arrival, service) {
            let flow = self.new_flow(now, arrival);
            self.log_refused(now, &flow, decision, reason);
            return self.counters.count(reason);
        }
        if self.is_flooded(now, arrival.interface) {
            return self.send_cookie(now, arrival, syn);
        }
        self.handoff.decided(&self.policy, decision);
        let decided = Decided::new(&self.policy, service, listener, decision);
        let opened = match decided.service().accept {
            Accept::Mirror => self.hold(now, key, syn, arrival, decided),
            Accept::Immediate => self.answer(now, key, syn, arrival, decided),
        };
        if let Err(counter) = opened {
            self.counters.count(counter);
            if matches!(counter, Counter::NoRoute) {
                self.send_icmp_error(now, arrival, icmp::ErrorKind::Unreachable(icmp::Unreachable::Net));
            }
        }
    }

    /// Is there room for one more?
    pub(crate) fn admit(&self, arrival: &Arrival<'_, N::Frame>, service: ServiceId) -> Result<(), Counter> {
        if self.draining {
            return Err(Counter::Draining);
        }
        if self.free_share < limits::FREE_SHARE_FOR_NEW_FLOWS {
            return Err(Counter::NoMemory);
        }
        let service = self.policy.service(service);
        // A loop guard: the server of such a flow would be the gateway itself.
        if self.routes.is_own(arrival.ip.destination) && matches!(service.router, Router::Transparent { .. }) {
            return Err(Counter::from(DropReason::ConnectedDirectly));
        }
        self.admit_session(service)
    }

    /// `accept: mirror`, step 1 of the mirrored handshake: the client's SYN, said again to the server.
    fn hold(
        &mut self,
        now: Instant,
        key: Key,
        syn: &tcp::Header,
        arrival: &Arrival<'_, N::Frame>,
        decided: Decided,
    ) -> Result<(), Counter> {
        if arrival.ip.ttl <= 1 {
            self.send_icmp_error(now, arrival, icmp::ErrorKind::TimeExceeded { reassembly: false });
            return Err(Counter::TtlExpired);
        }
        let mut asking = decided.asking(&key);
        let side = self.server_side(now, &decided.policy, &mut asking, proxy::Target::Original)?;
        let embryo = Embryo::held(now, syn);
        let id = self.keep(key, Some(side.key), embryo, decided, IpMarks::passed_on(arrival))?;
        self.say_syn(now, id);
        Ok(())
    }

    /// `accept: immediate`: the SYN-ACK is ours.
    fn answer(
        &mut self,
        now: Instant,
        key: Key,
        syn: &tcp::Header,
        arrival: &Arrival<'_, N::Frame>,
        decided: Decided,
    ) -> Result<(), Counter> {
        let (client, original): (SocketAddr, SocketAddr) = (key.source(), key.destination());
        let next_hop = self.routes.lookup_from(arrival.interface, client.ip()).ok_or(Counter::NoRoute)?;
        let mss = self.interfaces.get(next_hop.interface).mss(client.is_ipv6());
        let opening = self.own_opening(now, &Flow { local: original, remote: client }, mss);
        let answer = opening.syn_ack(now, (original.port(), client.port()), syn, limits::WINDOW_ON_SYN, false);
        let embryo = Embryo::answered(now, syn, &answer);
        let id = self.keep(key, None, embryo, decided, IpMarks::of_answer(arrival.ip))?;
        self.say_syn_ack(now, id);
        Ok(())
    }

    /// Makes the record of a handshake and its flows.
    fn keep(
        &mut self,
        client: Key,
        server: Option<Key>,
        embryo: Embryo,
        decided: Decided,
        marks: IpMarks,
    ) -> Result<HalfOpenKey, Counter> {
        let pending = |leg| Step::HalfOpen { key: HalfOpenKey::default(), leg };
        let client_flow = self.flows.insert(client, pending(Leg::Client))?;
        let server_flow: Option<FlowId> =
            match server.map(|key| self.flows.insert(key, pending(Leg::Server))).transpose() {
                Ok(flow) => flow,
                Err(refused) => {
                    self.flows.remove(client_flow);
                    return Err(Counter::from(refused));
                }
            };
        self.sessions_started += 1;
        if let Some(holds) = self.memory.take_holds() {
            self.holds.insert(self.sessions_started, holds);
        }
        self.handoff.note(self.sessions_started);
        let record = HalfOpen::new(embryo, self.sessions_started, decided, (client_flow, server_flow), marks);
        let key = self.half_open.insert(client.interface(), record);
        self.flows[client_flow] = Step::HalfOpen { key, leg: Leg::Client };
        if let Some(flow) = server_flow {
            self.flows[flow] = Step::HalfOpen { key, leg: Leg::Server };
        }
        Ok(key)
    }
}
