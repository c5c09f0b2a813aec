//! Limpid as its operator meets it: a configuration file, `limpid run`, `ready`, and the other subcommands.

use crate::host::Namespace;
use crate::limits;
use crate::process::{Ended, Process};
use crate::wait;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a device string names, for the three networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    /// On the gateway's end of a veth pair.
    AfPacket,
    /// The driver makes the interface; the test moves it to the host.
    Tap,
}

impl Device {
    /// The port of network `n`, on the interface `g<n>`.
    pub(crate) fn port(self, n: u8) -> String {
        match self {
            // Small frames and many of them: the driver's default ring overflows under bulk.
            Device::AfPacket => {
                format!("net_af_packet{n},iface=g{n},blocksz=65536,framesz=2048,framecnt=4096,qdisc_bypass=1")
            }
            Device::Tap => format!("net_tap{n},iface=g{n}"),
        }
    }
}

/// A running gateway. Dropping it kills it; `stop` asks it to end.
pub(crate) struct Gateway {
    process: Process,
    config: PathBuf,
    socket: PathBuf,
}

impl Gateway {
    /// Starts it in `namespace` and waits until it says `ready`.
    #[track_caller]
    pub(crate) fn start(namespace: &Namespace, config: &Path, socket: &Path) -> Gateway {
        let process = namespace.start(&[&binary(), "run", "-c", text(config)]);
        let mut gateway = Gateway { process, config: config.to_owned(), socket: socket.to_owned() };
        let ready = wait::poll(limits::READY, || {
            let ready = gateway.process.stdout().lines().any(|line| line.trim() == "ready");
            (ready || !gateway.process.is_running()).then_some(ready)
        });
        assert_eq!(ready, Some(true), "limpid did not get ready:\n{}", gateway.said());
        gateway
    }

    /// The configuration file, with its placeholders filled in.
    pub(crate) fn configuration(device: Device, core: usize, socket: &Path) -> String {
        let mut config = include_str!("gateway.yaml").replace("@CORE@", &core.to_string());
        for n in 1..=3 {
            config = config.replace(&format!("@PORT{n}@"), &device.port(n));
        }
        config.replace("@SOCKET@", text(socket))
    }

    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    pub(crate) fn socket(&self) -> &str {
        text(&self.socket)
    }

    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.process.stdout(), self.process.stderr())
    }

    /// Asks `pid` itself whether it still runs: `self` stays shared by the scenarios of a world.
    pub(crate) fn is_running(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
        // The state follows the parenthesised name; Z is ended and not yet waited for.
        stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    pub(crate) fn finish(self, limit: Duration) -> Ended {
        self.process.finish(limit)
    }

    /// `SIGTERM`, and its end.
    #[track_caller]
    pub(crate) fn stop(self) -> Ended {
        self.signal("TERM");
        self.finish(limits::STOP)
    }

    /// A subcommand, run in `directory`'s tests against this gateway.
    #[track_caller]
    pub(crate) fn cli(&self, namespace: &Namespace, words: &[&str]) -> Ended {
        let (subcommand, rest) = words.split_first().expect("a subcommand");
        namespace.run(&[&[&*binary(), subcommand, "-s", self.socket()], rest].concat())
    }

    #[track_caller]
    pub(crate) fn json(&self, namespace: &Namespace, words: &[&str]) -> Value {
        self.cli(namespace, &[words, &["--json"]].concat()).successful().json()
    }
}

/// The binary under test.
#[track_caller]
pub(crate) fn binary() -> String {
    let path = std::env::var_os("LIMPID_BIN").map(PathBuf::from).unwrap_or_else(|| {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
        target.join("gateway/limpid")
    });
    let path = path.canonicalize().unwrap_or_else(|error| {
        panic!(
            "no limpid at {} ({error}): cargo build --profile gateway -p dataplane, or set LIMPID_BIN",
            path.display()
        )
    });
    text(&path).to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are plain ASCII")
}

/// A counter of `limpid status --json`, summed there over all cores.
#[track_caller]
pub(crate) fn counter(status: &Value, name: &str) -> u64 {
    let counters = status["counters"].as_array().unwrap_or_else(|| panic!("no counters in {status}"));
    let counter = counters.iter().find(|counter| counter["name"] == name);
    let value = counter.and_then(|counter| counter["value"].as_u64());
    value.unwrap_or_else(|| panic!("no counter {name} in {counters:?}"))
}
