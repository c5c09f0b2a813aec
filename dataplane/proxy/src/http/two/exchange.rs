//! One stream: a request and its response, read, decided, passed on, answered, as `http/exchange.rs` does for HTTP/1.
//!
//! ```text
//! head ─→ asked ─→ decide_request ─→ server's stream ─→ head and body ─→ (1xx)* ─→ response's head ─→ decide_response ─→ body
//!           └── Failed: a page or a reset of this stream; see `refuse`                               request's rest ──┘
//! ```
//!
//! What must hold: a client that resets its stream, or goes, ends everything that was done for it; what a server's stream
//! came to is told by the client's.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::server::SendResponse;
use h2::{Reason as Code, RecvStream, SendStream};
use http::{Request, Response};

use super::body::{BodyError, Bound, Pump};
use super::context::Context;
use super::servers::{Lease, NoServer};
use super::{code, forward};
use crate::host::{Host, Target};
use crate::http::access::Access;
use crate::http::drive::{Step, drive};
use crate::http::event::Event;
use crate::http::head::two::{answered, asked};
use crate::http::head::{Answered, Asked, Body, Exchange as To};
use crate::http::limits::INTERIM_MAX;
use crate::http::pace::Waits;
use crate::http::policy::{Route, decide_request, decide_response};
use crate::http::refuse::Stop;
use crate::outcome::Reason;

/// See the module.
pub(super) struct Exchange<H: Host> {
    pub context: Rc<Context<H>>,
    /// The request's body.
    body: RecvStream,
    pub respond: SendResponse<Bytes>,
    /// The response's, once it has begun.
    pub sending: Option<SendStream<Bytes>>,
    pub access: Access,
    /// It has come to its end, and was not dropped with its connection.
    over: bool,
}

/// Every request is put on record, also those that end with their connection.
impl<H: Host> Drop for Exchange<H> {
    fn drop(&mut self) {
        let (context, now) = (&self.context, self.context.host.now());
        let mut access = std::mem::replace(&mut self.access, Access::unread(now));
        if !self.over {
            access.event.get_or_insert(Event::ClientTruncated);
        }
        context.host.record(context.id, access.record(now));
    }
}

/// Why an exchange does not come to its end.
pub(super) enum Failed {
    /// The client has heard nothing, yet.
    Stop(Box<Stop>),
    /// The stream is reset.
    Reset(Event, Code),
    /// The client has reset it, or is gone.
    Gone,
}

impl From<Stop> for Failed {
    fn from(stop: Stop) -> Failed {
        Failed::Stop(Box::new(stop))
    }
}

/// What a server says to a request.
enum Heard {
    Interim(Response<()>),
    Final(Response<RecvStream>),
}

/// The server's side of a request under way.
struct Sent {
    response: ResponseFuture,
    to: SendStream<Bytes>,
    upload: Pump,
    /// The server takes no more of the request.
    deaf: bool,
}

/// Serves a stream to its end.
pub(super) async fn run<H: Host>(context: Rc<Context<H>>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    context.requests.set(context.requests.get() + 1);
    context.count(Event::Request);
    let began = context.host.now();
    let (head, body) = request.into_parts();
    let asked = asked(&head, body.is_end_stream(), &context.rules(), &context.settings.heads);
    drop(head);
    let mut exchange = Exchange { context, body, respond, sending: None, access: Access::unread(began), over: false };
    match asked {
        Ok(mut asked) => {
            exchange.access = Access::of(&asked.request, began);
            if let Err(failed) = exchange.answer(&mut asked).await {
                exchange.fail(failed, Some(&asked)).await;
            }
        }
        Err(event) => exchange.fail(Stop::fault(event).into(), None).await,
    }
    exchange.over = true;
}

