//! Segments in and out of the connections that end here: fed as they arrive, asked once per turn what they want to say.
//! What cannot be sent for want of memory is lost as on a wire; the connection repeats it.

use std::rc::Rc;

use smallvec::{SmallVec, smallvec};
use tcp::{Ecn, Instant, Segment, Signals, State};

use crate::counters::Counter;
use crate::limits;
use crate::link::Delivery;
use crate::nic::{Frame, Nic};
use crate::packet::Transport;
use crate::packet::emit::{self, IpOut};
use crate::piece::Piece;
use crate::session::SessionKey;
use crate::socket::{Leg, Path, Socket, SocketKey, Timer};
use crate::worker::{Arrival, SliceOf, Worker};

impl<N: Nic> Worker<N> {
    /// A segment of a proxied flow: input of its connection.
    pub(crate) fn proxied(&mut self, now: Instant, session: SessionKey, leg: Leg, arrival: Arrival<'_, N::Frame>) {
        let Transport::Tcp { header, payload } = &arrival.ip.kind else {
            return self.counters.count(Counter::TcpOutOfState);
        };
        let Some(socket) = self.sessions.get(session).and_then(|session| session.socket(leg)) else {
            return self.counters.count(Counter::TcpOutOfState);
        };
        if !payload.is_empty() && self.is_greedy(session) {
            return self.counters.count(Counter::MemoryPressure);
        }
        let ip = arrival.ip;
        let segment = Segment {
            header: *header,
            payload: if payload.is_empty() {
                SmallVec::new()
            } else {
                smallvec![Piece::Received(arrival.frame.into_slice(payload.clone()))]
            },
            ecn: Ecn::from_bits(ip.tos),
        };
        let signals = self.feed(now, socket, segment);
        if signals.intersects(Signals::ESTABLISHED | Signals::CLOSED | Signals::RESET) {
            self.socket_event(socket, signals);
        }
    }

    /// When packet memory is short, a session that already holds more than its share of it gets no more: its segments
    /// are lost as on a wire, and its peers slow down. Others, and acknowledgements that free memory, are not touched.
    fn is_greedy(&self, session: SessionKey) -> bool {
        if self.free_share >= limits::FREE_SHARE_FOR_ALL {
            return false;
        }
        let Some(session) = self.sessions.get(session) else { return false };
        let sockets = self.shared.sockets.borrow();
        let held = session.sockets().filter_map(|key| sockets.get(key)).map(|socket| socket.connection.pieces());
        held.sum::<usize>() >= limits::PIECES_UNDER_PRESSURE
    }

    fn feed(&mut self, now: Instant, key: SocketKey, segment: Segment<SliceOf<N>>) -> Signals {
        let mut sockets = self.shared.sockets.borrow_mut();
        let Some(socket) = sockets.get_mut(key) else { return Signals::empty() };
        if !segment.payload.is_empty()
            && let Some(session) = self.sessions.get_mut(socket.session)
        {
            session.last = now;
        }
        let signals = match socket.connection.handle_segment(now, segment) {
            Ok(signals) => {
                self.neighbours.confirm(now, socket.path.next_hop.interface, socket.path.next_hop.neighbour);
                signals
            }
            Err(discard) => {
                self.counters.count(discard);
                Signals::empty()
            }
        };
        socket.wake();
        sockets.touch(key);
        signals
    }

    /// A connection's deadline, if it still is one.
    pub(crate) fn socket_timeout(&mut self, now: Instant, key: SocketKey) {
        let signals = {
            let mut sockets = self.shared.sockets.borrow_mut();
            let Some(socket) = sockets.get_mut(key) else { return };
            if socket.armed.is_none_or(|at| at > now) {
                return;
            }
            socket.armed = None;
            let due = socket.connection.deadline().is_some_and(|at| at <= now);
            let signals = if due { socket.connection.handle_timeout(now) } else { Signals::empty() };
            if due {
                socket.wake();
            }
            sockets.touch(key);
            signals
        };
        if signals.intersects(Signals::ESTABLISHED | Signals::CLOSED | Signals::RESET) {
            self.socket_event(key, signals);
        }
    }

    /// Asks every touched connection what it wants to say.
    pub(crate) fn transmit(&mut self, now: Instant) -> usize {
        let mut keys = std::mem::take(&mut self.touched);
        self.shared.sockets.borrow_mut().take_touched(&mut keys);
        let work = keys.len();
        for key in keys.drain(..) {
            self.speak(now, key);
            self.spoken(now, key);
        }
        self.touched = keys;
        work
    }

    /// A connection has said what it had to: may its session be left to its ends, or was that the last of one that is?
    fn spoken(&mut self, now: Instant, key: SocketKey) {
        let (session, leg, releasing, passed_by) = {
            let sockets = self.shared.sockets.borrow();
            let Some(socket) = sockets.get(key) else { return };
            (socket.session, socket.leg, socket.releasing, socket.passed_by)
        };
        if releasing {
            self.try_release(now, session);
        } else if passed_by {
            self.tail_spoke(session, leg, key);
        }
    }

