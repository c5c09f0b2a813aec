//! What the gateway itself says about packets of others: RST and ICMP errors.
//!
//! Own ICMP errors are sent where RFC 1812 4.3.2 and RFC 4443 2.4 want them and at a bounded rate; errors relayed to a
//! held client have the same bound. A RST answers a segment (RFC 9293 3.10.7), so its rate is the sender's.

use std::net::IpAddr;

use control::policy::InterfaceId;
use tcp::Instant;

use crate::counters::Counter;
use crate::icmp_error;
use crate::nic::Nic;
use crate::packet::emit::{self, IpOut};
use crate::packet::icmp;
use crate::worker::{Arrival, Worker};

impl<N: Nic> Worker<N> {
    /// Answers a segment that finds no connection, in the name of whom it was sent to.
    pub(crate) fn refuse(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_, N::Frame>,
        header: &tcp::Header,
        payload_len: usize,
    ) {
        let Some(reset) = tcp::reset_for(header, payload_len) else { return };
        let ip = IpOut::new(arrival.ip.destination, arrival.ip.source);
        self.send_reset(now, arrival.interface, &ip, &reset);
    }

    pub(crate) fn send_reset(&mut self, now: Instant, interface: InterfaceId, ip: &IpOut, reset: &tcp::Header) {
        let Some(next_hop) = self.routes.lookup_from(interface, ip.destination) else {
            return self.counters.count(Counter::NoRoute);
        };
        let Some(frame) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        self.counters.count(Counter::RstSent);
        let offloads = self.interfaces.get(next_hop.interface).offloads;
        self.deliver(now, &next_hop, frame, |frame, link| {
            emit::tcp(frame, link, ip, reset, std::iter::empty(), &offloads, None).is_ok()
        });
    }

    /// Tells the sender of a packet why it goes no further.
    pub(crate) fn send_icmp_error(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>, kind: icmp::ErrorKind) {
        if let Err(withheld) = self.icmp.permit(now, arrival.packet, &self.routes) {
            return self.counters.count(withheld);
        }
        let sender = arrival.ip.source;
        let Some(next_hop) = self.routes.lookup_from(arrival.interface, sender) else {
            return self.counters.count(Counter::NoRoute);
        };
        let Some(ours) = self.routes.source_for(arrival.interface, sender) else {
            return self.counters.count(Counter::NoSourceAddress);
        };
        let Some(frame) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        self.counters.count(Counter::IcmpErrorSent);
        let offloads = self.interfaces.get(next_hop.interface).offloads;
        let bytes = arrival.data();
        self.deliver(now, &next_hop, frame, |frame, link| {
            icmp_error::write(frame, link, ours, kind, arrival.packet, bytes, &offloads).is_ok()
        });
    }

    /// Sends an error about a packet that is no longer at hand; `interface` is where its sender is.
    pub(crate) fn relay_error(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        from: IpAddr,
        to: IpAddr,
        quote: &[u8],
        wire: icmp::Wire,
    ) {
        if let Err(withheld) = self.icmp.permit_relay(now, to) {
            return self.counters.count(withheld);
        }
        let Some(next_hop) = self.routes.lookup_from(interface, to) else {
            return self.counters.count(Counter::NoRoute);
        };
        let Some(frame) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        self.counters.count(Counter::IcmpDelivered);
        let offloads = self.interfaces.get(next_hop.interface).offloads;
        let ip = IpOut::new(from, to);
        self.deliver(now, &next_hop, frame, |frame, link| {
            emit::icmp_error(frame, link, &ip, wire, quote, &offloads).is_ok()
        });
    }
}

/// A reset at this sequence number, from a port to a port.
pub(crate) fn reset_at(seq: tcp::SeqNumber, src_port: u16, dst_port: u16) -> tcp::Header {
    tcp::Header {
        src_port,
        dst_port,
        seq,
        ack: tcp::SeqNumber(0),
        flags: tcp::Flags::RST,
        window: 0,
        urgent: 0,
        options: tcp::Options::default(),
    }
}
