//! A packet of a forwarded flow on its way out: one hop less to live (RFC 1812 5.2, RFC 8200 3), translated, and cut
//! where it must be.
//!
//! A packet that does not fit the next link is answered with the MTU (RFC 1191, RFC 8201), unless it is IPv4 and its
//! sender lets routers cut it: then it leaves in fragments. One that came in fragments was put together
//! ([`crate::reassembly`]) and is cut again: in IPv4 where it does not fit, in IPv6 into what its sender made, for there
//! no router may cut (RFC 8200 4.5). Fragments that said "don't fragment" leave no longer than they came.

use tcp::Instant;

use crate::counters::Counter;
use crate::flow::tracking::Direction;
use crate::forward::ForwardKey;
use crate::limits;
use crate::link::Delivery;
use crate::neighbour::Resolution;
use crate::nic::{Frame, Nic};
use crate::packet::emit::{self, Cut, Ends, Rewrite};
use crate::packet::{Ip, Transport, icmp};
use crate::reassembly::Whole;
use crate::route::NextHop;
use crate::worker::{Arrival, Worker};

/// How a packet fits the next link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Whole,
    Cut(Cut),
    TooBig,
}

impl<N: Nic> Worker<N> {
    /// Sends the first packet of a flow on.
    pub(super) fn pass(
        &mut self,
        now: Instant,
        forward: ForwardKey,
        direction: Direction,
        arrival: &Arrival<'_, N::Frame>,
    ) {
        let Some((next_hop, ends)) = self.way_on(forward, direction) else {
            return self.refuse_flow(now, arrival, Counter::NoRoute);
        };
        if self.send_on(now, arrival, &next_hop, Rewrite { ends: ends.as_ref(), shift: None }) {
            self.note_passed(now, forward, direction, arrival.ip);
        }
    }

    /// Sends a later packet of a flow on.
    pub(super) fn pass_through(
        &mut self,
        now: Instant,
        forward: ForwardKey,
        direction: Direction,
        arrival: Arrival<'_, N::Frame>,
    ) {
        let Some((next_hop, ends)) = self.way_on(forward, direction) else {
            return self.refuse_flow(now, &arrival, Counter::NoRoute);
        };
        let ip = arrival.ip;
        if self.send_through(now, arrival, &next_hop, Rewrite { ends: ends.as_ref(), shift: None }) {
            self.note_passed(now, forward, direction, ip);
        }
    }

    /// Where packets of a flow go, and with which ends if they change.
    fn way_on(&self, forward: ForwardKey, direction: Direction) -> Option<(NextHop, Option<Ends>)> {
        let found = self.forwards.get(forward)?;
        let leaves = found.leaves(direction);
        Some((self.routes.lookup(leaves.destination.ip())?, found.is_translated().then_some(leaves)))
    }

    fn note_passed(&mut self, now: Instant, forward: ForwardKey, direction: Direction, ip: &Ip) {
        if let Some(found) = self.forwards.get_mut(forward) {
            found.bytes[direction as usize] += match (&found.served, &ip.kind) {
                (Some(_), Transport::Udp { payload, .. }) => payload.len() as u64,
                _ => ip.datagram().len() as u64,
            };
            found.last = now;
        }
    }

    /// A packet of no flow, as `NOTRACK` wants it.
    pub(crate) fn pass_untracked(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>) {
        let Some(next_hop) = self.routes.lookup(arrival.ip.destination) else {
            return self.refuse_flow(now, arrival, Counter::NoRoute);
        };
        self.counters.count(Counter::Untracked);
        self.send_on(now, arrival, &next_hop, Rewrite::default());
    }

    /// Sends a packet on in the buffer it came in, where nothing stands against that; else as [`Worker::send_on`] does.
    pub(crate) fn send_through(
        &mut self,
        now: Instant,
        arrival: Arrival<'_, N::Frame>,
        next_hop: &NextHop,
        rewrite: Rewrite<'_>,
    ) -> bool {
        let ip = arrival.ip;
        let interface = self.interfaces.get(next_hop.interface);
        if arrival.whole.is_some() || ip.ttl <= 1 || ip.datagram().len() > usize::from(interface.mtu) {
            return self.send_on(now, &arrival, next_hop, rewrite);
        }
        let resolution = self.neighbours.resolve(now, next_hop.interface, next_hop.neighbour);
        let Resolution::Known(destination) = resolution else {
            return self.send_on(now, &arrival, next_hop, rewrite);
        };
        let link = interface.link_to(destination);
        let mut frame = arrival.frame;
        let transport = ip.transport.start - ip.header.start;
        if emit::redirected(&mut frame, &link, ip.datagram()).is_err()
            || !emit::rewrite(&mut frame.data_mut()[link.header_len()..], transport, ip.protocol, rewrite)
        {
            self.counters.count(Counter::FrameFull);
            return false;
        }
        self.counters.count(Counter::Forwarded);
        self.send(next_hop.interface, frame);
        true
    }

