//! What the running gateway is asked, apart from tproxy requests: each is one exchange over the control socket.

use std::path::PathBuf;

use control::client::{Client, ClientError};
use serde_json::{Value, json};

use super::{Cli, Done, Explain, Failure, say, show};

/// A client for the socket that the command line, the configuration or the default names.
pub(super) fn client(cli: &Cli) -> Result<Client, Failure> {
    let path = match (&cli.socket, cli.config_given()) {
        (Some(path), _) => path.clone(),
        (None, Some(config)) => super::file::load(config)?.control.socket,
        (None, None) => PathBuf::from(control::config::SOCKET),
    };
    Client::new(path).map_err(|error| Failure::Failed(error.to_string()))
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure::Failed(error.to_string())
    }
}

pub(super) fn status(client: &Client, all: bool, as_json: bool) -> Done {
    let status = client.get("/v1/status")?;
    if as_json { say(status) } else { say(show::status(&status, all)) }
}

pub(super) fn flows(client: &Client, limit: usize, as_json: bool) -> Done {
    let flows = client.get(&format!("/v1/flows?limit={limit}"))?;
    if as_json { say(flows) } else { say(show::flows(&flows)) }
}

pub(super) fn entries(client: &Client, as_json: bool) -> Done {
    let limit = control::limits::FLOWS_MAX;
    let entries = client.get(&format!("/v1/tproxy?limit={limit}"))?;
    if as_json { say(entries) } else { say(show::entries(&entries)) }
}

pub(super) fn explain(client: &Client, flow: &Explain, as_json: bool) -> Done {
    let path = format!(
        "/v1/explain?interface={}&protocol={}&source={}&destination={}&format={}",
        escape(&flow.interface),
        flow.protocol,
        escape(&flow.source.to_string()),
        escape(&flow.destination.to_string()),
        if as_json { "json" } else { "text" },
    );
    say(client.get_text(&path)?.trim_end())
}

pub(super) fn reload(client: &Client, redecide: bool, as_json: bool) -> Done {
    let reloaded = client.post("/v1/reload", &json!({ "redecide": redecide }))?;
    if as_json {
        return say(reloaded);
    }
    for warning in reloaded["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        tracing::warn!("{warning}");
    }
    say(format_args!("policy {} from {}", reloaded["generation"], reloaded["file"].as_str().unwrap_or_default()))
}

pub(super) fn stop(client: &Client, as_json: bool) -> Done {
    let stopping = client.post("/v1/stop", &json!({}))?;
    if as_json { say(stopping) } else { say("draining") }
}

/// For a query's value: all but letters, digits and a few signs as `%XX`.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
