//! TLS (RFC 4217): AUTH, PBSZ and PROT of the client, the same towards the server, and each side by itself.
//!
//! The two sides have nothing to do with each other: what is encrypted at one may be in clear at the other, as the service
//! says. What must hold: nothing that was said in clear behind AUTH is taken for what was said within TLS (an injection by
//! whoever is between); a server that cannot be trusted gets neither name nor password; AUTH comes before USER, so that no
//! log-in is carried over. Left out: CCC (a control connection that becomes clear again can be read and injected into), and
//! TLS from the first byte (port 990), for which the service is stacked within `tls`.

use std::future::{Future, poll_fn};
use std::task::Poll;

use rustls::pki_types::ServerName;

use super::channel::{Handshake, Security};
use super::command::Command;
use super::control::Control;
use super::event::Event;
use super::known::Known;
use super::limits::HANDSHAKE;
use super::reply::Reply;
use super::settings::{ServerTls, When};
use super::state::State;
use super::talk::{Over, Talk};
use crate::host::{Host, Level};
use crate::outcome::{Reason, Side};
use crate::stack::BoxStream;
use crate::stream::{Chunk, Stream};
use crate::tls::TlsStream;
use crate::tls::ends::repeated::Repeated;
use crate::tls::handshake::secure;

/// How far TLS has come.
#[derive(Debug, Default)]
pub(super) struct Secured {
    /// The control connection of the client.
    client: bool,
    /// It has said PBSZ, which has to come before PROT.
    pbsz: bool,
    /// It has said PROT P.
    client_private: bool,
    /// The control connection of the server, and how more are made.
    server: Option<Repeated>,
    server_private: bool,
    /// As the client called the server.
    pub(super) host: Option<String>,
}

impl<H: Host> Talk<H> {
    /// AUTH, PBSZ, PROT, CCC.
    pub(super) async fn security(&mut self, command: &Command) -> Result<(), Over> {
        match command.known() {
            Some(Known::Auth) => self.auth().await,
            Some(Known::Pbsz | Known::Prot) if !self.secured.client => self.answer(503, "Say AUTH TLS first").await,
            Some(Known::Pbsz) => {
                self.secured.pbsz = true;
                self.answer(200, "PBSZ=0").await
            }
            Some(Known::Prot) if !self.secured.pbsz => self.answer(503, "Say PBSZ first").await,
            Some(Known::Prot) => {
                let private = command.argument() == b"P";
                if !private && self.settings.tls.client.as_ref().is_some_and(|tls| tls.private_data) {
                    return self.answer(534, "Data connections have to be private").await;
                }
                self.secured.client_private = private;
                self.answer(200, "Protection level is set").await
            }
            _ => self.answer(502, "TLS stays on").await,
        }
    }

    /// AUTH TLS of the client.
    async fn auth(&mut self) -> Result<(), Over> {
        let Some(tls) = self.settings.tls.client.clone() else {
            return self.answer(502, "TLS is not offered").await;
        };
        if self.secured.client {
            return self.answer(503, "TLS is there already").await;
        }
        if self.state != State::Login {
            return self.answer(503, "AUTH comes before USER").await;
        }
        let follows = self.settings.tls.server.as_ref().is_some_and(|tls| tls.when == When::Follow);
        if follows
            && self.server.is_some()
            && let Err(reply) = self.auth_to_server().await?
        {
            return self.say(&reply).await;
        }
        if has_text_behind(&mut self.client).await {
            return Err(self.text_before_tls("the client", Reason::ClientViolation));
        }
        let connection = tls.ends.connection(tls.certificate, &[]);
        let connection = connection.map_err(|error| self.no_tls(Reason::ClientHandshake, &error.to_string()))?;
        self.answer(234, "AUTH TLS ok").await?;
        let handshake = self.handshake(connection.into(), Event::TlsClient, true);
        let secured = self.client.upgrade(handshake).await;
        // It is in the middle of a handshake that failed: there is nobody to tell in words.
        secured.map_err(|error| Over { words: None, ..self.no_tls(Reason::ClientHandshake, &error) })?;
        self.secured.client = true;
        Ok(())
    }

    /// TLS with the server, if it is to begin before anybody logs in, or the client has asked for it before there was one.
    pub(super) async fn secure_server(&mut self) -> Result<(), Over> {
        let is_due = match self.settings.tls.server.as_ref().map(|tls| tls.when) {
            Some(When::Always) => true,
            Some(When::Follow) => self.secured.client,
            None => false,
        };
        if is_due && let Err(reply) = self.auth_to_server().await? {
            let error = format!("the server refuses AUTH TLS: {reply:?}");
            return Err(self.no_tls(Reason::ServerHandshake, &error));
        }
        Ok(())
    }

