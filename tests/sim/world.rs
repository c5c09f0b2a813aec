//! The world the gateway lives in: cables, hosts, and one clock that nobody has to wait for.
//!
//! `World::step` does all that is due now - frames that arrive, hosts' deadlines, a turn of the worker, the control
//! thread's mail - and then moves the clock to whatever is due next. Nothing else moves it. The same seed gives the same
//! run, so a failure is its seed.
//!
//! A gateway that is busy for ever without time passing is found by a watchdog: so many steps at one instant mean that
//! somebody asks to be called again and then does nothing.

use std::time::Duration;

use bytes::Bytes;
use dataplane::nic::PortId;
use tcp::Instant;

use crate::app::{Progress, Step};
use crate::gateway::Gateway;
use crate::host::Host;
use crate::host::sockets::Report;
use crate::link::{Conditions, Fates, Wire};
use crate::seed::Random;

/// Steps at one instant, at most. A burst is 32 frames; nothing here has ten thousand bursts to say at once.
const STEPS_AT_ONCE: u32 = 10_000;

/// A host's number in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostId(usize);

/// A connection of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId {
    /// Whose.
    pub host: HostId,
    /// Its number there.
    pub number: usize,
}

/// A frame that was put on a cable, for scenarios that look at the wire.
#[derive(Clone, Debug)]
pub struct Captured {
    /// When.
    pub at: Instant,
    /// On which port's cable.
    pub port: PortId,
    /// By the gateway (else by a host).
    pub by_gateway: bool,
    /// The frame.
    pub frame: Bytes,
}

struct Cable {
    to_gateway: Wire,
    to_hosts: Wire,
    hosts: Vec<usize>,
}

/// Everything.
pub struct World {
    /// The clock.
    pub now: Instant,
    /// Random choices of the scenario itself.
    pub random: Random,
    /// The gateway.
    pub gateway: Gateway,
    /// All frames put on cables since [`World::record`].
    pub capture: Option<Vec<Captured>>,
    hosts: Vec<Host>,
    cables: Vec<Cable>,

    steps_at_once: u32,
}

impl World {
    /// A gateway with the configuration `yaml`, and a clean cable on each of its ports.
    ///
    /// # Panics
    /// When the configuration has faults.
    #[must_use]
    pub fn new(seed: u64, yaml: &str) -> Self {
        Self::with_gateway(seed, |now, random| Gateway::new(now, random, yaml))
    }

    /// The same, with a gateway made by `make`.
    ///
    /// # Panics
    /// When `make` does.
    pub fn with_gateway(seed: u64, make: impl FnOnce(Instant, &mut Random) -> Gateway) -> Self {
        let mut random = Random::new(seed);
        // Any time may be the start's, some of them short before a 32-bit millisecond clock wraps.
        let start = if random.chance(0.5) { (1 << 32) * 1000 - random.below(3_000_000) } else { random.below(1 << 40) };
        let now = Instant::from_micros(start + 1);
        let gateway = make(now, &mut random);
        let cables = (0..gateway.ports())
            .map(|_| Cable {
                to_gateway: Wire::new(Conditions::CLEAN, random.branch()),
                to_hosts: Wire::new(Conditions::CLEAN, random.branch()),
                hosts: Vec::new(),
            })
            .collect();
        Self { now, random, gateway, capture: None, hosts: Vec::new(), cables, steps_at_once: 0 }
    }

    /// Puts a host on the cable of an interface.
    ///
    /// # Panics
    /// When there is no such interface.
    pub fn add(&mut self, interface: &str, mut host: Host) -> HostId {
        let (port, vlan) = self.gateway.port_of(interface);
        host.vlan = vlan;
        self.cables[usize::from(port.0)].hosts.push(self.hosts.len());
        self.hosts.push(host);
        HostId(self.hosts.len() - 1)
    }

    /// A new host on the cable of an interface, with addresses and gateways as [`Host::new`] takes them.
    pub fn host(&mut self, interface: &str, name: &str, addresses: &[&str], gateways: &[&str]) -> HostId {
        let host = Host::new(name, addresses, gateways, self.random.branch());
        self.add(interface, host)
    }

    /// Changes both directions of the cables of all ports.
    pub fn set_all(&mut self, conditions: Conditions) {
        for cable in &mut self.cables {
            cable.to_gateway.set(conditions);
            cable.to_hosts.set(conditions);
        }
    }

    /// Changes the cable of one interface.
    pub fn set(&mut self, interface: &str, conditions: Conditions) {
        let (port, _) = self.gateway.port_of(interface);
        let cable = &mut self.cables[usize::from(port.0)];
        cable.to_gateway.set(conditions);
        cable.to_hosts.set(conditions);
    }

    /// What became of the frames on an interface's cable: to the gateway, to the hosts.
    #[must_use]
    pub fn fates(&self, interface: &str) -> (Fates, Fates) {
        let (port, _) = self.gateway.port_of(interface);
        let cable = &self.cables[usize::from(port.0)];
        (cable.to_gateway.fates(), cable.to_hosts.fates())
    }

    /// Keeps all frames from now on.
    pub fn record(&mut self) {
        self.capture = Some(Vec::new());
    }

    /// A host.
    #[must_use]
    pub fn get(&self, host: HostId) -> &Host {
        &self.hosts[host.0]
    }

