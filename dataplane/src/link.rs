//! The link below IP: ARP and neighbour discovery in, frames to neighbours out.
//!
//! `Worker::deliver` is the only way a frame leaves: the neighbour's address is filled in, or the frame waits in the
//! neighbour's bounded queue, or it ends counted.

use tcp::Instant;

use crate::counters::Counter;
use crate::local::{self, Answer, Station};
use crate::neighbour::{Event, Resolution};
use crate::nic::{Frame, Nic};
use crate::packet::{self, MacAddress, Network, RxChecks, Transport, arp::Arp, icmp, ndp};
use crate::route::NextHop;
use crate::socket::Leg;
use crate::step::Step;
use crate::worker::{Arrival, Worker};
use control::policy::{InterfaceId, Nat};

impl<N: Nic> Worker<N> {
    /// Says on every interface which addresses are ours, so that neighbours replace what they remember.
    pub(crate) fn join_links(&mut self) {
        let ids: Vec<InterfaceId> = self.interfaces.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.routes.set_link_local(id, self.interfaces.get(id).mac);
            let addresses: Vec<_> = self.routes.addresses(id).iter().map(ipnet::IpNet::addr).collect();
            for address in addresses {
                self.write_and_send(id, |station, frame| local::announce(frame, station, address).is_ok());
            }
        }
    }

    /// An ARP packet.
    pub(crate) fn arp(&mut self, now: Instant, interface: InterfaceId, arp: &Arp, frame: &N::Frame) {
        let station = station(&self.interfaces, &self.routes, interface);
        let answer = self.local.handle_arp(now, &station, arp, &mut self.neighbours);
        self.answer_locally(interface, answer, frame.data());
    }

    /// A neighbour solicitation or advertisement.
    pub(crate) fn neighbour_discovery(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_, N::Frame>,
        message: &ndp::Message,
    ) {
        let station = station(&self.interfaces, &self.routes, arrival.interface);
        let (link, ip) = (&arrival.packet.link, arrival.ip);
        let answer = self.local.handle_neighbour(now, &station, link, ip, message, &mut self.neighbours);
        self.answer_locally(arrival.interface, answer, arrival.data());
    }

    /// An echo request to one of our addresses, which the filter lets in.
    pub(crate) fn echo(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>, echo: &icmp::Echo, nat: &Nat) {
        let station = station(&self.interfaces, &self.routes, arrival.interface);
        let meant = nat.destination.and_then(|range| range.address()).unwrap_or(arrival.ip.destination);
        let answer = self.local.handle_echo(now, &station, &arrival.packet.link, arrival.ip, echo, meant);
        self.answer_locally(arrival.interface, answer, arrival.data());
    }

    fn answer_locally(&mut self, interface: InterfaceId, answer: Answer, bytes: &[u8]) {
        match answer {
            Answer::Silent(ending) => self.counters.count(ending),
            Answer::Reply(reply) => {
                self.write_and_send(interface, |station, frame| reply.write(station, bytes, frame).is_ok());
            }
        }
    }

    /// Has a frame written that needs no neighbour, and sends it.
    fn write_and_send(&mut self, interface: InterfaceId, write: impl FnOnce(&Station<'_>, &mut N::Frame) -> bool) {
        let Some(mut frame) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        if write(&station(&self.interfaces, &self.routes, interface), &mut frame) {
            self.send(interface, frame);
        } else {
            self.counters.count(Counter::FrameFull);
        }
    }

    /// Hands a finished frame to its port.
    pub(crate) fn send(&mut self, interface: InterfaceId, frame: N::Frame) {
        self.counters.count(Counter::TxPackets);
        self.nic.send(self.interfaces.get(interface).port, frame);
    }

    /// Writes a frame for the next hop and sends it as soon as its address is known. `write` is given the Ethernet
    /// header to begin with and says whether all had room.
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        next_hop: &NextHop,
        frame: N::Frame,
        write: impl FnOnce(&mut N::Frame, &packet::emit::LinkOut) -> bool,
    ) -> Delivery {
        let mut frame = frame;
        let resolution = self.neighbours.resolve(now, next_hop.interface, next_hop.neighbour);
        let destination = match resolution {
            Resolution::Known(mac) => mac,
            Resolution::Pending => MacAddress::ZERO,
            Resolution::Unreachable => {
                self.counters.count(Counter::NeighbourFailed);
                return Delivery::Unreachable;
            }
            Resolution::Full => {
                self.counters.count(Counter::NeighbourTableFull);
                return Delivery::Lost;
            }
        };
        let link = self.interfaces.get(next_hop.interface).link_to(destination);
        if !write(&mut frame, &link) {
            self.counters.count(Counter::FrameFull);
            return Delivery::Lost;
        }
        if resolution == Resolution::Pending {
            if let Some((_, overflow)) = self.neighbours.hold(next_hop.interface, next_hop.neighbour, frame) {
                self.counters.count(overflow);
            }
        } else {
            self.send(next_hop.interface, frame);
        }
        Delivery::Done
    }

    /// What the neighbour table wants done; once per turn, when no connection is borrowed.
    pub(crate) fn neighbour_events(&mut self, now: Instant) {
        while let Some(event) = self.neighbours.poll() {
            match event {
                Event::Solicit { interface, target, unicast } => {
                    self.write_and_send(interface, |station, frame| {
                        local::solicit(frame, station, target, unicast).is_ok()
                    });
                }
                Event::Send { interface, frame } => self.send(interface, frame),
                Event::Failed { interface, frame, .. } => {
                    self.counters.count(Counter::NeighbourFailed);
                    if let Some(frame) = frame {
                        self.undeliverable(now, interface, &frame);
                    }
                }
            }
        }
    }

    /// A frame whose neighbour does not answer: the proxied flow is told, or the sender by ICMP.
    fn undeliverable(&mut self, now: Instant, interface: InterfaceId, frame: &N::Frame) {
        let trusted = RxChecks { ip_checksum_good: true, l4_checksum_good: true, vlan: None };
        let Ok(packet) = packet::parse(frame.data(), trusted) else { return };
        let Network::Ip(ip) = &packet.network else { return };
        // Our own segment: the flow is known by what the peer would send.
        let reverse = crate::flow::Key::new(interface, ip.protocol, ip.destination_socket(), ip.source_socket());
        match self.flows.find(&reverse).map(|id| self.flows[id]) {
            Some(Step::Proxy { session, leg }) => {
                if let Transport::Tcp { header, .. } = &ip.kind {
                    self.leg_unreachable(now, session, leg, header.seq);
                }
            }
            Some(Step::Splice { key, direction }) => self.splice_unreachable(now, key, direction, ip, frame),
            Some(Step::HalfOpen { key, leg }) => self.half_open_unreachable(now, key, leg),
            Some(Step::Forward { forward, direction }) => {
                self.forward_unreachable(now, forward, direction, ip, frame);
            }
            Some(Step::TimeWait { .. } | Step::Local { .. }) | None => {}
        }
    }

    /// A segment of a connection cannot reach its neighbour.
    pub(crate) fn leg_unreachable(
        &mut self,
        now: Instant,
        session: crate::session::SessionKey,
        leg: Leg,
        seq: tcp::SeqNumber,
    ) {
        let error = tcp::IcmpError { kind: tcp::IcmpKind::Unreachable { hard: false }, seq };
        self.icmp_to_leg(now, session, leg, error);
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Sent, or waiting for its neighbour.
    Done,
    /// The neighbour did not answer a moment ago.
    Unreachable,
    /// Ended, counted.
    Lost,
}

/// Who we are on an interface.
pub(crate) fn station<'a>(
    interfaces: &'a crate::interface::Interfaces,
    routes: &'a crate::route::Routes,
    id: InterfaceId,
) -> Station<'a> {
    let interface = interfaces.get(id);
    Station { interface: id, mac: interface.mac, vlan: interface.vlan, routes, offloads: &interface.offloads }
}
