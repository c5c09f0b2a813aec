//! Handshakes under way: what each end says, the other is told in the same words.
//!
//! | the server leg | the client gets |
//! | - | - |
//! | SYN-ACK | a SYN-ACK with the server's sequence number, window, MSS (clamped), window scale, SACK-permitted, timestamps |
//! | RST | that RST |
//! | ICMP error from the network | that error, quoting its own SYN |
//! | no neighbour: nobody answers ARP or ND | our host unreachable, as a router sends it (RFC 1812 5.2.7.1) |
//! | a bare SYN | nothing: when both opened at once, the SYN-ACK follows |
//! | nothing | nothing |
//!
//! | the client | the server gets |
//! | - | - |
//! | RST, before or after the SYN-ACK | that RST; a SYN-ACK that comes later, the RST the client would have sent |
//! | ICMP error about the SYN-ACK | that error, quoting its own SYN-ACK |
//! | ACK | its own SYN-ACK acknowledged: only now, so that who forges SYNs from addresses of others gets the server no |
//! | | further than a half-open connection, as without a gateway |
//!
//! The state machine is [`tcp::Embryo`]; here is what it has to do with packets, flows and sessions. A handshake with
//! our own answer (`accept: immediate`) takes the same way without a server.

use std::net::IpAddr;

use control::policy::InterfaceId;
use tcp::{Due, FromClient, FromServer, Instant, Stage};

use super::Ended;
use super::half_open::{HalfOpen, HalfOpenKey};
use crate::counters::Counter;
use crate::flow::{FlowId, Key};
use crate::link::Delivery;
use crate::nic::Nic;
use crate::packet::emit::{self, IpOut};
use crate::packet::{Transport, icmp};
use crate::socket::{IpMarks, Leg, Timer};
use crate::worker::{Arrival, Worker};

impl<N: Nic> Worker<N> {
    /// A segment of a handshake.
    pub(crate) fn half_open_segment(
        &mut self,
        now: Instant,
        id: HalfOpenKey,
        leg: Leg,
        key: Key,
        arrival: Arrival<'_, N::Frame>,
    ) {
        match (&arrival.ip.kind, leg) {
            (Transport::Tcp { header, .. }, Leg::Server) => self.server_segment(now, id, &arrival, header),
            (Transport::Tcp { .. }, Leg::Client) => self.client_segment(now, id, key, arrival),
            _ => self.counters.count(Counter::TcpOutOfState),
        }
    }

    fn server_segment(&mut self, now: Instant, id: HalfOpenKey, arrival: &Arrival<'_, N::Frame>, header: &tcp::Header) {
        let Some(record) = self.half_open.get_mut(id) else { return self.counters.count(Counter::TcpOutOfState) };
        match record.embryo.on_server(now, header) {
            FromServer::Answered => {
                record.answer_marks = IpMarks::passed_on(arrival);
                self.say_syn_ack(now, id);
            }
            FromServer::Refused => {
                self.counters.count(Counter::MirrorRefused);
                self.relay_reset(now, id, Leg::Client, arrival, header);
                self.end_half_open(now, id, proxy::Reason::ConnectRefused);
            }
            FromServer::Reset => {
                self.relay_reset(now, id, Leg::Client, arrival, header);
                self.end_half_open(now, id, proxy::Reason::ServerReset);
            }
            FromServer::Over => self.end_half_open(now, id, proxy::Reason::ClientReset),
            FromServer::Crossed => self.counters.count(Counter::MirrorSynCrossed),
            FromServer::Reply(_) => self.refuse(now, arrival, header, 0),
            FromServer::Ignored(discard) => self.counters.count(discard),
        }
    }

