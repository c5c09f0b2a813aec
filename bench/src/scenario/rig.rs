//! The gateway on a bench: one worker over ports in memory, its turns timed, everything else not.
//!
//! The clock is virtual: it moves by a fixed step from round to round, so that timers behave as they would while the
//! measuring itself does not wait. Only turns that found something to do are counted, as the goals ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use control::mailbox::{FromCore, ToCore};
use control::{Policy, config, tproxy};
use crossbeam_channel::{Receiver, Sender};
use dataplane::limits::Capacity;
use dataplane::nic::memory::{self, MemoryEnds, MemoryNic};
use dataplane::nic::{Offloads, PortId, PortInfo};
use dataplane::packet::MacAddress;
use dataplane::worker::{Options, Worker};
use hdrhistogram::Histogram;
use tcp::Instant;

use crate::stopwatch::Stopwatch;

/// The service that is in [`YAML`], which others take the place of.
pub(crate) const PLUG: &str = "anything: { proxy: plug, accept: mirror }";

/// Everything that comes in on port 0 is proxied.
const YAML: &str = r#"
interfaces:
  clients: { port: "net_null0", addresses: [10.1.0.1/16] }
  servers: { port: "net_null1", addresses: [10.2.0.1/16] }
zones:
  clients: { networks: [10.1.0.0/16], outbound_services: ["*"] }
  servers: { networks: [10.2.0.0/16], inbound_services: ["*"] }
services:
  anything: { proxy: plug, accept: mirror }
listeners:
  - { port: 50000, service: anything }
rules: |
  *tproxy
  :PREROUTING ACCEPT
  :OUTPUT ACCEPT
  -A PREROUTING -i clients -p tcp -j TPROXY --on-port 50000
  COMMIT
  *filter
  :INPUT DROP
  :FORWARD DROP
  :OUTPUT ACCEPT
  -A INPUT -m tproxy -j ACCEPT
  COMMIT
"#;

/// The same plug, which stays in between to the end.
pub(crate) const TERMINATED: &str = "anything: { proxy: plug, accept: mirror, release: never }";
/// The HTTP proxy, with nothing refused and nothing rewritten but what it always writes anew.
pub(crate) const HTTP: &str = "anything: { proxy: http, accept: mirror }";

/// Everything that comes in on port 0 is forwarded.
const FORWARDED: &str = r#"
interfaces:
  clients: { port: "net_null0", addresses: [10.1.0.1/16] }
  servers: { port: "net_null1", addresses: [10.2.0.1/16] }
rules: |
  *filter
  :INPUT DROP
  :FORWARD DROP
  :OUTPUT ACCEPT
  -A FORWARD -i clients -o servers -j ACCEPT
  COMMIT
"#;

/// Frames of packet memory.
const FRAMES: usize = 262_144;
/// Flows, sessions and half-open ones that there is room for.
const CAPACITY: Capacity = Capacity { flows: 1 << 20, sessions: 1 << 19, half_open: 1 << 16 };
/// Turns in a round, at most; a round is over when a turn finds nothing.
const TURNS: usize = 10_000;
/// Counters that are not drops.
const NOT_DROPS: [&str; 19] = [
    "rx_packets",
    "rx_bytes",
    "tx_packets",
    "tx_bytes",
    "arp_replied",
    "sessions_served",
    "session_finished",
    "local_neighbour_learned",
    "once_claimed",
    "forwarded",
    "released",
    "sessions_released",
    "http_requests",
    "http_requests_passed",
    "http_responses",
    "http_server_reused",
    "tls_handshakes_client",
    "tls_bumped",
    "tls_handshakes_server",
];

/// A gateway whose turns are timed.
pub(crate) struct Rig {
    /// The other ends of its ports.
    pub(crate) ends: MemoryEnds,
    /// The clock.
    pub(crate) now: Instant,
    /// Nanoseconds of busy turns.
    pub(crate) busy_ns: u64,
    /// How long busy turns took.
    pub(crate) turns: Histogram<u64>,
    worker: Worker<MemoryNic>,
    letters: Receiver<FromCore>,
    _to_core: Sender<ToCore>,
}

