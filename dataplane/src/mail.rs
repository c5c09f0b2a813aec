//! The core's mailbox: what the control thread wants, and what it is told.
//!
//! Both directions are bounded channels that are never waited on: a full one costs a record, not a packet.

pub(crate) mod probation;
pub(crate) mod redecide;

use std::sync::Arc;

use control::mailbox::{CoreReport, FlowRecord, FromCore, PortReport, ProxyRecord, RuleCounts, ToCore};
use control::policy::Policy;
use control::requests::{Errno, Reply as Granted, Request as Asked};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcp::Instant;

use crate::counters::Counter;
use crate::limits;
use crate::nic::{Nic, PortId};
use crate::route::Routes;
use crate::session::half_open::HalfOpenKey;
use crate::session::{Ended, Session, SessionKey};
use crate::socket::{Leg, SocketKey};
use crate::task::Reply;
use crate::worker::Worker;
use redecide::Redecide;

/// Requests of proxies that the control thread has not answered yet, by ticket.
#[derive(Debug, Default)]
pub struct TproxyWaiting {
    tickets: u64,
    waiting: HashMap<u64, Reply<Result<Granted, Errno>>, FixedState>,
}

impl<N: Nic> Worker<N> {
    /// Handles what has come, a bounded number of letters per turn.
    pub(crate) fn read_mail(&mut self, now: Instant) -> usize {
        for read in 0..limits::LETTERS_PER_TURN {
            let Ok(letter) = self.mailbox.try_recv() else { return read };
            match letter {
                ToCore::Policy(policy) => self.adopt(policy),
                ToCore::Probation { policy, for_us } => self.try_out(now, policy, for_us),
                ToCore::Redecide { only } => self.redecide = Some(Redecide::of(only)),
                ToCore::RuleCounts(reply) => drop(reply.try_send(self.rule_counts())),
                // Nobody waits for an answer that cannot be delivered any more.
                ToCore::Report(reply) => drop(reply.try_send(self.report(now))),
                ToCore::Flows { limit, reply } => drop(reply.try_send(self.list_flows(now, limit))),
                ToCore::TproxyReply { ticket, result } => {
                    if let Some(reply) = self.tproxy_waiting.waiting.remove(&ticket) {
                        reply.fill(result);
                    }
                }
                ToCore::Handoff(end) => self.handoff.connect(end),
                ToCore::Drain => self.draining = true,
                ToCore::Stop => self.stop(now),
            }
        }
        limits::LETTERS_PER_TURN
    }

    /// New flows are decided by this policy.
    fn enact(&mut self, policy: Arc<Policy>) {
        self.routes = Routes::new(&policy);
        for (id, interface) in self.interfaces.iter() {
            self.routes.set_link_local(id, interface.mac);
        }
        let routes = &self.routes;
        self.neighbours.retain(|interface, address| routes.is_on_link(interface, address));
        self.policy = policy;
    }

    /// Ends every session with a reset and lets those go out.
    fn stop(&mut self, now: Instant) {
        self.draining = true;
        let handshakes: Vec<HalfOpenKey> = self.half_open.iter().map(|(key, _)| key).collect();
        for handshake in handshakes {
            self.cut_half_open(now, handshake, proxy::Reason::Cut);
        }
        self.cut_datagrams();
        let sessions: Vec<SessionKey> = self.sessions.keys().collect();
        for session in sessions {
            self.cut(now, session, Ended::unserved(proxy::Reason::Cut));
        }
        self.stopped = true;
    }

    /// Passes a proxy's request on.
    pub(crate) fn ask_control(&mut self, request: Asked, reply: Reply<Result<Granted, Errno>>) {
        self.tproxy_waiting.waiting.retain(|_, reply| reply.is_wanted());
        self.tproxy_waiting.tickets += 1;
        let ticket = self.tproxy_waiting.tickets;
        match self.control.try_send(FromCore::Tproxy { core: self.core, ticket, request }) {
            Ok(()) => drop(self.tproxy_waiting.waiting.insert(ticket, reply)),
            Err(_) => {
                self.counters.count(Counter::ControlBusy);
                reply.fill(Err(Errno::ENOBUFS));
            }
        }
    }

    /// A line for the operator about a session.
    pub(crate) fn notice(&mut self, key: SessionKey, text: &str) {
        let Some(session) = self.sessions.get(key) else { return };
        let line = format!("svc/{}:{} {text}", session.service().name, session.id);
        if self.control.try_send(FromCore::Notice(line)).is_err() {
            self.counters.count(Counter::RecordLost);
        }
    }

