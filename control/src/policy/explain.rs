//! Why a flow is decided as it is: the decision's own steps, each in a sentence with file and line.

use std::fmt::{self, Display};

use serde::Serialize;

use super::chains::RuleInfo;
use super::translation::{Nat, NatRange};
use super::tuple::{EntryMatch, NewFlow, protocol_name};
use super::verdict::{Decision, Verdict};
use super::{Kind, Listener, Memory, Policy, ServiceId, ZoneId};
use told::Told;

mod told;

/// A decision and all that led to it; serializes to the JSON that tools rely on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `proxy`, `forward`, `local`, `drop` or `reject`.
    pub verdict: &'static str,
    /// Name of the reason, for `drop` and `reject`.
    pub reason: Option<&'static str>,
    /// The verdict in a sentence.
    pub sentence: String,
    /// Whether `-m tproxy` is true for the flow.
    pub tproxy: bool,
    /// The service that was chosen: that takes the flow, forwards or denies it, or was not permitted.
    pub service: Option<String>,
    /// The listener as `address:port`, `*` for all addresses; for `proxy`.
    pub listener: Option<String>,
    /// Id of the policy rule that chose the service.
    pub policy_rule: Option<u32>,
    /// The rule that decided.
    pub rule: Option<RuleExplained>,
    /// The zones of client and server, as far as they were looked up.
    pub zones: ZonesExplained,
    /// What becomes of its addresses.
    pub nat: Option<NatExplained>,
    /// The mark of its packets.
    pub mark: u32,
    /// Whether its packets are not tracked.
    pub untracked: bool,
    /// LOG rules it meets.
    pub logs: Vec<RuleExplained>,
    /// Generation of the policy that decided.
    pub generation: u64,
    /// Each step, in order.
    pub steps: Vec<String>,
}

/// Where a rule stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleExplained {
    /// Table.
    pub table: &'static str,
    /// Chain.
    pub chain: String,
    /// Number in the chain, from 1.
    pub index: u32,
    /// File.
    pub file: String,
    /// Line in the file.
    pub line: u32,
    /// The rule.
    pub text: String,
    /// What `limpid rules gen` made it of, as `file:line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// Names of zones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ZonesExplained {
    /// The client's.
    pub client: Option<String>,
    /// The server's.
    pub server: Option<String>,
}

/// What becomes of a flow's addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NatExplained {
    /// The destination the client meant.
    pub from: String,
    /// The local address it is redirected to.
    pub to: Option<String>,
    /// The destination that is put in its place: of the flow, or of the proxy's connection to its server.
    pub destination: Option<String>,
    /// The source that is put in its place, likewise.
    pub source: Option<String>,
}

impl Policy {
    /// Decides about a flow and tells why.
    pub fn explain(&self, flow: &NewFlow, entry: Option<&EntryMatch>) -> Explanation {
        let mut told = Told::new(self, flow);
        told.say(format_args!(
            "a new {} flow arrives on {}: {} → {}",
            protocol_name(flow.protocol),
            self.interface(flow.interface).name,
            flow.source,
            flow.destination
        ));
        let decision = self.decide(flow, entry, &mut Memory::observer(), &mut told);
        // What table nat led to a listener was redirected as well.
        let led = || match decision.verdict {
            Verdict::Proxy { local, .. } => Some(local.to_string()),
            _ => None,
        };
        let local = told.local.take().or_else(led);
        let listener = match decision.verdict {
            Verdict::Proxy { listener, .. } => listener.map(|listener| {
                let Listener { address, port, .. } = self.listener(listener);
                format!("{}:{port}", address.map_or("*".to_owned(), |address| address.to_string()))
            }),
            _ => None,
        };
        let service = decision.service.map(|service| self.service(service).name.clone());
        let zone = |id: Option<ZoneId>| id.map(|id| self.zone(id).name.clone());
        Explanation {
            verdict: verdict_name(decision.verdict),
            reason: reason_name(decision.verdict),
            sentence: self.sentence(&decision),
            tproxy: decision.tproxy,
            service,
            listener,
            policy_rule: decision.policy_rule.map(|chosen| self.policy_rule(chosen.rule).id),
            rule: decision.rule.map(|rule| RuleExplained::new(self.rule(rule))),
            zones: ZonesExplained { client: zone(decision.client_zone), server: zone(decision.server_zone) },
            nat: NatExplained::new(flow, local, &decision.nat),
            mark: decision.mark,
            untracked: decision.untracked,
            logs: decision.logs.rules().iter().map(|rule| RuleExplained::new(self.rule(*rule))).collect(),
            generation: self.generation,
            steps: told.steps(),
        }
    }

