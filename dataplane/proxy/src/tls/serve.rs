//! A session's way: the ClientHello, the decision, and what was decided, with the record of it all.

mod bump;
mod report;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use rustls::AlertDescription;

use self::report::Report;
use super::event::Event;
use super::handshake::within;
use super::hello::{Broken, Hello, Peek};
use super::policy::{Action, Decision, EchKind, Known, OTHERWISE};
use super::{Encryption, NotTls, Settings, limits};
use crate::host::{Host, Level};
use crate::outcome::{Outcome, Reason, Side};
use crate::relay::{Limits, Relay};
use crate::script::{Script, TlsAnswer, view};
use crate::session::{Session, SessionId, SessionInfo};
use crate::stream::{Chunk, Stream};

/// A session and what is known of it.
struct Serving<H: Host> {
    id: SessionId,
    host: H,
    info: SessionInfo,
    settings: Arc<Settings>,
    script: Script,
    began: Duration,
    report: Report,
}

/// How a session ends before it is served: why, and what its client hears.
struct End {
    reason: Reason,
    alert: Option<AlertDescription>,
}

impl End {
    /// By a reset.
    fn reset(reason: Reason) -> End {
        End { reason, alert: None }
    }

    fn alert(reason: Reason, alert: AlertDescription) -> End {
        End { reason, alert: Some(alert) }
    }
}

/// Serves a session to its end.
pub(super) async fn run<H: Host>(mut session: Session<H>, settings: Arc<Settings>) -> Outcome {
    let script = match crate::script::start(&mut session, settings.script.as_ref()) {
        Ok(script) => script,
        Err(reason) => {
            session.client.abort();
            return Outcome::unserved(reason);
        }
    };
    let Session { id, host, mut client, info } = session;
    host.count(Event::Sessions.into());
    settings.clock.set(host.wall_clock());
    let began = host.now();
    let mut serving = Serving { id, host, info, settings, script, began, report: Report::default() };
    let decided = serving.decide(&mut client).await;
    match decided {
        Ok((Action::Splice, _)) => serving.splice(client).await,
        Ok((Action::Terminate, _)) => serving.refuse(client, End::reset(Reason::PolicyDenied)).await,
        Ok((Action::Reject(alert), _)) => serving.refuse(client, End::alert(Reason::PolicyDenied, alert)).await,
        // A rule that peeks at what is known by then has no say.
        Ok((Action::Bump | Action::Peek, hello)) => serving.bump(client, hello).await,
        Err(end) => serving.refuse(client, end).await,
    }
}

impl<H: Host> Serving<H> {
    /// What becomes of the connection, as far as it is known before a server is spoken to.
    ///
    /// [`Action::Bump`] may also mean that the certificate decides: see [`Serving::bump`].
    async fn decide(&mut self, client: &mut H::Stream) -> Result<(Action, Option<Hello>), End> {
        let settings = Arc::clone(&self.settings);
        let known = Known { info: &self.info, hello: None, certificate: None };
        let first = settings.rules.decide(&known);
        if let Decision::Final(action, rule) = first {
            self.report.decided(action, rule);
            // What is spliced because nothing else was said is looked at for the record, and has to be TLS.
            let spliced_by_default = action == Action::Splice && rule == OTHERWISE;
            if action != Action::Bump && !spliced_by_default {
                self.count_end(action);
                return Ok((action, None));
            }
        }
        if settings.encryption == Encryption::ServerOnly {
            return Ok((Action::Bump, None));
        }
        let hello = match self.peek(client).await? {
            Some(hello) => hello,
            None => return Ok((Action::Splice, None)),
        };
        self.report.hello(&hello, settings.rules.ech(&hello));
        if let Some(action) = self.scripted(&hello)? {
            self.report.decided(action, "script");
            return Ok((action, Some(hello)));
        }
        let info = self.info.clone();
        let known = Known { info: &info, hello: Some(&hello), certificate: None };
        let mut decision = settings.rules.decide(&known);
        if decision == Decision::LookOn && settings.rules.may_splice(&known) {
            decision = self.probe(client, &known).await?;
        }
        if let Decision::Final(action, rule) = decision {
            self.report.decided(action, rule);
            if action != Action::Bump {
                self.count_end(action);
                return Ok((action, Some(hello)));
            }
        }
        if self.is_pinned(&hello) {
            self.host.count(Event::PinSpliced.into());
            self.report.decided(Action::Splice, "pinned");
            return Ok((Action::Splice, Some(hello)));
        }
        Ok((Action::Bump, Some(hello)))
    }

