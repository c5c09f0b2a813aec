//! The gateway itself, whole: one worker over ports in memory, and the control thread's engine, on the world's clock.
//!
//! Made from the YAML an operator would write; `port` strings are names of cables here. The engine's mail is carried
//! between turns, so that a request of a proxy is answered at the earliest one turn later, as in the real gateway.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use control::config::{self, Config};
use control::engine::{ApiError, ApiReply, ApiRequest, Body, Engine, Format, Outcome, RulesRequest, Setup};
use control::handoff::{CoreEnd, FromFlow, ToFlow};
use control::mailbox::{CoreLink, CoreReport, DecidedFlow, FlowRecord, FromCore, ProxyRecord, SessionSummary, ToCore};
use control::requests::{Caller, Errno, Request};
use control::rollback::Install;
use control::{Faults, Policy, tproxy};
use crossbeam_channel::{Receiver, Sender};
use dataplane::limits::Capacity;
use dataplane::nic::memory::{self, MemoryEnds, MemoryNic};
use dataplane::nic::{Offloads, PortId, PortInfo};
use dataplane::packet::MacAddress;
use dataplane::worker::{Audit, Options, Worker};
use serde_json::Value;
use tcp::Instant;

use crate::seed::Random;

/// Frames of packet memory, if a scenario does not say otherwise.
const FRAMES: usize = 65_536;
/// Flows, sessions and half-open ones that there is room for, if a scenario does not say otherwise.
pub const CAPACITY: Capacity = Capacity { flows: 32_768, sessions: 12_288, half_open: 4_096 };
/// Messages in each direction between core and engine.
const MAIL: usize = 4_096;
/// Turns of the worker at one instant before the world looks at what came out.
const TURNS: usize = 64;
/// Tproxy entries there may be.
const ENTRIES: usize = 1_024;
/// The name of the configuration in messages.
const FILE: &str = "simulated.yaml";

/// How a gateway is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How much a worker may hold.
    pub limits: Capacity,
    /// Frames of packet memory.
    pub frames: usize,
    /// What the ports do on transmit.
    pub offloads: Offloads,
    /// Largest IP packet of the ports.
    pub mtu: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { limits: CAPACITY, frames: FRAMES, offloads: Offloads::default(), mtu: 1500 }
    }
}

/// A running gateway.
pub struct Gateway {
    /// What the operator would read in the log.
    pub notices: Vec<String>,
    /// How sessions have ended.
    pub summaries: Vec<SessionSummary>,
    /// What proxies have done within sessions.
    pub records: Vec<ProxyRecord>,
    /// Decisions that were to be logged.
    pub decided: Vec<DecidedFlow>,
    /// Decisions that were too many to be logged.
    pub suppressed: u64,
    /// How forwarded flows have ended, where that is logged.
    pub forwarded: Vec<FlowRecord>,
    silent: bool,
    worker: Worker<MemoryNic>,
    ends: MemoryEnds,
    engine: Engine,
    from_core: Receiver<FromCore>,
    to_core: Sender<ToCore>,
    devices: Vec<String>,
}

impl Gateway {
    /// A gateway as `yaml` describes it.
    ///
    /// # Panics
    /// When `yaml` has faults.
    #[must_use]
    pub fn new(now: Instant, random: &mut Random, yaml: &str) -> Self {
        Self::with(now, random, yaml, &Settings::default())
    }

    /// The same with other settings than the usual.
    ///
    /// # Panics
    /// When `yaml` has faults.
    #[must_use]
    pub fn with(now: Instant, random: &mut Random, yaml: &str, settings: &Settings) -> Self {
        let (config, policy) = compile(yaml).unwrap_or_else(|faults| panic!("{faults}"));
        Self::of(now, random, config, Arc::new(policy), settings)
    }

