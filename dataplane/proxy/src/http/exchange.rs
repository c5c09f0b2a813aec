//! One request and its response: read, decided, passed on, answered.
//!
//! ```text
//! head ─→ parse ─→ decide_request ─→ server ─→ head and body ─→ (1xx)* ─→ response's head ─→ decide_response ─→ body
//!           └── Stop: a page, a close or a reset; see `refuse`                                  request's rest ──┘
//! ```
//!
//! Both bodies move at the same time once there is a response: a server may answer before it has read everything.

use std::task::Poll;
use std::time::Duration;

use super::access::Access;
use super::body::{BodyError, Framing};
use super::drive::{Step, drive};
use super::event::Event;
use super::forward;
use super::head::{Answered, Asked, Body, Collector, Exchange, parse_request, parse_response};
use super::headers::list;
use super::limits::INTERIM_MAX;
use super::message::{Form, Version};
use super::method::Method;
use super::pace::Waits;
use super::policy::{Route, decide_request, decide_response};
use super::refuse::Stop;
use super::scan::{Judged, Passage, Scanned, unjudged};
use super::serving::{Serving, Then, client_failed};
use super::upstream::NoServer;
use crate::host::{Host, Level, Target};
use crate::outcome::{Reason, Side};
use crate::stream::{Chunk, Stream};

impl<H: Host> Serving<H> {
    /// Answers a request whose head is there.
    pub(super) async fn exchange(&mut self, head: Vec<u8>) -> Then {
        self.requests += 1;
        self.count(Event::Request);
        let mut access = Access::unread(self.host.now());
        let then = match parse_request(&head, &self.rules()) {
            Ok(mut asked) => {
                drop(head);
                access = Access::of(&asked.request, self.host.now());
                match self.answer(&mut asked, &mut access).await {
                    Ok(then) => then,
                    Err(stop) => {
                        // What was asked of a server is not wanted any more; a request that was never passed leaves it be.
                        if !stop.goes_on {
                            self.upstream.abort();
                        }
                        self.refuse(stop, Some(&asked), &mut access).await
                    }
                }
            }
            Err(event) => self.refuse(Stop::fault(event), None, &mut access).await,
        };
        self.host.record(self.id, access.record(self.host.now()));
        then
    }

    async fn answer(&mut self, asked: &mut Asked, access: &mut Access) -> Result<Then, Stop> {
        if self.host.is_short_of_memory() {
            return Err(Stop::page(Event::ShortOfMemory, 503, Reason::ServiceLimit));
        }
        // Scripts look at requests here, before the policy: what they make of one is decided like any other.
        let chosen = self.decider().script_request(asked)?;
        let route = match decide_request(&self.settings, &mut asked.request) {
            Ok(route) => chosen.map_or(route, Route::Address),
            Err(refusal) => return Err(Stop::policy(refusal, asked)),
        };
        if let (Body::Length(length), Some(max)) = (asked.body, self.settings.request_body_max)
            && length > max
        {
            return Err(Stop::fault(Event::BodyLong));
        }
        // What a scanner says of a request is known before anybody is connected to.
        let mut scanned = match self.scan_request(asked, access).await? {
            Judged::Request(scanned) => scanned,
            Judged::Answered(then) => return Ok(then),
        };
        let mut resolved = self.resolved.take();
        let target = self.decider().target(route, &asked.request.url, &mut resolved).await;
        self.resolved = resolved;
        let target = target?;
        if asked.request.form == Form::Authority && !matches!(route, Route::Parent(_)) {
            return Ok(self.tunnel_to(target, access));
        }
        let offered = self.upgrade(asked);
        let mut tried = false;
        loop {
            let reused = self.server(target).await?;
            let client = self.info.client.ip();
            let head = forward::request(&self.settings, asked, route, client, offered.as_deref())
                .map_err(|_| Stop::fault(Event::HeadLong))?;
            self.to_server += head.len() as u64;
            let framing = if asked.body == Body::Chunked { Framing::Chunked } else { Framing::Plain };
            let (trailers, max) = (self.settings.trailers, self.settings.request_body_max);
            // Only what has no body is sent twice: of the scanner's verdict nothing is left to repeat.
            let scanned = std::mem::replace(&mut scanned, Scanned::Not);
            let mut upload = scanned.passage(head, asked.body, framing, trailers, max, self.host.now());
            if reused {
                self.count(Event::Reused);
            }
            let answered = self.answered(asked, &mut upload, offered.as_deref()).await;
            access.received = upload.moved();
            match answered {
                Ok(answered) => return self.respond(asked, answered, &mut upload, access).await,
                // RFC 9110, 9.2.2: a proxy may repeat what is idempotent; RFC 9112, 9.3.1.
                Err(stop) if stop.again && reused && !tried && upload.moved() == 0 && is_repeatable(asked) => {
                    self.count(Event::Retried);
                    self.upstream.abort();
                    tried = true;
                }
                Err(stop) => return Err(stop),
            }
        }
    }
}

