//! The service's script at requests and responses: they become its views, and what it set becomes theirs again.
//!
//! It looks at a request before the policy does, so that what it made of one is decided like any other; at a response, too.
//! How a body is framed is not in the views. What a script sets and we cannot take is a failed script.

use std::net::SocketAddr;

use bytes::Bytes;

use super::decider::Decider;
use super::event::Event;
use super::head::{Asked, Body};
use super::headers::Headers;
use super::message::{Form, Request, Response, Version};
use super::method::Method;
use super::policy::{How, Refusal};
use super::refuse::Stop;
use super::url::Url;
use crate::host::{Host, Level, Target};
use crate::outcome::Reason;
use crate::script::{Answer, view};

impl<H: Host> Decider<'_, H> {
    /// What the script makes of a request; the server that it chose for it.
    pub(super) fn script_request(&self, asked: &mut Asked) -> Result<Option<SocketAddr>, Stop> {
        if !self.script.wants_request() {
            return Ok(None);
        }
        let mut view = seen(&asked.request);
        let answer = self.script.request(self.host, &mut view).map_err(failed)?;
        if let Some(refusal) = refusal(answer) {
            return Err(Stop::policy(refusal, asked));
        }
        self.take_over(asked, &view).ok_or_else(|| {
            self.host.log(self.id, Level::Error, format_args!("what the script made of the request is none"));
            failed(Reason::ScriptFailed)
        })?;
        Ok(view.server)
    }

    /// The request as the script left it; none if it is none.
    fn take_over(&self, asked: &mut Asked, view: &view::Request) -> Option<()> {
        if view.changed.method {
            let method = Method::parse(&view.method)?;
            let bare = matches!(asked.body, Body::None | Body::Length(0));
            if !bare && !method.has_content() {
                return None;
            }
            asked.request.method = method;
        }
        if view.changed.url {
            // Of CONNECT and OPTIONS * the URL is not all that was asked.
            if matches!(asked.request.form, Form::Authority | Form::Asterisk) {
                return None;
            }
            asked.request.url = Url::parse(view.url.as_bytes(), &self.settings.url).ok()?;
        }
        if view.changed.headers {
            asked.request.headers = headers(&view.headers)?;
        }
        Some(())
    }

    /// What the script makes of a response.
    pub(super) fn script_response(&self, asked: &Asked, response: &mut Response) -> Result<(), Stop> {
        if !self.script.wants_response() {
            return Ok(());
        }
        let mut view = view::Response { status: response.status, ..view::Response::default() };
        view.headers = lent(&response.headers);
        let request = seen(&asked.request);
        let answer = self.script.response(self.host, &request, &mut view).map_err(failed)?;
        if let Some(refusal) = refusal(answer) {
            return Err(Stop { goes_on: false, ..Stop::policy(refusal, asked) });
        }
        if view.changed.status {
            (response.status, response.reason) = (view.status, Vec::new());
        }
        if view.changed.headers {
            response.headers = headers(&view.headers).ok_or_else(|| failed(Reason::ScriptFailed))?;
        }
        Ok(())
    }

    /// The server of requests that nothing else has one for.
    pub(super) fn script_route(&self) -> Result<Target, Stop> {
        self.script.route(self.host).map_err(failed)
    }
}

fn seen(request: &Request) -> view::Request {
    view::Request {
        method: Bytes::copy_from_slice(request.method.as_str().as_bytes()),
        url: request.url.to_string(),
        version: match request.version {
            Version::Http10 => 10,
            Version::Http11 => 11,
            Version::Http2 => 20,
        },
        headers: lent(&request.headers),
        ..view::Request::default()
    }
}

fn lent(headers: &Headers) -> view::Headers {
    let mut lent = view::Headers::default();
    for (name, value) in headers.iter() {
        lent.push(Bytes::copy_from_slice(name.as_bytes()), Bytes::copy_from_slice(value));
    }
    lent
}

fn headers(view: &view::Headers) -> Option<Headers> {
    let mut headers = Headers::new();
    for (name, value) in view.iter() {
        headers.insert(std::str::from_utf8(name).ok()?, value).ok()?;
    }
    Some(headers)
}

/// The answer as the policy would give it.
fn refusal(answer: Answer) -> Option<Refusal> {
    let how = match answer {
        Answer::Accept => return None,
        // Why is for the log, which has it.
        Answer::Deny { .. } => How::Page { status: 403, info: Event::ScriptDenied.sentence().into() },
        Answer::Reject { code, text } => How::Page { status: code, info: text.into() },
    };
    Some(Refusal { event: Event::ScriptDenied, how })
}

/// The script failed, or let nobody to any server.
fn failed(reason: Reason) -> Stop {
    let status = if reason == Reason::ScriptFailed { 500 } else { 403 };
    Stop::page(Event::ScriptDenied, status, reason)
}
