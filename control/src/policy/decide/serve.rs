//! What becomes of a flow that was taken: its service, the zones' permission, and the way to its server.
//!
//! Permission is asked for before any address is mapped: it is the zone of the server the client meant that counts, or
//! of the server that the router names in its place. A service that a policy rule chose needs no zone's permission,
//! the rule is one; `limit_target_zones_to` holds for both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::arrived;
use super::way::Way;
use crate::policy::best_match;
use crate::policy::nat::End;
use crate::policy::services::{Kind, Proxy, Source};
use crate::policy::trace::{Step, Trace};
use crate::policy::translation::{NatKind, NatRange};
use crate::policy::tuple::NewFlow;
use crate::policy::verdict::{Decision, DropReason, Verdict};
use crate::policy::zones::Direction;
use crate::policy::{InterfaceId, ListenerId, Memory, Policy, Router, ServiceId};
use crate::rules::{Hook, TableKind};

impl Policy {
    /// Decides about another server of a flow that `decided` gave to a proxy: the next one of the router's list, or one
    /// that the proxy names. What is decided is the permission for that server and the way to it, anew; `flow` is the
    /// client's, as it arrived.
    pub fn decide_server<T: Trace>(
        &self,
        flow: &NewFlow,
        decided: &Decision,
        server: SocketAddr,
        memory: &mut Memory,
        trace: &mut T,
    ) -> Decision {
        let Verdict::Proxy { service, listener, .. } = decided.verdict else { return *decided };
        let mut way = Way::new(self, flow, Some(flow.interface), memory, trace);
        way.seen.tproxy = true;
        (way.rule, way.service, way.chosen) = (decided.rule, Some(service), decided.policy_rule);
        way.client_zone = decided.client_zone;
        let verdict = way.reach(service, listener, server).map_or_else(|ended| ended, |()| decided.verdict);
        Decision { mark: decided.mark, connmark: decided.connmark, ..way.decision(verdict) }
    }
}

