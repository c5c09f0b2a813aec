//! Which flow is which program's: the one place that knows, between the cores' messages and the programs' tasks.
//!
//! It never waits for a program or the control thread. Messages of cores are polled, as the control thread polls its own:
//! a receiver that slept would have to be woken by a system call on a core. While bytes flow it does not sleep; when
//! nothing comes, it looks once in a millisecond, and without programs twenty times a second.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::sleep;

use super::datagram::Header;
use super::flow::{Flow, Place};
use super::link::{FromFlow, FromSocket, ThreadEnd, ToFlow, ToSocket};
use super::queue::{Owner, Queue};
use super::wire::No;
use crate::limits::{HANDOFF_BATCH, HANDOFF_FLOWS_MAX, PROGRAM_FLOWS_MAX};
use crate::requests::TCP;
use crate::tproxy::limits::EPHEMERAL_PORTS;

/// Between two looks at the cores' messages while there are programs, and while there are none.
const BUSY: Duration = Duration::from_millis(1);
const QUIET: Duration = Duration::from_millis(50);

/// A message for a program.
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    pub(super) descriptor: Option<OwnedFd>,
}

/// A connection that was asked for: its number, its source, and the program's end; or the errno.
pub(super) type Connection = Result<(u64, SocketAddr, OwnedFd), &'static str>;

/// Protocol and address of a socket.
pub(super) type Local = (u8, SocketAddr);

/// What programs' tasks want.
pub(super) enum Command {
    Join {
        program: u32,
        outbox: mpsc::Sender<Message>,
    },
    Gone {
        program: u32,
    },
    Bind {
        program: u32,
        local: Local,
        reply: oneshot::Sender<Result<SocketAddr, No>>,
    },
    /// A socket that was bound is to be one of datagrams: the program's end of it.
    Datagrams {
        program: u32,
        local: SocketAddr,
        owner: Owner,
        reply: oneshot::Sender<Result<OwnedFd, &'static str>>,
    },
    /// Something about a socket of datagrams.
    Socket {
        program: u32,
        number: u32,
        message: ToSocket,
    },
    Free {
        program: u32,
        number: u32,
        local: Local,
    },
    Listen {
        program: u32,
        socket: u32,
        local: SocketAddr,
    },
    /// Nothing more is to come to this address.
    Deaf {
        program: u32,
        local: SocketAddr,
    },
    Connect {
        program: u32,
        local: SocketAddr,
        remote: SocketAddr,
        reply: oneshot::Sender<Connection>,
    },
    Abort {
        program: u32,
        flow: u64,
        reply: oneshot::Sender<bool>,
    },
}

struct Program {
    outbox: mpsc::Sender<Message>,
    bound: HashSet<Local>,
    /// Its sockets of datagrams, by their numbers.
    datagrams: HashMap<u32, u64>,
    places: Arc<Semaphore>,
}

struct Active {
    program: u32,
    flow: Flow,
}

struct Connecting {
    program: u32,
    reply: oneshot::Sender<Connection>,
    place: Place,
}

/// See the module.
pub(super) struct Switch {
    end: ThreadEnd,
    programs: HashMap<u32, Program>,
    /// Who listens at an address of the gateway: program and socket.
    listening: HashMap<SocketAddr, (u32, u32)>,
    bound: HashSet<Local>,
    flows: HashMap<u64, Active>,
    queues: HashMap<u64, Queue>,
    connecting: HashMap<u64, Connecting>,
    places: Arc<Semaphore>,
    /// Odd ones are ours.
    next: u64,
    /// Sockets of datagrams that there ever were.
    sockets: u64,
    /// Where a search for a free port goes on.
    rover: u16,
}

impl Switch {
    pub(super) fn new(end: ThreadEnd) -> Switch {
        Switch {
            end,
            programs: HashMap::new(),
            listening: HashMap::new(),
            bound: HashSet::new(),
            flows: HashMap::new(),
            queues: HashMap::new(),
            connecting: HashMap::new(),
            places: Arc::new(Semaphore::new(HANDOFF_FLOWS_MAX)),
            next: 1,
            sockets: 0,
            rover: *EPHEMERAL_PORTS.start(),
        }
    }

