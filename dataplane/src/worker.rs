//! The whole way of a packet, in the order a packet meets it.
//!
//! One worker per core; it owns a queue pair of every port, its flows, connections, proxy tasks, timers and packet
//! memory. It shares with the others only the policy's snapshots, the tproxy table and channels. Time is an argument,
//! read once per turn by whoever calls [`Worker::turn`]: the core's loop ([`crate::run`]) or the simulator.
//!
//! What must hold: a packet ends exactly once, sent on or counted under a name; nothing that a packet says can make
//! the worker panic, loop or allocate without bound.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use control::mailbox::{FromCore, ToCore};
use control::policy::{Holds, InterfaceId, Memory, Policy, ServerStates};
use control::tproxy::Table;
use crossbeam_channel::{Receiver, Sender};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slotmap::SlotMap;
use tcp::{Instant, IsnGenerator};

use crate::counters::{Counter, Counters};
use crate::datagrams::linked::Linked;
use crate::exception::Exceptions;
use crate::flow::{self, Key};
use crate::forward::Forwards;
use crate::handoff::Handoff;
use crate::icmp_error::IcmpErrors;
use crate::interface::Interfaces;
use crate::limits::{self, Capacity};
use crate::local::Local;
use crate::log::FlowLog;
use crate::mail::TproxyWaiting;
use crate::mail::probation::Probation;
use crate::mail::redecide::Redecide;
use crate::neighbour::{Bounds, Neighbours};
use crate::nic::{BURST, Frame, Nic, PortId};
use crate::packet::{self, Ip, Network, PROTOCOL_TCP, Packet, RxChecks, Transport, icmp};
use crate::piece::Piece;
use crate::random::Random;
use crate::reassembly::{Progress, Reassembly, Whole};
use crate::route::Routes;
use crate::session::Sessions;
use crate::session::half_open::HalfOpens;
use crate::session::related::Expectations;
use crate::session::time_wait::TimeWaits;
use crate::socket::{Shared, SocketKey, Timer};
use crate::splice::Splices;
use crate::step::Step;

/// Payload of a worker's frames.
pub type SliceOf<N> = Piece<<<N as Nic>::Frame as Frame>::Slice>;

/// What a worker is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which core; for listings.
    pub core: usize,
    /// All random choices of this core come from it.
    pub seed: u64,
    /// How much it may hold.
    pub limits: Capacity,
}

/// What a turn did, and when the next one is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Packets, timers, tasks and messages handled; 0: an idle turn.
    pub work: usize,
    /// The earliest deadline, if nothing comes in before.
    pub next: Option<Instant>,
}

/// One core's gateway.
pub struct Worker<N: Nic> {
    pub(crate) core: usize,
    pub(crate) capacity: Capacity,
    pub(crate) nic: N,
    pub(crate) interfaces: Interfaces,
    pub(crate) policy: Arc<Policy>,
    pub(crate) memory: Memory,
    /// What sessions and handshakes, by their number, take up in the counts of `-m connlimit`.
    pub(crate) holds: HashMap<u64, Holds, FixedState>,
    /// What is known of routers' servers, by service.
    pub(crate) servers: HashMap<String, ServerStates, FixedState>,
    /// What the wall's clock said when ours stood at zero.
    pub(crate) unix_at_zero: i64,
    pub(crate) routes: Routes,
    pub(crate) table: Arc<Table>,
    pub(crate) flows: flow::Table<Step>,
    pub(crate) sessions: Sessions,
    pub(crate) sessions_started: u64,
    pub(crate) serving: usize,
    pub(crate) half_open: HalfOpens,
    pub(crate) time_wait: TimeWaits,
    pub(crate) splices: Splices,
    pub(crate) per_service: HashMap<String, u32, FixedState>,
    /// UDP sessions, by client.
    pub(crate) per_client: HashMap<IpAddr, u32, FixedState>,
    /// UDP sessions that came by an entry.
    pub(crate) linked: Linked,
    pub(crate) reassembly: Reassembly,
    pub(crate) forwards: Forwards,
    pub(crate) shared: Rc<Shared<SliceOf<N>>>,
    pub(crate) neighbours: Neighbours<N::Frame>,
    pub(crate) local: Local,
    /// The host's kernel, for programs on the gateway.
    pub(crate) exceptions: Exceptions,
    pub(crate) icmp: IcmpErrors,
    pub(crate) counters: Counters,
    pub(crate) isn: IsnGenerator,
    pub(crate) random: Random,
    pub(crate) mailbox: Receiver<ToCore>,
    pub(crate) control: Sender<FromCore>,
    pub(crate) tproxy_waiting: TproxyWaiting,
    pub(crate) handoff: Handoff<SliceOf<N>>,
    pub(crate) expectations: Expectations,
    pub(crate) probation: Option<Probation>,
    pub(crate) redecide: Option<Redecide>,
    pub(crate) log: FlowLog,
    /// Share of the packet memory that was free when the turn began, in 1/256.
    pub(crate) free_share: u8,
    pub(crate) draining: bool,
    pub(crate) stopped: bool,
    pub(crate) busy: Busy,
    burst: Vec<N::Frame>,
    pub(crate) rung: Vec<Timer>,
    pub(crate) touched: Vec<SocketKey>,
    pub(crate) chunks: Vec<SliceOf<N>>,
}