    fn client_segment(&mut self, now: Instant, id: HalfOpenKey, key: Key, arrival: Arrival<'_, N::Frame>) {
        let Transport::Tcp { header, payload } = &arrival.ip.kind else { return };
        let Some(record) = self.half_open.get_mut(id) else { return self.counters.count(Counter::TcpOutOfState) };
        let mirrored = record.server_flow().is_some();
        match record.embryo.on_client(now, header, payload.len()) {
            FromClient::Repeated => self.counters.count(Counter::MirrorSynRepeated),
            FromClient::AnswerAgain => {
                self.counters.count(Counter::MirrorSynRepeated);
                self.say_syn_ack(now, id);
            }
            FromClient::Replaced => {
                self.end_half_open(now, id, proxy::Reason::ClientReset);
                self.classify(now, key, &arrival);
            }
            FromClient::Withdrawn if mirrored => {
                self.counters.count(Counter::MirrorWithdrawn);
                self.relay_reset(now, id, Leg::Server, &arrival, header);
                self.watch_half_open(id);
            }
            FromClient::Withdrawn => self.end_half_open(now, id, proxy::Reason::ClientReset),
            FromClient::Established => self.establish(now, id, arrival),
            FromClient::Reply(_) => self.refuse(now, &arrival, header, payload.len()),
            FromClient::Ignored(discard) => self.counters.count(discard),
        }
    }

    /// Its time has come: what was said is said again, or waiting is over.
    pub(crate) fn half_open_timeout(&mut self, now: Instant, id: HalfOpenKey) {
        let Some(record) = self.half_open.get(id) else { return };
        let (due, stage) = (record.embryo.due(now, record.service().connect_timeout), record.embryo.stage());
        match (due, stage) {
            (Due::Nothing, _) => {}
            (Due::Again, Stage::Held) => self.say_syn(now, id),
            (Due::Again, _) => self.say_syn_ack(now, id),
            (Due::Over, Stage::Held) => {
                self.counters.count(Counter::MirrorSilent);
                self.end_half_open(now, id, proxy::Reason::ConnectTimedOut);
            }
            (Due::Over, Stage::Answered) => self.end_half_open(now, id, proxy::Reason::ClientTimedOut),
            (Due::Over, Stage::Withdrawn) => self.end_half_open(now, id, proxy::Reason::ClientReset),
        }
    }

    /// The SYN to the server.
    pub(crate) fn say_syn(&mut self, now: Instant, id: HalfOpenKey) {
        let Some((key, record)) = self.half_open_leg(id, Leg::Server) else { return };
        let (target, local) = (key.source(), key.destination());
        let Some(next_hop) = self.routes.lookup(target.ip()).filter(|hop| hop.interface == key.interface()) else {
            self.counters.count(Counter::NoRoute);
            return self.end_half_open(now, id, proxy::Reason::ConnectUnreachable);
        };
        let marks = record.syn_marks;
        let mss_max = self.mss_of_both(id, next_hop.interface, target.is_ipv6());
        let Some(record) = self.half_open.get_mut(id) else { return };
        record.syn_marks = marks.next(1);
        let header = record.embryo.say_syn(now, (local.port(), target.port()), mss_max);
        self.watch_half_open(id);
        let path = self.path(local, target, next_hop, marks);
        if self.send_segment(now, &path, tcp::Ecn::NotCapable, &header, &[], None) == Delivery::Unreachable {
            self.half_open_unreachable(now, id, Leg::Server);
        }
    }

    /// The SYN-ACK to the client.
    pub(crate) fn say_syn_ack(&mut self, now: Instant, id: HalfOpenKey) {
        let Some((key, record)) = self.half_open_leg(id, Leg::Client) else { return };
        let (client, original) = (key.source(), key.destination());
        let Some(next_hop) = self.routes.lookup_from(key.interface(), client.ip()) else {
            self.counters.count(Counter::NoRoute);
            return self.end_half_open(now, id, proxy::Reason::ClientUnreachable);
        };
        let marks = record.answer_marks;
        let mss_max = self.mss_of_both(id, next_hop.interface, client.is_ipv6());
        let Some(record) = self.half_open.get_mut(id) else { return };
        record.answer_marks = marks.next(1);
        let header = record.embryo.say_syn_ack(now, (original.port(), client.port()), mss_max);
        self.watch_half_open(id);
        let path = self.path(original, client, next_hop, marks);
        if self.send_segment(now, &path, tcp::Ecn::NotCapable, &header, &[], None) == Delivery::Unreachable {
            self.half_open_unreachable(now, id, Leg::Client);
        }
    }

