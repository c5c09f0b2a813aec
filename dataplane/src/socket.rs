//! The TCP connections of one core, and what proxy tasks and the worker share of them.
//!
//! A socket is one terminated connection with the path its segments take and the wakers of the task that reads or
//! writes it. The worker feeds it segments and deadlines ([`crate::worker`]), the task moves bytes
//! ([`crate::stream`]); whoever changes it *touches* it, and touched sockets are asked once per turn what they want
//! to say ([`crate::terminate`]). Worker and tasks run in turn on one thread: the `RefCell`s here are never borrowed
//! across a call into the other.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Waker;

use slotmap::{SlotMap, new_key_type};
use tcp::{Connection, Instant};

use crate::flow::FlowId;
use crate::route::NextHop;
use crate::session::{Request, SessionKey};
use crate::task::Executor;
use crate::timers::{TimerId, Wheel};

new_key_type! {
    /// A socket of this core; stale keys find nothing.
    pub struct SocketKey;
    /// A sleeping task's alarm.
    pub struct AlarmKey;
}

/// Which of the connections of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// Between the client and us; we speak as the server.
    Client,
    /// Between us and the server; we speak as the client.
    Server,
    /// One beside the two, by its number: a data channel ([`crate::session::related`]).
    Related(u16),
}

/// Where a connection's segments go, and what their IP header says.
#[derive(Clone, Debug)]
pub struct Path {
    /// The address we speak from, as the peer sees it.
    pub local: SocketAddr,
    /// The peer.
    pub remote: SocketAddr,
    /// The way there, as the routes of [`Path::generation`] say.
    pub next_hop: NextHop,
    /// Generation of the policy the next hop was looked up in.
    pub generation: u64,
    /// What else the IP header says.
    pub marks: IpMarks,
}

/// The ECN field of the traffic class (RFC 3168 5); the rest is DSCP.
pub(crate) const ECN_BITS: u8 = 3;

/// What an IP header says beside the addresses: of a mirrored leg what the other end's says, so that nobody sees by
/// them that there is a gateway, but for the TTL that each router takes one from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpMarks {
    /// IPv6 flow label: the same for all of a flow (RFC 6437 3).
    pub flow_label: u32,
    /// IPv4 identification of the next packet; 0: of all. It means nothing (RFC 6864 4.1: we never fragment), but
    /// hosts have habits: most count, some say 0.
    pub identification: u16,
    /// Time to live of what we send.
    pub ttl: u8,
    /// DSCP (upper six bits) of what we send; ECN is the connection's.
    pub dscp: u8,
}

impl IpMarks {
    /// Of a packet that is passed on by a router.
    pub(crate) fn passed_on<F: crate::nic::Frame>(arrival: &crate::worker::Arrival<'_, F>) -> Self {
        let ip = arrival.ip;
        let header = &arrival.data()[ip.header.clone()];
        let identification = if ip.source.is_ipv4() { u16::from_be_bytes([header[4], header[5]]) } else { 0 };
        let (ttl, dscp) = (ip.ttl.saturating_sub(1).max(1), ip.tos & !ECN_BITS);
        Self { flow_label: ip.flow_label, identification, ttl, dscp }
    }

    /// Of our own answer to a packet.
    pub(crate) fn of_answer(ip: &crate::packet::Ip) -> Self {
        Self { flow_label: 0, identification: 0, ttl: crate::limits::TTL, dscp: ip.tos & !ECN_BITS }
    }

    /// Of what follows `packets` packets with these.
    pub(crate) fn next(self, packets: u16) -> Self {
        let counted = self.identification.wrapping_add(packets);
        let identification = if self.identification == 0 { 0 } else { counted.max(1) };
        Self { identification, ..self }
    }
}

/// One terminated connection.
pub struct Socket<P: tcp::Payload> {
    /// The state machine.
    pub connection: Connection<P>,
    /// Where its segments go.
    pub path: Path,
    /// The session it belongs to.
    pub session: SessionKey,
    /// Which side of that session.
    pub leg: Leg,
    /// Its entry in the flow table.
    pub flow: FlowId,
    /// A task holds a [`crate::stream::SocketStream`] on it: it stays, even closed, until that is dropped.
    pub owned: bool,
    /// A task has held it at some time: how it ends is that task's business.
    pub was_owned: bool,
    /// Its session is to be left to its ends when nothing waits here.
    pub(crate) releasing: bool,
    /// Packets pass it by: it only sees to what was said before.
    pub(crate) passed_by: bool,
    /// When its timer rings.
    pub armed: Option<Instant>,
    /// That timer.
    pub(crate) timer: TimerId,
    /// When who waits for the connection gives it up.
    pub(crate) patience: TimerId,
    touched: bool,
    /// The task's: it reads and writes by one waker (see [`proxy::stream`]).
    pub(crate) waker: Option<Waker>,
}

impl<P: tcp::Payload> Socket<P> {
    /// A socket nobody reads or writes yet.
    pub fn new(connection: Connection<P>, path: Path, session: SessionKey, leg: Leg, flow: FlowId) -> Self {
        Self {
            connection,
            path,
            session,
            leg,
            flow,
            owned: false,
            was_owned: false,
            releasing: false,
            passed_by: false,
            armed: None,
            timer: TimerId::default(),
            patience: TimerId::default(),
            touched: false,
            waker: None,
        }
    }