    /// Runs until nobody can command any more.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            if self.hear_core() > 0 {
                // The flows' tasks get their turn before the next look.
                while let Ok(command) = commands.try_recv() {
                    self.command(command);
                }
                tokio::task::yield_now().await;
                continue;
            }
            let pause = if self.programs.is_empty() && self.flows.is_empty() { QUIET } else { BUSY };
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                () = sleep(pause) => {}
            }
        }
    }

    fn hear_core(&mut self) -> usize {
        for heard in 0..HANDOFF_BATCH {
            let Ok(said) = self.end.from_core.try_recv() else { return heard };
            self.heard(said);
        }
        HANDOFF_BATCH
    }

    pub(super) fn heard(&mut self, said: FromFlow) {
        let flow = said.flow();
        match said {
            FromFlow::Offer { local, client, original, zones, .. } => {
                self.offered(flow, local, (client, original), &zones);
            }
            FromFlow::Connected { source, .. } => self.connected(flow, source),
            FromFlow::Failed { errno, .. } => {
                if let Some(connecting) = self.connecting.remove(&flow) {
                    // A program that has gone does not want to know.
                    let _ = connecting.reply.send(Err(errno));
                }
            }
            FromFlow::Ended { errno, .. } => self.ended(flow, errno),
            FromFlow::Socket { socket, message } => self.heard_of_socket(socket, message),
            FromFlow::Data { bytes, .. } => match self.flows.get(&flow) {
                Some(active) => active.flow.data(bytes),
                None => self.tell(ToFlow::Abort { flow }),
            },
            FromFlow::Credit { pieces, .. } => {
                if let Some(active) = self.flows.get(&flow) {
                    active.flow.credit(pieces);
                }
            }
            FromFlow::Finished { .. } => {
                if let Some(active) = self.flows.get(&flow) {
                    active.flow.finished();
                }
            }
        }
    }

    /// A client has connected: whose is it?
    fn offered(
        &mut self,
        flow: u64,
        local: SocketAddr,
        (client, original): (SocketAddr, SocketAddr),
        zones: &(Option<String>, Option<String>),
    ) {
        let taken = self.listening.get(&local).copied().and_then(|(program, socket)| {
            let place = self.place(program)?;
            let (active, descriptor) = Flow::start(flow, &self.end.to_core, place).ok()?;
            let message = json!({
                "event": "accept", "socket": socket, "flow": flow, "client": client, "original": original,
                "client_zone": zones.0, "server_zone": zones.1,
            });
            let message = Message { bytes: message.to_string().into_bytes(), descriptor: Some(descriptor) };
            self.programs.get(&program)?.outbox.try_send(message).ok()?;
            Some(Active { program, flow: active })
        });
        match taken {
            Some(active) => {
                self.flows.insert(flow, active);
                self.tell(ToFlow::Take { flow });
            }
            None => self.tell(ToFlow::Refuse { flow }),
        }
    }

    fn heard_of_socket(&self, socket: u64, message: FromSocket) {
        // One that has been closed needs not hear.
        let Some(queue) = self.queues.get(&socket) else { return };
        match message {
            FromSocket::Datagram { source, destination, bytes } => {
                queue.datagram(Header { source, destination }, bytes);
            }
            FromSocket::Fault { source, destination, errno } => queue.fault(source, destination, errno),
            FromSocket::Taken(room) => queue.taken(room),
        }
    }

    fn place(&self, program: u32) -> Option<Place> {
        let own = Arc::clone(&self.programs.get(&program)?.places).try_acquire_owned().ok()?;
        let all = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some([own, all])
    }

    fn connected(&mut self, flow: u64, source: SocketAddr) {
        let started = self.connecting.remove(&flow).and_then(|Connecting { program, reply, place }| {
            let (active, descriptor) = Flow::start(flow, &self.end.to_core, place).ok()?;
            reply.send(Ok((flow, source, descriptor))).ok()?;
            Some(Active { program, flow: active })
        });
        match started {
            Some(active) => drop(self.flows.insert(flow, active)),
            None => self.tell(ToFlow::Abort { flow }),
        }
    }

    /// A flow is over. A program that does not read what it is told gets it by the end of the stream alone.
    fn ended(&mut self, flow: u64, errno: Option<&str>) {
        let Some(Active { program, flow: active }) = self.flows.remove(&flow) else { return };
        if let Some(program) = self.programs.get(&program) {
            let message = json!({ "event": "ended", "flow": flow, "errno": errno }).to_string().into_bytes();
            let _ = program.outbox.try_send(Message { bytes: message, descriptor: None });
        }
        drop(active);
    }

    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Join { program, outbox } => {
                let places = Arc::new(Semaphore::new(PROGRAM_FLOWS_MAX));
                let (bound, datagrams) = (HashSet::new(), HashMap::new());
                self.programs.insert(program, Program { outbox, bound, datagrams, places });
            }
            Command::Gone { program } => self.gone(program),
            // Whoever asked may have gone: then nobody wants the answer.
            Command::Bind { program, local, reply } => drop(reply.send(self.bind(program, local))),
            Command::Datagrams { program, local, owner, reply } => {
                // A program that has gone closes what it is given.
                let _ = reply.send(self.datagrams(program, local, owner));
            }
            Command::Socket { program, number, message } => {
                if let Some(queue) = self.queue(program, number) {
                    queue.tell(message);
                }
            }
            Command::Free { program, number, local } => self.free(program, number, local),
            Command::Listen { program, socket, local } => drop(self.listening.insert(local, (program, socket))),
            Command::Deaf { program, local } => {
                if self.listening.get(&local).is_some_and(|(listener, _)| *listener == program) {
                    self.listening.remove(&local);
                }
            }
            Command::Connect { program, local, remote, reply } => self.connect(program, (local, remote), reply),
            Command::Abort { program, flow, reply } => {
                let own = self.flows.get(&flow).is_some_and(|active| active.program == program);
                if own {
                    self.tell(ToFlow::Abort { flow });
                }
                // Whoever asked may have gone.
                let _ = reply.send(own);
            }
        }
    }

    fn queue(&self, program: u32, number: u32) -> Option<&Queue> {
        self.queues.get(self.programs.get(&program)?.datagrams.get(&number)?)
    }

    fn datagrams(&mut self, program: u32, local: SocketAddr, owner: Owner) -> Result<OwnedFd, &'static str> {
        let place = self.place(program).ok_or("EMFILE")?;
        let number = owner.number;
        self.sockets += 1;
        let socket = self.sockets;
        let (queue, descriptor) = Queue::start(socket, owner, local, &self.end.to_core, place).map_err(|_| "EMFILE")?;
        self.queues.insert(socket, queue);
        if let Some(program) = self.programs.get_mut(&program) {
            program.datagrams.insert(number, socket);
        }
        Ok(descriptor)
    }

    fn bind(&mut self, program: u32, (protocol, wished): Local) -> Result<SocketAddr, No> {
        let local = if wished.port() == 0 {
            self.free_port(protocol, wished).ok_or_else(|| No::new("EADDRINUSE", "every port is in use"))?
        } else {
            wished
        };
        let Some(owner) = self.programs.get_mut(&program) else {
            return Err(No::new("ENOTCONN", "the program has gone"));
        };
        if !self.bound.insert((protocol, local)) {
            return Err(No::new("EADDRINUSE", format!("a program has {local} already")));
        }
        owner.bound.insert((protocol, local));
        Ok(local)
    }

    fn free_port(&mut self, protocol: u8, wished: SocketAddr) -> Option<SocketAddr> {
        for _ in EPHEMERAL_PORTS {
            let local = SocketAddr::new(wished.ip(), self.rover);
            self.rover = if self.rover == *EPHEMERAL_PORTS.end() { *EPHEMERAL_PORTS.start() } else { self.rover + 1 };
            if !self.bound.contains(&(protocol, local)) {
                return Some(local);
            }
        }
        None
    }

    fn free(&mut self, program: u32, number: u32, local: Local) {
        let Some(program) = self.programs.get_mut(&program) else { return };
        if let Some(socket) = program.datagrams.remove(&number) {
            self.queues.remove(&socket);
        }
        if program.bound.remove(&local) {
            self.bound.remove(&local);
            self.quiet(local);
        }
    }

    /// Nobody listens there any more.
    fn quiet(&mut self, (protocol, local): Local) {
        if protocol == TCP {
            self.listening.remove(&local);
        }
    }

    fn connect(&mut self, program: u32, (local, remote): (SocketAddr, SocketAddr), reply: oneshot::Sender<Connection>) {
        let Some(place) = self.place(program) else { return drop(reply.send(Err("EMFILE"))) };
        let flow = self.next;
        self.next += 2;
        self.connecting.insert(flow, Connecting { program, reply, place });
        self.tell(ToFlow::Connect { flow, local, remote });
    }

    /// A program's connections go on as long as somebody holds their descriptors; its addresses are free at once, and its
    /// sockets of datagrams closed.
    fn gone(&mut self, id: u32) {
        let Some(program) = self.programs.remove(&id) else { return };
        for socket in program.datagrams.values() {
            self.queues.remove(socket);
        }
        for local in program.bound {
            self.bound.remove(&local);
            self.quiet(local);
        }
        let given_up: Vec<u64> =
            self.connecting.iter().filter(|(_, connecting)| connecting.program == id).map(|(flow, _)| *flow).collect();
        for flow in given_up {
            self.connecting.remove(&flow);
            self.tell(ToFlow::Abort { flow });
        }
    }

    fn tell(&self, message: ToFlow) {
        // A core that is gone wants nothing more.
        let _ = self.end.to_core.send(message);
    }
}
