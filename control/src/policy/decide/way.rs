//! A flow on its way through the policy: what is known of it so far, and how a table is asked about it.

use std::net::SocketAddr;

use super::arrived;
use crate::policy::best_match::Chosen;
use crate::policy::chains::{End, Seen};
use crate::policy::trace::{Step, Trace};
use crate::policy::translation::{Nat, NatRange};
use crate::policy::tuple::{NewFlow, TCP, UDP};
use crate::policy::verdict::{Decision, DropReason, RuleRef, Verdict};
use crate::policy::{InterfaceId, Memory, Policy, ServiceId, ZoneId};
use crate::rules::{Hook, TableKind};

/// A flow on its way. Steps end it with a verdict as their error.
pub(super) struct Way<'a, T> {
    pub(super) policy: &'a Policy,
    pub(super) flow: &'a NewFlow,
    pub(super) memory: &'a mut Memory,
    pub(super) trace: &'a mut T,
    /// As the next table sees it.
    pub(super) seen: Seen,
    pub(super) nat: Nat,
    pub(super) rule: Option<RuleRef>,
    pub(super) client_zone: Option<ZoneId>,
    pub(super) server_zone: Option<ZoneId>,
    pub(super) service: Option<ServiceId>,
    pub(super) chosen: Option<Chosen>,
}

/// What a table says of a flow that goes on.
pub(super) enum Passed {
    /// It passes.
    Accept(Option<RuleRef>),
    /// It is to be redirected.
    Redirect { address: Option<std::net::IpAddr>, port: u16, rule: RuleRef },
    /// It is to be translated.
    Translate { range: NatRange, rule: RuleRef },
}

impl<'a, T: Trace> Way<'a, T> {
    pub(super) fn new(
        policy: &'a Policy,
        flow: &'a NewFlow,
        input: Option<InterfaceId>,
        memory: &'a mut Memory,
        trace: &'a mut T,
    ) -> Self {
        Way {
            policy,
            flow,
            memory,
            trace,
            seen: arrived(flow, input),
            nat: Nat::default(),
            rule: None,
            client_zone: None,
            server_zone: None,
            service: None,
            chosen: None,
        }
    }

    pub(super) fn decision(self, verdict: Verdict) -> Decision {
        Decision {
            verdict,
            tproxy: self.seen.tproxy,
            client_zone: self.client_zone,
            server_zone: self.server_zone,
            service: self.service,
            policy_rule: self.chosen,
            rule: self.rule,
            mark: self.seen.mark,
            connmark: self.seen.connmark,
            untracked: self.seen.untracked,
            nat: self.nat,
            logs: self.seen.logs,
        }
    }

    /// Asks a table that can only let pass or end; the rule that accepted.
    pub(super) fn pass(&mut self, table: TableKind, hook: Hook) -> Result<Option<RuleRef>, Verdict> {
        match self.ask(table, hook)? {
            Passed::Accept(rule) => Ok(rule),
            // Reading refuses these here; were one to slip through, the flow must not pass as it is.
            Passed::Redirect { rule, .. } | Passed::Translate { rule, .. } => {
                self.rule = Some(rule);
                Err(Verdict::Drop(by_rule(table)))
            }
        }
    }

    /// Asks a table at one of its hooks. Tables beyond filter and tproxy are not mentioned when the file has none.
    pub(super) fn ask(&mut self, table: TableKind, hook: Hook) -> Result<Passed, Verdict> {
        if !matches!(table, TableKind::Filter | TableKind::Tproxy) {
            if !self.policy.has_table(table) {
                return Ok(Passed::Accept(None));
            }
            self.trace.step(Step::Asked(table, hook));
        }
        match self.policy.chains.walk(table, hook, &mut self.seen, self.memory, self.trace) {
            End::Accept(rule) => Ok(Passed::Accept(rule)),
            End::Redirect { address, port, rule } => Ok(Passed::Redirect { address, port, rule }),
            End::Translate { range, rule } => Ok(Passed::Translate { range, rule }),
            End::Drop(rule) => {
                self.rule = rule.or(self.rule);
                Err(Verdict::Drop(if rule.is_some() { by_rule(table) } else { by_policy(table) }))
            }
            End::Reject(kind, rule) => {
                self.rule = Some(rule);
                Err(Verdict::Reject(kind))
            }
        }
    }

    /// An end of the flow after a translation; the port of an ICMP echo is its identifier and stays.
    pub(super) fn translated(&self, end: SocketAddr, range: NatRange) -> SocketAddr {
        let ported = matches!(self.seen.protocol, TCP | UDP);
        let port = if ported { range.port(end.port()) } else { end.port() };
        SocketAddr::new(range.address().unwrap_or(end.ip()), port)
    }
}

fn by_rule(table: TableKind) -> DropReason {
    match table {
        TableKind::Raw => DropReason::RawRule,
        TableKind::Mangle => DropReason::MangleRule,
        TableKind::Tproxy => DropReason::TproxyRule,
        TableKind::Nat => DropReason::NatRule,
        TableKind::Filter => DropReason::FilterRule,
    }
}

fn by_policy(table: TableKind) -> DropReason {
    match table {
        TableKind::Raw => DropReason::RawPolicy,
        TableKind::Mangle => DropReason::ManglePolicy,
        TableKind::Tproxy => DropReason::TproxyPolicy,
        TableKind::Nat => DropReason::NatPolicy,
        TableKind::Filter => DropReason::FilterPolicy,
    }
}