    /// The script's word about a ClientHello, which goes before the rules'; none: they decide.
    fn scripted(&self, hello: &Hello) -> Result<Option<Action>, End> {
        if !self.script.wants_hello() {
            return Ok(None);
        }
        let view = view::Hello {
            sni: hello.server_name().map(str::to_owned),
            alpn: hello.alpn().iter().map(|protocol| String::from_utf8_lossy(protocol).into_owned()).collect(),
            version: hello.version(),
            ja3: hello.ja3(),
            ja4: hello.ja4().to_string(),
            ech: self.settings.rules.ech(hello) == EchKind::Real,
        };
        let failed = |reason| End::alert(reason, AlertDescription::InternalError);
        match self.script.hello(&self.host, &view).map_err(failed)? {
            TlsAnswer::AsConfigured => Ok(None),
            TlsAnswer::Deny { .. } => Err(End::alert(Reason::PolicyDenied, AlertDescription::AccessDenied)),
            TlsAnswer::Bump => Ok(Some(Action::Bump)),
            TlsAnswer::Splice if self.settings.encryption == Encryption::TwoSided => Ok(Some(Action::Splice)),
            TlsAnswer::Splice => {
                let text = format_args!("the script would splice, and TLS is on one side only");
                self.host.log(self.id, Level::Error, text);
                Err(failed(Reason::ScriptFailed))
            }
        }
    }

    /// The ClientHello, put back to be read again; `None`: it is none, and the client is passed on.
    async fn peek(&mut self, client: &mut H::Stream) -> Result<Option<Hello>, End> {
        let (peeked, raw) = {
            let mut raw = BytesMut::new();
            let peeked = within(&self.host, self.settings.handshake, peek(client, &mut raw)).await;
            (peeked, raw)
        };
        let broken = match peeked {
            Some(Peeked::Hello(hello)) => {
                put_back(client, raw);
                return Ok(Some(*hello));
            }
            Some(Peeked::Broken(broken)) => broken,
            Some(Peeked::Ended) => {
                self.host.count(Event::ClientHandshakeFailed.into());
                self.host.log(
                    self.id,
                    Level::Info,
                    format_args!("the client finished before its ClientHello was whole"),
                );
                return Err(End::reset(Reason::ClientHandshake));
            }
            Some(Peeked::Failed(error)) => return Err(End::reset(Reason::failed(Side::Client, error))),
            None => {
                self.host.count(Event::HelloTimeout.into());
                return Err(End::reset(Reason::ClientTooSlow));
            }
        };
        self.host.log(self.id, Level::Info, format_args!("the client's first bytes: {broken}"));
        match (broken, self.settings.not_tls) {
            (Broken::NotTls, NotTls::Pass) => {
                self.host.count(Event::NotTls.into());
                put_back(client, raw);
                self.report.decided(Action::Splice, "not_tls");
                Ok(None)
            }
            (Broken::NotTls, NotTls::Deny) => {
                self.host.count(Event::NotTls.into());
                Err(End::reset(Reason::ClientViolation))
            }
            (Broken::TooLong | Broken::Malformed(_), _) => {
                self.host.count(Event::MalformedHello.into());
                Err(End::alert(Reason::ClientViolation, AlertDescription::DecodeError))
            }
        }
    }

