//! The heart of the control thread: what is asked, by whom, and what comes of it. No sockets, no clock, no signals.
//!
//! Call [`Engine::handle`] with each request of the API, [`Engine::handle_core`] with each message of a core, and
//! [`Engine::tick`] when [`Engine::deadline_us`] has passed; time is an argument. Some answers need the cores: then
//! `handle` gives a [`Gather`], to be polled while the cores go about their turns. [`crate::thread`] does all this for
//! the gateway, the simulator for itself.
//!
//! What must hold: what a core must get (policies, replies, the order to drain) reaches it in order even if its box is
//! full for a while; a core that has stopped answering holds nobody up; and nobody but the requests in here
//! changes the tproxy table.

mod api;
mod cores;
mod drain;
mod gather;
mod log;
mod rules;
mod sets;
mod show;

pub use api::{ApiError, ApiReply, ApiRequest, Body, Format, RulesRequest, SetChange};
pub use drain::Exit;
pub use gather::{Gather, Outcome};
pub(crate) use show::ports;

use std::net::IpAddr;
use std::sync::Arc;

use tracing::{error, info, warn};

use crate::config::Config;
use crate::faults::Faults;
use crate::mailbox::{CoreLink, FromCore, ToCore};
use crate::policy::{EntryMatch, NewFlow, PacketFacts, Policy};
use crate::reload;
use crate::requests::perform::Requests;
use crate::requests::{Caller, Refusal, Reply, Request};
use crate::rollback::{Ended, Probation};
use crate::tproxy::Writer;
use cores::Cores;
use drain::Drain;
use gather::Wanted;

/// What an engine is made of.
pub struct Setup {
    /// The configuration that is running.
    pub config: Config,
    /// What the cores began with.
    pub policy: Arc<Policy>,
    /// The one writer of the table the cores read.
    pub writer: Writer,
    /// Their boxes.
    pub cores: Vec<CoreLink>,
    /// The user the gateway runs as: may do what root may.
    pub own_uid: u32,
    /// Of the program.
    pub version: &'static str,
}

/// The engine. See the module.
pub struct Engine {
    config: Config,
    policy: Arc<Policy>,
    /// Generations are never used twice, not even those of policies that were refused.
    generation: u64,
    requests: Requests,
    cores: Cores,
    counts: Counts,
    drain: Drain,
    probation: Option<Probation>,
    last_probation: Option<Ended>,
    version: &'static str,
    started_us: u64,
}

/// What the engine itself counts.
#[derive(Debug, Default)]
struct Counts {
    granted: u64,
    refused: u64,
    reloads: u64,
    reloads_refused: u64,
    rules_kept: u64,
    rules_reverted: u64,
    summaries: u64,
    forwarded: u64,
    decided: u64,
    suppressed: u64,
    notices: u64,
    records: u64,
}

impl Engine {
    /// An engine whose cores already run `setup.policy`.
    pub fn new(now_us: u64, setup: Setup) -> Engine {
        let mut engine = Engine {
            generation: setup.policy.generation(),
            requests: Requests::new(setup.writer, setup.own_uid),
            cores: Cores::new(setup.cores),
            counts: Counts::default(),
            drain: Drain::default(),
            probation: None,
            last_probation: None,
            config: setup.config,
            policy: setup.policy,
            version: setup.version,
            started_us: now_us,
        };
        engine.requests.set_own_addresses(own_addresses(&engine.policy));
        engine.requests.set_group(requests_group(&engine.config));
        engine
    }

    /// Answers a request, or begins to.
    pub fn handle(&mut self, now_us: u64, caller: Caller, request: ApiRequest) -> Outcome {
        match request {
            ApiRequest::Status => self.gather(now_us, Wanted::Status),
            ApiRequest::Metrics => self.gather(now_us, Wanted::Metrics),
            ApiRequest::Health => self.gather(now_us, Wanted::Health),
            ApiRequest::Flows { limit } => self.gather(now_us, Wanted::Flows { limit }),
            ApiRequest::Explain { interface, protocol, source, destination, format } => {
                Outcome::Done(self.explain(&interface, protocol, (source, destination), format))
            }
            ApiRequest::Policy => Outcome::Done(Ok(Body::Json(show::policy(&self.policy)))),
            ApiRequest::Entries { limit } => Outcome::Done(Ok(Body::Json(self.entries(now_us, limit)))),
            ApiRequest::Sets => Outcome::Done(Ok(Body::Json(self.sets()))),
            ApiRequest::Set { name, limit } => Outcome::Done(self.set(&name, limit)),
            ApiRequest::ChangeSet { name, change } => Outcome::Done(self.change_set(caller, &name, &change)),
            ApiRequest::Audit { limit } => Outcome::Done(Ok(Body::Json(self.requests.trail().to_json(now_us, limit)))),
            ApiRequest::Tproxy(request) => Outcome::Done(self.tproxy(now_us, caller, request)),
            ApiRequest::Reload { read, redecide } => Outcome::Done(self.reload(now_us, caller, read, redecide)),
            ApiRequest::Rules(request) => self.rules(now_us, caller, request),
            ApiRequest::Stop => Outcome::Done(self.stop(now_us, caller)),
        }
    }

