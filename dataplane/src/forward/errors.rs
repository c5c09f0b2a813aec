//! ICMP errors about forwarded packets, to who sent these: from the network, or of our own when a neighbour is silent.
//!
//! What they quote is put back as its sender knew it, translated or not (RFC 5508 4.2), and they come from and go to the
//! addresses it spoke to. What they say is passed on as it is.

use tcp::Instant;

use crate::counters::Counter;
use crate::flow::tracking::Direction;
use crate::forward::ForwardKey;
use crate::limits;
use crate::nic::{Frame, Nic};
use crate::packet::emit;
use crate::packet::{Ip, icmp};
use crate::worker::{Arrival, Worker};

impl<N: Nic> Worker<N> {
    /// An ICMP error about a forwarded packet. `answers` is the direction of packets that answer that one.
    pub(crate) fn forward_related(
        &mut self,
        now: Instant,
        forward: ForwardKey,
        answers: Direction,
        arrival: &Arrival<'_, N::Frame>,
        error: &icmp::Error,
    ) {
        let quote = &error.quote;
        let Some(found) = self.forwards.get(forward).filter(|_| arrival.ip.destination == quote.source) else {
            return self.counters.count(Counter::IcmpUnmatched);
        };
        if let Some(program) = found.program() {
            self.counters.count(Counter::IcmpDelivered);
            self.datagrams_told(now, forward, error.kind);
            return self.program_told(program, error.kind);
        }
        let direction = answers.reversed();
        let sent = found.arrives[direction as usize];
        // Whoever complains about a translated destination is heard as the destination that was meant.
        let hidden = found.leaves(direction).destination.ip() != sent.destination.ip();
        let from = if hidden { sent.destination.ip() } else { arrival.ip.source };
        let to = sent.source.ip();
        let translated = found.is_translated();
        if direction == Direction::Original {
            self.datagrams_told(now, forward, error.kind);
        }
        let Some(next_hop) = self.routes.lookup(to) else { return self.counters.count(Counter::NoRoute) };
        if arrival.ip.ttl <= 1 {
            return self.counters.count(Counter::TtlExpired);
        }
        let Some(out) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        self.counters.count(Counter::IcmpDelivered);
        let bytes = &arrival.data()[arrival.ip.datagram()];
        let message = arrival.ip.transport.start - arrival.ip.header.start;
        self.deliver(now, &next_hop, out, |frame, link| {
            if translated {
                emit::translated_error(frame, link, bytes, message, (from, to), &sent).is_ok()
            } else {
                emit::forwarded(frame, link, bytes).is_ok()
            }
        });
    }

    /// A forwarded packet whose neighbour did not answer: its sender is told. `answers` as above.
    pub(crate) fn forward_unreachable(
        &mut self,
        now: Instant,
        forward: ForwardKey,
        answers: Direction,
        ip: &Ip,
        frame: &N::Frame,
    ) {
        let Some(found) = self.forwards.get(forward) else { return };
        let kind = icmp::ErrorKind::Unreachable(icmp::Unreachable::Host);
        if let Some(program) = found.program() {
            self.datagrams_told(now, forward, kind);
            return self.program_told(program, kind);
        }
        let direction = answers.reversed();
        let sent = found.arrives[direction as usize];
        let to = sent.source.ip();
        let Some(flow) = found.flows[direction as usize] else { return };
        let Some(interface) = self.flows.key(flow).map(crate::flow::Key::interface) else { return };
        if direction == Direction::Original {
            self.datagrams_told(now, forward, kind);
        }
        let Some(ours) = self.routes.source_for(interface, to) else { return };
        let bytes = &frame.data()[ip.datagram()];
        let mut quote = bytes[..bytes.len().min(limits::ICMPV6_ERROR_MAX)].to_vec();
        emit::restore(&mut quote, &sent);
        self.relay_error(now, interface, ours, to, &quote, kind.wire(to.is_ipv6()));
    }
}
