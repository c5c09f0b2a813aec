//! Handshakes under way: one record of 144 bytes each, and no connection before the client has proven to be there.
//!
//! The record says what the two SYNs said ([`tcp::Embryo`]), how their IP headers looked, and what was decided; the
//! addresses are in the flow table, whose entries lead here. What must hold: no more of them than the core's budget,
//! and of one interface no more than its share, so that a flood from one side leaves the others their handshakes
//! ([`super::flood`]).

use std::sync::Arc;

use control::policy::{Decision, InterfaceId, ListenerId, Policy, RuleRef, Search, Service, ServiceId, ZoneId};
use slotmap::{SlotMap, new_key_type};
use tcp::{Embryo, Stage};

use super::Session;
use super::flood::Flood;
use super::server::Asking;
use crate::flow::{FlowId, Key, Table};
use crate::socket::IpMarks;
use crate::step::Step;
use crate::timers::TimerId;

new_key_type! {
    /// A handshake of this core; stale keys find nothing.
    pub struct HalfOpenKey;
}

/// What was decided about a new flow.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) policy: Arc<Policy>,
    pub(crate) service: ServiceId,
    listener: Option<ListenerId>,
    zones: (Option<ZoneId>, Option<ZoneId>),
    rule: Option<RuleRef>,
}

impl Decided {
    pub(crate) fn new(
        policy: &Arc<Policy>,
        service: ServiceId,
        listener: Option<ListenerId>,
        decision: &Decision,
    ) -> Self {
        let zones = (decision.client_zone, decision.server_zone);
        Self { policy: Arc::clone(policy), service, listener, zones, rule: decision.rule }
    }

    pub(crate) fn service(&self) -> &Service {
        self.policy.service(self.service)
    }

    /// The client is there. False: its listener takes one connection, and another was first.
    pub(crate) fn accept(&self) -> bool {
        self.listener.is_none_or(|listener| self.policy.accept(listener))
    }

    /// What the flow of a client's key asks for a server with.
    pub(crate) fn asking(&self, client: &Key) -> Asking {
        Asking {
            interface: client.interface(),
            protocol: client.protocol(),
            client: client.source(),
            original: client.destination(),
            service: self.service,
            listener: self.listener,
            client_zone: self.zones.0,
            rule: self.rule,
            search: Search::default(),
            last_server: None,
            port_is_used: false,
        }
    }
}

/// A handshake.
#[derive(Clone, Debug)]
pub struct HalfOpen {
    /// Its protocol.
    pub(crate) embryo: Embryo,
    policy: Arc<Policy>,
    /// The session's number, if it becomes one.
    pub(crate) id: u64,
    service: ServiceId,
    /// Listener, zones and rule by number; [`NONE`]: there is none.
    listener: u32,
    client_zone: u32,
    server_zone: u32,
    rule: u32,
    /// The client's flow table entry.
    pub(crate) client_flow: FlowId,
    /// The server's, or the client's again while no server was asked.
    server_flow: FlowId,
    /// What it rings for.
    pub(crate) timer: TimerId,
    /// How the IP header of the client's SYN looked, and that of the server's answer.
    pub(crate) syn_marks: IpMarks,
    pub(crate) answer_marks: IpMarks,
}

// A million of them in 144 MB.
const _: () = assert!(size_of::<HalfOpen>() <= 144);

const NONE: u32 = u32::MAX;

impl HalfOpen {
    pub(crate) fn new(
        embryo: Embryo,
        id: u64,
        decided: Decided,
        flows: (FlowId, Option<FlowId>),
        syn_marks: IpMarks,
    ) -> Self {
        Self {
            embryo,
            id,
            service: decided.service,
            listener: decided.listener.map_or(NONE, |listener| listener.0),
            client_zone: decided.zones.0.map_or(NONE, |zone| zone.0),
            server_zone: decided.zones.1.map_or(NONE, |zone| zone.0),
            rule: decided.rule.map_or(NONE, |rule| rule.id),
            policy: decided.policy,
            client_flow: flows.0,
            server_flow: flows.1.unwrap_or(flows.0),
            timer: TimerId::default(),
            syn_marks,
            answer_marks: syn_marks,
        }
    }

