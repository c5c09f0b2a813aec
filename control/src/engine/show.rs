//! Answers made of what the cores and the engine know. The field names are what tools rely on: fields may
//! be added, none may change its meaning.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Engine;
use super::api::{ApiError, ApiReply, Body};
use super::gather::{Answers, Wanted};
use crate::config::Config;
use crate::mailbox::{CoreReport, CounterValue, FlowRecord};
use crate::metrics::{self, Own};
use crate::policy::{Choice, Policy};
use crate::requests::{Version, protocol};
use crate::tproxy::{Flags, Record};

impl Engine {
    pub(super) fn answer(&self, now_us: u64, answers: Answers) -> ApiReply {
        match answers {
            Answers::Flows { flows, limit, silent } => Ok(Body::Json(flow_list(flows, limit, silent))),
            Answers::Rules { counts, format, silent } => Ok(self.show_rules(Some(&counts), silent, format)),
            Answers::Reports { wanted: Wanted::Metrics, reports, silent } => {
                Ok(Body::Metrics(metrics::encode(self.own(now_us), reports, silent)))
            }
            Answers::Reports { wanted: Wanted::Health, silent, .. } => self.health(&silent),
            Answers::Reports { reports, silent, .. } => Ok(Body::Json(self.status(now_us, &reports, &silent))),
        }
    }

    /// What load balancers and routing daemons ask: send me flows or not.
    fn health(&self, silent: &[usize]) -> ApiReply {
        if !self.drain.is_running() {
            return Err(ApiError::new(503, "draining"));
        }
        if !silent.is_empty() {
            return Err(ApiError::new(503, format!("cores that do not answer: {silent:?}")));
        }
        Ok(Body::Json(json!({ "status": "ok" })))
    }

    fn own(&self, now_us: u64) -> Own {
        let counter = |name, help, value| CounterValue { name, help, value };
        Own {
            version: self.version,
            generation: self.policy.generation(),
            uptime_s: now_us.saturating_sub(self.started_us) as f64 / 1e6,
            entries: self.requests.table().len() as u64,
            counters: vec![
                counter("tproxy_requests_granted", "tproxy requests that were granted", self.counts.granted),
                counter("tproxy_requests_refused", "tproxy requests that were refused", self.counts.refused),
                counter("reloads", "configurations taken over while running", self.counts.reloads),
                counter("reloads_refused", "configurations refused while running", self.counts.reloads_refused),
                counter("rules_kept", "rules on probation that were confirmed and stayed", self.counts.rules_kept),
                counter("rules_reverted", "rules on probation that were taken back", self.counts.rules_reverted),
                counter("forward_summaries", "summaries of forwarded flows written to the log", self.counts.forwarded),
                counter("flows_logged", "decisions about flows written to the log", self.counts.decided),
                counter("flows_suppressed", "decisions not logged because there were too many", self.counts.suppressed),
                counter("session_summaries", "session summaries written to the log", self.counts.summaries),
                counter("records", "things that proxies have done, written to the log", self.counts.records),
                counter("notices", "lines that cores have written to the log", self.counts.notices),
                counter("messages_lost", "messages to cores that took none any more", self.cores.lost()),
            ],
        }
    }

    fn status(&self, now_us: u64, reports: &[CoreReport], silent: &[usize]) -> Value {
        let sum = |of: fn(&CoreReport) -> u64| reports.iter().map(of).sum::<u64>();
        let own = self.own(now_us);
        let mut counters = summed(reports);
        counters.extend(own.counters);
        json!({
            "version": self.version,
            "state": if self.drain.is_running() { "running" } else { "draining" },
            "uptime_ms": now_us.saturating_sub(self.started_us) / 1000,
            "generation": self.policy.generation(),
            "config": self.policy.file(),
            "probation": self.probation.as_ref().map(|probation| probation.shown(now_us)),
            "flows": sum(|report| report.flows),
            "sessions": sum(|report| report.sessions),
            "released": sum(|report| report.released),
            "half_open": sum(|report| report.half_open),
            "time_wait": sum(|report| report.time_wait),
            "flooded": sum(|report| report.flooded),
            "tproxy": {
                "version": Version::CURRENT,
                "entries": self.requests.table().len(),
                "capacity": self.requests.table().capacity(),
            },
            "cores": reports.iter().map(core).collect::<Vec<_>>(),
            "silent_cores": silent,
            "ports": ports(reports),
            "counters": counters,
        })
    }

