//! One program at the handoff socket: what it asks is done in the order in which it asks.
//!
//! Requests about entries go to the control thread like everybody's, under the program's own name ([`Caller::Program`]);
//! conditions, permission and audit are there. What is added here are sockets: numbers that stand for an address of the
//! gateway, and who accepts what. When a program's connection closes, its entries go.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::info;

use super::link::ToSocket;
use super::queue::Owner;
use super::socket::Wire;
use super::switch::{Command, Message};
use super::wire::{Ask, No, PROTOCOL, answer, read};
use crate::engine::Body;
use crate::limits::{PROGRAM_FLOWS_MAX, PROGRAM_MESSAGES_MAX, PROGRAM_SOCKETS_MAX};
use crate::requests::{Caller, Request, TCP, UDP, Version};
use crate::server::Desk;
use crate::tproxy::Flags;

struct Socket {
    protocol: u8,
    local: SocketAddr,
    /// An entry of the tproxy table stands for it, as far as we know.
    entry: bool,
    /// Flows that come to it are offered to the program.
    listens: bool,
}

/// One program's task.
pub(super) struct Program {
    id: u32,
    caller: Caller,
    desk: Desk,
    commands: mpsc::Sender<Command>,
    outbox: mpsc::Sender<Message>,
    /// Sockets of datagrams whose descriptor the program has closed.
    closed: UnboundedSender<u32>,
    sockets: HashMap<u32, Socket>,
    next: u32,
    /// Answers to `connect` that are not in the outbox yet: a program that does not read is not heard either.
    answers: Arc<Semaphore>,
}

type Done = Result<Value, No>;

impl Program {
    /// One that has just come; with it where it commands, what it is told by, and where it is said what it has closed.
    pub(super) fn new(
        id: u32,
        caller: Caller,
        desk: Desk,
        (commands, outbox, closed): (mpsc::Sender<Command>, mpsc::Sender<Message>, UnboundedSender<u32>),
    ) -> Program {
        let answers = Arc::new(Semaphore::new(PROGRAM_FLOWS_MAX + PROGRAM_MESSAGES_MAX));
        Program { id, caller, desk, commands, outbox, closed, sockets: HashMap::new(), next: 0, answers }
    }

    /// Serves it until it goes; `gone` tells which descriptors of datagrams it has closed.
    pub(super) async fn serve(mut self, wire: &Wire, mut gone: mpsc::UnboundedReceiver<u32>) {
        info!(by = %self.caller, "program connected to the handoff socket");
        self.command(Command::Join { program: self.id, outbox: self.outbox.clone() }).await;
        loop {
            let message = tokio::select! {
                message = wire.receive() => message,
                Some(socket) = gone.recv() => {
                    // One that was closed by a request has been forgotten.
                    let _ = self.close(socket).await;
                    continue;
                }
            };
            let Ok(Some(message)) = message else { break };
            let (id, ask) = read(&message);
            let (done, descriptor) = match ask {
                Ok(Ask::Connect { socket, remote, once }) if self.protocol(socket) == TCP => {
                    match self.connect(&id, socket, remote, once).await {
                        Ok(()) => continue,
                        Err(no) => (Err(no), None),
                    }
                }
                Ok(Ask::Bind { protocol, local }) => match self.bind(protocol, local).await {
                    Ok((done, descriptor)) => (Ok(done), descriptor),
                    Err(no) => (Err(no), None),
                },
                Ok(ask) => (self.perform(ask).await, None),
                Err(no) => (Err(no), None),
            };
            if self.outbox.send(Message { bytes: answer(&id, done), descriptor }).await.is_err() {
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
                let _ = self.request(Request::Unassign { protocol: socket.protocol, local: socket.local }).await;
            }
        }
        self.command(Command::Gone { program: self.id }).await;
    }

