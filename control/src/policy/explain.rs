//! Why a flow is decided as it is: the decision's own steps, each in a sentence with file and line.

use std::fmt::{self, Display, Write as _};

use serde::Serialize;

use super::chains::RuleInfo;
use super::trace::{Criterion, Step, Trace};
use super::tuple::{EntryMatch, NewFlow, protocol_name};
use super::verdict::{Decision, Verdict};
use super::{InterfaceId, Listener, Memory, Policy, RuleRef, ServiceId, ZoneId};
use crate::limits::EXPLANATION_STEPS_MAX;

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
    /// The service, for `proxy`.
    pub service: Option<String>,
    /// The listener as `address:port`, `*` for all addresses; for `proxy`.
    pub listener: Option<String>,
    /// The rule that decided.
    pub rule: Option<RuleExplained>,
    /// The zones of client and server, as far as they were looked up.
    pub zones: ZonesExplained,
    /// The mapping that a tproxy feature makes.
    pub nat: Option<NatExplained>,
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
}

/// Names of zones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ZonesExplained {
    /// The client's.
    pub client: Option<String>,
    /// The server's.
    pub server: Option<String>,
}

/// The implicit mapping of a redirected flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NatExplained {
    /// The destination the client meant.
    pub from: String,
    /// The local address it is taken to.
    pub to: String,
}

impl Policy {
    /// Decides about a flow and tells why.
    pub fn explain(&self, flow: &NewFlow, entry: Option<&EntryMatch>) -> Explanation {
        let mut told = Told { policy: self, flow, steps: Vec::new(), left_out: 0, local: None };
        told.say(format_args!(
            "a new {} flow arrives on {}: {} → {}",
            protocol_name(flow.protocol),
            self.interface(flow.interface).name,
            flow.source,
            flow.destination
        ));
        let decision = self.decide(flow, entry, &mut Memory::observer(), &mut told);
        let Told { mut steps, left_out, local, .. } = told;
        if left_out > 0 {
            steps.push(format!("({left_out} more steps are not shown)"));
        }
        let (service, listener) = match decision.verdict {
            Verdict::Proxy { service, listener, .. } => {
                let listener = listener.map(|listener| {
                    let Listener { address, port, .. } = self.listener(listener);
                    format!("{}:{port}", address.map_or("*".to_owned(), |address| address.to_string()))
                });
                (Some(self.service(service).name.clone()), listener)
            }
            _ => (None, None),
        };
        let zone = |id: Option<ZoneId>| id.map(|id| self.zone(id).name.clone());
        Explanation {
            verdict: verdict_name(decision.verdict),
            reason: reason_name(decision.verdict),
            sentence: self.sentence(&decision),
            tproxy: decision.tproxy,
            service,
            listener,
            rule: decision.rule.map(|rule| RuleExplained::new(self.rule(rule))),
            zones: ZonesExplained { client: zone(decision.client_zone), server: zone(decision.server_zone) },
            nat: local.map(|to| NatExplained { from: flow.destination.to_string(), to }),
            generation: self.generation,
            steps,
        }
    }

