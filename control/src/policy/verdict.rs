//! How deciding a flow can end. Every end has a name (for counters and `--json`) and a sentence (for the operator).

use std::net::SocketAddr;

use crate::limits;

use super::best_match::Chosen;
use super::listeners::ListenerId;
use super::services::ServiceId;
use super::translation::Nat;
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
    /// The service that was chosen, be it that it takes the flow, forwards it or denies it.
    pub service: Option<ServiceId>,
    /// The policy rule that chose the service, where none of the listeners did.
    pub policy_rule: Option<Chosen>,
    /// The rule that decided: the TPROXY rule of a proxied flow, else the filter rule. None where a policy did.
    pub rule: Option<RuleRef>,
    /// The mark of the flow's packets, as table mangle left it.
    pub mark: u32,
    /// The mark of the connection.
    pub connmark: u32,
    /// `NOTRACK`: its packets are not tracked, each is decided by itself.
    pub untracked: bool,
    /// The translation of a forwarded or local flow; of a proxied one, that of the connection to its server.
    pub nat: Nat,
    /// The LOG rules it met.
    pub logs: Logs,
}

impl Decision {
    /// A verdict about a flow of which nothing else is known.
    pub fn new(verdict: Verdict) -> Decision {
        Decision {
            verdict,
            tproxy: false,
            client_zone: None,
            server_zone: None,
            service: None,
            policy_rule: None,
            rule: None,
            mark: 0,
            connmark: 0,
            untracked: false,
            nat: Nat::default(),
            logs: Logs::default(),
        }
    }
}

/// LOG rules that a flow met: the first few, and how many more. A decision must not allocate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logs {
    rules: [RuleRef; limits::LOGS_PER_FLOW_MAX],
    len: u8,
    more: u32,
}

impl Logs {
    /// Notes one more.
    pub fn push(&mut self, rule: RuleRef) {
        match self.rules.get_mut(usize::from(self.len)) {
            Some(place) => {
                *place = rule;
                self.len += 1;
            }
            None => self.more += 1,
        }
    }

    /// The rules, in the order in which they were met.
    pub fn rules(&self) -> &[RuleRef] {
        &self.rules[..usize::from(self.len)]
    }

    /// How many were met beyond those.
    pub fn more(&self) -> u32 {
        self.more
    }
}

/// What is to be done with a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken by a listener for its service.
    Proxy {
        /// The service.
        service: ServiceId,
        /// The listener; none when a policy rule chose the service.
        listener: Option<ListenerId>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
    /// A DROP rule of table raw.
    RawRule,
    /// DROP as the policy of a chain of table raw.
    RawPolicy,
    /// A DROP rule of table mangle.
    MangleRule,
    /// DROP as the policy of a chain of table mangle.
    ManglePolicy,
    /// A DROP rule of table nat.
    NatRule,
    /// DROP as the policy of a chain of table nat.
    NatPolicy,
    /// REDIRECT or MASQUERADE, and the interface has no address of the family.
    NoNatAddress,
    /// A NAT policy of the service has no address for the flow.
    NatRejected,
    /// A listener or the policy rules have no service for these zones.
    NoService,
    /// A service that denies.
    DeniedByService,
    /// The router of the service has no server of the flow's family.
    NoServer,
    /// The server's zone is not one of those the service is limited to.
    TargetZoneDenied,
    /// A frame for all or for a group, which a translation made one for another machine.
    NotForOneStation,
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
        DropReason::RawRule,
        DropReason::RawPolicy,
        DropReason::MangleRule,
        DropReason::ManglePolicy,
        DropReason::NatRule,
        DropReason::NatPolicy,
        DropReason::NoNatAddress,
        DropReason::NatRejected,
        DropReason::NoService,
        DropReason::DeniedByService,
        DropReason::NoServer,
        DropReason::TargetZoneDenied,
        DropReason::NotForOneStation,
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
            DropReason::RawRule => "raw_rule",
            DropReason::RawPolicy => "raw_policy",
            DropReason::MangleRule => "mangle_rule",
            DropReason::ManglePolicy => "mangle_policy",
            DropReason::NatRule => "nat_rule",
            DropReason::NatPolicy => "nat_policy",
            DropReason::NoNatAddress => "no_nat_address",
            DropReason::NatRejected => "nat_rejected",
            DropReason::NoService => "no_service",
            DropReason::DeniedByService => "denied_by_service",
            DropReason::NoServer => "no_server",
            DropReason::TargetZoneDenied => "target_zone_denied",
            DropReason::NotForOneStation => "not_for_one_station",
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
            DropReason::NoProxyForProtocol => {
                "no proxy of the service speaks the flow's protocol; the plug speaks TCP and UDP"
            }
            DropReason::RawRule => "a DROP rule of table raw ended the flow",
            DropReason::RawPolicy => "the policy of a chain of table raw is DROP",
            DropReason::MangleRule => "a DROP rule of table mangle ended the flow",
            DropReason::ManglePolicy => "the policy of a chain of table mangle is DROP",
            DropReason::NatRule => "a DROP rule of table nat ended the flow",
            DropReason::NatPolicy => "the policy of a chain of table nat is DROP",
            DropReason::NoNatAddress => "the interface has no address of the flow's family to translate to",
            DropReason::NatRejected => "a NAT policy of the service has no address for the flow",
            DropReason::NoService => "the listener or the policy rules have no service for this client and server",
            DropReason::DeniedByService => "the service that was chosen denies the flow",
            DropReason::NoServer => "the router of the service has no server of the flow's family",
            DropReason::TargetZoneDenied => "the server's zone is not among the limit_target_zones_to of the service",
            DropReason::NotForOneStation => {
                "a broadcast or multicast frame is not forwarded, whatever it is translated to"
            }
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
