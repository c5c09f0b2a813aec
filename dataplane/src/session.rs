//! A session: what one client does with one service, from its first SYN to the summary line.
//!
//! ```text
//!             accept: mirror                                     accept: immediate
//! SYN ──→ HELD  (SYN to the server, nothing answered)       SYN ──→ ANSWERED (SYN-ACK is ours) ←── or a SYN cookie
//!          │ server's SYN-ACK: ours to the client, with its numbers   │ client's ACK
//!          │ refusal, ICMP, silence: the same to the client           ↓
//!          ↓ client's ACK                                            RUNNING ── connect() ──→ server leg
//!         RUNNING: the proxy task has both streams
//!          ↓ the task returns (or panics, or is cut)
//!         CLOSING: what was written is still delivered, FINs are exchanged
//!          ↓ both connections closed, or left to a record in TIME-WAIT
//!         gone
//! ```
//!
//! The parts, in the order of a session's life: [`open`] admits a new flow, [`half_open`] and [`mirror`] carry its
//! handshake, [`flood`] those that get no record, [`establish`] makes a session of it, [`connect`] the server's side,
//! [`serve`] hears the proxy and ends the session, [`time_wait`] is what is left. Up to HELD and ANSWERED there is no
//! [`Session`] and no connection. A session keeps the policy it was decided under until it is gone.

pub mod connect;
pub mod establish;
pub mod flood;
pub mod half_open;
pub mod mirror;
pub mod open;
pub mod related;
pub mod serve;
pub mod server;
pub mod time_wait;

use std::net::SocketAddr;
use std::sync::Arc;

use async_task::Task;
use control::policy::{InterfaceId, ListenerId, Policy, RuleRef, Search, Service, ServiceId, ZoneId};
use slotmap::{SlotMap, new_key_type};
use tcp::Instant;

use crate::flow::FlowId;
use crate::socket::{Leg, SocketKey};
use crate::splice::SpliceKey;
use crate::splice::handover::Releasing;
use crate::task::Reply;
use related::RelatedLegs;

new_key_type! {
    /// A session of this core; stale keys find nothing.
    pub struct SessionKey;
}

/// All sessions of a core.
pub type Sessions = SlotMap<SessionKey, Session>;

/// What one client does with one service.
pub struct Session {
    /// Number for people: unique on this core.
    pub id: u64,
    /// The policy it was decided under.
    pub policy: Arc<Policy>,
    /// The service that serves it.
    pub service: ServiceId,
    /// The listener that led there; none when a policy rule chose the service.
    pub listener: Option<ListenerId>,
    /// Zone of the client.
    pub client_zone: Option<ZoneId>,
    /// Zone of the original destination.
    pub server_zone: Option<ZoneId>,
    /// Where the client's packets come in.
    pub interface: InterfaceId,
    /// The client.
    pub client: SocketAddr,
    /// Whom the client meant.
    pub original: SocketAddr,
    /// Who the server is and as whom we speak to it, once that is chosen.
    pub server: Option<(SocketAddr, SocketAddr)>,
    /// The rule that took the flow.
    pub rule: Option<RuleRef>,
    /// When its first packet came.
    pub started: Instant,
    /// When a byte last moved; for listings.
    pub last: Instant,
    /// The client's flow table entry.
    pub client_flow: FlowId,
    /// The client's connection, once there is one.
    pub client_socket: Option<SocketKey>,
    /// The server's connection, once there is one.
    pub server_socket: Option<SocketKey>,
    /// Connections beside the two, once there are any.
    pub related: Option<Box<RelatedLegs>>,
    /// Its two ends speak to each other.
    pub splice: Option<SpliceKey>,
    /// Its proxy would leave it to them, or has done so.
    pub release: Option<Box<Releasing>>,
    /// Who waits for the server leg (`accept: immediate`, and programs that connect).
    pub connecting: Option<Reply<Result<SocketKey, proxy::ConnectError>>>,
    /// Which of the router's servers were asked.
    pub search: Search,
    /// The proxy.
    pub task: Option<Task<()>>,
    /// How it ended, when it has.
    pub ended: Option<Ended>,
}

impl Session {
    /// The service's settings.
    pub fn service(&self) -> &Service {
        self.policy.service(self.service)
    }

