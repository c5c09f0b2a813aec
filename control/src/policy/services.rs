//! Services: what is done with a flow that was chosen for one: a proxy serves it, it is forwarded untouched, or denied.
//!
//! Plain values; the data plane gives them their meaning. Which server a session is taken to is [`super::router`]'s
//! matter, how addresses are mapped on the way there [`super::nat`]'s.

use std::net::SocketAddr;
use std::time::Duration;

use super::nat::NatPolicyId;
use super::router::{ForgePort, Router};
use super::tuple::{TCP, UDP, protocol_name};
use super::verdict::{DropReason, RejectKind, Verdict};
use super::zones::ZoneId;
use crate::modules::{ModuleKind, ModuleSettings};

/// Index of a service, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u32);

/// A named way of handling a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// What it does with the flow.
    pub kind: Kind,
    /// When the client is answered.
    pub accept: Accept,
    /// Whether its proxy may leave a session to the two ends.
    pub release: Release,
    /// Whose address the server sees.
    pub source: Source,
    /// From which port the server is spoken to; none: from the client's own where the address is the client's, else
    /// from a free one of the client port's class.
    pub forge_port: Option<ForgePort>,
    /// Which server.
    pub router: Router,
    /// Maps the source address on the way to the server.
    pub snat: Option<NatPolicyId>,
    /// Maps the server's address.
    pub dnat: Option<NatPolicyId>,
    /// Servers must be in one of these zones or below one; empty: in any.
    pub limit_target_zones_to: Vec<ZoneId>,
    /// A session that moves no byte for so long ends.
    pub idle: Duration,
    /// A session that lasts longer ends, whatever moves; none: it may go on.
    pub total: Option<Duration>,
    /// A server that has not answered for so long counts as not there.
    pub connect_timeout: Duration,
    /// Sessions of this service at once; [`u32::MAX`] when the file sets no bound.
    pub max_sessions: u32,
    /// What the service tells its proxy.
    pub module: Option<ModuleSettings>,
}

/// What a service does with a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A proxy stands between client and server (Zorp's Service).
    Proxy(Proxy),
    /// Forwarded, its addresses translated where router and NAT policies say so (Zorp's PFService).
    Forward,
    /// Ended (Zorp's DenyService).
    Deny(Deny),
}

/// The proxy modules this version has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Relays bytes both ways and reads none of them.
    Plug,
    /// One that brings its own settings.
    Module(&'static ModuleKind),
    /// Another program, which takes the connection as a file descriptor ([`crate::handoff`]).
    Handoff,
}

/// How a service denies, by address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deny {
    /// IPv4 flows.
    pub v4: Denial,
    /// IPv6 flows.
    pub v6: Denial,
    /// Whether denied flows are logged.
    pub log: bool,
}

/// One way of denying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Without an answer.
    Drop,
    /// With one.
    Reject(RejectKind),
}

/// When the client's SYN is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// When the server has answered ours, with what the server said.
    Mirror,
    /// At once.
    Immediate,
}

/// Whether a session may be released: its packets then pass from one end to the other as they are, and only their way,
/// their number and their end are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// As soon as its proxy has no more to say or to read.
    Auto,
    /// Not at all: both connections end here for as long as there is one.
    Never,
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

impl Service {
    /// The server for a client that meant `original`, the first that would be asked; none when the router names none
    /// of that family, or leaves it to the proxy.
    pub fn server(&self, original: SocketAddr) -> Option<SocketAddr> {
        self.router.first(original)
    }

    /// The proxy, of a service that has one.
    pub fn proxy(&self) -> Option<Proxy> {
        match self.kind {
            Kind::Proxy(proxy) => Some(proxy),
            Kind::Forward | Kind::Deny(_) => None,
        }
    }
}

impl Deny {
    /// What becomes of a flow of that family.
    pub fn verdict(&self, ipv6: bool) -> Verdict {
        match if ipv6 { self.v6 } else { self.v4 } {
            Denial::Drop => Verdict::Drop(DropReason::DeniedByService),
            Denial::Reject(kind) => Verdict::Reject(kind),
        }
    }
}

impl Proxy {
    /// As written in the file.
    pub fn name(self) -> &'static str {
        match self {
            Proxy::Plug => "plug",
            Proxy::Handoff => "handoff",
            Proxy::Module(kind) => kind.name,
        }
    }

    /// Whether it can serve flows of this IP protocol.
    pub fn speaks(self, protocol: u8) -> bool {
        match self {
            Proxy::Plug | Proxy::Handoff => matches!(protocol, TCP | UDP),
            Proxy::Module(_) => protocol == TCP,
        }
    }

    /// What it speaks, for a sentence.
    pub fn protocols(self) -> String {
        match self {
            Proxy::Plug | Proxy::Handoff => format!("{} and {}", protocol_name(TCP), protocol_name(UDP)),
            Proxy::Module(_) => protocol_name(TCP).to_string(),
        }
    }

    /// Whether it learns the server's address from what the client says, as `router: inband` needs.
    pub fn names_servers(self) -> bool {
        match self {
            Proxy::Plug | Proxy::Handoff => false,
            Proxy::Module(kind) => kind.names_servers,
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
