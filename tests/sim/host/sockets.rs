//! A host's TCP: listeners, connections of the crate `tcp`, and the scripts that use them.
//!
//! Segments come in by `Sockets::handle` and go out by `Sockets::poll`; only connections that something happened to
//! are asked, so that a thousand of them cost what the busy ones do.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use tcp::{Connection, Header, IcmpError, Instant, Opening, PeerSyn, Segment, State, TimestampClock};

use crate::app::{App, Progress, Step};
use crate::seed::Random;

/// What a host's SYN or SYN-ACK says of it.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Largest segment it takes; none: what its MTU leaves.
    pub mss: Option<u16>,
    /// Window scale; none: it does not know that option.
    pub window_scale: Option<u8>,
    /// Does it take selective acknowledgments?
    pub sack: bool,
    /// Does it send timestamps?
    pub timestamps: bool,
}

impl Habits {
    /// Like a usual host of today.
    pub const MODERN: Habits = Habits { mss: None, window_scale: Some(7), sack: true, timestamps: true };
    /// Like one of 1990.
    pub const PLAIN: Habits = Habits { mss: None, window_scale: None, sack: false, timestamps: false };
}

/// A connection as its host tells of it afterwards.
#[derive(Clone, Debug)]
pub struct Report {
    /// The host's own end.
    pub local: SocketAddr,
    /// The other end, as the host sees it.
    pub remote: SocketAddr,
    /// Did the other end open it?
    pub accepted: bool,
    /// How far the script is.
    pub progress: Progress,
    /// Bytes the script has sent and received.
    pub bytes: (u64, u64),
    /// What the peer's SYN or SYN-ACK said.
    pub peer_syn: Option<PeerSyn>,
    /// Where the connection stands.
    pub state: State,
    /// How it was torn down, if it was.
    pub error: Option<tcp::Error>,
    /// Nothing left to send or to wait for.
    pub closed: bool,
    /// When it was opened.
    pub opened_at: Instant,
    /// When it was established.
    pub established_at: Option<Instant>,
    /// When its script or the connection ended, whichever was last.
    pub ended_at: Option<Instant>,
}

struct Socket {
    connection: Option<Connection<Bytes>>,
    app: App,
    report: Report,
    touched: bool,
    armed: Option<Instant>,
}

/// A segment to be sent.
pub(crate) struct Outgoing {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) header: Header,
    pub(crate) payload: Vec<Bytes>,
}

/// All of a host's TCP.
pub struct Sockets {
    /// What is used for connections opened from now on.
    pub config: tcp::Config,
    /// What its openings say.
    pub habits: Habits,
    /// Are segments to closed ports answered with a RST?
    pub refuses: bool,
    listeners: HashMap<u16, Vec<Step>>,
    sockets: Vec<Socket>,
    by_ends: HashMap<(SocketAddr, SocketAddr), usize>,
    touched: Vec<usize>,
    deadlines: BinaryHeap<Reverse<(Instant, usize)>>,
    next_port: u16,
    random: Random,
}

impl Sockets {
    pub(crate) fn new(mut random: Random) -> Self {
        Self {
            config: tcp::Config::default(),
            habits: Habits::MODERN,
            refuses: true,
            listeners: HashMap::new(),
            sockets: Vec::new(),
            by_ends: HashMap::new(),
            touched: Vec::new(),
            deadlines: BinaryHeap::new(),
            next_port: 32_768 + random.below(16_384) as u16,
            random,
        }
    }

    /// Runs `steps` on every connection that comes to `port`, of any of the host's addresses.
    pub fn listen(&mut self, port: u16, steps: &[Step]) {
        self.listeners.insert(port, steps.to_vec());
    }

    /// Listens no more; connections there are go on.
    pub fn unlisten(&mut self, port: u16) {
        self.listeners.remove(&port);
    }

