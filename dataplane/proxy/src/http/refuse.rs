//! What does not pass: counted, logged, told to the client as the policy says, and whether the connection goes on.

use super::access::Access;
use super::event::Event;
use super::head::{Asked, Body};
use super::method::Method;
use super::pages::Page;
use super::policy::{How, Refusal};
use super::serving::{Serving, Then};
use crate::host::{ConnectError, Host, Level};
use crate::outcome::Reason;

/// Why an exchange stops, and what is known of it.
#[derive(Debug)]
pub(super) struct Stop {
    pub refusal: Refusal,
    /// Of the session, if it ends with it.
    pub reason: Reason,
    /// The request was read whole and the client may ask again.
    pub goes_on: bool,
    /// Nothing of an answer had come over a connection that was idle before: another one may do better.
    pub again: bool,
}

impl Stop {
    /// What the client said is no request.
    pub(super) fn fault(event: Event) -> Stop {
        Stop::page(event, event.status(), Reason::ClientViolation)
    }

    /// What the server said is no response.
    pub(super) fn server_fault(event: Event) -> Stop {
        Stop::page(event, 502, Reason::ServerViolation)
    }

    pub(super) fn page(event: Event, status: u16, reason: Reason) -> Stop {
        let how = How::Page { status, info: event.sentence().into() };
        Stop { refusal: Refusal { event, how }, reason, goes_on: false, again: false }
    }

    /// Nothing can be told any more.
    pub(super) fn abort(event: Event, reason: Reason) -> Stop {
        Stop { refusal: Refusal { event, how: How::Abort }, reason, goes_on: false, again: false }
    }

    /// There is no server.
    pub(super) fn no_server(error: ConnectError) -> Stop {
        let status = match error {
            ConnectError::Cut => return Stop::abort(Event::NoServer, Reason::Cut),
            ConnectError::TimedOut => 504,
            ConnectError::Limit | ConnectError::NoPort => 503,
            ConnectError::Denied => 403,
            _ => 502,
        };
        Stop::page(Event::NoServer, status, Reason::from(error))
    }

    /// The policy said no.
    pub(super) fn policy(refusal: Refusal, asked: &Asked) -> Stop {
        let whole = matches!(asked.body, Body::None | Body::Length(0));
        let reason = if refusal.event == Event::ShortOfMemory { Reason::ServiceLimit } else { Reason::PolicyDenied };
        Stop { refusal, reason, goes_on: whole && asked.hop.persistent, again: false }
    }
}

impl<H: Host> Serving<H> {
    /// Tells the client.
    pub(super) async fn refuse(&mut self, stop: Stop, asked: Option<&Asked>, access: &mut Access) -> Then {
        let Stop { refusal: Refusal { event, how }, reason, goes_on, .. } = stop;
        self.count(event);
        access.event = Some(event);
        match asked {
            Some(Asked { request, .. }) => {
                let (method, url) = (&request.method, &request.url);
                self.host.log(self.id, Level::Info, format_args!("{method} {url}: {}", event.sentence()));
            }
            None => self.host.log(self.id, Level::Info, format_args!("no request: {}", event.sentence())),
        }
        let (status, info, location) = match &how {
            How::Abort => return Then::Abort(reason),
            How::Close => return Then::Close(reason),
            How::Page { .. } | How::Elsewhere { .. } if self.settings.pages.silent => return Then::Close(reason),
            How::Page { status, info } => (*status, &**info, None),
            How::Elsewhere { status, location } => (*status, event.sentence(), Some(location.as_str())),
        };
        access.status = status;
        let page = self.settings.pages.render(&Page {
            status,
            info,
            host: asked.map_or("", |asked| asked.request.url.host()),
            location,
            now: self.host.wall_clock(),
            close: !goes_on,
            head_only: asked.is_some_and(|asked| asked.request.method == Method::HEAD),
        });
        match self.say(page).await {
            Err(reason) => Then::Abort(reason),
            Ok(()) if goes_on => Then::Next,
            Ok(()) => Then::Close(reason),
        }
    }
}
