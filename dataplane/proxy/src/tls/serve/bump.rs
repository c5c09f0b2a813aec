//! Bumping: TLS ends here, on one side or on both.
//!
//! The server comes first: what it shows decides whether the client gets an answer at all, which certificate, and which
//! protocol. The order is that of [`Serving::bump_two_sided`].

use std::cell::RefCell;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, Error};

use super::{End, Serving, with_client};
use crate::host::{Host, Level, Related, Secured};
use crate::module::Module;
use crate::outcome::{Outcome, Reason, Side};
use crate::relay::Relay;
use crate::stack::{BoxStream, Stacked, boxed, run as run_stacked};
use crate::stream::{Stream, StreamError};
use crate::tls::event::Event;
use crate::tls::handshake::{Unsecured, secure};
use crate::tls::hello::Hello;
use crate::tls::pins::looks_pinned;
use crate::tls::policy::{Action, Decision, Known, Shown};
use crate::tls::stream::{Fault, HandshakeError, TlsStream};
use crate::tls::upgrade::{NoCertificate, Original};
use crate::tls::upstream::{Again, Servers};
use crate::tls::verify::{Distrust, Verdict, names_of};
use crate::tls::{Encryption, Untrusted};

/// A server after its handshake.
struct Server<S: Stream> {
    stream: TlsStream<S>,
    name: ServerName<'static>,
    verdict: Verdict,
}

impl<S: Stream> Server<S> {
    /// The one protocol that was agreed on, if any was.
    fn alpn(&self) -> Vec<Vec<u8>> {
        self.stream.alpn().map(<[u8]>::to_vec).into_iter().collect()
    }
}

impl<H: Host> Serving<H> {
    /// Ends TLS here. There is no hello where clients speak clear text.
    pub(super) async fn bump(self, client: H::Stream, hello: Option<Hello>) -> Outcome {
        match (self.settings.encryption, hello) {
            (Encryption::TwoSided, Some(hello)) => self.bump_two_sided(client, &hello).await,
            (Encryption::ClientOnly, Some(hello)) => self.bump_client(client, &hello).await,
            (_, _) => self.bump_server(client).await,
        }
    }

    async fn bump_two_sided(mut self, mut client: H::Stream, hello: &Hello) -> Outcome {
        let (server, certificate) = match self.server_first(&mut client, hello).await {
            Ok(both) => both,
            Err(end) => return self.refuse(client, end).await,
        };
        let protocol = server.alpn();
        let client = match self.accept(client, hello, certificate, &protocol).await {
            Ok(client) => client,
            Err(outcome) => return outcome,
        };
        self.host.count(Event::Bumped.into());
        self.record("bumped");
        let outcome = self.serve_clear(client, server).await;
        self.learn_from(hello, &outcome);
        outcome
    }

    /// TLS with the client, clear text with the server.
    async fn bump_client(mut self, mut client: H::Stream, hello: &Hello) -> Outcome {
        let chosen = self.certificate(hello, None);
        let connected = match chosen {
            Ok(certificate) => self.connect(&mut client).await.map(|server| (server, certificate)),
            Err(end) => Err(end),
        };
        let (server, certificate) = match connected {
            Ok(both) => both,
            Err(end) => return self.refuse(client, end).await,
        };
        let takes = self.takes(false).unwrap_or_default();
        let common: Vec<Vec<u8>> = takes.into_iter().filter(|protocol| hello.alpn().contains(protocol)).collect();
        let client = match self.accept(client, hello, certificate, &common).await {
            Ok(client) => client,
            Err(outcome) => return outcome,
        };
        self.host.count(Event::Bumped.into());
        self.record("bumped");
        if self.settings.stack.is_none() {
            return Relay::new(client, boxed(server), self.limits()).run(&self.host).await;
        }
        let inner = self.servers(boxed(server), None, client.alpn());
        self.serve_stacked(Box::new(client), inner).await
    }

