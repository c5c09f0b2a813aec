//! The rules that run: shown, put on probation, kept, taken back.
//!
//! Rules and the rest of the configuration are one policy: they are swapped together or not at all. While something
//! is on probation nothing else is loaded, so that what comes back is what ran when it began.

use std::sync::Arc;

use serde_json::{Value, json};
use tracing::{info, warn};

use super::api::{ApiError, ApiReply, Body, Format, RulesRequest};
use super::gather::{Outcome, Wanted};
use super::{Engine, show};
use crate::config::Config;
use crate::faults::Faults;
use crate::limits::PROBATION_US_MAX;
use crate::mailbox::{RuleCounts, ToCore};
use crate::requests::Caller;
use crate::rollback::{End, Ended, Install, Probation};
use crate::rules::Counted;

impl Engine {
    pub(super) fn rules(&mut self, now_us: u64, caller: Caller, request: RulesRequest) -> Outcome {
        Outcome::Done(match request {
            RulesRequest::Show { counters: true, format } => return self.gather(now_us, Wanted::Rules { format }),
            RulesRequest::Show { counters: false, format } => Ok(self.show_rules(None, 0, format)),
            RulesRequest::State => Ok(Body::Json(self.rules_state(now_us))),
            RulesRequest::Test { read, for_us } => self.try_out(now_us, caller, read, for_us, None),
            RulesRequest::Commit { read, install, confirm_us: Some(for_us) } => {
                self.try_out(now_us, caller, read, for_us, Some(install))
            }
            RulesRequest::Commit { read, install, confirm_us: None } => self.commit(now_us, caller, read, install),
            RulesRequest::Confirm => self.confirm(now_us, caller),
            RulesRequest::Revert => self.revert(now_us, caller),
        })
    }

    /// The rules as canonical text; for programs with where each was written, and what it has counted.
    pub(super) fn show_rules(&self, counts: Option<&[RuleCounts]>, silent: usize, format: Format) -> Body {
        let rules = self.policy.rules();
        let chains: Vec<_> = self.config.rules.tables.iter().flat_map(|table| &table.chains).collect();
        let sums = counts.map(|counts| {
            // A core that has not read its mail yet counts for other rules.
            let current = || counts.iter().filter(|core| core.generation == self.policy.generation());
            let of_rules = sum(rules.len(), current().map(|core| &*core.rules));
            (of_rules, sum(chains.len(), current().map(|core| &*core.chains)))
        });
        let text = self.config.rules.print(sums.as_ref().map(|(rules, chains)| Counted { rules, chains }));
        if format == Format::Text {
            return Body::Text(text);
        }
        let rule = |(at, rule): (usize, &crate::policy::RuleInfo)| {
            let (packets, bytes) = sums.as_ref().map(|(rules, _)| rules[at]).unzip();
            json!({
                "table": rule.table.name(), "chain": rule.chain, "index": rule.index,
                "file": rule.place.file, "line": rule.place.line, "text": rule.text,
                "packets": packets, "bytes": bytes,
            })
        };
        let policy = |(at, table, name, accepts): (usize, crate::rules::TableKind, &str, bool)| {
            let (packets, bytes) = sums.as_ref().map(|(_, chains)| chains[at]).unzip();
            json!({
                "table": table.name(), "chain": name, "policy": if accepts { "ACCEPT" } else { "DROP" },
                "packets": packets, "bytes": bytes,
            })
        };
        Body::Json(json!({
            "generation": self.policy.generation(),
            "file": self.config.rules_file.as_ref().map(|rules| &rules.path),
            "text": text,
            "policies": self.policy.built_in_chains().map(policy).collect::<Vec<_>>(),
            "rules": rules.iter().enumerate().map(rule).collect::<Vec<_>>(),
            "silent_cores": silent,
        }))
    }

    fn rules_state(&self, now_us: u64) -> Value {
        json!({
            "generation": self.policy.generation(),
            "file": self.config.rules_file.as_ref().map(|rules| &rules.path),
            "probation": self.probation.as_ref().map(|probation| probation.shown(now_us)),
            "last": self.last_probation.map(Ended::shown),
        })
    }

