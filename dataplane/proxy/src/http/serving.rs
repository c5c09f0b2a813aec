//! A client's connection: requests are read and answered one after the other, until one of the two has enough.
//!
//! The next request is read only when the one before is answered: what a client sends ahead waits in its stream. While
//! nothing is asked, a session is this and no more; what an exchange needs is made for it and gone after it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use super::decider::{Decider, Resolved};
use super::drive::{Step, drive};
use super::event::Event;
use super::head::{Collector, Completion, RequestRules};
use super::limits::{LINGER_BYTES_MAX, LINGER_MAX};
use super::settings::Settings;
use super::upstream::Upstream;
use super::url::Scheme;
use crate::host::{Host, Target};
use crate::icap;
use crate::limits::RESET_LINGER_MAX;
use crate::outcome::{Outcome, Reason, Side};
use crate::script::Script;
use crate::session::{Session, SessionId, SessionInfo};
use crate::stream::{Chunk, Stream, StreamError};

/// See the module.
pub(super) struct Serving<H: Host> {
    pub id: SessionId,
    pub host: H,
    pub info: SessionInfo,
    pub settings: Arc<Settings>,
    pub client: H::Stream,
    pub upstream: Upstream<H::Stream>,
    pub script: Script,
    /// A scanner's connection that was asked before.
    pub scanner: Option<icap::Connection<H::Stream>>,
    /// Bytes passed on.
    pub to_server: u64,
    pub to_client: u64,
    pub requests: u64,
    /// The name that was looked up last.
    pub resolved: Resolved,
    /// When the session is over, whatever it does.
    pub end: Duration,
}

/// What comes after an exchange.
#[derive(Debug)]
pub(super) enum Then {
    /// The next request.
    Next,
    /// The end in good order: what was written is delivered.
    Close(Reason),
    /// A reset.
    Abort(Reason),
    /// Client and server speak another protocol from now on.
    Relay,
    /// The client speaks to this server through a tunnel.
    Tunnel(Target, SocketAddr),
}

/// What a client says next.
pub(super) enum Next {
    /// A head, whole.
    Head(Vec<u8>),
    /// It will say nothing more.
    Closed,
    /// It closed in the middle of a head.
    Truncated,
    /// It said nothing for too long.
    Silent,
    /// It said something that is no head, or said it too slowly.
    Fault(Event),
    /// Its connection failed, or the session's time is over.
    Failed(Reason),
}

impl<H: Host> Serving<H> {
    pub(super) fn new(session: Session<H>, settings: Arc<Settings>, script: Script) -> Serving<H> {
        let Session { id, host, client, info } = session;
        let end = info.total.map_or(Duration::MAX, |total| host.now().saturating_add(total));
        let upstream = Upstream::new();
        Serving {
            id,
            host,
            info,
            settings,
            client,
            upstream,
            script,
            scanner: None,
            to_server: 0,
            to_client: 0,
            requests: 0,
            resolved: None,
            end,
        }
    }

