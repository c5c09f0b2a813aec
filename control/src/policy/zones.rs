//! Zones: who may use which service, and towards whom.
//!
//! An address is in the zone with the longest network that covers it. A proxied flow needs two permissions, as in
//! Zorp up to 3.4: its service must be in the *client* zone's outbound list and in the *server* zone's inbound list. A
//! list that does not have it leaves the answer to the parent's, unless the zone is an umbrella, which shelters from
//! what its parents permit. An address of no zone has no permission at all.

use ipnet::IpNet;

use super::Policy;
use super::services::ServiceId;

/// Index of a zone, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(pub u32);

/// A part of the world that is trusted alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its networks.
    pub networks: Vec<IpNet>,
    /// Services that servers in it may be reached through.
    pub inbound: Permitted,
    /// Services that clients in it may use.
    pub outbound: Permitted,
    /// The zone that is asked where the lists say nothing (Zorp's `admin_parent`).
    pub parent: Option<ZoneId>,
    /// The parent is not asked.
    pub umbrella: bool,
    /// Listings and logs show the parent's name (Zorp's `inherit_name`).
    pub inherit: bool,
}

/// A list of services; `"*"` in the file is all of them, those of later versions of the file included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permitted {
    /// `["*"]`.
    All,
    /// These, sorted.
    Only(Vec<ServiceId>),
}

/// Which list of a zone is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// As the client's zone: `outbound_services`.
    Outbound,
    /// As the server's zone: `inbound_services`.
    Inbound,
}

impl Zone {
    /// A zone of that name that holds nothing and permits nothing.
    pub fn named(name: &str) -> Zone {
        Zone {
            name: name.to_owned(),
            networks: Vec::new(),
            inbound: Permitted::default(),
            outbound: Permitted::default(),
            parent: None,
            umbrella: false,
            inherit: false,
        }
    }
}

impl Permitted {
    /// Whether the service is in the list.
    pub fn allows(&self, service: ServiceId) -> bool {
        match self {
            Permitted::All => true,
            Permitted::Only(services) => services.binary_search(&service).is_ok(),
        }
    }
}

impl Default for Permitted {
    fn default() -> Self {
        Permitted::Only(Vec::new())
    }
}

impl Direction {
    /// The list's key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Direction::Outbound => "outbound_services",
            Direction::Inbound => "inbound_services",
        }
    }

    fn list(self, zone: &Zone) -> &Permitted {
        match self {
            Direction::Outbound => &zone.outbound,
            Direction::Inbound => &zone.inbound,
        }
    }
}

/// A zone and those above it, the zone first. It ends: a circle of parents is a fault of the file.
pub(crate) fn lineage(zones: &[Zone], zone: ZoneId) -> impl Iterator<Item = ZoneId> {
    std::iter::successors(Some(zone), move |zone| zones.get(zone.0 as usize)?.parent)
}

/// The zone whose list permits the service: this one, or the nearest above it that may be asked.
pub(crate) fn permitted(zones: &[Zone], zone: ZoneId, direction: Direction, service: ServiceId) -> Option<ZoneId> {
    for id in lineage(zones, zone) {
        let zone = &zones[id.0 as usize];
        if direction.list(zone).allows(service) {
            return Some(id);
        }
        if zone.umbrella {
            return None;
        }
    }
    None
}

impl Policy {
    /// The zone whose list permits the service to clients, or to servers, in `zone`.
    pub fn permits(&self, zone: ZoneId, direction: Direction, service: ServiceId) -> Option<ZoneId> {
        permitted(&self.zones, zone, direction, service)
    }

    /// Whether a zone is one of `zones` or below one.
    pub fn is_within(&self, zone: ZoneId, zones: &[ZoneId]) -> bool {
        lineage(&self.zones, zone).any(|id| zones.contains(&id))
    }

    /// A zone's name in listings and logs: its own, or that of the nearest parent that shows its own.
    pub fn zone_name(&self, zone: ZoneId) -> &str {
        let shown = lineage(&self.zones, zone).find(|id| {
            let zone = self.zone(*id);
            !zone.inherit || zone.parent.is_none()
        });
        &self.zone(shown.unwrap_or(zone)).name
    }
}