    /// Takes note of what a core has said.
    pub fn handle_core(&mut self, now_us: u64, message: FromCore) {
        match message {
            FromCore::Tproxy { core, ticket, request } => {
                let result = self.perform(now_us, Caller::Proxy { core }, request);
                let result = result.map_err(|refusal| refusal.errno);
                self.cores.post(core, ToCore::TproxyReply { ticket, result });
            }
            FromCore::Summary(summary) => {
                self.counts.summaries += 1;
                log::summary(&summary);
            }
            FromCore::Forwarded(flow) => {
                self.counts.forwarded += 1;
                log::forwarded(&flow);
            }
            FromCore::Decided(flow) => {
                self.counts.decided += 1;
                log::decided(&flow);
            }
            FromCore::Suppressed { core, flows } => {
                self.counts.suppressed += flows;
                log::suppressed(core, flows);
            }
            FromCore::Record(record) => {
                self.counts.records += 1;
                log::record(&record);
            }
            FromCore::Notice(line) => {
                self.counts.notices += 1;
                warn!("{line}");
            }
        }
    }

    /// Does what is due: used up and expired entries, messages that found a box full, draining.
    pub fn tick(&mut self, now_us: u64) {
        self.requests.tick(now_us);
        self.cores.flush();
        self.end_probation(now_us);
        self.drain.tick(now_us, &mut self.cores);
    }

    /// When [`Engine::tick`] has something to do that it knows of beforehand.
    pub fn deadline_us(&self) -> Option<u64> {
        let probation = self.probation.as_ref().map(|probation| probation.until_us);
        [self.requests.deadline_us(), self.drain.deadline_us(), probation].into_iter().flatten().min()
    }

    /// Gives the first core its end of the switch between flows and programs.
    pub(crate) fn connect_handoff(&mut self, end: crate::handoff::CoreEnd) {
        // One core only: the channel has one reader, and cores number flows alike.
        let first = self.cores.numbers().next();
        if let Some(core) = first {
            self.cores.post(core, ToCore::Handoff(end));
        }
    }

    /// How it ended, once all cores were told to stop.
    pub fn finished(&self) -> Option<Exit> {
        self.drain.finished()
    }

    /// The policy that new flows are decided by.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The configuration that is running.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Polls an answer that needed the cores. None: ask again when they have had a turn, or when
    /// [`Gather::deadline_us`] has come.
    pub fn poll(&mut self, now_us: u64, gather: &mut Gather) -> Option<ApiReply> {
        let answers = gather.poll(now_us, &self.cores)?;
        Some(self.answer(now_us, answers))
    }

    fn gather(&mut self, now_us: u64, wanted: Wanted) -> Outcome {
        Outcome::Gather(Gather::begin(now_us, wanted, &mut self.cores))
    }

