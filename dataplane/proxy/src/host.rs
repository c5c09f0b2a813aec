//! What a proxy may ask of whoever runs it: a server, time, tproxy requests, a line in the log.
//!
//! Requests and their errors mirror the tproxy API (the names of `errno.h` are part of it); they are types of this
//! crate so that proxies do not depend on the control plane.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::core::Core;
use crate::event::Event;
use crate::module::Module;
use crate::outcome::Side;
use crate::record::Record;
use crate::relay::Limits;
use crate::release::{Handle, Release};
use crate::session::SessionId;
use crate::stream::Stream;

/// The environment of a proxy; a cheap handle.
pub trait Host: Clone + 'static {
    /// The connections it hands out.
    type Stream: Stream;
    /// Where a related connection is waited for.
    type Listener: Listener<Stream = Self::Stream>;

    /// Connects to the server of a session, from the client's address unless the service says otherwise.
    ///
    /// A session whose handshake was mirrored already has its server: [`Target::Original`] is then ready at once.
    /// Dropping the future gives the attempt up. The host bounds the time it takes.
    fn connect(&self, session: SessionId, target: Target) -> impl Future<Output = Result<Self::Stream, ConnectError>>;

    /// Connects beside the session's server: a data channel, a scanner. The connection belongs to the session and ends
    /// with it; zones are not asked, so whom to is the proxy's responsibility. Bounded as `connect` is.
    fn connect_related(
        &self,
        session: SessionId,
        related: Related,
    ) -> impl Future<Output = Result<Self::Stream, ConnectError>>;

    /// Listens on an address of the client's or the server's (a foreign listener) for one connection of one peer.
    ///
    /// Ready once nobody else can get what comes there. Dropping the listener takes it away; it ends with the session.
    fn listen(
        &self,
        session: SessionId,
        expected: Expected,
    ) -> impl Future<Output = Result<Self::Listener, ConnectError>>;

    /// Ready when so much time has passed.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()>;

    /// Time since some fixed start; the same within one turn of the worker.
    fn now(&self) -> Duration;

    /// Time since 1970-01-01 UTC, for certificates, dates and logs.
    fn wall_clock(&self) -> Duration;

    /// Is packet memory so short that new work is better refused at once?
    fn is_short_of_memory(&self) -> bool;

    /// The service of that name in the policy that the session keeps, for proxies that hand on to another one.
    fn module(&self, session: SessionId, service: &str) -> Option<Module>;

    /// TLS that a proxy around this one has ended; `None`: bytes are as they came over the wire.
    fn secured(&self) -> Option<Secured> {
        None
    }

    /// What all sessions of this core share.
    fn core(&self) -> Rc<Core>;

    /// Counts something that happened within a session.
    fn count(&self, event: Event);

    /// A record of something done within a session (a request, a transfer); the host bounds how many wait.
    fn record(&self, session: SessionId, record: Record);

    /// Asks the control thread for a change of the tproxy table.
    fn tproxy(&self, request: TproxyRequest) -> impl Future<Output = Result<TproxyReply, TproxyError>>;

    /// Leaves the session to its two ends as soon as nothing waits between these connections, which have passed on all that
    /// they were given. Until then the proxy goes on relaying. `None`: not here, or not for this service.
    fn release(&self, session: SessionId, client: Handle, server: Handle, limits: Limits) -> Option<Release> {
        let _ = (session, client, server, limits);
        None
    }

    /// A line for the operator about this session; the host limits their rate.
    fn log(&self, session: SessionId, level: Level, text: fmt::Arguments<'_>);
}

/// What a proxy of TLS has agreed on with the ends of a session whose proxy is within.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// The application protocol of both ends (ALPN), where there is one.
    pub alpn: Option<Vec<u8>>,
}

/// Which server is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The one that the client addressed, or that the service's router put in its place.
    Original,
    /// This one.
    Address(SocketAddr),
}

/// A connection beside the one to the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Related {
    /// At which end of the session the peer is, for the way its packets take.
    pub side: Side,
    /// As whom: the address of the other end (a foreign connect); `None`: the gateway's own on the way there.
    pub local: Option<IpAddr>,
    /// From one of these ports, a free one; `0..=0`: any free one.
    pub ports: RangeInclusive<u16>,
    /// To whom.
    pub remote: SocketAddr,
}

/// One connection that is to come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expected {
    /// At which end of the session the peer is.
    pub side: Side,
    /// The address it will connect to: usually that of the other end of the session.
    pub local: IpAddr,
    /// One of these ports, chosen at random among those that are free.
    pub ports: RangeInclusive<u16>,
    /// Who may connect; others find nobody there.
    pub peer: IpAddr,
    /// From which port, when that is known.
    pub peer_port: Option<u16>,
}

/// Where one related connection is waited for.
pub trait Listener: 'static {
    /// What it becomes.
    type Stream: Stream;

    /// Address and port where the peer is to connect.
    fn address(&self) -> SocketAddr;

    /// Ready with the connection, its handshake done, and the peer; only the first one.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Self::Stream, SocketAddr), ConnectError>>;
}

