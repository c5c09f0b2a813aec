//! SYN floods: when handshakes under way pass their budget, SYN cookies prove the client before anything is spent on it.
//!
//! ```text
//!   SYN ──→ flooded? ── no ──→ a record ([`super::half_open`])
//!               └ yes ──→ a SYN-ACK that needs none (tcp::SynCookies) ── ACK with the cookie ──→ a session, whatever
//!                                                                                     its service's `accept` says
//! ```
//!
//! The mode is an interface's own: it begins when the interface's handshakes take [`limits::half_open_share`] of the
//! core's budget, or all interfaces' the whole, and ends when half is free again and cookies come back as fast as they
//! are sent, so that the flood that began it would not begin it again within a minute. Sessions that began with a
//! cookie are accepted first and connected then, from the client's address; a refusal of the server resets the client.
//!
//! Left out: what the client's SYN said beside MSS, window scale, SACK and timestamps. A cookie may be brought back
//! again as long as it is fresh (two minutes); it opens what its owner could open by a handshake.

use control::mailbox::FromCore;
use control::policy::{InterfaceId, Verdict};
use tcp::{Connection, Flow, Instant, Opening, Proof, SynCookies, TimestampClock};

use super::Session;
use super::half_open::Decided;
use crate::counters::Counter;
use crate::flow::Key;
use crate::limits;
use crate::nic::Nic;
use crate::packet::Transport;
use crate::socket::{IpMarks, Leg};
use crate::step::Step;
use crate::worker::{Arrival, Worker};

/// Cookies, and which interfaces are flooded.
pub(crate) struct Flood {
    cookies: SynCookies,
    secret_since: Option<Instant>,
    last_cookie: Option<Instant>,
    budget: usize,
    interfaces: Vec<Mode>,
}

/// An interface's.
#[derive(Clone, Copy, Debug, Default)]
struct Mode {
    flooded: bool,
    /// Cookies that have not come back: in this second, and in the one before.
    second: u64,
    unproven: u32,
    before: u32,
}

/// What a look at the budget changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Nothing,
    Begins,
    Ends,
}

impl Flood {
    pub(crate) fn new(budget: usize, secret: [u8; 16]) -> Self {
        let cookies = SynCookies::new(secret);
        Self { cookies, secret_since: None, last_cookie: None, budget, interfaces: Vec::new() }
    }

    /// Interfaces that are flooded.
    pub(crate) fn flooded(&self) -> usize {
        self.interfaces.iter().filter(|mode| mode.flooded).count()
    }

    /// Is this one? `own` handshakes under way began on it, of `all`.
    fn look(&mut self, now: Instant, interface: InterfaceId, own: usize, all: usize) -> (bool, Change) {
        let budget = self.budget;
        let mode = self.mode(interface);
        mode.roll(now);
        if !mode.flooded {
            mode.flooded = own >= limits::half_open_share(budget) || all >= budget;
            return (mode.flooded, if mode.flooded { Change::Begins } else { Change::Nothing });
        }
        // The half that is free again would last a minute.
        let a_minute = 60 * mode.before.max(mode.unproven) as usize;
        mode.flooded = own.max(all) > budget / 2 || a_minute > budget / 2;
        (mode.flooded, if mode.flooded { Change::Nothing } else { Change::Ends })
    }

    fn mode(&mut self, interface: InterfaceId) -> &mut Mode {
        if self.interfaces.len() <= interface.index() {
            self.interfaces.resize(interface.index() + 1, Mode::default());
        }
        &mut self.interfaces[interface.index()]
    }

    /// RFC 4987, 3.6 and Linux: who has sent no cookies lately need not look at guesses.
    fn believes(&self, now: Instant) -> bool {
        self.last_cookie.is_some_and(|at| now - at <= limits::COOKIE_LIFETIME)
    }
}

