//! Flows between the network and programs on the gateway: who began them, and whether they are still alive.
//!
//! The kernel is the end of these flows and judges their packets itself; what is kept here is only that the policy has
//! let the flow in or out, so that it is not asked about every packet and answers pass. A flow may begin in the middle
//! of a TCP connection, if the rules accept that segment: the operator's own ssh session outlives a restart of the
//! gateway. There are few places, and who has not been answered makes room: a flood replaces itself.
//!
//! A flow that a later policy forbids (`reload --redecide`) is cut: both ends of a connection are reset, and the flow
//! stays as a record that holds back what either side still says. Without that record the kernel's next segment would
//! be the first of a flow that OUTPUT lets out, and the answers to it would come in.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use control::mailbox::FlowRecord;
use control::policy::{Holds, InterfaceId};
use slotmap::new_key_type;
use tcp::Instant;

use super::translated::Translation;
use crate::classify::is_opening;
use crate::counters::Counter;
use crate::flow::tracking::Direction;
use crate::flow::{FlowId, Key};
use crate::limits;
use crate::nic::Nic;
use crate::packet::{Ip, Transport, icmp};
use crate::socket::Timer;
use crate::step::Step;
use crate::timers::TimerId;
use crate::worker::{Arrival, Worker};

use super::Exceptions;

new_key_type! {
    /// A flow of a program on the gateway; stale keys find nothing.
    pub struct LocalKey;
}

/// A flow of a program on the gateway.
#[derive(Debug)]
pub struct LocalFlow {
    id: u64,
    pub(super) protocol: u8,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) interface: InterfaceId,
    /// Who began it is on the wire; else it is a program on the gateway.
    pub(super) from_wire: bool,
    pub(super) phase: Phase,
    flows: [Option<FlowId>; 2],
    bytes: [u64; 2],
    started: Instant,
    last: Instant,
    pub(super) expires: Instant,
    pub(super) timer: TimerId,
    pub(super) generation: u64,
    /// What each side has acknowledged last: the sequence number at which it believes a reset.
    pub(super) acknowledged: [Option<tcp::SeqNumber>; 2],
    /// What table nat made of it; none: it is as it is.
    pub(super) translation: Option<Translation>,
    /// What it takes up in the counts of `-m connlimit`, until it is gone.
    _holds: Option<Holds>,
}

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody has answered.
    Opening,
    /// The other end has answered; for all we know to somebody who forged an address.
    Answered,
    /// Who began it has heard the answer.
    Open,
    /// A FIN was seen.
    Closing,
    /// A RST was seen.
    Reset,
    /// A policy that came after it forbids it.
    Cut,
}

impl Phase {
    /// After a packet.
    pub(super) fn after(self, direction: Direction, ip: &Ip) -> Phase {
        if self == Phase::Cut {
            return self;
        }
        if let Transport::Tcp { header, .. } = &ip.kind {
            if header.flags.contains(tcp::Flags::RST) {
                return Phase::Reset;
            }
            if header.flags.contains(tcp::Flags::FIN) {
                return Phase::Closing;
            }
        }
        match (self, direction) {
            (Phase::Opening, Direction::Reply) => Phase::Answered,
            (Phase::Answered, Direction::Original) => Phase::Open,
            (phase, _) => phase,
        }
    }

    /// How long it lives from now. Too short does no harm: the next packet is decided anew.
    pub(super) fn lifetime(self, ip: &Ip) -> Duration {
        match (&ip.kind, self) {
            (_, Phase::Cut) => limits::LOCAL_CUT,
            (Transport::Tcp { .. }, Phase::Opening | Phase::Answered) => limits::TRACK_SYN_RECV,
            (Transport::Tcp { .. }, Phase::Open) => limits::TRACK_ESTABLISHED,
            (Transport::Tcp { .. }, Phase::Closing) => limits::TRACK_TIME_WAIT,
            (Transport::Tcp { .. }, Phase::Reset) => limits::TRACK_CLOSE,
            (Transport::Udp { .. }, Phase::Opening) => limits::TRACK_UDP,
            (Transport::Udp { .. }, _) => limits::TRACK_UDP_REPLIED,
            (Transport::Icmp(_), _) => limits::TRACK_ICMP,
            (Transport::Other, _) => limits::TRACK_OTHER,
        }
    }

    /// One word for listings.
    fn name(self) -> &'static str {
        match self {
            Phase::Opening => "UNREPLIED",
            Phase::Answered => "REPLIED",
            Phase::Open => "OPEN",
            Phase::Closing => "CLOSING",
            Phase::Reset => "RESET",
            Phase::Cut => "CUT",
        }
    }

    /// May it be forgotten for another that begins?
    fn makes_room(self) -> bool {
        !matches!(self, Phase::Open | Phase::Cut)
    }
}

