//! Flows that pass through untouched: routed, tracked, nothing else.
//!
//! What the filter's FORWARD chain accepts and no proxy takes. The decision is made for the flow's first packet; later
//! ones are held against the connection's state ([`crate::flow::tracking`]) and sent on with TTL and Ethernet header
//! rewritten (RFC 1812 5.2, RFC 8200 3). Fragmentation is not done here: a packet that does not fit is answered with
//! the MTU (RFC 1191, RFC 8201), whatever its DF bit says, and counted.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use control::mailbox::{FlowRecord, FromCore};
use control::policy::{Holds, InterfaceId};
use slotmap::{SlotMap, new_key_type};
use tcp::Instant;

use crate::counters::Counter;
use crate::flow::tracking::{Direction, Tracking, Update};
use crate::flow::{FlowId, Key};
use crate::link::Delivery;
use crate::nic::{Frame, Nic};
use crate::packet::{self, Ip, icmp};
use crate::socket::Timer;
use crate::step::Step;
use crate::timers::Wheel;
use crate::worker::{Arrival, Worker};

new_key_type! {
    /// A forwarded flow of this core; stale keys find nothing.
    pub struct ForwardKey;
}

/// All forwarded flows of a core.
pub type Forwards = SlotMap<ForwardKey, Forward>;

/// A forwarded flow.
pub struct Forward {
    id: u64,
    protocol: u8,
    source: SocketAddr,
    destination: SocketAddr,
    interface: InterfaceId,
    tracking: Tracking,
    flows: [Option<FlowId>; 2],
    bytes: [u64; 2],
    started: Instant,
    last: Instant,
    expires: Instant,
    generation: u64,
    /// What it takes up in the counts of `-m connlimit`, until it is gone.
    _holds: Option<Holds>,
}

impl Forward {
    /// The policy that let it in.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// It lives for so long from now. An earlier end needs a new timer; a later one is found when the old one rings.
    fn prolong(&mut self, now: Instant, lifetime: Duration, key: ForwardKey, wheel: &RefCell<Wheel<Timer>>) {
        let expires = now + lifetime;
        if expires < self.expires {
            wheel.borrow_mut().set(expires, Timer::Forward(key));
        }
        self.expires = expires;
    }
}

impl<N: Nic> Worker<N> {
    /// The first packet of a flow that the filter forwards.
    pub(crate) fn open_forward(&mut self, now: Instant, key: Key, arrival: &Arrival<'_, N::Frame>) {
        let ip = arrival.ip;
        if self.draining {
            return self.counters.count(Counter::Draining);
        }
        let Some(next_hop) = self.routes.lookup(ip.destination) else {
            self.counters.count(Counter::NoRoute);
            return self.send_icmp_error(now, arrival, icmp::ErrorKind::Unreachable(icmp::Unreachable::Net));
        };
        let (tracking, lifetime) = match Tracking::new(ip) {
            Ok(begun) => begun,
            Err(invalid) => return self.counters.count(invalid),
        };
        let reply = Key::new(next_hop.interface, ip.protocol, ip.destination_socket(), ip.source_socket());
        // A tuple that is in use on the other side belongs to that flow.
        if reply != key && self.flows.find(&reply).is_some() {
            return self.counters.count(Counter::TupleBusy);
        }
        self.sessions_started += 1;
        let forward = self.forwards.insert(Forward {
            id: self.sessions_started,
            protocol: ip.protocol,
            source: ip.source_socket(),
            destination: ip.destination_socket(),
            interface: arrival.interface,
            tracking,
            flows: [None; 2],
            bytes: [0; 2],
            started: now,
            last: now,
            expires: now + lifetime,
            generation: self.policy.generation(),
            _holds: self.memory.take_holds(),
        });
        for (index, (key, direction)) in [(key, Direction::Original), (reply, Direction::Reply)].into_iter().enumerate()
        {
            match self.flows.insert(key, Step::Forward { forward, direction }) {
                Ok(flow) => self.forwards[forward].flows[index] = Some(flow),
                Err(refused) => {
                    self.counters.count(refused);
                    return self.end_forward(forward);
                }
            }
        }
        self.shared.wheel.borrow_mut().set(now + lifetime, Timer::Forward(forward));
        self.pass(now, forward, Direction::Original, arrival);
    }