    /// The largest segment that fits this link, and the other leg's: what is released goes whole over both.
    fn mss_of_both(&self, id: HalfOpenKey, link: InterfaceId, v6: bool) -> u16 {
        let legs = [Leg::Client, Leg::Server].into_iter().filter_map(|leg| self.half_open_leg(id, leg));
        let links = legs.map(|(key, _)| key.interface()).chain([link]);
        links.map(|link| self.interfaces.get(link).mss(v6)).min().unwrap_or(0)
    }

    /// Its deadline is on the wheel.
    fn watch_half_open(&mut self, id: HalfOpenKey) {
        let Some(record) = self.half_open.get_mut(id) else { return };
        let at = record.embryo.deadline(record.service().connect_timeout);
        self.shared.wheel.borrow_mut().replace(&mut record.timer, at, Timer::HalfOpen(id));
    }

    /// The key of what comes in on one leg, and the record.
    pub(crate) fn half_open_leg(&self, id: HalfOpenKey, leg: Leg) -> Option<(Key, &HalfOpen)> {
        let record = self.half_open.get(id)?;
        let flow: FlowId = match leg {
            Leg::Client => record.client_flow,
            Leg::Server => record.server_flow()?,
            // A handshake under a record has two legs.
            Leg::Related(_) => return None,
        };
        Some((*self.flows.key(flow)?, record))
    }

    /// One end's RST, for the other: the numbers are the same on both legs.
    fn relay_reset(
        &mut self,
        now: Instant,
        id: HalfOpenKey,
        to: Leg,
        arrival: &Arrival<'_, N::Frame>,
        header: &tcp::Header,
    ) {
        let Some((key, _)) = self.half_open_leg(id, to) else { return };
        let reset = tcp::Header { src_port: key.destination().port(), dst_port: key.source().port(), ..*header };
        self.counters.count(Counter::RstSent);
        self.say_to(now, key, IpMarks::passed_on(arrival), &reset);
    }

    /// A handshake ends without a session; its record is written all the same.
    pub(crate) fn end_half_open(&mut self, now: Instant, id: HalfOpenKey, reason: proxy::Reason) {
        let Some((session, interface)) = self.half_open.get(id).and_then(|record| {
            let interface = self.flows.key(record.client_flow)?.interface();
            Some((record.session(&self.flows)?, interface))
        }) else {
            return;
        };
        self.take_half_open(interface, id);
        if let Some((server, _)) = session.server.filter(|_| reason.is_of_server()) {
            self.server_failed(now, session.service(), server);
        }
        self.summarise(now, &session, Ended::unserved(reason));
    }

    /// Takes a handshake and its flows out of all tables.
    fn take_half_open(&mut self, interface: InterfaceId, id: HalfOpenKey) {
        let Some(record) = self.half_open.remove(interface, id) else { return };
        self.shared.wheel.borrow_mut().cancel(record.timer);
        self.holds.remove(&record.id);
        self.handoff.forget(record.id);
        if let Some(flow) = record.server_flow() {
            self.flows.remove(flow);
        }
        self.flows.remove(record.client_flow);
    }

    /// Ends a handshake from our side: whoever has an answer is told.
    pub(crate) fn cut_half_open(&mut self, now: Instant, id: HalfOpenKey, reason: proxy::Reason) {
        let Some(record) = self.half_open.get(id) else { return };
        let (syn, answer) = (record.embryo.syn().seq(), record.embryo.answer().seq());
        let marks = [(Leg::Client, record.answer_marks, answer, syn), (Leg::Server, record.syn_marks, syn, answer)];
        if record.embryo.stage() == Stage::Answered {
            for (leg, marks, said, heard) in marks {
                let Some((key, _)) = self.half_open_leg(id, leg) else { continue };
                let ports = (key.destination().port(), key.source().port());
                self.counters.count(Counter::RstSent);
                self.say_to(now, key, marks, &tcp::handshake_reset(ports, said, heard));
            }
        }
        self.end_half_open(now, id, reason);
    }