    fn sentence(&self, decision: &Decision) -> String {
        let name = |service: ServiceId| &self.service(service).name;
        let denying = decision.service.filter(|service| matches!(self.service(*service).kind, Kind::Deny(_)));
        match decision.verdict {
            Verdict::Proxy { service, .. } => format!("service {} takes the flow", name(service)),
            Verdict::Forward if decision.service.is_some() || decision.nat != Nat::default() => {
                "the flow is forwarded, its addresses translated where that is said".to_owned()
            }
            Verdict::Forward => "the flow is forwarded untouched".to_owned(),
            Verdict::Local => "the flow is for the gateway itself".to_owned(),
            Verdict::Drop(reason) => reason.sentence().to_owned(),
            Verdict::Reject(kind) => match denying {
                Some(service) => format!("service {} denies the flow and answers {}", name(service), kind.name()),
                None => kind.sentence().to_owned(),
            },
        }
    }
}

impl RuleExplained {
    fn new(info: &RuleInfo) -> RuleExplained {
        RuleExplained {
            table: info.table.name(),
            chain: info.chain.to_string(),
            index: info.index,
            file: info.place.file.to_string(),
            line: info.place.line,
            text: info.text.clone(),
            origin: info.origin.as_ref().map(ToString::to_string),
        }
    }
}

impl NatExplained {
    fn new(flow: &NewFlow, to: Option<String>, nat: &Nat) -> Option<NatExplained> {
        let end = |range: &Option<NatRange>| range.as_ref().map(ToString::to_string);
        let (destination, source) = (end(&nat.destination), end(&nat.source));
        let from = flow.destination.to_string();
        let any = to.is_some() || destination.is_some() || source.is_some();
        any.then_some(NatExplained { from, to, destination, source })
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Proxy { .. } => "proxy",
        Verdict::Forward => "forward",
        Verdict::Local => "local",
        Verdict::Drop(_) => "drop",
        Verdict::Reject(_) => "reject",
    }
}

fn reason_name(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Drop(reason) => Some(reason.name()),
        Verdict::Reject(kind) => Some(kind.name()),
        _ => None,
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict, self.sentence)?;
        if let Some(reason) = self.reason {
            write!(f, " [{reason}]")?;
        }
        if let Some(rule) = &self.rule {
            write!(
                f,
                "\n  rule     {} {} {} ({}:{}): {}",
                rule.table, rule.chain, rule.index, rule.file, rule.line, rule.text
            )?;
            if let Some(origin) = &rule.origin {
                write!(f, "\n  made of  {origin}")?;
            }
        }
        match (&self.service, &self.listener, self.policy_rule) {
            (Some(service), Some(listener), _) => write!(f, "\n  service  {service}, by the listener at {listener}")?,
            (Some(service), None, Some(id)) => write!(f, "\n  service  {service}, by policy rule {id}")?,
            (Some(service), None, None) => write!(f, "\n  service  {service}")?,
            (None, ..) => {}
        }
        if self.zones != ZonesExplained::default() {
            let name = |zone: &Option<String>| zone.clone().unwrap_or_else(|| "(none)".to_owned());
            write!(f, "\n  zones    {} → {}", name(&self.zones.client), name(&self.zones.server))?;
        }
        if let Some(nat) = &self.nat {
            if let Some(to) = &nat.to {
                write!(f, "\n  mapped   {} to {to}", nat.from)?;
            }
            let ends = [("destination", &nat.destination), ("source", &nat.source)];
            for (end, range) in ends.into_iter().filter_map(|(end, range)| Some((end, range.as_ref()?))) {
                write!(f, "\n  nat      {end} {range}")?;
            }
        }
        f.write_str("\nsteps:")?;
        for (index, step) in self.steps.iter().enumerate() {
            write!(f, "\n{:4}. {step}", index + 1)?;
        }
        Ok(())
    }
}