    pub(super) fn entries(&self, now_us: u64, limit: usize) -> Value {
        let mut records: Vec<&Record> = self.requests.records().collect();
        records.sort_by_key(|record| (record.entry.protocol, record.entry.local));
        let total = records.len();
        let entries: Vec<Value> = records.into_iter().take(limit).map(|record| self.entry(now_us, record)).collect();
        json!({ "entries": entries, "total": total })
    }

    fn entry(&self, now_us: u64, record: &Record) -> Value {
        let entry = &record.entry;
        let live = self.requests.table().find_local(entry.protocol, entry.local);
        let flags = live.map_or(entry.flags, |live| live.flags) & Flags::VISIBLE;
        json!({
            "protocol": protocol::name(entry.protocol),
            "local": entry.local,
            "foreign": entry.foreign,
            "remote": entry.remote,
            "flags": flags,
            "shares": record.shares,
            "owner": record.audit.owner,
            "age_ms": now_us.saturating_sub(record.audit.since_us) / 1000,
            "expires_in_ms": record.audit.expires_us.map(|at| at.saturating_sub(now_us) / 1000),
        })
    }
}

/// Counters of all cores added up, in the order in which the cores know them.
fn summed(reports: &[CoreReport]) -> Vec<CounterValue> {
    let mut all: Vec<CounterValue> = Vec::new();
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    for counter in reports.iter().flat_map(|report| &report.counters) {
        match at.get(counter.name) {
            Some(&index) => all[index].value += counter.value,
            None => {
                at.insert(counter.name, all.len());
                all.push(counter.clone());
            }
        }
    }
    all
}

fn core(report: &CoreReport) -> Value {
    let cycles = report.busy_cycles.saturating_add(report.idle_cycles);
    let busy = if cycles == 0 { 0.0 } else { report.busy_cycles as f64 * 100.0 / cycles as f64 };
    let counters: serde_json::Map<String, Value> =
        report.counters.iter().map(|counter| (counter.name.to_owned(), counter.value.into())).collect();
    json!({
        "core": report.core,
        "generation": report.generation,
        "probation_ms": report.probation_ms,
        "flows": report.flows,
        "sessions": report.sessions,
        "released": report.released,
        "half_open": report.half_open,
        "time_wait": report.time_wait,
        "flooded": report.flooded,
        "busy_cycles": report.busy_cycles,
        "idle_cycles": report.idle_cycles,
        "busy_percent": (busy * 10.0).round() / 10.0,
        "counters": counters,
    })
}

/// Ports as the first core that knows any sees them: their counters are the device's, not the core's.
pub(crate) fn ports(reports: &[CoreReport]) -> &[crate::mailbox::PortReport] {
    reports.iter().map(|report| report.ports.as_slice()).find(|ports| !ports.is_empty()).unwrap_or(&[])
}

fn flow_list(mut flows: Vec<FlowRecord>, limit: usize, silent: usize) -> Value {
    // Each core has listed up to the limit, so there may be more than was asked for, and there may be more than that.
    let more = flows.len() > limit;
    flows.sort_by_key(|flow| (flow.core, flow.id));
    flows.truncate(limit);
    json!({ "flows": flows, "truncated": more || flows.len() == limit, "silent_cores": silent })
}

pub(super) fn policy(policy: &Policy) -> Value {
    let listeners = policy.listeners().iter().map(|listener| {
        json!({
            "address": listener.address,
            "port": listener.port,
            "protocol": listener.protocol.name(),
            "service": match &listener.choice {
                Choice::Service(service) => Some(&policy.service(*service).name),
                Choice::Zones { .. } => None,
            },
            "services": listener.choice.services().iter().map(|id| &policy.service(*id).name).collect::<Vec<_>>(),
        })
    });
    let interfaces = policy.interfaces().iter().map(|interface| {
        json!({ "name": interface.name, "port": interface.port, "vlan": interface.vlan, "addresses": interface.addresses })
    });
    json!({
        "generation": policy.generation(),
        "file": policy.file(),
        "interfaces": interfaces.collect::<Vec<_>>(),
        "zones": policy.zones().iter().map(|zone| &zone.name).collect::<Vec<_>>(),
        "services": policy.services().iter().map(|service| &service.name).collect::<Vec<_>>(),
        "listeners": listeners.collect::<Vec<_>>(),
        "rules": policy.rules().len(),
    })
}

pub(super) fn reloaded(config: &Config, generation: u64) -> Value {
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    json!({ "generation": generation, "file": config.file, "warnings": warnings })
}
