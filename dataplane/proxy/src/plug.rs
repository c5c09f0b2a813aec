//! The plug: passes bytes both ways and knows nothing of what they mean.
//!
//! It relays without copying, keeps one direction open when the other has ended, passes resets on, and ends a session
//! in which no byte moved for the idle time. The server is connected first; bytes the client sends meanwhile wait in
//! its stream. Each direction may be limited, in all and by the second; a server may be told the client by the PROXY protocol
//! first; a script may deny the session and choose its server. Without any of that the relay is as if there were none.
//!
//! Left out: packet statistics and stacked proxies (nothing inspects here), out-of-band data, which the relay passes in
//! line, and secondary sessions: with Zorp one plug took in further UDP flows of its client, by a mask of what may
//! differ; here each flow is a session that costs no task, and of TCP each connection always was one.

pub mod event;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::host::{Host, Level, Target};
use crate::outcome::{Outcome, Reason, Side};
use crate::proxy_protocol::{self, Version};
use crate::relay::{Gate, Limits, Rate, Relay};
use crate::script;
use crate::session::{Session, SessionId};
use crate::stream::Stream;

/// What a service sets for its plug.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// From the client to the server.
    pub to_server: Allowance,
    /// From the server to the client.
    pub to_client: Allowance,
    /// Tells the server who the client is.
    pub send_proxy: Option<Version>,
    /// Decides about sessions and their servers.
    pub script: Option<Arc<script::Settings>>,
}

/// What one direction of a session may pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes in all; one more ends the session.
    pub bytes_max: Option<u64>,
    /// Bytes a second.
    pub rate: Option<Rate>,
}

impl Settings {
    /// Whether datagrams may go past the plug as they come: what it would do with them is nothing.
    #[must_use]
    pub fn takes_datagrams(&self) -> bool {
        *self == Settings::default()
    }
}

/// Serves a session to its end.
pub async fn run<H: Host>(mut session: Session<H>, settings: Arc<Settings>) -> Outcome {
    let began = session.host.now();
    let target = match script::start(&mut session, settings.script.as_ref()).and_then(|it| it.route(&session.host)) {
        Ok(target) => target,
        Err(reason) => {
            session.client.abort();
            return Outcome::unserved(reason);
        }
    };
    let Session { id, host, mut client, info } = session;
    let mut server = match connect(&host, id, target, &mut client).await {
        Ok(server) => server,
        Err(reason) => {
            host.log(id, Level::Info, format_args!("no server: {}", reason.sentence()));
            client.abort();
            return Outcome::unserved(reason);
        }
    };
    if let Some(version) = settings.send_proxy {
        let header = proxy_protocol::header(version, info.client, info.original_destination);
        // A server that is gone already is found so by the relay.
        if server.send(header.into()).await.is_ok() {
            host.count(event::Event::Announced.into());
        }
    }
    let limits = Limits { idle: info.idle, end: info.total.map(|total| began.saturating_add(total)) };
    let now = host.now();
    let gate = |allowance: Allowance| Gate::new(allowance.bytes_max, allowance.rate, now);
    let relay = Relay::new(client, server, limits).letting_go(id);
    relay.with_gates(gate(settings.to_server), gate(settings.to_client)).run(&host).await
}

/// The server's stream, unless the client goes away first.
///
/// Waiting on for a client that has reset would spend a SYN and a half-open flow on nobody.
async fn connect<H: Host>(
    host: &H,
    id: SessionId,
    target: Target,
    client: &mut H::Stream,
) -> Result<H::Stream, Reason> {
    let mut connecting = pin!(host.connect(id, target));
    poll_fn(|cx| {
        if let Poll::Ready(result) = connecting.as_mut().poll(cx) {
            return Poll::Ready(result.map_err(Reason::from));
        }
        client.poll_failed(cx).map(|error| Err(Reason::failed(Side::Client, error)))
    })
    .await
}

#[cfg(test)]
mod tests;
