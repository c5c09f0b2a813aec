//! The shape of the file as a JSON schema, for editors and other tools.
//!
//! These types are never filled: the file is read by [`load`](super::load), which reports all faults at once and
//! checks what a schema cannot say. A test holds both to the same keys.

#![expect(dead_code, reason = "types of a schema describe, they hold nothing")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

/// The JSON schema of a configuration file.
pub fn schema() -> Value {
    schemars::schema_for!(File).to_value()
}

/// A configuration of Limpid.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "limpid.yaml")]
struct File {
    /// The data plane's environment.
    dpdk: Option<DpdkSection>,
    /// The gateway's interfaces, by the names that rules use after -i and -o.
    interfaces: BTreeMap<String, InterfaceSection>,
    /// Routes beyond the interfaces' own networks.
    routes: Option<Vec<RouteSection>>,
    /// Parts of the world that are trusted alike, by name.
    zones: Option<BTreeMap<String, ZoneSection>>,
    /// Ways of handling flows, by name.
    services: Option<BTreeMap<String, ServiceSection>>,
    /// Where --on-port of TPROXY rules leads.
    listeners: Option<Vec<ListenerSection>>,
    /// Words for rules: a rule that names a macro of n words becomes n rules.
    macros: Option<BTreeMap<String, MacroWords>>,
    /// Packet filter rules in iptables-save format.
    rules: Option<String>,
    /// A file with the rules, beside this one; instead of `rules`.
    rules_file: Option<String>,
    /// The control thread's sockets.
    control: Option<ControlSection>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct DpdkSection {
    /// Cores that run workers; default: all but the first, which keeps the control thread.
    cores: Option<Vec<u16>>,
    /// Pages that packet memory is on; default auto.
    hugepages: Option<HugepagesWord>,
    /// Packet memory in MiB; default 512.
    #[schemars(range(min = 16))]
    memory_mib: Option<u32>,
    /// What a worker does when there is nothing to do; default adaptive.
    idle: Option<IdleWord>,
    /// More arguments for DPDK's environment, verbatim.
    args: Option<Vec<String>>,
}

#[derive(JsonSchema)]
enum HugepagesWord {
    #[schemars(rename = "auto")]
    Auto,
    #[schemars(rename = "2M")]
    Size2M,
    #[schemars(rename = "1G")]
    Size1G,
    #[schemars(rename = "off")]
    Off,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum IdleWord {
    Adaptive,
    Poll,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct InterfaceSection {
    /// The device: a PCI address, or a driver with arguments.
    port: String,
    /// 802.1Q VLAN on that port; untagged by default.
    #[schemars(range(min = 1, max = 4094))]
    vlan: Option<u16>,
    /// Own addresses with prefix lengths.
    addresses: Option<Vec<String>>,
    /// Largest IP packet in bytes; default: the port's own.
    #[schemars(range(min = 68, max = 65535))]
    mtu: Option<u16>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RouteSection {
    /// The network.
    to: String,
    /// The gateway, an address in the network of an interface.
    via: Option<String>,
    /// The interface; needed without `via`, and with a link-local one.
    interface: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ZoneSection {
    /// Networks; an address is in the zone of its longest one.
    networks: Vec<String>,
    /// Services that servers in the zone may be reached through; "*" for all; default none.
    inbound_services: Option<Vec<String>>,
    /// Services that clients in the zone may use; "*" for all; default none.
    outbound_services: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ServiceSection {
    /// The proxy module.
    proxy: ProxyWord,
    /// When the client is answered; default mirror.
    accept: Option<AcceptWord>,
    /// Whose address the server sees: client, gateway or ADDRESS:PORT; default client.
    source: Option<String>,
    /// The server: transparent, or a list of ADDRESS:PORT; default transparent.
    router: Option<RouterWord>,
    /// Seconds without a byte after which a session ends; default 600.
    #[schemars(range(min = 1, max = 2678400))]
    idle_s: Option<u32>,
    /// Seconds that a server may take to answer; default 30.
    #[schemars(range(min = 1, max = 2678400))]
    connect_timeout_s: Option<u32>,
    /// Sessions at once; 0, the default, for any number.
    max_sessions: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum ProxyWord {
    Plug,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum AcceptWord {
    Mirror,
    Immediate,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum RouterWord {
    Transparent(String),
    Directed(Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ListenerSection {
    /// The port that rules name after --on-port.
    #[schemars(range(min = 1))]
    port: u16,
    /// The service.
    service: String,
    /// One local address; default: all of the gateway's.
    address: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum MacroWords {
    One(MacroWord),
    Many(Vec<MacroWord>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum MacroWord {
    Text(String),
    Number(u64),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ControlSection {
    /// Requests of operators and proxies; default /run/limpid/control.sock.
    socket: Option<String>,
    /// Sockets for other programs; not served in this version.
    handoff: Option<String>,
    /// Metrics and status as ADDRESS:PORT on the kernel's network; off by default.
    http: Option<String>,
}
