//! Interoperation with the TCP of others, through a node of ours that loses, doubles and reorders: Linux with each of its
//! congestion controls, lwIP and smoltcp; against the gateway, which stands between two of them, and against the crate
//! `tcp` alone (`station`: no gateway, kernel forwarding).
//!
//! Every pair does the same: some megabytes to an echo server, compared byte by byte, half-closed by the client while the echo
//! still goes on; a connection to a port where nobody listens; where the server is a guest, a connection that the server
//! finishes first. First over a cable without faults, then over `BAD`.
//!
//! A congestion control that the kernel does not have is said and left out. Guests speak IPv4 only.

mod guest;

use crate::address::Family;
use crate::interop::guest::{Guest, Stack};
use crate::limits;
use crate::servers::port;
use crate::transfers::write_words;
use crate::wait;
use crate::world::{Middle, World};
use std::fs;

/// Both ways: 20 ms round trip, of a hundred frames one is lost, one comes twice, five are overtaken by some others.
const BAD: &str = "delay=10ms loss=1% duplication=1% reorder=5% held=3ms";
const CLEAN: &str = "";

/// What is echoed over a cable of either kind: a few round trips of a full window.
const CLEAN_BYTES: usize = 4 << 20;
const BAD_BYTES: usize = 1 << 20;
/// The same where a guest has no selective acknowledgments: a timeout or a round trip for each loss.
const BAD_GUEST_BYTES: usize = 1 << 19;

/// Linux with a congestion control, as both client and server.
const CONTROLS: [&str; 3] = ["cubic", "reno", "bbr"];

/// Linux without these, each and all.
const WITHOUT: [&[&str]; 3] =
    [&["tcp_sack"], &["tcp_timestamps"], &["tcp_sack", "tcp_timestamps", "tcp_window_scaling"]];

#[test]
fn gateway_between_linux_and_linux() {
    let Some(mut world) = World::with_nodes(Middle::AfPacket) else { return };
    let pair = Pair::new(&world, Stack::Linux, Stack::Linux);
    every_kind_of_linux(&mut world, |world, what, bytes| pair.exchange(world, what, port::MIRRORED, bytes));
    pair.refuse(&world);
}

#[test]
fn gateway_between_guests_and_linux() {
    let Some(mut world) = World::with_nodes(Middle::AfPacket) else { return };
    for guest in [Stack::Lwip, Stack::Smoltcp] {
        over_both(&mut world, guest, Stack::Linux);
        over_both(&mut world, Stack::Linux, guest);
    }
}

#[test]
fn gateway_between_guests() {
    let Some(mut world) = World::with_nodes(Middle::AfPacket) else { return };
    over_both(&mut world, Stack::Smoltcp, Stack::Lwip);
    over_both(&mut world, Stack::Lwip, Stack::Smoltcp);
}

#[test]
fn tcp_alone_and_linux() {
    let Some(mut world) = World::with_nodes(Middle::Kernel) else { return };
    let server = Pair::new(&world, Stack::Linux, Stack::Station);
    let client = Pair::new(&world, Stack::Station, Stack::Linux);
    let oracle = Pair::new(&world, Stack::Linux, Stack::Linux);
    every_kind_of_linux(&mut world, |world, what, bytes| {
        oracle.exchange(world, what, port::MIRRORED, bytes);
        client.exchange(world, what, port::MIRRORED, bytes);
        server.exchange(world, what, port::MIRRORED, bytes);
    });
    client.refuse(&world);
    server.refuse(&world);
    server.upload_after_the_servers_end(&world);
}

#[test]
fn tcp_alone_and_guests() {
    let Some(mut world) = World::with_nodes(Middle::Kernel) else { return };
    for guest in [Stack::Lwip, Stack::Smoltcp] {
        over_both(&mut world, guest, Stack::Station);
        over_both(&mut world, Stack::Station, guest);
    }
}

/// All that a pair does, over a good and a bad cable.
#[track_caller]
fn over_both(world: &mut World, client: Stack, server: Stack) {
    world.weather(CLEAN);
    let pair = Pair::new(world, client, server);
    for hundred in [port::MIRRORED, port::IMMEDIATE] {
        pair.exchange(world, "good cable", hundred, CLEAN_BYTES);
    }
    pair.refuse(world);
    if client == Stack::Linux {
        pair.upload_after_the_servers_end(world);
    }
    world.weather(BAD);
    pair.exchange(world, "bad cable", port::MIRRORED, BAD_GUEST_BYTES);
}