    fn explain(&self, interface: &str, protocol: u8, (source, destination): Ends, format: Format) -> ApiReply {
        let Some(id) = self.policy.interface_named(interface) else {
            let known: Vec<&str> = self.policy.interfaces().iter().map(|known| known.name.as_str()).collect();
            return Err(ApiError::bad(format!("there is no interface {interface:?}; there are {}", known.join(", "))));
        };
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(ApiError::bad("source and destination are of different families"));
        }
        let entry = self.requests.table().lookup_foreign(protocol, destination, source);
        let entry = entry.as_ref().map(EntryMatch::from);
        let flow = NewFlow { interface: id, protocol, source, destination, packet: PacketFacts::default() };
        let explanation = self.policy.explain(&flow, entry.as_ref());
        match format {
            Format::Text => Ok(Body::Text(explanation.to_string())),
            Format::Json => Ok(Body::json(&explanation)),
        }
    }

    fn tproxy(&mut self, now_us: u64, caller: Caller, request: Request) -> ApiReply {
        Ok(Body::json(&self.perform(now_us, caller, request)?))
    }

    fn perform(&mut self, now_us: u64, caller: Caller, request: Request) -> Result<Reply, Refusal> {
        let operation = request.operation();
        let result = self.requests.perform(now_us, caller, request);
        match &result {
            Ok(_) => self.counts.granted += 1,
            Err(refusal) => {
                self.counts.refused += 1;
                info!(operation, by = caller.to_string(), errno = %refusal.errno, reason = refusal.reason, "tproxy request refused");
            }
        }
        result
    }

    /// Swaps the policy, or leaves everything as it is.
    fn reload(&mut self, now_us: u64, caller: Caller, read: Result<Box<Config>, Faults>, redecide: bool) -> ApiReply {
        self.may_change(now_us, caller, "reload")?;
        let (config, policy) = self.next(caller, read)?;
        self.enact(config, Arc::new(policy));
        self.cores.post_all(|| ToCore::Policy(Arc::clone(&self.policy)));
        if redecide {
            self.cores.post_all(|| ToCore::Redecide { only: None });
        }
        self.counts.reloads += 1;
        let (generation, file) = (self.generation, self.policy.file());
        info!(generation, file, redecide, by = caller.to_string(), "configuration reloaded");
        Ok(Body::Json(show::reloaded(&self.config, self.generation)))
    }

    /// Whether the caller may change what runs, and nothing is on probation.
    fn may_change(&self, now_us: u64, caller: Caller, what: &str) -> Result<(), ApiError> {
        if !caller.privileged(self.requests.own_uid()) {
            return Err(ApiError::forbidden(caller, what));
        }
        match &self.probation {
            Some(probation) => {
                let busy = probation.busy(now_us);
                error!(by = caller.to_string(), "refused to {what}: {busy}");
                Err(ApiError::new(423, busy))
            }
            None => Ok(()),
        }
    }

    /// What is to run next: compiled, and nothing touched yet.
    fn next(&mut self, caller: Caller, read: Result<Box<Config>, Faults>) -> Result<(Config, Policy), ApiError> {
        self.generation += 1;
        reload::next(&self.config, &self.policy, read, self.generation).inspect_err(|refused| {
            self.counts.reloads_refused += 1;
            let running = self.policy.generation();
            error!(running, by = caller.to_string(), "configuration refused: {}", refused.error);
        })
    }

    /// From now on this runs; gives what ran before. The cores are told by the caller.
    fn enact(&mut self, config: Config, policy: Arc<Policy>) -> (Config, Arc<Policy>) {
        let before = (std::mem::replace(&mut self.config, config), std::mem::replace(&mut self.policy, policy));
        self.requests.set_own_addresses(own_addresses(&self.policy));
        self.requests.set_group(requests_group(&self.config));
        before
    }

    /// Begins to drain; the second time, ends at once.
    fn stop(&mut self, now_us: u64, caller: Caller) -> ApiReply {
        if !caller.privileged(self.requests.own_uid()) {
            return Err(ApiError::forbidden(caller, "stop the gateway"));
        }
        info!(by = caller.to_string(), "stopping: sessions may end for a while");
        self.drain.begin(now_us, &mut self.cores);
        Ok(Body::Json(serde_json::json!({ "state": "draining" })))
    }
}

type Ends = (std::net::SocketAddr, std::net::SocketAddr);

/// Addresses that programs may be bound to here: the gateway's own, and those that listeners name.
fn own_addresses(policy: &Policy) -> Vec<IpAddr> {
    let interfaces = policy.interfaces().iter().flat_map(|interface| &interface.addresses).map(ipnet::IpNet::addr);
    let listeners = policy.listeners().iter().filter_map(|listener| listener.address);
    interfaces.chain(listeners).collect()
}

/// The group that `control.group` names. One that is not there lets nobody in.
fn requests_group(config: &Config) -> Option<crate::requests::Group> {
    let name = config.control.group.as_deref()?;
    crate::requests::Group::find(name).map_err(|wrong| error!("control.group: {wrong}")).ok()
}

#[cfg(test)]
mod tests;
