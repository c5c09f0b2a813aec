//! FTP, both channels: RFC 959 with 1123 4.1, 2228 and 4217 (TLS), 2389 (FEAT), 2428 (IPv6), 3659 (MLSD and its like).
//!
//! Files in the order of events: a `line` comes from a `control` connection, becomes a `command`, one that is `known` or
//! not; `policy`, `syntax` and `state` say whether it goes on; `talk` gives it to `prepare` (PORT, PASV …), `security` (AUTH,
//! PROT …), `feat`, `transfer` with its `channel`, or passes it on; `exchange` is what is said and heard meanwhile, `reply` what comes
//! back. `login` is for clients that
//! name their server, `watch` ends what takes too long.
//!
//! What must hold:
//! - nothing passes that the policy does not name: neither commands nor replies, nor bytes on a data connection the wrong way;
//! - what two readers could read in two ways ends the session: line ends, replies unasked, text between AUTH and TLS;
//! - data connections are between client and server of this session and nobody else, at both sides;
//! - passwords are in no log line and in no record.
//!
//! Left out: urgent data (see `transfer`), the default data port (PORT or PASV has to be said; RFC 1123 4.1.2.5 advises it),
//! third-party transfers between two servers (they are what bounce attacks are), Kerberos and GSSAPI (RFC 2228's ADAT).

pub mod address;
pub mod channel;
pub mod command;
pub mod control;
pub mod event;
mod exchange;
pub mod feat;
pub mod known;
pub mod limits;
pub mod line;
pub mod login;
pub mod policy;
mod prepare;
pub mod reply;
mod security;
pub mod settings;
pub mod state;
pub mod syntax;
mod talk;
mod transfer;
mod watch;
pub mod wire;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

pub use command::Command;
pub use settings::Settings;

use control::Control;
use event::Event;
use limits::GOODBYE;
use reply::{Reply, ReplyReader};
use state::State;
use talk::{Over, Talk};
use watch::Watch;

use crate::host::Host;
use crate::outcome::{Outcome, Reason};
use crate::session::Session;
use crate::stream::{Ends, Stream};

/// Serves a session to its end.
pub async fn run<H: Host>(mut session: Session<H>, settings: Arc<Settings>) -> Outcome {
    let script = match crate::script::start(&mut session, settings.script.as_ref()) {
        Ok(script) => script,
        Err(reason) => {
            session.client.abort();
            return Outcome::unserved(reason);
        }
    };
    let Session { id, host, client, info } = session;
    host.count(Event::Sessions.into());
    let idle = settings.idle.min(info.idle);
    let watch = Rc::new(Watch::new(host.now(), idle, settings.login_time, info.total));
    let mut talk = Talk {
        id,
        host: host.clone(),
        script,
        watch: Rc::clone(&watch),
        client: Control::new(client, settings.line_max),
        server: None,
        ends: Ends { local: info.client, peer: info.original_destination },
        replies: ReplyReader::new(settings.reply_lines_max),
        state: State::Greeting,
        waiting: None,
        data: None,
        epsv_all: false,
        secured: security::Secured::default(),
        user: String::new(),
        uploaded: 0,
        downloaded: 0,
        info,
        settings,
    };
    let over = first(talk.serve(), async {
        let reason = watch.expired(&host).await;
        Over { reason, words: Some(Reply::new(421, "Time is over")) }
    })
    .await;
    first(talk.goodbye(over.words), host.sleep(GOODBYE)).await;
    let is_orderly = over.reason == Reason::Finished;
    for control in [Some(&mut talk.client), talk.server.as_mut()].into_iter().flatten() {
        if !is_orderly {
            control.wire().abort();
        }
    }
    let to_server = talk.uploaded + talk.server.as_ref().map_or(0, Control::written);
    let to_client = talk.downloaded + talk.client.written();
    Outcome { verdict: over.reason.verdict(), reason: over.reason, to_server, to_client }
}

/// What is ready first; the other one is dropped.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Pending => other.as_mut().poll(cx),
        ready @ Poll::Ready(_) => ready,
    })
    .await
}

#[cfg(test)]
mod tests;
