//! End to end: the real binary between real Linux hosts, each in a network namespace of its own.
//!
//! ```text
//!   ns1 10.0.1.99 ──┐
//!   (clients)       ├── gateway 10.0.{1,2,3}.1, fd00:{1,2,3}::1 ──┬── ns2 10.0.2.99 (servers)
//!                   │                                             └── ns3 10.0.3.99 (others)
//! ```
//!
//! It is the topology of the kernel's own tproxy selftests. A `World` is made per test and taken down with it; what
//! stands in the middle is Limpid on `net_af_packet`, Limpid on `net_tap`, or plain kernel forwarding. A scenario that
//! holds without a gateway runs over the kernel too: that proves hosts, servers and helpers, and makes Linux the
//! oracle for "as if nobody were between".
//!
//! Needs root, and the programs that `.ci/install` installs; without root each test says so and ends. `LIMPID_BIN` names the
//! binary (default: `target/gateway/limpid`). Left out: figures (that is `bench`). Lossy wires are for `interop`;
//! everything else has them in the simulator, with a seed.

mod address;
mod capture;
mod closing;
mod crowd;
mod datagrams;
mod detect;
mod entries;
mod expert;
mod fidelity;
mod firewall;
mod flood;
mod ftp;
mod gateway;
mod handoff;
mod host;
mod http;
mod http2;
mod icap;
mod interop;
mod iptables;
mod limits;
mod local;
mod nat;
mod node;
mod operation;
mod operator;
mod pages;
mod process;
mod refusals;
mod selftest;
mod servers;
mod slot;
mod tls;
mod transfers;
mod verdicts;
mod wait;
mod world;

/// One test per middle and family for each scenario named; `kernel` adds plain forwarding, the oracle.
///
/// A scenario is a `fn(&World, Family)`; all those of one invocation share a world, in the order given.
macro_rules! on_every_device {
    (kernel, $($scenario:ident),+) => {
        on_every_device!(@test kernel_ipv4, Kernel, V4, $($scenario),+);
        on_every_device!(@test kernel_ipv6, Kernel, V6, $($scenario),+);
        on_every_device!($($scenario),+);
    };
    (@test $name:ident, $middle:ident, $family:ident, $($scenario:ident),+) => {
        #[test]
        fn $name() {
            if let Some(world) = crate::world::World::new(crate::world::Middle::$middle) {
                $(
                    eprintln!("{} ...", stringify!($scenario));
                    $scenario(&world, crate::address::Family::$family);
                )+
            }
        }
    };
    ($($scenario:ident),+) => {
        on_every_device!(@test af_packet_ipv4, AfPacket, V4, $($scenario),+);
        on_every_device!(@test af_packet_ipv6, AfPacket, V6, $($scenario),+);
        on_every_device!(@test tap_ipv4, Tap, V4, $($scenario),+);
        on_every_device!(@test tap_ipv6, Tap, V6, $($scenario),+);
    };
}
pub(crate) use on_every_device;
