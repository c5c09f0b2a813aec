//! The API's outer edge: paths, queries and bodies made into [`ApiRequest`]s, answers made into responses.
//!
//! `curl --unix-socket` is the manual. On the control socket everything can be asked, and the kernel tells who asks;
//! on the kernel's network (off by default) only what changes nothing and names no client. Handlers know nothing of
//! the engine: they send a call to the control thread's loop and wait for its answer.

mod listen;
mod rules;

pub(crate) use listen::ControlSocket;

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path as UrlPath, Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot};

use crate::engine::{ApiError, ApiReply, ApiRequest, Body, Format, SetChange};
use crate::limits::{BODY_BYTES_MAX, FLOWS_DEFAULT, FLOWS_MAX, REQUESTS_WAITING_MAX};
use crate::modules::ModulesRef;
use crate::reload;
use crate::requests::{Caller, Errno, Refusal, Request, protocol};
use listen::{Bounded, Peer};
use rules::{rules, rules_commit, rules_confirm, rules_revert, rules_state, rules_test};

/// One request on its way to the engine.
pub(crate) struct Call {
    pub(crate) caller: Caller,
    pub(crate) request: ApiRequest,
    pub(crate) reply: oneshot::Sender<ApiReply>,
}

/// Where handlers send their calls.
#[derive(Clone)]
pub(crate) struct Desk {
    calls: mpsc::Sender<Call>,
    config: Arc<Path>,
    modules: ModulesRef,
}

impl Desk {
    pub(crate) fn new(config: &Path, modules: ModulesRef) -> (Desk, mpsc::Receiver<Call>) {
        let (calls, taken) = mpsc::channel(REQUESTS_WAITING_MAX);
        (Desk { calls, config: config.into(), modules }, taken)
    }

    /// A request of a program at the handoff socket.
    pub(crate) async fn request(&self, caller: Caller, request: Request) -> ApiReply {
        self.ask(Peer(caller), ApiRequest::Tproxy(request)).await.0
    }

    async fn ask(&self, Peer(caller): Peer, request: ApiRequest) -> Answer {
        let stopping = || ApiError::new(503, "the gateway is stopping");
        let (reply, answer) = oneshot::channel();
        if self.calls.send(Call { caller, request, reply }).await.is_err() {
            return Answer(Err(stopping()));
        }
        Answer(answer.await.unwrap_or_else(|_| Err(stopping())))
    }
}

/// Everything, for the control socket.
pub(crate) fn control_routes(desk: Desk) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/flows", get(flows))
        .route("/v1/explain", get(explain))
        .route("/v1/policy", get(policy))
        .route("/v1/tproxy", get(entries))
        .route("/v1/tproxy/audit", get(audit))
        .route("/v1/tproxy/{operation}", post(tproxy))
        .route("/v1/rules", get(rules))
        .route("/v1/rules/state", get(rules_state))
        .route("/v1/rules/test", post(rules_test))
        .route("/v1/rules/commit", post(rules_commit))
        .route("/v1/rules/confirm", post(rules_confirm))
        .route("/v1/rules/revert", post(rules_revert))
        .route("/v1/sets", get(sets))
        .route("/v1/sets/{name}", get(set))
        .route("/v1/sets/{name}/{operation}", post(change_set))
        .route("/v1/reload", post(reload))
        .route("/v1/stop", post(stop))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk)
}

/// What anybody on the management network may see: numbers, but no flows.
pub(crate) fn public_routes(desk: Desk) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk)
}

/// Serves the control socket until `closing`.
pub(crate) async fn serve_control(
    listener: UnixListener,
    routes: Router,
    closing: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let service = routes.into_make_service_with_connect_info::<Peer>();
    axum::serve(Bounded::new(listener), service).with_graceful_shutdown(closing).await
}

/// Serves the kernel's network until `closing`.
pub(crate) async fn serve_http(
    listener: TcpListener,
    routes: Router,
    closing: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let service = routes.into_make_service_with_connect_info::<Peer>();
    axum::serve(Bounded::new(listener), service).with_graceful_shutdown(closing).await
}

