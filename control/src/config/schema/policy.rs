//! The sections that say who may do what: zones, services, listeners, policy rules and NAT policies.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::config::{nat_policies, router};

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ZoneSection {
    /// Networks; an address is in the zone of its longest one.
    networks: Vec<String>,
    /// Services that servers in the zone may be reached through; "*" for all; default none.
    inbound_services: Option<Vec<String>>,
    /// Services that clients in the zone may use; "*" for all; default none.
    outbound_services: Option<Vec<String>>,
    /// The zone that is asked where the lists do not have the service.
    parent: Option<String>,
    /// The parent is not asked; default false.
    umbrella: Option<bool>,
    /// Logs and listings show the parent's name; default false.
    inherit: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ServiceSection {
    /// The proxy module. A service has one of `proxy`, `forward` and `deny`.
    proxy: Option<ProxyWord>,
    /// Flows are forwarded, translated as router and NAT policies say.
    forward: Option<bool>,
    /// Flows are ended: drop, reset, an ICMP error's name, or one for each family.
    deny: Option<DenyWord>,
    /// When the client is answered; default mirror.
    accept: Option<AcceptWord>,
    /// Whether sessions may be left to their two ends; default auto.
    release: Option<ReleaseWord>,
    /// Whose address the server sees: client, gateway or ADDRESS:PORT; default client.
    source: Option<String>,
    /// The same as source: client (true) or gateway (false).
    forge_address: Option<bool>,
    /// From which port the server is spoken to.
    forge_port: Option<ForgePortWord>,
    /// The server: transparent, a list of ADDRESS:PORT, or more in a mapping; default transparent.
    router: Option<RouterWord>,
    /// NAT policy for the gateway's end of the connection to the server.
    snat: Option<String>,
    /// NAT policy for the server's address.
    dnat: Option<String>,
    /// Servers must be in one of these zones, or below one.
    limit_target_zones_to: Option<OneOrMany>,
    /// Seconds without a byte after which a session ends; default 600.
    #[schemars(range(min = 1, max = 2678400))]
    idle_s: Option<u32>,
    /// Seconds after which a session ends, whatever moves; default none.
    #[schemars(range(min = 1, max = 2678400))]
    total_s: Option<u32>,
    /// Seconds that a server may take to answer; default 30.
    #[schemars(range(min = 1, max = 2678400))]
    connect_timeout_s: Option<u32>,
    /// Sessions at once; 0, the default, for any number.
    max_instances: Option<u32>,
    /// The older name of max_instances.
    max_sessions: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum ProxyWord {
    Plug,
    Handoff,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum AcceptWord {
    Mirror,
    Immediate,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum ReleaseWord {
    Auto,
    Never,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum DenyWord {
    Both(String),
    Each(DenySection),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct DenySection {
    /// What IPv4 flows get; default drop.
    ipv4: Option<String>,
    /// What IPv6 flows get; default drop.
    ipv6: Option<String>,
    /// Whether denied flows are logged; default true.
    log: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum ForgePortWord {
    /// any, group, exact or random.
    Word(String),
    /// This port.
    Number(u16),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum RouterWord {
    /// transparent or inband.
    Word(String),
    /// Servers, tried in this order.
    Directed(Vec<String>),
    More(RouterSection),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct RouterSection {
    /// transparent, directed or inband.
    kind: router::Kind,
    /// transparent: the port that takes the place of the client's.
    forced_port: Option<u16>,
    /// directed: servers, as ADDRESS:PORT; port 0 keeps the client's.
    servers: Option<Vec<String>>,
    /// directed: in which order servers are asked; default failover.
    policy: Option<OrderWord>,
    /// directed: how long a server that failed is not asked; default 60s.
    retry_after: Option<String>,
    /// As beside the router.
    forge_address: Option<bool>,
    /// As beside the router.
    forge_port: Option<ForgePortWord>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum OrderWord {
    Failover,
    RoundRobin,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ListenerSection {
    /// The port that rules name after --on-port.
    #[schemars(range(min = 1))]
    port: u16,
    /// The service; or it is chosen by `zones` or `zone_pairs`.
    service: Option<String>,
    /// Services by the client's zone; "*" for any.
    zones: Option<BTreeMap<String, String>>,
    /// Services by the client's zone and, in that, the server's; "*" for any.
    zone_pairs: Option<BTreeMap<String, BTreeMap<String, String>>>,
    /// Zones above a flow's own are looked for too, the nearest first; default false.
    follow_parent: Option<bool>,
    /// One local address; default: all of the gateway's.
    address: Option<String>,
    /// Which flows it takes; default both.
    protocol: Option<ProtocolsWord>,
    /// It takes one connection and is then as if it were not there; default false.
    accept_one: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum ProtocolsWord {
    Tcp,
    Udp,
    Both,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct PolicyRuleSection {
    /// The number by which it is known, and by which ties are decided; default: its place in the list, from 1.
    #[schemars(range(min = 1))]
    id: Option<u32>,
    /// The service.
    service: String,
    /// Interfaces the flow comes in on.
    src_iface: Option<OneOrMany>,
    /// tcp, udp.
    proto: Option<OneOrMany>,
    /// Source ports and ranges.
    src_port: Option<OneOrMany>,
    /// Destination ports and ranges.
    dst_port: Option<OneOrMany>,
    /// Networks it comes from; an alternative to src_zone.
    src_subnet: Option<OneOrMany>,
    /// Zones it comes from.
    src_zone: Option<OneOrMany>,
    /// Networks it goes to; an alternative to dst_iface and dst_zone.
    dst_subnet: Option<OneOrMany>,
    /// Interfaces that lead to where it goes.
    dst_iface: Option<OneOrMany>,
    /// Zones it goes to.
    dst_zone: Option<OneOrMany>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum OneOrMany {
    One(Word),
    Many(Vec<Word>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Word {
    Text(String),
    Number(u64),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NatPolicySection {
    /// What it does.
    kind: nat_policies::Kind,
    /// general, one_to_one_multi: its rows.
    mappings: Option<Vec<NatRow>>,
    /// static: the address, with a port or without.
    address: Option<String>,
    /// random, hash: the addresses.
    addresses: Option<Vec<String>>,
    /// one_to_one: the network that is mapped.
    from: Option<String>,
    /// one_to_one: the network it is mapped to.
    to: Option<String>,
    /// one_to_one, one_to_one_multi: what is done with other addresses; default reject.
    outside: Option<OutsideWord>,
    /// nat64, nat46: the prefix of RFC 6052; default 64:ff9b::/96.
    prefix: Option<String>,
    /// A client and a server that met once get the same choice again; default true.
    cacheable: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NatRow {
    /// general: where the flow comes from.
    source: Option<String>,
    /// general: where it goes.
    destination: Option<String>,
    /// general: the network whose host part the address keeps.
    mapped: Option<String>,
    /// one_to_one_multi: the network that is mapped.
    from: Option<String>,
    /// one_to_one_multi: the network it is mapped to.
    to: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum OutsideWord {
    Reject,
    Keep,
}