impl<H: Host> Serving<H> {
    /// A connection to the server; `true`: one that was there already.
    async fn server(&mut self, target: Target) -> Result<bool, Stop> {
        let Serving { upstream, host, id, client, .. } = self;
        upstream.ready(host, *id, client, target).await.map_err(|none| match none {
            NoServer::Client(reason) => Stop::abort(Event::NoServer, reason),
            NoServer::Connect(error) => Stop::no_server(error),
        })
    }

    /// The final response's head, while the request's body goes on; what comes before it is passed on or swallowed.
    async fn answered(
        &mut self,
        asked: &Asked,
        upload: &mut Passage<H::Stream>,
        offered: Option<&[u8]>,
    ) -> Result<Answered, Stop> {
        let to = match asked.request.method.as_str() {
            "HEAD" => Exchange::Head,
            "CONNECT" => Exchange::Connect,
            _ => Exchange::Other,
        };
        let mut waits_for_100 = asked.expects;
        for _ in 0..INTERIM_MAX {
            let head = self.response_head(upload, waits_for_100).await?;
            let answered = parse_response(&head, to).map_err(Stop::server_fault)?;
            let status = answered.response.status;
            match status {
                101 if !switches(&answered, offered) => return Err(Stop::server_fault(Event::UpgradeUnasked)),
                100 | 102..200 => {
                    waits_for_100 &= status != 100;
                    // RFC 9110, 15.2: "A proxy MUST forward 1xx responses unless the proxy itself requested the generation of the
                    // 1xx response"; "a server MUST NOT send a 1xx response to an HTTP/1.0 client".
                    let wanted = if status == 100 { asked.expects } else { asked.request.version == Version::Http11 };
                    if wanted {
                        self.count(Event::Interim);
                        let version = asked.request.version;
                        let head = forward::response(&self.settings, &answered, version, true, false);
                        let head = head.map_err(|_| Stop::server_fault(Event::HeadLong))?;
                        self.say(head).await.map_err(|reason| Stop::abort(Event::ReaderTimeout, reason))?;
                    }
                }
                _ => return Ok(answered),
            }
        }
        Err(Stop::server_fault(Event::InterimMany))
    }