impl<T: Trace> Way<'_, T> {
    /// A redirected flow that the filter lets in.
    pub(super) fn serve(&mut self, local: SocketAddr) -> Result<Verdict, Verdict> {
        self.client_zone = self.policy.zone_of(self.flow.source.ip());
        self.server_zone = self.policy.zone_of(self.flow.destination.ip());
        let (mut listener, over) = self.policy.listener_at(local, self.flow.protocol);
        if let Some(over) = over {
            self.trace.step(Step::ListenerOver { local, listener: over });
            // A flow that runs may be the one that it took.
            listener = if self.memory.is_of_running() { Some(over) } else { listener };
        }
        let service = match listener {
            Some(listener) => self.by_listener(local, listener)?,
            None => self.by_policy_rules(local)?,
        };
        self.service = Some(service);
        match self.policy.service(service).kind {
            Kind::Deny(deny) => {
                self.trace.step(Step::Denied(service));
                Err(deny.verdict(self.flow.destination.is_ipv6()))
            }
            Kind::Forward => {
                self.may_leave(service, listener)?;
                self.forwarded(service, listener)
            }
            Kind::Proxy(proxy) => {
                if proxy == Proxy::Handoff {
                    return self.hand_off(service, listener, local);
                }
                if !proxy.speaks(self.flow.protocol) {
                    self.trace.step(Step::NoProxyForProtocol(service, self.flow.protocol));
                    return Err(Verdict::Drop(DropReason::NoProxyForProtocol));
                }
                self.may_leave(service, listener)?;
                // Who the server is, an in-band proxy has yet to learn: it is decided about then.
                if self.policy.service(service).router == Router::Inband {
                    self.server_zone = None;
                } else {
                    let server = self.server(service)?;
                    self.reach(service, listener, server)?;
                }
                Ok(Verdict::Proxy { service, listener, local })
            }
        }
    }

    fn by_listener(&mut self, local: SocketAddr, listener: ListenerId) -> Result<ServiceId, Verdict> {
        let service = self.policy.listeners_service(listener, self.client_zone, self.server_zone);
        self.trace.step(Step::Listener { local, listener, zones: (self.client_zone, self.server_zone), service });
        service.ok_or(Verdict::Drop(DropReason::NoService))
    }

    fn by_policy_rules(&mut self, local: SocketAddr) -> Result<ServiceId, Verdict> {
        if self.policy.policy_rules.is_empty() {
            self.trace.step(Step::NoListener(local));
            return Err(Verdict::Drop(DropReason::NoListener));
        }
        let flow = best_match::Flow {
            input: self.seen.input,
            output: self.policy.route(self.flow.destination.ip()).map(|route| route.interface),
            protocol: self.flow.protocol,
            source: self.flow.source,
            destination: self.flow.destination,
            client: self.client_zone,
            server: self.server_zone,
        };
        self.chosen = self.policy.best_match.choose(&flow);
        self.trace.step(Step::PolicyRules(self.chosen));
        let chosen = self.chosen.ok_or(Verdict::Drop(DropReason::NoService))?;
        Ok(self.policy.policy_rule(chosen.rule).service)
    }

    /// The client's zone permits the service.
    fn may_leave(&mut self, service: ServiceId, listener: Option<ListenerId>) -> Result<(), Verdict> {
        if listener.is_none() { Ok(()) } else { self.outbound(service) }
    }

    /// The client's zone, or one above it, names the service.
    pub(super) fn outbound(&mut self, service: ServiceId) -> Result<(), Verdict> {
        let by = self.client_zone.and_then(|zone| self.policy.permits(zone, Direction::Outbound, service));
        let (address, zone) = (self.flow.source.ip(), self.client_zone);
        self.trace.step(Step::Zone { direction: Direction::Outbound, address, zone, service, by });
        match (zone, by) {
            (_, Some(_)) => Ok(()),
            (Some(_), None) => Err(Verdict::Drop(DropReason::OutboundDenied)),
            (None, None) => Err(Verdict::Drop(DropReason::NoZone)),
        }
    }

    /// The server that the router names.
    fn server(&mut self, service: ServiceId) -> Result<SocketAddr, Verdict> {
        self.policy.service(service).server(self.flow.destination).ok_or_else(|| {
            self.trace.step(Step::NoServer(service));
            Verdict::Drop(DropReason::NoServer)
        })
    }

    /// The server is another machine, in a zone that permits it.
    fn may_reach(
        &mut self,
        service: ServiceId,
        listener: Option<ListenerId>,
        server: SocketAddr,
    ) -> Result<(), Verdict> {
        self.not_the_gateway(server)?;
        let zone = self.policy.zone_of(server.ip());
        self.server_zone = zone;
        if listener.is_some() {
            self.inbound(service, server)?;
        }
        self.within_limits(service, server)
    }

    /// The server's zone, or one above it, names the service.
    pub(super) fn inbound(&mut self, service: ServiceId, server: SocketAddr) -> Result<(), Verdict> {
        let zone = self.server_zone;
        let by = zone.and_then(|zone| self.policy.permits(zone, Direction::Inbound, service));
        self.trace.step(Step::Zone { direction: Direction::Inbound, address: server.ip(), zone, service, by });
        match (zone, by) {
            (_, Some(_)) => Ok(()),
            (Some(_), None) => Err(Verdict::Drop(DropReason::InboundDenied)),
            (None, None) => Err(Verdict::Drop(DropReason::NoZone)),
        }
    }

    /// `limit_target_zones_to`.
    pub(super) fn within_limits(&mut self, service: ServiceId, server: SocketAddr) -> Result<(), Verdict> {
        let zone = self.server_zone;
        let limits = &self.policy.service(service).limit_target_zones_to;
        if !limits.is_empty() {
            let allowed = zone.is_some_and(|zone| self.policy.is_within(zone, limits));
            self.trace.step(Step::TargetZone { address: server.ip(), zone, service, allowed });
            if !allowed {
                return Err(Verdict::Drop(DropReason::TargetZoneDenied));
            }
        }
        Ok(())
    }

    /// The loop guard: a proxy that is connected to the gateway would be connected to itself.
    pub(super) fn not_the_gateway(&mut self, server: SocketAddr) -> Result<(), Verdict> {
        if !self.policy.is_own(server.ip()) && !server.ip().is_loopback() {
            return Ok(());
        }
        self.trace.step(Step::ConnectedDirectly(server));
        Err(Verdict::Drop(DropReason::ConnectedDirectly))
    }

    /// NAT policies of the service, for a connection from `source` to `server`; both ends as they are then.
    fn nat_policies(
        &mut self,
        service: ServiceId,
        source: SocketAddr,
        server: SocketAddr,
    ) -> Result<(SocketAddr, SocketAddr), Verdict> {
        let (snat, dnat) = (self.policy.service(service).snat, self.policy.service(service).dnat);
        let (mut from, mut to) = (source, server);
        for (id, end) in [(snat, End::Source), (dnat, End::Destination)] {
            let Some(id) = id else { continue };
            let mapped = self.policy.nat_policy(id).map(self.flow, end, source.ip(), server.ip());
            let own = if end == End::Source { &mut from } else { &mut to };
            self.trace.step(Step::NatPolicy { id, end, address: own.ip(), mapped });
            let Some(mapped) = mapped.map_err(|_| Verdict::Drop(DropReason::NatRejected))? else { continue };
            let ports = (mapped.port() != 0).then(|| (mapped.port(), mapped.port()));
            let kind = if end == End::Source { NatKind::Snat } else { NatKind::Dnat };
            let range = NatRange { addresses: Some((mapped.ip(), mapped.ip())), ports, ..NatRange::new(kind) };
            *own = SocketAddr::new(mapped.ip(), if mapped.port() == 0 { own.port() } else { mapped.port() });
            match end {
                End::Source => self.nat.source = Some(range.after(self.nat.source)),
                End::Destination => self.nat.destination = Some(range.after(self.nat.destination)),
            }
        }
        Ok((from, to))
    }

    /// The gateway's own connection to the server: permitted by zones, mapped, and filtered as what it sends itself.
    fn reach(&mut self, service: ServiceId, listener: Option<ListenerId>, server: SocketAddr) -> Result<(), Verdict> {
        self.may_reach(service, listener, server)?;
        let source = match self.policy.service(service).source {
            Source::Client => self.flow.source,
            Source::Address(address) => address,
            // By the server's own address; a mapped one may be of the other family.
            Source::Gateway => SocketAddr::new(unspecified(server.ip()), 0),
        };
        let (mut source, server) = self.nat_policies(service, source, server)?;
        let output = self.policy.route(server.ip()).map(|route| route.interface);
        if source.ip().is_unspecified() {
            source.set_ip(self.source_towards(server.ip(), output));
        }
        if source.is_ipv4() != server.is_ipv4() {
            return Err(Verdict::Drop(DropReason::NatRejected));
        }
        self.trace.step(Step::FromGateway(server, output));
        let leg = arrived(self.flow, None);
        let original = (source, server);
        let logs = self.seen.logs;
        let leg = super::Seen { output, source, destination: server, tproxy: true, logs, original, ..leg };
        let client = std::mem::replace(&mut self.seen, leg);
        let left = self.leave_for_server();
        self.seen = super::Seen { logs: self.seen.logs, ..client };
        left
    }

    fn leave_for_server(&mut self) -> Result<(), Verdict> {
        self.pass(TableKind::Raw, Hook::Output)?;
        self.pass(TableKind::Mangle, Hook::Output)?;
        self.translate_destination(Hook::Output)?;
        self.not_the_gateway(self.seen.destination)?;
        self.pass(TableKind::Filter, Hook::Output)?;
        self.leave()
    }

    /// A forward service: routed on, translated as router and policies say. The filter's FORWARD has the last word,
    /// and `-m tproxy` tells it that a service was asked.
    fn forwarded(&mut self, service: ServiceId, listener: Option<ListenerId>) -> Result<Verdict, Verdict> {
        let original = self.flow.destination;
        let server = self.server(service)?;
        self.may_reach(service, listener, server)?;
        self.trace.step(Step::Forwards(service));
        if server != original {
            let ports = (server.port() != original.port()).then(|| (server.port(), server.port()));
            let range = NatRange { addresses: Some((server.ip(), server.ip())), ports, ..NatRange::new(NatKind::Dnat) };
            self.nat.destination = Some(range);
        }
        let (from, to) = self.nat_policies(service, self.flow.source, server)?;
        if from.is_ipv4() != original.is_ipv4() || to.is_ipv4() != original.is_ipv4() {
            return Err(Verdict::Drop(DropReason::NatRejected));
        }
        self.not_the_gateway(to)?;
        self.seen.destination = to;
        self.route();
        self.trace.step(Step::ToOthers(to.ip(), self.seen.output));
        self.forward()
    }

    /// The gateway's first address on the way to a server; unspecified where there is no way.
    fn source_towards(&self, server: IpAddr, output: Option<InterfaceId>) -> IpAddr {
        let address = output.and_then(|output| self.policy.interface(output).first_address(server));
        address.unwrap_or(unspecified(server))
    }
}

fn unspecified(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}