    /// The same of a configuration that has been read and compiled already.
    #[must_use]
    pub fn of(now: Instant, random: &mut Random, config: Config, policy: Arc<Policy>, settings: &Settings) -> Self {
        let mut devices: Vec<String> = Vec::new();
        for interface in policy.interfaces() {
            if !devices.contains(&interface.port) {
                devices.push(interface.port.clone());
            }
        }
        let ports: Vec<PortId> =
            policy.interfaces().iter().map(|interface| port_of(&devices, &interface.port)).collect();
        // The kernel's devices come behind the wires, and have their interfaces' station addresses.
        let mut stations: Vec<u8> = (0..devices.len()).map(|i| i as u8).collect();
        let mut kernel_ports = Vec::new();
        for (interface, port) in policy.interfaces().iter().zip(&ports) {
            kernel_ports.push(interface.kernel.as_ref().map(|kernel| {
                devices.push(kernel.name.clone());
                stations.push(port.0 as u8);
                PortId(devices.len() as u16 - 1)
            }));
        }
        let infos = devices.iter().zip(stations).map(|(device, station)| PortInfo {
            device: device.clone(),
            driver: "memory".to_owned(),
            mac: MacAddress(station_of(station)),
            mtu: settings.mtu,
            offloads: settings.offloads,
        });
        let (nic, ends) = memory::nic(infos.collect(), settings.frames);
        let (to_core, mailbox) = crossbeam_channel::bounded(MAIL);
        let (control, from_core) = crossbeam_channel::bounded(MAIL);
        let (table, writer) = tproxy::table(ENTRIES, random.number());
        let options = Options { core: 0, seed: random.number(), limits: settings.limits };
        let mut worker = Worker::new(&options, now, nic, &ports, Arc::clone(&policy), table, mailbox, control);
        worker.attach_kernel(&kernel_ports);
        let cores = vec![CoreLink { core: 0, to: to_core.clone() }];
        let setup = Setup { config, policy, writer, cores, own_uid: 0, version: "simulated" };
        let engine = Engine::new(now.as_micros(), setup);
        let (notices, summaries) = (Vec::new(), Vec::new());
        Self {
            notices,
            summaries,
            records: Vec::new(),
            decided: Vec::new(),
            suppressed: 0,
            forwarded: Vec::new(),
            silent: false,
            worker,
            ends,
            engine,
            from_core,
            to_core,
            devices,
        }
    }

    /// Number of ports.
    #[must_use]
    pub fn ports(&self) -> usize {
        self.devices.len()
    }

    /// The station address of an interface, and of the kernel's device that it may have.
    ///
    /// # Panics
    /// When there is no such interface.
    #[must_use]
    pub fn mac_of(&self, interface: &str) -> [u8; 6] {
        station_of(self.port_of(interface).0.0 as u8)
    }

    /// The port and tag of an interface, or of the kernel's device of this name.
    ///
    /// # Panics
    /// When there is no such interface.
    #[must_use]
    pub fn port_of(&self, interface: &str) -> (PortId, Option<u16>) {
        let policy = self.engine.policy();
        if policy.interfaces().iter().any(|one| one.kernel.as_ref().is_some_and(|kernel| kernel.name == interface)) {
            return (port_of(&self.devices, interface), None);
        }
        let id = policy.interface_named(interface).unwrap_or_else(|| panic!("no interface {interface}"));
        let interface = policy.interface(id);
        (port_of(&self.devices, &interface.port), interface.vlan)
    }

    /// Runs until it has nothing more to do now; returns when it will have.
    pub fn turn(&mut self, now: Instant) -> Option<Instant> {
        if !self.silent && self.engine.deadline_us().is_some_and(|at| at <= now.as_micros()) {
            self.engine.tick(now.as_micros());
        }
        let mut next = None;
        for _ in 0..TURNS {
            let turn = self.worker.turn(now);
            next = turn.next;
            let mail = self.read_mail(now);
            if turn.work == 0 && mail == 0 {
                break;
            }
        }
        let engine = self.engine.deadline_us().filter(|_| !self.silent).map(Instant::from_micros);
        [next, engine].into_iter().flatten().min()
    }

    /// A frame arrives.
    pub fn inject(&mut self, port: PortId, frame: &Bytes) {
        self.ends.inject(port, frame.to_vec());
    }

    /// Takes a frame that was sent.
    pub fn take(&mut self, port: PortId) -> Option<Bytes> {
        self.ends.take(port).map(Bytes::from)
    }

    /// Asks the control thread; an answer that needs the core is waited for by turns of the core.
    ///
    /// # Errors
    /// What stood against it.
    pub fn ask(&mut self, now: Instant, request: ApiRequest) -> ApiReply {
        self.ask_as(now, Caller::Simulator, request)
    }

