//! A world: three hosts, their servers, and something in the middle. All of it ends with the test, however that ends;
//! a failed test prints what each part said.

use crate::address::Family;
use crate::gateway::{self, Device, Gateway};
use crate::host::{DEVICE, Host, Namespace, run};
use crate::limits;
use crate::node::Node;
use crate::servers::Servers;
use crate::slot::Slot;
use crate::wait;
use serde_json::Value;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// What stands between the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Middle {
    /// Linux forwards: "as if nobody were between".
    Kernel,
    AfPacket,
    Tap,
}

impl Middle {
    fn device(self) -> Option<Device> {
        match self {
            Middle::Kernel => None,
            Middle::AfPacket => Some(Device::AfPacket),
            Middle::Tap => Some(Device::Tap),
        }
    }
}

/// Fields are dropped in this order: first what runs, then where it ran, last the turn for the next world.
pub(crate) struct World {
    middle: Middle,
    gateway: Option<Gateway>,
    nodes: Vec<Node>,
    servers: Option<(Servers, Servers)>,
    pub(crate) client: Host,
    pub(crate) server: Host,
    pub(crate) other: Host,
    pub(crate) router: Namespace,
    directory: TempDir,
    _slot: Slot,
}

impl World {
    /// A whole world that answers pings; `None` without root, after saying so.
    #[track_caller]
    pub(crate) fn new(middle: Middle) -> Option<World> {
        World::wired(middle, false, |text, _| text)
    }

    /// The same with a configuration that is made of the usual one; files beside it go into the directory.
    #[track_caller]
    pub(crate) fn configured(middle: Middle, configure: impl FnOnce(String, &Path) -> String) -> Option<World> {
        World::wired(middle, false, configure)
    }

    /// The same with a node of ours in the cables of ns1 and ns2, which can be told to lose and reorder (`weather`), and with
    /// room for other hosts behind it (`Guest`).
    #[track_caller]
    pub(crate) fn with_nodes(middle: Middle) -> Option<World> {
        assert_ne!(middle, Middle::Tap, "the driver's own taps have no room for a node");
        World::wired(middle, true, |text, _| text)
    }

    #[track_caller]
    fn wired(middle: Middle, nodes: bool, configure: impl FnOnce(String, &Path) -> String) -> Option<World> {
        let mut world = World::bare()?;
        world.middle = middle;
        if nodes {
            world.nodes = [&world.client, &world.server]
                .into_iter()
                .zip(1..)
                .map(|(host, n)| Node::join(&world.router, host, n))
                .collect();
        }
        if middle != Middle::Tap {
            world.join_by_veth();
        }
        match middle.device() {
            None => world.forward_by_kernel(),
            Some(device) => world.start_gateway(device, configure),
        }
        if middle == Middle::Tap {
            world.move_taps();
        }
        for host in world.hosts() {
            host.configure_device();
        }
        world.settle();
        world.servers = Some((Servers::start(&world.server, "ns2"), Servers::start(&world.other, "ns3")));
        Some(world)
    }

    /// Namespaces only: nothing joins them, nothing runs.
    pub(crate) fn bare() -> Option<World> {
        let root = Path::new("/proc/self").metadata().is_ok_and(|metadata| metadata.uid() == 0);
        if !root {
            eprintln!("skipped: network namespaces need root");
            return None;
        }
        let slot = Slot::take();
        remove_stale();
        let directory = TempDir::with_prefix("limpid-netns-").expect("a directory for the world");
        let prefix = format!("{PREFIX}{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let namespace = |name| Namespace::new(format!("{prefix}-{name}"), directory.path());
        let host = |n| Host::new(namespace(format!("ns{n}")), n);
        let (client, server, other, router) = (host(1), host(2), host(3), namespace("router".into()));
        // The kernel's own IPv6 on the gateway's side would answer for the gateway.
        router.sysctl("net.ipv6.conf.all.disable_ipv6=1");
        router.sysctl("net.ipv6.conf.default.disable_ipv6=1");
        Some(World {
            middle: Middle::Kernel,
            gateway: None,
            nodes: Vec::new(),
            servers: None,
            client,
            server,
            other,
            router,
            directory,
            _slot: slot,
        })
    }

    pub(crate) fn middle(&self) -> Middle {
        self.middle
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self._slot
    }

    /// The gateway; only worlds with Limpid in the middle have one.
    #[track_caller]
    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("this world has Limpid in the middle")
    }

    /// What the nodes do to frames from now on, in words as in the header of `lossy-node`: both, when the gateway's two legs
    /// have a cable each; where the middle only forwards, there is one way, and its first cable has all the faults.
    #[track_caller]
    pub(crate) fn weather(&mut self, words: &str) {
        let count = if self.middle == Middle::Kernel { 1 } else { self.nodes.len() };
        for node in &mut self.nodes[..count] {
            node.weather(words);
        }
    }

    /// Takes the gateway out, to end it.
    #[track_caller]
    pub(crate) fn take_gateway(&mut self) -> Gateway {
        self.gateway.take().expect("this world has Limpid in the middle")
    }

    /// The servers of ns2.
    pub(crate) fn servers(&self) -> &Servers {
        &self.servers.as_ref().expect("a whole world has servers").0
    }

