//! One TCP connection: the states of RFC 9293 over a sending half, a receiving half and a table of timers.
//!
//! **How to call it.** Input by `handle_*`, with the time; the application by `read`, `write`, `shutdown`, `close`, `abort`.
//! After any of them call [`poll_transmit`](Connection::poll_transmit) until it gives `None`, then sleep until
//! [`deadline`](Connection::deadline). Time never goes back. Output goes missing only on the wire: what `poll_transmit`
//! gave counts as sent.
//!
//! **Where what is.** `arrival.rs`: a segment's way, in the order of RFC 9293, 3.10.7. `handshake.rs`: before both SYNs are
//! acknowledged. `output.rs`: what to say next. `timeout.rs`: when a deadline comes. `close.rs`: the ways to end. The halves
//! ([`Transmit`], [`Receive`]) know nothing of states; this is the parent that decides.

mod arrival;
mod close;
mod handshake;
mod observe;
mod output;
mod timeout;

use bitflags::bitflags;

use crate::acknowledge::Acknowledge;
use crate::challenge::ChallengeLimit;
use crate::config::Config;
use crate::ecn::Notification;
use crate::limits;
use crate::open::{Agreed, Opening, PeerSyn};
use crate::options::Options;
use crate::payload::Payload;
use crate::receive::Receive;
use crate::segment::{Flags, Header};
use crate::seq::{Position, SeqNumber};
use crate::state::{Event, State};
use crate::time::Instant;
use crate::timers::Timers;
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

/// TS.Recent (RFC 7323, 4.3) and when it was taken.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    value: u32,
    at: Instant,
}

/// A connection.
#[derive(Debug)]
pub struct Connection<P> {
    state: State,
    ports: (u16, u16),
    config: Config,
    opening: Opening,
    peer: Option<PeerSyn>,
    agreed: Agreed,
    /// A SYN or SYN-ACK is to be sent, how often that was done, and when the first time.
    syn_due: bool,
    syn_tries: u8,
    syn_sent_at: Instant,
    transmit: Transmit<P>,
    receive: Receive<P>,
    acknowledge: Acknowledge,
    recent: Recent,
    notification: Notification,
    timers: Timers,
    challenge: ChallengeLimit,
    /// A segment outside of the connection's own stream: the RST of RFC 9293, 3.10.7.3.
    aside: Option<Header>,
    /// A RST is to be sent before all is over.
    reset_due: bool,
    /// A probe of the peer's window or life is to be sent.
    probe_due: bool,
    /// After [`Connection::close`]: nobody reads.
    deaf: bool,
    error: Option<Error>,
    /// Timeouts and probes in a row without an answer.
    retries: u8,
    probes: u8,
    /// How often the window was probed since data last went out: probes come ever more slowly, answered or not.
    persist_backoff: u8,
    /// Something came since the last timeout.
    heard: bool,
    last_heard: Instant,
    segments_in: u64,
    segments_out: u64,
    bytes_in: u64,
}

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
        Connection {
            state,
            ports,
            config: config.clone(),
            opening,
            peer: None,
            agreed: Agreed::new(&opening, &Options::default(), config),
            syn_due: false,
            syn_tries: 0,
            syn_sent_at: now,
            transmit: Transmit::new(now, Position::of_syn(opening.isn), settings),
            receive: Receive::new(Position::of_syn(SeqNumber(0)), config.receive_buffer, 0),
            acknowledge: Acknowledge::new(opening.mss),
            recent: Recent::default(),
            notification: Notification::default(),
            timers: Timers::new(),
            challenge: ChallengeLimit::default(),
            aside: None,
            reset_due: false,
            probe_due: false,
            deaf: false,
            error: None,
            retries: 0,
            probes: 0,
            persist_backoff: 0,
            heard: false,
            last_heard: now,
            segments_in: 0,
            segments_out: 0,
            bytes_in: 0,
        }
    }

    /// When to call [`handle_timeout`](Connection::handle_timeout).
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.next()
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
        if !self.state.may_send() || self.transmit.pieces() >= limits::SEND_PIECES_MAX {
            return 0;
        }
        usize::try_from(self.transmit.room()).unwrap_or(usize::MAX)
    }

    /// Queues data; may exceed [`writable`](Connection::writable) by less than one chunk. Before the handshake is complete it
    /// waits; after [`shutdown`](Connection::shutdown) or the end it is dropped.
    pub fn write(&mut self, data: P) {
        if self.state.may_send() && !self.transmit.is_finishing() {
            self.transmit.write(data);
        }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
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
        self.state == State::Closed && !self.reset_due && self.aside.is_none()
    }

    /// The peer's SYN or SYN-ACK, once it came.
    #[must_use]
    pub fn peer_syn(&self) -> Option<&PeerSyn> {
        self.peer.as_ref()
    }

    /// Memory is short: offer no more window than was promised, and take nothing out of order. Nothing that was offered is
    /// taken back.
    pub fn set_memory_pressure(&mut self, pressure: bool) {
        self.receive.set_pressure(pressure);
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

    fn go(&mut self, event: Event) {
        self.state = self.state.on(event);
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
