//! What a core and the thread of programs say to each other, and the two ends of their channels.
//!
//! The channels are unbounded as types and bounded by construction: each direction of a flow has at most
//! [`FLOW_PIECES`](crate::limits::FLOW_PIECES) pieces under way, and each piece that was taken is acknowledged once; what
//! else is said is said a few times in a flow's life, and flows are bounded. What is said of datagrams has a bound in bytes
//! for each socket and direction ([`cost`]), given back when it was taken. Neither side waits for the other: both poll.

use std::net::SocketAddr;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::limits::DATAGRAM_OVERHEAD;

/// To the core that has the flow. Numbers of flows: even ones are given by cores, odd ones by the thread.
#[derive(Debug, Clone)]
pub enum ToFlow {
    /// A program takes the flow that was offered.
    Take {
        /// Which flow.
        flow: u64,
    },
    /// No program does.
    Refuse {
        /// Which flow.
        flow: u64,
    },
    /// Connect for a program.
    Connect {
        /// Which flow it will be.
        flow: u64,
        /// The program's own address, whose entry may give it a foreign one.
        local: SocketAddr,
        /// Whom to.
        remote: SocketAddr,
    },
    /// Bytes for the peer.
    Data {
        /// Which flow.
        flow: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// So many pieces have been taken by the program.
    Credit {
        /// Which flow.
        flow: u64,
        /// How many.
        pieces: u32,
    },
    /// The program has finished its direction: FIN.
    Finish {
        /// Which flow.
        flow: u64,
    },
    /// The program gives the flow up: RST.
    Abort {
        /// Which flow.
        flow: u64,
    },
    /// About a socket of datagrams.
    Socket {
        /// Which socket; a number for each there ever was.
        socket: u64,
        /// What.
        message: ToSocket,
    },
}

/// About a program's socket of datagrams, to the core.
#[derive(Debug, Clone)]
pub enum ToSocket {
    /// There is one.
    Open {
        /// The program's own address.
        local: SocketAddr,
    },
    /// Datagrams that are led to its address are taken, or not any more.
    Listen(bool),
    /// Where datagrams go that name nobody.
    Peer(SocketAddr),
    /// A datagram of the program.
    Datagram {
        /// As whom; port 0: as its entry says.
        source: SocketAddr,
        /// To whom; port 0: to its peer.
        destination: SocketAddr,
        /// What it says.
        bytes: Bytes,
    },
    /// So much of what the core said has been taken, by its [`cost`].
    Taken(u32),
    /// It is gone, and its flows with it.
    Close,
}

/// About a program's socket of datagrams, from the core.
#[derive(Debug, Clone)]
pub enum FromSocket {
    /// A datagram for the program.
    Datagram {
        /// Who sent it.
        source: SocketAddr,
        /// To whom.
        destination: SocketAddr,
        /// What it says.
        bytes: Bytes,
    },
    /// A datagram of the program was not sent, or the network says that it did not arrive.
    Fault {
        /// As whom it was sent.
        source: SocketAddr,
        /// To whom.
        destination: SocketAddr,
        /// Why, as `sendto` would say.
        errno: &'static str,
    },
    /// So much of what the program said has been taken, by its [`cost`].
    Taken(u32),
}

/// What a datagram of so many bytes takes of a socket's room.
pub fn cost(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(DATAGRAM_OVERHEAD)
}

/// From the core that has the flow.
#[derive(Debug, Clone)]
pub enum FromFlow {
    /// A client has connected to an address that a program may listen at.
    Offer {
        /// Which flow.
        flow: u64,
        /// The program's own address.
        local: SocketAddr,
        /// Who connected.
        client: SocketAddr,
        /// Whom they addressed.
        original: SocketAddr,
        /// Zones of client and original destination.
        zones: (Option<String>, Option<String>),
    },
    /// A connection is there.
    Connected {
        /// Which flow.
        flow: u64,
        /// Its source, as the server sees it.
        source: SocketAddr,
    },
    /// It is not.
    Failed {
        /// Which flow.
        flow: u64,
        /// As `connect` would say.
        errno: &'static str,
    },
    /// Bytes of the peer.
    Data {
        /// Which flow.
        flow: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// So many pieces are on their way to the peer.
    Credit {
        /// Which flow.
        flow: u64,
        /// How many.
        pieces: u32,
    },
    /// The peer has finished its direction.
    Finished {
        /// Which flow.
        flow: u64,
    },
    /// The flow is over.
    Ended {
        /// Which flow.
        flow: u64,
        /// Why, as `read` would say; none: both sides had finished.
        errno: Option<&'static str>,
    },
    /// About a socket of datagrams.
    Socket {
        /// Which socket.
        socket: u64,
        /// What.
        message: FromSocket,
    },
}

impl FromFlow {
    /// Whose it is: a flow's number, or a socket's.
    pub fn flow(&self) -> u64 {
        match self {
            FromFlow::Offer { flow, .. }
            | FromFlow::Connected { flow, .. }
            | FromFlow::Failed { flow, .. }
            | FromFlow::Data { flow, .. }
            | FromFlow::Credit { flow, .. }
            | FromFlow::Finished { flow }
            | FromFlow::Ended { flow, .. }
            | FromFlow::Socket { socket: flow, .. } => *flow,
        }
    }
}

/// A core's end.
#[derive(Debug, Clone)]
pub struct CoreEnd {
    /// What the thread says.
    pub from_programs: Receiver<ToFlow>,
    /// What it is told.
    pub to_programs: Sender<FromFlow>,
}

/// The thread's end.
pub(super) struct ThreadEnd {
    pub(super) from_core: Receiver<FromFlow>,
    pub(super) to_core: Sender<ToFlow>,
}

pub(super) fn link() -> (CoreEnd, ThreadEnd) {
    let (to_programs, from_core) = unbounded();
    let (to_core, from_programs) = unbounded();
    (CoreEnd { from_programs, to_programs }, ThreadEnd { from_core, to_core })
}
