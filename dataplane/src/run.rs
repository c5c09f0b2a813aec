//! The process: from a configuration to running cores and back.
//!
//! In the order of events: compile the policy → start DPDK → packet memory → ports → workers → control thread (this
//! thread) → `ready` → … → drain → workers return → exit. Whatever fails before `ready` names the device or setting,
//! and the exit code is 1; a bad configuration never gets here.

use std::io::Write;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use control::config::{Config, Hugepages, Idle};
use control::engine::{Engine, Exit, Setup};
use control::mailbox::{CoreLink, FromCore, ToCore};
use control::policy::Policy;
use control::thread::ThreadOptions;
use control::tproxy::Table;
use crossbeam_channel::{Receiver, Sender, bounded};
use dpdk::{Eal, HugePages, Lcore, Pool, Port, Queue, Settings};
use tcp::Instant;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::exception::device::{self, KernelDevices};
use crate::limits::{self, Capacity};
use crate::nic::PortId;
use crate::nic::dpdk::DpdkNic;
use crate::worker::{Busy, Options, Worker};

/// What can go wrong before the gateway serves, in words for the operator.
type Failure = Box<dyn std::error::Error>;

/// Runs the gateway until it is told to stop.
pub fn run(config_path: &Path, config: &Config, log_forwarded: bool) -> ExitCode {
    match serve(config_path, config, log_forwarded) {
        Ok(exit) => ended(&exit),
        Err(failure) => {
            error!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn ended(exit: &Exit) -> ExitCode {
    match exit {
        Exit::Drained => info!("drained and stopped"),
        Exit::Cut { sessions } => warn!(sessions, "stopped; sessions were cut"),
        Exit::CoresGone => {
            error!("a worker ended on its own: this is a fault of the gateway");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn serve(config_path: &Path, config: &Config, log_forwarded: bool) -> Result<Exit, Failure> {
    let policy = Arc::new(Policy::compile(config, 1)?);
    let cores = worker_cores(config)?;
    let eal = Eal::init(&eal_options(config, &cores))?;
    for choice in eal.choices() {
        info!("{choice}");
    }
    let lcore = eal.workers().first().ok_or("DPDK has no worker core")?;
    // Until the end, when settings of the kernel are put back.
    let Opened { nic, ports, kernel_ports, kernel: _kernel } = open_ports(&eal, config, &policy, lcore)?;

    let seeds = seeds()?;
    let (table, writer) = control::tproxy::table(control::tproxy::limits::ENTRIES_DEFAULT, seeds[1]);
    let (to_core, mailbox) = bounded(limits::MAILBOX);
    let (to_control, from_cores) = bounded(limits::FROM_CORE);
    let engine = Engine::new(
        0,
        Setup {
            policy: Arc::clone(&policy),
            writer,
            cores: vec![CoreLink { core: 0, to: to_core.clone() }],
            own_uid: own_uid(),
            version: env!("CARGO_PKG_VERSION"),
            config: config.clone(),
        },
    );
    let last_word = to_core;
    let core = Core {
        options: Options {
            core: 0,
            seed: seeds[0],
            limits: Capacity::for_memory((config.dpdk.memory_mib as usize) << 20),
        },
        idle: config.dpdk.idle,
        log_forwarded,
        nic,
        ports,
        kernel_ports,
        policy,
        table,
        mailbox,
        control: to_control,
    };
    eal.launch(lcore, move || core.run())?;
    let options = ThreadOptions {
        config_path: config_path.to_owned(),
        modules: crate::modules::MODULES,
        from_cores,
        ready: Box::new(say_ready),
    };
    let exit = guarded(|| control::thread::run(engine, options));
    if exit.is_err() {
        // Nobody has told the core to end. Its box is empty enough, for nobody else writes to it any more.
        let _ = last_word.send(ToCore::Stop);
    }
    eal.wait(lcore)?;
    Ok(exit?)
}

/// Runs the control thread. If it breaks, the cores go on with what they have (and go back from what is on probation)
/// until somebody ends the gateway: a fault in answering an operator must not cut a network off.
fn guarded(control: impl FnOnce() -> std::io::Result<Exit>) -> std::io::Result<Exit> {
    let Ok(exit) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(control)) else {
        error!(
            "the control thread broke, which is a fault of the gateway: flows go on, nothing can be asked or changed; \
             restart when it suits"
        );
        control::thread::await_end()?;
        return Err(std::io::Error::other("ended without a control thread"));
    };
    exit
}

/// The CPUs that run workers: those of the file, else all but the first.
fn worker_cores(config: &Config) -> Result<Vec<u32>, Failure> {
    let allowed = dpdk::allowed_cpus()?;
    let wanted = config.dpdk.cores.clone().unwrap_or_else(|| match allowed.as_slice() {
        [only] => vec![*only],
        [_, rest @ ..] => rest.to_vec(),
        [] => Vec::new(),
    });
    if wanted.len() > 1 {
        warn!("one worker runs in this version: CPU {}; the other {} are left alone", wanted[0], wanted.len() - 1);
    }
    Ok(wanted.into_iter().take(1).collect())
}

fn eal_options(config: &Config, cores: &[u32]) -> dpdk::Options {
    dpdk::Options {
        cores: cores.to_vec(),
        hugepages: match config.dpdk.hugepages {
            Hugepages::Auto => HugePages::Auto,
            Hugepages::Size2M => HugePages::Size2M,
            Hugepages::Size1G => HugePages::Size1G,
            Hugepages::Off => HugePages::Off,
        },
        memory_mib: config.dpdk.memory_mib,
        pci: config.interfaces.iter().any(|interface| dpdk::names_pci(&interface.port)),
        args: config.dpdk.args.clone(),
        ..dpdk::Options::default()
    }
}

/// What a worker's packets cross.
struct Opened {
    nic: DpdkNic,
    /// By interface.
    ports: Vec<PortId>,
    /// By interface: the device of the host's kernel.
    kernel_ports: Vec<Option<PortId>>,
    kernel: KernelDevices,
}

/// Attaches every device once (interfaces with VLANs share one) and says what was chosen for each.
fn open_ports(eal: &Eal, config: &Config, policy: &Policy, lcore: &Lcore) -> Result<Opened, Failure> {
    let bytes = (config.dpdk.memory_mib as usize) << 20;
    let mtu = policy.interfaces().iter().filter_map(|interface| interface.mtu).max().unwrap_or(limits::MTU_USUAL);
    let data_room = Pool::data_room_for(mtu);
    let pool = Pool::new(eal, Some(lcore), Pool::buffers_for(bytes / 4 * 3, data_room), data_room)?;
    info!("packet memory: {} buffers of {} bytes", pool.capacity(), pool.data_room());
    let rss_seed = seeds()?[0];
    let mut devices: Vec<&str> = Vec::new();
    let mut queues: Vec<Queue> = Vec::new();
    let mut ports = Vec::new();
    let mut failures = Vec::new();
    for interface in policy.interfaces() {
        let shared = devices.iter().position(|device| *device == interface.port);
        ports.push(PortId(u16::try_from(shared.unwrap_or(devices.len()))?));
        if shared.is_some() {
            continue;
        }
        devices.push(&interface.port);
        let settings = Settings { queues: 1, mtu: interface.mtu, rss_seed };
        match Port::attach(eal, &interface.port, &settings, std::slice::from_ref(&pool)) {
            Ok(port) => queues.extend(say_port(&interface.name, port)),
            Err(error) => failures.push(format!("interface {}: {error}", interface.name)),
        }
    }
    // All at once, as with the configuration: whoever plugs one cable in wants to know of the other.
    if !failures.is_empty() {
        return Err(failures.join("\n").into());
    }
    let (kernel_ports, kernel) = device::attach(eal, policy, &pool, &ports, &mut queues)?;
    Ok(Opened { nic: DpdkNic::new(pool, queues), ports, kernel_ports, kernel })
}

/// Says what was chosen for a port and takes its queue.
fn say_port(interface: &str, mut port: Port) -> Option<Queue> {
    info!("{interface}: {} ({}), {}", port.name(), port.driver(), port.link());
    for choice in port.choices() {
        info!("{interface}: {choice}");
    }
    port.queue(0)
}

/// Random numbers of the system: what keys the core's tables, sequence numbers and ports.
fn seeds() -> Result<[u64; 2], Failure> {
    let mut bytes = [0; 16];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    let (first, second) = bytes.split_at(8);
    Ok([u64::from_ne_bytes(first.try_into()?), u64::from_ne_bytes(second.try_into()?)])
}

/// The user this process runs as, who may ask what root may.
fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(0, |metadata| metadata.uid())
}

/// Ports are up, sockets are open: whoever waits for it on stdout, and systemd, are told.
fn say_ready() {
    let mut out = std::io::stdout();
    // A closed stdout is the caller's choice.
    let _ = writeln!(out, "ready").and_then(|()| out.flush());
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        warn!("systemd was not told: {error}");
    }
}

/// What a core takes with it to its CPU.
struct Core {
    options: Options,
    idle: Idle,
    log_forwarded: bool,
    nic: DpdkNic,
    ports: Vec<PortId>,
    kernel_ports: Vec<Option<PortId>>,
    policy: Arc<Policy>,
    table: Arc<Table>,
    mailbox: Receiver<ToCore>,
    control: Sender<FromCore>,
}

impl Core {
    /// Turns until the worker has stopped.
    fn run(self) {
        let clock = Clock::cycles();
        let Core { options, idle, log_forwarded, nic, ports, kernel_ports, policy, table, mailbox, control } = self;
        let mut worker = Worker::new(&options, clock.now(), nic, &ports, policy, table, mailbox, control);
        worker.attach_kernel(&kernel_ports);
        worker.log_forwarded(log_forwarded);
        let mut rest = Rest::new(idle, clock.now());
        let mut busy = Busy::default();
        let mut wall_due = clock.now();
        while !worker.is_stopped() {
            let began = dpdk::cycles();
            let now = clock.now();
            if now >= wall_due {
                worker.set_wall_clock(clock.unix_at_zero());
                wall_due = now + limits::WALL_CLOCK_EVERY;
            }
            let turn = worker.turn(now);
            if turn.work > 0 {
                busy.busy_cycles += dpdk::cycles() - began;
                rest.wake(now);
            } else {
                rest.pause(now, turn.next.map(|next| next - now));
                busy.idle_cycles += dpdk::cycles() - began;
            }
            worker.account(busy);
        }
        // What the end had to say (resets of cut sessions) goes out before the ports close.
        for _ in 0..limits::FAREWELL_TURNS {
            worker.turn(clock.now());
        }
    }
}

/// What a core does in a turn without work: nothing (`poll`), or less and less (`adaptive`).
struct Rest {
    idle: Idle,
    turns: u32,
    /// When there was work last.
    worked: Instant,
    /// So many more times it sleeps where it would yield: another process wants this CPU.
    shared: u32,
    /// Cycles of a yield after which that is so.
    long: u64,
}

impl Rest {
    fn new(idle: Idle, now: Instant) -> Self {
        if idle == Idle::Adaptive {
            // Without it a sleep of 50 microseconds takes 100 and more; who cannot have it sleeps longer.
            let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(limits::IDLE_SLACK.as_nanos() as u64));
        }
        let long = dpdk::cycles_per_second() / 1_000_000 * limits::IDLE_YIELD_LONG.as_micros() as u64;
        Self { idle, turns: 0, worked: now, shared: 0, long }
    }

    fn wake(&mut self, now: Instant) {
        (self.turns, self.worked) = (0, now);
    }

    /// Pauses, then gives the CPU away as long as something may be on its way, then sleeps; never beyond the next deadline.
    fn pause(&mut self, now: Instant, until_next: Option<Duration>) {
        self.turns = self.turns.saturating_add(1);
        match (self.idle, self.turns) {
            (Idle::Poll, _) | (Idle::Adaptive, ..limits::IDLE_SPINS) => std::hint::spin_loop(),
            (Idle::Adaptive, _) if now - self.worked < limits::IDLE_YIELD && self.shared == 0 => {
                let began = dpdk::cycles();
                std::thread::yield_now();
                // Whoever took the CPU keeps it for a slice of milliseconds; from a sleep we come back when it is over.
                if dpdk::cycles() - began > self.long {
                    self.shared = limits::IDLE_SHARED;
                }
            }
            (Idle::Adaptive, _) => {
                self.shared = self.shared.saturating_sub(1);
                let quiet = now - self.worked >= limits::IDLE_QUIET;
                let longest = if quiet { limits::IDLE_SLEEP_QUIET } else { limits::IDLE_SLEEP };
                let sleep = until_next.map_or(longest, |next| next.min(longest));
                #[expect(
                    clippy::disallowed_methods,
                    reason = "an idle core gives its CPU to others on small machines"
                )]
                std::thread::sleep(sleep);
            }
        }
    }
}
