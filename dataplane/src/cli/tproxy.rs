//! tproxy requests by hand: what a program would ask of the control socket. Only `assign` makes several requests of one,
//! and takes the entry back if a later one is refused.

use std::net::SocketAddr;

use control::client::{Client, ClientError};
use control::requests::Request;
use control::tproxy::Flags;
use serde_json::Value;

use super::{Assign, Done, Local, say, show};

pub(super) fn assign(client: &Client, assign: &Assign, as_json: bool) -> Done {
    let Local { protocol, local } = assign.local;
    let request = Request::Assign {
        protocol,
        local,
        foreign: assign.foreign,
        reuse: assign.reuse,
        expires_ms: assign.expires.map(|seconds| seconds.saturating_mul(1000)),
    };
    let mut reply = ask(client, &request)?;
    match complete(client, assign) {
        Ok(Some(flags)) => reply["flags"] = flags["flags"].clone(),
        Ok(None) => {}
        Err(refused) => {
            // An entry that is only half of what was asked for would be in the way of the next attempt.
            let _ = ask(client, &Request::Unassign { protocol, local });
            return Err(refused.into());
        }
    }
    if as_json { say(reply) } else { say(show::reply(protocol, local, &reply)) }
}

/// What the options of `assign` ask for beyond the entry itself.
fn complete(client: &Client, assign: &Assign) -> Result<Option<Value>, ClientError> {
    let Local { protocol, local } = assign.local;
    if let Some(remote) = assign.remote {
        ask(client, &Request::Connect { protocol, local, remote })?;
    }
    assign.flags.map(|flags| ask(client, &Request::Flags { protocol, local, set: Some(flags) })).transpose()
}

pub(super) fn unassign(client: &Client, local: &Local, as_json: bool) -> Done {
    request(client, local, &Request::Unassign { protocol: local.protocol, local: local.local }, as_json)
}

pub(super) fn query(client: &Client, local: &Local, as_json: bool) -> Done {
    request(client, local, &Request::Query { protocol: local.protocol, local: local.local }, as_json)
}

pub(super) fn flags(client: &Client, local: &Local, flags: Option<Flags>, as_json: bool) -> Done {
    request(client, local, &Request::Flags { protocol: local.protocol, local: local.local, set: flags }, as_json)
}

pub(super) fn alloc(client: &Client, local: &Local, as_json: bool) -> Done {
    request(client, local, &Request::Alloc { protocol: local.protocol, local: local.local }, as_json)
}

pub(super) fn connect(client: &Client, local: &Local, remote: SocketAddr, as_json: bool) -> Done {
    request(client, local, &Request::Connect { protocol: local.protocol, local: local.local, remote }, as_json)
}

fn request(client: &Client, local: &Local, request: &Request, as_json: bool) -> Done {
    let reply = ask(client, request)?;
    if as_json { say(reply) } else { say(show::reply(local.protocol, local.local, &reply)) }
}

fn ask(client: &Client, request: &Request) -> Result<Value, ClientError> {
    let mut body = serde_json::to_value(request).expect("our own types serialize");
    // The operation stands in the path.
    body.as_object_mut().expect("requests are objects").remove("op");
    client.post(&format!("/v1/tproxy/{}", request.operation()), &body)
}
