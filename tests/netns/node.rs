//! A node of ours (`lossy-node`) in a host's cable, and behind it a switch with room for guests: hosts whose TCP is not the
//! kernel's, in the same network as the Linux host.
//!
//! ```text
//!   router's namespace            │ the host's namespace
//!   gateway ── g<n> ══ lossy-node ══ up0 ── eth0 (bridge, the Linux host: .99)
//!                                 │           └── guests' taps
//! ```
//!
//! The device keeps its name `eth0`, so that a host with a node is set up as one without.

use crate::host::{DEVICE, Host, Namespace};
use crate::limits;
use crate::process::Process;

/// The host's side of the cable.
const UPLINK: &str = "up0";

/// A running node.
pub(crate) struct Node {
    process: Process,
    changes: usize,
}

impl Node {
    /// Makes the cable between `router` and `host`, without faults at first.
    #[track_caller]
    pub(crate) fn join(router: &Namespace, host: &Host, n: u8) -> Node {
        let (ours, theirs) = (format!("g{n}"), format!("n{n}"));
        let mut process = router.start(&[env!("CARGO_BIN_EXE_lossy-node"), &ours, &theirs, &format!("seed={n}")]);
        process.wait_for("ready", limits::VISIBLE);
        let namespace = &host.namespace;
        router.ip(&["link", "set", &theirs, "netns", namespace.name(), "name", UPLINK]);
        namespace.ip(&["link", "add", DEVICE, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"]);
        plug_in(namespace, UPLINK);
        router.run(&["ethtool", "-K", &ours, "tx", "off", "tso", "off", "gso", "off", "gro", "off"]);
        router.ip(&["link", "set", &ours, "promisc", "on", "mtu", "1500", "txqueuelen", QUEUE, "up"]);
        Node { process, changes: 0 }
    }

    #[track_caller]
    pub(crate) fn weather(&mut self, words: &str) {
        self.process.tell(words);
        self.changes += 1;
        self.process.wait_for(&format!("set-{}", self.changes), limits::VISIBLE);
    }
}

/// Frames that wait for the node, at most: all that a sender has in flight, so that only the node loses any.
const QUEUE: &str = "10000";

/// Joins a device of `namespace` to its switch.
#[track_caller]
pub(crate) fn plug_in(namespace: &Namespace, device: &str) {
    // The kernel is no host on the switch's ports: it must not speak there.
    namespace.sysctl(&format!("net.ipv6.conf.{device}.disable_ipv6=1"));
    namespace.run(&["ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off"]);
    namespace.ip(&["link", "set", device, "master", DEVICE, "mtu", "1500", "txqueuelen", QUEUE, "up"]);
}
