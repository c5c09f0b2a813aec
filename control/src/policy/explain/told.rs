//! The steps of a decision in sentences, with the files and lines of the rules that were met. Writes down what
//! [`Trace`] tells and decides nothing; a rule set that is walked for long is cut, and says so.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use crate::limits::EXPLANATION_STEPS_MAX;
use crate::policy::best_match::{Chosen, PolicyRule};
use crate::policy::chains::RuleInfo;
use crate::policy::nat::{End, NoAddress};
use crate::policy::trace::{Criterion, Step, Trace};
use crate::policy::tuple::{EntryMatch, NewFlow, protocol_name};
use crate::policy::{Choice, Direction, InterfaceId, ListenerId, Policy, Proxy, RuleRef, ServiceId, ZoneId};

/// The listener that writes down.
pub(super) struct Told<'a> {
    policy: &'a Policy,
    flow: &'a NewFlow,
    steps: Vec<String>,
    left_out: usize,
    pub(super) local: Option<String>,
}

impl Trace for Told<'_> {
    fn step(&mut self, step: Step<'_>) {
        let policy = self.policy;
        let chain = |id| {
            let (table, name) = policy.chains.name(id);
            format!("{} {name}", table.name())
        };
        match step {
            Step::Entry(EntryMatch { local, foreign, mark_only: false, .. }) => {
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
            Step::Asked(table, hook) => self.say(format_args!("{} {} is asked", table.name(), hook.name())),
            Step::Translated(kind, from, to) => self.say(format_args!("{}: {from} becomes {to}", kind.name())),
            Step::NoNatAddress(kind, interface) => {
                let name = interface.map_or("where no route leads", |interface| self.interface(interface));
                self.say(format_args!("{} has no address of the family to take: {name}", kind.name()));
            }
            Step::ListenerOver { local, listener } => {
                let port = self.policy.listener(listener).port;
                self.say(format_args!("the listener at {local} (port {port}) takes one connection, and has it"));
            }
            Step::NoListener(local) => self.say(format_args!("no listener stands at {local}")),
            Step::Listener { local, listener, zones, service } => self.listener(local, listener, zones, service),
            Step::PolicyRules(None) => self.say(format_args!("no listener stands there, and no policy rule fits")),
            Step::PolicyRules(Some(Chosen { rule, tie })) => {
                let PolicyRule { id, service, .. } = policy.policy_rule(rule);
                let name = self.service(*service);
                self.say(format_args!("no listener stands there; of the policy rules {id} fits best: service {name}"));
                if let Some(tie) = tie.map(|tie| policy.policy_rule(tie).id) {
                    self.say(format_args!("policy rule {tie} fits as well as {id}, which has the lower id"));
                }
            }
            Step::Denied(service) => self.say(format_args!("service {} denies", self.service(service))),
            Step::Forwards(service) => {
                self.say(format_args!("service {} forwards, if filter FORWARD permits", self.service(service)));
            }
            Step::NoServer(service) => {
                let (name, to) = (self.service(service), self.flow.destination);
                self.say(format_args!("the router of service {name} has no server of the family of {to}"));
            }
            Step::NatPolicy { id, end, address, mapped } => {
                let name = &policy.nat_policy(id).name;
                let end = if end == End::Source { "snat" } else { "dnat" };
                match mapped {
                    Ok(Some(mapped)) => self.say(format_args!("{end} {name}: {address} becomes {mapped}")),
                    Ok(None) => self.say(format_args!("{end} {name}: {address} stays as it is")),
                    Err(NoAddress) => self.say(format_args!("{end} {name} has no address for {address}")),
                }
            }
            Step::TargetZone { address, zone, service, allowed } => {
                let zone = zone.map_or("no zone", |zone| &policy.zone(zone).name);
                let not = if allowed { "" } else { " not" };
                let name = self.service(service);
                self.say(format_args!(
                    "the server {address} is in {zone}, which is{not} among the limit_target_zones_to of {name}"
                ));
            }
            Step::NoProxyForProtocol(service, protocol) => {
                let (name, protocol) = (self.service(service), protocol_name(protocol));
                let spoken = policy.service(service).proxy().map_or_else(String::new, Proxy::protocols).to_uppercase();
                self.say(format_args!("service {name} takes {spoken} only, and this is {protocol}"));
            }
            Step::ConnectedDirectly(server) => {
                self.say(format_args!("the server would be {server}, which is the gateway itself"));
            }
            Step::Zone { direction, address, zone, service, by } => self.zone(direction, address, zone, service, by),
            Step::FromGateway(server, output) => {
                let way = output.map_or("where no route leads", |output| self.interface(output));
                self.say(format_args!("the gateway connects to {server}, beyond {way}: filter OUTPUT is asked"));
            }
        }
    }
}

