//! Messages handed through a scanner before they are passed on: `icap` says how one is spoken to, this what is asked of it.
//!
//! ```text
//! connection, options ─→ collect (what is held) ─→ ask ─┬─ 204 ─→ Clean: what is held, then the rest of the source
//!                                                       ├─ 200 ─→ Changed: the scanner's head, its body as it comes
//!                                                       └─ none ─→ `on_failure`: 503, or Clean while all is held
//! ```
//!
//! What must hold: nothing of a message is passed before the scanner's status is there; while the scanner is asked about
//! a response, the request's rest goes on, so that a server that waits for it is not waited for in turn. What is left
//! out: messages without a body are not given to RESPMOD; tunnels and upgraded connections are none of its business.

mod ask;
mod feed;
mod heads;
mod passage;
mod request;
mod response;

use std::time::Duration;

use bytes::Bytes;

use super::body::{BodyError, Framing, Pump, Trailers};
use super::event::Event;
use super::head::Body;
use super::pace::Waits;
use super::policy::{How, Refusal};
use super::refuse::Stop;
use super::settings::Times;
use crate::icap::Threat;
use crate::outcome::Reason;
use crate::stream::Stream;
use feed::Held;
pub(super) use passage::{Passage, Through};
pub(super) use request::Judged;

/// What came of asking.
pub(super) enum Scanned<S> {
    /// Nobody was asked.
    Not,
    /// It may pass as it is; this was read of it.
    Clean(Held),
    /// The scanner gives it back.
    Changed(Through<S>),
}

impl<S: Stream> Scanned<S> {
    /// The body on its way on, behind its head.
    pub(super) fn passage(
        self,
        head: Bytes,
        body: Body,
        framing: Framing,
        trailers: Trailers,
        max: Option<u64>,
        now: Duration,
    ) -> Passage<S> {
        match self {
            Scanned::Not => Passage::straight(Pump::new(head, body, framing, trailers, max, now)),
            Scanned::Clean(Held { bytes, source }) => {
                Passage::straight(Pump::resume(head, &bytes, source, framing, trailers, max, now))
            }
            // A body that is longer than its head says would be the next message.
            Scanned::Changed(through) => {
                let max = through.length.or(max);
                let body = if through.has_body { Body::Chunked } else { Body::None };
                Passage::through(Pump::new(head, body, framing, Trailers::Drop, max, now), through)
            }
        }
    }
}

/// The scanner named a threat.
fn infected(threat: &Threat) -> Stop {
    let info = format!("The scanner found {} in what was to be passed on.", threat.name);
    let how = How::Page { status: Event::ScannerDenied.status(), info: info.into() };
    let refusal = Refusal { event: Event::ScannerDenied, how };
    Stop { refusal, reason: Reason::ScannerDenied, goes_on: false, again: false }
}

/// There is no verdict.
pub(super) fn unjudged() -> Stop {
    Stop::page(Event::ScannerFailed, Event::ScannerFailed.status(), Reason::ScannerFailed)
}

/// Whose body it is that is scanned, and how slow that may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Client,
    Server,
}

impl Sender {
    /// Its body did not come to its end; nothing was passed on yet.
    fn failed(self, error: BodyError) -> Stop {
        match (self, error) {
            (Sender::Client, error) => super::exchange::upload_failed(error),
            (Sender::Server, BodyError::Fault(event)) => Stop::server_fault(event),
            (Sender::Server, BodyError::Scanner(_)) => unjudged(),
            (Sender::Server, _) => Stop::page(Event::ServerTruncated, 502, Reason::ServerViolation),
        }
    }

    /// Until when it may be silent, and what is said then.
    fn patience(self, times: &Times, active: Duration, slow_at: Option<Duration>) -> (Duration, Stop) {
        let idle = active.saturating_add(times.body_idle);
        match self {
            Sender::Client => {
                (slow_at.unwrap_or(idle).min(idle), Stop::page(Event::BodyTimeout, 408, Reason::ClientTooSlow))
            }
            Sender::Server => (idle, Stop::page(Event::ServerBodyTimeout, 504, Reason::ServerTooSlow)),
        }
    }
}

/// Is it the sender that a feed waits for?
fn is_senders(waits: Waits) -> bool {
    waits == Waits::Sender
}
