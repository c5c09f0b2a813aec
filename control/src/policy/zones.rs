//! Zones: who may use which service, and towards whom.
//!
//! An address is in the zone with the longest network that covers it. A proxied flow needs two permissions, as in
//! Zorp up to 3.4: its service must be in the *client* zone's outbound list and in the *server* zone's inbound list.
//! An address of no zone has no permission at all.

use ipnet::IpNet;

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
}

/// A list of services; `"*"` in the file is all of them, those of later versions of the file included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permitted {
    /// `["*"]`.
    All,
    /// These, sorted.
    Only(Vec<ServiceId>),
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