impl Exceptions {
    /// By which policy a flow was decided last.
    pub(crate) fn generation(&self, local: LocalKey) -> Option<u64> {
        self.flows.get(local).map(|flow| flow.generation)
    }
}

impl LocalFlow {
    /// Notes what a segment acknowledges.
    fn hear(&mut self, direction: Direction, ip: &Ip) {
        if let Transport::Tcp { header, .. } = &ip.kind
            && header.flags.contains(tcp::Flags::ACK)
        {
            self.acknowledged[direction as usize] = Some(header.ack);
        }
    }
}

/// The kernel's side of an interface.
pub(super) fn kernels(interface: InterfaceId) -> InterfaceId {
    const KERNEL: u16 = 1 << 15;
    InterfaceId(KERNEL | interface.0)
}

/// Interfaces of packets that come from the kernel: numbers that no interface of the wires has. The kernel may answer
/// by another device than the one a packet came by; link-local addresses alone say nothing without theirs.
pub(super) fn kernel_side(interface: InterfaceId, address: IpAddr) -> InterfaceId {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => kernels(interface),
        _ => InterfaceId(u16::MAX),
    }
}

impl<N: Nic> Worker<N> {
    /// The first packet of a flow that INPUT lets in to the gateway itself.
    pub(crate) fn open_local(&mut self, now: Instant, key: Key, arrival: &Arrival<'_, N::Frame>) {
        let ip = arrival.ip;
        let side = kernel_side(arrival.interface, ip.destination);
        let reply = Key::new(side, ip.protocol, ip.destination_socket(), ip.source_socket());
        if self.note_local(now, arrival, key, reply).is_some() {
            self.datagram_to_kernel(now, arrival);
        }
    }

    /// A later packet of such a flow, from the network.
    pub(crate) fn local_packet(
        &mut self,
        now: Instant,
        local: LocalKey,
        direction: Direction,
        key: Key,
        arrival: &Arrival<'_, N::Frame>,
    ) {
        if self.begins_anew(local, direction, arrival.ip) || self.is_permitted_again(local) {
            self.end_local(local);
            return self.classify(now, key, arrival);
        }
        if self.is_cut(now, local) {
            if let Transport::Tcp { header, payload } = &arrival.ip.kind {
                self.refuse(now, arrival, header, payload.len());
            }
            return;
        }
        self.follow_local(now, local, direction, arrival.ip);
        if self.translated_local_packet(now, local, direction, arrival) {
            return;
        }
        self.datagram_to_kernel(now, arrival);
    }

    /// Is it a SYN of who began a connection that is over: the next one with the same ports?
    pub(super) fn begins_anew(&self, local: LocalKey, direction: Direction, ip: &Ip) -> bool {
        let over = self
            .exceptions
            .flows
            .get(local)
            .is_none_or(|flow| matches!(flow.phase, Phase::Closing | Phase::Reset | Phase::Cut));
        let opens = matches!(&ip.kind, Transport::Tcp { header, .. } if is_opening(header));
        // A SYN the other way is a new flow too, and for another chain to decide.
        opens && (over || direction == Direction::Reply)
    }

    /// Notes a flow by its two keys, that of this packet first; `None`: there is no room, counted.
    pub(super) fn note_local(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_, N::Frame>,
        key: Key,
        reply: Key,
    ) -> Option<LocalKey> {
        let ip = arrival.ip;
        if !self.make_room() {
            self.counters.count(Counter::LocalFlowsFull);
            return None;
        }
        self.sessions_started += 1;
        let phase = Phase::Opening.after(Direction::Original, ip);
        let expires = now + phase.lifetime(ip);
        let local = self.exceptions.flows.insert(LocalFlow {
            id: self.sessions_started,
            protocol: ip.protocol,
            source: ip.source_socket(),
            destination: ip.destination_socket(),
            interface: arrival.interface,
            from_wire: key.interface() == arrival.interface,
            phase,
            flows: [None; 2],
            bytes: [ip.datagram().len() as u64, 0],
            started: now,
            last: now,
            expires,
            timer: TimerId::default(),
            generation: self.policy.generation(),
            acknowledged: [None; 2],
            translation: None,
            _holds: self.memory.take_holds(),
        });
        self.exceptions.flows[local].hear(Direction::Original, ip);
        for (place, (key, direction)) in [(key, Direction::Original), (reply, Direction::Reply)].into_iter().enumerate()
        {
            match self.flows.insert(key, Step::Local { local, direction }) {
                Ok(flow) => self.exceptions.flows[local].flows[place] = Some(flow),
                Err(refused) => {
                    self.counters.count(refused);
                    self.end_local(local);
                    return None;
                }
            }
        }
        self.exceptions.opening.push_back(local);
        self.watch_local(local);
        Some(local)
    }