/// Cycles spent in turns that found work, and in those that did not; fed by the core's loop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Busy {
    /// Cycles of busy turns.
    pub busy_cycles: u64,
    /// Cycles of idle turns and sleeps.
    pub idle_cycles: u64,
}

/// A packet on its way through the worker: where it came in, what it says, and its bytes.
pub(crate) struct Arrival<'a, F> {
    pub(crate) interface: InterfaceId,
    pub(crate) packet: &'a Packet,
    pub(crate) ip: &'a Ip,
    pub(crate) frame: F,
    /// It was put together from fragments: then its bytes are here, and in the frame only if it is TCP.
    pub(crate) whole: Option<&'a Whole>,
}

impl<F: Frame> Arrival<'_, F> {
    /// The packet's bytes, from the Ethernet header on.
    pub(crate) fn data(&self) -> &[u8] {
        self.whole.map_or_else(|| self.frame.data(), |whole| &whole.bytes)
    }
}

impl<N: Nic> Worker<N> {
    /// A worker on `nic`; `ports` says, by interface id, which port each interface of the policy is on.
    #[expect(clippy::too_many_arguments, reason = "what a core is made of, each of another type")]
    pub fn new(
        options: &Options,
        now: Instant,
        nic: N,
        ports: &[PortId],
        policy: Arc<Policy>,
        table: Arc<Table>,
        mailbox: Receiver<ToCore>,
        control: Sender<FromCore>,
    ) -> Self {
        let interfaces = Interfaces::new(&policy, ports, &nic);
        let mut random = Random::new(options.seed);
        let mut worker = Self {
            core: options.core,
            capacity: options.limits,
            routes: Routes::new(&policy),
            interfaces,
            nic,
            memory: Memory::new(&policy),
            holds: HashMap::default(),
            servers: HashMap::default(),
            expectations: Expectations::default(),
            unix_at_zero: 0,
            policy,
            table,
            flows: flow::Table::new(options.limits.flows, random.next_u64()),
            sessions: Sessions::with_capacity_and_key(options.limits.held_sessions()),
            sessions_started: 0,
            serving: 0,
            half_open: HalfOpens::new(options.limits.half_open, random.key()),
            time_wait: TimeWaits::default(),
            splices: Splices::new(options.limits.sessions + options.limits.lingering()),
            per_service: HashMap::default(),
            per_client: HashMap::with_hasher(FixedState::with_seed(random.next_u64())),
            linked: Linked::default(),
            reassembly: Reassembly::new(random.next_u64()),
            forwards: SlotMap::with_capacity_and_key(options.limits.flows / 2),
            shared: Shared::new(now, options.limits.sockets()),
            neighbours: Neighbours::new(random.next_u64(), Bounds::default()),
            local: Local::new(),
            exceptions: Exceptions::default(),
            icmp: IcmpErrors::new(random.next_u64()),
            counters: Counters::new(),
            isn: IsnGenerator::new(random.key()),
            random,
            mailbox,
            control,
            tproxy_waiting: TproxyWaiting::default(),
            handoff: Handoff::default(),
            probation: None,
            redecide: None,
            log: FlowLog::default(),
            free_share: u8::MAX,
            draining: false,
            stopped: false,
            busy: Busy::default(),
            burst: Vec::with_capacity(BURST),
            rung: Vec::with_capacity(limits::TIMERS_PER_TURN),
            touched: Vec::new(),
            chunks: Vec::new(),
        };
        worker.join_links();
        worker
    }