    /// What decides about its messages.
    pub(super) fn decider(&self) -> Decider<'_, H> {
        let Serving { id, host, info, settings, script, .. } = self;
        Decider { id: *id, host, info, settings, script }
    }

    pub(super) fn count(&self, event: Event) {
        self.host.count(event.into());
    }

    /// By what rules requests of this session are read.
    pub(super) fn rules(&self) -> RequestRules {
        let server = self.info.original_destination;
        let scheme = if server.port() == 443 { Scheme::Https } else { Scheme::Http };
        let scheme = self.settings.scheme.unwrap_or(scheme);
        RequestRules {
            completion: Completion { scheme, server, require_host: self.settings.require_host },
            url: self.settings.url,
            permit_odd_body: self.settings.permit_get_body,
        }
    }

    /// Waits for the next request's head, and for an idle server to close.
    pub(super) async fn next(&mut self) -> Next {
        let first = self.requests == 0;
        let times = self.settings.times;
        let Serving { host, client, upstream, settings, info, end, .. } = self;
        let began = host.now();
        let mut collector = Collector::request(settings.heads);
        // The first request is waited for as long as it may take; a later one counts from its first byte.
        let mut started = first.then_some(began);
        let next = drive(host, |cx, now| {
            loop {
                match client.poll_read(cx) {
                    Poll::Ready(Ok(Some(mut chunk))) => {
                        started.get_or_insert(now);
                        match collector.feed(chunk.as_slice()) {
                            Ok(Some(taken)) => {
                                let _ = chunk.split_to(taken);
                                client.unread(chunk);
                                return Step::Done(None);
                            }
                            Ok(None) => {}
                            Err(event) => return Step::Done(Some(Next::Fault(event))),
                        }
                    }
                    Poll::Ready(Ok(None)) if collector.is_untouched() => return Step::Done(Some(Next::Closed)),
                    Poll::Ready(Ok(None)) => return Step::Done(Some(Next::Truncated)),
                    Poll::Ready(Err(error)) => {
                        return Step::Done(Some(Next::Failed(Reason::failed(Side::Client, error))));
                    }
                    Poll::Pending => break,
                }
            }
            if let Some(event) = upstream.watch(cx) {
                host.count(event.into());
            }
            let until = match started {
                Some(started) => started.saturating_add(times.request),
                None => began.saturating_add(times.keep_alive.min(info.idle)),
            };
            if now >= *end {
                return Step::Done(Some(Next::Failed(Reason::TotalTimeout)));
            }
            if now < until {
                return Step::Until(until.min(*end));
            }
            // Zorp answers 408 to the first request only: later ones were perhaps never begun.
            Step::Done(Some(if first { Next::Fault(Event::RequestTimeout) } else { Next::Silent }))
        })
        .await;
        next.unwrap_or_else(|| Next::Head(collector.into_bytes()))
    }

    /// Says something of our own to the client.
    pub(super) async fn say(&mut self, bytes: Bytes) -> Result<(), Reason> {
        let Serving { host, client, settings, to_client, .. } = self;
        let until = host.now().saturating_add(settings.times.body_grace);
        *to_client += bytes.len() as u64;
        let said = drive(host, |cx, now| match client.poll_writable(cx) {
            Poll::Ready(Ok(_)) => {
                let said = client.write(bytes.clone().into());
                Step::Done(said.map_err(|error| Reason::failed(Side::Client, error)))
            }
            Poll::Ready(Err(error)) => Step::Done(Err(Reason::failed(Side::Client, error))),
            Poll::Pending if now >= until => Step::Done(Err(Reason::ClientTooSlow)),
            Poll::Pending => Step::Until(until),
        });
        said.await
    }

    /// The end in good order: our FIN, then what the client still says is read and forgotten, so that it reads our last
    /// words before it hears of a reset.
    pub(super) async fn close(mut self, reason: Reason) -> Outcome {
        self.upstream.close();
        if let Some(scanner) = &mut self.scanner {
            scanner.stream.shutdown();
        }
        let Serving { host, client, .. } = &mut self;
        client.shutdown();
        let until = host.now().saturating_add(LINGER_MAX);
        let mut left = LINGER_BYTES_MAX;
        let mut heard_all = false;
        drive(host, |cx, now| {
            while !heard_all {
                match client.poll_read(cx) {
                    Poll::Ready(Ok(Some(chunk))) => match left.checked_sub(chunk.len() as u64) {
                        Some(less) => left = less,
                        None => return Step::Done(()),
                    },
                    Poll::Ready(Ok(None)) => heard_all = true,
                    Poll::Ready(Err(_)) => return Step::Done(()),
                    Poll::Pending => break,
                }
            }
            if now >= until || (heard_all && client.poll_finished(cx).is_ready()) {
                return Step::Done(());
            }
            Step::Until(until)
        })
        .await;
        self.outcome(reason)
    }

    /// A reset, behind what the server said before, if the client takes that in time.
    pub(super) async fn abort(mut self, reason: Reason) -> Outcome {
        self.upstream.abort();
        let gone =
            matches!(reason, Reason::ClientReset | Reason::ClientTimedOut | Reason::ClientUnreachable | Reason::Cut);
        let Serving { host, client, .. } = &mut self;
        let until = host.now().saturating_add(RESET_LINGER_MAX);
        if !gone && client.unacknowledged() > 0 {
            drive(host, |cx, now| {
                if client.poll_finished(cx).is_ready() || now >= until { Step::Done(()) } else { Step::Until(until) }
            })
            .await;
        }
        client.abort();
        self.outcome(reason)
    }

    pub(super) fn outcome(&self, reason: Reason) -> Outcome {
        Outcome { verdict: reason.verdict(), reason, to_server: self.to_server, to_client: self.to_client }
    }
}

/// A client's stream that failed while something else was waited for.
pub(super) fn client_failed(error: StreamError) -> Reason {
    Reason::failed(Side::Client, error)
}
