//! Listeners: where `--on-port` leads, and which service a flow then gets.
//!
//! One bound to the very address beats one bound to all; two for the same protocol at one place are a fault. A service
//! is named outright, by the client's zone, or by the zones of client and server (Zorp's Listener, ZoneListener and
//! CSZoneListener). Zones are those of the addresses that the client used: what a router or a NAT policy makes of them
//! comes later, by the service.

use std::net::{IpAddr, SocketAddr};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Policy;
use super::services::ServiceId;
use super::tuple::{TCP, UDP};
use super::zones::{ZoneId, lineage};

/// Index of a listener, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u32);

/// A local port that hands what it gets to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// One address; all of the gateway's when absent.
    pub address: Option<IpAddr>,
    /// The port that rules name after `--on-port`.
    pub port: u16,
    /// Which flows it takes.
    pub protocol: Protocols,
    /// Which service they get.
    pub choice: Choice,
    /// It takes one connection and is then as if it were not there.
    pub accept_one: bool,
}

/// Protocols of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocols {
    /// TCP only.
    Tcp,
    /// UDP only.
    Udp,
    /// Both.
    #[default]
    Both,
}

/// How a listener comes to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The same for all.
    Service(ServiceId),
    /// By the zones of client and server; none of a pair stands for any zone (`*`).
    Zones {
        /// The services, by (client zone, server zone).
        services: HashMap<(Option<ZoneId>, Option<ZoneId>), ServiceId, FixedState>,
        /// Zones above the flow's own are looked for as well, the nearest first; the client's are compared first.
        follow_parent: bool,
    },
}

impl Protocols {
    /// Whether flows of this IP protocol are taken.
    pub fn contains(self, protocol: u8) -> bool {
        match self {
            Protocols::Tcp => protocol == TCP,
            Protocols::Udp => protocol == UDP,
            Protocols::Both => protocol == TCP || protocol == UDP,
        }
    }

    /// As written in the file.
    pub fn name(self) -> &'static str {
        match self {
            Protocols::Tcp => "tcp",
            Protocols::Udp => "udp",
            Protocols::Both => "both",
        }
    }
}

impl Choice {
    /// Every service it may come to, each once.
    pub fn services(&self) -> Vec<ServiceId> {
        match self {
            Choice::Service(service) => vec![*service],
            Choice::Zones { services, .. } => {
                let mut all: Vec<ServiceId> = services.values().copied().collect();
                all.sort_unstable();
                all.dedup();
                all
            }
        }
    }
}

impl Policy {
    /// The service of a listener for a client and a server in these zones.
    pub fn listeners_service(
        &self,
        listener: ListenerId,
        client: Option<ZoneId>,
        server: Option<ZoneId>,
    ) -> Option<ServiceId> {
        let (services, follow_parent) = match &self.listener(listener).choice {
            Choice::Service(service) => return Some(*service),
            Choice::Zones { services, follow_parent } => (services, *follow_parent),
        };
        // The zone itself, with `follow_parent` those above it, and last `*`.
        let levels = |zone: Option<ZoneId>| {
            let depth = if follow_parent { usize::MAX } else { 1 };
            let known = zone.into_iter().flat_map(move |zone| lineage(&self.zones, zone).take(depth)).map(Some);
            known.chain(std::iter::once(None))
        };
        levels(client).find_map(|client| levels(server).find_map(|server| services.get(&(client, server)).copied()))
    }
}

/// Listeners by what a redirected flow knows: the local address and port it was taken to, and its protocol.
#[derive(Clone, Debug, Default)]
pub(super) struct Listeners {
    bound: HashMap<(Option<IpAddr>, u16, u8), ListenerId, FixedState>,
}

impl Listeners {
    /// Indexes a list; returns the first listener that stands where another stands already.
    pub(super) fn new(list: &[Listener]) -> Result<Listeners, ListenerId> {
        let mut listeners = Listeners::default();
        for (index, listener) in list.iter().enumerate() {
            let id = ListenerId(index as u32);
            for protocol in [TCP, UDP].into_iter().filter(|protocol| listener.protocol.contains(*protocol)) {
                if listeners.bound.insert((listener.address, listener.port, protocol), id).is_some() {
                    return Err(id);
                }
            }
        }
        Ok(listeners)
    }

    /// The listener at `local`; one bound to the very address beats one bound to all, as with sockets.
    pub(super) fn lookup(&self, local: SocketAddr, protocol: u8) -> Option<ListenerId> {
        let exact = self.bound.get(&(Some(local.ip()), local.port(), protocol));
        exact.or_else(|| self.bound.get(&(None, local.port(), protocol))).copied()
    }
}
