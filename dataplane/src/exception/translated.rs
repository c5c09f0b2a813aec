//! Table nat around the programs on the gateway: what `REDIRECT` and `DNAT` lead to them, and what of theirs leaves with
//! other addresses.
//!
//! Only the worker knows both sides of such a flow: the wire sees the client and the address it meant, the kernel the
//! address and port at which a program listens. As with forwarded flows the two keys of the flow's entries are the
//! translation. A program's packet that leaves translated is routed by us, for the kernel has resolved the neighbour of
//! another destination; its answers go to the device that it came from.
//!
//! Left out, counted by name: destinations that lead from a program back to the gateway, and datagrams in fragments,
//! which are not cut again once they are translated.

use std::net::IpAddr;

use control::policy::{InterfaceId, Nat};
use control::rules::TableKind;
use tcp::Instant;

use super::flows::{LocalKey, kernel_side};
use crate::counters::Counter;
use crate::flow::Key;
use crate::flow::tracking::Direction;
use crate::nat::{Wish, ends};
use crate::nic::{Frame, Nic};
use crate::packet::emit::{self, Ends};
use crate::packet::icmp;
use crate::route::NextHop;
use crate::step::Step;
use crate::worker::{Arrival, Worker};

/// What becomes of a program's flow on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Translation {
    /// What arrives in each direction, from the wire or from the kernel.
    arrives: [Ends; 2],
    /// Whose device the kernel hears it by.
    pub(super) device: InterfaceId,
}

impl Translation {
    /// What leaves in a direction.
    pub(super) fn leaves(&self, direction: Direction) -> Ends {
        self.arrives[direction.reversed() as usize].reversed()
    }

    /// Source and destination as who began the flow does not see them, each if it differs.
    pub(super) fn shown(&self) -> [Option<std::net::SocketAddr>; 2] {
        let (sent, leaves) = (self.arrives[0], self.leaves(Direction::Original));
        let other = |new, old| Some(new).filter(|new| *new != old);
        [other(leaves.source, sent.source), other(leaves.destination, sent.destination)]
    }
}

impl<N: Nic> Worker<N> {
    /// Has a flow to a program to be translated? Two clients' flows that `REDIRECT` made alike have, whatever their own
    /// rules say.
    pub(crate) fn is_translated_locally(&self, nat: &Nat, arrival: &Arrival<'_, N::Frame>) -> bool {
        let ip = arrival.ip;
        let reply = || {
            let side = kernel_side(arrival.interface, ip.destination);
            Key::new(side, ip.protocol, ip.destination_socket(), ip.source_socket())
        };
        *nat != Nat::default() || self.policy.has_table(TableKind::Nat) && self.flows.find(&reply()).is_some()
    }

    /// The first packet of a flow that table nat leads to a program.
    pub(crate) fn open_local_translated(&mut self, now: Instant, key: Key, arrival: &Arrival<'_, N::Frame>, nat: &Nat) {
        let leaves = match self.local_ends(arrival, nat) {
            Ok(leaves) => leaves,
            Err(counter) => return self.refuse_flow(now, arrival, counter),
        };
        let side = kernel_side(arrival.interface, leaves.destination.ip());
        let reply = Key::new(side, arrival.ip.protocol, leaves.destination, leaves.source);
        if let Some(local) = self.note_translated(now, arrival, (key, reply), leaves) {
            self.translated_local_packet(now, local, Direction::Original, arrival);
        }
    }

    /// As the kernel is to see a flow that came by the wire.
    fn local_ends(&mut self, arrival: &Arrival<'_, N::Frame>, nat: &Nat) -> Result<Ends, Counter> {
        let ip = arrival.ip;
        let own = ip.destination_socket();
        let destination = nat.destination.map_or(Ok(own), |range| self.destination(ip.protocol, own, &range))?;
        if !self.routes.is_own(destination.ip()) && !self.routes.is_own_on(arrival.interface, destination.ip()) {
            return Err(Counter::NatUnserved);
        }
        let side = kernel_side(arrival.interface, destination.ip());
        let wish = Wish::of(nat, ip.protocol, ip.source_socket(), true);
        let source = self.free_source(ip.protocol, &wish, destination, side)?;
        Ok(ends(ip.protocol, source, destination))
    }

    /// What a program's new flow becomes on the wire, if it becomes anything else.
    pub(super) fn output_translation(
        &mut self,
        arrival: &Arrival<'_, N::Frame>,
        nat: &Nat,
    ) -> Result<Option<(NextHop, Ends)>, Counter> {
        let (ip, interface) = (arrival.ip, arrival.interface);
        let arrives = Ends { source: ip.source_socket(), destination: ip.destination_socket() };
        let reply = Key::new(interface, ip.protocol, arrives.destination, arrives.source);
        let busy = self.policy.has_table(TableKind::Nat) && self.flows.find(&reply).is_some();
        if *nat == Nat::default() && !busy {
            return Ok(None);
        }
        let to = nat
            .destination
            .map_or(Ok(arrives.destination), |range| self.destination(ip.protocol, arrives.destination, &range))?;
        let next_hop = self.routes.lookup_from(interface, to.ip()).ok_or(Counter::NoRoute)?;
        let wish = Wish::of(nat, ip.protocol, arrives.source, true);
        let source = self.free_source(ip.protocol, &wish, to, next_hop.interface)?;
        let leaves = ends(ip.protocol, source, to);
        if leaves == arrives && next_hop.interface == interface {
            return Ok(None);
        }
        if ip.fragment.is_some() { Err(Counter::NatUnserved) } else { Ok(Some((next_hop, leaves))) }
    }

