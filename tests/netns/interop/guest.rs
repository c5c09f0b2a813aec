//! Guests: hosts whose TCP is not the kernel's. Each is a program on a tap device of its own, plugged into the switch of a
//! namespace beside its Linux host, and all are called alike (see `tests/interop`).

use crate::host::Host;
use crate::limits;
use crate::node::plug_in;
use crate::process::{Ended, Process};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

/// Whose TCP a host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    /// The kernel's, of the namespace's Linux host.
    Linux,
    /// Debian's liblwip.
    Lwip,
    Smoltcp,
    /// The crate `tcp`, without the gateway.
    Station,
}

impl Stack {
    /// The address of a host with that stack in network `n`.
    pub(crate) fn address(self, n: u8) -> IpAddr {
        let host = match self {
            Stack::Linux => 99,
            Stack::Lwip => 77,
            Stack::Smoltcp => 78,
            Stack::Station => 79,
        };
        Ipv4Addr::new(10, 0, n, host).into()
    }

    fn program(self, directory: &Path) -> String {
        match self {
            Stack::Linux => unreachable!("no guest"),
            Stack::Lwip => lwip(directory),
            Stack::Smoltcp => env!("CARGO_BIN_EXE_peer-smoltcp").into(),
            Stack::Station => env!("CARGO_BIN_EXE_station").into(),
        }
    }

    /// One of each kind may be in a network at a time: lwIP has but one Ethernet address.
    fn device(self) -> &'static str {
        match self {
            Stack::Linux => unreachable!("no guest"),
            Stack::Lwip => "lwip0",
            Stack::Smoltcp => "smoltcp0",
            Stack::Station => "station0",
        }
    }
}

/// Builds the host with lwIP once for each world: a third of a second.
#[track_caller]
fn lwip(directory: &Path) -> String {
    let program = directory.join("peer-lwip");
    let path = program.to_str().expect("test paths are plain ASCII").to_owned();
    if !program.exists() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/lwip/peer.c");
        let script = format!("cc -Wall -Wextra -O2 -o '{path}' '{source}' $(pkg-config --cflags --libs lwip)");
        let output = Command::new("bash").args(["-c", &script]).output().expect("bash is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{said}(liblwip-dev is among what .ci/install installs)");
    }
    path
}

/// A running guest. Dropped, it is gone as if unplugged.
pub(crate) struct Guest {
    process: Process,
}

impl Guest {
    /// A server: ports ending in 01 echo, in 04 finish first, all others refuse.
    #[track_caller]
    pub(crate) fn serve(host: &Host, n: u8, stack: Stack, words: &[&str]) -> Guest {
        Guest::start(host, n, stack, &[&["serve"], words].concat())
    }

    /// A client that sends a file to an echo and compares.
    #[track_caller]
    pub(crate) fn call(host: &Host, stack: Stack, to: (IpAddr, u16), file: &str, words: &[&str]) -> Guest {
        let (address, port) = (to.0.to_string(), to.1.to_string());
        let mut guest = Guest::start(host, 1, stack, &[&["call", &address, &port, file], words].concat());
        guest.process.go_on();
        guest
    }

    #[track_caller]
    fn start(host: &Host, n: u8, stack: Stack, words: &[&str]) -> Guest {
        let namespace = &host.namespace;
        let program = stack.program(namespace.directory());
        let (address, gateway) = (stack.address(n).to_string(), format!("10.0.{n}.1"));
        let mut process = namespace.start(&[&[&*program, stack.device(), &address, &gateway], words].concat());
        process.wait_for("ready", limits::VISIBLE);
        plug_in(namespace, stack.device());
        Guest { process }
    }

    /// Waits for a client's end.
    #[track_caller]
    pub(crate) fn finish(self) -> Ended {
        self.process.finish(limits::PROGRAM).successful()
    }

    /// The ends of connections that a server has told of so far.
    pub(crate) fn ends(&self) -> Vec<Value> {
        let text = self.process.stdout();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["event"] == "ended").collect()
    }
}
