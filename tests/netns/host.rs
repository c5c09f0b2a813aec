//! A network namespace, and a host in it: what runs there, and what its firewall has counted.

use crate::address::Family;
use crate::limits;
use crate::process::{Ended, Process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The device of every host; its peer at the gateway has a name of its own.
pub(crate) const DEVICE: &str = "eth0";

/// A network namespace. Deleted on drop, and with it all links in it.
pub(crate) struct Namespace {
    name: String,
    directory: PathBuf,
}

impl Namespace {
    /// `directory` takes the output of what runs here.
    pub(crate) fn new(name: String, directory: &Path) -> Namespace {
        run(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Namespace { name, directory: directory.to_owned() };
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A command line inside. `setpriv` ends the program when the test that started it is killed.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "setpriv", "--pdeathsig", "KILL"]).args(words);
        command
    }

    #[track_caller]
    pub(crate) fn start(&self, words: &[&str]) -> Process {
        Process::start(&self.directory, &mut self.command(words))
    }

    #[track_caller]
    pub(crate) fn run_within(&self, limit: Duration, words: &[&str]) -> Ended {
        self.start(words).finish(limit)
    }

    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        self.run_within(limits::PROGRAM, words)
    }

    /// `ip` on this namespace's links, addresses and routes.
    #[track_caller]
    pub(crate) fn ip(&self, words: &[&str]) {
        run(Command::new("ip").args(["-n", &self.name]).args(words));
    }

    pub(crate) fn sysctl(&self, setting: &str) {
        self.run(&["sysctl", "-qw", setting]).successful();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// An ordinary Linux host with one device, in network `n`.
pub(crate) struct Host {
    pub(crate) namespace: Namespace,
    n: u8,
}

impl Host {
    pub(crate) fn new(namespace: Namespace, n: u8) -> Host {
        // Room for the crowd: connections that wait to be accepted.
        for setting in ["net.core.somaxconn=8192", "net.ipv4.tcp_max_syn_backlog=8192"] {
            namespace.sysctl(setting);
        }
        Host { namespace, n }
    }

    /// Addresses and routes for the device, which by now is in the namespace.
    pub(crate) fn configure_device(&self) {
        // A tap starts with the address that the DPDK port took over: two owners of one MAC on a wire.
        let mac = format!("02:00:00:00:{:02x}:99", self.n);
        self.namespace.ip(&["link", "set", DEVICE, "address", &mac, "mtu", "1500"]);
        // Left on, the host leaves checksums and segmentation to a NIC that is not there.
        self.namespace.run(&["ethtool", "-K", DEVICE, "tx", "off", "tso", "off", "gso", "off", "gro", "off"]);
        for family in Family::BOTH {
            let address = format!("{}/{}", family.address(self.n, 99), family.prefix_length());
            let nodad: &[&str] = if family == Family::V6 { &["nodad"] } else { &[] };
            self.namespace.ip(&[&["addr", "add", &address, "dev", DEVICE], nodad].concat());
        }
        self.namespace.ip(&["link", "set", DEVICE, "up"]);
        for family in Family::BOTH {
            let version = if family == Family::V6 { "-6" } else { "-4" };
            let gateway = family.gateway(self.n).to_string();
            self.namespace.ip(&[version, "route", "add", "default", "via", &gateway]);
        }
    }

    /// One of the clients of `hosts/client.py`, run to its end; its result.
    #[track_caller]
    pub(crate) fn client(&self, words: &[&str]) -> Value {
        self.start_client(words).finish(limits::PROGRAM).successful().json()
    }

    #[track_caller]
    pub(crate) fn start_client(&self, words: &[&str]) -> Process {
        let script = script("client.py");
        self.namespace.start(&[&["/usr/bin/python3", &script], words].concat())
    }

    #[track_caller]
    pub(crate) fn ping(&self, target: std::net::IpAddr) -> bool {
        self.namespace.run(&["ping", "-n", "-c", "1", "-W", "1", &target.to_string()]).code() == 0
    }

    /// Adds a rule to this host's own firewall, on the way `hook` (`input` or `output`), for both families.
    #[track_caller]
    pub(crate) fn firewall(&self, hook: &str, rule: &str) {
        let text = format!(
            "add table inet host; add chain inet host {hook} {{ type filter hook {hook} priority 0; policy accept; }}; \
             add rule inet host {hook} {rule}"
        );
        self.namespace.run(&["nft", &text]).successful();
    }

    /// Counts TCP segments that match, from now on; ask for them with `counted`.
    #[track_caller]
    pub(crate) fn count(&self, counter: &str, hook: &str, matches: &str) {
        self.namespace.run(&["nft", &format!("add table inet host; add counter inet host {counter}")]).successful();
        self.firewall(hook, &format!("{matches} counter name {counter}"));
    }

    #[track_caller]
    pub(crate) fn counted(&self, counter: &str) -> u64 {
        let listed = self.namespace.run(&["nft", "-j", "list", "counter", "inet", "host", counter]).successful().json();
        let objects = listed["nftables"].as_array().expect("nft lists objects");
        let packets = objects.iter().find_map(|object| object["counter"]["packets"].as_u64());
        packets.unwrap_or_else(|| panic!("no counter {counter} in {listed}"))
    }
}

/// Where a host's program lies.
pub(crate) fn script(name: &str) -> String {
    format!("{}/netns/hosts/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command that must work, outside of any namespace.
#[track_caller]
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