    /// What the wall's clock said when this worker's stood at zero, in seconds since 1970: rules may ask for the time.
    pub fn set_wall_clock(&mut self, unix_at_zero: i64) {
        self.unix_at_zero = unix_at_zero;
        self.shared.unix_at_zero.set(unix_at_zero);
    }

    /// One turn: receive, decide, deliver, let the proxies go on, send.
    pub fn turn(&mut self, now: Instant) -> Turn {
        self.shared.now.set(now);
        self.free_share = self.nic.free_share();
        self.shared.free_share.set(self.free_share);
        let mut work = self.end_probation(now) + self.read_mail(now) + self.end_unlinked();
        for port in (0..self.exceptions.wires(self.nic.ports())).map(PortId) {
            let mut burst = std::mem::take(&mut self.burst);
            work += self.nic.receive(port, &mut burst);
            for frame in burst.drain(..) {
                self.packet(now, port, frame);
            }
            self.burst = burst;
        }
        let mut burst = std::mem::take(&mut self.burst);
        work += self.receive_from_kernel(now, &mut burst);
        self.burst = burst;
        work += self.expire(now);
        work += self.redecide(now) + self.tell_suppressed(now);
        work += self.hear_programs(now) + self.run_tasks(now);
        work += self.transmit(now);
        self.neighbour_events(now);
        let refused = self.nic.flush();
        self.counters.add(Counter::TxRefused, refused as u64);
        Turn { work, next: self.next_deadline(now) }
    }

    /// One packet, from the wire to its step.
    fn packet(&mut self, now: Instant, port: PortId, frame: N::Frame) {
        self.counters.count(Counter::RxPackets);
        let packet = match packet::parse(frame.data(), RxChecks::of(&frame)) {
            Ok(packet) => packet,
            Err(malformed) => return self.counters.count(malformed),
        };
        let Some(interface) = self.interfaces.find(port, packet.link.vlan) else {
            return self.counters.count(Counter::UnknownVlan);
        };
        let destination = packet.link.destination;
        if destination != self.interfaces.get(interface).mac && !destination.is_group() {
            return self.counters.count(Counter::NotForUsMac);
        }
        match &packet.network {
            Network::Arp(arp) => {
                self.arp(now, interface, arp, &frame);
                self.arp_for_kernel(now, interface, &packet, arp, &frame);
            }
            Network::Ip(ip) => self.datagram(now, Arrival { interface, packet: &packet, ip, frame, whole: None }),
            Network::Other => self.counters.count(Counter::UnknownEthertype),
        }
    }

    /// One IP datagram: a flow that is known goes its step, one that is not is classified.
    fn datagram(&mut self, now: Instant, arrival: Arrival<'_, N::Frame>) {
        let ip = arrival.ip;
        // Our own words coming back, or somebody else's in our name.
        if self.routes.is_own(ip.source) {
            return self.counters.count(Counter::OwnSource);
        }
        if ip.fragment.is_some() {
            return self.fragment(now, &arrival);
        }
        match &ip.kind {
            Transport::Icmp(icmp::Message::Neighbour(message)) => {
                self.neighbour_discovery(now, &arrival, message);
                return self.discovery_for_kernel(now, &arrival, message);
            }
            Transport::Icmp(icmp::Message::Error(error)) => return self.related(now, &arrival, error),
            _ => {}
        }
        let key = Key::new(arrival.interface, ip.protocol, ip.source_socket(), ip.destination_socket());
        match self.flows.find(&key).map(|id| (id, self.flows[id])) {
            Some((_, Step::Proxy { session, leg })) => self.proxied(now, session, leg, arrival),
            Some((_, Step::Splice { key: id, direction })) => self.spliced(now, id, direction, key, arrival),
            Some((_, Step::HalfOpen { key: id, leg })) => self.half_open_segment(now, id, leg, key, arrival),
            Some((_, Step::TimeWait { key: id })) => self.lingering(now, id, key, &arrival),
            Some((_, Step::Forward { forward, direction })) => self.forward(now, forward, direction, key, arrival),
            Some((_, Step::Local { local, direction })) => self.local_packet(now, local, direction, key, &arrival),
            None => self.classify(now, key, &arrival),
        }
    }

