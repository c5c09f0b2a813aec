//! The control thread: gives the engine a clock, sockets and signals.
//!
//! One tokio runtime on one thread. Its loop takes a call from the API, a signal, or a tick. Messages of cores are
//! polled each tick and not awaited: a receiver that sleeps would have to be woken by a system call on a core. A
//! proxy's request waits for at most a tick, which is why one is short.
//!
//! SIGTERM and SIGINT drain and end (a second one ends at once), SIGHUP reloads.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::info;

use crate::engine::{ApiReply, ApiRequest, Engine, Exit, Gather, Outcome};
use crate::handoff;
use crate::limits::{FROM_CORES_BATCH, REQUESTS_WAITING_MAX};
use crate::mailbox::FromCore;
use crate::modules::ModulesRef;
use crate::reload;
use crate::requests::Caller;
use crate::server::{self, Call, ControlSocket, Desk};

/// Between two looks at the cores' messages.
const TICK: Duration = Duration::from_millis(1);
/// After the end: for cores to hand in their last summaries, and for connections to take their answers.
const FAREWELL: Duration = Duration::from_millis(500);

/// What the thread needs beside its engine.
pub struct ThreadOptions {
    /// The configuration file, to be read again on reload.
    pub config_path: PathBuf,
    /// Who reads the sections of proxies in it.
    pub modules: ModulesRef,
    /// What cores send.
    pub from_cores: Receiver<FromCore>,
    /// Called once the sockets are open.
    pub ready: Box<dyn FnOnce() + Send>,
}

/// Runs until the gateway has stopped: every core has been told to end by then. The engine must have been made with
/// `now_us` 0. An error means that a socket could not be opened; the cores have been told nothing.
pub fn run(engine: Engine, options: ThreadOptions) -> io::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(engine, options))
}

/// Waits for SIGTERM or SIGINT, where [`run`] has broken and nobody else does.
pub fn await_end() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        tokio::select! {
            _ = signals.terminate.recv() => {}
            _ = signals.interrupt.recv() => {}
        }
        Ok(())
    })
}

/// The user this process runs as, for [`crate::engine::Setup`]: the owner of its own entry in `/proc`.
pub fn own_uid() -> io::Result<u32> {
    Ok(std::fs::metadata("/proc/self")?.uid())
}

async fn serve(mut engine: Engine, options: ThreadOptions) -> io::Result<Exit> {
    let control = engine.config().control.clone();
    let signals = Signals::new()?;
    let (_socket, unix) = ControlSocket::bind(&control.socket)?;
    let tcp = match control.http {
        Some(address) => Some(bind_http(address).await?),
        None => None,
    };
    info!(socket = %control.socket.display(), http = control.http.map(tracing::field::display), "control sockets are open");

    let (desk, calls) = Desk::new(&options.config_path, options.modules);
    let closing = Arc::new(Notify::new());
    let mut servers = JoinSet::new();
    let programs = handoff::open(&control, desk.clone())?;
    let programs = programs.map(|(end, thread)| {
        engine.connect_handoff(end);
        thread
    });
    serve_sockets(&mut servers, desk, unix, tcp, &closing);
    (options.ready)();

    let work = Work { engine, started: Instant::now(), from_cores: options.from_cores, gathers: Vec::new() };
    let exit = work.run(calls, signals, options.config_path, options.modules).await;
    closing.notify_waiters();
    // Whoever still has not read an answer by then will not.
    let _ = timeout(FAREWELL, async { while servers.join_next().await.is_some() {} }).await;
    if let Some(programs) = programs {
        programs.end();
    }
    Ok(exit)
}

async fn bind_http(address: SocketAddr) -> io::Result<TcpListener> {
    let said = |error: io::Error| io::Error::new(error.kind(), format!("control http {address}: {error}"));
    TcpListener::bind(address).await.map_err(said)
}

fn serve_sockets(
    servers: &mut JoinSet<io::Result<()>>,
    desk: Desk,
    unix: UnixListener,
    tcp: Option<TcpListener>,
    closing: &Arc<Notify>,
) {
    let closed = |closing: &Arc<Notify>| {
        let closing = Arc::clone(closing);
        async move { closing.notified().await }
    };
    if let Some(tcp) = tcp {
        let routes = server::public_routes(desk.clone());
        servers.spawn(server::serve_http(tcp, routes, closed(closing)));
    }
    let routes = server::control_routes(desk);
    servers.spawn(server::serve_control(unix, routes, closed(closing)));
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Answers that wait for cores.
type Waiting = (Gather, oneshot::Sender<ApiReply>);

struct Work {
    engine: Engine,
    started: Instant,
    from_cores: Receiver<FromCore>,
    gathers: Vec<Waiting>,
}

impl Work {
    async fn run(
        mut self,
        mut calls: mpsc::Receiver<Call>,
        mut signals: Signals,
        config: PathBuf,
        modules: ModulesRef,
    ) -> Exit {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let exit = loop {
            let room = self.gathers.len() < REQUESTS_WAITING_MAX;
            tokio::select! {
                Some(call) = calls.recv(), if room => self.take(call),
                _ = ticks.tick() => {}
                _ = signals.terminate.recv() => self.signalled(ApiRequest::Stop),
                _ = signals.interrupt.recv() => self.signalled(ApiRequest::Stop),
                _ = signals.hangup.recv() => self.signalled(ApiRequest::Reload { read: reload::read(&config, modules), redecide: false }),
            }
            let cores_left = self.hear_cores();
            self.engine.tick(self.now_us());
            self.answer();
            match self.engine.finished() {
                Some(exit) => break exit,
                None if !cores_left => break Exit::CoresGone,
                None => {}
            }
        };
        self.say_goodbye().await;
        exit
    }

    fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    fn take(&mut self, call: Call) {
        match self.engine.handle(self.now_us(), call.caller, call.request) {
            // Whoever has hung up does not want the answer.
            Outcome::Done(reply) => drop(call.reply.send(reply)),
            Outcome::Gather(gather) => self.gathers.push((gather, call.reply)),
        }
    }

    fn signalled(&mut self, request: ApiRequest) {
        // Nobody waits for an answer, and the engine has logged what came of it.
        self.engine.handle(self.now_us(), Caller::Operator, request);
    }

    /// False when no core is left to send anything.
    fn hear_cores(&mut self) -> bool {
        for _ in 0..FROM_CORES_BATCH {
            match self.from_cores.try_recv() {
                Ok(message) => self.engine.handle_core(self.now_us(), message),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    fn answer(&mut self) {
        let now_us = self.now_us();
        let (engine, gathers) = (&mut self.engine, std::mem::take(&mut self.gathers));
        for (mut gather, reply) in gathers {
            match engine.poll(now_us, &mut gather) {
                Some(answer) => drop(reply.send(answer)),
                None => self.gathers.push((gather, reply)),
            }
        }
    }

    /// Cores that were told to stop hand in the summaries of what they have cut.
    async fn say_goodbye(&mut self) {
        let until = Instant::now() + FAREWELL;
        while self.hear_cores() && Instant::now() < until {
            self.engine.tick(self.now_us());
            sleep(TICK).await;
        }
        self.answer();
    }
}

#[cfg(test)]
mod tests;
