//! A network namespace of a thread's own with one tap device in it, the host that lives there and its neighbour: us.
//!
//! The thread enters it by `setns`, which is safe to call; nothing else of the process notices. The name is taken away
//! at once, so the namespace ends with its last file descriptor, however the test ends. What a script asks of options
//! and buffers is set where Linux keeps it: sysctls and the attributes of the route to the peer.

use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tappers::Interface;
use tappers::linux::Tap;

/// The kernel's address, and ours.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub(crate) const PEER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
/// The kernel's device, by its address.
pub(crate) const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

const DEVICE: &str = "tap0";
static NEXT: AtomicU32 = AtomicU32::new(0);

/// What differs between the namespaces of scripts.
pub(crate) struct Settings {
    /// Below `/proc/sys/net/ipv4/`.
    pub(crate) sysctls: Vec<(String, String)>,
    /// MSS to announce.
    pub(crate) mss: u16,
    /// The largest window to offer.
    pub(crate) window: Option<u32>,
    /// The way out takes such packets.
    pub(crate) mtu: u32,
}

/// Moves this thread into a namespace of its own and gives it a device.
pub(crate) fn enter(settings: &Settings) -> std::io::Result<Tap> {
    // The end-to-end tests take down what a killed test with such a name left behind.
    let name = format!("limpid-t{}x{}-script", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    ip(&["netns", "add", &name], "")?;
    let entered = File::open(format!("/run/netns/{name}"))
        .and_then(|namespace| Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?));
    ip(&["netns", "del", &name], "")?;
    entered?;
    // Its own chatter would only be in the way.
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")?;
    for (name, value) in &settings.sysctls {
        std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value)?;
    }
    let tap = Tap::create_named(Interface::new(DEVICE)?)?;
    tap.set_nonblocking(true)?;
    let mac = HOST_MAC.map(|byte| format!("{byte:02x}")).join(":");
    let window = settings.window.map(|bytes| format!("window {bytes}")).unwrap_or_default();
    let (mss, mtu) = (settings.mss, settings.mtu);
    let commands = format!(
        "link set lo up\nlink set {DEVICE} address {mac} mtu {mtu} up\naddr add {HOST}/24 dev {DEVICE}\n\
         route replace {PEER}/32 dev {DEVICE} src {HOST} advmss {mss} {window}\n"
    );
    ip(&["-batch", "-"], &commands)?;
    Ok(tap)
}

/// A child of this thread is where this thread is.
fn ip(words: &[&str], input: &str) -> std::io::Result<()> {
    let mut child = Command::new("ip").args(words).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().expect("as asked for").write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(std::io::Error::other(format!("ip {words:?} {input:?}: {said}")))
}