    /// A part of a datagram; the last of them brings the whole on its way.
    fn fragment(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>) {
        self.counters.count(Counter::Fragments);
        let ip = arrival.ip;
        if arrival.whole.is_some() {
            // Fragments in fragments: RFC 8200 4.5 knows one fragment header.
            return self.counters.count(packet::Malformed::Ipv6ExtensionOrder);
        }
        if ip.destination.is_multicast() && !self.exceptions.serves(arrival.interface) {
            return self.counters.count(Counter::Multicast);
        }
        let mut evicted = 0;
        let progress = self.reassembly.handle(now, arrival.interface, arrival.frame.data(), ip, &mut evicted);
        self.counters.add(Counter::FragmentEvicted, evicted);
        match progress {
            Progress::Waits => {}
            Progress::Dropped(counter) => self.counters.count(counter),
            Progress::Whole(whole) => {
                self.counters.count(Counter::Reassembled);
                self.reassembled(now, arrival.interface, arrival.frame.stripped_vlan(), &whole);
            }
        }
    }

    /// A datagram that was put together takes the way of one that came whole.
    fn reassembled(&mut self, now: Instant, interface: InterfaceId, vlan: Option<u16>, whole: &Whole) {
        let packet = match packet::parse(&whole.bytes, RxChecks { vlan, ..RxChecks::default() }) {
            Ok(packet) => packet,
            Err(malformed) => return self.counters.count(malformed),
        };
        let Network::Ip(ip) = &packet.network else { return self.counters.count(Counter::UnknownEthertype) };
        // RFC 6980 5: "Nodes MUST silently ignore the following Neighbor Discovery messages [...] if the packet
        // carrying them includes an IPv6 Fragmentation Header".
        if matches!(ip.kind, Transport::Icmp(icmp::Message::Neighbour(_))) {
            return self.counters.count(Counter::FragmentNeighbour);
        }
        let Some(mut frame) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        // A connection keeps its payload in the packet's buffer, and our own answers are written into one; everything else
        // is read from where it was put together, for it may be longer than any buffer.
        let fits = frame.push(&whole.bytes).is_ok() && frame.data().len() == whole.bytes.len();
        let key = Key::new(interface, ip.protocol, ip.source_socket(), ip.destination_socket());
        let forwarded = || self.flows.find(&key).is_some_and(|id| matches!(self.flows[id], Step::Forward { .. }));
        let for_us = self.routes.is_own(ip.destination) && !self.exceptions.serves(interface);
        if !fits && (ip.protocol == PROTOCOL_TCP || for_us && !forwarded()) {
            return self.counters.count(Counter::FragmentTooLong);
        }
        self.datagram(now, Arrival { interface, packet: &packet, ip, frame, whole: Some(whole) });
    }