    fn ask_as(&mut self, now: Instant, caller: Caller, request: ApiRequest) -> ApiReply {
        match self.engine.handle(now.as_micros(), caller, request) {
            Outcome::Done(reply) => reply,
            Outcome::Gather(mut gather) => loop {
                self.turn(now);
                if let Some(reply) = self.engine.poll(now.as_micros(), &mut gather) {
                    return reply;
                }
            },
        }
    }

    /// A tproxy request.
    ///
    /// # Errors
    /// The kernel patch's name for what stood against it.
    ///
    /// # Panics
    /// When it was refused for a reason that patch did not know.
    pub fn request(&mut self, now: Instant, request: Request) -> Result<Value, Errno> {
        self.request_as(now, Caller::Simulator, request)
    }

    /// The same of a program at the handoff socket.
    ///
    /// # Errors
    /// As [`Gateway::request`].
    ///
    /// # Panics
    /// As [`Gateway::request`].
    pub fn program_request(&mut self, now: Instant, request: Request) -> Result<Value, Errno> {
        self.request_as(now, Caller::Program { id: 1, uid: 0, gid: 0 }, request)
    }

    /// The place of the thread of programs: what the core says to it, and where it is told.
    ///
    /// # Panics
    /// When the core's mailbox is full.
    pub fn programs(&mut self) -> (Receiver<FromFlow>, Sender<ToFlow>) {
        let (to_programs, heard) = crossbeam_channel::unbounded();
        let (say, from_programs) = crossbeam_channel::unbounded();
        let end = CoreEnd { from_programs, to_programs };
        self.to_core.send(ToCore::Handoff(end)).expect("the core reads its mail");
        (heard, say)
    }

    fn request_as(&mut self, now: Instant, caller: Caller, request: Request) -> Result<Value, Errno> {
        match self.ask_as(now, caller, ApiRequest::Tproxy(request)) {
            Ok(body) => Ok(json(body)),
            Err(error) => Err(error.errno.unwrap_or_else(|| panic!("{}", error.error))),
        }
    }

