//! The configuration's device string, read: which driver, which arguments.
//!
//! `net_af_packet0,iface=veth0` (a virtual device: driver's name, a number, arguments) or `0000:03:00.0` (a PCI
//! address, arguments after a comma). EAL reads the string itself; this is for choices and for errors that help.

#[cfg(test)]
mod tests;

/// Virtual drivers that this gateway is tested with, longest name first where one begins another.
pub(crate) const DRIVERS: &[&str] =
    &["net_af_packet", "net_af_xdp", "net_memif", "net_null", "net_pcap", "net_ring", "net_tap"];

/// Others of DPDK's that carry packets.
const MORE_DRIVERS: &[&str] = &["net_virtio_user", "net_vhost", "net_bonding", "net_failsafe", "net_vdev_netvsc"];

/// What kind of device a string names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// A virtual device of a known driver.
    Virtual(&'static str),
    /// A PCI address.
    Pci(&'a str),
    /// Neither.
    Unknown,
}

/// A device string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeviceString<'a> {
    pub(crate) text: &'a str,
    pub(crate) name: &'a str,
    arguments: &'a str,
}

impl<'a> DeviceString<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let (name, arguments) = text.split_once(',').unwrap_or((text, ""));
        DeviceString { text, name: name.trim(), arguments }
    }

    /// The value of an argument.
    pub(crate) fn argument(&self, key: &str) -> Option<&'a str> {
        self.arguments.split(',').find_map(|argument| {
            let (name, value) = argument.split_once('=')?;
            (name.trim() == key).then_some(value.trim())
        })
    }

    pub(crate) fn kind(&self) -> Kind<'a> {
        let address = self.name.strip_prefix("pci:").unwrap_or(self.name);
        if is_pci(address) {
            return Kind::Pci(address);
        }
        let name = self.name.strip_prefix("vdev:").unwrap_or(self.name);
        DRIVERS
            .iter()
            .chain(MORE_DRIVERS)
            .find(|driver| name.starts_with(*driver))
            .map_or(Kind::Unknown, |driver| Kind::Virtual(driver))
    }

    /// The kernel's interface that it sits on and that must be there before it.
    pub(crate) fn kernel_interface(&self) -> Option<&'a str> {
        match self.kind() {
            Kind::Virtual("net_af_packet" | "net_af_xdp") => self.argument("iface"),
            Kind::Virtual("net_pcap") => self.argument("iface").or_else(|| self.argument("rx_iface")),
            Kind::Virtual("net_tap") => self.argument("remote"),
            _ => None,
        }
    }
}

/// `[domain:]bus:device.function`, in hexadecimal digits.
fn is_pci(name: &str) -> bool {
    let hex = |text: &str, len_max: usize| {
        !text.is_empty() && text.len() <= len_max && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let Some((front, function)) = name.rsplit_once('.') else { return false };
    let parts: Vec<&str> = front.split(':').collect();
    let address = match parts[..] {
        [domain, bus, device] => hex(domain, 8) && hex(bus, 2) && hex(device, 2),
        [bus, device] => hex(bus, 2) && hex(device, 2),
        _ => false,
    };
    address && function.len() == 1 && matches!(function.as_bytes()[0], b'0'..=b'7')
}

/// The kernel's interface that the device of this string sits on, which goes on hearing what the device receives.
pub fn kernel_interface(device: &str) -> Option<&str> {
    DeviceString::new(device).kernel_interface()
}

/// Does this device string name a PCI device? What [`crate::Options::pci`] wants to know.
pub fn names_pci(device: &str) -> bool {
    matches!(DeviceString::new(device).kind(), Kind::Pci(_))
}
