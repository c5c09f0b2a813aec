//! One TCP connection: the states of RFC 9293 over a sending half, a receiving half and a table of timers.
//!
//! **How to call it.** Input by `handle_*`, with the time; the application by `read`, `write`, `shutdown`, `close`, `abort`.
//! After any of them call [`poll_transmit`](Connection::poll_transmit) until it gives `None`, then sleep until
//! [`deadline`](Connection::deadline). Time never goes back. Output goes missing only on the wire: what `poll_transmit`
//! gave counts as sent.
//!
//! **Where what is.** `hot.rs`: what nearly every segment touches; `expected.rs`: the short way it takes. `arrival.rs`: a segment's way, in the order of RFC 9293, 3.10.7. `handshake.rs`: before both SYNs are
//! acknowledged. `output.rs`: what to say next. `timeout.rs`: when a deadline comes. `close.rs`: the ways to end. The halves
//! ([`Transmit`], [`Receive`]) know nothing of states; this is the parent that decides.

mod arrival;
mod close;
mod expected;
mod handshake;
mod hot;
mod observe;
mod output;
mod standing;
mod timeout;

pub use standing::{Clocks, Standing};

use bitflags::bitflags;

use crate::acknowledge::Acknowledge;
use crate::challenge::ChallengeLimit;
use crate::config::{Config, Terms};
use crate::connection::hot::{Beat, Marks};
use crate::limits;
use crate::open::{Agreed, CompactSyn, Opening, PeerSyn};
use crate::options::Options;
use crate::payload::Payload;
use crate::receive::Receive;
use crate::segment::{Flags, Header};
use crate::seq::{Position, SeqNumber};
use crate::state::{Event, State};
use crate::time::Instant;
use crate::transmit::{Settings, Transmit};

bitflags! {
    /// What changed: why the owner may want to look.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Signals: u8 {
        /// The handshake is complete.
        const ESTABLISHED = 1;
        /// There is more to read.
        const READABLE = 2;
        /// There is room to write again; or all that was written, FIN included, is acknowledged.
        const WRITABLE = 4;
        /// The peer's FIN came.
        const PEER_FINISHED = 8;
        /// The connection is over, or only TIME-WAIT is left of it.
        const CLOSED = 16;
        /// It was reset, refused, unreachable or timed out: see [`Connection::error`].
        const RESET = 32;
    }
}

/// Why a connection ended before both sides had finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// The peer reset it, or we aborted it.
    Reset,
    /// The peer answered our SYN with a RST.
    Refused,
    /// The peer fell silent.
    TimedOut,
    /// The network said so during the handshake.
    Unreachable,
}

/// A connection. In two cache lines, `receive`, `beat` and the head of `transmit`, is what nearly every segment touches: see
/// `hot.rs`.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Connection<P> {
    receive: Receive<P>,
    beat: Beat,
    transmit: Transmit<P>,
    // From here on, what few segments touch.
    segments_out: u32,
    /// Of those that came in: how many took the long way.
    unexpected: u32,
    agreed: Agreed,
    /// Timeouts in a row without an answer.
    retries: u8,
    /// Both ways must do the same: see `expected/tests.rs`.
    #[cfg(test)]
    long_way: bool,
    terms: Terms,
    opening: CompactSyn,
    peer: CompactSyn,
    ports: (u16, u16),
    challenge: ChallengeLimit,
    /// The peer's SYN came.
    met: bool,
    /// A SYN or SYN-ACK is to be sent, and how often that was done.
    syn_due: bool,
    syn_tries: u8,
    /// Both opened at once: the SYN and the SYN-ACK were each to be sent once.
    crossed: bool,
    /// How often the window was probed since data last went out: probes come ever more slowly, answered or not.
    persist_backoff: u8,
    /// A RST is to be sent before all is over.
    reset_due: bool,
    error: Option<Error>,
    /// A segment outside of the connection's own stream: the RST of RFC 9293, 3.10.7.3.
    aside: Option<Box<Header>>,
}

/// An idle connection has this, and beside it only what it must remember: what went wrong, that the path reorders or carries less
/// than was agreed on, and the state of pacing and of a model. See `lazy.rs`.
const _: () = assert!(size_of::<Connection<bytes::Bytes>>() <= 512);

impl<P: Payload> Connection<P> {
    /// Opens; the SYN comes out of [`poll_transmit`](Connection::poll_transmit). `ports`: ours, the peer's.
    #[must_use]
    pub fn connect(now: Instant, ports: (u16, u16), config: &Config, opening: Opening) -> Connection<P> {
        let mut connection = Connection::new(now, ports, config, opening, State::SynSent);
        connection.syn_due = true;
        connection
    }

    /// Answers `syn`; the SYN-ACK comes out of [`poll_transmit`](Connection::poll_transmit). Data in the SYN is not taken:
    /// it comes again after the handshake.
    #[must_use]
    pub fn accept(now: Instant, ports: (u16, u16), config: &Config, syn: &Header, opening: Opening) -> Connection<P> {
        let mut connection = Connection::new(now, ports, config, opening, State::SynReceived);
        connection.take_syn(now, syn);
        connection.syn_due = true;
        connection
    }