    /// Swaps the configuration for another, or not at all.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn reload(&mut self, now: Instant, yaml: &str) -> Result<Value, ApiError> {
        let read = config::parse_with(FILE, yaml, dataplane::modules::MODULES).map(Box::new);
        self.ask(now, ApiRequest::Reload { read, redecide: false }).map(json)
    }

    /// The control thread dies: it hears and says nothing any more.
    pub fn kill_control(&mut self) {
        self.silent = true;
    }

    /// Forwarded flows leave a line in the log when they end.
    pub fn log_forwarded(&mut self) {
        self.worker.log_forwarded(true);
    }

    /// The rules as they are shown, with or without what they have counted.
    ///
    /// # Panics
    /// When they are not.
    pub fn rules(&mut self, now: Instant, counters: bool) -> String {
        let show = ApiRequest::Rules(RulesRequest::Show { counters, format: Format::Text });
        match self.ask(now, show) {
            Ok(Body::Text(text)) => text,
            other => panic!("no rules: {other:?}"),
        }
    }

    /// Puts another configuration on probation: for a test, or to be confirmed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn try_out(
        &mut self,
        now: Instant,
        yaml: &str,
        seconds: u64,
        confirm: Option<Install>,
    ) -> Result<Value, ApiError> {
        let (read, for_us) =
            (config::parse_with(FILE, yaml, dataplane::modules::MODULES).map(Box::new), seconds * 1_000_000);
        let request = match confirm {
            Some(install) => RulesRequest::Commit { read, install, confirm_us: Some(for_us) },
            None => RulesRequest::Test { read, for_us },
        };
        self.ask(now, ApiRequest::Rules(request)).map(json)
    }

    /// Swaps the configuration for another, and cuts what that forbids.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn reload_and_redecide(&mut self, now: Instant, yaml: &str) -> Result<Value, ApiError> {
        let read = config::parse_with(FILE, yaml, dataplane::modules::MODULES).map(Box::new);
        self.ask(now, ApiRequest::Reload { read, redecide: true }).map(json)
    }

    /// Takes no new sessions and ends when those there are have, as on SIGTERM.
    ///
    /// # Panics
    /// When that is refused.
    pub fn drain(&mut self, now: Instant) {
        self.ask(now, ApiRequest::Stop).expect("the simulator may stop the gateway");
    }

    /// Why a flow would be decided as it would be, in JSON as the API gives it.
    ///
    /// # Panics
    /// When there is no such interface.
    pub fn explain(&mut self, now: Instant, interface: &str, source: SocketAddr, destination: SocketAddr) -> Value {
        let (interface, format) = (interface.to_owned(), Format::Json);
        let question = ApiRequest::Explain { interface, protocol: 6, source, destination, format };
        self.ask(now, question).map(json).unwrap_or_else(|error| panic!("{}", error.error))
    }

    /// How the core is.
    ///
    /// # Panics
    /// When it does not say.
    pub fn report(&mut self, now: Instant) -> CoreReport {
        let (reply, report) = crossbeam_channel::bounded(1);
        self.to_core.send(ToCore::Report(reply)).expect("the core's box is there");
        self.turn(now);
        report.recv().expect("the core reports")
    }

    /// The flows there are.
    ///
    /// # Panics
    /// When the core does not say.
    pub fn flows(&mut self, now: Instant) -> Vec<FlowRecord> {
        let (reply, flows) = crossbeam_channel::bounded(1);
        self.to_core.send(ToCore::Flows { limit: usize::MAX, reply }).expect("the core's box is there");
        self.turn(now);
        flows.recv().expect("the core lists")
    }

    /// One counter.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        let found = self.worker.counters().iter().find(|counter| counter.name == name);
        found.unwrap_or_else(|| panic!("no counter {name}; there are {}", self.counter_names().join(" "))).value
    }

    /// The sum of all counters whose names begin so.
    #[must_use]
    pub fn counters_under(&self, prefix: &str) -> u64 {
        let under = self.worker.counters().iter().filter(|counter| counter.name.starts_with(prefix));
        under.map(|counter| counter.value).sum()
    }

    /// Everything that has been counted, and what is held: for messages of failing scenarios.
    #[must_use]
    pub fn state(&self) -> String {
        let counters = self.worker.counters().iter().filter(|counter| counter.value > 0);
        let counters: Vec<String> = counters.map(|counter| format!("{}={}", counter.name, counter.value)).collect();
        format!("{:?}, {} frames, {}", self.audit(), self.frames_in_use(), counters.join(" "))
    }

    /// What it holds.
    #[must_use]
    pub fn audit(&self) -> Audit {
        self.worker.audit()
    }

    /// Does it hold nothing?
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.audit() == Audit::default()
    }

    /// Frames of its packet memory that somebody holds.
    #[must_use]
    pub fn frames_in_use(&self) -> usize {
        self.worker.nic().frames_in_use()
    }

    fn counter_names(&self) -> Vec<&'static str> {
        self.worker.counters().iter().map(|counter| counter.name).collect()
    }

    /// Carries the core's letters to the engine.
    fn read_mail(&mut self, now: Instant) -> usize {
        if self.silent {
            return 0;
        }
        let letters: Vec<FromCore> = self.from_core.try_iter().collect();
        let count = letters.len();
        for letter in letters {
            match &letter {
                FromCore::Summary(summary) => self.summaries.push(summary.clone()),
                FromCore::Record(record) => self.records.push(record.clone()),
                FromCore::Notice(line) => self.notices.push(line.clone()),
                FromCore::Decided(flow) => self.decided.push(flow.clone()),
                FromCore::Forwarded(flow) => self.forwarded.push(flow.clone()),
                FromCore::Suppressed { flows, .. } => self.suppressed += flows,
                FromCore::Tproxy { .. } => {}
            }
            self.engine.handle_core(now.as_micros(), letter);
        }
        count
    }
}

fn compile(yaml: &str) -> Result<(Config, Policy), Faults> {
    let config = config::parse_with(FILE, yaml, dataplane::modules::MODULES)?;
    let policy = Policy::compile(&config, 1)?;
    Ok((config, policy))
}

fn station_of(port: u8) -> [u8; 6] {
    [0x02, 0, 0, 0, 0xff, port]
}

fn port_of(devices: &[String], device: &str) -> PortId {
    let at = devices.iter().position(|known| known == device).expect("every interface's port is in the list");
    PortId(at as u16)
}

fn json(body: Body) -> Value {
    match body {
        Body::Json(value) => value,
        Body::Text(text) | Body::Metrics(text) => Value::String(text),
    }
}