    /// Sees to it that there is room for one more flow.
    fn make_room(&mut self) -> bool {
        let most = limits::LOCAL_FLOWS.min(self.capacity.flows / 8);
        while self.exceptions.flows.len() >= most {
            let Some(oldest) = self.exceptions.opening.pop_front() else { return false };
            if self.exceptions.flows.get(oldest).is_some_and(|flow| flow.phase.makes_room()) {
                self.counters.count(Counter::LocalFlowEvicted);
                self.end_local(oldest);
            }
        }
        if self.exceptions.opening.len() >= 2 * most {
            let flows = &self.exceptions.flows;
            self.exceptions.opening.retain(|key| flows.get(*key).is_some_and(|flow| flow.phase.makes_room()));
        }
        true
    }

    /// One more packet of a flow.
    pub(super) fn follow_local(&mut self, now: Instant, local: LocalKey, direction: Direction, ip: &Ip) {
        let Some(flow) = self.exceptions.flows.get_mut(local) else { return };
        let phase = flow.phase.after(direction, ip);
        let expires = now + phase.lifetime(ip);
        // An earlier end needs a new timer; a later one is found when the old one rings.
        if expires < flow.expires {
            self.shared.wheel.borrow_mut().replace(&mut flow.timer, expires, Timer::Local(local));
        }
        flow.hear(direction, ip);
        flow.phase = phase;
        flow.expires = expires;
        flow.last = now;
        flow.bytes[direction as usize] += ip.datagram().len() as u64;
    }

    /// An ICMP error from the network about what a program has sent.
    pub(crate) fn local_related(
        &mut self,
        now: Instant,
        local: LocalKey,
        answers: Direction,
        arrival: &Arrival<'_, N::Frame>,
    ) {
        self.counters.count(Counter::IcmpDelivered);
        if self.translated_local_error(now, local, answers, arrival) {
            return;
        }
        self.datagram_to_kernel(now, arrival);
    }

    /// An ICMP error of the kernel is about something that it was sent: is it?
    pub(super) fn is_about_local(&self, interface: InterfaceId, quote: &icmp::Quote) -> bool {
        let key = Key::new(interface, quote.protocol, quote.source_socket(), quote.destination_socket());
        self.flows.find(&key).is_some_and(|id| matches!(self.flows[id], Step::Local { .. }))
    }

    /// A flow's lifetime may be over.
    pub(crate) fn local_timeout(&mut self, now: Instant, local: LocalKey) {
        let Some(flow) = self.exceptions.flows.get(local) else { return };
        if flow.expires <= now {
            return self.end_local(local);
        }
        self.watch_local(local);
    }

    /// When it is to be looked at again is on the wheel.
    pub(super) fn watch_local(&mut self, local: LocalKey) {
        if let Some(flow) = self.exceptions.flows.get_mut(local) {
            self.shared.wheel.borrow_mut().replace(&mut flow.timer, flow.expires, Timer::Local(local));
        }
    }

    pub(super) fn end_local(&mut self, local: LocalKey) {
        let Some(flow) = self.exceptions.flows.remove(local) else { return };
        self.shared.wheel.borrow_mut().cancel(flow.timer);
        for id in flow.flows.into_iter().flatten() {
            self.flows.remove(id);
        }
    }

    /// The flows of programs on the gateway, for listings.
    pub(crate) fn local_records(&self, now: Instant) -> impl Iterator<Item = FlowRecord> {
        self.exceptions.flows.values().map(move |flow| FlowRecord {
            core: self.core,
            id: flow.id,
            protocol: control::policy::protocol_name(flow.protocol).to_string(),
            interface: self.interfaces.get(flow.interface).name.clone(),
            source: flow.source,
            destination: flow.destination,
            step: "local".to_owned(),
            service: None,
            state: flow.phase.name().to_owned(),
            client_zone: None,
            server_zone: None,
            bytes_to_server: flow.bytes[0],
            bytes_to_client: flow.bytes[1],
            age_ms: (now - flow.started).as_millis() as u64,
            idle_ms: (now - flow.last).as_millis() as u64,
            generation: flow.generation,
            translated_source: flow.translation.and_then(|translation| translation.shown()[0]),
            translated_destination: flow.translation.and_then(|translation| translation.shown()[1]),
            mark: 0,
            connmark: 0,
            client: None,
            server: None,
        })
    }
}

#[cfg(test)]
mod tests;