    /// Clear text with the client, TLS with the server.
    async fn bump_server(mut self, mut client: H::Stream) -> Outcome {
        let name = self.settings.server_name.clone().unwrap_or_else(|| self.address_name());
        let offered = self.takes(false).unwrap_or_default();
        let server = match self.secure_server(&mut client, name, &offered).await {
            Ok(server) => server,
            Err(end) => return self.refuse(client, End { alert: None, ..end }).await,
        };
        if let Err(end) = self.judge(None, &server) {
            return self.refuse(client, End { alert: None, ..end }).await;
        }
        self.host.count(Event::Bumped.into());
        self.record("bumped");
        if self.settings.stack.is_none() {
            return Relay::new(boxed(client), server.stream, self.limits()).run(&self.host).await;
        }
        let inner = self.upstream(server);
        self.serve_stacked(boxed(client), inner).await
    }

    /// The server, trusted as the policy wants it, and the certificate for the client.
    async fn server_first(
        &mut self,
        client: &mut H::Stream,
        hello: &Hello,
    ) -> Result<(Server<H::Stream>, Arc<CertifiedKey>), End> {
        let name = self.wanted_name(hello)?;
        let offered = self.offered(hello);
        let server = self.secure_server(client, name, &offered).await?;
        self.judge(Some(hello), &server)?;
        let certificate = self.certificate(hello, server.original().as_ref())?;
        Ok((server, certificate))
    }

    /// Connects and does the handshake; who is not trusted is still spoken to, the verdict is kept.
    async fn secure_server(
        &mut self,
        client: &mut H::Stream,
        name: ServerName<'static>,
        offered: &[Vec<u8>],
    ) -> Result<Server<H::Stream>, End> {
        let io = self.connect(client).await?;
        self.secure_io(client, io, name, offered).await
    }

    async fn secure_io(
        &mut self,
        client: &mut H::Stream,
        io: H::Stream,
        name: ServerName<'static>,
        offered: &[Vec<u8>],
    ) -> Result<Server<H::Stream>, End> {
        self.settings.clock.set(self.host.wall_clock());
        // Without a rule that wants to see it, who is not trusted hears so by the alert that belongs to it.
        let demand = self.settings.untrusted == Untrusted::Deny && !self.settings.rules.ask_for_certificate();
        let (connection, judge) = self
            .settings
            .to_server
            .connection(name.clone(), offered, demand)
            .map_err(|_| End::alert(Reason::ServerHandshake, AlertDescription::InternalError))?;
        let mut stream = TlsStream::client(io, connection);
        let result = with_client(client, secure(&self.host, self.settings.handshake, &mut stream)).await?;
        if let Some(Err(distrust)) = judge.verdict() {
            self.host.count(Event::Untrusted.into());
            self.host.log(self.id, Level::Warning, format_args!("the server's certificate is not trusted: {distrust}"));
        }
        if let Some(verdict) = judge.verdict() {
            self.report.verdict(verdict);
        }
        match result {
            Ok(()) => {}
            Err(_) if demand && judge.verdict().is_some_and(|verdict| verdict.is_err()) => {
                return Err(self.deny_untrusted());
            }
            Err(error) => return Err(self.server_failed(&error)),
        }
        self.report.server(stream.version(), stream.alpn());
        stream.set_truncation(self.settings.truncation);
        // No handshake is done without a certificate; none seen would be one not judged.
        let verdict = judge.verdict().unwrap_or(Err(Distrust::Unfit));
        Ok(Server { stream, name, verdict })
    }

    fn deny_untrusted(&self) -> End {
        self.host.count(Event::UntrustedDenied.into());
        End::alert(Reason::ServerUntrusted, AlertDescription::AccessDenied)
    }

