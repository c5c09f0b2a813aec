//! The first packet of a flow: who may have it.
//!
//! The order is the policy's ([`control::policy::Policy::decide`], which `explain` runs too): tproxy entries, tproxy
//! rules, filter, zones, service. What is added here is what only the packet path knows: whether a packet may begin
//! a flow at all, and the claim of a one-shot entry, which exactly one packet on one core wins.

use std::sync::Arc;

use control::policy::{Decision, EntryMatch, Nat, NewFlow, NoTrace, RejectKind, Verdict};
use control::rules::TableKind;
use control::tproxy::{Entry, Flags};
use tcp::Instant;

use crate::counters::Counter;
use crate::facts;
use crate::flow::Key;
use crate::nic::Nic;
use crate::packet::{Transport, icmp};
use crate::worker::{Arrival, Worker};

impl<N: Nic> Worker<N> {
    /// Decides a packet that belongs to no flow.
    pub(crate) fn classify(&mut self, now: Instant, key: Key, arrival: &Arrival<'_, N::Frame>) {
        let ip = arrival.ip;
        if let Transport::Tcp { header, .. } = &ip.kind
            && !is_opening(header)
        {
            if !self.redeem_cookie(now, key, arrival) && !self.untracked(now, arrival) {
                self.stray(now, key, arrival);
            }
            return;
        }
        if ip.destination.is_multicast()
            || self.routes.is_subnet_broadcast(ip.destination)
            || is_broadcast(ip.destination)
        {
            return self.group_packet(now, arrival);
        }
        if let Transport::Icmp(icmp::Message::EchoReply(_) | icmp::Message::Other { .. }) = &ip.kind {
            if !self.untracked(now, arrival) {
                self.counters.count(Counter::IcmpUnmatched);
            }
            return;
        }
        self.spare_lingering();
        if self.takes_expected(now, key, arrival) {
            return;
        }
        let flow = self.new_flow(now, arrival);
        // A SYN that will be answered by a cookie has proven nothing yet: it may not use an entry up.
        let claims = !matches!(ip.kind, Transport::Tcp { .. }) || !self.is_flooded(now, arrival.interface);
        let decision = self.decide(&flow, claims);
        self.log_decision(now, &flow, &decision);
        match decision.verdict {
            Verdict::Proxy { .. } => self.open_session(now, key, arrival, &decision),
            Verdict::Forward => self.open_forward(now, key, arrival, &decision),
            Verdict::Local => self.local_service(now, key, arrival, &decision.nat),
            Verdict::Drop(reason) => self.counters.count(reason),
            Verdict::Reject(kind) => self.reject(now, arrival, kind),
        }
        // Nobody has let the flow in: it does not count as a connection.
        self.memory.release_holds();
    }

    pub(crate) fn new_flow(&self, now: Instant, arrival: &Arrival<'_, N::Frame>) -> NewFlow {
        let ip = arrival.ip;
        let wall = self.wall_clock(now);
        NewFlow {
            interface: arrival.interface,
            protocol: ip.protocol,
            source: ip.source_socket(),
            destination: ip.destination_socket(),
            packet: facts::of(now, wall, &arrival.packet.link, ip, arrival.data()),
        }
    }

    /// Seconds since 1970.
    pub(crate) fn wall_clock(&self, now: Instant) -> i64 {
        self.unix_at_zero.saturating_add_unsigned(now.as_micros() / 1_000_000)
    }

    /// Entries before rules; an entry for one connection only is claimed by the flow that would get in by it, and
    /// whoever loses the claim goes on as if the entry were not there.
    pub(crate) fn decide(&mut self, flow: &NewFlow, claims: bool) -> Decision {
        // What the flow before took up and did not keep, because it ended, is free again.
        self.memory.release_holds();
        let policy = Arc::clone(&self.policy);
        let seen = self.table.changes();
        let entry = self.table.lookup_foreign(flow.protocol, flow.destination, flow.source);
        self.linked.decided(entry.as_ref(), seen);
        let matched = entry.as_ref().map(entry_match);
        let decision = policy.decide(flow, matched.as_ref(), &mut self.memory, &mut NoTrace);
        let Some(entry) = entry else { return decision };
        if !claims || !takes(&decision) || self.claim(&entry) {
            return decision;
        }
        self.linked.decided(None, seen);
        policy.decide(flow, None, &mut self.memory, &mut NoTrace)
    }

    /// Claims an entry for one use; always granted when it is not a one-shot entry.
    pub(crate) fn claim(&mut self, entry: &Entry) -> bool {
        let won = self.table.claim(entry);
        let once = entry.flags.contains(Flags::ONCE);
        match (won, once) {
            (true, true) => self.counters.count(Counter::OnceClaimed),
            (true, false) => {}
            (false, _) => self.counters.count(Counter::OnceLost),
        }
        won
    }

    /// A packet that begins no flow may pass all the same where a rule says NOTRACK: each such packet is decided anew.
    /// True: it did.
    pub(crate) fn untracked(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>) -> bool {
        if !self.policy.has_table(TableKind::Raw) {
            return false;
        }
        let flow = self.new_flow(now, arrival);
        let decision = self.policy.decide(&flow, None, &mut self.memory, &mut NoTrace);
        self.memory.release_holds();
        let passes = decision.untracked && decision.verdict == Verdict::Forward;
        if passes {
            self.pass_untracked(now, arrival);
        }
        passes
    }

