//! `dpdk:` and `control:`: what the program runs in. Every key has a default; a core or a page size that this machine
//! lacks is the start's business, not the file's.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::decode::{self, Mapping};
use super::tree::{Node, Value};
use super::{Control, Dpdk, Hugepages, Idle};
use crate::faults::Faults;
use crate::policy::{Proxy, Service};

/// Cores that DPDK's environment can have (`RTE_MAX_LCORE` of common builds).
const CORES_MAX: u64 = 1023;
/// More packet memory than any machine has.
const MEMORY_MIB_MAX: u64 = 4 << 20;

/// Reads `dpdk:`.
pub(super) fn dpdk(node: &Node, faults: &mut Faults) -> Dpdk {
    let mut dpdk = Dpdk::default();
    let Some(mut mapping) = Mapping::new(node, "`dpdk`", faults) else { return dpdk };
    dpdk.cores = mapping.get("cores").map(|list| cores(list, faults));
    let pages =
        [("auto", Hugepages::Auto), ("2M", Hugepages::Size2M), ("1G", Hugepages::Size1G), ("off", Hugepages::Off)];
    if let Some(pages) = mapping.get("hugepages").and_then(|node| decode::choice(node, "`hugepages`", &pages, faults)) {
        dpdk.hugepages = pages;
    }
    let memory = mapping.get("memory_mib");
    if let Some(memory) = memory.and_then(|node| decode::number(node, "`memory_mib`", 16..=MEMORY_MIB_MAX, faults)) {
        dpdk.memory_mib = memory;
    }
    let idle = [("adaptive", Idle::Adaptive), ("poll", Idle::Poll)];
    if let Some(idle) = mapping.get("idle").and_then(|node| decode::choice(node, "`idle`", &idle, faults)) {
        dpdk.idle = idle;
    }
    for item in mapping.get("args").map_or(&[][..], |node| decode::list(node, "`args`", faults)) {
        dpdk.args.extend(decode::text(item, "the argument", faults).map(str::to_owned));
    }
    mapping.finish(faults);
    dpdk
}

fn cores(node: &Node, faults: &mut Faults) -> Vec<u32> {
    let mut cores = Vec::new();
    for item in decode::list(node, "`cores`", faults) {
        let Some(core) = decode::number::<u32>(item, "the core", 0..=CORES_MAX, faults) else { continue };
        if cores.contains(&core) {
            faults.add(item.place.clone(), format!("core {core} is there twice"));
        }
        cores.push(core);
    }
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        faults.add_hint(node.place.clone(), "`cores` is an empty list", "leave it out for all cores but the first");
    }
    cores
}

/// Reads `control:`.
pub(super) fn control(node: &Node, services: &[Service], faults: &mut Faults, warnings: &mut Faults) -> Control {
    let mut control = Control::default();
    let Some(mut mapping) = Mapping::new(node, "`control`", faults) else { return control };
    if let Some(path) = mapping.get("socket").and_then(|node| socket(node, "`socket`", faults)) {
        control.socket = path;
    }
    if let Some(node) = mapping.get("group") {
        control.group = group(node, faults);
    }
    if let Some(node) = mapping.get("handoff") {
        control.handoff = socket(node, "`handoff`", faults);
        if !services.iter().any(|service| service.proxy() == Some(Proxy::Handoff)) {
            let message = "no service says `proxy: handoff`: what programs listen for or connect to is dropped";
            warnings.add_hint(node.place.clone(), message, "zones permit programs by the name of that service");
        }
    }
    if let Some(node) = mapping.get("http") {
        let expected = "ADDRESS:PORT such as 127.0.0.1:9145";
        control.http = decode::parsed::<SocketAddr>(node, "`http`", expected, faults);
    }
    mapping.finish(faults);
    control
}

/// A group of the system, which need not be there yet: by name, or by number.
fn group(node: &Node, faults: &mut Faults) -> Option<String> {
    if let Value::Number(_) = node.value {
        return decode::number::<u32>(node, "`group`", 0..=u64::from(u32::MAX), faults).map(|gid| gid.to_string());
    }
    let name = decode::text(node, "`group`", faults)?;
    // groupadd(8): at most 32 characters; a colon or comma would be another field of /etc/group.
    if name.is_empty() || name.len() > 32 || name.contains([':', ',', '\n']) {
        faults.add(node.place.clone(), format!("`group` is `{name}`, the name or number of a group was expected"));
        return None;
    }
    Some(name.to_owned())
}

/// A Unix socket's path: its address has room for 107 bytes.
fn socket(node: &Node, what: &str, faults: &mut Faults) -> Option<PathBuf> {
    let path = decode::text(node, what, faults)?;
    if path.is_empty() || path.len() > 107 || path.contains('\0') {
        faults.add(node.place.clone(), format!("{what} is `{path}`, a path of 1 to 107 bytes was expected"));
        return None;
    }
    Some(path.into())
}
