//! ICMP errors about packets of released sessions: for who sent these, from the network or, when a neighbour is silent, of
//! our own.
//!
//! The ends speak to each other, so what the network says to one is for it: the error goes on as it came, what it quotes as
//! its sender knew it.

use tcp::Instant;

use super::SpliceKey;
use crate::counters::Counter;
use crate::flow::Key;
use crate::flow::tracking::Direction;
use crate::nic::{Frame, Nic};
use crate::packet::emit::Ends;
use crate::packet::{Ip, emit, icmp};
use crate::related::about_segment;
use crate::worker::{Arrival, Worker};

impl<N: Nic> Worker<N> {
    /// An error about a packet that passed. `answers` is the direction of packets that answer that one.
    pub(crate) fn splice_related(
        &mut self,
        now: Instant,
        id: SpliceKey,
        answers: Direction,
        arrival: &Arrival<'_, N::Frame>,
        error: &icmp::Error,
    ) {
        let Some(splice) = self.splices.records.get(id).filter(|_| arrival.ip.destination == error.quote.source) else {
            return self.counters.count(Counter::IcmpUnmatched);
        };
        let next_hop = splice.hops[answers as usize];
        let translated = splice.translated;
        let shift = splice.shifts.as_ref().map(|shifts| shifts[answers.reversed() as usize]);
        // About bytes that a connection of ours still sees to.
        if let Some((tail, seq)) = self.splices.tail(id, answers).zip(error.quote.seq)
            && seq < tail.written
        {
            return match about_segment(error, arrival.ip.source.is_ipv6()) {
                Some(error) => {
                    self.counters.count(Counter::IcmpDelivered);
                    self.icmp_to_socket(now, tail.socket, error);
                }
                None => self.counters.count(Counter::IcmpUnmatched),
            };
        }
        let Some(sent) = self.splice_sent(id, answers.reversed()) else { return };
        if arrival.ip.ttl <= 1 {
            return self.counters.count(Counter::TtlExpired);
        }
        if let Some(shift) = shift {
            let bytes = &arrival.data()[error.quote.bytes.clone()];
            let mut quote = bytes[..bytes.len().min(crate::limits::ICMPV6_ERROR_MAX)].to_vec();
            emit::restore(&mut quote, &sent);
            emit::restore_seq(&mut quote, &shift);
            let Some(interface) = self.flows.key(self.splices.flow(id, answers.reversed())).map(Key::interface) else {
                return;
            };
            self.counters.count(Counter::IcmpDelivered);
            let hidden = error.quote.destination != sent.destination.ip();
            let from = if hidden { sent.destination.ip() } else { arrival.ip.source };
            return self.relay_error(now, interface, from, sent.source.ip(), &quote, error.wire);
        }
        let Some(out) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        self.counters.count(Counter::IcmpDelivered);
        let bytes = &arrival.data()[arrival.ip.datagram()];
        let message = arrival.ip.transport.start - arrival.ip.header.start;
        // Whoever complains about a translated destination is heard as the destination that was meant.
        let hidden = error.quote.destination != sent.destination.ip();
        let from = if hidden { sent.destination.ip() } else { arrival.ip.source };
        self.deliver(now, &next_hop, out, |frame, link| {
            if translated {
                emit::translated_error(frame, link, bytes, message, (from, sent.source.ip()), &sent).is_ok()
            } else {
                emit::forwarded(frame, link, bytes).is_ok()
            }
        });
    }

    /// The ends that packets arrive with.
    fn splice_sent(&self, id: SpliceKey, direction: Direction) -> Option<Ends> {
        let key = self.flows.key(self.splices.records.get(id)?.flows[direction as usize])?;
        Some(Ends { source: key.source(), destination: key.destination() })
    }

    /// A packet whose neighbour did not answer: its sender is told. `answers` as above.
    pub(crate) fn splice_unreachable(
        &mut self,
        now: Instant,
        id: SpliceKey,
        answers: Direction,
        ip: &Ip,
        frame: &N::Frame,
    ) {
        let Some(splice) = self.splices.records.get(id) else { return };
        let Some(interface) = self.flows.key(splice.flows[answers.reversed() as usize]).map(Key::interface) else {
            return;
        };
        let Some(sent) = self.splice_sent(id, answers.reversed()) else { return };
        let to = sent.source.ip();
        let Some(ours) = self.routes.source_for(interface, to) else { return };
        let bytes = &frame.data()[ip.datagram()];
        let mut quote = bytes[..bytes.len().min(crate::limits::ICMPV6_ERROR_MAX)].to_vec();
        emit::restore(&mut quote, &sent);
        if let Some(shifts) = self.splices.shifts(id) {
            emit::restore_seq(&mut quote, &shifts[answers.reversed() as usize]);
        }
        let wire = icmp::ErrorKind::Unreachable(icmp::Unreachable::Host).wire(to.is_ipv6());
        self.relay_error(now, interface, ours, to, &quote, wire);
    }
}