/// Why there is no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectError {
    /// It answered with a reset.
    Refused,
    /// It did not answer in time.
    TimedOut,
    /// No route, no neighbour, or the network says so.
    Unreachable,
    /// Every source port for this address and server is in use.
    NoPort,
    /// The gateway is at its limit of sessions or memory.
    Limit,
    /// The policy does not permit this server.
    Denied,
    /// The gateway or its operator ended the session meanwhile.
    Cut,
}

/// Importance of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The session cannot go on.
    Error,
    /// The peer or the policy did something the operator wants to know of.
    Warning,
    /// Ordinary course of things.
    Info,
    /// For finding faults.
    Debug,
}

/// A tproxy request of a proxy; `protocol` is the IP protocol number (6 or 17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TproxyRequest {
    /// The version of the interface.
    Version,
    /// Gives the local address its foreign one.
    Assign {
        /// IP protocol number.
        protocol: u8,
        /// Address and port of ours.
        local: SocketAddr,
        /// Address and port to appear as.
        foreign: SocketAddr,
    },
    /// Takes it away again.
    Unassign {
        /// IP protocol number.
        protocol: u8,
        /// Address and port of ours.
        local: SocketAddr,
    },
    /// Asks for the foreign address.
    Query {
        /// IP protocol number.
        protocol: u8,
        /// Address and port of ours.
        local: SocketAddr,
    },
    /// Sets or reads the flags.
    Flags {
        /// IP protocol number.
        protocol: u8,
        /// Address and port of ours.
        local: SocketAddr,
        /// New flags; `None` reads them.
        set: Option<TproxyFlags>,
    },
    /// Chooses a free foreign port where none was named.
    Alloc {
        /// IP protocol number.
        protocol: u8,
        /// Address and port of ours.
        local: SocketAddr,
    },
    /// Names the only peer that is meant.
    Connect {
        /// IP protocol number.
        protocol: u8,
        /// Address and port of ours.
        local: SocketAddr,
        /// Address and port of the peer.
        remote: SocketAddr,
    },
}

/// Flags of a tproxy entry, with the values of the original interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TproxyFlags(pub u32);

impl TproxyFlags {
    /// Translate outgoing connections of the local address.
    pub const CONNECT: TproxyFlags = TproxyFlags(0x1);
    /// Translate incoming connections to the foreign address.
    pub const LISTEN: TproxyFlags = TproxyFlags(0x2);
    /// Both, for one known peer.
    pub const ESTABLISHED: TproxyFlags = TproxyFlags(0x4);
    /// For one connection only.
    pub const ONCE: TproxyFlags = TproxyFlags(0x1_0000);
    /// The entry marks and does not translate; read only.
    pub const MARK: TproxyFlags = TproxyFlags(0x2_0000);
    /// A connection has been made by it; read only.
    pub const APPLIED: TproxyFlags = TproxyFlags(0x4_0000);
    /// Rewrite datagrams one way without tracking.
    pub const UNIDIR: TproxyFlags = TproxyFlags(0x8_0000);

    /// These and those.
    #[must_use]
    pub const fn union(self, other: TproxyFlags) -> TproxyFlags {
        TproxyFlags(self.0 | other.0)
    }

    /// Are all of those set?
    #[must_use]
    pub const fn contains(self, other: TproxyFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Answer to a [`TproxyRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TproxyReply {
    /// It is done; there is nothing to tell.
    Done,
    /// Version as major << 24 | minor << 16 | patch.
    Version(u32),
    /// The foreign address.
    Foreign(SocketAddr),
    /// The flags.
    Flags(TproxyFlags),
}

/// Why a tproxy request was refused: the errno of the original interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TproxyError {
    /// Not allowed to assign.
    Eperm,
    /// The request makes no sense for this address or entry.
    Einval,
    /// The local address already has an entry.
    Eexist,
    /// The foreign address is taken.
    Eaddrinuse,
    /// The table is full.
    Enobufs,
    /// There is no such entry.
    Enoent,
    /// No port left in the range.
    Efault,
    /// Unknown request.
    Enoprotoopt,
    /// The control thread does not answer: the gateway stops, or its mailbox is full.
    Eagain,
}

impl TproxyError {
    /// The name as in `errno.h`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TproxyError::Eperm => "EPERM",
            TproxyError::Einval => "EINVAL",
            TproxyError::Eexist => "EEXIST",
            TproxyError::Eaddrinuse => "EADDRINUSE",
            TproxyError::Enobufs => "ENOBUFS",
            TproxyError::Enoent => "ENOENT",
            TproxyError::Efault => "EFAULT",
            TproxyError::Enoprotoopt => "ENOPROTOOPT",
            TproxyError::Eagain => "EAGAIN",
        }
    }
}
