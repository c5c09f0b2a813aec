//! How deciding a flow can end. Every end has a name (for counters and `--json`) and a sentence (for the operator).

use std::net::SocketAddr;

use super::listeners::ListenerId;
use super::services::ServiceId;
use super::zones::ZoneId;

/// What becomes of a flow, and what was found out on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is to be done.
    pub verdict: Verdict,
    /// One of the three tproxy features took the flow: `-m tproxy` is true for it.
    pub tproxy: bool,
    /// The zone of the source; looked up for flows a listener takes.
    pub client_zone: Option<ZoneId>,
    /// The zone of the server; looked up for flows a listener takes.
    pub server_zone: Option<ZoneId>,
    /// The rule that decided: the TPROXY rule of a proxied flow, else the filter rule. None where a policy did.
    pub rule: Option<RuleRef>,
}

/// What is to be done with a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken by a listener for its service.
    Proxy {
        /// The service.
        service: ServiceId,
        /// The listener.
        listener: ListenerId,
        /// The local address and port the flow was redirected to.
        local: SocketAddr,
    },
    /// Routed on, untouched.
    Forward,
    /// For the gateway itself.
    Local,
    /// Ends without an answer.
    Drop(DropReason),
    /// Ends with an answer.
    Reject(RejectKind),
}

/// A rule of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleRef {
    /// Identity of the rule in its policy, dense from 0: an index for counters. [`super::Policy::rule`] tells the rest.
    pub id: u32,
}

/// Why a flow ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// A DROP rule of table tproxy.
    TproxyRule,
    /// DROP as the policy of a chain of table tproxy.
    TproxyPolicy,
    /// A DROP rule of table filter.
    FilterRule,
    /// DROP as the policy of a chain of table filter.
    FilterPolicy,
    /// Redirected to a local address and port without listener.
    NoListener,
    /// Redirected without `--on-ip`, and the interface has no address of the family.
    NoLocalAddress,
    /// Taken by a listener, and the client's or server's address is in no zone.
    NoZone,
    /// The client's zone does not permit the service.
    OutboundDenied,
    /// The server's zone does not permit the service.
    InboundDenied,
    /// A listener took a flow whose server would be the gateway itself.
    ConnectedDirectly,
    /// A listener took a flow of a protocol that no proxy speaks.
    NoProxyForProtocol,
}

impl DropReason {
    /// Every reason, in the order of [`DropReason::index`].
    pub const ALL: &[DropReason] = &[
        DropReason::TproxyRule,
        DropReason::TproxyPolicy,
        DropReason::FilterRule,
        DropReason::FilterPolicy,
        DropReason::NoListener,
        DropReason::NoLocalAddress,
        DropReason::NoZone,
        DropReason::OutboundDenied,
        DropReason::InboundDenied,
        DropReason::ConnectedDirectly,
        DropReason::NoProxyForProtocol,
    ];

    /// Position in [`DropReason::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Name for counters and JSON.
    pub fn name(self) -> &'static str {
        match self {
            DropReason::TproxyRule => "tproxy_rule",
            DropReason::TproxyPolicy => "tproxy_policy",
            DropReason::FilterRule => "filter_rule",
            DropReason::FilterPolicy => "filter_policy",
            DropReason::NoListener => "no_listener",
            DropReason::NoLocalAddress => "no_local_address",
            DropReason::NoZone => "no_zone",
            DropReason::OutboundDenied => "outbound_denied",
            DropReason::InboundDenied => "inbound_denied",
            DropReason::ConnectedDirectly => "connected_directly",
            DropReason::NoProxyForProtocol => "no_proxy_for_protocol",
        }
    }

    /// Sentence for the operator.
    pub fn sentence(self) -> &'static str {
        match self {
            DropReason::TproxyRule => "a DROP rule of table tproxy ended the flow",
            DropReason::TproxyPolicy => "the policy of a chain of table tproxy is DROP",
            DropReason::FilterRule => "a DROP rule of table filter ended the flow",
            DropReason::FilterPolicy => "the policy of a chain of table filter is DROP",
            DropReason::NoListener => "the flow was redirected to a local port that has no listener",
            DropReason::NoLocalAddress => "the interface has no address of the flow's family to redirect to",
            DropReason::NoZone => "the client's or the server's address is in no zone, so nothing is permitted",
            DropReason::OutboundDenied => "the client's zone does not list the service in outbound_services",
            DropReason::InboundDenied => "the server's zone does not list the service in inbound_services",
            DropReason::ConnectedDirectly => "a listener was given a flow that is meant for the gateway itself",
            DropReason::NoProxyForProtocol => "no proxy speaks the flow's protocol; services take TCP in this version",
        }
    }
}

/// What a rejected flow is answered with. The names are iptables'; each exists in both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectKind {
    /// ICMP 3/0; ICMPv6 1/0 (no route).
    NetUnreachable,
    /// ICMP 3/1; ICMPv6 1/3 (address unreachable).
    HostUnreachable,
    /// ICMP 3/2; ICMPv6 1/4, as it has no such code.
    ProtoUnreachable,
    /// ICMP 3/3; ICMPv6 1/4. The default.
    PortUnreachable,
    /// ICMP 3/9; ICMPv6 1/1.
    NetProhibited,
    /// ICMP 3/10; ICMPv6 1/1.
    HostProhibited,
    /// ICMP 3/13; ICMPv6 1/1.
    AdminProhibited,
    /// A TCP RST, as if the port were closed.
    TcpReset,
}

impl RejectKind {
    /// Every kind.
    pub const ALL: &[RejectKind] = &[
        RejectKind::NetUnreachable,
        RejectKind::HostUnreachable,
        RejectKind::ProtoUnreachable,
        RejectKind::PortUnreachable,
        RejectKind::NetProhibited,
        RejectKind::HostProhibited,
        RejectKind::AdminProhibited,
        RejectKind::TcpReset,
    ];

    /// As written after `--reject-with`.
    pub fn name(self) -> &'static str {
        match self {
            RejectKind::NetUnreachable => "icmp-net-unreachable",
            RejectKind::HostUnreachable => "icmp-host-unreachable",
            RejectKind::ProtoUnreachable => "icmp-proto-unreachable",
            RejectKind::PortUnreachable => "icmp-port-unreachable",
            RejectKind::NetProhibited => "icmp-net-prohibited",
            RejectKind::HostProhibited => "icmp-host-prohibited",
            RejectKind::AdminProhibited => "icmp-admin-prohibited",
            RejectKind::TcpReset => "tcp-reset",
        }
    }

    /// Sentence for the operator.
    pub fn sentence(self) -> &'static str {
        match self {
            RejectKind::NetUnreachable => "a REJECT rule answered that the network is unreachable",
            RejectKind::HostUnreachable => "a REJECT rule answered that the host is unreachable",
            RejectKind::ProtoUnreachable => "a REJECT rule answered that the protocol is not spoken there",
            RejectKind::PortUnreachable => "a REJECT rule answered that the port is unreachable",
            RejectKind::NetProhibited => "a REJECT rule answered that the network is prohibited",
            RejectKind::HostProhibited => "a REJECT rule answered that the host is prohibited",
            RejectKind::AdminProhibited => "a REJECT rule answered that an administrator prohibits it",
            RejectKind::TcpReset => "a REJECT rule answered with a TCP reset",
        }
    }
}