    /// A host to be changed or made to do something.
    pub fn get_mut(&mut self, host: HostId) -> &mut Host {
        &mut self.hosts[host.0]
    }

    /// Opens a connection from a host; `remote` is ADDRESS:PORT.
    ///
    /// # Panics
    /// When `remote` is none.
    pub fn connect(&mut self, host: HostId, remote: &str, steps: &[Step]) -> ConnectionId {
        let remote = remote.parse().unwrap_or_else(|_| panic!("{remote} is no ADDRESS:PORT"));
        let number = self.hosts[host.0].connect(self.now, remote, steps);
        ConnectionId { host, number }
    }

    /// How a connection is.
    #[must_use]
    pub fn report(&self, connection: ConnectionId) -> &Report {
        self.hosts[connection.host.0].tcp.report(connection.number)
    }

    /// The connections a host has accepted, in their order.
    #[must_use]
    pub fn accepted(&self, host: HostId) -> Vec<Report> {
        self.hosts[host.0].tcp.reports().filter(|report| report.accepted).cloned().collect()
    }

    /// Runs for a while.
    pub fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Runs until `done` or for `time`; was it done?
    pub fn run_until(&mut self, time: Duration, done: impl Fn(&World) -> bool) -> bool {
        let end = self.now + time;
        loop {
            if done(self) {
                return true;
            }
            match self.step() {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => {
                    self.now = end;
                    return done(self);
                }
            }
        }
    }

    /// Runs until all scripts of all hosts have ended.
    ///
    /// # Panics
    /// When they have not after `time`, or one has failed.
    pub fn finish(&mut self, time: Duration) {
        self.run_until(time, |world| world.scripts().all(|report| report.progress != Progress::Running));
        for host in &self.hosts {
            for report in host.tcp.reports() {
                assert_eq!(report.progress, Progress::Done, "{}: {report:?}\n{}", host.name, self.gateway.state());
            }
        }
    }

    /// Runs until the gateway is empty: every flow forgotten and every frame of its memory given back.
    ///
    /// # Panics
    /// When it is not after `time`.
    pub fn settle(&mut self, time: Duration) {
        let quiet = self.run_until(time, |world| world.gateway.is_quiet() && world.gateway.frames_in_use() == 0);
        assert!(quiet, "left behind: {}", self.gateway.state());
    }

    /// Fails if any host was sent a wrong frame: on cables that damage none, the gateway wrote it.
    ///
    /// # Panics
    /// When one was.
    pub fn no_faults(&self) {
        for host in &self.hosts {
            assert!(host.faults.is_empty(), "{} was sent wrong frames: {:?}", host.name, host.faults);
        }
    }

    fn scripts(&self) -> impl Iterator<Item = &Report> {
        self.hosts.iter().flat_map(|host| host.tcp.reports())
    }

    /// Does all that is due now; returns when there is something to do next.
    fn step(&mut self) -> Option<Instant> {
        let now = self.now;
        self.deliver();
        self.poll_hosts();
        let turn = self.gateway.turn(now);
        self.collect();
        let wires = self.cables.iter().flat_map(|cable| [cable.to_gateway.next(), cable.to_hosts.next()]);
        let hosts = self.hosts.iter().map(Host::deadline);
        let next = wires.chain(hosts).chain([turn]).flatten().min();
        self.watch(next);
        next
    }

    fn watch(&mut self, next: Option<Instant>) {
        let stands_still = next.is_some_and(|next| next <= self.now);
        self.steps_at_once = if stands_still { self.steps_at_once + 1 } else { 0 };
        assert!(self.steps_at_once < STEPS_AT_ONCE, "no progress at {:?}: {}", self.now, self.gateway.state());
    }

    /// Takes frames off the cables that have arrived.
    fn deliver(&mut self) {
        for (port, cable) in self.cables.iter_mut().enumerate() {
            while let Some(frame) = cable.to_gateway.take(self.now) {
                self.gateway.inject(PortId(port as u16), &frame);
            }
            while let Some(frame) = cable.to_hosts.take(self.now) {
                for host in &cable.hosts {
                    self.hosts[*host].handle(self.now, &frame);
                }
            }
        }
    }

    /// Puts on the cables what hosts have to say.
    fn poll_hosts(&mut self) {
        for (port, cable) in self.cables.iter_mut().enumerate() {
            let port = PortId(port as u16);
            for host in &cable.hosts {
                while let Some(frame) = self.hosts[*host].poll(self.now) {
                    let captured = Captured { at: self.now, port, by_gateway: false, frame: frame.clone() };
                    self.capture.iter_mut().for_each(|capture| capture.push(captured.clone()));
                    cable.to_gateway.send(self.now, frame);
                }
            }
        }
    }

    /// Puts on the cables what the gateway has to say.
    fn collect(&mut self) {
        for (port, cable) in self.cables.iter_mut().enumerate() {
            let port = PortId(port as u16);
            while let Some(frame) = self.gateway.take(port) {
                let captured = Captured { at: self.now, port, by_gateway: true, frame: frame.clone() };
                self.capture.iter_mut().for_each(|capture| capture.push(captured.clone()));
                cable.to_hosts.send(self.now, frame);
            }
        }
    }
}