    /// Timers whose time has come.
    fn expire(&mut self, now: Instant) -> usize {
        let mut rung = std::mem::take(&mut self.rung);
        self.shared.wheel.borrow_mut().expire(now, limits::TIMERS_PER_TURN, &mut rung);
        let work = rung.len() + self.expire_time_wait(now) + self.expire_splices(now);
        let expired = self.reassembly.expire(now);
        self.counters.add(Counter::FragmentTimedOut, expired);
        for timer in rung.drain(..) {
            match timer {
                Timer::Socket(key) => self.socket_timeout(now, key),
                Timer::Alarm(key) => self.alarm(key),
                Timer::HalfOpen(key) => self.half_open_timeout(now, key),
                Timer::Connect(session, socket) => self.connect_timeout(now, session, socket),
                Timer::Splice(key) => self.splice_timeout(now, key),
                Timer::Forward(key) => self.forward_timeout(now, key),
                Timer::Local(key) => self.local_timeout(now, key),
            }
        }
        self.rung = rung;
        if self.neighbours.deadline().is_some_and(|at| at <= now) {
            self.neighbours.handle_timeout(now);
        }
        work
    }

    /// Proxy tasks that may go on, then what they asked for; twice, so that an answer given at once is used at once.
    fn run_tasks(&mut self, now: Instant) -> usize {
        let mut work = 0;
        for _ in 0..2 {
            let ran = self.shared.executor.run(limits::TASKS_PER_TURN);
            self.counters.add(Counter::TaskPanicked, ran.panicked as u64);
            work += ran.polled + self.serve_requests(now);
            for event in self.shared.events.borrow_mut().drain(..) {
                self.counters.count(event);
            }
        }
        work
    }

    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        if !self.shared.executor.is_idle()
            || self.shared.sockets.borrow().has_touched()
            || self.redecide.is_some()
            || self.linked.is_walking()
        {
            return Some(now);
        }
        let timers = self.shared.wheel.borrow().next();
        let told = [self.probation_until(), self.suppressed_due(), self.splices.deadline()];
        let own = [timers, self.neighbours.deadline(), self.time_wait.deadline(), self.reassembly.deadline()];
        own.into_iter().chain(told).flatten().min()
    }

    fn alarm(&mut self, key: crate::socket::AlarmKey) {
        if let Some(alarm) = self.shared.alarms.borrow_mut().get_mut(key) {
            alarm.rung = true;
            if let Some(waker) = alarm.waker.take() {
                waker.wake();
            }
        }
    }

    /// The gateway has been told to stop and has nothing left to say.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What it still holds, for tests that nothing is left behind.
    pub fn audit(&self) -> Audit {
        Audit {
            flows: self.flows.len(),
            sessions: self.sessions.len(),
            sockets: self.shared.sockets.borrow().len(),
            half_open: self.half_open.len(),
            time_wait: self.time_wait.len(),
            released: self.splices.len(),
            lingering: self.splices.lingering(),
            forwards: self.forwards.len(),
            expected: self.expectations.len(),
            local_flows: self.exceptions.len(),
            fragmented: self.reassembly.len(),
            neighbours_held: self.neighbours.held(),
        }
    }

    /// Cycles of the core's loop, for the report.
    pub fn account(&mut self, busy: Busy) {
        self.busy = busy;
    }

    /// The ports.
    pub fn nic(&self) -> &N {
        &self.nic
    }

    /// The counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// What a worker holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Entries of the flow table.
    pub flows: usize,
    /// Sessions, closing ones included.
    pub sessions: usize,
    /// Connections.
    pub sockets: usize,
    /// Handshakes whose client has not answered yet.
    pub half_open: usize,
    /// Connections of which only TIME-WAIT is left.
    pub time_wait: usize,
    /// Released sessions.
    pub released: usize,
    /// Released sessions that are over, but for late copies.
    pub lingering: usize,
    /// Forwarded flows.
    pub forwards: usize,
    /// Connections that proxies expect.
    pub expected: usize,
    /// Flows of programs on the gateway.
    pub local_flows: usize,
    /// Datagrams that wait for fragments.
    pub fragmented: usize,
    /// Frames that wait for a neighbour's address.
    pub neighbours_held: usize,
}

impl<N: Nic> Drop for Worker<N> {
    /// Tasks hold their streams and these the core: they are ended first, so that nothing is left of the circle.
    fn drop(&mut self) {
        self.sessions.clear();
        while !self.shared.executor.is_idle() {
            self.shared.executor.run(limits::TASKS_PER_TURN);
        }
    }
}