    /// The client hears what the server said, where that was an alert, or the like of what the server did.
    fn server_failed(&self, error: &Unsecured) -> End {
        self.host.log(self.id, Level::Info, format_args!("TLS with the server: {error}"));
        match error {
            Unsecured::TooSlow => {
                self.host.count(Event::ServerTimeout.into());
                return End::reset(Reason::ServerTooSlow);
            }
            _ => self.host.count(Event::ServerHandshakeFailed.into()),
        }
        match error {
            Unsecured::Failed(HandshakeError::Fault(Fault::Tls(Error::AlertReceived(alert)))) => {
                End::alert(Reason::ServerHandshake, *alert)
            }
            Unsecured::Failed(HandshakeError::Fault(Fault::Tls(_))) => {
                End::alert(Reason::ServerHandshake, AlertDescription::HandshakeFailure)
            }
            Unsecured::Failed(HandshakeError::Stream(error)) if *error != StreamError::Reset => {
                End::reset(Reason::failed(Side::Server, *error))
            }
            _ => End::reset(Reason::ServerHandshake),
        }
    }

    /// The third step, and what becomes of servers that are not trusted.
    fn judge(&mut self, hello: Option<&Hello>, server: &Server<H::Stream>) -> Result<(), End> {
        let settings = Arc::clone(&self.settings);
        let shown = server.shown();
        let known = Known { info: &self.info, hello, certificate: Some(&shown) };
        match settings.rules.decide(&known) {
            Decision::Final(action @ Action::Terminate, rule) => {
                self.report.decided(action, rule);
                self.count_end(action);
                return Err(End::reset(Reason::PolicyDenied));
            }
            Decision::Final(action @ Action::Reject(alert), rule) => {
                self.report.decided(action, rule);
                self.count_end(action);
                return Err(End::alert(Reason::PolicyDenied, alert));
            }
            // The connection was begun in our own words; passed on it can be no more. A probe has said bump.
            Decision::Final(Action::Splice, _) => self.report.decided(Action::Bump, "probe"),
            Decision::Final(action, rule) => self.report.decided(action, rule),
            Decision::LookOn => {}
        }
        match server.verdict {
            Err(_) if settings.untrusted == Untrusted::Deny => Err(self.deny_untrusted()),
            _ => Ok(()),
        }
    }

    /// Looks at the server's certificate on a connection of its own, so that the client's can still be spliced.
    pub(super) async fn probe(&mut self, client: &mut H::Stream, known: &Known<'_>) -> Result<Decision<'static>, End> {
        let Some(hello) = known.hello else { return Ok(Decision::LookOn) };
        let related = Related {
            side: Side::Server,
            local: Some(self.info.client.ip()),
            ports: 0..=0,
            remote: self.info.original_destination,
        };
        let io = with_client(client, self.host.connect_related(self.id, related)).await?.map_err(|error| {
            self.host.log(
                self.id,
                Level::Info,
                format_args!("no connection to look at the server's certificate: {error:?}"),
            );
            End::reset(Reason::from(error))
        })?;
        let (name, offered) = (self.wanted_name(hello)?, self.offered(hello));
        let mut server = self.secure_io(client, io, name, &offered).await?;
        server.stream.shutdown();
        let shown = server.shown();
        let settings = Arc::clone(&self.settings);
        Ok(match settings.rules.decide(&Known { certificate: Some(&shown), ..*known }) {
            Decision::Final(action, rule) => {
                self.report.decided(action, rule);
                Decision::Final(action, "certificate")
            }
            Decision::LookOn => Decision::LookOn,
        })
    }

    /// Whom the client wants: the name it says, else the address it connects to.
    fn wanted_name(&self, hello: &Hello) -> Result<ServerName<'static>, End> {
        match hello.server_name() {
            None => Ok(self.address_name()),
            Some(name) => ServerName::try_from(name.to_owned()).map_err(|_| {
                self.host.count(Event::MalformedHello.into());
                self.host.log(self.id, Level::Info, format_args!("`{}` is no server's name", name.escape_debug()));
                End::alert(Reason::ClientViolation, AlertDescription::UnrecognisedName)
            }),
        }
    }