    /// The first packet of a program's flow that leaves translated.
    pub(super) fn open_output_translated(
        &mut self,
        now: Instant,
        key: Key,
        arrival: &Arrival<'_, N::Frame>,
        (next_hop, leaves): (NextHop, Ends),
    ) {
        let reply = Key::new(next_hop.interface, arrival.ip.protocol, leaves.destination, leaves.source);
        if self.note_translated(now, arrival, (key, reply), leaves).is_some() {
            self.wire_translated(now, arrival, &leaves);
        }
    }

    fn note_translated(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_, N::Frame>,
        (key, reply): (Key, Key),
        leaves: Ends,
    ) -> Option<LocalKey> {
        let local = self.note_local(now, arrival, key, reply)?;
        let arrives = [Ends { source: key.source(), destination: key.destination() }, leaves.reversed()];
        let translation = Translation { arrives, device: arrival.interface };
        self.exceptions.flows.get_mut(local)?.translation = Some(translation);
        Some(local)
    }

    /// A packet of a program's flow on its way from the wire to the kernel. False: the flow is not translated.
    pub(super) fn translated_local_packet(
        &mut self,
        now: Instant,
        local: LocalKey,
        direction: Direction,
        arrival: &Arrival<'_, N::Frame>,
    ) -> bool {
        let Some(translation) = self.translation_of(local) else { return false };
        let (leaves, ip) = (translation.leaves(direction), arrival.ip);
        let transport = ip.transport.start - ip.header.start;
        self.hand_to_kernel_changed(now, translation.device, arrival.packet, &arrival.frame, |datagram| {
            emit::translate(datagram, transport, ip.protocol, &leaves)
        });
        true
    }

    /// A packet of a program's flow on its way from the kernel to the wire. False: the flow is not translated.
    pub(super) fn translated_output_packet(
        &mut self,
        now: Instant,
        local: LocalKey,
        direction: Direction,
        arrival: &Arrival<'_, N::Frame>,
    ) -> bool {
        let Some(translation) = self.translation_of(local) else { return false };
        self.wire_translated(now, arrival, &translation.leaves(direction));
        true
    }

    fn translation_of(&self, local: LocalKey) -> Option<Translation> {
        self.exceptions.flows.get(local).and_then(|flow| flow.translation)
    }

    fn wire_translated(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>, leaves: &Ends) {
        let ip = arrival.ip;
        let transport = ip.transport.start - ip.header.start;
        self.wire_changed(now, arrival, leaves.destination.ip(), |datagram| {
            emit::translate(datagram, transport, ip.protocol, leaves)
        });
    }

    /// Sends a packet of the kernel to where it goes now, changed.
    fn wire_changed(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_, N::Frame>,
        to: IpAddr,
        change: impl FnOnce(&mut [u8]) -> bool,
    ) {
        let Some(next_hop) = self.routes.lookup_from(arrival.interface, to) else {
            return self.counters.count(Counter::NoRoute);
        };
        let datagram = &arrival.data()[arrival.ip.datagram()];
        if datagram.len() > usize::from(self.interfaces.get(next_hop.interface).mtu) {
            return self.counters.count(Counter::TooBig);
        }
        let Some(out) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        self.deliver(now, &next_hop, out, |frame, link| {
            let l2 = frame.len() + link.header_len();
            emit::carried(frame, link, datagram).is_ok() && frame.data_mut().get_mut(l2..).is_some_and(change)
        });
    }

    /// An ICMP error of the network about what a program has sent; `answers` is the direction of packets that answer
    /// that. False: the flow is not translated.
    pub(super) fn translated_local_error(
        &mut self,
        now: Instant,
        local: LocalKey,
        answers: Direction,
        arrival: &Arrival<'_, N::Frame>,
    ) -> bool {
        let Some(translation) = self.translation_of(local) else { return false };
        let (sent, addresses) = about(&translation, answers, arrival.ip.source);
        let message = arrival.ip.transport.start - arrival.ip.header.start;
        self.hand_to_kernel_changed(now, translation.device, arrival.packet, &arrival.frame, |datagram| {
            emit::translate_error(datagram, message, addresses, &sent)
        });
        true
    }

    /// An ICMP error of the kernel about what it was sent in a flow that is translated. False: it is about no such flow.
    pub(super) fn translated_output_error(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_, N::Frame>,
        quote: &icmp::Quote,
    ) -> bool {
        let side = kernel_side(arrival.interface, quote.destination);
        let key = Key::new(side, quote.protocol, quote.destination_socket(), quote.source_socket());
        let Some(Step::Local { local, direction }) = self.flows.find(&key).map(|id| self.flows[id]) else {
            return false;
        };
        let Some(translation) = self.translation_of(local) else { return false };
        let (sent, addresses) = about(&translation, direction, arrival.ip.source);
        let message = arrival.ip.transport.start - arrival.ip.header.start;
        self.wire_changed(now, arrival, addresses.1, |datagram| {
            emit::translate_error(datagram, message, addresses, &sent)
        });
        true
    }
}

/// What a quoted packet was when it was sent, and from whom to whom an error about it goes: who complains about a
/// translated destination is heard as the one that was meant.
fn about(translation: &Translation, answers: Direction, from: IpAddr) -> (Ends, (IpAddr, IpAddr)) {
    let direction = answers.reversed();
    let sent = translation.arrives[direction as usize];
    let hidden = translation.leaves(direction).destination.ip() != sent.destination.ip();
    (sent, (if hidden { sent.destination.ip() } else { from }, sent.source.ip()))
}
