//! The place most scenarios happen in: an intranet, a DMZ and an uplink, with Limpid between them.
//!
//! ```text
//!   client 192.168.1.2 ── intra ┐              ┌ dmz ── server 10.0.0.2
//!          fd00:1::2            ├── gateway ───┤               fd00:2::2
//!                               │              └ inter ── router 203.0.113.254, 2001:db8:1::fe
//!                                                          ├ 198.51.100.0/24, 2001:db8:99::/64: hosts that answer
//!                                                          └ 198.51.101.0/24, 2001:db8:98::/64: hosts that are down
//! ```
//!
//! Everything from the intranet is proxied by a mirrored plug, which releases its sessions, but port 8080 by one that answers at once; the DMZ and
//! the uplink may open nothing. Scenarios change what they are about in the text, as an operator would.

use crate::gateway::{Gateway, Settings};
use crate::world::{HostId, World};

/// The configuration.
pub const YAML: &str = r#"
interfaces:
  intra: { port: "cable0", addresses: [192.168.1.1/24, "fd00:1::1/64"] }
  dmz:   { port: "cable1", addresses: [10.0.0.1/24, "fd00:2::1/64"] }
  inter: { port: "cable2", addresses: [203.0.113.1/24, "2001:db8:1::1/64"] }
routes:
  - { to: 0.0.0.0/0, via: 203.0.113.254 }
  - { to: "::/0", via: "2001:db8:1::fe" }
zones:
  intranet: { networks: [192.168.1.0/24, "fd00:1::/64"], outbound_services: ["*"] }
  dmz:      { networks: [10.0.0.0/24, "fd00:2::/64"], inbound_services: ["*"] }
  internet: { networks: [0.0.0.0/0, "::/0"], inbound_services: ["*"] }
services:
  anything: { proxy: plug, accept: mirror }
  at_once:  { proxy: plug, accept: immediate }
listeners:
  - { port: 50000, service: anything }
  - { port: 50001, service: at_once }
rules: |
  *tproxy
  :PREROUTING ACCEPT
  :OUTPUT ACCEPT
  :PRintra -
  -A PREROUTING -i intra -j PRintra
  -A PRintra -d 192.168.1.1 -j RETURN
  -A PRintra -p tcp --dport 8080 -j TPROXY --on-port 50001
  -A PRintra -p tcp -j TPROXY --on-port 50000
  COMMIT
  *filter
  :INPUT DROP
  :FORWARD DROP
  :OUTPUT ACCEPT
  -A INPUT -m tproxy -j ACCEPT
  -A INPUT -p icmp -j ACCEPT
  -A INPUT -p icmpv6 -j ACCEPT
  COMMIT
"#;

/// What [`Town::terminated`] changes.
pub const TERMINATED: (&str, &str) =
    ("anything: { proxy: plug, accept: mirror }", "anything: { proxy: plug, accept: mirror, release: never }");

/// The place.
pub struct Town {
    /// Everything in it.
    pub world: World,
    /// In the intranet.
    pub client: HostId,
    /// In the DMZ.
    pub server: HostId,
    /// The uplink's other end, and all that lies behind it.
    pub router: HostId,
}

impl Town {
    /// The usual place.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(seed, &[], &Settings::default())
    }

    /// With a plug that keeps its sessions to itself: nothing is released.
    #[must_use]
    pub fn terminated(seed: u64) -> Self {
        Self::changed(seed, &[TERMINATED])
    }

    /// The one or the other, as the seed wants it.
    #[must_use]
    pub fn either(seed: u64) -> Self {
        if seed.count_ones().is_multiple_of(2) { Self::new(seed) } else { Self::terminated(seed) }
    }

    /// With lines of [`YAML`] replaced by others.
    ///
    /// # Panics
    /// When a line is not there, or what comes out has faults.
    #[must_use]
    pub fn changed(seed: u64, changes: &[(&str, &str)]) -> Self {
        Self::with(seed, changes, &Settings::default())
    }

    /// With a gateway of other measures as well.
    ///
    /// # Panics
    /// As [`Town::changed`].
    #[must_use]
    pub fn with(seed: u64, changes: &[(&str, &str)], settings: &Settings) -> Self {
        let yaml = yaml(changes);
        let mut world = World::with_gateway(seed, |now, random| Gateway::with(now, random, &yaml, settings));
        let client = world.host("intra", "client", &["192.168.1.2/24", "fd00:1::2/64"], &["192.168.1.1", "fd00:1::1"]);
        let server = world.host("dmz", "server", &["10.0.0.2/24", "fd00:2::2/64"], &["10.0.0.1", "fd00:2::1"]);
        let router = world.host(
            "inter",
            "router",
            &["203.0.113.254/24", "2001:db8:1::fe/64"],
            &["203.0.113.1", "2001:db8:1::1"],
        );
        let net = |text: &str| text.parse().expect("a network");
        world.get_mut(router).also = vec![net("198.51.100.0/24"), net("2001:db8:99::/64")];
        world.get_mut(router).unreachable = vec![net("198.51.101.0/24"), net("2001:db8:98::/64")];
        Self { world, client, server, router }
    }
}

/// [`YAML`] with lines replaced by others.
///
/// # Panics
/// When a line is not there.
#[must_use]
pub fn yaml(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(YAML.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "the town's configuration has no {old:?}");
        text.replacen(old, new, 1)
    })
}
