//! The decision about a new flow, in the order of its way. The only code that decides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::chains::{End, Seen};
use super::services::Source;
use super::trace::{Step, Trace};
use super::tuple::{EntryMatch, NewFlow, TCP};
use super::verdict::{Decision, DropReason, Logs, RuleRef, Verdict};
use super::{InterfaceId, ListenerId, Memory, Policy, ServiceId};
use crate::rules::{Hook, TableKind};

/// What the tproxy features make of a flow.
enum Taken {
    /// Nothing.
    Untouched,
    /// An entry marks it and leaves its addresses alone.
    Marked,
    /// It is redirected to a local address.
    To { local: SocketAddr, rule: Option<RuleRef> },
}

impl Policy {
    /// Decides about a flow by its first packet. `entry` is the tproxy entry that matches its destination, if one
    /// does and could be claimed.
    pub fn decide<T: Trace>(
        &self,
        flow: &NewFlow,
        entry: Option<&EntryMatch>,
        memory: &mut Memory,
        trace: &mut T,
    ) -> Decision {
        match self.take(flow, entry, memory, trace) {
            Err(ended) => ended,
            Ok(Taken::To { local, rule }) => self.redirected(flow, local, rule, memory, trace),
            Ok(Taken::Marked) => self.untouched(flow, true, memory, trace),
            Ok(Taken::Untouched) => self.untouched(flow, false, memory, trace),
        }
    }

    /// PREROUTING: socket entries are consulted before the rules of table tproxy.
    fn take<T: Trace>(
        &self,
        flow: &NewFlow,
        entry: Option<&EntryMatch>,
        memory: &mut Memory,
        trace: &mut T,
    ) -> Result<Taken, Decision> {
        if let Some(entry) = entry {
            trace.step(Step::Entry(entry));
            if entry.mark_only {
                return Ok(Taken::Marked);
            }
            trace.step(Step::Redirected(entry.local));
            return Ok(Taken::To { local: entry.local, rule: None });
        }
        let mut seen = arrived(flow, flow.destination, false);
        match self.chains.walk(TableKind::Tproxy, Hook::Prerouting, &mut seen, memory, trace) {
            End::Translate { rule, .. } => Err(dropped(DropReason::TproxyRule, Some(rule), false)),
            End::Accept(_) => Ok(Taken::Untouched),
            End::Drop(Some(rule)) => Err(dropped(DropReason::TproxyRule, Some(rule), false)),
            End::Drop(None) => Err(dropped(DropReason::TproxyPolicy, None, false)),
            End::Reject(kind, rule) => Err(Decision { rule: Some(rule), ..ended(Verdict::Reject(kind), false) }),
            End::Redirect { address, port, rule } => {
                let address = address.or_else(|| self.interface(flow.interface).first_address(flow.destination.ip()));
                let Some(address) = address else {
                    trace.step(Step::NoLocalAddress(flow.interface));
                    return Err(dropped(DropReason::NoLocalAddress, Some(rule), true));
                };
                let port = if port == 0 { flow.destination.port() } else { port };
                let local = SocketAddr::new(address, port);
                trace.step(Step::Redirected(local));
                Ok(Taken::To { local, rule: Some(rule) })
            }
        }
    }

    /// A flow that keeps its destination: for the gateway or for someone else, table filter decides.
    fn untouched<T: Trace>(&self, flow: &NewFlow, tproxy: bool, memory: &mut Memory, trace: &mut T) -> Decision {
        let to = flow.destination.ip();
        let mut seen = arrived(flow, flow.destination, tproxy);
        let (hook, verdict) = if self.is_for_gateway(to) {
            trace.step(Step::ToGateway(flow.destination));
            (Hook::Input, Verdict::Local)
        } else {
            seen.output = self.route(to).map(|route| route.interface);
            trace.step(Step::ToOthers(to, seen.output));
            (Hook::Forward, Verdict::Forward)
        };
        match self.filter(hook, &mut seen, memory, trace) {
            Ok(rule) => Decision {
                rule,
                mark: seen.mark,
                connmark: seen.connmark,
                untracked: seen.untracked,
                logs: seen.logs,
                ..ended(verdict, tproxy)
            },
            Err(ended) => ended,
        }
    }

    /// A redirected flow: the firewall around it, then who takes it, then who permits it.
    fn redirected<T: Trace>(
        &self,
        flow: &NewFlow,
        local: SocketAddr,
        rule: Option<RuleRef>,
        memory: &mut Memory,
        trace: &mut T,
    ) -> Decision {
        trace.step(Step::ToGateway(local));
        if let Err(ended) = self.filter(Hook::Input, &mut arrived(flow, local, true), memory, trace) {
            return ended;
        }
        let listener = self.listener_at(local);
        trace.step(Step::Listener(local, listener));
        let Some(listener) = listener else { return dropped(DropReason::NoListener, rule, true) };
        self.permitted(flow, listener, local, memory, trace)
            .map_or_else(|ended| ended.with_rule(rule), |d| d.with_rule(rule))
    }

