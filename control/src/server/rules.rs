//! Paths under `/v1/rules`: the rules that run, and what is to take their place.
//!
//! Files are read here, so that the engine gets values; it writes the rules file itself when the new rules were found
//! good. While they are on probation the answer has been given already: whoever waits asks for the state.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Query, State};
use serde::Deserialize;

use super::listen::Peer;
use super::{Answer, Asked, Desk, fields};
use crate::engine::{ApiRequest, Format, RulesRequest};
use crate::limits::{CONFIRM_S, PROBATION_S};
use crate::reload;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Show {
    #[serde(default)]
    counters: bool,
    format: Option<String>,
}

pub(super) async fn rules(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Asked<Show>,
) -> Answer {
    let Show { counters, format } = match query {
        Ok(Query(show)) => show,
        Err(rejected) => return Answer::bad(&rejected.body_text()),
    };
    let format = match format.as_deref() {
        None | Some("json") => Format::Json,
        Some("text") => Format::Text,
        Some(other) => return Answer::bad(&format!("format {other:?}: json or text")),
    };
    desk.ask(peer, ApiRequest::Rules(RulesRequest::Show { counters, format })).await
}

pub(super) async fn rules_state(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>) -> Answer {
    desk.ask(peer, ApiRequest::Rules(RulesRequest::State)).await
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Test {
    seconds: Option<u64>,
}

pub(super) async fn rules_test(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let Test { seconds } = match fields(body) {
        Ok(test) => test,
        Err(refused) => return refused,
    };
    let for_us = seconds.unwrap_or(PROBATION_S).saturating_mul(1_000_000);
    match reload::candidate(&desk.config, desk.modules) {
        Ok(candidate) => {
            let read = Ok(candidate.config);
            desk.ask(peer, ApiRequest::Rules(RulesRequest::Test { read, for_us })).await
        }
        Err(error) => Answer(Err(error)),
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Commit {
    /// Only if confirmed within the time.
    confirm: bool,
    seconds: Option<u64>,
}

pub(super) async fn rules_commit(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let Commit { confirm, seconds } = match fields(body) {
        Ok(commit) => commit,
        Err(refused) => return refused,
    };
    if seconds.is_some() && !confirm {
        return Answer::bad("`seconds` is how long a commit waits to be confirmed: it goes with `confirm`");
    }
    let confirm_us = confirm.then(|| seconds.unwrap_or(CONFIRM_S).saturating_mul(1_000_000));
    match reload::candidate(&desk.config, desk.modules) {
        Ok(candidate) => {
            let (read, install) = (Ok(candidate.config), candidate.install);
            desk.ask(peer, ApiRequest::Rules(RulesRequest::Commit { read, install, confirm_us })).await
        }
        Err(error) => Answer(Err(error)),
    }
}

pub(super) async fn rules_confirm(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>) -> Answer {
    desk.ask(peer, ApiRequest::Rules(RulesRequest::Confirm)).await
}

pub(super) async fn rules_revert(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>) -> Answer {
    desk.ask(peer, ApiRequest::Rules(RulesRequest::Revert)).await
}
