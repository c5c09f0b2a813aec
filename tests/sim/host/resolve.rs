//! Who has which address on the cable: a host's neighbour cache for ARP and neighbour discovery.
//!
//! Packets wait for an answer; a question is asked again every second and given up after five, because the cables of
//! the simulator lose frames. Entries live until the end of the run: addresses do not move between hosts here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tcp::Instant;

use crate::frame::{Ip, Mac};

/// Time between questions.
const RETRY: Duration = Duration::from_secs(1);
/// Questions before giving up.
const TRIES: u32 = 5;

struct Pending {
    packets: Vec<Ip>,
    tries: u32,
    again_at: Instant,
}

/// The cache.
#[derive(Default)]
pub(crate) struct Neighbours {
    known: HashMap<IpAddr, Mac>,
    pending: HashMap<IpAddr, Pending>,
}

impl Neighbours {
    /// Whose address it is; if that is not known, `packet` waits, and the caller asks when this is the first to.
    pub(crate) fn resolve(&mut self, now: Instant, address: IpAddr, packet: Ip) -> Resolution {
        if let Some(mac) = self.known.get(&address) {
            return Resolution::Known(*mac, packet);
        }
        let first = !self.pending.contains_key(&address);
        let again_at = now + RETRY;
        let pending = self.pending.entry(address).or_insert(Pending { packets: Vec::new(), tries: 1, again_at });
        pending.packets.push(packet);
        if first { Resolution::Ask } else { Resolution::Waits }
    }

    /// Learns an answer and hands back what waited for it.
    pub(crate) fn learn(&mut self, address: IpAddr, mac: Mac) -> Vec<Ip> {
        self.known.insert(address, mac);
        self.pending.remove(&address).map_or(Vec::new(), |pending| pending.packets)
    }

    /// When [`Neighbours::overdue`] has something to say.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.pending.values().map(|pending| pending.again_at).min()
    }

    /// The addresses to ask for again; what nobody answered for so long is given up.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<IpAddr> {
        self.pending.retain(|_, pending| pending.again_at > now || pending.tries < TRIES);
        let due = self.pending.iter_mut().filter(|(_, pending)| pending.again_at <= now);
        let mut ask: Vec<IpAddr> = due
            .map(|(address, pending)| {
                pending.tries += 1;
                pending.again_at = now + RETRY;
                *address
            })
            .collect();
        // The map's order differs from run to run; the run's must not.
        ask.sort();
        ask
    }
}

/// What to do with a packet.
pub(crate) enum Resolution {
    /// Send it there.
    Known(Mac, Ip),
    /// It waits: ask.
    Ask,
    /// It waits: somebody has asked.
    Waits,
}
