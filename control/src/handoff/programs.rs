//! The thread of the handoff socket, and a task for each program: what it asks is done in the order in which it asks.
//!
//! Requests about entries go to the control thread like everybody's, under the program's own name ([`Caller::Program`]);
//! conditions, permission and audit are there. What is added here are sockets: numbers that stand for an address of the
//! gateway, and who accepts what. When a program's connection closes, its entries go.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::{info, warn};

use super::link::{CoreEnd, link};
use super::socket::{Door, SocketFile, Wire, open as open_socket};
use super::switch::{Command, Message, Switch};
use super::wire::{Ask, No, PROTOCOL, answer, read};
use crate::config::Control;
use crate::engine::Body;
use crate::limits::{PROGRAM_FLOWS_MAX, PROGRAM_MESSAGES_MAX, PROGRAM_SOCKETS_MAX, PROGRAMS_MAX, REQUESTS_WAITING_MAX};
use crate::requests::{Caller, Group, Request, TCP, UDP, Version};
use crate::server::Desk;
use crate::tproxy::Flags;

/// The running thread.
pub(crate) struct Thread {
    stop: oneshot::Sender<()>,
    handle: std::thread::JoinHandle<()>,
}

impl Thread {
    /// Ends it: programs' connections close, and with them the flows' descriptors.
    pub(crate) fn end(self) {
        drop(self.stop);
        if self.handle.join().is_err() {
            warn!("the thread of the handoff socket broke");
        }
    }
}

/// Opens `control.handoff`, if the file names it, and serves it on a thread of its own; gives the core's end of the switch.
pub(crate) fn open(control: &Control, desk: Desk) -> io::Result<Option<(CoreEnd, Thread)>> {
    let Some(path) = &control.handoff else { return Ok(None) };
    // A group that is not there has been reported by the engine.
    let gid = control.group.as_deref().and_then(|name| Group::find(name).ok()).map(|group| group.gid);
    let door = open_socket(path, gid)?;
    let (core, thread) = link();
    let (stop, stopped) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = move || {
        runtime.block_on(async move {
            tokio::select! {
                ended = accept(door, desk, Switch::new(thread)) => {
                    if let Err(error) = ended {
                        warn!("the handoff socket failed: {error}");
                    }
                }
                _ = stopped => {}
            }
        });
    };
    let handle = std::thread::Builder::new().name("limpid-handoff".to_owned()).spawn(serve)?;
    info!(socket = %path.display(), "handoff socket is open");
    Ok(Some((core, Thread { stop, handle })))
}