    /// Puts a configuration on probation.
    fn try_out(
        &mut self,
        now_us: u64,
        caller: Caller,
        read: Result<Box<Config>, Faults>,
        for_us: u64,
        install: Option<Install>,
    ) -> ApiReply {
        self.may_change(now_us, caller, "load rules")?;
        if for_us == 0 || for_us > PROBATION_US_MAX {
            let most = PROBATION_US_MAX / 1_000_000;
            return Err(ApiError::bad(format!("a probation lasts from 1 to {most} seconds")));
        }
        let (config, policy) = self.next(caller, read)?;
        let before = self.enact(config, Arc::new(policy));
        self.cores.post_all(|| ToCore::Probation { policy: Arc::clone(&self.policy), for_us });
        let (generation, by) = (self.generation, caller.to_string());
        let seconds = for_us / 1_000_000;
        info!(target: "core.policy", generation, before = before.1.generation(), seconds, by, "rules are on probation");
        let until_us = now_us.saturating_add(for_us);
        let probation = Probation { before, generation, began_us: now_us, until_us, by, install };
        let mut said = show::reloaded(&self.config, self.generation);
        said["probation"] = probation.shown(now_us);
        self.probation = Some(probation);
        Ok(Body::Json(said))
    }

    /// Loads a configuration for good, when its rules have become the rules file.
    fn commit(&mut self, now_us: u64, caller: Caller, read: Result<Box<Config>, Faults>, install: Install) -> ApiReply {
        self.may_change(now_us, caller, "commit rules")?;
        let (config, policy) = self.next(caller, read)?;
        // The file first: from here on nothing can fail, so that what runs is what a restart would load.
        install.run().map_err(|error| not_written(&error))?;
        self.enact(config, Arc::new(policy));
        self.cores.post_all(|| ToCore::Policy(Arc::clone(&self.policy)));
        self.counts.reloads += 1;
        info!(target: "core.policy", generation = self.generation, by = caller.to_string(), "rules committed");
        Ok(Body::Json(show::reloaded(&self.config, self.generation)))
    }

    fn confirm(&mut self, now_us: u64, caller: Caller) -> ApiReply {
        if !caller.privileged(self.requests.own_uid()) {
            return Err(ApiError::forbidden(caller, "confirm rules"));
        }
        let Some(mut probation) = self.probation.take() else { return Err(nothing_on_probation()) };
        let Some(install) = probation.install.take() else {
            let said = "a test ends as it began: `limpid rules commit-confirm` loads rules that can be confirmed";
            self.probation = Some(probation);
            return Err(ApiError::new(409, said));
        };
        if let Err(error) = install.run() {
            self.go_back(probation, End::NotWritten);
            return Err(not_written(&error));
        }
        // The same policy again, as one that stays: a core that was quicker than this takes it back.
        self.cores.post_all(|| ToCore::Policy(Arc::clone(&self.policy)));
        self.counts.rules_kept += 1;
        self.last_probation = Some(Ended { generation: probation.generation, how: End::Kept });
        let after_ms = now_us.saturating_sub(probation.began_us) / 1_000;
        info!(target: "core.policy", generation = self.policy.generation(), after_ms, by = caller.to_string(), "rules confirmed");
        Ok(Body::Json(show::reloaded(&self.config, self.policy.generation())))
    }

    fn revert(&mut self, _: u64, caller: Caller) -> ApiReply {
        if !caller.privileged(self.requests.own_uid()) {
            return Err(ApiError::forbidden(caller, "take rules back"));
        }
        let probation = self.probation.take().ok_or_else(nothing_on_probation)?;
        self.go_back(probation, End::TakenBack);
        Ok(Body::Json(show::reloaded(&self.config, self.policy.generation())))
    }

    /// Takes back what was on probation when its time is up.
    pub(super) fn end_probation(&mut self, now_us: u64) {
        if let Some(probation) = self.probation.take_if(|probation| probation.until_us <= now_us) {
            self.go_back(probation, End::TimeUp);
        }
    }

    fn go_back(&mut self, probation: Probation, how: End) {
        let Probation { before: (config, policy), generation, .. } = probation;
        self.enact(config, policy);
        self.cores.post_all(|| ToCore::Policy(Arc::clone(&self.policy)));
        // What only those rules let in goes with them.
        self.cores.post_all(|| ToCore::Redecide { only: Some(generation) });
        self.counts.rules_reverted += 1;
        self.last_probation = Some(Ended { generation, how });
        warn!(target: "core.policy", tested = generation, generation = self.policy.generation(), "rules were taken back");
    }
}

/// Sums of what cores have counted, place by place.
fn sum<'a>(places: usize, cores: impl Iterator<Item = &'a [(u64, u64)]>) -> Vec<(u64, u64)> {
    let mut sums = vec![(0u64, 0u64); places];
    for core in cores {
        for (sum, (packets, bytes)) in sums.iter_mut().zip(core) {
            *sum = (sum.0 + packets, sum.1 + bytes);
        }
    }
    sums
}

fn nothing_on_probation() -> ApiError {
    ApiError::new(404, "no rules are on probation: they were kept or taken back already")
}

fn not_written(error: &std::io::Error) -> ApiError {
    ApiError::new(500, format!("the rules file was not written, and what ran before runs on: {error}"))
}