impl Mode {
    fn roll(&mut self, now: Instant) {
        let second = now.as_micros() / 1_000_000;
        if second != self.second {
            self.before = if second == self.second + 1 { self.unproven } else { 0 };
            (self.second, self.unproven) = (second, 0);
        }
    }
}

impl<N: Nic> Worker<N> {
    /// Must SYNs from this interface be answered by cookies?
    pub(crate) fn is_flooded(&mut self, now: Instant, interface: InterfaceId) -> bool {
        let (own, all) = (self.half_open.on(interface), self.half_open.len());
        let (flooded, change) = self.half_open.flood.look(now, interface, own, all);
        let (counter, what) = match change {
            Change::Nothing => return flooded,
            Change::Begins => (Counter::FloodBegan, "SYN flood: answering with SYN cookies"),
            Change::Ends => (Counter::FloodEnded, "SYN flood is over: handshakes are mirrored again"),
        };
        self.counters.count(counter);
        let line = format!("interface {}: {what} ({own} of {all} handshakes)", self.interfaces.get(interface).name);
        if self.control.try_send(FromCore::Notice(line)).is_err() {
            self.counters.count(Counter::RecordLost);
        }
        flooded
    }

    /// Answers a SYN without keeping anything of it.
    pub(crate) fn send_cookie(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>, syn: &tcp::Header) {
        let (client, original) = (arrival.ip.source_socket(), arrival.ip.destination_socket());
        let Some(next_hop) = self.routes.lookup_from(arrival.interface, client.ip()) else {
            return self.counters.count(Counter::NoRoute);
        };
        let flow = Flow { local: original, remote: client };
        let opening = self.own_opening(now, &flow, self.interfaces.get(next_hop.interface).mss(client.is_ipv6()));
        let mut answer = opening.syn_ack(now, (original.port(), client.port()), syn, limits::WINDOW_ON_SYN, false);
        let expired = self.half_open.flood.secret_since.is_none_or(|at| now - at >= limits::COOKIE_SECRET_LIFETIME);
        if expired {
            let secret = self.random.key();
            self.half_open.flood.cookies.rotate(now, secret);
            self.half_open.flood.secret_since = Some(now);
        }
        let flood = &mut self.half_open.flood;
        flood.cookies.mark(now, &flow, syn, &mut answer);
        flood.last_cookie = Some(now);
        let mode = flood.mode(arrival.interface);
        mode.unproven = mode.unproven.saturating_add(1);
        self.counters.count(Counter::SynCookieSent);
        let path = self.path(original, client, next_hop, IpMarks::of_answer(arrival.ip));
        self.send_segment(now, &path, tcp::Ecn::NotCapable, &answer, &[], None);
    }

    /// A segment of no flow: does it bring a cookie back? `true`: it has found its end here.
    pub(crate) fn redeem_cookie(&mut self, now: Instant, key: Key, arrival: &Arrival<'_, N::Frame>) -> bool {
        let Transport::Tcp { header, payload } = &arrival.ip.kind else { return false };
        let opens = tcp::Flags::ACK;
        let kind = header.flags & (tcp::Flags::ACK | tcp::Flags::SYN | tcp::Flags::RST);
        if kind != opens || !self.half_open.flood.believes(now) {
            return false;
        }
        let flow = Flow { local: arrival.ip.destination_socket(), remote: arrival.ip.source_socket() };
        match self.half_open.flood.cookies.check(now, &flow, header) {
            Proof::Good(syn) => {
                self.counters.count(Counter::SynCookieGood);
                let mode = self.half_open.flood.mode(arrival.interface);
                mode.unproven = mode.unproven.saturating_sub(1);
                self.open_proven(now, key, arrival, &syn);
                true
            }
            Proof::Late => {
                self.counters.count(Counter::SynCookieExpired);
                self.refuse(now, arrival, header, payload.len());
                true
            }
            // Somebody else's connection, or a guess.
            Proof::Wrong if self.routes.is_own(arrival.ip.destination) => false,
            Proof::Wrong => {
                self.counters.count(Counter::SynCookieBad);
                true
            }
        }
    }

