//! What is done with the packets of a flow that is known: decided once, by [`crate::classify`], applied per packet.

use crate::exception::LocalKey;
use crate::flow::tracking::Direction;
use crate::forward::ForwardKey;
use crate::session::SessionKey;
use crate::session::half_open::HalfOpenKey;
use crate::session::time_wait::TimeWaitKey;
use crate::socket::Leg;
use crate::splice::SpliceKey;

/// The value of a flow table entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Terminated here: input of one connection of a session.
    Proxy {
        /// The session.
        session: SessionKey,
        /// Which of its connections.
        leg: Leg,
    },
    /// A handshake under way.
    HalfOpen {
        /// Its record.
        key: HalfOpenKey,
        /// Whose segments come in by this flow.
        leg: Leg,
    },
    /// A connection that is over, but for old segments.
    TimeWait {
        /// Its record.
        key: TimeWaitKey,
    },
    /// Of a released session: passed on to the other end.
    Splice {
        /// Its record.
        key: SpliceKey,
        /// Which way the packet goes; the client's is the original one.
        direction: Direction,
    },
    /// Routed on, tracked.
    Forward {
        /// The forwarded flow.
        forward: ForwardKey,
        /// Which way the packet goes.
        direction: Direction,
    },
    /// Of a program on the gateway: handed to the host's kernel, or from it.
    Local {
        /// The flow.
        local: LocalKey,
        /// Which way the packet goes.
        direction: Direction,
    },
}