    /// A TCP segment that neither belongs to a flow nor may begin one.
    ///
    /// To the gateway itself it gets the RST of RFC 9293 3.10.7.1, if the filter would let it in, from the host's kernel
    /// where that has a part in the interface: it may know the connection from before a restart; on its way to
    /// others it is invalid (what netfilter does with `nf_conntrack_tcp_loose=0`) and dropped.
    fn stray(&mut self, now: Instant, key: Key, arrival: &Arrival<'_, N::Frame>) {
        let ip = arrival.ip;
        if !self.routes.is_own(ip.destination) {
            return self.counters.count(Counter::TcpOutOfState);
        }
        let flow = self.new_flow(now, arrival);
        let decision = self.policy.decide(&flow, None, &mut self.memory, &mut NoTrace);
        match decision.verdict {
            Verdict::Local => self.local_service(now, key, arrival, &decision.nat),
            Verdict::Drop(reason) => self.counters.count(reason),
            _ => self.counters.count(Counter::TcpOutOfState),
        }
        self.memory.release_holds();
    }

    /// What the filter lets in to the gateway itself: answers to echo requests; everything else is for programs on the
    /// gateway where the kernel has a part in the interface, else it finds nobody. What is answered here is answered in
    /// the name of whom the packet was sent to, so a translated destination needs no translating back.
    fn local_service(&mut self, now: Instant, key: Key, arrival: &Arrival<'_, N::Frame>, nat: &Nat) {
        // An answer to what came in fragments is longer than a frame: the kernel, where it has a part, cuts its own.
        let kernels = arrival.whole.is_some() && self.exceptions.serves(arrival.interface);
        match &arrival.ip.kind {
            Transport::Icmp(icmp::Message::EchoRequest(echo)) if !kernels => self.echo(now, arrival, echo, nat),
            // The policy takes all link-local addresses for ours; the wire may have sent us another's.
            _ if is_link_local(arrival.ip.destination)
                && !self.routes.is_own_on(arrival.interface, arrival.ip.destination) =>
            {
                self.counters.count(Counter::NoRoute);
            }
            _ if self.exceptions.serves(arrival.interface) => {
                if self.is_translated_locally(nat, arrival) {
                    self.open_local_translated(now, key, arrival, nat);
                } else {
                    self.open_local(now, key, arrival);
                }
            }
            Transport::Tcp { header, payload } => {
                self.counters.count(Counter::LocalClosedPort);
                self.refuse(now, arrival, header, payload.len());
            }
            Transport::Udp { .. } => {
                self.counters.count(Counter::LocalClosedPort);
                self.send_icmp_error(now, arrival, icmp::ErrorKind::Unreachable(icmp::Unreachable::Port));
            }
            _ => {
                self.counters.count(Counter::LocalUnhandled);
                self.send_icmp_error(now, arrival, icmp::ErrorKind::Unreachable(icmp::Unreachable::Protocol));
            }
        }
    }

    /// REJECT: dropped with an answer.
    fn reject(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>, kind: RejectKind) {
        self.counters.count(Counter::Rejected);
        let Some(unreachable) = unreachable_of(kind) else {
            if let Transport::Tcp { header, payload } = &arrival.ip.kind {
                self.refuse(now, arrival, header, payload.len());
            }
            return;
        };
        self.send_icmp_error(now, arrival, icmp::ErrorKind::Unreachable(unreachable));
    }
}

/// The ICMP error that REJECT answers with; none for a reset.
pub(crate) fn unreachable_of(kind: RejectKind) -> Option<icmp::Unreachable> {
    Some(match kind {
        RejectKind::TcpReset => return None,
        RejectKind::NetUnreachable => icmp::Unreachable::Net,
        RejectKind::HostUnreachable => icmp::Unreachable::Host,
        RejectKind::ProtoUnreachable => icmp::Unreachable::Protocol,
        RejectKind::PortUnreachable => icmp::Unreachable::Port,
        RejectKind::NetProhibited => icmp::Unreachable::NetAdminProhibited,
        RejectKind::HostProhibited => icmp::Unreachable::HostAdminProhibited,
        RejectKind::AdminProhibited => icmp::Unreachable::AdminProhibited,
    })
}

/// May this segment begin a connection? RFC 9293 3.10.7.2: in LISTEN an RST is ignored, an ACK refused, a SYN taken.
pub(crate) fn is_opening(header: &tcp::Header) -> bool {
    header.flags.contains(tcp::Flags::SYN)
        && !header.flags.intersects(tcp::Flags::ACK | tcp::Flags::RST | tcp::Flags::FIN)
}

/// Does the decision let the flow use the entry it was made with?
fn takes(decision: &Decision) -> bool {
    decision.tproxy && !matches!(decision.verdict, Verdict::Drop(_) | Verdict::Reject(_))
}

pub(crate) fn entry_match(entry: &Entry) -> EntryMatch {
    EntryMatch::from(entry)
}

fn is_link_local(address: std::net::IpAddr) -> bool {
    matches!(address, std::net::IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn is_broadcast(address: std::net::IpAddr) -> bool {
    matches!(address, std::net::IpAddr::V4(v4) if v4.is_broadcast())
}