    /// One head from the server.
    async fn response_head(&mut self, upload: &mut Passage<H::Stream>, waits_for_100: bool) -> Result<Vec<u8>, Stop> {
        let Serving { host, client, upstream, settings, end, .. } = self;
        let Some(server) = upstream.stream.as_mut() else { return Err(server_closed(false)) };
        let times = settings.times;
        let began = host.now();
        let mut collector = Collector::response(settings.heads);
        // A server that closes while it is written to may have answered before: its last words are read.
        let mut deaf = false;
        drive(host, |cx, now| {
            if !deaf && !upload.is_done() {
                match upload.poll(cx, now, client, server) {
                    Poll::Ready(Err(BodyError::To(_))) => deaf = true,
                    Poll::Ready(Err(error)) => return Step::Done(Err(upload_failed(error))),
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
            }
            loop {
                match server.poll_read(cx) {
                    Poll::Ready(Ok(Some(mut chunk))) => match collector.feed(chunk.as_slice()) {
                        Ok(Some(taken)) => {
                            let _ = chunk.split_to(taken);
                            server.unread(chunk);
                            return Step::Done(Ok(()));
                        }
                        Ok(None) => {}
                        Err(event) => return Step::Done(Err(Stop::server_fault(event))),
                    },
                    Poll::Ready(Ok(None) | Err(_)) => return Step::Done(Err(server_closed(collector.is_untouched()))),
                    Poll::Pending => break,
                }
            }
            if let Poll::Ready(error) = client.poll_failed(cx) {
                return Step::Done(Err(Stop::abort(Event::ClientTruncated, client_failed(error))));
            }
            let waits = if deaf { Waits::Nobody } else { upload.waits() };
            let by = match waits {
                Waits::Sender if !waits_for_100 => {
                    let slow = upload.slow_at(Waits::Sender, times.body_grace, times.rate_min);
                    let stop = (Event::BodyTimeout, 408, Reason::ClientTooSlow);
                    (slow.unwrap_or_else(|| upload.active().saturating_add(times.body_idle)), stop)
                }
                Waits::Receiver => {
                    let stop = (Event::ServerBodyTimeout, 504, Reason::ServerTooSlow);
                    (upload.active().saturating_add(times.body_idle), stop)
                }
                _ => {
                    let stop = (Event::ResponseTimeout, 504, Reason::ServerTooSlow);
                    (began.max(upload.active()).saturating_add(times.response), stop)
                }
            };
            let by = match upload.scanner_until().filter(|until| *until < by.0 && !deaf) {
                Some(until) => (until, (Event::ScannerFailed, 503, Reason::ScannerFailed)),
                None => by,
            };
            let (until, (event, status, reason)) = by;
            if now >= *end {
                return Step::Done(Err(Stop::abort(Event::ResponseTimeout, Reason::TotalTimeout)));
            }
            if now >= until {
                return Step::Done(Err(Stop::page(event, status, reason)));
            }
            Step::Until(until.min(*end))
        })
        .await?;
        Ok(collector.into_bytes())
    }

    /// Passes the response on, and what is left of the request.
    async fn respond(
        &mut self,
        asked: &Asked,
        mut answered: Answered,
        upload: &mut Passage<H::Stream>,
        access: &mut Access,
    ) -> Result<Then, Stop> {
        let switched = answered.response.status == 101 && answered.hop.upgrade.is_some();
        if !switched {
            // Scripts look at responses here, and scanners at what they will bring: nothing has been passed yet.
            self.decider().script_response(asked, &mut answered.response)?;
            decide_response(&self.settings, &asked.request, &mut answered.response)
                .map_err(|refusal| Stop { goes_on: false, ..Stop::policy(refusal, asked) })?;
        }
        if let (Body::Length(length), Some(max)) = (answered.body, self.settings.response_body_max)
            && length > max
        {
            return Err(Stop::server_fault(Event::BodyLong));
        }
        let server_body = answered.body;
        let scanned = if switched { Scanned::Not } else { self.scan_response(asked, &mut answered, upload).await? };
        let version = asked.request.version;
        let (framing, goes_on) = forward::response_framing(answered.body, version);
        let last = self.settings.requests_max.is_some_and(|max| self.requests >= max);
        if last {
            self.count(Event::RequestsMax);
        }
        let persistent = goes_on && asked.hop.persistent && upload.is_done() && upload.is_read() && !last;
        let head = forward::response(&self.settings, &answered, version, persistent, version == Version::Http10)
            .map_err(|_| Stop::server_fault(Event::HeadLong))?;
        let (trailers, max, now) = (self.settings.trailers, self.settings.response_body_max, self.host.now());
        self.to_client += head.len() as u64;
        access.status = answered.response.status;
        let mut download = scanned.passage(head, answered.body, framing, trailers, max, now);
        let passed = self.bodies(&mut download, upload).await;
        access.sent = download.moved();
        access.received = upload.moved();
        self.to_client += download.moved();
        self.to_server += upload.moved();
        if download.dropped_trailers() || upload.dropped_trailers() {
            self.count(Event::TrailersDropped);
        }
        passed?;
        self.count(Event::Passed);
        self.count(Event::Response);
        let tunnel = asked.request.method == Method::CONNECT && (200..300).contains(&answered.response.status);
        if switched || tunnel {
            self.count(if tunnel { Event::Tunnelled } else { Event::Upgraded });
            return Ok(Then::Relay);
        }
        answered.body = server_body;
        self.keep_server(asked, &answered, upload, download.is_read());
        self.scanner = download.into_scanner().or(self.scanner.take());
        Ok(if persistent { Then::Next } else { Then::Close(Reason::Finished) })
    }

    /// Both bodies, until the response is whole.
    async fn bodies(&mut self, download: &mut Passage<H::Stream>, upload: &mut Passage<H::Stream>) -> Result<(), Stop> {
        let Serving { host, client, upstream, settings, end, .. } = self;
        let Some(server) = upstream.stream.as_mut() else { return Err(server_closed(false)) };
        let times = settings.times;
        let mut deaf = false;
        drive(host, |cx, now| {
            match download.poll(cx, now, server, client) {
                Poll::Ready(Ok(())) => return Step::Done(Ok(())),
                Poll::Ready(Err(error)) => return Step::Done(Err(download_failed(error))),
                Poll::Pending => {}
            }
            if !deaf && !upload.is_done() {
                match upload.poll(cx, now, client, server) {
                    Poll::Ready(Err(BodyError::Fault(event))) => {
                        return Step::Done(Err(Stop::abort(event, Reason::ClientViolation)));
                    }
                    // Who has enough of a request may close for it; who has said enough as well.
                    Poll::Ready(Err(_)) => deaf = true,
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
            }
            if let Poll::Ready(error) = client.poll_failed(cx) {
                return Step::Done(Err(Stop::abort(Event::ClientTruncated, client_failed(error))));
            }
            let (until, event, reason) = match download.waits() {
                Waits::Receiver => {
                    let slow = download.slow_at(Waits::Receiver, times.body_grace, times.rate_min);
                    let until = slow.unwrap_or_else(|| download.active().saturating_add(times.body_idle));
                    (until, Event::ReaderTimeout, Reason::ClientTooSlow)
                }
                _ => {
                    let active = download.active().max(if deaf { Duration::ZERO } else { upload.active() });
                    let until = active.saturating_add(times.body_idle);
                    match download.scanner_until() {
                        Some(until) => (until, Event::ScannerFailed, Reason::ScannerFailed),
                        None => (until, Event::ServerBodyTimeout, Reason::ServerTooSlow),
                    }
                }
            };
            if now >= *end {
                return Step::Done(Err(Stop::abort(event, Reason::TotalTimeout)));
            }
            if now >= until {
                return Step::Done(Err(Stop::abort(event, reason)));
            }
            Step::Until(until.min(*end))
        })
        .await
    }

    /// Whether the server's connection serves another request.
    fn keep_server(&mut self, asked: &Asked, answered: &Answered, upload: &Passage<H::Stream>, read: bool) {
        let odd = upload.moved() > 0 && !asked.request.method.has_content();
        if odd {
            self.count(Event::SmugglerClosed);
        }
        let done = upload.is_done() && read && answered.body != Body::UntilClose;
        if !done {
            self.upstream.abort();
        } else if odd || !answered.hop.persistent || !asked.hop.persistent {
            self.upstream.close();
        }
    }

    /// The protocols that the client would rather speak, as far as the service permits them.
    fn upgrade(&self, asked: &Asked) -> Option<Vec<u8>> {
        let wanted = asked.hop.upgrade.as_deref()?;
        let permitted =
            |protocol: &&[u8]| self.settings.upgrade.iter().any(|one| protocol.eq_ignore_ascii_case(one.as_bytes()));
        let offered: Vec<&[u8]> = list(wanted).filter(permitted).collect();
        let plain = asked.body == Body::None && asked.request.version == Version::Http11 && asked.hop.persistent;
        if offered.is_empty() || !plain {
            self.count(Event::NotUpgraded);
            return None;
        }
        Some(offered.join(&b", "[..]))
    }

    /// A tunnel to a server of the client's choice.
    fn tunnel_to(&mut self, target: Target, access: &mut Access) -> Then {
        self.count(Event::Tunnelled);
        access.status = 200;
        let address = match target {
            Target::Address(address) => address,
            Target::Original => self.info.original_destination,
        };
        self.host.log(self.id, Level::Info, format_args!("tunnel to {address}"));
        Then::Tunnel(target, address)
    }
}

/// May it be sent again without being done twice?
fn is_repeatable(asked: &Asked) -> bool {
    asked.request.method.is_idempotent() && matches!(asked.body, Body::None | Body::Length(0))
}

/// RFC 9110, 7.8: "A server MUST NOT switch to a protocol that was not indicated by the client".
fn switches(answered: &Answered, offered: Option<&[u8]>) -> bool {
    let Some((offered, chosen)) = offered.zip(answered.hop.upgrade.as_deref()) else { return false };
    let mut chosen = list(chosen);
    let one = chosen.next();
    one.is_some_and(|one| list(offered).any(|offer| offer.eq_ignore_ascii_case(one))) && chosen.next().is_none()
}

fn server_closed(again: bool) -> Stop {
    Stop { again, ..Stop::page(Event::ServerClosed, 502, Reason::ServerViolation) }
}

pub(super) fn upload_failed(error: BodyError) -> Stop {
    match error {
        BodyError::Fault(event) => Stop::fault(event),
        BodyError::Truncated => Stop { reason: Reason::ClientViolation, ..Stop::fault(Event::ClientTruncated) },
        BodyError::From(error) => Stop::abort(Event::ClientTruncated, client_failed(error)),
        BodyError::To(_) => server_closed(false),
        BodyError::Scanner(_) => unjudged(),
    }
}

/// The response has begun: all that can still be told is that it is not whole.
fn download_failed(error: BodyError) -> Stop {
    match error {
        BodyError::Fault(event) => Stop::abort(event, Reason::ServerViolation),
        BodyError::Truncated => Stop::abort(Event::ServerTruncated, Reason::ServerViolation),
        BodyError::From(error) => Stop::abort(Event::ServerTruncated, Reason::failed(Side::Server, error)),
        BodyError::To(error) => Stop::abort(Event::ClientTruncated, client_failed(error)),
        BodyError::Scanner(_) => Stop::abort(Event::ScannerFailed, Reason::ScannerFailed),
    }
}
