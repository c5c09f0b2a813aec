//! The plug: passes bytes both ways and knows nothing of what they mean.
//!
//! It relays without copying, keeps one direction open when the other has ended, passes resets on, and ends a session
//! in which no byte moved for the idle time. The server is connected first; bytes the client sends meanwhile wait in
//! its stream. Left out: shaping, packet statistics and stacked proxies (nothing inspects here), and out-of-band data,
//! which the relay passes in line.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::host::{Host, Level, Target};
use crate::outcome::{Outcome, Reason, Side};
use crate::relay::{Limits, Relay};
use crate::session::{Session, SessionId};
use crate::stream::Stream;

/// What a service sets for its plug.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {}

/// Serves a session to its end.
pub async fn run<H: Host>(session: Session<H>, _: Arc<Settings>) -> Outcome {
    let Session { id, host, mut client, info } = session;
    let began = host.now();
    let server = match connect(&host, id, &mut client).await {
        Ok(server) => server,
        Err(reason) => {
            host.log(id, Level::Info, format_args!("no server: {}", reason.sentence()));
            client.abort();
            return Outcome::unserved(reason);
        }
    };
    let limits = Limits { idle: info.idle, end: info.total.map(|total| began.saturating_add(total)) };
    Relay::new(client, server, limits).run(&host).await
}

/// The server's stream, unless the client goes away first.
///
/// Waiting on for a client that has reset would spend a SYN and a half-open flow on nobody.
async fn connect<H: Host>(host: &H, id: SessionId, client: &mut H::Stream) -> Result<H::Stream, Reason> {
    let mut connecting = pin!(host.connect(id, Target::Original));
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