    /// The client is there: now the flow is decided in earnest, one-shot entries included.
    fn open_proven(&mut self, now: Instant, key: Key, arrival: &Arrival<'_, N::Frame>, syn: &tcp::Header) {
        let Transport::Tcp { header, payload } = &arrival.ip.kind else { return };
        let (client, original) = (arrival.ip.source_socket(), arrival.ip.destination_socket());
        let mut flow = self.new_flow(now, arrival);
        // Rules look at first packets: this one stands for its SYN.
        flow.packet.tcp_flags = tcp::Flags::SYN.bits() as u8;
        let decision = self.decide(&flow, true);
        let Verdict::Proxy { service, listener, .. } = decision.verdict else {
            self.counters.count(Counter::TcpOutOfState);
            return self.refuse(now, arrival, header, payload.len());
        };
        let admitted = self.admit(arrival, service);
        let next_hop = self.routes.lookup_from(arrival.interface, client.ip()).ok_or(Counter::NoRoute);
        let next_hop = match admitted.and(next_hop) {
            Ok(next_hop) => next_hop,
            Err(counter) => {
                self.counters.count(counter);
                return self.refuse(now, arrival, header, payload.len());
            }
        };
        let mss = self.interfaces.get(next_hop.interface).mss(client.is_ipv6());
        let opening =
            Opening { isn: header.ack - 1, ..self.own_opening(now, &Flow { local: original, remote: client }, mss) };
        let config = super::connect::tcp_config(mss, false);
        let ports = (original.port(), client.port());
        let mut connection = Connection::proven(now, ports, &config, syn, opening.after_cookie(syn));
        // Data that came with it, because the bare ACK was lost, comes again; a FIN behind it too.
        let bare = if payload.is_empty() { *header } else { without_fin(header) };
        let segment =
            tcp::Segment { header: bare, payload: smallvec::SmallVec::new(), ecn: tcp::Ecn::from_bits(arrival.ip.tos) };
        if let Err(discard) = connection.handle_segment(now, segment) {
            return self.counters.count(discard);
        }
        let client_flow =
            match self.flows.insert(key, Step::Proxy { session: super::SessionKey::default(), leg: Leg::Client }) {
                Ok(flow) => flow,
                Err(refused) => {
                    self.counters.count(refused);
                    return self.refuse(now, arrival, header, payload.len());
                }
            };
        let decided = Decided::new(&self.policy, service, listener, &decision);
        if !decided.accept() {
            self.flows.remove(client_flow);
            self.counters.count(Counter::ListenerOver);
            return self.refuse(now, arrival, header, payload.len());
        }
        self.sessions_started += 1;
        if let Some(holds) = self.memory.take_holds() {
            self.holds.insert(self.sessions_started, holds);
        }
        self.handoff.decided(&self.policy, &decision);
        self.handoff.note(self.sessions_started);
        let session =
            Session::new(self.sessions_started, decided, arrival.interface, (client, original), now, client_flow);
        let marks = self.own_marks(arrival.ip.tos);
        let path = self.path(original, client, next_hop, marks);
        self.begin(now, session, (connection, path), None);
    }

    /// What a SYN or SYN-ACK in our own voice says on this flow; the same at any time but for the number.
    pub(crate) fn own_opening(&self, now: Instant, flow: &Flow, mss: u16) -> Opening {
        Opening {
            isn: self.isn.isn(now, flow.local, flow.remote),
            mss,
            window_scale: Some(limits::WINDOW_SCALE),
            sack_permitted: true,
            timestamp: Some(TimestampClock::with_offset(self.isn.timestamp_offset(flow.local, flow.remote))),
        }
    }
}

fn without_fin(header: &tcp::Header) -> tcp::Header {
    tcp::Header { flags: header.flags.difference(tcp::Flags::FIN), ..*header }
}

#[cfg(test)]
mod tests;
