//! One TCP connection.

use std::marker::PhantomData;

use bitflags::bitflags;

use crate::config::Config;
use crate::discard::Discard;
use crate::icmp::IcmpError;
use crate::info::Info;
use crate::open::{Opening, PeerSyn};
use crate::payload::Payload;
use crate::segment::{Header, Segment};
use crate::state::State;
use crate::time::Instant;

bitflags! {
    /// What changed: why the owner may want to look.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Signals: u8 {
        /// The handshake is complete.
        const ESTABLISHED = 1;
        /// There is more to read.
        const READABLE = 2;
        /// There is room to write again.
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

/// A connection.
#[derive(Debug)]
pub struct Connection<P> {
    state: State,
    payload: PhantomData<P>,
}

impl<P: Payload> Connection<P> {
    /// Opens; the SYN comes out of [`poll_transmit`](Connection::poll_transmit). `ports`: ours, the peer's.
    #[must_use]
    pub fn connect(_now: Instant, _ports: (u16, u16), _config: &Config, _opening: Opening) -> Connection<P> {
        Connection { state: State::SynSent, payload: PhantomData }
    }
    /// Answers `syn`; the SYN-ACK comes out of [`poll_transmit`](Connection::poll_transmit).
    #[must_use]
    pub fn accept(
        _now: Instant,
        _ports: (u16, u16),
        _config: &Config,
        _syn: &Header,
        _opening: Opening,
    ) -> Connection<P> {
        Connection { state: State::SynReceived, payload: PhantomData }
    }
    /// A segment arrived.
    pub fn handle_segment(&mut self, _now: Instant, _segment: Segment<P>) -> Result<Signals, Discard> {
        Err(Discard::Closed)
    }
    /// To be called when [`deadline`](Connection::deadline) has come.
    pub fn handle_timeout(&mut self, _now: Instant) -> Signals {
        Signals::empty()
    }
    /// An ICMP error quoting a segment of ours arrived.
    pub fn handle_icmp(&mut self, _now: Instant, _error: IcmpError) -> Signals {
        Signals::empty()
    }
    /// The next segment to send, its payload in `chunks`; at most `limit` bytes of it.
    pub fn poll_transmit(&mut self, _now: Instant, _limit: usize, _chunks: &mut Vec<P>) -> Option<Header> {
        None
    }
    /// When to call [`handle_timeout`](Connection::handle_timeout).
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        None
    }
    /// The next piece of received data.
    pub fn read(&mut self) -> Option<P> {
        None
    }
    /// Bytes that [`read`](Connection::read) will give.
    #[must_use]
    pub fn readable(&self) -> usize {
        0
    }
    /// The peer finished, and everything was read.
    #[must_use]
    pub fn peer_finished(&self) -> bool {
        false
    }
    /// Room for [`write`](Connection::write).
    #[must_use]
    pub fn writable(&self) -> usize {
        0
    }
    /// Queues data; may exceed [`writable`](Connection::writable) by less than one chunk.
    pub fn write(&mut self, _data: P) {}
    /// Bytes written and not sent yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        0
    }
    /// Bytes sent and not acknowledged yet.
    #[must_use]
    pub fn unacked(&self) -> usize {
        0
    }
    /// Everything written, and the FIN after it, is acknowledged.
    #[must_use]
    pub fn finished(&self) -> bool {
        false
    }
    /// No more writes: a FIN follows what was written.
    pub fn shutdown(&mut self, _now: Instant) {}
    /// No more writes and no more reads: as `shutdown`, but data that still arrives resets the connection.
    pub fn close(&mut self, _now: Instant) {}
    /// Ends at once; a RST comes out of [`poll_transmit`](Connection::poll_transmit).
    pub fn abort(&mut self) {}
    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }
    /// Why it ended, if not by both sides finishing.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        None
    }
    /// Nothing left to send or to wait for: may be dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        false
    }
    /// The peer's SYN or SYN-ACK, once it came.
    #[must_use]
    pub fn peer_syn(&self) -> Option<&PeerSyn> {
        None
    }
    /// Memory is short: offer no more window than was promised.
    pub fn set_memory_pressure(&mut self, _pressure: bool) {}
    /// A look inside.
    #[must_use]
    pub fn info(&self) -> Info {
        Info::default()
    }
    /// Payload of a full segment we send: what segmentation offload cuts to.
    #[must_use]
    pub fn mss(&self) -> u16 {
        536
    }
}