impl<'a> Told<'a> {
    pub(super) fn new(policy: &'a Policy, flow: &'a NewFlow) -> Told<'a> {
        Told { policy, flow, steps: Vec::new(), left_out: 0, local: None }
    }

    /// The sentences.
    pub(super) fn steps(mut self) -> Vec<String> {
        if self.left_out > 0 {
            self.steps.push(format!("({} more steps are not shown)", self.left_out));
        }
        self.steps
    }

    pub(super) fn say(&mut self, sentence: fmt::Arguments<'_>) {
        if self.steps.len() < EXPLANATION_STEPS_MAX {
            self.steps.push(sentence.to_string());
        } else {
            self.left_out += 1;
        }
    }

    fn rule(&mut self, rule: RuleRef, mismatch: Option<Criterion>) {
        let RuleInfo { table, chain, index, place, text, origin, .. } = self.policy.rule(rule);
        let (table, file, line) = (table.name(), &place.file, place.line);
        let mut outcome = String::from("matches");
        if let Some(criterion) = mismatch {
            outcome.clear();
            let _ = write!(outcome, "does not match ({})", criterion.name());
        }
        let made = fmt::from_fn(|f| match origin {
            Some(origin) => write!(f, ", made of {origin}"),
            None => Ok(()),
        });
        self.say(format_args!("{table} {chain} rule {index} ({file}:{line}{made}): {text}: {outcome}"));
    }

    fn listener(
        &mut self,
        local: SocketAddr,
        listener: ListenerId,
        (client, server): (Option<ZoneId>, Option<ZoneId>),
        service: Option<ServiceId>,
    ) {
        let name = |zone: Option<ZoneId>| zone.map_or("no zone", |zone| &self.policy.zone(zone).name);
        match (&self.policy.listener(listener).choice, service.map(|service| self.service(service))) {
            (Choice::Service(_), Some(service)) => {
                self.say(format_args!("the listener at {local} belongs to service {service}"));
            }
            (_, Some(service)) => {
                let (client, server) = (name(client), name(server));
                self.say(format_args!("the listener at {local} has service {service} from {client} to {server}"));
            }
            (_, None) => {
                let (client, server) = (name(client), name(server));
                self.say(format_args!("the listener at {local} has no service from {client} to {server}"));
            }
        }
    }

    fn zone(
        &mut self,
        direction: Direction,
        address: IpAddr,
        zone: Option<ZoneId>,
        service: ServiceId,
        by: Option<ZoneId>,
    ) {
        let (role, list) = (if direction == Direction::Outbound { "client" } else { "server" }, direction.key());
        let (name, service) = (|zone| &self.policy.zone(zone).name, self.service(service));
        match (zone, by) {
            (None, _) => self.say(format_args!("the {role} {address} is in no zone: nothing is permitted")),
            (Some(zone), Some(by)) if by != zone => {
                let (zone, by) = (name(zone), name(by));
                self.say(format_args!(
                    "the {role} {address} is in zone {zone}, below {by}, whose {list} permit {service}"
                ));
            }
            (Some(zone), Some(_)) => {
                let zone = name(zone);
                self.say(format_args!("the {role} {address} is in zone {zone}, whose {list} permit {service}"));
            }
            (Some(zone), None) => {
                let zone = name(zone);
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