impl Rig {
    /// A gateway with nothing to do yet, its ports taking IP packets of up to `mtu` bytes.
    pub(crate) fn with(service: &str, mtu: u16) -> Result<Self, String> {
        Self::configured(&YAML.replace(PLUG, service), CAPACITY, mtu)
    }

    /// A gateway that forwards from port 0 to port 1.
    pub(crate) fn forwarding(mtu: u16) -> Result<Self, String> {
        // Two entries a flow: room for a million.
        Self::configured(FORWARDED, Capacity { flows: 1 << 22, ..CAPACITY }, mtu)
    }

    fn configured(yaml: &str, limits: Capacity, mtu: u16) -> Result<Self, String> {
        // Services may name files, which only a configuration that is one itself may.
        let directory = tempfile::tempdir().map_err(|error| format!("a place for the configuration: {error}"))?;
        let file = directory.path().join("bench.yaml");
        std::fs::write(&file, yaml).map_err(|error| format!("{}: {error}", file.display()))?;
        let config = config::load(&file, dataplane::modules::MODULES).map_err(|faults| faults.to_string())?;
        let policy = Arc::new(Policy::compile(&config, 1).map_err(|faults| faults.to_string())?);
        let infos = (0..2).map(|i| PortInfo {
            device: format!("net_null{i}"),
            driver: "memory".to_owned(),
            mac: MacAddress(gateway_mac(i)),
            mtu,
            // What a NIC does is left to it: checksums in software would be the generator's cost as much as ours.
            offloads: Offloads::default(),
        });
        let (nic, ends) = memory::nic(infos.collect(), FRAMES);
        let (to_core, mailbox) = crossbeam_channel::bounded(16);
        let (control, letters) = crossbeam_channel::bounded(65_536);
        let (table, _writer) = tproxy::table(1_024, 1);
        let options = Options { core: 0, seed: 1, limits };
        let now = Instant::from_micros(1_000_000);
        let mut worker = Worker::new(&options, now, nic, &[PortId(0), PortId(1)], policy, table, mailbox, control);
        // Certificates are judged by the wall's clock.
        worker.set_wall_clock(crate::stopwatch::unix_time() - 1);
        let turns = crate::report::histogram();
        Ok(Self { ends, now, busy_ns: 0, turns, worker, letters, _to_core: to_core })
    }

    /// Moves the clock and lets the gateway do all that is to be done.
    pub(crate) fn round(&mut self, step: Duration) {
        self.now += step;
        for _ in 0..TURNS {
            let watch = Stopwatch::start();
            let turn = self.worker.turn(self.now);
            let took = watch.nanos();
            if turn.work == 0 {
                break;
            }
            self.busy_ns += took;
            self.turns.saturating_record(took);
        }
        // Session records are the control thread's to write down.
        while self.letters.try_recv().is_ok() {}
    }

    /// Forgets what was measured so far: warming up is over.
    pub(crate) fn reset(&mut self) {
        self.busy_ns = 0;
        self.turns.reset();
    }

    /// Entries of the flow table.
    pub(crate) fn flows(&self) -> usize {
        self.worker.audit().flows
    }

    /// A counter of the worker's.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.worker.counters().iter().find(|counter| counter.name == name).map_or(0, |counter| counter.value)
    }

    /// What was dropped, by name.
    pub(crate) fn drops(&self) -> BTreeMap<&'static str, u64> {
        let counters = self.worker.counters().iter();
        let drops = counters.filter(|counter| !NOT_DROPS.contains(&counter.name));
        drops.filter(|counter| counter.value > 0).map(|counter| (counter.name, counter.value)).collect()
    }
}

/// The gateway's Ethernet address on a port.
pub(crate) fn gateway_mac(port: u8) -> [u8; 6] {
    [0x02, 0, 0, 0, 0xff, port]
}
