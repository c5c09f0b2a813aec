//! The HTTP proxy: nothing passes that two parsers could read in two ways, and policy sees what is asked and answered.
//!
//! HTTP/1 is here; `two` is HTTP/2, with the same policy. A request is read (`head`), decided (`policy`) and passed on with its body (`exchange`, `body`), the response the other
//! way; what does not pass is told (`refuse`, `pages`) and put on record (`access`). `HTTP.md` is the operator's manual.
//!
//! What must hold:
//! - each side sees heads that we wrote: one space here, one CRLF there, whatever the other said; bodies are framed anew;
//! - one request is at a server at a time, and nothing that a server says unasked becomes an answer;
//! - a session waiting for a request is small, and what a peer can make one hold is in `limits`;
//! - every wait has an end: heads absolute ones, bodies by rate or silence.
//!
//! Left out: HTTP/0.9 (nobody speaks it), transfer codings other than chunked, caching, authentication at the proxy,
//! FTP URLs.

mod access;
mod body;
mod chunked;
mod decider;
pub(crate) mod drive;
pub mod event;
mod exchange;
pub mod filter;
mod forward;
pub mod fuzz;
mod head;
pub mod headers;
pub mod limits;
pub mod message;
pub mod method;
mod pace;
pub mod pages;
pub mod policy;
mod refuse;
mod resolve;
mod scan;
mod scripted;
mod serving;
pub mod settings;
mod source;
mod tunnel;
pub(crate) mod two;
mod upstream;
pub mod url;

use std::sync::Arc;

use bytes::Bytes;

pub use body::Trailers;
pub use head::HeadLimits;
pub use headers::{HeaderFault, Headers};
pub use message::{Form, Request, Response, Version};
pub use method::Method;
pub use settings::{Connect, Otherwise, Settings, Times, Two};
pub use url::{Scheme, Url, UrlFault, UrlRules, canonical_host};

use crate::host::Host;
use crate::outcome::{Outcome, Reason};
use crate::session::Session;
use crate::stream::Stream;
use event::Event;
use refuse::Stop;
use serving::{Next, Serving, Then};

/// Serves a session to its end.
pub async fn run<H: Host>(mut session: Session<H>, settings: Arc<Settings>) -> Outcome {
    let script = match crate::script::start(&mut session, settings.script.as_ref()) {
        Ok(script) => script,
        Err(reason) => {
            session.client.abort();
            return Outcome::unserved(reason);
        }
    };
    let mut serving = Serving::new(session, settings, script);
    if two::is_agreed(&serving) {
        return Box::pin(two::run(serving)).await;
    }
    loop {
        // What an exchange needs is on the heap, and only while there is one.
        let then = match serving.next().await {
            Next::Head(head) if two::begins(&serving, &head) => {
                serving.client.unread(Bytes::from(head).into());
                return Box::pin(two::run(serving)).await;
            }
            Next::Head(head) => Box::pin(serving.exchange(head)).await,
            Next::Closed => Then::Close(Reason::Finished),
            Next::Truncated => Then::Close(Reason::ClientViolation),
            Next::Silent => {
                serving.count(Event::KeepAliveTimeout);
                Then::Close(Reason::Finished)
            }
            Next::Failed(reason) => Then::Abort(reason),
            Next::Fault(event) => Box::pin(serving.unread(event)).await,
        };
        return match then {
            Then::Next => continue,
            Then::Close(reason) => Box::pin(serving.close(reason)).await,
            Then::Abort(reason) => Box::pin(serving.abort(reason)).await,
            Then::Relay => Box::pin(serving.relay()).await,
            Then::Tunnel(target, address) => Box::pin(serving.tunnel(target, address)).await,
        };
    }
}

impl<H: Host> Serving<H> {
    /// What came is no head, or did not come in time.
    async fn unread(&mut self, event: Event) -> Then {
        let mut access = access::Access::unread(self.host.now());
        let reason = if event == Event::RequestTimeout { Reason::ClientTooSlow } else { Reason::ClientViolation };
        let then = self.refuse(Stop { reason, ..Stop::fault(event) }, None, &mut access).await;
        self.host.record(self.id, access.record(self.host.now()));
        then
    }
}

#[cfg(test)]
mod tests;
