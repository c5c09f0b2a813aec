//! Policy rules: the service with the conditions that fit a flow best, as KZorp chooses it; an alternative to listeners.
//!
//! Not the first rule that fits wins but the most specific one, compared dimension by dimension: input interface,
//! protocol, source port, destination port, source address, destination address. Within the source, networks and zones
//! of one rule are alternatives, and so are networks, interfaces and zones within the destination: any of them fits,
//! the most specific one counts. A network counts more the longer its prefix, any network more than any zone, a zone more
//! the deeper it stands below its parents; rules for a zone are rules for the zones below it too. Of equals the rule with
//! the lower id wins, and the operator is told.
//!
//! Interface groups and IPsec's reqid, which KZorp has as well, are not there: this gateway has neither.

use ipnet::IpNet;

use super::network::InterfaceId;
use super::services::ServiceId;
use super::zones::{Zone, ZoneId, lineage};

mod index;
#[cfg(test)]
mod tests;

pub(super) use index::Index;

/// Index of a policy rule, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyRuleId(pub u32);

/// Conditions and a service. An empty list is no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRule {
    /// The number by which the operator knows it; the lower one wins a tie.
    pub id: u32,
    /// The service.
    pub service: ServiceId,
    /// Interfaces it came in on.
    pub src_iface: Vec<InterfaceId>,
    /// Protocols.
    pub proto: Vec<u8>,
    /// Source ports, first and last.
    pub src_port: Vec<(u16, u16)>,
    /// Destination ports, first and last.
    pub dst_port: Vec<(u16, u16)>,
    /// Networks it comes from.
    pub src_subnet: Vec<IpNet>,
    /// Zones it comes from.
    pub src_zone: Vec<ZoneId>,
    /// Networks it goes to.
    pub dst_subnet: Vec<IpNet>,
    /// Interfaces that lead to where it goes.
    pub dst_iface: Vec<InterfaceId>,
    /// Zones it goes to.
    pub dst_zone: Vec<ZoneId>,
}

/// The policy rule that chose a flow's service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The rule.
    pub rule: PolicyRuleId,
    /// Another one fits as well, and lost by its id: something to tell the operator.
    pub tie: Option<PolicyRuleId>,
}

/// What policy rules see of a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) input: Option<InterfaceId>,
    pub(super) output: Option<InterfaceId>,
    pub(super) protocol: u8,
    pub(super) source: std::net::SocketAddr,
    pub(super) destination: std::net::SocketAddr,
    pub(super) client: Option<ZoneId>,
    pub(super) server: Option<ZoneId>,
}

/// How well a rule fits: dimensions from the highest bits to the lowest, compared as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score(u64);

/// Bits of an address dimension. Two kinds above, below them a prefix length plus one, or a depth of zones.
const ADDRESS_BITS: u32 = 20;
const BY_INTERFACE: u64 = 1 << 17;
const BY_SUBNET: u64 = 1 << 18;

impl Score {
    fn new(iface: bool, proto: bool, src_port: u64, dst_port: u64, source: u64, destination: u64) -> Score {
        let ports = src_port << 2 | dst_port;
        let addresses = source << ADDRESS_BITS | destination;
        Score((u64::from(iface) << 5 | u64::from(proto) << 4 | ports) << (2 * ADDRESS_BITS) | addresses)
    }
}

impl PolicyRule {
    /// How well it fits; none when it does not.
    fn score(&self, flow: &Flow, depths: &Depths) -> Option<Score> {
        let has = |list: &[InterfaceId], one: Option<InterfaceId>| one.is_some_and(|one| list.contains(&one));
        if !self.src_iface.is_empty() && !has(&self.src_iface, flow.input) {
            return None;
        }
        if !self.proto.is_empty() && !self.proto.contains(&flow.protocol) {
            return None;
        }
        let source =
            self.address(&self.src_subnet, &[], &self.src_zone, flow.source.ip(), None, flow.client, depths)?;
        let (to, output) = (flow.destination.ip(), flow.output);
        let destination =
            self.address(&self.dst_subnet, &self.dst_iface, &self.dst_zone, to, output, flow.server, depths)?;
        Some(Score::new(
            !self.src_iface.is_empty(),
            !self.proto.is_empty(),
            port_score(&self.src_port, Some(flow.source.port()))?,
            port_score(&self.dst_port, Some(flow.destination.port()))?,
            source,
            destination,
        ))
    }