/// An exchange with Linux under each congestion control over both cables, and with what Linux can be without.
#[track_caller]
fn every_kind_of_linux(world: &mut World, exchange: impl Fn(&World, &str, usize)) {
    let available = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    let available = available.expect("the kernel lists its congestion controls");
    // Every kernel has cubic and reno; BBR is a module.
    assert!(available.contains("cubic") && available.contains("reno"), "{available}");
    for control in CONTROLS {
        if !available.split_whitespace().any(|each| each == control) {
            eprintln!("left out: this kernel has no {control}, only {available}");
            continue;
        }
        control_congestion(world, control);
        world.weather(CLEAN);
        exchange(world, control, CLEAN_BYTES);
        world.weather(BAD);
        exchange(world, &format!("{control}, bad cable"), BAD_BYTES);
    }
    control_congestion(world, CONTROLS[0]);
    for options in WITHOUT {
        options.iter().for_each(|option| set(world, &format!("net.ipv4.{option}=0")));
        exchange(world, &format!("without {options:?}, bad cable"), BAD_BYTES);
        options.iter().for_each(|option| set(world, &format!("net.ipv4.{option}=1")));
    }
    world.weather(CLEAN);
}

/// By the route: what the system's setting may be in a namespace is a matter of the machine.
#[track_caller]
fn control_congestion(world: &World, control: &str) {
    for (host, n) in [(&world.client, 1), (&world.server, 2)] {
        let gateway = Family::V4.gateway(n).to_string();
        host.namespace.ip(&["route", "replace", "default", "via", &gateway, "congctl", control]);
    }
}

#[track_caller]
fn set(world: &World, setting: &str) {
    world.client.namespace.sysctl(setting);
    world.server.namespace.sysctl(setting);
}

/// A client in ns1, and a server in ns2 that runs as long as this does.
struct Pair {
    client: Stack,
    server: Stack,
    serving: Option<Guest>,
}

impl Pair {
    #[track_caller]
    fn new(world: &World, client: Stack, server: Stack) -> Pair {
        // Linux's servers run in every world.
        let serving = (server != Stack::Linux).then(|| Guest::serve(&world.server, 2, server, &[]));
        Pair { client, server, serving }
    }

    /// The client sends so much to an echo, half-closes, and gets the same back to the end.
    #[track_caller]
    fn exchange(&self, world: &World, what: &str, hundred: u16, bytes: usize) {
        let (file, start) = (content(world, bytes), wait::Deadline::after(limits::PROGRAM));
        let (server, port) = (self.server.address(2), hundred + port::ECHO);
        if self.client == Stack::Linux {
            // nc sends and reads at the same time; -N finishes when the file has ended.
            let pipeline = format!("nc -N -w 30 {server} {port} <'{file}' | cmp - '{file}'");
            world.client.namespace.run(&["bash", "-o", "pipefail", "-c", &pipeline]).successful();
        } else {
            let result = Guest::call(&world.client, self.client, (server, port), &file, &[]).finish().json();
            assert_eq!(result["result"], "ok", "{what}, port {port}, {:?} to {:?}: {result}", self.client, self.server);
            assert_eq!((&result["sent"], &result["received"]), (&bytes.into(), &bytes.into()), "{result}");
        }
        eprintln!(
            "{:?} to {:?}, {what}, port {port}: {bytes} bytes in {:.1?}",
            self.client,
            self.server,
            start.elapsed()
        );
    }

    /// Where nobody listens, the client is told so.
    #[track_caller]
    fn refuse(&self, world: &World) {
        let (server, port) = (self.server.address(2), port::MIRRORED + port::CLOSED);
        if self.client == Stack::Linux {
            let result = world.client.client(&["connect", &server.to_string(), &port.to_string()]);
            assert_eq!(result["result"], "ECONNREFUSED", "{result}");
        } else {
            let file = content(world, BAD_BYTES);
            let result = Guest::call(&world.client, self.client, (server, port), &file, &[]).finish().json();
            assert_eq!(result["result"], "refused", "{:?} to {:?}: {result}", self.client, self.server);
        }
    }

    /// The server speaks and finishes at once; what the client says after that still arrives, all of it.
    #[track_caller]
    fn upload_after_the_servers_end(&self, world: &World) {
        let guest = self.serving.as_ref().expect("a guest serves");
        let (server, port) = (self.server.address(2), port::MIRRORED + port::FINISHES_FIRST);
        let before = guest.ends().len();
        let result = world.client.client(&["speak-after-eof", &server.to_string(), &port.to_string()]);
        let end = wait::until("the server's end", limits::VISIBLE, || guest.ends().into_iter().nth(before));
        assert_eq!(end["bytes"], result["sent"], "{result} {end}");
    }
}

/// A file of that size, made once a world.
#[track_caller]
fn content(world: &World, bytes: usize) -> String {
    let path = world.directory().join(format!("content-{bytes}"));
    if !path.exists() {
        write_words(&path, bytes as u64).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    path.display().to_string()
}
