//! What the service decides of a request and of a response, whatever protocol version brought them.
//!
//! Pure functions of settings and message, so that HTTP/1 and HTTP/2, tests and a later `explain` share them. They may
//! change the message; what they refuse, they refuse with a counted event and a way to tell the client.

mod headers;
mod rules;
mod strict;

use std::borrow::Cow;
use std::net::SocketAddr;

pub use headers::{Change, HeaderRule, HeaderRules};
pub use rules::{Action, MethodRules, RouteRule, Server, StatusRule, StatusRules};
pub use strict::{Strict, StrictAction, TABLE as STRICT_TABLE, Values as StrictValues};

use super::event::Event;
use super::filter::Sentence;
use super::message::{Form, Request, Response};
use super::settings::{Otherwise, Settings};

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the server that the client addressed.
    Original,
    /// To this one.
    Address(SocketAddr),
    /// To the host and port of its URL.
    Inband,
    /// To another proxy, with its absolute URL.
    Parent(SocketAddr),
}

/// Why a message does not pass, and what becomes of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is counted.
    pub event: Event,
    /// What the client gets to know.
    pub how: How,
}

/// See [`Refusal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// A page.
    Page {
        /// Its status.
        status: u16,
        /// What it says; escaped where the page is made.
        info: Cow<'static, str>,
    },
    /// Another place to look: status and `Location`.
    Elsewhere {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// An absolute URL.
        location: String,
    },
    /// Nothing: the connection is closed.
    Close,
    /// A reset.
    Abort,
}

/// What is decided of a request.
pub type Decision = Result<Route, Refusal>;

impl Refusal {
    /// A page with the event's own status and sentence.
    #[must_use]
    pub fn page(event: Event) -> Refusal {
        Refusal { event, how: How::Page { status: event.status(), info: event.sentence().into() } }
    }

    /// As the operator's action says; `None`: it accepts.
    pub(super) fn by(action: &Action, event: Event) -> Option<Refusal> {
        let how = match action {
            Action::Accept => return None,
            Action::Reject { status, info } => {
                How::Page { status: *status, info: info.clone().map_or(Cow::Borrowed(event.sentence()), Cow::Owned) }
            }
            Action::Deny => How::Close,
            Action::Abort => How::Abort,
        };
        Some(Refusal { event, how })
    }
}

/// Decides of a request, in this order: form, method, URL, strict table, header rules, server.
///
/// # Errors
/// Why it does not pass.
pub fn decide_request(settings: &Settings, request: &mut Request) -> Decision {
    let permitted = match request.form {
        Form::Origin | Form::Asterisk => settings.permit_server_requests,
        Form::Absolute | Form::Authority => settings.permit_proxy_requests,
    };
    if !permitted {
        return Err(Refusal::page(Event::FormDenied));
    }
    if let Some(refusal) = Refusal::by(settings.methods.action(&request.method), Event::MethodDenied) {
        return Err(refusal);
    }
    if let Some(sentence) = settings.filter.judge(&request.url) {
        let refusal = match sentence {
            Sentence::Action(action) => Refusal::by(action, Event::UrlDenied),
            Sentence::Elsewhere(location) => {
                let how = How::Elsewhere { status: 302, location: location.clone() };
                Some(Refusal { event: Event::UrlDenied, how })
            }
        };
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
    }
    if let Some(strict) = &settings.strict {
        strict.apply(&mut request.headers)?;
    }
    settings.request_headers.apply(&mut request.headers)?;
    route(settings, request)
}

/// Decides of a final response: status, strict table, header rules.
///
/// # Errors
/// Why it does not pass.
pub fn decide_response(settings: &Settings, request: &Request, response: &mut Response) -> Result<(), Refusal> {
    let action = settings.statuses.action(&request.method, response.status);
    if let Some(refusal) = Refusal::by(action, Event::StatusDenied) {
        return Err(refusal);
    }
    if let Some(strict) = &settings.strict {
        strict.apply(&mut response.headers)?;
    }
    settings.response_headers.apply(&mut response.headers)
}

/// The server: by a route, by the URL, or as addressed.
fn route(settings: &Settings, request: &Request) -> Decision {
    let within =
        |ranges: &[std::ops::RangeInclusive<u16>]| ranges.iter().any(|range| range.contains(&request.url.port()));
    if request.form == Form::Authority {
        let permitted = settings.connect.as_ref().is_some_and(|connect| within(&connect.ports));
        if !permitted {
            return Err(Refusal::page(Event::ConnectDenied));
        }
    }
    let chosen = match settings.routes.iter().find(|rule| rule.fits(request)) {
        Some(rule) => rule.server,
        None => match settings.otherwise {
            Otherwise::Original => Server::Original,
            Otherwise::Inband => Server::Inband,
            Otherwise::Parent(parent) => Server::Parent(parent),
        },
    };
    let by_url = matches!(chosen, Server::Inband | Server::Parent(_));
    if by_url && request.form != Form::Authority && !within(&settings.ports) {
        return Err(Refusal::page(Event::PortDenied));
    }
    Ok(match chosen {
        Server::Original => Route::Original,
        Server::Address(address) => Route::Address(address),
        Server::Inband => Route::Inband,
        Server::Parent(parent) => Route::Parent(parent),
    })
}

#[cfg(test)]
mod tests;
