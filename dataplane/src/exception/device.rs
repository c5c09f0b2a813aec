//! The kernel's devices of a process: made when the gateway starts, gone when it ends.
//!
//! In the order of events: attach (the driver makes the device, with the Ethernet address of the interface's port) →
//! settings, addresses, up, routes (by `ip`, which every host with a network has: one run with a batch at start does not
//! deserve a netlink library) → the port's own kernel interface, if it has one, is made deaf. A device is its
//! descriptor's: when the process ends, however it ends, the kernel takes it away with its addresses and routes.
//!
//! What must hold: nothing gets to the addresses past the rules. A port on a kernel interface (packet sockets) leaves
//! the kernel hearing what comes in there, and a host answers for all its addresses on all its interfaces; so strict
//! reverse path filtering, no ARP and no IPv6 there, or the gateway does not start.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use control::policy::{Interface, InterfaceId, KernelDevice, KernelDriver, Policy};
use dpdk::{Eal, Pool, Port, Queue, Settings};
use tracing::{info, warn};

use crate::nic::PortId;
use crate::packet::MacAddress;

/// Metric of the routes that the kernel is given: an operator's own to the same network wins.
const METRIC: u32 = 4_096;

/// Where settings of the network are.
const SETTINGS: &str = "/proc/sys/net";

/// What can go wrong, in words for the operator.
type Failure = Box<dyn std::error::Error>;

/// What was changed and is changed back at the end.
#[derive(Debug, Default)]
pub struct KernelDevices {
    before: Vec<(PathBuf, String)>,
}

/// Makes the devices of all interfaces that want one. Their queues follow those of `ports` in `queues`; the answer says
/// which port is whose.
///
/// # Errors
/// When a device cannot be made or configured; names it.
pub fn attach(
    eal: &Eal,
    policy: &Policy,
    pool: &Pool,
    ports: &[PortId],
    queues: &mut Vec<Queue>,
) -> Result<(Vec<Option<PortId>>, KernelDevices), Failure> {
    let mut devices = KernelDevices::default();
    let mut kernel_ports = vec![None; policy.interfaces().len()];
    let wanted = policy
        .interfaces()
        .iter()
        .enumerate()
        .filter_map(|(i, interface)| Some((i, interface, interface.kernel.as_ref()?)));
    for (index, interface, kernel) in wanted {
        let failed =
            |failure: Failure| format!("interface {}: kernel device {}: {failure}", interface.name, kernel.name);
        let wire = queues[usize::from(ports[index].0)].device();
        let (mac, mtu) = (MacAddress(wire.mac()), interface.mtu.map_or(wire.mtu(), |mtu| mtu.min(wire.mtu())));
        if let Some(below) = dpdk::kernel_interface(&interface.port) {
            devices.deafen(below).map_err(failed)?;
            info!("{}: the kernel no longer takes packets at {below}: its part is {}", interface.name, kernel.name);
        }
        let settings = Settings { queues: 1, mtu: Some(mtu), rss_seed: 0 };
        let string = device_string(index, kernel, mac);
        let mut port =
            Port::attach(eal, &string, &settings, std::slice::from_ref(pool)).map_err(|e| failed(e.into()))?;
        kernel_ports[index] = Some(PortId(u16::try_from(queues.len())?));
        queues.extend(port.queue(0));
        configure(policy, InterfaceId(index as u16), interface, kernel, mtu).map_err(failed)?;
        info!("{}: the kernel's part is {} ({mac}, MTU {mtu})", interface.name, kernel.name);
    }
    Ok((kernel_ports, devices))
}

/// The driver's string; DPDK wants names of its own, apart from those of the configuration.
fn device_string(index: usize, kernel: &KernelDevice, mac: MacAddress) -> String {
    let name = &kernel.name;
    match kernel.driver {
        KernelDriver::Tap => format!("net_tap_kernel{index},iface={name},mac={mac}"),
        KernelDriver::VhostNet => {
            format!("net_virtio_user_kernel{index},path=/dev/vhost-net,queues=1,queue_size=1024,iface={name},mac={mac}")
        }
    }
}