impl<H: Host> Exchange<H> {
    async fn answer(&mut self, asked: &mut Asked) -> Result<(), Failed> {
        let context = Rc::clone(&self.context);
        if context.host.is_short_of_memory() {
            return Err(Stop::page(Event::ShortOfMemory, 503, Reason::ServiceLimit).into());
        }
        // A stream that was opened and reset at once costs nobody a request.
        self.watched(std::future::ready(())).await?;
        let decider = context.decider();
        let chosen = decider.script_request(asked)?;
        let route = decide_request(&context.settings, &mut asked.request).map_err(|no| Stop::policy(no, asked))?;
        let route = chosen.map_or(route, Route::Address);
        if let (Body::Length(length), Some(max)) = (asked.body, context.settings.request_body_max)
            && length > max
        {
            return Err(Stop::fault(Event::BodyLong).into());
        }
        let mut resolved = context.resolved.borrow().clone();
        let target = self.watched(decider.target(route, &asked.request.url, &mut resolved)).await??;
        *context.resolved.borrow_mut() = resolved;
        let mut tried = false;
        loop {
            let lease = self.server(target).await?;
            if lease.reused {
                context.count(Event::Reused);
            }
            let mut sent = self.send(lease.send, asked)?;
            match self.heard(asked, &mut sent).await {
                Ok(response) => return self.respond_with(asked, response, &mut sent).await,
                Err(Unheard::Server(error)) => {
                    let bare = asked.request.method.is_idempotent() && self.body.is_end_stream();
                    let idle = lease.reused && error.is_io() && bare;
                    let again = (code::is_unprocessed(&error) || idle) && sent.upload.is_untouched();
                    if tried || !again {
                        return Err(unanswered(&error));
                    }
                    context.count(Event::Retried);
                    tried = true;
                }
                Err(Unheard::Failed(failed)) => {
                    self.access.received = sent.upload.moved();
                    return Err(failed);
                }
            }
        }
    }

