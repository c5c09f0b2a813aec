//! The detector: chooses a session's service by the first bytes of either side, and hands it over untouched.
//!
//! ```text
//! client's bytes ─→ HTTP? TLS (which name)? SSH?          ┐ first yes: that service's proxy, with all bytes put back
//! server's bytes ─→ FTP? SMTP? POP3? IMAP? SSH?           ┘ both no, or the time is over: `default`, or a reset
//! ```
//!
//! Neither side waits for the other: where a protocol is looked for in which servers speak first, the server is
//! connected at once, and whoever speaks first decides. Nothing is sent to anybody. What must hold: what is held of a
//! session is bounded (`limits`), and what was read is read again by who serves it, in the same order.
//!
//! A server that was connected is seen by the inner proxy through [`crate::stack`]: bytes are copied once. Without detectors
//! for servers, and with `default` after them, the inner proxy has the session's own streams.
//!
//! Left out: Zorp's matcher on the server's certificate. TLS 1.3 encrypts it (RFC 8446, §4.4), so that who only looks
//! never sees one; the TLS proxy's rules judge it where they decrypt.

mod client;
pub mod event;
pub mod fuzz;
pub mod limits;
mod peek;
mod server;
mod upstream;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use client::{Client, Judgement};
use event::Event;
use peek::Peeked;
use upstream::Opened;

use crate::host::{ConnectError, Host, Level, Target};
use crate::module::{Module, serve};
use crate::outcome::{Outcome, Reason, Side};
use crate::record::Record;
use crate::session::Session;
use crate::stack::{self, LocalFuture, Stacked};
use crate::stream::{Stream, StreamError};
use crate::tls::names::Names;

/// What a service sets for it: names of services, by what was found.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Clients that speak HTTP/1, or HTTP/2 in clear.
    pub http: Option<Arc<str>>,
    /// Clients that speak TLS and fit no rule of `sni`.
    pub tls: Option<Arc<str>>,
    /// Clients that speak TLS, by the server's name that they ask for; the first rule that fits.
    pub sni: Vec<SniRule>,
    /// Clients or servers that speak SSH.
    pub ssh: Option<Arc<str>>,
    /// Servers that greet so.
    pub ftp: Option<Arc<str>>,
    /// Servers that greet so.
    pub smtp: Option<Arc<str>>,
    /// Servers that greet so.
    pub pop3: Option<Arc<str>>,
    /// Servers that greet so.
    pub imap: Option<Arc<str>>,
    /// Everything else, and who says too little in the time.
    pub default: Option<Arc<str>>,
    /// How long to look.
    pub timeout: Duration,
}

/// Names and their service.
#[derive(Clone, Debug)]
pub struct SniRule {
    /// These.
    pub names: Names,
    /// But not these.
    pub except: Option<Names>,
    /// Whose they are.
    pub service: Arc<str>,
}

impl SniRule {
    fn fits(&self, name: &str) -> bool {
        self.names.contains(name) && !self.except.as_ref().is_some_and(|except| except.contains(name))
    }
}

impl Settings {
    fn looks_for_tls(&self) -> bool {
        self.tls.is_some() || !self.sni.is_empty()
    }

    /// Is there a protocol among those looked for in which servers speak first?
    fn asks_servers(&self) -> bool {
        [&self.ssh, &self.ftp, &self.smtp, &self.pop3, &self.imap].into_iter().any(Option::is_some)
    }
}

/// What looking came to.
enum Found {
    /// A protocol, and its service.
    Service(Event, Arc<str>),
    /// None.
    Nothing,
    /// The session is over.
    Over(Reason),
}

/// A session that is looked at.
struct Looking<'a, H: Host> {
    settings: &'a Settings,
    port: u16,
    client: H::Stream,
    client_said: Peeked<<H::Stream as Stream>::Chunk>,
    detector: Client,
    client_is: Judgement,
    server: Option<Result<H::Stream, ConnectError>>,
    server_said: Peeked<<H::Stream as Stream>::Chunk>,
    server_is: Judgement,
}

