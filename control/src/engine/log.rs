//! The log's lines about flows: how each was decided where rules or the operator ask for it, and one summary at the
//! end. Field names are what tools rely on; the targets are Zorp's tags, so that a filter can name them.
//!
//! Nothing here limits the rate: the cores do, before they send anything, and say how much they kept back.

use std::fmt;
use std::net::SocketAddr;

use tracing::field::display;
use tracing::{debug, error, info, warn};

use crate::mailbox::{DecidedFlow, FlowRecord, ProxyRecord, SessionSummary};
use crate::policy::{Decision, NewFlow, Policy, RuleInfo, Verdict, ZoneId, protocol_name};
use crate::rules::Log;

/// A flow that met LOG rules, or was not let in.
pub(super) fn decided(flow: &DecidedFlow) {
    let decision = &flow.decision;
    for rule in decision.logs.rules() {
        let info = flow.policy.rule(*rule);
        if let Some(log) = &info.log {
            met(flow, info, log);
        }
    }
    if decision.logs.more() > 0 {
        debug!(target: "core.policy", more = decision.logs.more(), "the flow met more LOG rules than are written");
    }
    let (verdict, reason, sentence) = match (decision.verdict, flow.refused) {
        (Verdict::Drop(reason), _) => ("DROP", reason.name(), reason.sentence()),
        (Verdict::Reject(kind), _) => ("REJECT", kind.name(), kind.sentence()),
        (_, Some((reason, sentence))) => ("REFUSED", reason, sentence),
        (_, None) => return,
    };
    let DecidedFlow { core, policy, flow, .. } = flow;
    let rule = decision.rule.map(|rule| policy.rule(rule));
    let zone = |id: Option<ZoneId>| id.map(|id| policy.zone(id).name.as_str());
    let zones = zones(policy, flow, decision);
    info!(
        target: "core.policy",
        verdict,
        reason,
        rule = rule.map(|rule| display(Named(rule))),
        place = rule.map(|rule| display(rule.origin.as_ref().unwrap_or(&rule.place))),
        service = decision.service.map(|service| policy.service(service).name.as_str()),
        protocol = %protocol_name(flow.protocol),
        interface = policy.interface(flow.interface).name,
        client = %flow.source,
        client_zone = zone(zones.0),
        destination = %flow.destination,
        server_zone = zone(zones.1),
        core,
        generation = policy.generation(),
        "flow denied: {sentence}"
    );
}

/// Zones, also of flows that no listener was asked about: an operator wants to know whose they are.
fn zones(policy: &Policy, flow: &NewFlow, decision: &Decision) -> (Option<ZoneId>, Option<ZoneId>) {
    let client = decision.client_zone.or_else(|| policy.zone_of(flow.source.ip()));
    (client, decision.server_zone.or_else(|| policy.zone_of(flow.destination.ip())))
}

/// A LOG rule's line: its prefix, then what the kernel writes, in the kernel's names.
fn met(flow: &DecidedFlow, rule: &RuleInfo, log: &Log) {
    let (policy, line) = (&flow.policy, Packet { flow, log });
    macro_rules! say {
        ($level:ident) => {
            $level!(
                target: "core.log",
                rule = %Named(rule),
                place = %rule.origin.as_ref().unwrap_or(&rule.place),
                core = flow.core,
                generation = policy.generation(),
                "{}{line}",
                log.prefix
            )
        };
    }
    // syslog's eight levels on the five there are here.
    match log.level {
        0..=3 => say!(error),
        4 => say!(warn),
        5 | 6 => say!(info),
        _ => say!(debug),
    }
}

/// What the kernel's LOG writes about a packet, as far as a flow's first packet is known here.
struct Packet<'a> {
    flow: &'a DecidedFlow,
    log: &'a Log,
}