    /// Waits for something, unless the client gives the stream up first.
    async fn watched<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Failed> {
        let mut future = pin!(future);
        poll_fn(|cx| match self.respond.poll_reset(cx) {
            Poll::Ready(_) => Poll::Ready(Err(Failed::Gone)),
            Poll::Pending => future.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    async fn server(&mut self, target: Target) -> Result<Lease, Failed> {
        let context = Rc::clone(&self.context);
        let ready = poll_fn(|cx| context.servers.poll(cx, target, |event| context.count(event)));
        self.watched(ready).await?.map_err(|none| {
            match none {
                NoServer::Connect(error) => Stop::no_server(error),
                NoServer::TooMany => Stop::page(Event::NoServer, 503, Reason::ServiceLimit),
            }
            .into()
        })
    }

    fn send(&self, mut send: h2::client::SendRequest<Bytes>, asked: &Asked) -> Result<Sent, Failed> {
        let context = &self.context;
        let head = forward::request(&context.settings, asked, context.info.client.ip()).map_err(Stop::fault)?;
        let ended = self.body.is_end_stream();
        let (response, to) = send.send_request(head, ended).map_err(|error| unanswered(&error))?;
        let bound = Bound::of(context.settings.request_body_max);
        let upload = Pump::new(ended, bound, context.settings.trailers, context.host.now());
        Ok(Sent { response, to, upload, deaf: false })
    }

    /// The final response, while the request's body goes on; what comes before it is passed on or swallowed.
    async fn heard(&mut self, asked: &Asked, sent: &mut Sent) -> Result<Response<RecvStream>, Unheard> {
        let mut waits_for_100 = asked.expects;
        for _ in 0..INTERIM_MAX {
            let interim = match self.next(sent, waits_for_100).await? {
                Heard::Final(response) => return Ok(response),
                Heard::Interim(response) => response,
            };
            let status = interim.status().as_u16();
            let (head, ()) = interim.into_parts();
            let interim = answered(&head, true, To::Other, &self.context.settings.heads).map_err(Stop::server_fault)?;
            waits_for_100 &= status != 100;
            // RFC 9110, 15.2: those that we did not ask for ourselves are passed on.
            if status != 100 || asked.expects {
                self.context.count(Event::Interim);
                let head = forward::response(&self.context.settings, &interim).map_err(Stop::server_fault)?;
                self.respond.send_informational(head).map_err(|_| Failed::Gone)?;
            }
        }
        Err(Stop::server_fault(Event::InterimMany).into())
    }

    async fn next(&mut self, sent: &mut Sent, waits_for_100: bool) -> Result<Heard, Unheard> {
        let Exchange { context, body, respond, .. } = self;
        let times = context.settings.times;
        let began = context.host.now();
        let Sent { response, to, upload, deaf } = sent;
        drive(&context.host, |cx, now| {
            if !*deaf && !upload.is_done() {
                match upload.poll(cx, now, body, to) {
                    // Who has answered may take no more; what it answered is heard below.
                    Poll::Ready(Err(BodyError::To(_))) => *deaf = true,
                    Poll::Ready(Err(error)) => {
                        if let BodyError::From(error) = &error {
                            to.send_reset(code::to_server(error.reason()));
                        }
                        return Step::Done(Err(upload_failed(&error).into()));
                    }
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
            }
            match response.poll_informational(cx) {
                Poll::Ready(Some(Ok(interim))) => return Step::Done(Ok(Heard::Interim(interim))),
                Poll::Ready(Some(Err(error))) => return Step::Done(Err(Unheard::Server(error))),
                Poll::Ready(None) => {
                    if let Poll::Ready(response) = Pin::new(&mut *response).poll(cx) {
                        return Step::Done(response.map(Heard::Final).map_err(Unheard::Server));
                    }
                }
                Poll::Pending => {}
            }
            if let Poll::Ready(reset) = respond.poll_reset(cx) {
                to.send_reset(code::to_server(reset.ok()));
                return Step::Done(Err(Failed::Gone.into()));
            }
            let waits = if *deaf { Waits::Nobody } else { upload.waits() };
            let (until, event, status, reason) = match waits {
                Waits::Sender if !waits_for_100 => {
                    let slow = upload.slow_at(Waits::Sender, times.body_grace, times.rate_min);
                    let until = slow.unwrap_or_else(|| upload.active().saturating_add(times.body_idle));
                    (until, Event::BodyTimeout, 408, Reason::ClientTooSlow)
                }
                Waits::Receiver => {
                    let until = upload.active().saturating_add(times.body_idle);
                    (until, Event::ServerBodyTimeout, 504, Reason::ServerTooSlow)
                }
                _ => {
                    let until = began.max(upload.active()).saturating_add(times.response);
                    (until, Event::ResponseTimeout, 504, Reason::ServerTooSlow)
                }
            };
            if now >= until {
                return Step::Done(Err(Stop::page(event, status, reason).into()));
            }
            Step::Until(until)
        })
        .await
    }

    /// Passes the response on, and what is left of the request.
    async fn respond_with(
        &mut self,
        asked: &Asked,
        response: Response<RecvStream>,
        sent: &mut Sent,
    ) -> Result<(), Failed> {
        let context = Rc::clone(&self.context);
        let settings = &context.settings;
        self.access.received = sent.upload.moved();
        let (head, mut from) = response.into_parts();
        let ended = from.is_end_stream();
        let to = if asked.request.method.as_str() == "HEAD" { To::Head } else { To::Other };
        let mut answered = answered(&head, ended, to, &settings.heads).map_err(Stop::server_fault)?;
        drop(head);
        context.decider().script_response(asked, &mut answered.response)?;
        decide_response(settings, &asked.request, &mut answered.response)
            .map_err(|refusal| Stop::policy(refusal, asked))?;
        if let (Body::Length(length), Some(max)) = (answered.body, settings.response_body_max)
            && length > max
        {
            return Err(Stop::server_fault(Event::BodyLong).into());
        }
        let Answered { response, body, .. } = &answered;
        let head = forward::response(settings, &answered).map_err(Stop::server_fault)?;
        self.access.status = response.status;
        let bound = if *body == Body::None { Bound::NONE } else { Bound::of(settings.response_body_max) };
        let mut download = Pump::new(ended, bound, settings.trailers, context.host.now());
        self.sending = Some(self.respond.send_response(head, ended).map_err(|_| Failed::Gone)?);
        let passed = self.bodies(&mut from, &mut download, sent).await;
        self.access.sent = download.moved();
        self.access.received = sent.upload.moved();
        if download.dropped_trailers() || sent.upload.dropped_trailers() {
            context.count(Event::TrailersDropped);
        }
        passed?;
        context.count(Event::Passed);
        context.count(Event::Response);
        Ok(())
    }

    /// Both bodies, until the response is whole. What is left of the request then is not wanted: RFC 9113, 8.1.
    async fn bodies(&mut self, from: &mut RecvStream, download: &mut Pump, sent: &mut Sent) -> Result<(), Failed> {
        let Exchange { context, body, sending, .. } = self;
        let Some(sending) = sending else { return Err(Failed::Gone) };
        let Sent { to, upload, deaf, .. } = sent;
        let times = context.settings.times;
        drive(&context.host, |cx, now| {
            match download.poll(cx, now, from, sending) {
                Poll::Ready(Ok(())) => return Step::Done(Ok(())),
                Poll::Ready(Err(error)) => {
                    if let BodyError::To(error) = &error {
                        to.send_reset(code::to_server(error.reason()));
                    }
                    return Step::Done(Err(download_failed(&error)));
                }
                Poll::Pending => {}
            }
            if !*deaf && !upload.is_done() {
                match upload.poll(cx, now, body, to) {
                    Poll::Ready(Err(BodyError::Fault(event))) => {
                        return Step::Done(Err(Failed::Reset(event, Code::CANCEL)));
                    }
                    Poll::Ready(Err(BodyError::From(_))) => return Step::Done(Err(Failed::Gone)),
                    Poll::Ready(Err(BodyError::To(_))) => *deaf = true,
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
            }
            let (until, event) = match download.waits() {
                Waits::Receiver => {
                    let slow = download.slow_at(Waits::Receiver, times.body_grace, times.rate_min);
                    let until = slow.unwrap_or_else(|| download.active().saturating_add(times.body_idle));
                    (until, Event::ReaderTimeout)
                }
                _ => {
                    let active = download.active().max(if *deaf { Duration::ZERO } else { upload.active() });
                    (active.saturating_add(times.body_idle), Event::ServerBodyTimeout)
                }
            };
            if now >= until {
                return Step::Done(Err(Failed::Reset(event, Code::CANCEL)));
            }
            Step::Until(until)
        })
        .await
    }
}

/// Why there is no response.
enum Unheard {
    /// The server's stream, or its connection, has ended.
    Server(h2::Error),
    Failed(Failed),
}

impl From<Failed> for Unheard {
    fn from(failed: Failed) -> Unheard {
        Unheard::Failed(failed)
    }
}

impl From<Stop> for Unheard {
    fn from(stop: Stop) -> Unheard {
        Unheard::Failed(stop.into())
    }
}

/// Nothing of a response is there: the codes that a client acts upon are its own; of the rest it is told as in HTTP/1.
fn unanswered(error: &h2::Error) -> Failed {
    match error.reason() {
        Some(code @ (Code::REFUSED_STREAM | Code::HTTP_1_1_REQUIRED)) if error.is_remote() => {
            Failed::Reset(Event::ServerClosed, code)
        }
        _ if error.is_library() => Stop::server_fault(Event::TwoServerProtocol).into(),
        _ => Stop::page(Event::ServerClosed, 502, Reason::ServerViolation).into(),
    }
}

fn upload_failed(error: &BodyError) -> Failed {
    match error {
        BodyError::Fault(event) => Stop::fault(*event).into(),
        BodyError::From(_) => Failed::Gone,
        BodyError::To(error) => unanswered(error),
    }
}

/// The response has begun: all that can still be told is that it is not whole.
fn download_failed(error: &BodyError) -> Failed {
    match error {
        BodyError::Fault(event) => Failed::Reset(*event, Code::INTERNAL_ERROR),
        BodyError::From(error) => Failed::Reset(Event::ServerTruncated, code::to_client(error.reason())),
        BodyError::To(_) => Failed::Gone,
    }
}