    /// The service it is for.
    pub(crate) fn service(&self) -> &Service {
        self.policy.service(self.service)
    }

    /// What was decided, again.
    pub(crate) fn decided(&self) -> Decided {
        let some = |number: u32| (number != NONE).then_some(number);
        Decided {
            policy: Arc::clone(&self.policy),
            service: self.service,
            listener: some(self.listener).map(ListenerId),
            zones: (some(self.client_zone).map(ZoneId), some(self.server_zone).map(ZoneId)),
            rule: some(self.rule).map(|id| RuleRef { id }),
        }
    }

    /// The server's flow table entry, if a server was asked (`accept: mirror`).
    pub(crate) fn server_flow(&self) -> Option<FlowId> {
        (self.server_flow != self.client_flow).then_some(self.server_flow)
    }

    /// The session it would be now.
    pub(crate) fn session(&self, flows: &Table<Step>) -> Option<Session> {
        let client = flows.key(self.client_flow)?;
        let mut session = Session::new(
            self.id,
            self.decided(),
            client.interface(),
            (client.source(), client.destination()),
            self.embryo.began(),
            self.client_flow,
        );
        session.server =
            self.server_flow().and_then(|flow| flows.key(flow)).map(|key| (key.source(), key.destination()));
        Some(session)
    }

    /// One word for listings.
    pub(crate) fn stage(&self) -> &'static str {
        match self.embryo.stage() {
            Stage::Held => "held",
            Stage::Answered => "answered",
            Stage::Withdrawn => "closing",
        }
    }
}

/// What a decided flow is a session of.
impl Session {
    pub(crate) fn new(
        id: u64,
        decided: Decided,
        interface: InterfaceId,
        (client, original): (std::net::SocketAddr, std::net::SocketAddr),
        started: tcp::Instant,
        client_flow: FlowId,
    ) -> Self {
        Self {
            id,
            policy: decided.policy,
            service: decided.service,
            listener: decided.listener,
            client_zone: decided.zones.0,
            server_zone: decided.zones.1,
            interface,
            client,
            original,
            server: None,
            rule: decided.rule,
            started,
            last: started,
            client_flow,
            client_socket: None,
            server_socket: None,
            related: None,
            splice: None,
            release: None,
            connecting: None,
            search: Search::default(),
            task: None,
            ended: None,
        }
    }
}

/// All handshakes of a core.
pub(crate) struct HalfOpens {
    records: SlotMap<HalfOpenKey, HalfOpen>,
    by_interface: Vec<usize>,
    pub(crate) flood: Flood,
}

impl HalfOpens {
    /// Room for `budget` of them; `secret` is the cookies'.
    pub(crate) fn new(budget: usize, secret: [u8; 16]) -> Self {
        let records = SlotMap::with_capacity_and_key(budget);
        Self { records, by_interface: Vec::new(), flood: Flood::new(budget, secret) }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// How many began on an interface.
    pub(crate) fn on(&self, interface: InterfaceId) -> usize {
        self.by_interface.get(interface.index()).copied().unwrap_or(0)
    }

    pub(crate) fn insert(&mut self, interface: InterfaceId, record: HalfOpen) -> HalfOpenKey {
        if self.by_interface.len() <= interface.index() {
            self.by_interface.resize(interface.index() + 1, 0);
        }
        self.by_interface[interface.index()] += 1;
        self.records.insert(record)
    }

    pub(crate) fn get(&self, key: HalfOpenKey) -> Option<&HalfOpen> {
        self.records.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: HalfOpenKey) -> Option<&mut HalfOpen> {
        self.records.get_mut(key)
    }

    /// Takes one out that began on `interface`.
    pub(crate) fn remove(&mut self, interface: InterfaceId, key: HalfOpenKey) -> Option<HalfOpen> {
        let record = self.records.remove(key)?;
        self.by_interface[interface.index()] -= 1;
        Some(record)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (HalfOpenKey, &HalfOpen)> {
        self.records.iter()
    }
}