    async fn perform(&mut self, ask: Ask) -> Done {
        match ask {
            Ask::Version {} => Ok(json!({ "version": Version::CURRENT, "protocol": PROTOCOL })),
            Ask::Assign { socket, foreign, reuse, expires_ms } => {
                let (protocol, local) = self.local(socket)?;
                let request = Request::Assign { protocol, local, foreign, reuse, expires_ms };
                let done = self.request(request).await?;
                self.has_entry(socket, true);
                Ok(done)
            }
            Ask::Unassign { socket } => {
                let (protocol, local) = self.local(socket)?;
                let done = self.request(Request::Unassign { protocol, local }).await?;
                self.has_entry(socket, false);
                self.deaf(socket).await;
                Ok(done)
            }
            Ask::Query { socket } => {
                let (protocol, local) = self.local(socket)?;
                self.request(Request::Query { protocol, local }).await
            }
            Ask::Flags { socket, set } => {
                let (protocol, local) = self.local(socket)?;
                self.request(Request::Flags { protocol, local, set }).await
            }
            Ask::Alloc { socket } => {
                let (protocol, local) = self.local(socket)?;
                self.request(Request::Alloc { protocol, local }).await
            }
            Ask::Remote { socket, remote } => {
                let (protocol, local) = self.local(socket)?;
                self.request(Request::Connect { protocol, local, remote }).await
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
            Ask::Connect { socket, remote, once } => self.connect_datagrams(socket, remote, once).await,
            Ask::Bind { .. } => Err(No::new("EINVAL", "sockets are bound elsewhere")),
        }
    }

    async fn bind(&mut self, protocol: u8, local: SocketAddr) -> Result<(Value, Option<OwnedFd>), No> {
        if !matches!(protocol, TCP | UDP) {
            return Err(No::new("EINVAL", "neither tcp nor udp"));
        }
        if local.ip().is_unspecified() {
            return Err(No::new("EINVAL", "the local address needs to be one of the gateway's"));
        }
        if self.sockets.len() >= PROGRAM_SOCKETS_MAX {
            return Err(No::new("EMFILE", format!("a program has {PROGRAM_SOCKETS_MAX} sockets at most")));
        }
        let (reply, answer) = oneshot::channel();
        let local = SocketAddr::new(local.ip(), local.port());
        self.command(Command::Bind { program: self.id, local: (protocol, local), reply }).await;
        let local = answer.await.unwrap_or_else(|_| Err(stopping()))?;
        self.next += 1;
        let number = self.next;
        self.sockets.insert(number, Socket { protocol, local, entry: false, listens: false });
        let descriptor = if protocol == UDP { Some(self.datagrams(number, local).await?) } else { None };
        Ok((json!({ "socket": number, "local": local }), descriptor))
    }

    /// The program's end of a socket of datagrams; without one the socket is closed again.
    async fn datagrams(&mut self, number: u32, local: SocketAddr) -> Result<OwnedFd, No> {
        let (reply, made) = oneshot::channel();
        let owner = Owner { number, outbox: self.outbox.clone(), closed: self.closed.clone() };
        self.command(Command::Datagrams { program: self.id, local, owner, reply }).await;
        let errno = match made.await {
            Ok(Ok(descriptor)) => return Ok(descriptor),
            Ok(Err(errno)) => errno,
            Err(_) => "EAGAIN",
        };
        // It has no entry yet.
        let _ = self.close(number).await;
        Err(No::new(
            errno,
            format!("there is no room for one more descriptor: {PROGRAM_FLOWS_MAX} of one program at most"),
        ))
    }

    async fn listen(&mut self, socket: u32, once: bool) -> Done {
        let (protocol, local) = self.local(socket)?;
        let listened = self.sockets.get(&socket).is_some_and(|socket| socket.listens);
        // First who takes them, then what brings them.
        if protocol == TCP {
            self.command(Command::Listen { program: self.id, socket, local }).await;
        } else {
            self.tell(socket, ToSocket::Listen(true)).await;
        }
        let purpose = if once { Flags::LISTEN | Flags::ONCE } else { Flags::LISTEN };
        let done = self.purpose(socket, purpose).await;
        if done.is_err() && !listened {
            self.deaf(socket).await;
        } else if let Some(socket) = self.sockets.get_mut(&socket) {
            socket.listens = true;
        }
        done
    }

    /// Nothing more is to come to the socket.
    async fn deaf(&mut self, number: u32) {
        let Some(socket) = self.sockets.get_mut(&number) else { return };
        socket.listens = false;
        let (protocol, local) = (socket.protocol, socket.local);
        if protocol == TCP {
            self.command(Command::Deaf { program: self.id, local }).await;
        } else {
            self.tell(number, ToSocket::Listen(false)).await;
        }
    }

    /// Datagrams may leave from the socket's address, and go to this peer unless they say whom to.
    async fn connect_datagrams(&mut self, socket: u32, remote: SocketAddr, once: bool) -> Done {
        let (protocol, local) = self.local(socket)?;
        let remote = reachable(local, remote)?;
        self.purpose(socket, if once { Flags::CONNECT | Flags::ONCE } else { Flags::CONNECT }).await?;
        self.tell(socket, ToSocket::Peer(remote)).await;
        let foreign = self.request(Request::Query { protocol, local }).await?;
        Ok(json!({ "local": foreign["foreign"] }))
    }

    /// Makes the connection; the answer comes when it is there.
    async fn connect(&mut self, id: &Value, socket: u32, remote: SocketAddr, once: bool) -> Result<(), No> {
        let (_, local) = self.local(socket)?;
        let remote = reachable(local, remote)?;
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
        let (protocol, local) = self.local(socket)?;
        if !self.sockets.get(&socket).is_some_and(|socket| socket.entry) {
            let foreign = SocketAddr::new(unspecified(local.ip()), 0);
            let request = Request::Assign { protocol, local, foreign, reuse: false, expires_ms: None };
            self.request(request).await?;
            self.has_entry(socket, true);
        }
        let now = self.request(Request::Flags { protocol, local, set: None }).await?;
        let now: Flags = serde_json::from_value(now["flags"].clone()).unwrap_or_default();
        self.request(Request::Flags { protocol, local, set: Some(now | purpose) }).await
    }

    async fn close(&mut self, socket: u32) -> Done {
        let Socket { protocol, local, entry, .. } = self.sockets.remove(&socket).ok_or_else(|| no_socket(socket))?;
        if entry {
            // One that was used up or has expired is gone already.
            let _ = self.request(Request::Unassign { protocol, local }).await;
        }
        self.command(Command::Free { program: self.id, number: socket, local: (protocol, local) }).await;
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

    async fn tell(&self, number: u32, message: ToSocket) {
        self.command(Command::Socket { program: self.id, number, message }).await;
    }

    /// Of one that is not there: that is found out where it is used.
    fn protocol(&self, socket: u32) -> u8 {
        self.sockets.get(&socket).map_or(TCP, |socket| socket.protocol)
    }

    fn local(&self, socket: u32) -> Result<(u8, SocketAddr), No> {
        self.sockets.get(&socket).map(|socket| (socket.protocol, socket.local)).ok_or_else(|| no_socket(socket))
    }

    fn has_entry(&mut self, socket: u32, entry: bool) {
        if let Some(socket) = self.sockets.get_mut(&socket) {
            socket.entry = entry;
        }
    }
}

/// An address that can be connected to from this one.
fn reachable(local: SocketAddr, remote: SocketAddr) -> Result<SocketAddr, No> {
    let remote = SocketAddr::new(remote.ip(), remote.port());
    if remote.is_ipv4() != local.is_ipv4() || remote.port() == 0 || remote.ip().is_unspecified() {
        return Err(No::new("EINVAL", format!("{remote} is no address that {local} can connect to")));
    }
    Ok(remote)
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