    /// Nobody answers for an end's address on its link: to the client we are the router that says so.
    pub(crate) fn half_open_unreachable(&mut self, now: Instant, id: HalfOpenKey, leg: Leg) {
        if leg == Leg::Client {
            return self.end_half_open(now, id, proxy::Reason::ClientUnreachable);
        }
        let Some((key, _)) = self.half_open_leg(id, Leg::Client) else { return };
        self.counters.count(Counter::MirrorUnreachable);
        if let Some(ours) = self.routes.source_for(key.interface(), key.source().ip()) {
            let v6 = key.source().is_ipv6();
            let wire = icmp::ErrorKind::Unreachable(icmp::Unreachable::Host).wire(v6);
            self.tell_half_open(now, id, Leg::Client, ours, wire);
        }
        self.end_half_open(now, id, proxy::Reason::ConnectUnreachable);
    }

    /// An ICMP error about our SYN, or our SYN-ACK: whose it really was gets it about its own, from the same router.
    ///
    /// RFC 5927, 4.1: it counts only if it quotes the number that is out.
    pub(crate) fn half_open_icmp(
        &mut self,
        now: Instant,
        id: HalfOpenKey,
        leg: Leg,
        from: IpAddr,
        error: &icmp::Error,
    ) {
        let Some(record) = self.half_open.get(id) else { return self.counters.count(Counter::IcmpUnmatched) };
        let (stage, said) = match leg {
            Leg::Server => (Stage::Held, record.embryo.syn().seq()),
            Leg::Client => (Stage::Answered, record.embryo.answer().seq()),
            Leg::Related(_) => return,
        };
        if record.embryo.stage() != stage || error.quote.seq != Some(said) {
            return self.counters.count(Counter::IcmpUnmatched);
        }
        let is_final = !matches!(error.kind, icmp::ErrorKind::TooBig { .. });
        let other = if leg == Leg::Client { Leg::Server } else { Leg::Client };
        self.tell_half_open(now, id, other, from, error.wire);
        match leg {
            Leg::Server if is_final => {
                self.counters.count(Counter::MirrorUnreachable);
                self.end_half_open(now, id, proxy::Reason::ConnectUnreachable);
            }
            Leg::Client if is_final => self.end_half_open(now, id, proxy::Reason::ClientUnreachable),
            _ => {}
        }
    }

    /// Tells one end what `from` says about its SYN or SYN-ACK.
    fn tell_half_open(&mut self, now: Instant, id: HalfOpenKey, to: Leg, from: IpAddr, wire: icmp::Wire) {
        let Some((key, record)) = self.half_open_leg(id, to) else { return };
        let (sender, receiver) = (key.source(), key.destination());
        let ports = (sender.port(), receiver.port());
        let (said, marks) = match to {
            Leg::Client => (record.embryo.syn().header(ports), record.syn_marks),
            Leg::Server => {
                let mut header = record.embryo.answer().header(ports);
                header.ack = record.embryo.syn().seq() + 1;
                (header, record.answer_marks)
            }
            Leg::Related(_) => return,
        };
        if from.is_ipv4() != sender.is_ipv4() {
            return;
        }
        // As a router that lets it pass no further would quote it.
        let ip = IpOut { ttl: marks.ttl, tos: marks.dscp, ..IpOut::new(sender.ip(), receiver.ip()) };
        let mut quote = [0; emit::QUOTE_MAX];
        let length = emit::quote_tcp(&ip, &said, 0, &mut quote);
        self.relay_error(now, key.interface(), from, sender.ip(), &quote[..length], wire);
    }
}