    /// Wakes the task, if it waits for this socket: once per segment at most, it asks the connection what is new.
    pub fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// All sockets of a core.
pub struct Sockets<P: tcp::Payload> {
    sockets: SlotMap<SocketKey, Socket<P>>,
    touched: Vec<SocketKey>,
}

impl<P: tcp::Payload> Sockets<P> {
    /// Room for so many is taken at once: moving thousands of connections to a larger place would stop the core for
    /// milliseconds. Memory that is not used yet is not there yet either.
    fn new(capacity: usize) -> Self {
        Self { sockets: SlotMap::with_capacity_and_key(capacity), touched: Vec::new() }
    }

    /// Number of sockets.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Adds one, touched: a new connection has something to say.
    pub fn insert(&mut self, socket: Socket<P>) -> SocketKey {
        let key = self.sockets.insert(socket);
        self.touch(key);
        key
    }

    /// Finds one.
    pub fn get(&self, key: SocketKey) -> Option<&Socket<P>> {
        self.sockets.get(key)
    }

    /// Finds one to be changed; whoever changes what it may send touches it.
    pub fn get_mut(&mut self, key: SocketKey) -> Option<&mut Socket<P>> {
        self.sockets.get_mut(key)
    }

    /// Takes one out.
    pub fn remove(&mut self, key: SocketKey) -> Option<Socket<P>> {
        self.sockets.remove(key)
    }

    /// Has it asked, this turn, what it wants to say.
    pub fn touch(&mut self, key: SocketKey) {
        if let Some(socket) = self.sockets.get_mut(key)
            && !socket.touched
        {
            socket.touched = true;
            self.touched.push(key);
        }
    }

    /// The touched ones, for the turn's end; `keys` is the caller's to reuse.
    pub fn take_touched(&mut self, keys: &mut Vec<SocketKey>) {
        std::mem::swap(&mut self.touched, keys);
        self.touched.clear();
        for key in keys.iter() {
            if let Some(socket) = self.sockets.get_mut(*key) {
                socket.touched = false;
            }
        }
    }

    /// Is any waiting to be asked?
    pub fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }
}

/// What rings on the wheel of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A connection's deadline.
    Socket(SocketKey),
    /// A sleeping task.
    Alarm(AlarmKey),
    /// A handshake's SYN or SYN-ACK is to be said again, or given up.
    HalfOpen(crate::session::half_open::HalfOpenKey),
    /// A server has had its service's time to answer.
    Connect(SessionKey, SocketKey),
    /// A released session may have to end.
    Splice(crate::splice::SpliceKey),
    /// A forwarded flow may have expired.
    Forward(crate::forward::ForwardKey),
    /// A flow of a program on the gateway may have expired.
    Local(crate::exception::LocalKey),
}

/// A sleeping task.
#[derive(Debug, Default)]
pub struct Alarm {
    pub(crate) rung: bool,
    pub(crate) waker: Option<Waker>,
}

/// What the worker and the tasks of a core share.
pub struct Shared<P: tcp::Payload> {
    /// The turn's time.
    pub now: Cell<Instant>,
    /// The connections.
    pub sockets: RefCell<Sockets<P>>,
    /// All deadlines of the core.
    pub wheel: RefCell<Wheel<Timer>>,
    /// Sleeping tasks.
    pub alarms: RefCell<SlotMap<AlarmKey, Alarm>>,
    /// What tasks ask of the worker, served once per turn.
    pub requests: RefCell<Vec<Request>>,
    /// What tasks have counted in this turn.
    pub events: RefCell<Vec<proxy::Event>>,
    /// What the wall's clock said, in seconds since 1970, when ours stood at zero.
    pub unix_at_zero: Cell<i64>,
    /// Share of the packet memory that was free when the turn began, in 1/256.
    pub free_share: Cell<u8>,
    /// What proxies keep for all their sessions.
    pub core: Rc<proxy::Core>,
    /// The tasks.
    pub executor: Executor,
}

impl<P: tcp::Payload> Shared<P> {
    /// Takes a connection out, with what it would ring for.
    pub(crate) fn take_socket(&self, key: SocketKey) -> Option<Socket<P>> {
        let socket = self.sockets.borrow_mut().remove(key)?;
        let mut wheel = self.wheel.borrow_mut();
        wheel.cancel(socket.timer);
        wheel.cancel(socket.patience);
        Some(socket)
    }

    /// Has a connection given up at some time, if it is not there by then.
    pub(crate) fn be_patient(&self, at: Instant, session: SessionKey, key: SocketKey) {
        if let Some(socket) = self.sockets.borrow_mut().get_mut(key) {
            self.wheel.borrow_mut().replace(&mut socket.patience, at, Timer::Connect(session, key));
        }
    }

    /// An empty core at `now`, with room for so many connections.
    pub fn new(now: Instant, sockets: usize) -> Rc<Self> {
        Rc::new(Self {
            now: Cell::new(now),
            sockets: RefCell::new(Sockets::new(sockets)),
            // A connection has one timer most of the time, and so has what becomes one or is left of one.
            wheel: RefCell::new(Wheel::with_room(now, sockets)),
            alarms: RefCell::new(SlotMap::with_key()),
            requests: RefCell::new(Vec::new()),
            events: RefCell::new(Vec::new()),
            unix_at_zero: Cell::new(0),
            free_share: Cell::new(u8::MAX),
            core: Rc::default(),
            executor: Executor::new(),
        })
    }
}