impl fmt::Display for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NewFlow { interface, protocol, source, destination, packet } = &self.flow.flow;
        write!(f, "IN={} OUT= ", self.flow.policy.interface(*interface).name)?;
        if let Some(mac) = packet.source_mac.filter(|_| self.log.mac) {
            let [a, b, c, d, e, g] = mac;
            write!(f, "MACSRC={a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x} ")?;
        }
        let (length, ttl) = (packet.length, packet.ttl);
        write!(f, "SRC={} DST={} LEN={length} TTL={ttl}", source.ip(), destination.ip())?;
        write!(f, " PROTO={}", protocol_name(*protocol).to_string().to_uppercase())?;
        if let Some((kind, code)) = packet.icmp {
            write!(f, " TYPE={kind} CODE={code}")?;
        } else if source.port() != 0 || destination.port() != 0 {
            write!(f, " SPT={} DPT={}", source.port(), destination.port())?;
        }
        if *protocol == crate::policy::TCP {
            let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
            let mut set = names.iter().enumerate().rev().filter(|(bit, _)| packet.tcp_flags & 1 << bit != 0);
            set.try_for_each(|(_, name)| write!(f, " {name}"))?;
        }
        match self.flow.decision.mark {
            0 => Ok(()),
            mark => write!(f, " MARK={mark:#x}"),
        }
    }
}

/// `table chain index`.
struct Named<'a>(&'a RuleInfo);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.0.table.name(), self.0.chain, self.0.index)
    }
}

/// Flows that were to be logged and were too many.
pub(super) fn suppressed(core: usize, flows: u64) {
    warn!(target: "core.policy", core, flows, "{flows} more flows were decided and are not logged: there were too many");
}

/// One line at the end of each session, in the order in which Zorp's summary names things.
pub(super) fn summary(summary: &SessionSummary) {
    let shown = |address: Option<SocketAddr>| address.map(display);
    info!(
        target: "core.summary",
        rule = summary.rule,
        session = %format_args!("svc/{}:{}/{}", summary.service, summary.core, summary.id),
        service = summary.service,
        start = summary.started,
        duration_ms = summary.duration_ms,
        client_proto = summary.protocol,
        interface = summary.interface,
        client = %summary.client,
        client_zone = summary.client_zone,
        client_local = %summary.client_local,
        destination = %summary.destination,
        server_proto = summary.protocol,
        server = shown(summary.server),
        server_zone = summary.server_zone,
        server_local = shown(summary.server_local),
        verdict = summary.verdict,
        reason = summary.reason,
        to_server = summary.bytes_to_server,
        to_client = summary.bytes_to_client,
        generation = summary.generation,
        "session ended"
    );
}

/// One line for each thing that a proxy has done.
pub(super) fn record(record: &ProxyRecord) {
    info!(
        target: "proxy.record",
        kind = record.kind,
        session = %format_args!("svc/{}:{}/{}", record.service, record.core, record.id),
        service = record.service,
        client = %record.client,
        client_zone = record.client_zone,
        destination = %record.destination,
        server = record.server.map(display),
        fields = %Fields(&record.fields),
        "done"
    );
}

/// `name='value'; …`, as Zorp writes them.
struct Fields<'a>(&'a [(&'static str, serde_json::Value)]);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.0.iter().enumerate() {
            let between = if place == 0 { "" } else { "; " };
            match value {
                serde_json::Value::String(text) => write!(f, "{between}{name}='{}'", text.escape_debug())?,
                other => write!(f, "{between}{name}='{other}'")?,
            }
        }
        Ok(())
    }
}

/// One line at the end of a forwarded flow, where those are asked for.
pub(super) fn forwarded(flow: &FlowRecord) {
    info!(
        target: "core.summary",
        flow = %format_args!("{}/{}", flow.core, flow.id),
        duration_ms = flow.age_ms,
        protocol = flow.protocol,
        interface = flow.interface,
        client = %flow.source,
        client_zone = flow.client_zone,
        destination = %flow.destination,
        server_zone = flow.server_zone,
        state = flow.state,
        to_server = flow.bytes_to_server,
        to_client = flow.bytes_to_client,
        generation = flow.generation,
        verdict = "ACCEPTED",
        "forwarded flow ended"
    );
}