    /// The best it can come to with any flow.
    fn best(&self, depths: &Depths) -> Score {
        let longest = |nets: &[IpNet]| nets.iter().map(|net| BY_SUBNET + u64::from(net.prefix_len()) + 1).max();
        let deepest = |zones: &[ZoneId]| zones.iter().map(|zone| depths.of(*zone)).max();
        let interface = (!self.dst_iface.is_empty()).then_some(BY_INTERFACE);
        Score::new(
            !self.src_iface.is_empty(),
            !self.proto.is_empty(),
            port_score(&self.src_port, None).unwrap_or(0),
            port_score(&self.dst_port, None).unwrap_or(0),
            longest(&self.src_subnet).max(deepest(&self.src_zone)).unwrap_or(0),
            longest(&self.dst_subnet).max(interface).max(deepest(&self.dst_zone)).unwrap_or(0),
        )
    }

    /// The best of the alternatives of one end that fit; 0 without condition.
    #[expect(clippy::too_many_arguments, reason = "the two ends differ in each of them")]
    fn address(
        &self,
        subnets: &[IpNet],
        interfaces: &[InterfaceId],
        zones: &[ZoneId],
        address: std::net::IpAddr,
        interface: Option<InterfaceId>,
        zone: Option<ZoneId>,
        depths: &Depths,
    ) -> Option<u64> {
        if subnets.is_empty() && interfaces.is_empty() && zones.is_empty() {
            return Some(0);
        }
        let by_subnet = subnets.iter().filter(|net| net.contains(&address)).map(IpNet::prefix_len).max();
        if let Some(length) = by_subnet {
            return Some(BY_SUBNET + u64::from(length) + 1);
        }
        if interface.is_some_and(|interface| interfaces.contains(&interface)) {
            return Some(BY_INTERFACE);
        }
        // The flow's zone first, then those above it, each less deep than the one before.
        let fitting = depths.lineage(zone).find(|zone| zones.contains(zone));
        fitting.map(|zone| depths.of(zone))
    }
}

/// Exact port 2, range 1, no condition 0; without a port to compare, the best there is.
fn port_score(ranges: &[(u16, u16)], port: Option<u16>) -> Option<u64> {
    if ranges.is_empty() {
        return Some(0);
    }
    let fitting = ranges.iter().filter(|(first, last)| port.is_none_or(|port| (*first..=*last).contains(&port)));
    fitting.map(|(first, last)| if first == last { 2 } else { 1 }).max()
}

/// How deep zones stand below their parents, from 1.
#[derive(Clone, Debug, Default)]
struct Depths {
    depths: Vec<u16>,
    parents: Vec<Option<ZoneId>>,
}

impl Depths {
    fn new(zones: &[Zone]) -> Depths {
        let depth = |id| lineage(zones, ZoneId(id as u32)).count().min(usize::from(u16::MAX)) as u16;
        Depths {
            depths: (0..zones.len()).map(depth).collect(),
            parents: zones.iter().map(|zone| zone.parent).collect(),
        }
    }

    fn of(&self, zone: ZoneId) -> u64 {
        u64::from(self.depths[zone.0 as usize])
    }

    fn lineage(&self, zone: Option<ZoneId>) -> impl Iterator<Item = ZoneId> {
        std::iter::successors(zone, |zone| self.parents[zone.0 as usize])
    }
}