    fn new(now: Instant, ports: (u16, u16), config: &Config, opening: Opening, state: State) -> Connection<P> {
        let settings = Settings {
            capacity: config.send_buffer,
            algorithm: config.congestion,
            nagle: config.nagle,
            paced: config.pacing,
        };
        let acknowledge = Acknowledge::new(opening.mss, config.delayed_ack);
        Connection {
            receive: Receive::new(Position::of_syn(SeqNumber(0)), config.receive_buffer, 0, acknowledge),
            beat: Beat::new(now, state),
            transmit: Transmit::new(now, Position::of_syn(opening.isn), settings),
            segments_out: 0,
            unexpected: 0,
            agreed: Agreed::new(&opening, &Options::default(), config.mss_max),
            retries: 0,
            #[cfg(test)]
            long_way: false,
            terms: Terms::from(config),
            opening: CompactSyn::from(&opening),
            peer: CompactSyn::default(),
            ports,
            challenge: ChallengeLimit::default(),
            met: false,
            syn_due: false,
            syn_tries: 0,
            crossed: false,
            persist_backoff: 0,
            reset_due: false,
            error: None,
            aside: None,
        }
    }

    /// When to call [`handle_timeout`](Connection::handle_timeout). It may be too early: then nothing happens but that the next
    /// deadline is worked out. An acknowledgment that puts a timeout off does not move it, so who keeps timers sets theirs only
    /// when this is earlier than what they have, and asks again when it rings.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.beat.timers.next()
    }

    /// The next piece of received data. What arrived in order stays readable after a RST: without anybody in between, the
    /// application would have had it.
    pub fn read(&mut self) -> Option<P> {
        self.receive.read()
    }

    /// Bytes that [`read`](Connection::read) will give.
    #[must_use]
    pub fn readable(&self) -> usize {
        usize::try_from(self.receive.unread()).unwrap_or(usize::MAX)
    }

    /// The peer finished, and everything was read.
    #[must_use]
    pub fn peer_finished(&self) -> bool {
        self.receive.is_finished() && self.receive.unread() == 0
    }

    /// Room for [`write`](Connection::write).
    #[must_use]
    pub fn writable(&self) -> usize {
        if !self.beat.state.may_send() || self.transmit.pieces() >= limits::SEND_PIECES_MAX {
            return 0;
        }
        usize::try_from(self.transmit.room(self.terms.initial_buffer())).unwrap_or(usize::MAX)
    }

    /// Queues data; may exceed [`writable`](Connection::writable) by less than one chunk. Before the handshake is complete it
    /// waits; after [`shutdown`](Connection::shutdown) or the end it is dropped.
    pub fn write(&mut self, data: P) {
        if self.beat.state.may_send() && !self.transmit.is_finishing() {
            self.transmit.write(data);
        }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.beat.state
    }

    /// Why it ended, if not by both sides finishing.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.error
    }

    /// Nothing left to send or to wait for: may be dropped, once what is [`readable`](Connection::readable) was read. TIME-WAIT
    /// is still to be waited for.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.beat.state == State::Closed && !self.reset_due && self.aside.is_none()
    }

    /// The peer's SYN or SYN-ACK, once it came; the echo of its timestamp is not kept.
    #[must_use]
    pub fn peer_syn(&self) -> Option<PeerSyn> {
        self.met.then(|| PeerSyn::from(&self.peer.header((self.ports.1, self.ports.0))))
    }

    /// Memory is short: offer no more window than was promised, and take nothing out of order. Nothing that was offered is
    /// taken back. A peer whose window stays closed is probed a few times more and given up (RFC 6429), as after
    /// [`close`](Connection::close).
    pub fn set_memory_pressure(&mut self, pressure: bool) {
        self.receive.set_pressure(pressure);
    }

    /// This connection's share of the owner's memory: the receive buffer grows no further than that, if it grows at all
    /// ([`Config::initial_buffer`]). It keeps what it has: no offered window is taken back. Until this is called there is no
    /// limit but the configuration's.
    pub fn set_memory_share(&mut self, bytes: u32) {
        self.receive.set_share(bytes);
    }

    /// Payload of a full segment we send: what segmentation offload cuts to. To be asked after the output that is to be cut: a
    /// probe of the path's MTU is a segment larger than the others.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "made from 16 bits")]
    pub fn mss(&self) -> u16 {
        self.transmit.cut() as u16
    }

    /// Payload of the largest segment there will ever be, probes included: the limit for
    /// [`poll_transmit`](Connection::poll_transmit) of who sends segment by segment.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "made from 16 bits")]
    pub fn mss_largest(&self) -> u16 {
        self.transmit.largest_segment() as u16
    }

    /// After [`Connection::close`]: nobody reads.
    fn is_deaf(&self) -> bool {
        self.beat.marks.contains(Marks::DEAF)
    }

    fn go(&mut self, event: Event) {
        self.beat.state = self.beat.state.on(event);
    }

    /// A header of ours with nothing in it but ports and flags.
    fn bare(&self, seq: SeqNumber, ack: SeqNumber, flags: Flags) -> Header {
        Header {
            src_port: self.ports.0,
            dst_port: self.ports.1,
            seq,
            ack,
            flags,
            window: 0,
            urgent: 0,
            options: Options::default(),
        }
    }
}