    fn sentence(&self, decision: &Decision) -> String {
        match decision.verdict {
            Verdict::Proxy { service, .. } => format!("service {} takes the flow", self.service(service).name),
            Verdict::Forward => "the flow is forwarded untouched".to_owned(),
            Verdict::Local => "the flow is for the gateway itself".to_owned(),
            Verdict::Drop(reason) => reason.sentence().to_owned(),
            Verdict::Reject(kind) => kind.sentence().to_owned(),
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
        }
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

/// The listener that writes down.
struct Told<'a> {
    policy: &'a Policy,
    flow: &'a NewFlow,
    steps: Vec<String>,
    left_out: usize,
    local: Option<String>,
}

impl Trace for Told<'_> {
    fn step(&mut self, step: Step<'_>) {
        let policy = self.policy;
        let chain = |id| {
            let (table, name) = policy.chains.name(id);
            format!("{} {name}", table.name())
        };
        match step {
            Step::Entry(EntryMatch { local, foreign, mark_only: false }) => {
                self.say(format_args!("tproxy entry: foreign address {foreign} is listened on by {local}; rules of table tproxy are not asked"));
            }
            Step::Entry(EntryMatch { foreign, .. }) => {
                self.say(format_args!("tproxy entry: {foreign} is marked, its address stays"));
            }
            Step::NoTable(table) => {
                self.say(format_args!("the file has no table {}: everything passes it", table.name()));
            }
            Step::Rule(rule, mismatch) => self.rule(rule, mismatch),
            Step::Returned { from, to } => self.say(format_args!("{} ends: back in {}", chain(from), chain(to))),
            Step::ChainPolicy(id) => {
                let name = policy.chains.policy(id).name();
                self.say(format_args!("{} ends: its policy is {name}", chain(id)));
            }
            Step::NotRedirectable => self.say(format_args!("only TCP and UDP are redirected: the flow stays as it is")),
            Step::Redirected(local) => {
                self.local = Some(local.to_string());
                self.say(format_args!("redirected to {local}; -m tproxy is true from here on"));
            }
            Step::NoLocalAddress(interface) => self.say(format_args!(
                "should be redirected, but {} has no address of the family of {}",
                self.policy.interface(interface).name,
                self.flow.destination.ip()
            )),
            Step::ToGateway(to) => self.say(format_args!("{to} is the gateway: filter INPUT is asked")),
            Step::ToOthers(to, None) => {
                self.say(format_args!("{to} is someone else, and no route leads there: filter FORWARD is asked"));
            }
            Step::ToOthers(to, Some(output)) => {
                let name = self.interface(output);
                self.say(format_args!("{to} is someone else, beyond {name}: filter FORWARD is asked"));
            }
            Step::Listener(local, None) => self.say(format_args!("no listener stands at {local}")),
            Step::Listener(local, Some(listener)) => {
                let name = self.service(policy.listener(listener).service);
                self.say(format_args!("the listener at {local} belongs to service {name}"));
            }
            Step::NoProxyForProtocol(service, protocol) => {
                let (name, protocol) = (self.service(service), protocol_name(protocol));
                self.say(format_args!("service {name} takes TCP only, and this is {protocol}"));
            }
            Step::ConnectedDirectly(server) => {
                self.say(format_args!("the server would be {server}, which is the gateway itself"));
            }
            Step::ClientZone(address, zone, service, allowed) => {
                self.zone("client", address, zone, "outbound_services", service, allowed);
            }
            Step::ServerZone(address, zone, service, allowed) => {
                self.zone("server", address, zone, "inbound_services", service, allowed);
            }
            Step::FromGateway(server, output) => {
                let way = output.map_or("where no route leads", |output| self.interface(output));
                self.say(format_args!("the gateway connects to {server}, beyond {way}: filter OUTPUT is asked"));
            }
        }
    }
}

impl<'a> Told<'a> {
    fn say(&mut self, sentence: fmt::Arguments<'_>) {
        if self.steps.len() < EXPLANATION_STEPS_MAX {
            self.steps.push(sentence.to_string());
        } else {
            self.left_out += 1;
        }
    }

    fn rule(&mut self, rule: RuleRef, mismatch: Option<Criterion>) {
        let RuleInfo { table, chain, index, place, text } = self.policy.rule(rule);
        let (table, file, line) = (table.name(), &place.file, place.line);
        let mut outcome = String::from("matches");
        if let Some(criterion) = mismatch {
            outcome.clear();
            let _ = write!(outcome, "does not match ({})", criterion.name());
        }
        self.say(format_args!("{table} {chain} rule {index} ({file}:{line}): {text}: {outcome}"));
    }

    fn zone(
        &mut self,
        role: &str,
        address: impl Display,
        zone: Option<ZoneId>,
        list: &str,
        service: ServiceId,
        allowed: bool,
    ) {
        let service = self.service(service);
        match zone.map(|zone| &self.policy.zone(zone).name) {
            None => self.say(format_args!("the {role} {address} is in no zone: nothing is permitted")),
            Some(zone) if allowed => {
                self.say(format_args!("the {role} {address} is in zone {zone}, whose {list} permit {service}"));
            }
            Some(zone) => {
                self.say(format_args!("the {role} {address} is in zone {zone}, whose {list} do not permit {service}"));
            }
        }
    }

    fn interface(&self, id: InterfaceId) -> &'a str {
        &self.policy.interface(id).name
    }

    fn service(&self, id: ServiceId) -> &'a str {
        &self.policy.service(id).name
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
        }
        if let (Some(service), Some(listener)) = (&self.service, &self.listener) {
            write!(f, "\n  service  {service}, by the listener at {listener}")?;
        }
        if self.zones != ZonesExplained::default() {
            let name = |zone: &Option<String>| zone.clone().unwrap_or_else(|| "(none)".to_owned());
            write!(f, "\n  zones    {} → {}", name(&self.zones.client), name(&self.zones.server))?;
        }
        if let Some(nat) = &self.nat {
            write!(f, "\n  mapped   {} to {}", nat.from, nat.to)?;
        }
        f.write_str("\nsteps:")?;
        for (index, step) in self.steps.iter().enumerate() {
            write!(f, "\n{:4}. {step}", index + 1)?;
        }
        Ok(())
    }
}
