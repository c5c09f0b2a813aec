//! Linux' side: a namespace with two taps as the gateway's legs, iptables, and sockets for TPROXY to find.
//!
//! A frame that is written to a tap has been through all hooks when the call returns, and what was forwarded waits at
//! the other tap: nothing is waited for. The taps resolve no neighbours. The legacy back-end counts, for its rules are
//! what is printed and what is walked; source ports of a run are never used twice, so that every packet begins a flow.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tappers::Interface;
use tappers::linux::Tap;
use tempfile::TempDir;

use super::packet::{DEVICES, Left, MACS, Packet};
use crate::address::Family;
use crate::host::{Namespace, run};
use crate::limits;
use crate::process::Process;

/// The longest frame.
const FRAME: usize = 2_048;

/// Listens as a proxy does on each leg, until it is ended.
const LISTENERS: &str = r#"
import signal, socket, sys
kept = []
for address in sys.argv[1:]:
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    level, option = (socket.IPPROTO_IPV6, 75) if ':' in address else (socket.SOL_IP, 19)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = socket.socket(family, kind)
        s.setsockopt(level, option, 1)
        s.bind((address, 50080))
        if kind == socket.SOCK_STREAM:
            s.listen(1024)
        kept.append(s)
print('{"ready": 1}', flush=True)
signal.pause()
"#;

pub(crate) struct Kernel {
    family: Family,
    taps: [Tap; 2],
    _listeners: Process,
    namespace: Namespace,
    directory: TempDir,
}

impl Kernel {
    /// None without root, after saying so.
    pub(crate) fn new(family: Family) -> Option<Kernel> {
        if !Path::new("/proc/self").metadata().is_ok_and(|metadata| metadata.uid() == 0) {
            eprintln!("skipped: network namespaces need root");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let name = directory.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = format!("limpid-verdicts-{}-{}", std::process::id(), name.trim_start_matches('.'));
        let namespace = Namespace::new(name, directory.path());
        settings(&namespace);
        let taps = [0, 1].map(|n| leg(&namespace, family, n));
        let default = family.address(2, 99).to_string();
        let option = if family == Family::V4 { "-4" } else { "-6" };
        namespace.ip(&[option, "route", "add", "default", "via", &default]);
        let table = ["fwmark", "0x80000000/0x80000000", "lookup", "100"];
        namespace.ip(&[&[option, "rule", "add"], &table[..]].concat());
        namespace.ip(&[option, "route", "add", "local", "default", "dev", "lo", "table", "100"]);
        let own = [1, 2].map(|network| family.address(network, 1).to_string());
        let mut listeners = namespace.start(&["/usr/bin/python3", "-c", LISTENERS, &own[0], &own[1]]);
        listeners.wait_for("ready", limits::VISIBLE);
        Some(Kernel { family, taps, _listeners: listeners, namespace, directory })
    }

    pub(crate) fn family(&self) -> Family {
        self.family
    }

    fn tool(&self, ending: &str) -> String {
        format!("{}-legacy-{ending}", if self.family == Family::V4 { "iptables" } else { "ip6tables" })
    }

    /// Takes these rules in the place of those before, all counters zero.
    pub(crate) fn load(&mut self, rules: &str) {
        let path = self.directory.path().join("rules");
        fs::write(&path, rules).expect("a file");
        let output = self.namespace.command(&[&self.tool("restore"), "-w", "20", &path.display().to_string()]).output();
        let output = output.expect("iptables is installed");
        assert!(output.status.success(), "{}\n{rules}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sends the packets, and reads what leaves.
    pub(crate) fn inject(&mut self, packets: &[Packet]) -> BTreeMap<u32, Left> {
        self.read();
        let mut left = BTreeMap::new();
        for packet in packets {
            let frame = packet.frame();
            let tap = &self.taps[usize::from(packet.interface)];
            assert_eq!(tap.send(&frame).expect("the device takes a frame"), frame.len());
            left.extend(self.read());
        }
        left
    }

    /// What waits at the taps.
    fn read(&self) -> Vec<(u32, Left)> {
        let mut found = Vec::new();
        for (tap, n) in self.taps.iter().zip(0..) {
            let mut frame = [0; FRAME];
            while let Ok(length) = tap.recv(&mut frame) {
                found.extend(Left::read(n, &frame[..length]));
            }
        }
        found
    }

    /// Packets and bytes by rule, and by `TABLE CHAIN` for what met a chain's policy.
    pub(crate) fn counters(&self) -> BTreeMap<String, (u64, u64)> {
        let saved = self.namespace.command(&[&self.tool("save"), "-c"]).output().expect("iptables is installed");
        let mut counted = BTreeMap::new();
        let mut table = "";
        let text = String::from_utf8_lossy(&saved.stdout);
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = name;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = match words[..] {
                [chain, policy, _] if chain.starts_with(':') && policy != "-" => format!("{table} {}", &chain[1..]),
                _ => match words.iter().skip_while(|word| **word != "--comment").nth(1) {
                    Some(name) => (*name).to_owned(),
                    None => continue,
                },
            };
            let pair = words.iter().find_map(|word| word.strip_prefix('[')?.strip_suffix(']')?.split_once(':'));
            let pair = pair.and_then(|(packets, bytes)| Some((packets.parse().ok()?, bytes.parse().ok()?)));
            counted.insert(name, pair.unwrap_or_else(|| panic!("no counters in {line:?}")));
        }
        counted
    }
}

/// A router that keeps quiet, looks at no return path, and forgets flows soon.
fn settings(namespace: &Namespace) {
    let settings = [
        "net.ipv4.ip_forward=1",
        "net.ipv4.conf.all.rp_filter=0",
        "net.ipv4.conf.default.rp_filter=0",
        "net.ipv4.conf.all.send_redirects=0",
        "net.ipv4.conf.default.send_redirects=0",
        "net.ipv6.conf.all.forwarding=1",
        "net.ipv6.conf.default.addr_gen_mode=1",
        "net.ipv6.conf.default.accept_dad=0",
        "net.ipv6.conf.default.mc_forwarding=0",
    ];
    for setting in settings {
        // Some are not to be written everywhere; what matters shows in the comparison.
        namespace.run(&["sysctl", "-qw", setting]);
    }
}

/// A tap that is moved into the namespace; its other end is ours.
fn leg(namespace: &Namespace, family: Family, n: usize) -> Tap {
    let outside = format!("lpv{}{n}{}", std::process::id(), if family == Family::V4 { 4 } else { 6 });
    let tap = Interface::new(&outside).and_then(Tap::create_named).expect("a tap device");
    tap.set_nonblocking(true).expect("a descriptor");
    let device = DEVICES[n];
    run(std::process::Command::new("ip").args(["link", "set", &outside, "netns", namespace.name(), "name", device]));
    let mac = MACS[n].map(|byte| format!("{byte:02x}")).join(":");
    namespace.ip(&["link", "set", "dev", device, "address", &mac, "arp", "off", "txqueuelen", "10000", "up"]);
    let address = format!("{}/{}", family.address(n as u8 + 1, 1), family.prefix_length());
    let nodad: &[&str] = if family == Family::V6 { &["nodad"] } else { &["broadcast", "+"] };
    namespace.ip(&[&["addr", "add", &address, "dev", device], nodad].concat());
    tap
}
