//! What to say next. One call, one segment; what matters most goes first: RST, handshake, lost data, new data, FIN, ACK.

use crate::connection::hot::Marks;
use crate::connection::{Connection, Signals};
use crate::options::{Options, SackBlocks, Timestamp};
use crate::payload::Payload;
use crate::segment::{Ecn, Flags, Header};
use crate::seq::Position;
use crate::state::State;
use crate::time::Instant;
use crate::timers::Timer;
use crate::transmit::Outgoing;

impl<P: Payload> Connection<P> {
    /// The next segment to send, its payload in `chunks` (which is cleared first); at most `limit` bytes of it. With a `limit`
    /// above [`mss_largest`](Connection::mss_largest) the payload may be several segments' worth, to be cut to
    /// [`mss`](Connection::mss) by the NIC or in software; all but the last are full, and FIN and PSH belong to the last.
    pub fn poll_transmit(&mut self, now: Instant, limit: usize, chunks: &mut Vec<P>) -> Option<Header> {
        chunks.clear();
        self.beat.notification.mark(false);
        let header = self.poll_header(now, limit, chunks);
        match &header {
            Some(_) => self.segments_out = self.segments_out.wrapping_add(1),
            None => self.rearm(now),
        }
        header
    }

    /// What the ECN field of the IP header must say for what [`poll_transmit`](Connection::poll_transmit) gave last.
    #[must_use]
    pub fn ecn_codepoint(&self) -> Ecn {
        self.beat.notification.codepoint()
    }

    fn poll_header(&mut self, now: Instant, limit: usize, chunks: &mut Vec<P>) -> Option<Header> {
        if let Some(header) = self.aside.take().map(|header| *header).or_else(|| self.poll_reset()) {
            return Some(header);
        }
        match self.beat.state {
            State::Closed => None,
            State::SynSent => self.poll_syn(now),
            State::SynReceived => self.poll_syn(now).or_else(|| self.poll_ack(now)),
            _ => self.poll_synchronized(now, limit, chunks),
        }
    }

    fn poll_synchronized(&mut self, now: Instant, limit: usize, chunks: &mut Vec<P>) -> Option<Header> {
        let Connection { receive, transmit, terms, .. } = self;
        receive.tune(now, terms.receive_buffer, || transmit.rtt.smoothed());
        if !self.receive.acknowledge.now && self.receive.update_is_due(self.receive.acknowledge.segment()) {
            self.receive.acknowledge.now = true;
        }
        // SACK blocks travel alone, so that segments with data keep their full size and duplicates count as such.
        if self.receive.acknowledge.now && self.receive.has_blocks() {
            return self.poll_ack(now);
        }
        if let Some(outgoing) = self.transmit.next(now, limit) {
            return Some(self.data(now, &outgoing, chunks));
        }
        self.poll_ack(now).or_else(|| self.poll_probe(now))
    }

    fn data(&mut self, now: Instant, outgoing: &Outgoing, chunks: &mut Vec<P>) -> Header {
        self.transmit.slices(outgoing, chunks);
        if !outgoing.again {
            // RFC 8985, 7.2: the probe timer starts anew after new data.
            self.beat.timers.stop(Timer::LossProbe);
        } else if outgoing.start == self.transmit.head.una {
            // What holds everything up was sent again: it gets a whole timeout to arrive.
            self.beat.timers.set(Timer::Retransmit, now + self.transmit.rtt.timeout());
        }
        self.beat.timers.set_if_stopped(Timer::Retransmit, || now + self.transmit.rtt.timeout());
        let mut flags = Flags::ACK;
        flags.set(Flags::FIN, outgoing.fin);
        // RFC 9293, 3.9.1.2 (MUST-61): PSH "in the last buffered segment (i.e., when there is no more queued data to be sent)".
        flags.set(Flags::PSH, outgoing.push && outgoing.end > outgoing.start);
        let new_data = !outgoing.again && outgoing.end > outgoing.start;
        self.beat.notification.mark(new_data);
        // RFC 3168, 6.1.2: "sets the CWR flag ... on the first new data packet sent after the window reduction".
        flags.set(Flags::CWR, new_data && self.beat.notification.is_agreed() && self.transmit.take_reduced());
        self.header(now, outgoing.start, flags, SackBlocks::new())
    }

    /// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`, if one is due.
    fn poll_ack(&mut self, now: Instant) -> Option<Header> {
        if !self.receive.acknowledge.now {
            return None;
        }
        let blocks = self.receive.blocks(Options::sack_room(self.agreed.timestamps));
        let blocks = if self.agreed.sack { blocks } else { SackBlocks::new() };
        Some(self.header(now, self.transmit.head.nxt(), Flags::ACK, blocks))
    }

    /// A segment that the peer cannot accept, and so must answer: one before what it expects, without data. It asks for the
    /// window (RFC 9293, 3.8.6.1) and for life (3.8.4: "SEG.SEQ = SND.NXT-1"). Unlike a byte of new data it sends nothing
    /// beyond the window; Linux asks the same way.
    fn poll_probe(&mut self, now: Instant) -> Option<Header> {
        if !self.beat.take(Marks::PROBE_DUE) {
            return None;
        }
        Some(self.header(now, self.transmit.head.una.minus(1), Flags::ACK, SackBlocks::new()))
    }

    /// A header with the newest acknowledgment and window.
    fn header(&mut self, now: Instant, seq: Position, flags: Flags, sack: SackBlocks) -> Header {
        let window = self.receive.offer(self.receive.acknowledge.segment());
        let flags = flags | self.beat.notification.on_ack();
        let mut header = self.bare(seq.seq(), self.receive.next().seq(), flags);
        header.window = window;
        header.options.sack = sack;
        if let Some(clock) = self.transmit.clock() {
            header.options.timestamp = Some(Timestamp { value: clock.value(now), echo: self.beat.recent });
        }
        self.receive.acknowledge.on_sent();
        self.beat.timers.stop(Timer::DelayedAck);
        header
    }
}

impl Signals {
    /// Nothing more will come of the connection.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.intersects(Signals::CLOSED | Signals::RESET)
    }
}
