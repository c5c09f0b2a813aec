//! Services: what is done with a flow that a listener takes. Plain values; the data plane gives them their meaning.

use std::net::SocketAddr;
use std::time::Duration;

/// Index of a service, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u32);

/// A named way of handling a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Who reads the bytes.
    pub proxy: Proxy,
    /// When the client is answered.
    pub accept: Accept,
    /// Whose address the server sees.
    pub source: Source,
    /// Which server.
    pub router: Router,
    /// A session that moves no byte for so long ends.
    pub idle: Duration,
    /// A server that has not answered for so long counts as not there.
    pub connect_timeout: Duration,
    /// Sessions of this service at once; [`u32::MAX`] when the file sets no bound.
    pub max_sessions: u32,
}

impl Service {
    /// The server for a client that meant `original`; none when the router names none of that family.
    pub fn server(&self, original: SocketAddr) -> Option<SocketAddr> {
        let Router::Directed(servers) = &self.router else { return Some(original) };
        let server = servers.iter().find(|server| server.is_ipv4() == original.is_ipv4())?;
        let port = if server.port() == 0 { original.port() } else { server.port() };
        Some(SocketAddr::new(server.ip(), port))
    }
}

/// The proxy modules this version has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Relays bytes both ways and reads none of them.
    Plug,
}

/// When the client's SYN is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// When the server has answered ours, with what the server said.
    Mirror,
    /// At once.
    Immediate,
}

/// Whose address the server sees as the flow's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The client's own address and port (foreign connect).
    Client,
    /// The gateway's first address towards the server.
    Gateway,
    /// This address; port 0 lets the gateway choose one.
    Address(SocketAddr),
}

/// Which server a session is taken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Router {
    /// The one the client meant.
    Transparent,
    /// The one of the client's family, one of each at most; port 0 keeps the port the client meant.
    Directed(Vec<SocketAddr>),
}

impl Proxy {
    /// As written in the file.
    pub fn name(self) -> &'static str {
        match self {
            Proxy::Plug => "plug",
        }
    }
}

impl Accept {
    /// As written in the file.
    pub fn name(self) -> &'static str {
        match self {
            Accept::Mirror => "mirror",
            Accept::Immediate => "immediate",
        }
    }
}