    /// Something that a proxy has done.
    pub(crate) fn put_on_record(&mut self, key: SessionKey, record: proxy::Record) {
        let Some(session) = self.sessions.get(key) else { return };
        let zone = |id: Option<control::policy::ZoneId>| id.map(|id| session.policy.zone_name(id).to_owned());
        let field = |(name, value): (&'static str, proxy::Value)| {
            let value = match value {
                proxy::Value::Text(text) => text.into_owned().into(),
                proxy::Value::Number(number) => number.into(),
                proxy::Value::Flag(flag) => flag.into(),
            };
            (name, value)
        };
        let record = ProxyRecord {
            core: self.core,
            id: session.id,
            kind: record.kind,
            service: session.service().name.clone(),
            client: session.client,
            client_zone: zone(session.client_zone),
            destination: session.original,
            server: session.server.map(|(server, _)| server),
            fields: record.fields.into_iter().map(field).collect(),
        };
        if self.control.try_send(FromCore::Record(record)).is_err() {
            self.counters.count(Counter::RecordLost);
        }
    }

    fn rule_counts(&self) -> RuleCounts {
        let (rules, chains) = (self.memory.rule_counters().to_vec(), self.memory.chain_counters().to_vec());
        RuleCounts { core: self.core, generation: self.policy.generation(), rules, chains }
    }

    fn report(&self, now: Instant) -> CoreReport {
        CoreReport {
            core: self.core,
            generation: self.policy.generation(),
            probation_ms: self.probation_until().map(|until| (until - now).as_millis() as u64),
            flows: self.flows.len() as u64,
            sessions: self.serving as u64,
            released: self.splices.len() as u64,
            half_open: self.half_open.len() as u64,
            time_wait: self.time_wait.len() as u64,
            flooded: self.half_open.flood.flooded() as u64,
            busy_cycles: self.busy.busy_cycles,
            idle_cycles: self.busy.idle_cycles,
            counters: self.counters.iter().collect(),
            ports: self.port_reports(),
        }
    }

    fn port_reports(&self) -> Vec<PortReport> {
        self.interfaces
            .iter()
            .map(|(_, interface)| {
                let (info, stats) = (self.nic.info(interface.port), self.nic.stats(interface.port));
                PortReport {
                    interface: interface.name.clone(),
                    device: info.device.clone(),
                    driver: info.driver.clone(),
                    mac: info.mac.to_string(),
                    mtu: interface.mtu,
                    link: stats.link,
                    rx_packets: stats.rx_packets,
                    tx_packets: stats.tx_packets,
                    rx_bytes: stats.rx_bytes,
                    tx_bytes: stats.tx_bytes,
                    rx_missed: stats.rx_missed,
                    rx_errors: stats.rx_errors,
                    tx_errors: stats.tx_errors,
                    xstats: stats.xstats,
                }
            })
            .collect()
    }

    fn list_flows(&self, now: Instant, limit: usize) -> Vec<FlowRecord> {
        let sessions = self.sessions.values().map(|session| self.session_record(now, session));
        let forwards = self.forwards.values().map(|forward| self.forward_record(now, forward));
        let handshakes = self.half_open.iter().filter_map(|(_, handshake)| {
            let session = handshake.session(&self.flows)?;
            Some(FlowRecord { state: handshake.stage().to_owned(), ..self.session_record(now, &session) })
        });
        sessions.chain(forwards).chain(self.local_records(now)).chain(handshakes).take(limit).collect()
    }

    fn session_record(&self, now: Instant, session: &Session) -> FlowRecord {
        let zone = |id: Option<control::policy::ZoneId>| id.map(|id| session.policy.zone_name(id).to_owned());
        let info = |leg: Leg| session.socket(leg).and_then(|key| self.socket_info(key));
        let (client, server) = (info(Leg::Client), info(Leg::Server));
        let received = |info: &Option<tcp::Info>| info.as_ref().map_or(0, |info| info.bytes_received);
        let released = session.splice.and_then(|splice| self.splices.progress(splice));
        let last = released.map_or(session.last, |(_, active)| active);
        let (to_server, to_client) = match (session.ended, released) {
            (Some(ended), _) => (ended.record().2, ended.record().3),
            (None, Some(([to_server, to_client], _))) => (to_server, to_client),
            (None, None) => (received(&client), received(&server)),
        };
        FlowRecord {
            core: self.core,
            id: session.id,
            protocol: "tcp".to_owned(),
            interface: self.interfaces.get(session.interface).name.clone(),
            source: session.client,
            destination: session.original,
            step: "proxy".to_owned(),
            service: Some(session.service().name.clone()),
            state: session.stage().to_owned(),
            client_zone: zone(session.client_zone),
            server_zone: zone(session.server_zone),
            bytes_to_server: to_server,
            bytes_to_client: to_client,
            age_ms: (now - session.started).as_millis() as u64,
            idle_ms: (now - last).as_millis() as u64,
            generation: session.policy.generation(),
            client: client.and_then(|info| serde_json::to_value(info).ok()),
            server: server.and_then(|info| serde_json::to_value(info).ok()),
            translated_source: None,
            translated_destination: None,
            mark: 0,
            connmark: 0,
        }
    }

    fn socket_info(&self, key: SocketKey) -> Option<tcp::Info> {
        self.shared.sockets.borrow().get(key).map(|socket| socket.connection.info())
    }

    /// Which port an interface is on; for tests.
    pub fn port_of(&self, interface: control::policy::InterfaceId) -> PortId {
        self.interfaces.get(interface).port
    }
}

#[cfg(test)]
mod tests;
