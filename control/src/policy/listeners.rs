//! Listeners: where `--on-port` leads. One bound to the very address beats one bound to all; two at one place are a fault.

use std::net::{IpAddr, SocketAddr};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::services::ServiceId;

/// Index of a listener, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u32);

/// A local port that hands what it gets to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// One address; all of the gateway's when absent.
    pub address: Option<IpAddr>,
    /// The port that rules name after `--on-port`.
    pub port: u16,
    /// The service.
    pub service: ServiceId,
}

/// Listeners by what a redirected flow knows: the local address and port it was taken to.
#[derive(Clone, Debug, Default)]
pub(super) struct Listeners {
    bound: HashMap<(Option<IpAddr>, u16), ListenerId, FixedState>,
}

impl Listeners {
    /// Indexes a list; returns the first listener that stands where another stands already.
    pub(super) fn new(list: &[Listener]) -> Result<Listeners, ListenerId> {
        let mut listeners = Listeners::default();
        for (index, listener) in list.iter().enumerate() {
            let id = ListenerId(index as u32);
            if listeners.bound.insert((listener.address, listener.port), id).is_some() {
                return Err(id);
            }
        }
        Ok(listeners)
    }

    /// The listener at `local`; one bound to the very address beats one bound to all, as with sockets.
    pub(super) fn lookup(&self, local: SocketAddr) -> Option<ListenerId> {
        let exact = self.bound.get(&(Some(local.ip()), local.port()));
        exact.or_else(|| self.bound.get(&(None, local.port()))).copied()
    }
}
