//! The data of one transfer: two connections that come to be, and bytes from one to the other.
//!
//! ```text
//! each end:   Waiting ──open──→ Expected / Connecting ──→ (TLS) ──→ Ready
//! the bytes:  source ──chunk by chunk──→ sink ──FIN behind the last one──→ acknowledged: Done
//! ```
//!
//! What must hold: bytes go one way only, the way of the command, so that no data connection is a tunnel; one chunk is held
//! at most, while the sink is not there yet or has no room; what ends early ends both connections by a reset, because a FIN
//! would be the end of a file.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::known::Direction;
use super::limits::CHUNKS_PER_POLL;
use super::wire::Wire;
use crate::host::{ConnectError, Host, Listener, Related};
use crate::outcome::Side;
use crate::session::SessionId;
use crate::stack::{BoxStream, LocalFuture};
use crate::stream::{Chunk, Stream, StreamError};

/// How one end of a transfer is to be had.
pub enum Endpoint<H: Host> {
    /// The peer connects here.
    Listen(H::Listener),
    /// We connect there.
    Connect(Related),
}

impl<H: Host> Endpoint<H> {
    /// For records: who connects, in FTP's words.
    pub fn mode(&self, side: Side) -> &'static str {
        match (side, self) {
            (Side::Client, Endpoint::Listen(_)) | (Side::Server, Endpoint::Connect(_)) => "passive",
            (Side::Client, Endpoint::Connect(_)) | (Side::Server, Endpoint::Listen(_)) => "active",
        }
    }
}

/// Puts a connection into TLS.
pub type Handshake = Box<dyn FnOnce(BoxStream) -> LocalFuture<'static, Result<BoxStream, String>>>;

/// How a connection is used.
#[derive(Default)]
pub enum Security {
    /// That is not to be known yet.
    #[default]
    Undecided,
    /// As it is.
    Plain,
    /// Within TLS.
    Tls(Handshake),
}

/// Is this peer the one that was meant? For who listens.
pub type Judge = Box<dyn Fn(SocketAddr) -> bool>;

/// Why a transfer's data did not get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A connection could not be had.
    Setup(Side, ConnectError),
    /// It did not come to be in time.
    TooLate(Side),
    /// Somebody else connected.
    WrongPeer(Side, SocketAddr),
    /// TLS could not be set up.
    Tls(Side, String),
    /// A connection failed.
    Failed(Side, StreamError),
    /// The receiver sent something.
    WrongWay(Side),
    /// The transfer was given up.
    GivenUp,
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// The first bytes came from the source, or its end.
    Begun,
    /// The sink has all of it.
    Done,
    /// It is over.
    Broken(Broken),
}

/// See the module.
pub struct Channel<H: Host> {
    client: End<H>,
    server: End<H>,
    direction: Direction,
    held: Option<<H::Stream as Stream>::Chunk>,
    begun: bool,
    ended: bool,
    over: bool,
    moved: bool,
    bytes: u64,
    unacknowledged: usize,
}

/// One end of it.
struct End<H: Host> {
    side: Side,
    state: EndState<H>,
    security: Security,
    judge: Option<Judge>,
}

