//! Why a device could not be attached, and what to try: from the device string, the driver's error number and a look
//! at the machine. Drivers say little; nine times in ten it is one of the causes here.

use std::ffi::CString;
use std::fs;
use std::path::Path;

use crate::device_string::{DRIVERS, DeviceString, Kind};
use crate::error::{Error, describe};

#[cfg(test)]
mod tests;

/// What the machine says about one device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The kernel interface named by the device string: is it there?
    pub(crate) interface_there: bool,
    /// A file or folder that the device needs and that is not there.
    pub(crate) missing_file: Option<String>,
    /// The PCI address is on the bus.
    pub(crate) pci_there: bool,
    /// The kernel's driver for it.
    pub(crate) pci_driver: Option<String>,
    /// Effective capabilities of this process.
    pub(crate) capabilities: u64,
}

impl Facts {
    pub(crate) fn look(device: &DeviceString<'_>) -> Facts {
        let pci = match device.kind() {
            Kind::Pci(address) if address.split(':').count() == 2 => format!("/sys/bus/pci/devices/0000:{address}"),
            Kind::Pci(address) => format!("/sys/bus/pci/devices/{address}"),
            _ => String::new(),
        };
        let driver = fs::read_link(format!("{pci}/driver")).ok();
        Facts {
            interface_there: device.kernel_interface().is_some_and(|name| interface_mtu(name).is_some()),
            missing_file: needed_files(device).into_iter().find(|file| !Path::new(file).exists()),
            pci_there: !pci.is_empty() && Path::new(&pci).exists(),
            pci_driver: driver.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())),
            capabilities: capabilities(),
        }
    }
}

/// The error for a device that was not attached.
pub(crate) fn refused(device: &DeviceString<'_>, code: i32, log: Vec<String>, facts: &Facts) -> Error {
    let doing = format!("cannot attach device `{}`", device.text);
    let (cause, advice) = cause(device, code, facts);
    Error::new(doing, cause).advise(advice).with_log(log)
}

fn cause(device: &DeviceString<'_>, code: i32, facts: &Facts) -> (String, String) {
    match device.kind() {
        Kind::Unknown => unknown(device),
        Kind::Pci(address) => pci(address, code, facts),
        Kind::Virtual(driver) => virtual_device(device, driver, code, facts),
    }
}

fn unknown(device: &DeviceString<'_>) -> (String, String) {
    let advice = format!(
        "a virtual device (driver's name and a number, then arguments: {}) or a PCI address such as 0000:03:00.0",
        DRIVERS.join(", ")
    );
    (format!("no driver is called like `{}`", device.name), advice)
}

fn pci(address: &str, code: i32, facts: &Facts) -> (String, String) {
    if !facts.pci_there {
        let cause = format!("there is no PCI device at {address}");
        return (cause, "dpdk-devbind.py --status-dev net lists those there are".into());
    }
    let bind = format!("modprobe vfio-pci; dpdk-devbind.py --bind=vfio-pci {address} (its kernel interface goes away)");
    match facts.pci_driver.as_deref() {
        Some("vfio-pci" | "igb_uio" | "uio_pci_generic" | "mlx4_core" | "mlx5_core") => (
            format!("no DPDK driver took the PCI device: {}", describe(code)),
            "install the driver's package (librte-net-*), and check access to /dev/vfio and the locked-memory limit"
                .into(),
        ),
        Some(driver) => (format!("it is bound to the kernel's driver `{driver}`"), bind),
        None => ("it is bound to no driver".into(), bind),
    }
}

fn virtual_device(device: &DeviceString<'_>, driver: &str, code: i32, facts: &Facts) -> (String, String) {
    const EEXIST: i32 = 17;
    if matches!(driver, "net_af_packet" | "net_af_xdp") && device.kernel_interface().is_none() {
        return ("it names no interface".into(), format!("{},iface=NAME; `ip link` lists the names", device.name));
    }
    if let Some(name) = device.kernel_interface().filter(|_| !facts.interface_there) {
        let cause = format!("there is no interface `{name}` in this network namespace");
        return (cause, "`ip link` lists those there are; it must exist before the gateway starts".into());
    }
    if let Some(file) = &facts.missing_file {
        return (format!("`{file}` does not exist"), advice_for_file(driver));
    }
    let missing = missing_capabilities(driver, facts.capabilities);
    if !missing.is_empty() {
        let cause = format!("this process lacks {}", missing.join(" and "));
        return (cause, format!("run as root, or let systemd give it (AmbientCapabilities={})", missing.join(" ")));
    }
    if code.saturating_abs() == EEXIST {
        return (format!("a device `{}` is attached already", device.name), "another number after the name".into());
    }
    (describe(code), format!("check the arguments against the DPDK guide's page of {driver}"))
}

fn advice_for_file(driver: &str) -> String {
    match driver {
        "net_tap" => "modprobe tun (in a container: pass /dev/net/tun in)".into(),
        _ => "create it, or correct the path".into(),
    }
}

fn needed_files(device: &DeviceString<'_>) -> Vec<String> {
    let folder_of = |key: &str| {
        let folder = Path::new(device.argument(key)?).parent()?.to_string_lossy().into_owned();
        (!folder.is_empty()).then_some(folder)
    };
    let whole = |key: &str| device.argument(key).map(str::to_owned);
    let files = match device.kind() {
        Kind::Virtual("net_tap") => vec![Some("/dev/net/tun".into())],
        Kind::Virtual("net_pcap") => vec![whole("rx_pcap"), folder_of("tx_pcap")],
        Kind::Virtual("net_memif") if device.argument("socket-abstract") == Some("no") => vec![folder_of("socket")],
        Kind::Virtual("net_virtio_user" | "net_vhost") => vec![folder_of("path").or_else(|| folder_of("iface"))],
        _ => Vec::new(),
    };
    files.into_iter().flatten().collect()
}

/// Bits of capabilities(7).
const CAPABILITIES: &[(&str, u32, &[&str])] =
    &[("CAP_NET_ADMIN", 12, &["net_tap", "net_af_xdp"]), ("CAP_NET_RAW", 13, &["net_af_packet", "net_af_xdp"])];

fn missing_capabilities(driver: &str, effective: u64) -> Vec<&'static str> {
    let wanted = CAPABILITIES.iter().filter(|(_, _, drivers)| drivers.contains(&driver));
    wanted.filter(|(_, bit, _)| effective >> bit & 1 == 0).map(|(name, _, _)| *name).collect()
}

fn capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    // Not to be learned: blame nothing on it.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(u64::MAX)
}

/// The kernel's MTU of an interface in this thread's network namespace; `None` when there is no such interface.
pub(crate) fn interface_mtu(name: &str) -> Option<u16> {
    let name = CString::new(name).ok()?;
    // SAFETY: a terminated string, which is copied.
    let mtu = unsafe { dpdk_sys::limpid_interface_mtu(name.as_ptr()) };
    // The loopback's 65,536 is more than any packet.
    (mtu >= 0).then(|| u16::try_from(mtu).unwrap_or(u16::MAX))
}