    /// Passes the connection on untouched.
    async fn splice(mut self, mut client: H::Stream) -> Outcome {
        let server = match self.connect(&mut client).await {
            Ok(server) => server,
            Err(end) => return self.refuse(client, end).await,
        };
        self.host.count(Event::Spliced.into());
        self.record("spliced");
        Relay::new(client, server, self.limits()).letting_go(self.id).run(&self.host).await
    }

    /// The server's connection, unless the client goes away first.
    async fn connect(&self, client: &mut H::Stream) -> Result<H::Stream, End> {
        let target = self.script.route(&self.host).map_err(End::reset)?;
        let connected = with_client(client, self.host.connect(self.id, target)).await?;
        connected.map_err(|error| {
            let reason = Reason::from(error);
            self.host.log(self.id, Level::Info, format_args!("no server: {}", reason.sentence()));
            End::reset(reason)
        })
    }

    /// Ends the session before it was served; its client hears why if there is an alert for it.
    async fn refuse(mut self, mut client: H::Stream, end: End) -> Outcome {
        self.record(end.reason.name());
        if let Some(alert) = end.alert {
            let told = async {
                client.send(alert_record(alert).into()).await?;
                client.shutdown();
                client.finished().await
            };
            // Who does not take it in time goes without.
            let told = within(&self.host, limits::ALERT_LINGER_MAX, told).await;
            if told.is_some_and(|result| result.is_ok()) {
                return Outcome::unserved(end.reason);
            }
        }
        client.abort();
        Outcome::unserved(end.reason)
    }

    fn count_end(&self, action: Action) {
        match action {
            Action::Terminate => self.host.count(Event::Terminated.into()),
            Action::Reject(_) => self.host.count(Event::Rejected.into()),
            Action::Splice | Action::Bump | Action::Peek => {}
        }
    }

    fn limits(&self) -> Limits {
        Limits { idle: self.info.idle, end: self.info.total.map(|total| self.began.saturating_add(total)) }
    }

    fn record(&mut self, result: &'static str) {
        let took = self.host.now().saturating_sub(self.began);
        let record = std::mem::take(&mut self.report).into_record(result, took);
        self.host.record(self.id, record);
    }
}

/// What the first bytes are.
enum Peeked {
    Hello(Box<Hello>),
    Broken(Broken),
    Ended,
    Failed(crate::stream::StreamError),
}

/// Reads until it is known. Nothing is lost when the future is dropped: what was read is in `raw`.
async fn peek<S: Stream>(client: &mut S, raw: &mut BytesMut) -> Peeked {
    let mut peek = Peek::default();
    loop {
        let chunk = match client.read().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Peeked::Ended,
            Err(error) => return Peeked::Failed(error),
        };
        let result = peek.feed(chunk.as_slice());
        // Mostly the first chunk is all of it, and goes back as it came.
        if raw.is_empty() && !matches!(result, Ok(None)) {
            client.unread(chunk);
        } else {
            raw.extend_from_slice(chunk.as_slice());
        }
        match result {
            Ok(None) => {}
            Ok(Some(hello)) => return Peeked::Hello(Box::new(hello)),
            Err(broken) => return Peeked::Broken(broken),
        }
    }
}

fn put_back<S: Stream>(client: &mut S, raw: BytesMut) {
    if !raw.is_empty() {
        client.unread(raw.freeze().into());
    }
}

/// What comes of a future, unless the client fails first.
async fn with_client<S: Stream, T>(client: &mut S, future: impl Future<Output = T>) -> Result<T, End> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(value));
        }
        client.poll_failed(cx).map(|error| Err(End::reset(Reason::failed(Side::Client, error))))
    })
    .await
}

/// A fatal alert in clear, as a server may answer a ClientHello (RFC 8446, 6.2).
fn alert_record(alert: AlertDescription) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(&[21, 3, 3, 0, 2, 2, alert.into()])
}

#[cfg(test)]
pub(crate) mod tests;