    /// The connection of one side.
    pub fn socket(&self, leg: Leg) -> Option<SocketKey> {
        match leg {
            Leg::Client => self.client_socket,
            Leg::Server => self.server_socket,
            Leg::Related(number) => self.related.as_ref()?.socket(number),
        }
    }

    /// All connections there are.
    pub fn sockets(&self) -> impl Iterator<Item = SocketKey> {
        let related = self.related.iter().flat_map(|related| related.sockets());
        self.client_socket.into_iter().chain(self.server_socket).chain(related)
    }

    /// Forgets the connection of one side.
    pub fn forget_socket(&mut self, leg: Leg) {
        match leg {
            Leg::Client => self.client_socket = None,
            Leg::Server => self.server_socket = None,
            Leg::Related(number) => {
                if let Some(related) = &mut self.related {
                    related.forget(number);
                }
            }
        }
    }

    /// One word for listings.
    pub fn stage(&self) -> &'static str {
        match (self.ended, self.splice) {
            (Some(_), _) => "closing",
            (None, Some(_)) => "released",
            (None, None) => "running",
        }
    }
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As the proxy, or whoever ended it before there was one, says.
    With(proxy::Outcome),
    /// The proxy broke: it panicked.
    Broken,
}

impl Ended {
    /// An end before a byte was passed on.
    pub fn unserved(reason: proxy::Reason) -> Self {
        Self::With(proxy::Outcome::unserved(reason))
    }

    /// Verdict, reason and bytes (to the server, to the client) of the summary record.
    pub fn record(self) -> (&'static str, &'static str, u64, u64) {
        match self {
            Self::With(outcome) => {
                (outcome.verdict.name(), outcome.reason.name(), outcome.to_server, outcome.to_client)
            }
            Self::Broken => ("DENIED_BY_UNKNOWN_FAIL", "proxy_broken", 0, 0),
        }
    }
}

impl From<proxy::release::Passed> for Ended {
    fn from(passed: proxy::release::Passed) -> Self {
        let proxy::release::Passed { reason, to_server, to_client } = passed;
        Self::With(proxy::Outcome { verdict: reason.verdict(), reason, to_server, to_client })
    }
}

/// What a task asks of the worker; served after the tasks of the turn have run.
#[derive(Debug)]
pub enum Request {
    /// A connection to the server.
    Connect {
        /// For whom.
        session: SessionKey,
        /// To whom.
        target: proxy::Target,
        /// Where the socket goes.
        reply: Reply<Result<SocketKey, proxy::ConnectError>>,
    },
    /// A connection beside the server's.
    ConnectRelated {
        /// For whom.
        session: SessionKey,
        /// To whom and as whom.
        related: proxy::Related,
        /// Where the socket goes.
        reply: Reply<Result<SocketKey, proxy::ConnectError>>,
    },
    /// One connection is expected.
    Listen {
        /// By whom.
        session: SessionKey,
        /// Where and from whom.
        expected: proxy::Expected,
        /// Where the address goes that was chosen.
        reply: Reply<Result<SocketAddr, proxy::ConnectError>>,
        /// Where the socket goes; nobody waits any more when the other end of it is gone.
        arrived: Reply<Result<(SocketKey, SocketAddr), proxy::ConnectError>>,
    },
    /// A listener was dropped.
    Unlisten {
        /// Whose.
        session: SessionKey,
        /// Where it was.
        address: SocketAddr,
    },
    /// Something to be put on record.
    Record {
        /// Whose.
        session: SessionKey,
        /// What.
        record: proxy::Record,
    },
    /// The session may be left to its ends.
    Release {
        /// Which.
        session: SessionKey,
        /// The connections that relay each other's bytes: the client's and the server's.
        legs: [SocketKey; 2],
        /// How long it may be silent, and go on.
        limits: proxy::relay::Limits,
        /// What the proxy is told by.
        release: proxy::release::Release,
    },
    /// A tproxy request to the control thread.
    Tproxy {
        /// What.
        request: control::requests::Request,
        /// Where the answer goes.
        reply: Reply<Result<control::requests::Reply, control::requests::Errno>>,
    },
    /// A line for the operator's log.
    Notice {
        /// Whose.
        session: SessionKey,
        /// What.
        text: String,
    },
    /// The proxy returned, or broke.
    Ended {
        /// Whose.
        session: SessionKey,
        /// How.
        ended: Ended,
    },
}

#[cfg(test)]
mod tests;