async fn accept(door: (std::os::fd::OwnedFd, SocketFile), desk: Desk, switch: Switch) -> io::Result<()> {
    let door = Door::new(door)?;
    let (commands, wanted) = mpsc::channel(REQUESTS_WAITING_MAX);
    tokio::spawn(switch.run(wanted));
    let places = Arc::new(Semaphore::new(PROGRAMS_MAX));
    let mut id = 0;
    loop {
        let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
        let (wire, (uid, gid)) = match door.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, perhaps: whoever waits is served when some are free.
                warn!("a program could not be accepted: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        id += 1;
        let (outbox, inbox) = mpsc::channel(PROGRAM_MESSAGES_MAX);
        let (desk, commands) = (desk.clone(), commands.clone());
        let program = Program {
            id,
            caller: Caller::Program { id, uid, gid },
            desk,
            commands,
            outbox,
            sockets: HashMap::new(),
            next: 0,
            answers: Arc::new(Semaphore::new(PROGRAM_FLOWS_MAX + PROGRAM_MESSAGES_MAX)),
        };
        tokio::spawn(async move {
            let wire = Arc::new(wire);
            let writer = tokio::spawn(write(Arc::clone(&wire), inbox));
            program.serve(&wire).await;
            // What it was to be told, it will not read.
            writer.abort();
            drop(place);
        });
    }
}

async fn write(wire: Arc<Wire>, mut inbox: mpsc::Receiver<Message>) {
    while let Some(Message { bytes, descriptor }) = inbox.recv().await {
        if wire.send(&bytes, descriptor.as_ref().map(AsFd::as_fd)).await.is_err() {
            return;
        }
    }
}

struct Socket {
    local: SocketAddr,
    /// An entry of the tproxy table stands for it, as far as we know.
    entry: bool,
    /// Flows that come to it are offered to the program.
    listens: bool,
}

struct Program {
    id: u32,
    caller: Caller,
    desk: Desk,
    commands: mpsc::Sender<Command>,
    outbox: mpsc::Sender<Message>,
    sockets: HashMap<u32, Socket>,
    next: u32,
    /// Answers to `connect` that are not in the outbox yet: a program that does not read is not heard either.
    answers: Arc<Semaphore>,
}

type Done = Result<Value, No>;

impl Program {
    async fn serve(mut self, wire: &Wire) {
        info!(by = %self.caller, "program connected to the handoff socket");
        self.command(Command::Join { program: self.id, outbox: self.outbox.clone() }).await;
        while let Ok(Some(message)) = wire.receive().await {
            let (id, ask) = read(&message);
            let done = match ask {
                Ok(Ask::Connect { socket, remote, once }) => match self.connect(&id, socket, remote, once).await {
                    Ok(()) => continue,
                    Err(no) => Err(no),
                },
                Ok(ask) => self.perform(ask).await,
                Err(no) => Err(no),
            };
            let message = Message { bytes: answer(&id, done), descriptor: None };
            if self.outbox.send(message).await.is_err() {
                break;
            }
        }
        self.leave().await;
    }

    /// A program that ends takes its entries with it.
    async fn leave(mut self) {
        info!(by = %self.caller, sockets = self.sockets.len(), "program has left the handoff socket");
        for (_, socket) in std::mem::take(&mut self.sockets) {
            if socket.entry {
                // One that was used up or has expired is gone already.
                let _ = self.request(Request::Unassign { protocol: TCP, local: socket.local }).await;
            }
        }
        self.command(Command::Gone { program: self.id }).await;
    }

    async fn perform(&mut self, ask: Ask) -> Done {
        match ask {
            Ask::Version {} => Ok(json!({ "version": Version::CURRENT, "protocol": PROTOCOL })),
            Ask::Bind { protocol, local } => self.bind(protocol, local).await,
            Ask::Assign { socket, foreign, reuse, expires_ms } => {
                let local = self.local(socket)?;
                let request = Request::Assign { protocol: TCP, local, foreign, reuse, expires_ms };
                let done = self.request(request).await?;
                self.has_entry(socket, true);
                Ok(done)
            }
            Ask::Unassign { socket } => {
                let local = self.local(socket)?;
                let done = self.request(Request::Unassign { protocol: TCP, local }).await?;
                self.has_entry(socket, false);
                if let Some(socket) = self.sockets.get_mut(&socket) {
                    socket.listens = false;
                }
                self.command(Command::Deaf { program: self.id, local }).await;
                Ok(done)
            }
            Ask::Query { socket } => self.request(Request::Query { protocol: TCP, local: self.local(socket)? }).await,
            Ask::Flags { socket, set } => {
                self.request(Request::Flags { protocol: TCP, local: self.local(socket)?, set }).await
            }
            Ask::Alloc { socket } => self.request(Request::Alloc { protocol: TCP, local: self.local(socket)? }).await,
            Ask::Remote { socket, remote } => {
                self.request(Request::Connect { protocol: TCP, local: self.local(socket)?, remote }).await
            }
            Ask::Listen { socket, once } => self.listen(socket, once).await,
            Ask::Abort { flow } => {
                let (reply, answer) = oneshot::channel();
                self.command(Command::Abort { program: self.id, flow, reply }).await;
                match answer.await {
                    Ok(true) => Ok(json!({})),
                    _ => Err(No::new("ENOENT", format!("there is no flow {flow} of this program"))),
                }
            }
            Ask::Close { socket } => self.close(socket).await,
            Ask::Connect { .. } => Err(No::new("EINVAL", "connections are made elsewhere")),
        }
    }

    async fn bind(&mut self, protocol: u8, local: SocketAddr) -> Done {
        match protocol {
            TCP => {}
            UDP => return Err(No::new("EPROTONOSUPPORT", "datagrams are not handed to programs in this version")),
            _ => return Err(No::new("EINVAL", "neither tcp nor udp")),
        }
        if local.ip().is_unspecified() {
            return Err(No::new("EINVAL", "the local address needs to be one of the gateway's"));
        }
        if self.sockets.len() >= PROGRAM_SOCKETS_MAX {
            return Err(No::new("EMFILE", format!("a program has {PROGRAM_SOCKETS_MAX} sockets at most")));
        }
        let (reply, answer) = oneshot::channel();
        let local = SocketAddr::new(local.ip(), local.port());
        self.command(Command::Bind { program: self.id, local, reply }).await;
        let local = answer.await.unwrap_or_else(|_| Err(stopping()))?;
        self.next += 1;
        self.sockets.insert(self.next, Socket { local, entry: false, listens: false });
        Ok(json!({ "socket": self.next, "local": local }))
    }

    async fn listen(&mut self, socket: u32, once: bool) -> Done {
        let local = self.local(socket)?;
        let listened = self.sockets.get(&socket).is_some_and(|socket| socket.listens);
        // First who takes them, then what brings them.
        self.command(Command::Listen { program: self.id, socket, local }).await;
        let purpose = if once { Flags::LISTEN | Flags::ONCE } else { Flags::LISTEN };
        let done = self.purpose(socket, purpose).await;
        if done.is_err() && !listened {
            self.command(Command::Deaf { program: self.id, local }).await;
        } else if let Some(socket) = self.sockets.get_mut(&socket) {
            socket.listens = true;
        }
        done
    }

    /// Makes the connection; the answer comes when it is there.
    async fn connect(&mut self, id: &Value, socket: u32, remote: SocketAddr, once: bool) -> Result<(), No> {
        let local = self.local(socket)?;
        let remote = SocketAddr::new(remote.ip(), remote.port());
        if remote.is_ipv4() != local.is_ipv4() || remote.port() == 0 || remote.ip().is_unspecified() {
            return Err(No::new("EINVAL", format!("{remote} is no address that {local} can connect to")));
        }
        self.purpose(socket, if once { Flags::CONNECT | Flags::ONCE } else { Flags::CONNECT }).await?;
        let turn = Arc::clone(&self.answers).acquire_owned().await.map_err(|_| stopping())?;
        let (reply, made) = oneshot::channel();
        self.command(Command::Connect { program: self.id, local, remote, reply }).await;
        let (id, outbox) = (id.clone(), self.outbox.clone());
        tokio::spawn(async move {
            let (done, descriptor) = match made.await {
                Ok(Ok((flow, source, descriptor))) => (Ok(json!({ "flow": flow, "local": source })), Some(descriptor)),
                Ok(Err(errno)) => (Err(No::new(errno, format!("no connection to {remote}"))), None),
                Err(_) => (Err(stopping()), None),
            };
            // A program that has gone does not want to know.
            let _ = outbox.send(Message { bytes: answer(&id, done), descriptor }).await;
            drop(turn);
        });
        Ok(())
    }

    /// What the socket's entry is for, too; one that has none is marked as ours.
    async fn purpose(&mut self, socket: u32, purpose: Flags) -> Done {
        let local = self.local(socket)?;
        if !self.sockets.get(&socket).is_some_and(|socket| socket.entry) {
            let foreign = SocketAddr::new(unspecified(local.ip()), 0);
            let request = Request::Assign { protocol: TCP, local, foreign, reuse: false, expires_ms: None };
            self.request(request).await?;
            self.has_entry(socket, true);
        }
        let now = self.request(Request::Flags { protocol: TCP, local, set: None }).await?;
        let now: Flags = serde_json::from_value(now["flags"].clone()).unwrap_or_default();
        self.request(Request::Flags { protocol: TCP, local, set: Some(now | purpose) }).await
    }

    async fn close(&mut self, socket: u32) -> Done {
        let Socket { local, entry, .. } = self.sockets.remove(&socket).ok_or_else(|| no_socket(socket))?;
        if entry {
            // One that was used up or has expired is gone already.
            let _ = self.request(Request::Unassign { protocol: TCP, local }).await;
        }
        self.command(Command::Free { program: self.id, local }).await;
        Ok(json!({}))
    }

    async fn request(&self, request: Request) -> Done {
        match self.desk.request(self.caller, request).await {
            Ok(Body::Json(value)) => Ok(value),
            Ok(_) => Ok(Value::Null),
            Err(error) => Err(No::new(error.errno.map_or("EAGAIN", |errno| errno.name()), error.error)),
        }
    }

    async fn command(&self, command: Command) {
        // The switch ends with the thread.
        let _ = self.commands.send(command).await;
    }

    fn local(&self, socket: u32) -> Result<SocketAddr, No> {
        self.sockets.get(&socket).map(|socket| socket.local).ok_or_else(|| no_socket(socket))
    }

    fn has_entry(&mut self, socket: u32, entry: bool) {
        if let Some(socket) = self.sockets.get_mut(&socket) {
            socket.entry = entry;
        }
    }
}

fn no_socket(socket: u32) -> No {
    No::new("EBADF", format!("this program has no socket {socket}"))
}

fn stopping() -> No {
    No::new("EAGAIN", "the gateway is stopping")
}

fn unspecified(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}
