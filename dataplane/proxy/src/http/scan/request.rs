//! Requests before the server sees them: REQMOD, and answers that the scanner gives in the server's place.

use std::task::Poll;

use bytes::Bytes;

use super::ask::{Answer, Question, Sides};
use super::{Passage, Scanned, Sender, heads};
use crate::host::Host;
use crate::http::access::Access;
use crate::http::body::{BodyError, Trailers};
use crate::http::drive::{Step, drive};
use crate::http::event::Event as HttpEvent;
use crate::http::forward;
use crate::http::head::{Answered, Asked, Body, Exchange, parse_response};
use crate::http::message::Version;
use crate::http::method::Method;
use crate::http::pace::Waits;
use crate::http::refuse::Stop;
use crate::http::serving::{Serving, Then, client_failed};
use crate::icap::request::Message;
use crate::icap::{Event, Part, Service};
use crate::outcome::Reason;

/// What becomes of a request.
pub(in crate::http) enum Judged<S> {
    /// It goes to its server.
    Request(Scanned<S>),
    /// The scanner has answered it, and the client has that.
    Answered(Then),
}

impl<H: Host> Serving<H> {
    /// Asks the scanner about a request whose head is there; it becomes what the scanner made of it.
    pub(in crate::http) async fn scan_request(
        &mut self,
        asked: &mut Asked,
        access: &mut Access,
    ) -> Result<Judged<H::Stream>, Stop> {
        let Some(settings) = self.settings.icap.clone() else { return Ok(Judged::Request(Scanned::Not)) };
        if settings.respmod.is_some() && !settings.permit_ranges {
            // RFC 9110, 14.2: "A server MAY ignore the Range header field": so may who asks it.
            let parts = asked.request.headers.remove("Range") + asked.request.headers.remove("If-Range");
            if parts > 0 {
                self.host.count(Event::RangeDropped.into());
            }
        }
        if settings.reqmod.is_none() || !self.may_scan(&settings, asked.body)? {
            return Ok(Judged::Request(Scanned::Not));
        }
        if std::mem::take(&mut asked.expects) {
            // The server is asked only when all is known: it is we who want the body.
            let go_on = self.say(Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n")).await;
            go_on.map_err(|reason| Stop::abort(HttpEvent::ReaderTimeout, reason))?;
        }
        asked.request.headers.remove("Expect");
        let has_body = !matches!(asked.body, Body::None | Body::Length(0));
        let (client, server) = (self.info.client.ip(), self.info.original_destination.ip());
        let request = heads::request(asked);
        let message = Message { service: Service::Reqmod, request, response: None, has_body, client, server };
        let idle = self.scanner.take();
        let Serving { host, id, client, settings: all, end, .. } = self;
        let question = Question {
            host: &*host,
            id: *id,
            settings,
            message,
            body: asked.body,
            path: asked.request.url.target(),
            times: all.times,
            trailers: all.trailers,
            max: all.request_body_max,
            end: *end,
            sender: Sender::Client,
        };
        let sides = Sides { client, server: None, deaf: false };
        match question.ask(sides, idle).await? {
            Answer::Ignored => Ok(Judged::Request(Scanned::Not)),
            Answer::Clean(held, connection, head) => {
                self.scanner = connection;
                self.judged(Service::Reqmod, asked, head.as_ref(), Event::Clean, None);
                Ok(Judged::Request(Scanned::Clean(held)))
            }
            Answer::Message(head, bytes, mut through) => {
                self.threat(Service::Reqmod, asked, &head)?;
                let body = head.encapsulated.body;
                match head.encapsulated.part {
                    Some(Part::Request) => {
                        let length = heads::changed_request(&bytes, body, &self.rules(), asked);
                        through.length = length.map_err(|event| self.senseless(event))?;
                        self.judged(Service::Reqmod, asked, Some(&head), Event::Changed, None);
                        Ok(Judged::Request(Scanned::Changed(through)))
                    }
                    Some(Part::Response) => {
                        let parsed = parse_response(&bytes, Exchange::Other);
                        let mut answered = parsed.map_err(|_| self.senseless(Event::MessageInvalid))?;
                        let length = heads::changed_response(&bytes, body, &mut answered);
                        through.length = length.map_err(|event| self.senseless(event))?;
                        self.judged(Service::Reqmod, asked, Some(&head), Event::Answered, None);
                        self.deliver(asked, answered, Scanned::Changed(through), access).await.map(Judged::Answered)
                    }
                    None => Err(self.senseless(Event::EncapsulatedInvalid)),
                }
            }
        }
    }

    /// The scanner's own answer on its way to the client.
    async fn deliver(
        &mut self,
        asked: &Asked,
        mut answered: Answered,
        scanned: Scanned<H::Stream>,
        access: &mut Access,
    ) -> Result<Then, Stop> {
        let version = asked.request.version;
        let to_head = asked.request.method == Method::HEAD;
        let (framing, goes_on) = forward::response_framing(answered.body, version);
        let read = matches!(&scanned, Scanned::Changed(through) if through.feed.is_read());
        let persistent = goes_on && asked.hop.persistent && read;
        if to_head {
            answered.body = Body::None;
        }
        let head = forward::response(&self.settings, &answered, version, persistent, version == Version::Http10)
            .map_err(|_| self.senseless(Event::MessageInvalid))?;
        self.to_client += head.len() as u64;
        access.status = answered.response.status;
        let now = self.host.now();
        if to_head || matches!(answered.body, Body::None | Body::Length(0)) {
            // What the scanner says beyond is not wanted: its connection ends with it.
            let said = self.say(head).await;
            said.map_err(|reason| Stop::abort(HttpEvent::ReaderTimeout, reason))?;
            return Ok(if persistent { Then::Next } else { Then::Close(Reason::Finished) });
        }
        let mut passage = scanned.passage(head, answered.body, framing, Trailers::Drop, None, now);
        let passed = self.deliver_body(&mut passage).await;
        access.sent = passage.moved();
        self.to_client += passage.moved();
        passed?;
        self.count(HttpEvent::Response);
        self.scanner = passage.into_scanner();
        Ok(if persistent { Then::Next } else { Then::Close(Reason::Finished) })
    }

    async fn deliver_body(&mut self, passage: &mut Passage<H::Stream>) -> Result<(), Stop> {
        let Serving { host, client, settings, end, .. } = self;
        let times = settings.times;
        drive(host, |cx, now| {
            match passage.poll_back(cx, now, client) {
                Poll::Ready(Ok(())) => return Step::Done(Ok(())),
                Poll::Ready(Err(BodyError::To(error))) => {
                    return Step::Done(Err(Stop::abort(HttpEvent::ClientTruncated, client_failed(error))));
                }
                Poll::Ready(Err(_)) => {
                    return Step::Done(Err(Stop::abort(HttpEvent::ScannerFailed, Reason::ScannerFailed)));
                }
                Poll::Pending => {}
            }
            let (until, stop) = match passage.waits() {
                Waits::Receiver => {
                    let slow = passage.slow_at(Waits::Receiver, times.body_grace, times.rate_min);
                    let until = slow.unwrap_or_else(|| passage.active().saturating_add(times.body_idle));
                    (until, Stop::abort(HttpEvent::ReaderTimeout, Reason::ClientTooSlow))
                }
                _ => {
                    let until = passage.scanner_until().unwrap_or(passage.active().saturating_add(times.body_idle));
                    (until, Stop::abort(HttpEvent::ScannerFailed, Reason::ScannerFailed))
                }
            };
            if now >= *end {
                return Step::Done(Err(Stop::abort(HttpEvent::ScannerFailed, Reason::TotalTimeout)));
            }
            if now >= until { Step::Done(Err(stop)) } else { Step::Until(until.min(*end)) }
        })
        .await
    }
}
