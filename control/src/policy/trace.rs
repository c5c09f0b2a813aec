//! What deciding a flow tells on its way, to whoever wants to know.
//!
//! There is one decision code, and it is generic over its listener: cores pass [`NoTrace`], for which every call
//! compiles to nothing; `explain` passes a listener that turns each step into a sentence. So what is explained is
//! what is done.

use std::net::{IpAddr, SocketAddr};

use super::best_match::Chosen;
use super::chains::ChainId;
use super::listeners::ListenerId;
use super::nat::{End, NatPolicyId, NoAddress};
use super::network::InterfaceId;
use super::services::ServiceId;
use super::translation::NatKind;
use super::tuple::EntryMatch;
use super::verdict::RuleRef;
use super::zones::{Direction, ZoneId};
use crate::rules::{Hook, TableKind};

/// Listens to a decision being made.
pub trait Trace {
    /// Whether it wants to hear of rules that do not fit, each in its turn. Then the walk does without the index that
    /// leaves them out.
    const EVERY_RULE: bool = true;

    /// One step was taken.
    fn step(&mut self, step: Step<'_>);
}

/// Listens to nothing and costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrace;

impl Trace for NoTrace {
    const EVERY_RULE: bool = false;

    #[inline(always)]
    fn step(&mut self, _: Step<'_>) {}
}

/// One step of a decision.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A tproxy entry matches the destination.
    Entry(&'a EntryMatch),
    /// The file does not name the table that is asked: everything passes it.
    NoTable(TableKind),
    /// A rule was looked at; the first criterion that did not fit, or none when the rule matches.
    Rule(RuleRef, Option<Criterion>),
    /// A user chain is at its end, or a RETURN matched; the walk goes on in the chain that called.
    Returned {
        /// The chain that was left.
        from: ChainId,
        /// The chain that goes on.
        to: ChainId,
    },
    /// No rule of the built-in chain decided, its policy does.
    ChainPolicy(ChainId),
    /// A TPROXY rule matched a flow that is neither TCP nor UDP: it stays as it is.
    NotRedirectable,
    /// The flow is redirected to this local address.
    Redirected(SocketAddr),
    /// The flow should be redirected to the interface's address, and there is none of its family.
    NoLocalAddress(InterfaceId),
    /// The flow is for the gateway: table filter's INPUT is asked.
    ToGateway(SocketAddr),
    /// The flow is for someone else: table filter's FORWARD is asked, with the interface that leads there.
    ToOthers(IpAddr, Option<InterfaceId>),
    /// One of the tables raw, mangle and nat is asked.
    Asked(TableKind, Hook),
    /// An end of the flow gets another address or port.
    Translated(NatKind, SocketAddr, SocketAddr),
    /// An end should get an interface's address, which has none of the family.
    NoNatAddress(NatKind, Option<InterfaceId>),
    /// No listener stands at the local address.
    NoListener(SocketAddr),
    /// A listener at the local address takes one connection, and has it.
    ListenerOver {
        /// The local address.
        local: SocketAddr,
        /// The listener.
        listener: ListenerId,
    },
    /// The listener at the local address, and the service it has for these zones of client and server.
    Listener {
        /// The local address.
        local: SocketAddr,
        /// The listener.
        listener: ListenerId,
        /// The zones of client and server.
        zones: (Option<ZoneId>, Option<ZoneId>),
        /// The service.
        service: Option<ServiceId>,
    },
    /// No listener stands there; the policy rule that fits best.
    PolicyRules(Option<Chosen>),
    /// The service denies.
    Denied(ServiceId),
    /// The service forwards.
    Forwards(ServiceId),
    /// The service's router has no server of the family.
    NoServer(ServiceId),
    /// Whether the service's proxy can take this protocol.
    NoProxyForProtocol(ServiceId, u8),
    /// The server would be the gateway itself.
    ConnectedDirectly(SocketAddr),
    /// The zone of client or server, and whether it permits the service.
    Zone {
        /// Which of the two, and so which list was asked.
        direction: Direction,
        /// Its address.
        address: IpAddr,
        /// Its zone.
        zone: Option<ZoneId>,
        /// The service.
        service: ServiceId,
        /// The zone whose list permits it: this one, or one above it.
        by: Option<ZoneId>,
    },
    /// Whether the server's zone is one of those the service is limited to.
    TargetZone {
        /// Its address.
        address: IpAddr,
        /// Its zone.
        zone: Option<ZoneId>,
        /// The service.
        service: ServiceId,
        /// Whether it is.
        allowed: bool,
    },
    /// A NAT policy of the service was asked.
    NatPolicy {
        /// Which.
        id: NatPolicyId,
        /// For which end.
        end: End,
        /// Its address.
        address: IpAddr,
        /// What it becomes.
        mapped: Result<Option<SocketAddr>, NoAddress>,
    },
    /// The gateway's own connection to the server: table filter's OUTPUT is asked.
    FromGateway(SocketAddr, Option<InterfaceId>),
}

/// A part of a rule that a flow may not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// IPv4 rule and IPv6 flow, or the other way round.
    Family,
    /// `-p`.
    Protocol,
    /// `-i`.
    Input,
    /// `-o`.
    Output,
    /// `-s`.
    Source,
    /// `-d`.
    Destination,
    /// `--sport`, `--sports`.
    SourcePort,
    /// `--dport`, `--dports`.
    DestinationPort,
    /// `--ports`.
    EitherPort,
    /// `-f`.
    Fragment,
    /// `--tcp-flags`, `--syn`.
    TcpFlags,
    /// `--tcp-option`.
    TcpOption,
    /// `--icmp-type`, `--icmpv6-type`.
    IcmpType,
    /// `--src-range`.
    SourceRange,
    /// `--dst-range`.
    DestinationRange,
    /// `--mac-source`.
    Mac,
    /// `--pkt-type`.
    PacketType,
    /// `--length`.
    Length,
    /// `-m ttl`, `-m hl`.
    Ttl,
    /// `--state`, `--ctstate`.
    State,
    /// `-m conntrack`, but for the state.
    Conntrack,
    /// `-m mark`.
    Mark,
    /// `-m connmark`.
    Connmark,
    /// `-m addrtype`.
    AddressType,
    /// `-m socket`.
    Socket,
    /// `-m tproxy`.
    Tproxy,
    /// `-m set`.
    Set,
    /// `-m limit`.
    Limit,
    /// `-m hashlimit`.
    HashLimit,
    /// `-m connlimit`.
    ConnLimit,
    /// `-m recent`.
    Recent,
    /// `-m time`.
    Time,
}

impl Criterion {
    /// The option that did not fit, as the operator wrote it.
    pub fn name(self) -> &'static str {
        match self {
            Criterion::Family => "address family",
            Criterion::Protocol => "-p",
            Criterion::Input => "-i",
            Criterion::Output => "-o",
            Criterion::Source => "-s",
            Criterion::Destination => "-d",
            Criterion::SourcePort => "--sport",
            Criterion::DestinationPort => "--dport",
            Criterion::EitherPort => "--ports",
            Criterion::Fragment => "-f",
            Criterion::TcpFlags => "--tcp-flags",
            Criterion::TcpOption => "--tcp-option",
            Criterion::IcmpType => "--icmp-type",
            Criterion::SourceRange => "--src-range",
            Criterion::DestinationRange => "--dst-range",
            Criterion::Mac => "--mac-source",
            Criterion::PacketType => "--pkt-type",
            Criterion::Length => "--length",
            Criterion::Ttl => "-m ttl",
            Criterion::State => "--state",
            Criterion::Conntrack => "-m conntrack",
            Criterion::Mark => "-m mark",
            Criterion::Connmark => "-m connmark",
            Criterion::AddressType => "-m addrtype",
            Criterion::Socket => "-m socket",
            Criterion::Tproxy => "-m tproxy",
            Criterion::Set => "-m set",
            Criterion::Limit => "-m limit",
            Criterion::HashLimit => "-m hashlimit",
            Criterion::ConnLimit => "-m connlimit",
            Criterion::Recent => "-m recent",
            Criterion::Time => "-m time",
        }
    }
}