    /// AUTH, PBSZ and PROT towards the server; the inner error is its refusal of AUTH.
    async fn auth_to_server(&mut self) -> Result<Result<(), Reply>, Over> {
        let Some(tls) = self.settings.tls.server.clone() else { return Ok(Ok(())) };
        let reply = self.ask(&Command::of(Known::Auth, "TLS")).await?;
        if reply.code() != 234 {
            return Ok(Err(reply));
        }
        let has_text = match &mut self.server {
            Some(server) => has_text_behind(server).await,
            None => false,
        };
        if has_text {
            return Err(self.text_before_tls("the server", Reason::ServerViolation));
        }
        let repeated = Repeated::new(&tls.ends, self.server_name(&tls), tls.demand);
        let connection = repeated.connection();
        let connection = connection.map_err(|error| self.no_tls(Reason::ServerHandshake, &error.to_string()))?;
        let handshake = self.handshake(connection.into(), Event::TlsServer, true);
        let Some(server) = &mut self.server else { return Ok(Ok(())) };
        let secured = server.upgrade(handshake).await;
        secured.map_err(|error| {
            let untrusted = error.contains("certificate");
            self.no_tls(if untrusted { Reason::ServerUntrusted } else { Reason::ServerHandshake }, &error)
        })?;
        if tls.private_data {
            for command in [Command::of(Known::Pbsz, "0"), Command::of(Known::Prot, "P")] {
                let reply = self.ask(&command).await?;
                if !reply.is_done() {
                    let error = format!("the server refuses {command}: {reply:?}");
                    return Err(self.no_tls(Reason::ServerHandshake, &error));
                }
            }
            self.secured.server_private = true;
        }
        self.secured.server = Some(repeated);
        Ok(Ok(()))
    }

    /// For whom the server is taken.
    fn server_name(&self, tls: &ServerTls) -> ServerName<'static> {
        let called = || ServerName::try_from(self.secured.host.clone()?).ok();
        tls.name.clone().or_else(called).unwrap_or_else(|| ServerName::IpAddress(self.ends.peer.ip().into()))
    }

    /// How a connection gets into TLS; `lenient`: its end without `close_notify` is an end, as on control connections, where a
    /// command or reply that is cut has no line end and is none.
    fn handshake(&self, connection: rustls::Connection, event: Event, lenient: bool) -> Handshake {
        let host = self.host.clone();
        self.settings.tls.clock.set(host.wall_clock());
        Box::new(move |stream| {
            Box::pin(async move {
                let mut stream = match connection {
                    rustls::Connection::Client(connection) => TlsStream::client(stream, connection),
                    rustls::Connection::Server(connection) => TlsStream::server(stream, connection),
                };
                if lenient {
                    stream.permit_truncation();
                }
                secure(&host, HANDSHAKE, &mut stream).await.map_err(|error| error.to_string())?;
                host.count(event.into());
                Ok(Box::new(stream) as BoxStream)
            })
        })
    }

    /// How data connections of a side get into TLS; none: they do not.
    pub(super) fn private(&self, side: Side) -> Option<Security> {
        if !self.is_private(side) {
            return None;
        }
        let (connection, event): (Option<rustls::Connection>, Event) = match side {
            Side::Client => {
                let tls = self.settings.tls.client.as_ref()?;
                (tls.ends.connection(tls.certificate.clone(), &[]).ok().map(Into::into), Event::TlsClient)
            }
            Side::Server => {
                let connection = self.secured.server.as_ref()?.connection();
                (connection.ok().map(Into::into), Event::TlsServer)
            }
        };
        let lenient = self.settings.tls.truncation_permitted;
        Some(Security::Tls(match connection {
            Some(connection) => self.handshake(connection, event, lenient),
            None => Box::new(|_| Box::pin(std::future::ready(Err("the library has no place for it".to_owned())))),
        }))
    }

    pub(super) fn is_private(&self, side: Side) -> bool {
        match side {
            Side::Client => self.secured.client_private,
            Side::Server => self.secured.server_private,
        }
    }

    /// May no data be transferred before PROT P?
    pub(super) fn lacks_private_data(&self) -> bool {
        !self.secured.client_private && self.settings.tls.client.as_ref().is_some_and(|tls| tls.private_data)
    }

    /// May nobody log in before AUTH TLS?
    pub(super) fn lacks_tls(&self) -> bool {
        !self.secured.client && self.settings.tls.client.as_ref().is_some_and(|tls| tls.required)
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secured.client || self.secured.server.is_some()
    }

    pub(super) fn offers_tls(&self) -> bool {
        self.settings.tls.client.is_some()
    }

    fn no_tls(&self, reason: Reason, error: &str) -> Over {
        self.host.count(Event::TlsFailed.into());
        self.log(Level::Warning, format_args!("no TLS: {error}"));
        Over { reason, words: Some(Reply::new(421, "TLS with the server could not be set up")) }
    }

    fn text_before_tls(&self, who: &str, reason: Reason) -> Over {
        self.host.count(Event::TextBeforeTls.into());
        self.log(Level::Warning, format_args!("text in clear behind AUTH TLS of {who}"));
        Over { reason, words: Some(Reply::new(421, "There is text in clear behind AUTH TLS")) }
    }
}

/// Has something been said behind the last line?
fn has_text_behind<S: Stream>(control: &mut Control<S>) -> impl Future<Output = bool> {
    poll_fn(move |cx| {
        if control.has_more() {
            return Poll::Ready(true);
        }
        let wire = control.wire();
        Poll::Ready(match wire.poll_read(cx) {
            Poll::Ready(Ok(Some(chunk))) => {
                let has_text = !Chunk::is_empty(&chunk);
                wire.unread(chunk);
                has_text
            }
            _ => false,
        })
    })
}
