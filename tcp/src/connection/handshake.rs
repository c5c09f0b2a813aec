//! Until both SYNs are acknowledged: RFC 9293, 3.10.7.3 (SYN-SENT) and what is special in SYN-RECEIVED.

use crate::config::Config;
use crate::connection::hot::Marks;
use crate::connection::{Connection, Error, Signals};
use crate::discard::Discard;
use crate::ecn::Notification;
use crate::open::{Agreed, CompactSyn, Opening, PeerSyn};
use crate::options::Timestamp;
use crate::payload::Payload;
use crate::receive::Receive;
use crate::reset::reset_for;
use crate::segment::{Flags, Header, Segment};
use crate::seq::Position;
use crate::state::{Event, State};
use crate::time::Instant;
use crate::timers::Timer;
use crate::window::SendWindow;

impl<P: Payload> Connection<P> {
    /// As [`accept`](Connection::accept), for a SYN-ACK that a listener sent before there was a connection: first when, and how
    /// often; none if nobody remembers. The first round trip is measured only if it was sent once (RFC 6298, 3).
    pub(crate) fn answered(
        now: Instant,
        sent: Option<(Instant, u8)>,
        ports: (u16, u16),
        config: &Config,
        syn: &Header,
        opening: Opening,
    ) -> Connection<P> {
        let at = sent.map_or(now, |(at, _)| at);
        let mut connection = Connection::accept(at, ports, config, syn, opening);
        connection.poll_syn(at);
        connection.syn_tries = sent.map_or(0, |(_, tries)| tries);
        connection.beat.last_heard = now.tick();
        connection
    }

    /// RFC 9293, 3.10.7.3: the answer to our SYN.
    pub(super) fn arrival_in_syn_sent(&mut self, now: Instant, segment: &Segment<P>) -> Result<Signals, Discard> {
        let header = &segment.header;
        let ack = header.flags.contains(Flags::ACK).then(|| self.transmit.head.una.near(header.ack));
        // First, check the ACK bit: "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set)".
        if ack.is_some_and(|ack| ack <= self.transmit.head.una || ack > self.transmit.head.nxt()) {
            self.aside = reset_for(header, 0).map(Box::new);
            return Err(Discard::HandshakeAck);
        }
        // Second, check the RST bit. "If the RST bit is set ... If the ACK was acceptable then ... error: connection reset".
        if header.flags.contains(Flags::RST) {
            if ack.is_none() {
                return Err(Discard::HandshakeReset);
            }
            return Ok(self.fail(Error::Refused));
        }
        // Fourth, check the SYN bit.
        if !header.flags.contains(Flags::SYN) {
            return Err(Discard::HandshakeNoSyn);
        }
        self.take_syn(now, header);
        if ack.is_some() {
            self.beat.notification.on_syn_ack(self.terms.ecn, self.syn_tries, &PeerSyn::from(header));
            self.go(Event::SynAck);
            self.receive.acknowledge.now = true;
            return Ok(self.establish(now));
        }
        // "Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment": simultaneous open.
        self.go(Event::Syn);
        (self.syn_due, self.crossed) = (true, true);
        self.beat.timers.stop(Timer::Handshake);
        Ok(Signals::empty())
    }

    /// The peer's SYN is known: what it said counts from now on.
    pub(super) fn take_syn(&mut self, now: Instant, header: &Header) {
        self.agreed = Agreed::new(&self.opening.opening(), &header.options, self.terms.mss_max);
        let irs = Position::of_syn(header.seq);
        let buffer = self.terms.receive_buffer.min(self.terms.initial_buffer());
        let acknowledge = self.receive.acknowledge.clone();
        self.receive = Receive::new(irs + 1, buffer, self.agreed.receive_shift, acknowledge);
        // The window of a segment with SYN is never scaled (RFC 7323, 2.2).
        let window = SendWindow::new(self.agreed.send_shift, self.transmit.head.nxt(), header.window, irs);
        let (algorithm, probing) = (self.terms.congestion, self.terms.path_mtu_probing);
        self.transmit.agree(&self.agreed, self.opening.opening().timestamp, algorithm, probing, window);
        if let Some(Timestamp { value, .. }) = header.options.timestamp {
            self.beat.recent = value;
        }
        (self.peer, self.met) = (CompactSyn::from(header), true);
        self.beat.marks.set(Marks::STAMPS, self.agreed.timestamps);
        self.beat.last_heard = now.tick();
    }

    /// Our SYN is acknowledged.
    pub(super) fn establish(&mut self, now: Instant) -> Signals {
        let resent = self.syn_tries > 1 + u8::from(self.crossed);
        self.retries = 0;
        // RFC 6298, 3 (Karn): of a SYN and a SYN-ACK with the same number nobody knows which was acknowledged; lost is neither.
        if self.syn_tries == 1 {
            self.transmit.rtt.sample(now, now - self.transmit.last_sent(), 1);
        }
        self.transmit.establish(resent);
        self.beat.timers.stop(Timer::Handshake);
        self.syn_due = false;
        if let Some(keepalive) = self.terms.keepalive() {
            self.beat.timers.set(Timer::KeepAlive, now + keepalive.idle);
        }
        if self.transmit.is_finishing() {
            self.go(Event::Close);
        }
        Signals::ESTABLISHED | Signals::WRITABLE
    }

    /// In SYN-RECEIVED, a SYN with the number we know: the peer has not heard ours. Or, when both opened at once, its
    /// SYN-ACK: then the rest of it counts.
    pub(super) fn repeated_syn(&mut self, now: Instant, header: &Header) -> Option<Discard> {
        let known = self.met && self.peer.seq() == header.seq;
        if self.beat.state != State::SynReceived || !known || !header.flags.contains(Flags::SYN) {
            return None;
        }
        if header.flags.contains(Flags::RST) || header.flags.contains(Flags::ACK) {
            return None;
        }
        if self.challenge.allow(now) {
            self.syn_due = true;
        }
        Some(Discard::Duplicate)
    }

    /// The SYN or SYN-ACK, if one is due.
    pub(super) fn poll_syn(&mut self, now: Instant) -> Option<Header> {
        if !std::mem::take(&mut self.syn_due) {
            return None;
        }
        if self.syn_tries == 0 {
            self.transmit.on_syn_sent(now);
        }
        self.syn_tries = self.syn_tries.saturating_add(1);
        self.beat.timers.set(Timer::Handshake, now + self.transmit.rtt.timeout());
        let opening = self.opening.opening();
        let isn = opening.isn;
        let mut header = if self.beat.state == State::SynReceived {
            self.receive.acknowledge.on_sent();
            self.bare(isn, self.receive.next().seq(), Flags::SYN | Flags::ACK)
        } else {
            self.bare(isn, crate::SeqNumber(0), Flags::SYN)
        };
        header.window = self.receive.offer_on_syn();
        let answered = self.peer_syn().filter(|_| self.beat.state == State::SynReceived);
        header.flags |= match &answered {
            Some(peer) => self.beat.notification.accept(self.terms.ecn, peer),
            None => Notification::on_syn(self.terms.ecn, self.syn_tries),
        };
        let theirs = answered.map(|peer| peer.options);
        header.options = opening.options(now, theirs.as_ref());
        if let Some(timestamp) = &mut header.options.timestamp {
            timestamp.echo = if theirs.is_some() { self.beat.recent } else { 0 };
        }
        Some(header)
    }
}