/// Settings, addresses, routes.
fn configure(
    policy: &Policy,
    id: InterfaceId,
    interface: &Interface,
    kernel: &KernelDevice,
    mtu: u16,
) -> Result<(), Failure> {
    let name = &kernel.name;
    // Down, so that nothing was made up or said before it is as it should be.
    ip(&format!("link set dev {name} down\n"), false)?;
    let speaks_v6 = interface.addresses.iter().any(|address| address.addr().is_ipv6());
    // Link-local addresses as ours are (RFC 4291 appendix A), and nothing learned of routers: the file says it all.
    let wanted: &[(&str, &str)] = if speaks_v6 {
        &[("disable_ipv6", "0"), ("addr_gen_mode", "0"), ("accept_ra", "0"), ("autoconf", "0"), ("dad_transmits", "0")]
    } else {
        &[("disable_ipv6", "1")]
    };
    for (setting, value) in wanted {
        let path = Path::new(SETTINGS).join("ipv6/conf").join(name).join(setting);
        // A kernel without IPv6 has no such file, and then refuses the address below.
        if let Err(error) = fs::write(&path, value) {
            warn!("{}: {error}", path.display());
        }
    }
    ip(&addresses(interface, name, mtu), false)?;
    if let Err(error) = ip(&routes(policy, id, name), true) {
        warn!("{name}: {error}");
    }
    Ok(())
}

fn addresses(interface: &Interface, name: &str, mtu: u16) -> String {
    let mut batch = String::new();
    for address in &interface.addresses {
        // Whether an address is somebody else's is for the gateway to find out.
        let nodad = if address.addr().is_ipv6() { " nodad" } else { "" };
        let _ = writeln!(batch, "address add {address} dev {name}{nodad}");
    }
    let _ = writeln!(batch, "link set dev {name} mtu {mtu} up");
    batch
}

fn routes(policy: &Policy, id: InterfaceId, name: &str) -> String {
    let mut batch = String::new();
    // The interface's own networks come with its addresses.
    let own: Vec<_> = policy.interface(id).addresses.iter().map(ipnet::IpNet::trunc).collect();
    for route in policy.routes().iter().filter(|route| route.interface == id && !own.contains(&route.to)) {
        let via = route.via.map_or(String::new(), |via| format!(" via {via}"));
        let _ = writeln!(batch, "route add {}{via} dev {name} metric {METRIC}", route.to);
    }
    batch
}

/// Runs `ip` with these lines; `force`: all of them, whatever fails.
fn ip(batch: &str, force: bool) -> Result<(), Failure> {
    if batch.is_empty() {
        return Ok(());
    }
    let force: &[&str] = if force { &["-force"] } else { &[] };
    let mut command = Command::new("ip");
    command.args(force).args(["-batch", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("ip (of iproute2) does not start: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(batch.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip refused: {}", said.split_whitespace().collect::<Vec<_>>().join(" ")).into())
}

impl KernelDevices {
    /// Sees to it that the kernel answers nothing at the interface below a port.
    fn deafen(&mut self, below: &str) -> Result<(), Failure> {
        let all = fs::read_to_string(Path::new(SETTINGS).join("ipv4/conf/all/rp_filter"))?;
        // The larger of the two counts, and 2 lets in whatever has a route anywhere.
        if all.trim() == "2" {
            let cause =
                format!("net.ipv4.conf.all.rp_filter is 2: packets at {below} would reach programs past the rules");
            return Err(format!("{cause}; set it to 0 or 1").into());
        }
        self.set(&format!("ipv4/conf/{below}/rp_filter"), "1")?;
        self.set(&format!("ipv4/conf/{below}/arp_ignore"), "8")?;
        let v6 = format!("ipv6/conf/{below}/disable_ipv6");
        if Path::new(SETTINGS).join(&v6).exists() {
            self.set(&v6, "1")?;
        }
        Ok(())
    }

    fn set(&mut self, setting: &str, value: &str) -> Result<(), Failure> {
        let path = Path::new(SETTINGS).join(setting);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let before = fs::read_to_string(&path).map_err(failed)?;
        if before.trim() != value {
            fs::write(&path, value).map_err(failed)?;
            self.before.push((path, before));
        }
        Ok(())
    }
}

impl Drop for KernelDevices {
    fn drop(&mut self) {
        for (path, before) in self.before.drain(..).rev() {
            // The interface may be gone by now.
            if let Err(error) = fs::write(&path, before.trim()) {
                warn!("{}: {error}", path.display());
            }
        }
    }
}

#[cfg(test)]
mod tests;