    /// Opens a connection and runs `steps` on it; returns its number.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        mtu: u16,
        steps: &[Step],
    ) -> usize {
        let config = self.config_for(local.ip(), mtu);
        let opening = self.opening(now, local.ip(), mtu);
        let connection = Connection::connect(now, (local.port(), remote.port()), &config, opening);
        self.insert(now, local, remote, connection, false, steps)
    }

    /// Gives up all connections and listeners: with a reset each, or as if the machine had been unplugged.
    pub fn abandon(&mut self, politely: bool) {
        self.listeners.clear();
        for number in 0..self.sockets.len() {
            let Some(connection) = &mut self.sockets[number].connection else { continue };
            if politely {
                connection.abort();
                self.touch(number);
            } else {
                self.sockets[number].connection = None;
            }
        }
    }

    /// A port that no connection uses yet.
    pub(crate) fn free_port(&mut self) -> u16 {
        self.next_port = self.next_port.checked_add(1).unwrap_or(32_768);
        self.next_port
    }

    /// What became of every connection so far, by number.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        self.sockets.iter().map(|socket| &socket.report)
    }

    /// What became of one.
    #[must_use]
    pub fn report(&self, number: usize) -> &Report {
        &self.sockets[number].report
    }

    /// Is any connection not yet over?
    #[must_use]
    pub fn busy(&self) -> bool {
        self.sockets.iter().any(|socket| socket.connection.is_some())
    }

    /// Takes a segment in; a reset may be the answer.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        (source, destination): (IpAddr, IpAddr),
        mtu: u16,
        segment: Segment<Bytes>,
    ) -> Option<Header> {
        let local = SocketAddr::new(destination, segment.header.dst_port);
        let remote = SocketAddr::new(source, segment.header.src_port);
        let opens = segment.header.flags.contains(tcp::Flags::SYN) && !segment.header.flags.contains(tcp::Flags::ACK);
        if opens && self.may_replace(local, remote, &segment.header) {
            return self.accept(now, local, remote, mtu, &segment);
        }
        let Some(number) = self.by_ends.get(&(local, remote)).copied() else { return self.reset(&segment) };
        let Some(connection) = &mut self.sockets[number].connection else { return self.reset(&segment) };
        // A discarded segment may still be owed an acknowledgment, which `poll` asks for.
        let _discard = connection.handle_segment(now, segment);
        self.touch(number);
        None
    }

    /// Tells the connection between these ends what an ICMP message said of its segment.
    pub(crate) fn handle_icmp(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr, error: IcmpError) {
        let Some(number) = self.by_ends.get(&(local, remote)).copied() else { return };
        if let Some(connection) = &mut self.sockets[number].connection {
            connection.handle_icmp(now, error);
            self.touch(number);
        }
    }

    /// When [`Sockets::poll`] is to be called although nothing happened.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = self.deadlines.peek().map(|Reverse((at, _))| *at);
        if self.touched.is_empty() { first } else { Some(Instant::ZERO) }
    }

    /// Runs deadlines and scripts, and collects what is to be sent.
    pub(crate) fn poll(&mut self, now: Instant, out: &mut Vec<Outgoing>) {
        while let Some(Reverse((at, number))) = self.deadlines.peek().copied()
            && at <= now
        {
            self.deadlines.pop();
            if self.sockets[number].armed == Some(at) {
                self.sockets[number].armed = None;
                self.touch(number);
            }
        }
        for number in std::mem::take(&mut self.touched) {
            self.poll_one(now, number, out);
        }
    }

    fn poll_one(&mut self, now: Instant, number: usize, out: &mut Vec<Outgoing>) {
        let socket = &mut self.sockets[number];
        socket.touched = false;
        let Some(connection) = &mut socket.connection else { return };
        if connection.deadline().is_some_and(|at| at <= now) {
            connection.handle_timeout(now);
        }
        // A script may be able to go on by what its own segments have made room for, and the other way round.
        socket.app.drive(now, connection);
        let mut payload = Vec::new();
        while let Some(header) = connection.poll_transmit(now, usize::from(connection.mss()), &mut payload) {
            let (source, destination) = (socket.report.local, socket.report.remote);
            out.push(Outgoing { source, destination, header, payload: std::mem::take(&mut payload) });
        }
        socket.app.drive(now, connection);
        socket.note(now);
        let Some(connection) = &socket.connection else {
            self.by_ends.remove(&(self.sockets[number].report.local, self.sockets[number].report.remote));
            return;
        };
        let deadline = [connection.deadline(), socket.app.deadline()].into_iter().flatten().min();
        if let Some(at) = deadline
            && socket.armed.is_none_or(|armed| at < armed)
        {
            socket.armed = Some(at);
            self.deadlines.push(Reverse((at, number)));
        }
    }

    /// May a SYN between these ends open a new connection? RFC 9293, 3.6.1 lets it end one in TIME-WAIT.
    fn may_replace(&self, local: SocketAddr, remote: SocketAddr, syn: &Header) -> bool {
        let Some(number) = self.by_ends.get(&(local, remote)) else { return true };
        self.sockets[*number].connection.as_ref().is_none_or(|old| old.may_reuse(syn))
    }

    fn accept(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        mtu: u16,
        segment: &Segment<Bytes>,
    ) -> Option<Header> {
        let Some(steps) = self.listeners.get(&local.port()).cloned() else { return self.reset(segment) };
        let config = self.config_for(local.ip(), mtu);
        let opening = self.opening(now, local.ip(), mtu);
        let connection = Connection::accept(now, (local.port(), remote.port()), &config, &segment.header, opening);
        self.insert(now, local, remote, connection, true, &steps);
        None
    }

    fn reset(&self, segment: &Segment<Bytes>) -> Option<Header> {
        let length = segment.payload.iter().map(Bytes::len).sum();
        if self.refuses { tcp::reset_for(&segment.header, length) } else { None }
    }

    fn insert(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        connection: Connection<Bytes>,
        accepted: bool,
        steps: &[Step],
    ) -> usize {
        let number = self.sockets.len();
        let report = Report {
            local,
            remote,
            accepted,
            progress: Progress::Running,
            bytes: (0, 0),
            peer_syn: None,
            state: connection.state(),
            error: None,
            closed: false,
            opened_at: now,
            established_at: None,
            ended_at: None,
        };
        let app = App::new(steps);
        self.sockets.push(Socket { connection: Some(connection), app, report, touched: false, armed: None });
        self.by_ends.insert((local, remote), number);
        self.touch(number);
        number
    }

    fn touch(&mut self, number: usize) {
        if !std::mem::replace(&mut self.sockets[number].touched, true) {
            self.touched.push(number);
        }
    }

    fn config_for(&self, local: IpAddr, mtu: u16) -> tcp::Config {
        tcp::Config { mss_max: largest_segment(local, mtu), ..self.config.clone() }
    }

    fn opening(&mut self, _now: Instant, local: IpAddr, mtu: u16) -> Opening {
        // Numbers near the wrap are where mistakes hide.
        let random = self.random.number();
        let near_wrap = u32::MAX - (random >> 40) as u32 % 100_000;
        let isn = if random & 1 == 0 { near_wrap } else { (random >> 8) as u32 };
        Opening {
            isn: tcp::SeqNumber(isn),
            mss: self.habits.mss.unwrap_or(largest_segment(local, mtu)),
            window_scale: self.habits.window_scale,
            sack_permitted: self.habits.sack,
            timestamp: self.habits.timestamps.then(|| TimestampClock::with_offset(self.random.number() as u32)),
        }
    }
}

impl Socket {
    /// Writes down how things stand, and gives up a connection that is over.
    fn note(&mut self, now: Instant) {
        let Some(connection) = &self.connection else { return };
        let report = &mut self.report;
        report.state = connection.state();
        report.error = connection.error();
        report.bytes = self.app.total();
        if report.peer_syn.is_none() {
            report.peer_syn = connection.peer_syn();
        }
        let established = !matches!(report.state, State::SynSent | State::SynReceived | State::Closed);
        if established && report.established_at.is_none() {
            report.established_at = Some(now);
        }
        if report.progress == Progress::Running && *self.app.progress() != Progress::Running {
            report.ended_at = Some(now);
        }
        report.progress = self.app.progress().clone();
        if connection.is_closed() && report.progress != Progress::Running {
            report.closed = true;
            report.ended_at = Some(now);
            self.connection = None;
        }
    }
}

fn largest_segment(local: IpAddr, mtu: u16) -> u16 {
    mtu - if local.is_ipv4() { 40 } else { 60 }
}