    /// A later packet of a forwarded flow.
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        forward: ForwardKey,
        direction: Direction,
        key: Key,
        arrival: &Arrival<'_, N::Frame>,
    ) {
        let Some(found) = self.forwards.get_mut(forward) else { return };
        match found.tracking.update(direction, arrival.ip) {
            Ok(Update::Live(lifetime)) => found.prolong(now, lifetime, forward, &self.shared.wheel),
            Ok(Update::Keep) => {}
            Ok(Update::Over) => {
                self.end_forward(forward);
                return self.classify(now, key, arrival);
            }
            Err(invalid) => return self.counters.count(invalid),
        }
        self.pass(now, forward, direction, arrival);
    }

    /// Sends a packet on.
    fn pass(&mut self, now: Instant, forward: ForwardKey, direction: Direction, arrival: &Arrival<'_, N::Frame>) {
        let ip = arrival.ip;
        let Some(next_hop) = self.routes.lookup(ip.destination) else {
            self.counters.count(Counter::NoRoute);
            return self.send_icmp_error(now, arrival, icmp::ErrorKind::Unreachable(icmp::Unreachable::Net));
        };
        // RFC 1812 5.3.1: "a router MUST NOT forward a packet with a TTL of 1 or 0".
        if ip.ttl <= 1 {
            self.counters.count(Counter::TtlExpired);
            return self.send_icmp_error(now, arrival, icmp::ErrorKind::TimeExceeded { reassembly: false });
        }
        let mtu = self.interfaces.get(next_hop.interface).mtu;
        if ip.datagram().len() > usize::from(mtu) {
            self.counters.count(Counter::TooBig);
            return self.send_icmp_error(now, arrival, icmp::ErrorKind::TooBig { mtu: u32::from(mtu) });
        }
        if let Some(found) = self.forwards.get_mut(forward) {
            found.bytes[direction as usize] += ip.datagram().len() as u64;
            found.last = now;
        }
        self.counters.count(Counter::Forwarded);
        let datagram = ip.datagram();
        let Some(out) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        let received = &arrival.frame;
        let delivery = self.deliver(now, &next_hop, out, |frame, link| {
            packet::emit::forwarded(frame, link, &received.data()[datagram.clone()]).is_ok()
        });
        if delivery == Delivery::Unreachable {
            self.send_icmp_error(now, arrival, icmp::ErrorKind::Unreachable(icmp::Unreachable::Host));
        }
    }

    /// An ICMP error about a forwarded packet goes to who sent that.
    pub(crate) fn forward_related(
        &mut self,
        now: Instant,
        forward: ForwardKey,
        arrival: &Arrival<'_, N::Frame>,
        quote: &icmp::Quote,
    ) {
        if self.forwards.get(forward).is_none() || arrival.ip.destination != quote.source {
            return self.counters.count(Counter::IcmpUnmatched);
        }
        let Some(next_hop) = self.routes.lookup(quote.source) else { return self.counters.count(Counter::NoRoute) };
        if arrival.ip.ttl <= 1 {
            return self.counters.count(Counter::TtlExpired);
        }
        let Some(out) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        self.counters.count(Counter::IcmpDelivered);
        let bytes = &arrival.frame.data()[arrival.ip.datagram()];
        self.deliver(now, &next_hop, out, |frame, link| packet::emit::forwarded(frame, link, bytes).is_ok());
    }

    /// A forwarded packet whose neighbour did not answer: its sender is told.
    pub(crate) fn forward_unreachable(&mut self, now: Instant, forward: ForwardKey, ip: &Ip, frame: &N::Frame) {
        let Some(found) = self.forwards.get(forward) else { return };
        let interface = found.interface;
        let wire = icmp::ErrorKind::Unreachable(icmp::Unreachable::Host).wire(ip.source.is_ipv6());
        let Some(ours) = self.routes.source_for(interface, ip.source) else { return };
        let quote = &frame.data()[ip.datagram()];
        self.relay_error(now, interface, ours, ip.source, quote, wire);
    }

    /// A flow's lifetime may be over; if packets have prolonged it, the timer is set again.
    pub(crate) fn forward_timeout(&mut self, now: Instant, key: ForwardKey) {
        let Some(forward) = self.forwards.get(key) else { return };
        if forward.expires <= now {
            return self.end_forward(key);
        }
        self.shared.wheel.borrow_mut().set(forward.expires, Timer::Forward(key));
    }

    pub(crate) fn end_forward(&mut self, key: ForwardKey) {
        if self.log.forwarded {
            self.log_forward(key);
        }
        let Some(forward) = self.forwards.remove(key) else { return };
        for flow in forward.flows.into_iter().flatten() {
            self.flows.remove(flow);
        }
    }

    /// The one line of a forwarded flow.
    fn log_forward(&mut self, key: ForwardKey) {
        let Some(forward) = self.forwards.get(key) else { return };
        let record = self.forward_record(forward.last, forward);
        if self.control.try_send(FromCore::Forwarded(record)).is_err() {
            self.counters.count(Counter::RecordLost);
        }
    }

    pub(crate) fn forward_record(&self, now: Instant, forward: &Forward) -> FlowRecord {
        FlowRecord {
            core: self.core,
            id: forward.id,
            protocol: control::policy::protocol_name(forward.protocol).to_string(),
            interface: self.interfaces.get(forward.interface).name.clone(),
            source: forward.source,
            destination: forward.destination,
            step: "forward".to_owned(),
            service: None,
            state: forward.tracking.name().to_owned(),
            client_zone: None,
            server_zone: None,
            bytes_to_server: forward.bytes[0],
            bytes_to_client: forward.bytes[1],
            age_ms: (now - forward.started).as_millis() as u64,
            idle_ms: (now - forward.last).as_millis() as u64,
            generation: forward.generation,
            client: None,
            server: None,
        }
    }
}
