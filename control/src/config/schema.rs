//! The shape of the file as a JSON schema, for editors and other tools.
//!
//! These types are never filled: the file is read by [`load`](super::load), which reports all faults at once and
//! checks what a schema cannot say. A test holds both to the same keys, where a section has the same
//! ones whatever its kind.

#![expect(dead_code, reason = "types of a schema describe, they hold nothing")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use crate::modules::Modules;
use policy::{ListenerSection, NatPolicySection, PolicyRuleSection, ServiceSection, ZoneSection};

mod policy;

/// The JSON schema of a configuration file in which services may name these proxies.
pub fn schema(modules: &dyn Modules) -> Value {
    let mut schema = schemars::schema_for!(File).to_value();
    for kind in modules.kinds() {
        if let Some(Value::Array(words)) = schema.pointer_mut("/$defs/ProxyWord/enum") {
            words.push(kind.name.into());
        }
    }
    for name in std::iter::once("plug").chain(modules.kinds().iter().map(|kind| kind.name)) {
        if let Some(section) = modules.schema(name) {
            add_section(&mut schema, name, &section);
        }
    }
    schema
}

/// Gives services the section of a proxy. Its own definitions get its name in front: two proxies may have the same words.
fn add_section(schema: &mut Value, name: &str, section: &Value) {
    let text = section.to_string().replace("\"#/$defs/", &format!("\"#/$defs/{name}."));
    let Ok(Value::Object(mut section)) = serde_json::from_str(&text) else { return };
    section.remove("$schema");
    let definitions = section.remove("$defs");
    if let Some(Value::Object(all)) = schema.pointer_mut("/$defs") {
        if let Some(Value::Object(definitions)) = definitions {
            all.extend(definitions.into_iter().map(|(word, shape)| (format!("{name}.{word}"), shape)));
        }
        if let Some(Value::Object(keys)) =
            all.get_mut("ServiceSection").and_then(|service| service.get_mut("properties"))
        {
            keys.insert(name.to_owned(), Value::Object(section));
        }
    }
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
    /// Services by the conditions that fit a flow best; asked where no listener stands.
    policy_rules: Option<Vec<PolicyRuleSection>>,
    /// Mappings of addresses that services use, by name.
    nat_policies: Option<BTreeMap<String, NatPolicySection>>,
    /// Words for rules: a rule that names a macro of n words becomes n rules.
    macros: Option<BTreeMap<String, MacroWords>>,
    /// Packet filter rules in iptables-save format.
    rules: Option<String>,
    /// A file with the rules, beside this one; instead of `rules`.
    rules_file: Option<String>,
    /// Sets of addresses, networks and ports that rules ask with -m set, by name.
    sets: Option<BTreeMap<String, SetSection>>,
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
    /// The host's kernel has a part in it: by `lim-` and the interface's name, by the device named here, or not.
    kernel: Option<KernelSection>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum KernelSection {
    Switch(bool),
    Device(String),
    Whole(KernelDeviceSection),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct KernelDeviceSection {
    /// The device's name.
    device: Option<String>,
    /// How packets get there.
    driver: Option<KernelDriverWord>,
    /// Packets a second in each direction, at most.
    #[schemars(range(min = 1, max = 10_000_000))]
    packets_per_second: Option<u32>,
    /// Bytes a second in each direction, at most.
    #[schemars(range(min = 65_536, max = 100_000_000_000_u64))]
    bytes_per_second: Option<u64>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum KernelDriverWord {
    Tap,
    VhostNet,
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
struct SetSection {
    /// What its members are.
    r#type: SetTypeWord,
    /// What it begins with; default nothing.
    entries: Option<Vec<String>>,
    /// A file with more of that, a member a line, beside this one.
    file: Option<String>,
}

#[derive(JsonSchema)]
enum SetTypeWord {
    #[serde(rename = "hash:ip")]
    Ip,
    #[serde(rename = "hash:net")]
    Net,
    #[serde(rename = "hash:ip,port")]
    IpPort,
    #[serde(rename = "hash:net,port")]
    NetPort,
    #[serde(rename = "hash:ip,port,ip")]
    IpPortIp,
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
    /// Group whose members may make requests and take sockets, by name or number.
    group: Option<MacroWord>,
    /// Sockets for other programs; off by default.
    handoff: Option<String>,
    /// Metrics and status as ADDRESS:PORT on the kernel's network; off by default.
    http: Option<String>,
}
