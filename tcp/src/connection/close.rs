//! The ways to end: both sides finish, one resets, one gives up, the network says no.

use crate::connection::hot::Marks;
use crate::connection::{Connection, Error, Signals};
use crate::icmp::{IcmpError, IcmpKind};
use crate::limits;
use crate::payload::Payload;
use crate::segment::{Flags, Header};
use crate::state::{Event, State};
use crate::time::Instant;
use crate::time_wait::{Last, TimeWait, is_later};
use crate::timers::Timer;

/// Length of a TCP header without options, as the MSS is counted.
const HEADER: u16 = 20;

impl<P: Payload> Connection<P> {
    /// No more writes: a FIN follows what was written. Before the handshake is complete it waits with what was written
    /// (RFC 9293, 3.10.4: "queue this until all preceding SENDs have been segmentized").
    pub fn shutdown(&mut self, _now: Instant) {
        if self.beat.state.may_send() {
            self.transmit.finish();
            self.go(Event::Close);
        }
    }

    /// No more writes and no more reads: as [`shutdown`](Connection::shutdown), but data that was not read, or that still
    /// arrives, resets the connection, and the peer's FIN is not waited for longer than the configuration says.
    pub fn close(&mut self, now: Instant) {
        self.beat.marks.insert(Marks::DEAF);
        if self.receive.unread() > 0 {
            // RFC 9293, 3.6.1 (MUST-14 and its neighbours): "CLOSE with data still unread ... SHOULD send a RST".
            self.receive.clear();
            self.abort();
            return;
        }
        self.shutdown(now);
        if self.beat.state == State::FinWait2 {
            self.beat.timers.set_if_stopped(Timer::FinWait2, || now + self.terms.fin_wait_2());
        }
    }

    /// Ends at once; a RST comes out of [`poll_transmit`](Connection::poll_transmit) if the peer knows of the connection.
    pub fn abort(&mut self) {
        if self.beat.state != State::Closed {
            self.give_up(Error::Reset);
        }
    }

    /// An ICMP error quoting a segment of ours arrived.
    ///
    /// RFC 5927, 4.1: it counts only if the quoted sequence number is in flight. RFC 9293, 3.9.2.2 (and RFC 5927, 5.2): on a
    /// synchronized connection even hard errors abort nothing; during the handshake all of them do, as on Linux.
    pub fn handle_icmp(&mut self, now: Instant, error: IcmpError) -> Signals {
        let quoted = self.transmit.head.una.near(error.seq);
        if self.beat.state == State::Closed || quoted < self.transmit.head.una || quoted >= self.transmit.head.nxt() {
            return Signals::empty();
        }
        match error.kind {
            IcmpKind::TooBig { mtu } if self.beat.state.is_synchronized() => {
                // Too small to be true is not believed: see the limit's reason.
                let mss = mtu.saturating_sub(HEADER).max(limits::MSS_MIN);
                self.transmit.on_too_big(now, mss, self.agreed.timestamps, quoted);
                Signals::empty()
            }
            IcmpKind::TooBig { .. } => Signals::empty(),
            IcmpKind::Unreachable { .. } | IcmpKind::TimeExceeded if self.beat.state == State::SynSent => {
                self.fail(Error::Unreachable)
            }
            IcmpKind::Unreachable { .. } | IcmpKind::TimeExceeded => Signals::empty(),
        }
    }

    /// The peer's FIN is in order.
    pub(super) fn on_fin(&mut self, now: Instant) -> Signals {
        self.go(Event::Fin);
        if self.beat.state == State::TimeWait {
            self.begin_time_wait(now);
            return Signals::CLOSED;
        }
        Signals::empty()
    }

    /// Our FIN is acknowledged.
    pub(super) fn on_fin_acknowledged(&mut self, now: Instant) {
        let before = self.beat.state;
        self.go(Event::FinAcknowledged);
        match self.beat.state {
            state if state == before => {}
            State::TimeWait => self.begin_time_wait(now),
            State::FinWait2 if self.is_deaf() => self.beat.timers.set(Timer::FinWait2, now + self.terms.fin_wait_2()),
            State::Closed => self.end(),
            _ => {}
        }
    }

    fn begin_time_wait(&mut self, now: Instant) {
        self.beat.timers.stop_all();
        self.beat.timers.set(Timer::TimeWait, now + self.terms.time_wait());
        self.transmit.clear();
    }

    /// It is over without a word to the peer.
    pub(super) fn fail(&mut self, error: Error) -> Signals {
        self.error = Some(error);
        self.go(Event::Abort);
        self.end();
        Signals::CLOSED | Signals::RESET
    }

    /// It is over, and the peer is told, if it knows of the connection (RFC 9293, 3.10.5).
    pub(super) fn give_up(&mut self, error: Error) -> Signals {
        let told = !matches!(self.beat.state, State::Closed | State::SynSent | State::TimeWait);
        self.reset_due = told;
        self.fail(error)
    }

    /// Nothing is sent or waited for any more; what was received in order may still be read.
    pub(super) fn end(&mut self) {
        self.beat.timers.stop_all();
        self.transmit.clear();
        self.receive.end();
        self.receive.acknowledge.on_sent();
        self.syn_due = false;
        self.beat.marks.remove(Marks::PROBE_DUE);
    }

    /// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK>`.
    pub(super) fn poll_reset(&mut self) -> Option<Header> {
        if !std::mem::take(&mut self.reset_due) {
            return None;
        }
        Some(self.bare(self.transmit.head.nxt().seq(), self.receive.next().seq(), Flags::RST | Flags::ACK))
    }

    /// TIME-WAIT is over.
    pub(super) fn on_time_wait_over(&mut self) -> Signals {
        self.go(Event::TwoMsl);
        self.end();
        Signals::CLOSED
    }

    /// What TIME-WAIT needs, in 64 bytes instead of the whole connection; the connection itself if it is in another state, or
    /// if there is something to be read yet. To be called when output is drained.
    #[expect(clippy::result_large_err, reason = "it is the connection that was given")]
    pub fn into_time_wait(mut self) -> Result<TimeWait, Connection<P>> {
        if self.beat.state != State::TimeWait || self.receive.unread() > 0 || self.receive.acknowledge.now {
            return Err(self);
        }
        let clock = self.transmit.clock();
        let window = self.receive.offer(self.receive.acknowledge.segment());
        Ok(TimeWait::new(&Last {
            ports: self.ports,
            next: (self.transmit.head.nxt().seq(), self.receive.next().seq()),
            window,
            clock,
            recent: (self.beat.recent, self.beat.last_heard),
            until: self.beat.timers.at(Timer::TimeWait),
            length: self.terms.time_wait(),
        }))
    }

    /// RFC 6191 and RFC 9293, 3.6.1: whether `syn` may begin a new connection in place of this one, which is in
    /// TIME-WAIT: its timestamp, or its sequence number, is beyond everything seen.
    #[must_use]
    pub fn may_reuse(&self, syn: &Header) -> bool {
        self.beat.state == State::TimeWait
            && syn.flags.contains(Flags::SYN)
            && !syn.flags.intersects(Flags::ACK | Flags::RST)
            && is_later(syn, self.receive.next().seq(), self.agreed.timestamps.then_some(self.beat.recent))
    }
}
