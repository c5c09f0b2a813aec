//! Address translation of a new flow: the policy has chosen the addresses, here the port is chosen that makes the answers
//! the flow's own.
//!
//! Done once, for a flow's first packet; the choice is in the two keys of the flow's entries, one for each direction. A
//! flow's answers must be told from those of every other flow, so the search is for a key that is free. As in Linux a
//! port stays where it can; where it cannot, it becomes one of its class (privileged ones stay so), and a flow whose
//! destination was translated may get another source port although no rule asks for that. Nothing free: the flow ends,
//! counted.

use std::net::{IpAddr, SocketAddr};

use control::policy::{InterfaceId, Nat, NatRange};
use control::rules::TableKind;

use crate::counters::Counter;
use crate::flow::Key;
use crate::limits;
use crate::nic::Nic;
use crate::packet::emit::Ends;
use crate::packet::{PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP};
use crate::random::Random;
use crate::route::NextHop;
use crate::worker::Worker;

/// What a flow's source is to be on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) address: IpAddr,
    /// The port, if it is free.
    pub(crate) prefer: Option<u16>,
    /// Else one of these; none: no other will do.
    pub(crate) ports: Option<(u16, u16)>,
}

impl Wish {
    /// This and nothing else.
    pub(crate) fn exactly(source: SocketAddr) -> Self {
        Self { address: source.ip(), prefer: Some(source.port()), ports: None }
    }

    /// What a source of this protocol becomes by the rules' translation. `others` are translated too: it may have to
    /// give way to one of these.
    pub(crate) fn of(nat: &Nat, protocol: u8, source: SocketAddr, others: bool) -> Self {
        let own = source.port();
        match &nat.source {
            Some(range) => Self::ranged(range, protocol, source),
            // Linux's "null binding": whoever goes to a translated destination may meet another there.
            None if others || nat.destination.is_some() => {
                Self { address: source.ip(), prefer: Some(own), ports: class(protocol, own) }
            }
            None => Self::exactly(source),
        }
    }

    fn ranged(range: &NatRange, protocol: u8, source: SocketAddr) -> Self {
        let own = source.port();
        let address = range.address().unwrap_or(source.ip());
        let ports = if has_source(protocol) { range.ports } else { None }.or_else(|| class(protocol, own));
        let keeps = !range.random && !range.random_fully;
        // Linux keeps a port that the range has, and begins anywhere in the range for one that it has not.
        let stays = range.ports.is_none_or(|(first, last)| !has_source(protocol) || (first..=last).contains(&own));
        Self { address, prefer: Some(own).filter(|_| keeps && stays), ports }
    }
}

/// Do packets of this protocol have ports that rules may set?
fn has_ports(protocol: u8) -> bool {
    matches!(protocol, PROTOCOL_TCP | PROTOCOL_UDP)
}

/// Do packets of this protocol have a port or an identifier that rules may set at their source?
fn has_source(protocol: u8) -> bool {
    has_ports(protocol) || matches!(protocol, PROTOCOL_ICMP | PROTOCOL_ICMPV6)
}

/// Both ends of what leaves; an echo's identifier stands at both.
pub(crate) fn ends(protocol: u8, source: SocketAddr, destination: SocketAddr) -> Ends {
    let echo = matches!(protocol, PROTOCOL_ICMP | PROTOCOL_ICMPV6);
    let destination = if echo { SocketAddr::new(destination.ip(), source.port()) } else { destination };
    Ends { source, destination }
}

/// The ports that one may be exchanged for where no rule names any; identifiers of echoes have no classes.
fn class(protocol: u8, own: u16) -> Option<(u16, u16)> {
    match protocol {
        PROTOCOL_TCP | PROTOCOL_UDP => Some(match own {
            0..=511 => (1, 511),
            512..=1_023 => (600, 1_023),
            _ => (1_024, u16::MAX),
        }),
        PROTOCOL_ICMP | PROTOCOL_ICMPV6 => Some((0, u16::MAX)),
        _ => None,
    }
}

/// A free port of a range: the preferred one, else some in a row from a random place on, then fewer from another.
pub(crate) fn choose(random: &mut Random, wish: &Wish, mut free: impl FnMut(u16) -> bool) -> Option<u16> {
    if let Some(port) = wish.prefer.filter(|port| free(*port)) {
        return Some(port);
    }
    let (first, last) = wish.ports?;
    let count = u32::from(last.saturating_sub(first)) + 1;
    let mut tries = limits::NAT_TRIES;
    loop {
        let begin = random.below(count);
        let row = (0..tries.min(count)).map(|step| first + ((begin + step) % count) as u16);
        if let Some(port) = row.into_iter().find(|port| free(*port)) {
            return Some(port);
        }
        if tries >= count || tries / 2 < limits::NAT_TRIES_LEAST {
            return None;
        }
        tries /= 2;
    }
}

impl<N: Nic> Worker<N> {
    /// What the first packet of a flow becomes, and where it goes.
    pub(crate) fn translation(&mut self, protocol: u8, arrives: &Ends, nat: &Nat) -> Result<(NextHop, Ends), Counter> {
        let destination = match &nat.destination {
            Some(range) => self.destination(protocol, arrives.destination, range)?,
            None => arrives.destination,
        };
        let next_hop = self.routes.lookup(destination.ip()).ok_or(Counter::NoRoute)?;
        let wish = Wish::of(nat, protocol, arrives.source, self.policy.has_table(TableKind::Nat));
        let source = self.free_source(protocol, &wish, destination, next_hop.interface)?;
        Ok((next_hop, ends(protocol, source, destination)))
    }

    /// What a destination becomes; a decision has left one port of a range.
    pub(crate) fn destination(&self, protocol: u8, own: SocketAddr, range: &NatRange) -> Result<SocketAddr, Counter> {
        let address = range.address().unwrap_or(own.ip());
        if address.is_ipv4() != own.is_ipv4() {
            return Err(Counter::NatFamily);
        }
        let port = if has_ports(protocol) { range.port(own.port()) } else { own.port() };
        Ok(SocketAddr::new(address, port))
    }

    /// A source for a flow to `destination` whose answers, which come in on `interface`, are nobody else's.
    pub(crate) fn free_source(
        &mut self,
        protocol: u8,
        wish: &Wish,
        destination: SocketAddr,
        interface: InterfaceId,
    ) -> Result<SocketAddr, Counter> {
        if wish.address.is_ipv4() != destination.is_ipv4() {
            return Err(Counter::NatFamily);
        }
        let flows = &self.flows;
        let port = choose(&mut self.random, wish, |port| {
            let Ends { source, destination } = ends(protocol, SocketAddr::new(wish.address, port), destination);
            flows.find(&Key::new(interface, protocol, destination, source)).is_none()
        });
        let port = port.ok_or(if wish.ports.is_some() { Counter::NatExhausted } else { Counter::TupleBusy })?;
        Ok(SocketAddr::new(wish.address, port))
    }
}

#[cfg(test)]
mod tests;