    /// A subcommand of `limpid` about the running gateway.
    #[track_caller]
    pub(crate) fn limpid(&self, words: &[&str]) -> Value {
        self.gateway().json(&self.router, words)
    }

    /// A counter's sum over all cores, by the name that `limpid status` has for it.
    #[track_caller]
    pub(crate) fn counter(&self, name: &str) -> u64 {
        gateway::counter(&self.limpid(&["status"]), name)
    }

    /// Waits until a counter has moved beyond `before`.
    #[track_caller]
    pub(crate) fn wait_for_counter(&self, name: &str, before: u64) {
        wait::until(&format!("counter {name} beyond {before}"), limits::VISIBLE, || {
            (self.counter(name) > before).then_some(())
        });
    }

    /// Flows that `limpid flows` lists towards this destination.
    #[track_caller]
    pub(crate) fn flows_to(&self, destination: std::net::SocketAddr) -> Vec<Value> {
        let report = self.limpid(&["flows"]);
        let flows = report["flows"].as_array().unwrap_or_else(|| panic!("no flows in {report}"));
        let destination = destination.to_string();
        flows.iter().filter(|flow| flow["destination"] == *destination).cloned().collect()
    }

    fn hosts(&self) -> [&Host; 3] {
        [&self.client, &self.server, &self.other]
    }

    fn join_by_veth(&self) {
        for (host, n) in self.hosts().into_iter().zip(1..).skip(self.nodes.len()) {
            let ours = format!("g{n}");
            run(Command::new("ip").args(["link", "add", &ours, "netns", self.router.name(), "type", "veth"]).args([
                "peer",
                "name",
                DEVICE,
                "netns",
                host.namespace.name(),
            ]));
            self.router.run(&["ethtool", "-K", &ours, "tx", "off", "tso", "off", "gso", "off", "gro", "off"]);
            self.router.ip(&["link", "set", &ours, "promisc", "on"]);
            for (namespace, device) in [(&self.router, ours.as_str()), (&host.namespace, DEVICE)] {
                namespace.ip(&["link", "set", device, "mtu", "1500", "up"]);
            }
        }
    }

    fn forward_by_kernel(&self) {
        for setting in ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.all.forwarding=1"] {
            self.router.sysctl(setting);
        }
        for n in 1..=3 {
            let device = format!("g{n}");
            self.router.sysctl(&format!("net.ipv6.conf.{device}.disable_ipv6=0"));
            for family in Family::BOTH {
                let address = format!("{}/{}", family.gateway(n), family.prefix_length());
                let nodad: &[&str] = if family == Family::V6 { &["nodad"] } else { &[] };
                self.router.ip(&[&["addr", "add", &address, "dev", &device], nodad].concat());
            }
        }
    }

    #[track_caller]
    fn start_gateway(&mut self, device: Device, configure: impl FnOnce(String, &Path) -> String) {
        let (config, socket) = (self.directory().join("limpid.yaml"), self.directory().join("control.sock"));
        let text = Gateway::configuration(device, self.slot().core(), &socket);
        let text = configure(text, self.directory());
        std::fs::write(&config, text).expect("the world's directory takes a file");
        self.gateway = Some(Gateway::start(&self.router, &config, &socket));
    }

    pub(crate) fn move_taps(&self) {
        for (host, n) in self.hosts().into_iter().zip(1..) {
            let device = format!("g{n}");
            self.router.ip(&["link", "set", &device, "netns", host.namespace.name(), "name", DEVICE]);
        }
    }

    /// Every host reaches the gateway's own address, in both families: from here on a failure is a finding.
    #[track_caller]
    fn settle(&self) {
        for (host, n) in self.hosts().into_iter().zip(1..) {
            for family in Family::BOTH {
                let gateway = family.gateway(n);
                let what = format!("{gateway} answers ns{n}'s ping");
                wait::until(&what, limits::SETTLE, || host.ping(gateway).then_some(()));
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        if let Some(gateway) = &self.gateway {
            eprintln!(
                "limpid {} and said:\n{}",
                if gateway.is_running() { "runs" } else { "HAS ENDED" },
                gateway.said()
            );
            if gateway.is_running() {
                let mut status = self.router.start(&[&gateway::binary(), "status", "-s", gateway.socket()]);
                wait::poll(limits::VISIBLE, || (!status.is_running()).then_some(()));
                eprintln!("limpid status:\n{}{}", status.stdout(), status.stderr());
            }
        }
        if let Some((servers, others)) = &self.servers {
            eprintln!("servers said:\n{}{}", servers.said(), others.said());
        }
    }
}

/// Namespaces of these tests are called `limpid-t<pid>x<count>-<role>`.
const PREFIX: &str = "limpid-t";
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Takes down what a killed test left behind: our names, of processes that are no more.
fn remove_stale() {
    let names = Command::new("ip").args(["netns", "list"]).output().expect("iproute2 is installed");
    for name in String::from_utf8_lossy(&names.stdout).lines().filter_map(|line| line.split_whitespace().next()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('x').next()).filter(|pid| !pid.is_empty());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another test may be at the same: only the result counts. Its programs went with it (`pdeathsig`).
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}