    /// Sends a packet on in a buffer of its own, rewritten where that is wanted. False: it ended here.
    pub(crate) fn send_on(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_, N::Frame>,
        next_hop: &NextHop,
        rewrite: Rewrite<'_>,
    ) -> bool {
        let ip = arrival.ip;
        // RFC 1812 5.3.1: "a router MUST NOT forward a packet with a TTL of 1 or 0".
        if ip.ttl <= 1 {
            self.counters.count(Counter::TtlExpired);
            self.send_icmp_error(now, arrival, icmp::ErrorKind::TimeExceeded { reassembly: false });
            return false;
        }
        let mtu = self.interfaces.get(next_hop.interface).mtu;
        let delivery = match fit(ip, arrival.whole, usize::from(mtu)) {
            Fit::TooBig => {
                self.counters.count(Counter::TooBig);
                self.send_icmp_error(now, arrival, icmp::ErrorKind::TooBig { mtu: u32::from(mtu) });
                return false;
            }
            Fit::Whole => self.send_whole(now, arrival, next_hop, rewrite),
            Fit::Cut(cut) => self.send_pieces(now, arrival, next_hop, rewrite, &cut),
        };
        match delivery {
            Delivery::Done => self.counters.count(Counter::Forwarded),
            Delivery::Lost => return false,
            Delivery::Unreachable => {
                self.send_icmp_error(now, arrival, icmp::ErrorKind::Unreachable(icmp::Unreachable::Host));
                return false;
            }
        }
        true
    }

    fn send_whole(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_, N::Frame>,
        next_hop: &NextHop,
        rewrite: Rewrite<'_>,
    ) -> Delivery {
        let ip = arrival.ip;
        let Some(out) = self.nic.allocate() else {
            self.counters.count(Counter::NoMemory);
            return Delivery::Lost;
        };
        let datagram = &arrival.data()[ip.datagram()];
        let transport = ip.transport.start - ip.header.start;
        self.deliver(now, next_hop, out, |frame, link| {
            emit::rewritten(frame, link, datagram, transport, ip.protocol, rewrite).is_ok()
        })
    }

    fn send_pieces(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_, N::Frame>,
        next_hop: &NextHop,
        rewrite: Rewrite<'_>,
        cut: &Cut,
    ) -> Delivery {
        let ip = arrival.ip;
        // Cutting is the exception: a copy to work on, as long as an IP packet at most.
        let mut datagram = arrival.data()[ip.datagram()].to_vec();
        emit::age(&mut datagram);
        emit::rewrite(&mut datagram, ip.transport.start - ip.header.start, ip.protocol, rewrite);
        let mut at = Some(0);
        while let Some(begin) = at {
            let Some(out) = self.nic.allocate() else {
                self.counters.count(Counter::NoMemory);
                return Delivery::Lost;
            };
            let delivery = self.deliver(now, next_hop, out, |frame, link| {
                let written = emit::piece(frame, link, &datagram, cut, begin);
                at = written.ok().flatten();
                written.is_ok()
            });
            if delivery != Delivery::Done {
                return delivery;
            }
            self.counters.count(Counter::Fragmented);
        }
        Delivery::Done
    }
}

fn fit(ip: &Ip, whole: Option<&Whole>, mtu: usize) -> Fit {
    let size = ip.datagram().len();
    match whole {
        None if size <= mtu => Fit::Whole,
        None if ip.dont_fragment => Fit::TooBig,
        None => {
            Fit::Cut(Cut { limit: mtu, repeated: ip.header.len(), next_at: 0, identification: 0, dont_fragment: false })
        }
        Some(whole) if ip.source.is_ipv6() || whole.dont_fragment => {
            if usize::from(whole.longest) > mtu {
                return Fit::TooBig;
            }
            let least = if ip.source.is_ipv6() { limits::IPV6_MTU_MIN } else { 0 };
            let limit = usize::from(whole.longest).max(least).min(mtu);
            if size > limit { Fit::Cut(whole.cut(limit)) } else { Fit::Whole }
        }
        Some(_) if size <= mtu => Fit::Whole,
        Some(whole) => Fit::Cut(whole.cut(mtu)),
    }
}