    /// One connection: its segments, then its next deadline, then its end.
    fn speak(&mut self, now: Instant, key: SocketKey) {
        let shared = Rc::clone(&self.shared);
        let mut sockets = shared.sockets.borrow_mut();
        let Some(socket) = sockets.get_mut(key) else { return };
        if socket.path.generation != self.policy.generation() {
            self.reroute(&mut socket.path);
        }
        socket.connection.set_memory_share(limits::receive_share(self.capacity.memory(), self.free_share));
        let interface = self.interfaces.get(socket.path.next_hop.interface);
        let tso = interface.offloads.tso && interface.offloads.multi_segment;
        let limit = if tso { limits::TSO_PAYLOAD } else { usize::from(socket.connection.mss_largest()) };
        let mut chunks = std::mem::take(&mut self.chunks);
        let mut budget = limits::SEGMENTS_PER_TURN;
        let mut unreachable = None;
        while budget > 0 {
            chunks.clear();
            let Some(header) = socket.connection.poll_transmit(now, limit, &mut chunks) else { break };
            let header = if socket.passed_by { self.not_older(socket, header) } else { header };
            budget -= 1;
            let tso_mss = tso.then_some(socket.connection.mss());
            let cut = chunks.iter().map(tcp::Payload::len).sum::<usize>() / usize::from(socket.connection.mss()).max(1);
            let ecn = socket.connection.ecn_codepoint();
            if self.send_segment(now, &socket.path, ecn, &header, &chunks, tso_mss) == Delivery::Unreachable {
                unreachable = Some(header.seq);
            }
            socket.path.marks = socket.path.marks.next(cut as u16 + 1);
        }
        chunks.clear();
        self.chunks = chunks;
        if socket.connection.is_closed() && !socket.owned && !socket.passed_by {
            drop(sockets);
            return self.reap(now, key);
        }
        let let_go = budget > 0 && !socket.owned && !socket.passed_by && socket.connection.readable() == 0;
        if let_go && socket.connection.state() == State::TimeWait {
            drop(sockets);
            return self.enter_time_wait(now, key);
        }
        if let Some(at) = socket.connection.deadline()
            && socket.armed.is_none_or(|armed| at < armed)
        {
            socket.armed = Some(at);
            shared.wheel.borrow_mut().replace(&mut socket.timer, at, Timer::Socket(key));
        }
        let (session, leg) = (socket.session, socket.leg);
        if budget == 0 {
            sockets.touch(key);
        }
        drop(sockets);
        if let Some(seq) = unreachable {
            self.leg_unreachable(now, session, leg, seq);
        }
    }

    /// What a connection says that packets pass by: not with an older timestamp than these had.
    fn not_older(&self, socket: &Socket<SliceOf<N>>, mut header: tcp::Header) -> tcp::Header {
        if let (Some(stamp), Some(said)) = (&mut header.options.timestamp, self.tail_said(socket.session, socket.leg))
            && said.wrapping_sub(stamp.value).cast_signed() > 0
        {
            stamp.value = said;
        }
        header
    }

    /// Writes a segment and sends it on its way.
    pub(crate) fn send_segment(
        &mut self,
        now: Instant,
        path: &Path,
        ecn: Ecn,
        header: &tcp::Header,
        chunks: &[SliceOf<N>],
        tso_mss: Option<u16>,
    ) -> Delivery {
        // What is not sent for want of memory is lost like on a wire: the connection repeats it.
        let Some(frame) = self.nic.allocate() else {
            self.counters.count(Counter::NoMemory);
            return Delivery::Lost;
        };
        let marks = path.marks;
        let ip = IpOut {
            ttl: marks.ttl,
            tos: marks.dscp | ecn.bits(),
            identification: marks.identification,
            flow_label: marks.flow_label,
            ..IpOut::new(path.local.ip(), path.remote.ip())
        };
        let offloads = self.interfaces.get(path.next_hop.interface).offloads;
        let length: usize = chunks.iter().map(tcp::Payload::len).sum();
        let tso_mss = tso_mss.filter(|mss| length > usize::from(*mss));
        self.deliver(now, &path.next_hop, frame, |frame, link| {
            let payload = chunks.iter().map(tcp::Payload::as_slice);
            emit::tcp(frame, link, &ip, header, payload, &offloads, tso_mss).is_ok()
        })
    }

    /// The routes have changed since: where do its segments go now?
    fn reroute(&self, path: &mut Path) {
        path.generation = self.policy.generation();
        match self.routes.lookup(path.remote.ip()) {
            // The answers of a flow come in where its table entry says: a reload does not move it to another link.
            Some(next_hop) if next_hop.interface == path.next_hop.interface => path.next_hop = next_hop,
            _ => {}
        }
    }
}
