//! `kernel:` of an interface: whether the host's kernel gets a part in it, by which device, and how much it may take.
//!
//! The short forms (`true`, a name) are for those who want sshd to work; the mapping is for those who know their
//! rates. What is not said is the data plane's choice. Names are held to what Linux takes, and none may be there
//! twice or look like a port's own kernel interface.

use super::super::decode::{self, Mapping};
use super::super::tree::{Node, Value};
use crate::faults::Faults;
use crate::limits;
use crate::policy::{Interface, KernelDevice, KernelDriver};

/// What goes before the interface's name in a name that nobody chose.
const PREFIX: &str = "lim-";

const DRIVERS: [(&str, KernelDriver); 2] = [("tap", KernelDriver::Tap), ("vhost_net", KernelDriver::VhostNet)];

/// Reads `kernel:` of the interface called `interface`; `others` are those before it.
pub(super) fn device(node: &Node, interface: &str, others: &[Interface], faults: &mut Faults) -> Option<KernelDevice> {
    let device = match &node.value {
        Value::Bool(false) => return None,
        Value::Text(word) if word == "off" => return None,
        Value::Bool(true) => named(default_name(interface)),
        Value::Text(word) if word == "on" => named(default_name(interface)),
        Value::Text(word) => named(word.clone()),
        Value::Map(_) => whole(node, interface, faults)?,
        other => {
            let message = format!("`kernel` is {}, `true`, `false` or the name of a device was expected", other.kind());
            faults.add(node.place.clone(), message);
            return None;
        }
    };
    check_name(&device.name, node, others, faults).then_some(device)
}

fn named(name: String) -> KernelDevice {
    KernelDevice { name, driver: KernelDriver::Tap, packets_per_second: None, bytes_per_second: None }
}

fn whole(node: &Node, interface: &str, faults: &mut Faults) -> Option<KernelDevice> {
    let mut mapping = Mapping::new(node, "`kernel`", faults)?;
    let name = mapping.get("device").and_then(|name| decode::text(name, "`device`", faults));
    let driver = mapping.get("driver").and_then(|driver| decode::choice(driver, "`driver`", &DRIVERS, faults));
    let packets = mapping.get("packets_per_second");
    let packets = packets.and_then(|n| decode::number(n, "`packets_per_second`", 1..=10_000_000, faults));
    let bytes = mapping.get("bytes_per_second");
    let bytes = bytes.and_then(|n| decode::number(n, "`bytes_per_second`", 65_536..=100_000_000_000, faults));
    mapping.finish(faults);
    Some(KernelDevice {
        name: name.map_or_else(|| default_name(interface), str::to_owned),
        driver: driver.unwrap_or(KernelDriver::Tap),
        packets_per_second: packets,
        bytes_per_second: bytes,
    })
}

/// `lim-` and the interface's name, as much of it as Linux takes.
fn default_name(interface: &str) -> String {
    PREFIX.chars().chain(interface.chars()).take(limits::INTERFACE_NAME_MAX).collect()
}

fn check_name(name: &str, node: &Node, others: &[Interface], faults: &mut Faults) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let reserved = ["all", "default", "lo", ".", ".."];
    let most = limits::INTERFACE_NAME_MAX;
    if name.is_empty() || name.len() > most || !name.chars().all(good) || reserved.contains(&name) {
        let expected = format!("up to {most} letters, digits, `_`, `-` and `.` were expected");
        faults.add(node.place.clone(), format!("`{name}` is no name of a kernel's device: {expected}"));
        return false;
    }
    let kernel_name = |other: &Interface| other.kernel.as_ref().is_some_and(|kernel| kernel.name == name);
    if let Some(other) = others.iter().find(|other| kernel_name(other)) {
        let message = format!("the kernel's device `{name}` is that of interface `{}` already", other.name);
        faults.add_hint(node.place.clone(), message, "name it: `kernel: NAME`");
        return false;
    }
    true
}

#[cfg(test)]
mod tests;
