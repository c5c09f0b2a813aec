//! Listeners: where `--on-port` leads, and which service a flow then gets.
//!
//! One bound to the very address beats one bound to all; two for the same protocol at one place are a fault. A service
//! is named outright, by the client's zone, or by the zones of client and server (Zorp's Listener, ZoneListener and
//! CSZoneListener). Zones are those of the addresses that the client used: what a router or a NAT policy makes of them
//! comes later, by the service.
//!
//! One that takes a single connection (`accept_one`) is as if it were not there once it has it. All cores see that at
//! once, one of them wins, and a reload changes nothing about it as long as the file has the listener.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// The listener a flow of that protocol taken to `local` is given to; one bound to the very address beats one bound
    /// to all, as with sockets. Second comes the first that was passed over, for it has taken its only connection.
    pub(super) fn listener_at(&self, local: SocketAddr, protocol: u8) -> (Option<ListenerId>, Option<ListenerId>) {
        let mut over = None;
        for listener in self.listeners_by_address.lookup(local, protocol) {
            if !self.is_over(listener) {
                return (Some(listener), over);
            }
            over = over.or(Some(listener));
        }
        (None, over)
    }

    /// Whether the listener takes no more connections.
    pub fn is_over(&self, listener: ListenerId) -> bool {
        self.accepted.one(listener).is_some_and(|accepted| accepted.load(Ordering::Acquire))
    }

    /// A connection of the listener's is there. False: it takes one, and another was first.
    pub fn accept(&self, listener: ListenerId) -> bool {
        self.accepted.one(listener).is_none_or(|accepted| !accepted.swap(true, Ordering::AcqRel))
    }

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

    /// Listeners at `local`, the one bound to the very address first.
    fn lookup(&self, local: SocketAddr, protocol: u8) -> impl Iterator<Item = ListenerId> {
        let at = |address| self.bound.get(&(address, local.port(), protocol)).copied();
        at(Some(local.ip())).into_iter().chain(at(None))
    }
}

/// Which of the listeners that take one connection have it; by [`ListenerId`].
#[derive(Clone, Debug, Default)]
pub(super) struct Accepted(Vec<Option<Arc<AtomicBool>>>);

impl Accepted {
    /// Of these listeners, of which those that are in `before` go on as they are.
    pub(super) fn of(listeners: &[Listener], before: Option<&Policy>) -> Accepted {
        let running = |listener: &Listener| {
            let before = before?;
            let at = before.listeners.iter().position(|running| running.stands_as(listener))?;
            before.accepted.0[at].clone()
        };
        let of = |listener: &Listener| listener.accept_one.then(|| running(listener).unwrap_or_default());
        Accepted(listeners.iter().map(of).collect())
    }

    fn one(&self, listener: ListenerId) -> Option<&AtomicBool> {
        self.0.get(listener.0 as usize)?.as_deref()
    }
}

impl Listener {
    /// Is it the same to whoever comes: the same place, and one connection?
    fn stands_as(&self, other: &Listener) -> bool {
        (self.address, self.port, self.protocol, self.accept_one)
            == (other.address, other.port, other.protocol, other.accept_one)
    }
}