async fn status(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>) -> Answer {
    desk.ask(peer, ApiRequest::Status).await
}

async fn metrics(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>) -> Answer {
    desk.ask(peer, ApiRequest::Metrics).await
}

async fn health(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>) -> Answer {
    desk.ask(peer, ApiRequest::Health).await
}

async fn policy(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>) -> Answer {
    desk.ask(peer, ApiRequest::Policy).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    limit: Option<usize>,
}

type Asked<T> = Result<Query<T>, QueryRejection>;

async fn flows(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>, query: Asked<Limit>) -> Answer {
    match query {
        Ok(Query(Limit { limit })) => {
            let limit = limit.unwrap_or(FLOWS_DEFAULT).min(FLOWS_MAX);
            desk.ask(peer, ApiRequest::Flows { limit }).await
        }
        Err(rejected) => Answer::bad(&rejected.body_text()),
    }
}

async fn entries(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>, query: Asked<Limit>) -> Answer {
    match query {
        Ok(Query(Limit { limit })) => {
            let limit = limit.unwrap_or(FLOWS_DEFAULT).min(FLOWS_MAX);
            desk.ask(peer, ApiRequest::Entries { limit }).await
        }
        Err(rejected) => Answer::bad(&rejected.body_text()),
    }
}

async fn audit(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>, query: Asked<Limit>) -> Answer {
    match query {
        Ok(Query(Limit { limit })) => {
            let limit = limit.unwrap_or(FLOWS_DEFAULT).min(FLOWS_MAX);
            desk.ask(peer, ApiRequest::Audit { limit }).await
        }
        Err(rejected) => Answer::bad(&rejected.body_text()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flow {
    interface: String,
    protocol: String,
    source: std::net::SocketAddr,
    destination: std::net::SocketAddr,
    format: Option<String>,
}

async fn explain(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>, query: Asked<Flow>) -> Answer {
    let flow = match query {
        Ok(Query(flow)) => flow,
        Err(rejected) => return Answer::bad(&rejected.body_text()),
    };
    let protocol = match protocol::parse(&flow.protocol) {
        Ok(protocol) => protocol,
        Err(wrong) => return Answer::bad(&wrong),
    };
    let format = match flow.format.as_deref() {
        None | Some("json") => Format::Json,
        Some("text") => Format::Text,
        Some(other) => return Answer::bad(&format!("format {other:?}: json or text")),
    };
    let (source, destination) = (flow.source, flow.destination);
    desk.ask(peer, ApiRequest::Explain { interface: flow.interface, protocol, source, destination, format }).await
}

async fn tproxy(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(operation): UrlPath<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let body = match body {
        Ok(body) => body,
        Err(rejected) => return Answer(Err(ApiError::new(rejected.status().as_u16(), rejected.body_text()))),
    };
    match parse_request(&operation, &body) {
        Ok(request) => desk.ask(peer, ApiRequest::Tproxy(request)).await,
        Err(refusal) => Answer(Err(refusal.into())),
    }
}

async fn sets(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>) -> Answer {
    desk.ask(peer, ApiRequest::Sets).await
}

async fn set(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(name): UrlPath<String>,
    query: Asked<Limit>,
) -> Answer {
    match query {
        Ok(Query(Limit { limit })) => {
            let limit = limit.unwrap_or(FLOWS_DEFAULT).min(FLOWS_MAX);
            desk.ask(peer, ApiRequest::Set { name, limit }).await
        }
        Err(rejected) => Answer::bad(&rejected.body_text()),
    }
}

async fn change_set(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath((name, operation)): UrlPath<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let body = match body {
        Ok(body) => body,
        Err(rejected) => return Answer(Err(ApiError::new(rejected.status().as_u16(), rejected.body_text()))),
    };
    match parse_change(&operation, &body) {
        Ok(change) => desk.ask(peer, ApiRequest::ChangeSet { name, change }).await,
        Err(refused) => Answer(Err(refused)),
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Reload {
    redecide: bool,
}

async fn reload(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    match fields(body) {
        Ok(Reload { redecide }) => {
            let read = reload::read(&desk.config, desk.modules);
            desk.ask(peer, ApiRequest::Reload { read, redecide }).await
        }
        Err(refused) => refused,
    }
}

async fn stop(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<Peer>) -> Answer {
    desk.ask(peer, ApiRequest::Stop).await
}

async fn unknown(uri: Uri) -> Answer {
    Answer(Err(ApiError::new(404, format!("there is nothing at {}", uri.path()))))
}

async fn wrong_method(uri: Uri) -> Answer {
    Answer(Err(ApiError::new(405, format!("{} is asked by GET if it changes nothing, else by POST", uri.path()))))
}

/// A request out of its path and body, with the kernel's names for what can be wrong about that.
fn parse_request(operation: &str, body: &[u8]) -> Result<Request, Refusal> {
    let invalid = |reason: String| Refusal { errno: Errno::EINVAL, reason };
    if !Request::OPERATIONS.contains(&operation) {
        let known = Request::OPERATIONS.join(", ");
        let reason = format!("there is no operation {operation:?}; there are {known}");
        return Err(Refusal { errno: Errno::ENOPROTOOPT, reason });
    }
    let body = if body.is_empty() { b"{}" } else { body };
    let mut body: Value =
        serde_json::from_slice(body).map_err(|wrong| invalid(format!("the body is no JSON: {wrong}")))?;
    let Some(fields) = body.as_object_mut() else {
        return Err(invalid("the body is no JSON object".to_owned()));
    };
    if fields.contains_key("op") {
        return Err(invalid("the operation stands in the path".to_owned()));
    }
    fields.insert("op".to_owned(), operation.into());
    serde_json::from_value(body).map_err(|wrong| invalid(wrong.to_string()))
}

/// The fields of a body that may be left out.
fn fields<T: Default + DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Answer> {
    let body = body.map_err(|rejected| Answer(Err(ApiError::new(rejected.status().as_u16(), rejected.body_text()))))?;
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body).map_err(|wrong| Answer::bad(&format!("the body: {wrong}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    members: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneMember {
    member: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct With {
    with: String,
}

/// What is to be done with a set, out of the path and the body.
fn parse_change(operation: &str, body: &[u8]) -> Result<SetChange, ApiError> {
    fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
        serde_json::from_slice(body).map_err(|wrong| ApiError::bad(wrong.to_string()))
    }
    Ok(match operation {
        "add" => SetChange::Add { members: read::<Members>(body)?.members },
        "delete" => SetChange::Delete { members: read::<Members>(body)?.members },
        "test" => SetChange::Test { member: read::<OneMember>(body)?.member },
        "swap" => SetChange::Swap { with: read::<With>(body)?.with },
        "flush" => SetChange::Flush,
        other => {
            let error = format!("there is no operation {other:?}; there are add, delete, test, flush, swap");
            return Err(ApiError::new(404, error));
        }
    })
}

/// An answer as a response.
struct Answer(ApiReply);

impl Answer {
    fn bad(error: &str) -> Answer {
        Answer(Err(ApiError { status: 400, error: error.to_owned(), errno: None }))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        const JSON: &str = "application/json";
        const TEXT: &str = "text/plain; charset=utf-8";
        const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let (status, kind, body) = match self.0 {
            Ok(Body::Json(value)) => (StatusCode::OK, JSON, format!("{value}\n")),
            Ok(Body::Text(text)) => (StatusCode::OK, TEXT, text),
            Ok(Body::Metrics(text)) => (StatusCode::OK, METRICS, text),
            Err(error) => {
                let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (status, JSON, format!("{}\n", error.to_json()))
            }
        };
        (status, [(header::CONTENT_TYPE, kind)], body).into_response()
    }
}

#[cfg(test)]
mod tests;