    /// Zones and the connection to the server. Permission is checked before any address is rewritten: it is the zone
    /// of the server the client meant that counts, or of the server that the router names in its place.
    fn permitted<T: Trace>(
        &self,
        flow: &NewFlow,
        listener: ListenerId,
        local: SocketAddr,
        memory: &mut Memory,
        trace: &mut T,
    ) -> Result<Decision, Decision> {
        let service = self.listener(listener).service;
        if flow.protocol != TCP {
            trace.step(Step::NoProxyForProtocol(service, flow.protocol));
            return Err(dropped(DropReason::NoProxyForProtocol, None, true));
        }
        let server = self.server(flow, service);
        if self.is_own(server.ip()) {
            trace.step(Step::ConnectedDirectly(server));
            return Err(dropped(DropReason::ConnectedDirectly, None, true));
        }
        let client_zone = self.zone_of(flow.source.ip());
        let server_zone = self.zone_of(server.ip());
        let refused = |reason| Decision { client_zone, server_zone, ..dropped(reason, None, true) };

        let allowed = client_zone.is_some_and(|zone| self.zone(zone).outbound.allows(service));
        trace.step(Step::ClientZone(flow.source.ip(), client_zone, service, allowed));
        if !allowed {
            return Err(refused(client_zone.map_or(DropReason::NoZone, |_| DropReason::OutboundDenied)));
        }
        let allowed = server_zone.is_some_and(|zone| self.zone(zone).inbound.allows(service));
        trace.step(Step::ServerZone(server.ip(), server_zone, service, allowed));
        if !allowed {
            return Err(refused(server_zone.map_or(DropReason::NoZone, |_| DropReason::InboundDenied)));
        }
        self.leaving(flow, service, server, memory, trace).map_err(|ended| Decision {
            client_zone,
            server_zone,
            ..ended
        })?;
        Ok(Decision {
            client_zone,
            server_zone,
            ..ended(Verdict::Proxy { service, listener: Some(listener), local }, true)
        })
    }

    /// The server of the flow. A router that names none of the flow's family leads nowhere; the data plane refuses it.
    fn server(&self, flow: &NewFlow, service: ServiceId) -> SocketAddr {
        self.service(service).server(flow.destination).unwrap_or(flow.destination)
    }

    /// OUTPUT: the connection to the server is the gateway's own, from the foreign address.
    fn leaving<T: Trace>(
        &self,
        flow: &NewFlow,
        service: ServiceId,
        server: SocketAddr,
        memory: &mut Memory,
        trace: &mut T,
    ) -> Result<Option<RuleRef>, Decision> {
        let output = self.route(server.ip()).map(|route| route.interface);
        let source = match self.service(service).source {
            Source::Client => flow.source,
            Source::Address(address) => address,
            Source::Gateway => SocketAddr::new(self.source_towards(server.ip(), output), 0),
        };
        trace.step(Step::FromGateway(server, output));
        let mut seen = Seen { input: None, output, source, ..arrived(flow, server, true) };
        self.filter(Hook::Output, &mut seen, memory, trace)
    }

    /// The gateway's first address on the way to a server; unspecified where there is no way.
    fn source_towards(&self, server: IpAddr, output: Option<InterfaceId>) -> IpAddr {
        let address = output.and_then(|output| self.interface(output).first_address(server));
        address.unwrap_or(if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() })
    }

    /// Table filter at one hook: the rule that accepts, or how the flow ends.
    fn filter<T: Trace>(
        &self,
        hook: Hook,
        seen: &mut Seen,
        memory: &mut Memory,
        trace: &mut T,
    ) -> Result<Option<RuleRef>, Decision> {
        match self.chains.walk(TableKind::Filter, hook, seen, memory, trace) {
            End::Translate { rule, .. } => Err(dropped(DropReason::FilterRule, Some(rule), seen.tproxy)),
            End::Accept(rule) => Ok(rule),
            End::Drop(Some(rule)) => Err(dropped(DropReason::FilterRule, Some(rule), seen.tproxy)),
            End::Drop(None) => Err(dropped(DropReason::FilterPolicy, None, seen.tproxy)),
            End::Reject(kind, rule) => Err(Decision { rule: Some(rule), ..ended(Verdict::Reject(kind), seen.tproxy) }),
            // Reading refuses TPROXY outside table tproxy; were it to slip through, the flow must not pass unproxied.
            End::Redirect { rule, .. } => Err(dropped(DropReason::NoListener, Some(rule), seen.tproxy)),
        }
    }
}

impl Decision {
    fn with_rule(self, rule: Option<RuleRef>) -> Decision {
        Decision { rule: self.rule.or(rule), ..self }
    }
}

fn arrived(flow: &NewFlow, destination: SocketAddr, tproxy: bool) -> Seen {
    Seen {
        input: Some(flow.interface),
        output: None,
        protocol: flow.protocol,
        source: flow.source,
        destination,
        tproxy,
        packet: flow.packet,
        mark: 0,
        connmark: 0,
        untracked: false,
        logs: Logs::default(),
        original: (flow.source, flow.destination),
    }
}

fn ended(verdict: Verdict, tproxy: bool) -> Decision {
    Decision { tproxy, ..Decision::new(verdict) }
}

fn dropped(reason: DropReason, rule: Option<RuleRef>, tproxy: bool) -> Decision {
    Decision { rule, ..ended(Verdict::Drop(reason), tproxy) }
}
