//! Flows of programs at the handoff socket: what an entry of theirs takes, and the connections they make.
//!
//! The firewall and the zones stand around a program as around a proxy: the service of kind `proxy: handoff` is what
//! zones permit, the client's zone as outbound and that of the foreign address as inbound; without such a service
//! there is nothing to permit, and the flow ends. A program's own connections leave by OUTPUT and POSTROUTING, with
//! `-m tproxy` true. Table nat is not asked: the entry is the translation.

use std::net::SocketAddr;

use super::way::Way;
use crate::policy::services::Proxy;
use crate::policy::trace::{NoTrace, Step, Trace};
use crate::policy::tuple::NewFlow;
use crate::policy::verdict::{Decision, DropReason, Verdict};
use crate::policy::{ListenerId, Memory, Policy, ServiceId};
use crate::rules::{Hook, TableKind};

impl Policy {
    /// The service that stands for programs at the handoff socket: the first of kind `proxy: handoff`.
    pub(super) fn program_service(&self) -> Option<ServiceId> {
        self.program
    }

    /// Decides about a connection that a program makes: `flow` is as the server will see it, from the foreign address.
    /// [`Verdict::Proxy`] means that it may be made.
    pub fn decide_program_connect(&self, flow: &NewFlow, memory: &mut Memory) -> Decision {
        let mut trace = NoTrace;
        let mut way = Way::new(self, flow, None, memory, &mut trace);
        let verdict = way.program_connects().unwrap_or_else(|ended| ended);
        way.decision(verdict)
    }
}

impl<T: Trace> Way<'_, T> {
    /// A flow that an entry of a program took, and that the filter lets in.
    pub(super) fn serve_program(&mut self, local: SocketAddr) -> Result<Verdict, Verdict> {
        self.client_zone = self.policy.zone_of(self.flow.source.ip());
        let service = self.policy.program_service().ok_or_else(|| {
            self.trace.step(Step::NoListener(local));
            Verdict::Drop(DropReason::NoService)
        })?;
        self.service = Some(service);
        self.outbound(service)?;
        self.hand_off(service, None, local)?;
        self.inbound(service, self.flow.destination)?;
        Ok(Verdict::Proxy { service, listener: None, local })
    }

    /// The last step of a flow for a program: its protocol and the server's zone. Where a listener led here, the zones
    /// are asked as for any other service.
    pub(super) fn hand_off(
        &mut self,
        service: ServiceId,
        listener: Option<ListenerId>,
        local: SocketAddr,
    ) -> Result<Verdict, Verdict> {
        if !Proxy::Handoff.speaks(self.flow.protocol) {
            self.trace.step(Step::NoProxyForProtocol(service, self.flow.protocol));
            return Err(Verdict::Drop(DropReason::NoProxyForProtocol));
        }
        self.server_zone = self.policy.zone_of(self.flow.destination.ip());
        if listener.is_some() {
            self.outbound(service)?;
            self.inbound(service, self.flow.destination)?;
        }
        self.within_limits(service, self.flow.destination)?;
        Ok(Verdict::Proxy { service, listener, local })
    }

    fn program_connects(&mut self) -> Result<Verdict, Verdict> {
        let (source, server) = (self.flow.source, self.flow.destination);
        let service = self.policy.program_service().ok_or(Verdict::Drop(DropReason::NoService))?;
        (self.service, self.seen.tproxy) = (Some(service), true);
        (self.client_zone, self.server_zone) = (self.policy.zone_of(source.ip()), self.policy.zone_of(server.ip()));
        self.not_the_gateway(server)?;
        self.outbound(service)?;
        self.inbound(service, server)?;
        self.within_limits(service, server)?;
        self.seen.output = self.policy.route(server.ip()).map(|route| route.interface);
        self.trace.step(Step::FromGateway(server, self.seen.output));
        self.pass(TableKind::Raw, Hook::Output)?;
        self.pass(TableKind::Mangle, Hook::Output)?;
        self.rule = self.pass(TableKind::Filter, Hook::Output)?;
        self.pass(TableKind::Mangle, Hook::Postrouting)?;
        Ok(Verdict::Proxy { service, listener: None, local: source })
    }
}
