//! A session: one client's connection that a service took, with everything its proxy may know about it.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::host::Host;

/// Number of a session, unique on its core while the gateway runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What is known before the first byte.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Who connected.
    pub client: SocketAddr,
    /// Whom they addressed; the server, unless the router decides otherwise.
    pub original_destination: SocketAddr,
    /// The service's name.
    pub service: Rc<str>,
    /// Zone of the client's address.
    pub client_zone: Option<Rc<str>>,
    /// Zone of the original destination.
    pub server_zone: Option<Rc<str>>,
    /// Name of the interface that the client came in by.
    pub interface: Rc<str>,
    /// A session in which no byte moves for so long ends.
    pub idle: Duration,
    /// A session that lasts longer ends, whatever moves.
    pub total: Option<Duration>,
}

/// One client's connection in the hands of a proxy.
pub struct Session<H: Host> {
    /// Its number.
    pub id: SessionId,
    /// Whom to ask for the server, time and so on.
    pub host: H,
    /// The client's stream: established when the handshake was mirrored or answered.
    pub client: H::Stream,
    /// What is known of it.
    pub info: SessionInfo,
}

/// `svc/SERVICE:NUMBER`, the form in which Zorp's operators look for sessions in a log.
impl<H: Host> fmt::Display for Session<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "svc/{}:{}", self.info.service, self.id.0)
    }
}
