//! What a rule asks of addresses, ports, protocol and interfaces, as ranges: the index is made of these.
//!
//! A shape may be wider than its rule, never narrower. Absent means any. Nothing is taken from matches that stand behind
//! one that remembers (`-m limit` before `-m tcp --dport`): that one counts flows which the later match refuses.

use std::net::IpAddr;

use super::intervals::Key;
use crate::policy::chains::{Check, InterfaceSet, Rule};
use crate::rules::{AddressRange, Family, Match, Network, Not, PortSet, Ports};

/// Runs of interfaces that a name ending in `+` is kept as; more of them are taken as one, from the first interface to
/// the last.
const INTERFACE_RUNS_MAX: usize = 16;

/// Ranges, both ends included; none: any.
type Ranges<K> = Option<Vec<(K, K)>>;

/// A rule as the index sees it, for flows of one family.
#[derive(Clone, Debug)]
pub(super) struct Shape<A> {
    pub(super) source: Ranges<A>,
    pub(super) destination: Ranges<A>,
    pub(super) source_port: Ranges<u16>,
    pub(super) destination_port: Ranges<u16>,
    pub(super) protocol: Ranges<u8>,
    pub(super) input: Ranges<u16>,
    pub(super) output: Ranges<u16>,
}

/// An address of one family as a number.
pub(super) trait Address: Key {
    /// From the first to the last address that a network may contain: all that share the leading ones of its mask.
    fn network(network: &Network) -> Option<(Self, Self)>;
    /// A range of this family.
    fn range(range: &AddressRange) -> Option<(Self, Self)>;
}

impl<A: Address> Shape<A> {
    /// None: the rule is for the other family only.
    pub(super) fn of(rule: &Rule, family: Family) -> Option<Shape<A>> {
        if rule.family.is_some_and(|only| only != family) {
            return None;
        }
        let mut shape = Shape {
            source: network(rule.source.as_ref())?,
            destination: network(rule.destination.as_ref())?,
            source_port: None,
            destination_port: None,
            protocol: rule.protocol.as_ref().filter(|p| !p.not).map(|p| vec![(p.value, p.value)]),
            input: interfaces(rule.input.as_ref()),
            output: interfaces(rule.output.as_ref()),
        };
        for check in rule.matches.iter().take_while(|check| !check.remembers()) {
            if let Check::Plain(plain) = check {
                shape.narrow(plain)?;
            }
        }
        Some(shape)
    }

    /// The first that says something about a dimension counts; None: no flow of this family fits.
    fn narrow(&mut self, plain: &Match) -> Option<()> {
        match plain {
            Match::Tcp { source, destination, .. }
            | Match::Udp { source, destination }
            | Match::Ported { source, destination, .. } => {
                narrow(&mut self.source_port, source.as_ref().and_then(one));
                narrow(&mut self.destination_port, destination.as_ref().and_then(one));
            }
            Match::Multiport { which, ports } if !ports.not => {
                let ranges = Some(ports.value.iter().map(|range| (range.first, range.last)).collect());
                match which {
                    PortSet::Source => narrow(&mut self.source_port, ranges),
                    PortSet::Destination => narrow(&mut self.destination_port, ranges),
                    PortSet::Either => {}
                }
            }
            Match::IpRange { source, destination } => {
                for (range, dimension) in [(source, &mut self.source), (destination, &mut self.destination)] {
                    if let Some(range) = range.as_ref().filter(|range| !range.not) {
                        let range = A::range(&range.value)?;
                        narrow(dimension, Some(vec![range]));
                    }
                }
            }
            _ => {}
        }
        Some(())
    }
}

fn narrow<K>(dimension: &mut Ranges<K>, by: Ranges<K>) {
    if dimension.is_none() {
        *dimension = by;
    }
}

fn one(ports: &Not<Ports>) -> Ranges<u16> {
    (!ports.not).then(|| vec![(ports.value.first, ports.value.last)])
}

/// None: a network of the other family, and no flow of this one is in it.
fn network<A: Address>(network: Option<&Not<Network>>) -> Option<Ranges<A>> {
    match network {
        Some(Not { not: false, value }) => A::network(value).map(|range| Some(vec![range])),
        _ => Some(None),
    }
}

fn interfaces(set: Option<&Not<InterfaceSet>>) -> Ranges<u16> {
    let ids = set.filter(|set| !set.not)?.value.ids();
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for id in ids {
        match runs.last_mut() {
            Some(run) if run.1 + 1 == id.0 => run.1 = id.0,
            _ => runs.push((id.0, id.0)),
        }
    }
    if let (true, Some(first), Some(last)) = (runs.len() > INTERFACE_RUNS_MAX, runs.first(), runs.last()) {
        runs = vec![(first.0, last.1)];
    }
    Some(runs)
}

impl Address for u32 {
    fn network(network: &Network) -> Option<(u32, u32)> {
        let Network::V4 { address, mask } = network else { return None };
        let inside = u32::MAX.checked_shr(mask.leading_ones()).unwrap_or(0);
        Some((address & !inside, address & !inside | inside))
    }

    fn range(range: &AddressRange) -> Option<(u32, u32)> {
        match (range.first, range.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => Some((first.to_bits(), last.to_bits())),
            _ => None,
        }
    }
}

impl Address for u128 {
    fn network(network: &Network) -> Option<(u128, u128)> {
        let Network::V6 { address, mask } = network else { return None };
        let inside = u128::MAX.checked_shr(mask.leading_ones()).unwrap_or(0);
        Some((address & !inside, address & !inside | inside))
    }

    fn range(range: &AddressRange) -> Option<(u128, u128)> {
        match (range.first, range.last) {
            (IpAddr::V6(first), IpAddr::V6(last)) => Some((first.to_bits(), last.to_bits())),
            _ => None,
        }
    }
}