    fn address_name(&self) -> ServerName<'static> {
        ServerName::from(self.info.original_destination.ip())
    }

    /// What the client offers, as far as who gets the clear text takes it; in the client's order.
    fn offered(&self, hello: &Hello) -> Vec<Vec<u8>> {
        let takes = self.takes(true);
        let takes = |protocol: &&Vec<u8>| takes.as_ref().is_none_or(|takes| takes.contains(protocol));
        hello.alpn().iter().filter(takes).cloned().collect()
    }

    /// Application protocols that the stacked proxy takes; `None`: all, because there is none. HTTP/2 is for those that speak
    /// it, and where it can be agreed on with `both` ends: it is not translated.
    fn takes(&self, both: bool) -> Option<Vec<Vec<u8>>> {
        let stack = self.settings.stack.as_ref()?;
        let module = self.host.module(self.id, &stack.service);
        let spoken = module.as_ref().map_or_else(Vec::new, Module::alpn);
        let mut takes = stack.alpn.clone().unwrap_or(spoken);
        if module.is_some_and(|module| module.is_lost_in_two(both)) {
            takes.retain(|protocol| protocol != crate::http::two::ALPN);
        }
        Some(takes)
    }

    /// A copy of the server's certificate by the authority that the verdict calls for, or one of our own.
    fn certificate(&mut self, hello: &Hello, original: Option<&Original>) -> Result<Arc<CertifiedKey>, End> {
        match self.settings.certificate_for(&self.host, hello.server_name(), original) {
            Ok((certificate, by)) => {
                self.report.minted(by);
                Ok(certificate)
            }
            Err(NoCertificate::Untrusted(_)) => Err(self.deny_untrusted()),
            Err(NoCertificate::NotForName) => {
                self.log(format_args!("there is no certificate for the name that the client wants"));
                Err(End::alert(Reason::ClientHandshake, AlertDescription::UnrecognisedName))
            }
            Err(NoCertificate::Uncopied(error)) => {
                self.log(format_args!("no copy of the server's certificate: {error}"));
                Err(End::alert(Reason::ServerHandshake, AlertDescription::InternalError))
            }
        }
    }

    fn log(&self, text: std::fmt::Arguments<'_>) {
        self.host.log(self.id, Level::Info, text);
    }

    /// The handshake with the client.
    async fn accept(
        &mut self,
        client: H::Stream,
        hello: &Hello,
        certificate: Arc<CertifiedKey>,
        alpn: &[Vec<u8>],
    ) -> Result<TlsStream<H::Stream>, Outcome> {
        self.settings.clock.set(self.host.wall_clock());
        let connection = match self.settings.to_client.connection(certificate, alpn) {
            Ok(connection) => connection,
            Err(error) => {
                self.host.log(self.id, Level::Error, format_args!("TLS with the client: {error}"));
                self.record(Reason::ClientHandshake.name());
                return Err(Outcome::unserved(Reason::ClientHandshake));
            }
        };
        let mut stream = TlsStream::server(client, connection);
        stream.set_truncation(self.settings.truncation);
        let Err(error) = secure(&self.host, self.settings.handshake, &mut stream).await else {
            self.report.client(stream.version());
            return Ok(stream);
        };
        self.host.log(self.id, Level::Info, format_args!("TLS with the client: {error}"));
        let reason = match &error {
            Unsecured::TooSlow => {
                self.host.count(Event::ClientTimeout.into());
                Reason::ClientTooSlow
            }
            Unsecured::Failed(error) => {
                self.host.count(Event::ClientHandshakeFailed.into());
                if looks_pinned(error) {
                    self.suspect(hello);
                }
                match error {
                    HandshakeError::Stream(error) => Reason::failed(Side::Client, *error),
                    HandshakeError::Fault(_) => Reason::ClientHandshake,
                }
            }
        };
        self.record(reason.name());
        stream.abort();
        Err(Outcome::unserved(reason))
    }

    /// The clear text of both sides: relayed, or to the stacked proxy.
    async fn serve_clear(&self, mut client: TlsStream<H::Stream>, mut server: Server<H::Stream>) -> Outcome {
        client.mirror(&mut server.stream);
        if self.settings.stack.is_none() {
            return Relay::new(client, server.stream, self.limits()).run(&self.host).await;
        }
        let inner = self.upstream(server);
        self.serve_stacked(Box::new(client), inner).await
    }

    /// The host of a stacked proxy whose server speaks TLS.
    fn upstream(&self, server: Server<H::Stream>) -> Stacked {
        let again = Again {
            settings: Arc::clone(&self.settings),
            name: server.name.clone(),
            alpn: server.alpn(),
            demand: server.verdict.is_ok() || self.settings.untrusted == Untrusted::Deny,
        };
        let alpn = again.alpn.first().cloned();
        self.servers(Box::new(server.stream), Some(again), alpn.as_deref())
    }

    fn servers(&self, first: BoxStream, tls: Option<Again>, alpn: Option<&[u8]>) -> Stacked {
        let (host, original) = (self.host.clone(), self.info.original_destination);
        let servers = Servers { host, first: RefCell::new(Some(first)), original, tls };
        Stacked::new(&self.host, servers).within(Some(Secured { alpn: alpn.map(<[u8]>::to_vec) }))
    }

    async fn serve_stacked(&self, mut client: BoxStream, inner: Stacked) -> Outcome {
        let service = self.settings.stack.as_ref().map_or("", |stack| &*stack.service);
        let Some(module) = self.host.module(self.id, service) else {
            self.host.log(self.id, Level::Error, format_args!("there is no service `{service}` to stack"));
            client.abort();
            return Outcome::unserved(Reason::PolicyDenied);
        };
        let mut info = self.info.clone();
        let passed = self.host.now().saturating_sub(self.began);
        info.total = info.total.map(|total| total.saturating_sub(passed));
        run_stacked(self.id, info, inner, client, module).await
    }

    pub(super) fn is_pinned(&self, hello: &Hello) -> bool {
        let Some(name) = hello.server_name().filter(|_| self.settings.learning.is_some()) else { return false };
        let core = self.host.core();
        core.tls.pins.borrow_mut().is_pinned(&self.info.service, self.info.client.ip(), name, self.host.now())
    }

    /// A handshake that the client ended.
    fn suspect(&self, hello: &Hello) {
        let Some((learning, name)) = self.settings.learning.zip(hello.server_name()) else { return };
        self.host.count(Event::PinSuspected.into());
        let core = self.host.core();
        let client = self.info.client.ip();
        if core.tls.pins.borrow_mut().aborted(&self.info.service, client, name, learning, self.host.now()) {
            self.host.count(Event::PinLearned.into());
            let seconds = learning.keep.as_secs();
            self.host.log(
                self.id,
                Level::Warning,
                format_args!("{client} does not take our certificate for `{name}`: spliced for the next {seconds} s"),
            );
        }
    }

    /// With TLS 1.3 a client may do its handshake and leave without a word.
    fn learn_from(&self, hello: &Hello, outcome: &Outcome) {
        let Some(name) = hello.server_name().filter(|_| self.settings.learning.is_some()) else { return };
        let left = matches!(outcome.reason, Reason::ClientReset | Reason::Finished | Reason::ClientHandshake);
        if outcome.to_server > 0 {
            let core = self.host.core();
            core.tls.pins.borrow_mut().cleared(&self.info.service, self.info.client.ip(), name);
        } else if left && outcome.to_client == 0 {
            self.suspect(hello);
        }
    }
}

impl<S: Stream> Server<S> {
    fn shown(&self) -> Shown {
        let names = self.stream.peer_certificates().first().map(names_of).unwrap_or_default();
        Shown { verdict: self.verdict, names }
    }

    fn original(&self) -> Option<Original> {
        let certificate = self.stream.peer_certificates().first()?.clone();
        Some(Original { certificate, verdict: self.verdict })
    }
}