enum EndState<H: Host> {
    /// Not asked for yet.
    Waiting(Related),
    /// The peer is to come.
    Expected(H::Listener),
    Connecting(LocalFuture<'static, Result<H::Stream, ConnectError>>),
    /// There, and TLS is not to begin yet.
    Connected(H::Stream),
    Handshaking(LocalFuture<'static, Result<BoxStream, String>>),
    Ready(Wire<H::Stream>),
}

impl<H: Host> Channel<H> {
    /// Listeners are listened to at once; nothing is connected to before [`Channel::open`].
    pub fn new(client: Endpoint<H>, server: Endpoint<H>, direction: Direction) -> Channel<H> {
        Channel {
            client: End::new(Side::Client, client),
            server: End::new(Side::Server, server),
            direction,
            held: None,
            begun: false,
            ended: false,
            over: false,
            moved: false,
            bytes: 0,
            unacknowledged: 0,
        }
    }

    /// Whom to take for the peer where one is waited for.
    pub fn judge(&mut self, side: Side, judge: Judge) {
        self.end(side).judge = Some(judge);
    }

    /// Connects to a peer that waits.
    pub fn connect(&mut self, side: Side, host: &H, id: SessionId) {
        let end = self.end(side);
        if let EndState::Waiting(related) = &end.state {
            let (host, related) = (host.clone(), related.clone());
            end.state = EndState::Connecting(Box::pin(async move { host.connect_related(id, related).await }));
        }
    }

    /// Says how the connection of that side is used from the moment it is there; nothing is read or written before.
    pub fn open(&mut self, side: Side, security: Security) {
        self.end(side).security = security;
    }

    /// Bytes that have gone through.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Are both connections there?
    pub fn is_set_up(&self) -> bool {
        matches!((&self.client.state, &self.server.state), (EndState::Ready(_), EndState::Ready(_)))
    }

    /// Which side is not there yet.
    pub fn missing(&self) -> Side {
        if matches!(self.server.state, EndState::Ready(_)) { Side::Client } else { Side::Server }
    }

    /// Have bytes moved since this was last asked?
    pub fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Has a slow reader taken something since the last look?
    pub fn is_taken(&mut self) -> bool {
        let sink = if self.direction == Direction::Download { &self.client } else { &self.server };
        let now = if let EndState::Ready(wire) = &sink.state { wire.unacknowledged() } else { 0 };
        now < std::mem::replace(&mut self.unacknowledged, now)
    }

    /// Moves on. Never ready again after [`Progress::Done`] and [`Progress::Broken`].
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        if self.over {
            return Poll::Pending;
        }
        match self.step(cx) {
            Ok(poll) => {
                self.over = poll == Poll::Ready(Progress::Done);
                poll
            }
            Err(broken) => {
                self.break_off();
                Poll::Ready(Progress::Broken(broken))
            }
        }
    }

    /// Ends both connections by a reset.
    pub fn break_off(&mut self) {
        self.over = true;
        self.held = None;
        for end in [&mut self.client, &mut self.server] {
            match &mut end.state {
                EndState::Ready(wire) => wire.abort(),
                EndState::Connected(stream) => stream.abort(),
                _ => {}
            }
            end.state = EndState::Ready(Wire::Gone);
        }
    }

    fn end(&mut self, side: Side) -> &mut End<H> {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Result<Poll<Progress>, Broken> {
        self.server.set_up(cx)?;
        self.client.set_up(cx)?;
        let (source, sink) = match self.direction {
            Direction::Download => (&mut self.server, &mut self.client),
            Direction::Upload => (&mut self.client, &mut self.server),
        };
        let failed = |side| move |error| Broken::Failed(side, error);
        let (from, to) = (source.side, sink.side);
        let EndState::Ready(source) = &mut source.state else { return Ok(Poll::Pending) };
        let mut sink = if let EndState::Ready(sink) = &mut sink.state { Some(sink) } else { None };
        for chunks in 0.. {
            if chunks == CHUNKS_PER_POLL {
                cx.waker().wake_by_ref();
                break;
            }
            if let Some(chunk) = self.held.take() {
                let room = match &mut sink {
                    Some(sink) => sink.poll_writable(cx).map_err(failed(to))?.is_ready().then_some(sink),
                    None => None,
                };
                let Some(sink) = room else {
                    self.held = Some(chunk);
                    break;
                };
                self.bytes += chunk.len() as u64;
                self.moved = true;
                sink.write(chunk).map_err(failed(to))?;
            }
            if self.ended {
                break;
            }
            match source.poll_read(cx).map_err(failed(from))? {
                Poll::Pending => break,
                Poll::Ready(Some(chunk)) => self.held = Some(chunk),
                Poll::Ready(None) => {
                    source.shutdown();
                    self.ended = true;
                }
            }
            if !self.begun {
                self.begun = true;
                return Ok(Poll::Ready(Progress::Begun));
            }
        }
        let Some(sink) = sink else { return Ok(Poll::Pending) };
        // Data from the receiver has no meaning; its FIN may be there from the start.
        match sink.poll_read(cx) {
            Poll::Ready(Ok(Some(chunk))) if !chunk.is_empty() => return Err(Broken::WrongWay(to)),
            Poll::Ready(Err(error)) => return Err(Broken::Failed(to, error)),
            _ => {}
        }
        if self.ended && self.held.is_none() {
            sink.shutdown();
            if sink.poll_finished(cx).map_err(failed(to))?.is_ready() {
                return Ok(Poll::Ready(Progress::Done));
            }
        }
        if let Poll::Ready(error) = sink.poll_failed(cx) {
            return Err(Broken::Failed(to, error));
        }
        Ok(Poll::Pending)
    }
}

impl<H: Host> End<H> {
    fn new(side: Side, endpoint: Endpoint<H>) -> End<H> {
        let state = match endpoint {
            Endpoint::Listen(listener) => EndState::Expected(listener),
            Endpoint::Connect(related) => EndState::Waiting(related),
        };
        End { side, state, security: Security::Undecided, judge: None }
    }

    fn set_up(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        loop {
            self.state = match std::mem::replace(&mut self.state, EndState::Ready(Wire::Gone)) {
                EndState::Expected(mut listener) => match listener.poll_accept(cx) {
                    Poll::Ready(Ok((_, peer))) if self.judge.as_ref().is_some_and(|judge| !judge(peer)) => {
                        return Err(Broken::WrongPeer(self.side, peer));
                    }
                    Poll::Ready(Ok((stream, _))) => EndState::Connected(stream),
                    Poll::Ready(Err(error)) => return Err(Broken::Setup(self.side, error)),
                    Poll::Pending => return self.stay(EndState::Expected(listener)),
                },
                EndState::Connecting(mut connecting) => match connecting.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => EndState::Connected(stream),
                    Poll::Ready(Err(error)) => return Err(Broken::Setup(self.side, error)),
                    Poll::Pending => return self.stay(EndState::Connecting(connecting)),
                },
                EndState::Connected(mut stream) => match std::mem::take(&mut self.security) {
                    Security::Undecided => {
                        if let Poll::Ready(error) = stream.poll_failed(cx) {
                            return Err(Broken::Failed(self.side, error));
                        }
                        return self.stay(EndState::Connected(stream));
                    }
                    Security::Plain => EndState::Ready(Wire::Plain(stream)),
                    Security::Tls(handshake) => EndState::Handshaking(handshake(crate::stack::boxed(stream))),
                },
                EndState::Handshaking(mut handshake) => match handshake.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => EndState::Ready(Wire::Boxed(stream)),
                    Poll::Ready(Err(error)) => return Err(Broken::Tls(self.side, error)),
                    Poll::Pending => return self.stay(EndState::Handshaking(handshake)),
                },
                state @ (EndState::Waiting(_) | EndState::Ready(_)) => return self.stay(state),
            }
        }
    }

    fn stay(&mut self, state: EndState<H>) -> Result<(), Broken> {
        self.state = state;
        Ok(())
    }
}