/// Serves a session to its end.
pub async fn run<H: Host>(session: Session<H>, settings: Arc<Settings>) -> Outcome {
    let Session { id, host, client, mut info } = session;
    let began = host.now();
    let may = |looks: bool| if looks { Judgement::Maybe } else { Judgement::No };
    let mut looking = Looking::<H> {
        settings: &settings,
        port: info.original_destination.port(),
        client,
        client_said: Peeked::new(),
        detector: Client::default(),
        client_is: may(settings.http.is_some() || settings.looks_for_tls() || settings.ssh.is_some()),
        server: None,
        server_said: Peeked::new(),
        server_is: may(settings.asks_servers()),
    };
    let found = looking.look(&host, id).await;
    let Looking { mut client, client_said, server, server_said, .. } = looking;
    let took = host.now().saturating_sub(began);
    info.total = info.total.map(|total| total.saturating_sub(took));
    let (protocol, service) = match found {
        Found::Service(event, service) => (event, service),
        Found::Nothing => match settings.default.clone() {
            Some(service) => (Event::Unknown, service),
            None => {
                client.abort();
                return Outcome::unserved(undetected(server.as_ref()));
            }
        },
        Found::Over(reason) => {
            client.abort();
            return Outcome::unserved(reason);
        }
    };
    let record = Record::new("detect").with("as", &protocol.name()["detect_".len()..]);
    let record = record.with("service", service.to_string()).with("ms", took.as_millis() as u64);
    host.record(id, record);
    let Some(module) = host.module(id, &service) else {
        host.log(id, Level::Error, format_args!("the policy has no service `{service}` to hand on to"));
        client.abort();
        return Outcome::unserved(Reason::NotDetected);
    };
    client_said.put_back(&mut client);
    match server {
        Some(Ok(mut server)) => {
            server_said.put_back(&mut server);
            let inner = Stacked::new(&host, Opened::new(host.clone(), server));
            stack::run(id, info, inner, stack::boxed(client), module).await
        }
        Some(Err(_)) | None => direct(Session { id, host, client, info }, module).await,
    }
}

/// Nobody said what is known; or the server could not say it.
fn undetected<S>(server: Option<&Result<S, ConnectError>>) -> Reason {
    match server {
        Some(Err(error)) => Reason::from(*error),
        _ => Reason::NotDetected,
    }
}

/// The session's own streams, to the next proxy. Boxed: it may be a detector, too.
fn direct<H: Host>(session: Session<H>, module: Module) -> LocalFuture<'static, Outcome> {
    Box::pin(serve(session, module))
}

impl<H: Host> Looking<'_, H> {
    /// Looks until something is known, or for the service's time.
    async fn look(&mut self, host: &H, id: crate::SessionId) -> Found {
        let mut connecting = pin!(host.connect(id, Target::Original));
        let mut timer = pin!(host.sleep(self.settings.timeout));
        let found = poll_fn(|cx| {
            if let Poll::Ready(over) = self.hear_client(cx) {
                return Poll::Ready(Some(Found::Over(over)));
            }
            if let Judgement::Found(event, service) = &self.client_is {
                return Poll::Ready(Some(Found::Service(*event, service.clone())));
            }
            if self.settings.asks_servers()
                && self.server.is_none()
                && let Poll::Ready(result) = connecting.as_mut().poll(cx)
            {
                self.server = Some(result);
            }
            self.hear_server(cx);
            match (&self.server_is, &self.client_is) {
                (Judgement::Found(event, service), _) => {
                    return Poll::Ready(Some(Found::Service(*event, service.clone())));
                }
                (Judgement::No, Judgement::No) => return Poll::Ready(Some(Found::Nothing)),
                _ => {}
            }
            timer.as_mut().poll(cx).map(|()| None)
        })
        .await;
        let event = match &found {
            None => Event::TimedOut,
            Some(Found::Service(event, _)) => *event,
            Some(Found::Nothing) => Event::Unknown,
            Some(Found::Over(_)) => return found.unwrap_or(Found::Nothing),
        };
        host.count(event.into());
        found.unwrap_or(Found::Nothing)
    }

    /// Reads what the client says, while that can tell anything; ready when the client is gone.
    fn hear_client(&mut self, cx: &mut Context<'_>) -> Poll<Reason> {
        while self.client_is == Judgement::Maybe {
            match self.client.poll_read(cx) {
                Poll::Ready(Ok(Some(chunk))) => {
                    let new = self.client_said.push(chunk);
                    self.client_is = self.detector.look(self.settings, self.client_said.bytes(), new);
                }
                // What it said is all that it will say.
                Poll::Ready(Ok(None)) => self.client_is = Judgement::No,
                Poll::Ready(Err(error)) => return Poll::Ready(Reason::failed(Side::Client, error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.client.poll_failed(cx).map(|error| Reason::failed(Side::Client, error))
    }

    /// Reads what the server says, while that can tell anything.
    fn hear_server(&mut self, cx: &mut Context<'_>) {
        while self.server_is == Judgement::Maybe {
            let read: Poll<Result<Option<_>, StreamError>> = match &mut self.server {
                Some(Ok(server)) => server.poll_read(cx),
                // Whether a client's words find another server is for who serves them.
                Some(Err(_)) => Poll::Ready(Ok(None)),
                None => Poll::Pending,
            };
            match read {
                Poll::Ready(Ok(Some(chunk))) => {
                    self.server_said.push(chunk);
                    self.server_is = server::look(self.settings, self.server_said.bytes(), self.port);
                }
                Poll::Ready(Ok(None) | Err(_)) => self.server_is = Judgement::No,
                Poll::Pending => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
