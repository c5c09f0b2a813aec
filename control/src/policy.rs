//! The policy: everything the operator wants, in the form in which cores look things up. Immutable.
//!
//! ```text
//! first packet → raw, mangle → entry? ─ yes ─┐
//!                  └ no → tproxy PREROUTING ──┴ taken → filter INPUT (-m tproxy) → listener or policy rules → service
//!                           └ untouched → nat                       ├ deny: Drop, Reject
//!                               ├ for us?   filter INPUT   → Local  ├ forward → filter FORWARD → Forward
//!                               └ else      filter FORWARD → Forward└ proxy: zones → server → filter OUTPUT → Proxy
//! ```
//!
//! [`Policy::decide`] walks that way for the first packet of a flow and for no other: what belongs to a flow keeps
//! the decision the flow began with. It fails closed: a redirected flow without listener, zone or permission ends, it
//! never goes on unproxied. [`Policy::explain`] is the same walk with a listener that writes down each step.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashSet;

pub use best_match::{Chosen, PolicyRule, PolicyRuleId};
pub use chains::{ChainId, RuleInfo};
pub use classifier::ClassifierSize;
pub use explain::{Explanation, NatExplained, RuleExplained, ZonesExplained};
pub use listeners::{Choice, Listener, ListenerId, Protocols};
pub use memory::{Holds, Memory};
pub use nat::{GeneralRow, Mapping, NatPolicy, NatPolicyId};
pub use network::{Interface, InterfaceId, KernelDevice, KernelDriver, Route};
pub use router::{Directed, ForgePort, Order, Router, Search, ServerStates};
pub use services::{Accept, Denial, Deny, Kind, Proxy, Release, Service, ServiceId, Source};
pub use sets::{Member, Set, SetDefinition, SetError, SetKind, Sets};
pub use trace::{Criterion, NoTrace, Step, Trace};
pub use translation::{Nat, NatKind, NatRange};
pub use tuple::{
    Cast, EntryMatch, FlowState, ICMP, ICMPV6, Moment, NewFlow, PacketFacts, TCP, UDP, protocol_name, protocol_number,
};
pub use verdict::{Decision, DropReason, Logs, RejectKind, RuleRef, Verdict};
pub use zones::{Direction, Permitted, Zone, ZoneId};

use crate::prefix::PrefixMap;
use crate::rules::TableKind;
use chains::Chains;
use listeners::{Accepted, Listeners};

mod best_match;
mod chains;
mod classifier;
mod compile;
mod decide;
mod explain;
mod listeners;
mod memory;
pub(crate) mod nat;
mod network;
mod router;
mod services;
mod sets;
mod trace;
mod translation;
mod tuple;
mod verdict;
pub(crate) mod zones;

#[cfg(test)]
mod tests;

/// What cores decide by. Made by [`Policy::compile`].
#[derive(Clone, Debug)]
pub struct Policy {
    generation: u64,
    file: Arc<str>,
    interfaces: Vec<Interface>,
    routes: Vec<Route>,
    routes_by_network: PrefixMap<u32>,
    own: HashSet<IpAddr, FixedState>,
    broadcasts: HashSet<Ipv4Addr, FixedState>,
    zones: Vec<Zone>,
    zones_by_network: PrefixMap<ZoneId>,
    services: Vec<Service>,
    /// The service of programs at the handoff socket.
    program: Option<ServiceId>,
    listeners: Vec<Listener>,
    listeners_by_address: Listeners,
    accepted: Accepted,
    policy_rules: Vec<PolicyRule>,
    best_match: best_match::Index,
    nat_policies: Vec<NatPolicy>,
    tables: [bool; TableKind::ALL.len()],
    chains: Chains,
    sets: Sets,
}

impl Policy {
    /// Which of the policies since the start this is.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The file it was read from.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// All interfaces, by [`InterfaceId`].
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// One interface.
    pub fn interface(&self, id: InterfaceId) -> &Interface {
        &self.interfaces[id.index()]
    }

    /// The interface that the operator calls so.
    pub fn interface_named(&self, name: &str) -> Option<InterfaceId> {
        self.interfaces.iter().position(|interface| interface.name == name).map(|at| InterfaceId(at as u16))
    }

    /// All routes; those of the interfaces' own networks come first.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The route to an address: the longest network that covers it.
    pub fn route(&self, to: IpAddr) -> Option<&Route> {
        self.routes_by_network.lookup(to).map(|(_, index)| &self.routes[*index as usize])
    }

    /// All services, by [`ServiceId`].
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// One service.
    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.0 as usize]
    }

    /// All listeners, by [`ListenerId`].
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// One listener.
    pub fn listener(&self, id: ListenerId) -> &Listener {
        &self.listeners[id.0 as usize]
    }

    /// All policy rules, by [`PolicyRuleId`].
    pub fn policy_rules(&self) -> &[PolicyRule] {
        &self.policy_rules
    }

    /// One policy rule.
    pub fn policy_rule(&self, id: PolicyRuleId) -> &PolicyRule {
        &self.policy_rules[id.0 as usize]
    }

    /// All NAT policies, by [`NatPolicyId`].
    pub fn nat_policies(&self) -> &[NatPolicy] {
        &self.nat_policies
    }

    /// One NAT policy.
    pub fn nat_policy(&self, id: NatPolicyId) -> &NatPolicy {
        &self.nat_policies[id.0 as usize]
    }

    /// Whether the file names the table: one it does not name lets everything pass.
    pub fn has_table(&self, table: TableKind) -> bool {
        self.tables[table as usize]
    }

    /// All zones, by [`ZoneId`].
    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// One zone.
    pub fn zone(&self, id: ZoneId) -> &Zone {
        &self.zones[id.0 as usize]
    }

    /// The zone an address is in.
    pub fn zone_of(&self, address: IpAddr) -> Option<ZoneId> {
        self.zones_by_network.lookup(address).map(|(_, zone)| *zone)
    }

    /// What is known about a rule.
    pub fn rule(&self, rule: RuleRef) -> &RuleInfo {
        self.chains.info(rule)
    }

    /// All rules, by [`RuleRef::id`].
    pub fn rules(&self) -> &[RuleInfo] {
        self.chains.infos()
    }

    /// Built-in chains of the tables that the file names: place of their counters, table, name, and whether the policy
    /// is ACCEPT.
    pub fn built_in_chains(&self) -> impl Iterator<Item = (usize, TableKind, &str, bool)> {
        self.chains.built_in()
    }

    /// The sets that rules ask.
    pub fn sets(&self) -> &Sets {
        &self.sets
    }

    /// The indexes over tables with many rules, and what they take.
    pub fn classifiers(&self) -> impl Iterator<Item = (TableKind, ClassifierSize)> {
        self.chains.classifiers()
    }

    /// Groups and addresses that lost their place in a full table of hashlimit or recent.
    pub fn evicted(&self) -> u64 {
        self.chains.evicted()
    }

    /// Whether an address is one of the gateway's.
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.own.contains(&address)
    }

    /// Whether a packet to this address is for the gateway: its own addresses, and what is never routed on (broadcast,
    /// multicast).
    pub fn is_for_gateway(&self, address: IpAddr) -> bool {
        let to_many = match address {
            IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast() || self.broadcasts.contains(&v4),
            // A link-local address is of the link it was seen on, and routers forward none (RFC 4291 2.5.6).
            IpAddr::V6(v6) => v6.is_multicast() || v6.is_unicast_link_local(),
        };
        to_many || self.is_own(address)
    }
}
