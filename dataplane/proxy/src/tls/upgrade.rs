//! TLS that begins in the middle of another protocol's session (FTP's AUTH TLS, STARTTLS): each side when its turn comes.
//!
//! The proxy of that protocol keeps [`super::Settings`] of its own (same keys, same reader) and calls these. With the keybridge the server's
//! side has to be first: its certificate is what is copied. `Zorp`'s three kinds are then the caller's order: ClientOnlyStartTLS is [`accept`] alone,
//! FakeStartTLS [`connect`] without being asked and [`accept`], ForwardStartTLS [`connect`] after the server took the command.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;

use super::certificates::choose;
use super::event::Event;
use super::handshake::{Unsecured, secure};
use super::mint::Coin;
use super::stream::TlsStream;
use super::verify::{Distrust, Verdict};
use super::{Certificates, Settings, Untrusted};
use crate::host::Host;
use crate::stream::Stream;

/// What a server showed: for the copy that its client gets.
#[derive(Clone, Debug)]
pub struct Original {
    /// Its certificate.
    pub certificate: CertificateDer<'static>,
    /// The verdict about it.
    pub verdict: Verdict,
}

/// Why there is no certificate for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoCertificate {
    /// The server's is not trusted, and no authority is for such.
    Untrusted(Distrust),
    /// None of ours is for that name.
    NotForName,
    /// The server has shown none, or one that cannot be copied.
    Uncopied(String),
}

impl Settings {
    /// The certificate for a client that wants `name`, and who signed it (`trusted`, `untrusted`, `own`).
    ///
    /// # Errors
    /// There is none.
    pub fn certificate_for<H: Host>(
        &self,
        host: &H,
        name: Option<&str>,
        original: Option<&Original>,
    ) -> Result<(Arc<CertifiedKey>, &'static str), NoCertificate> {
        let (trusted, untrusted) = match &self.certificates {
            Certificates::Own(all) => {
                let found = choose(all, name).cloned();
                return found.map(|certificate| (certificate, "own")).ok_or_else(|| {
                    host.count(Event::NoCertificate.into());
                    NoCertificate::NotForName
                });
            }
            Certificates::Keybridge { trusted, untrusted } => (trusted, untrusted),
        };
        let uncopied = |error: String| {
            host.count(Event::MintFailed.into());
            NoCertificate::Uncopied(error)
        };
        let original = original.ok_or_else(|| uncopied("the server showed none".into()))?;
        let (authority, by) = match (original.verdict, untrusted) {
            (Ok(()), _) => (trusted, "trusted"),
            (Err(_), Some(untrusted)) => (untrusted, "untrusted"),
            (Err(distrust), None) => return Err(NoCertificate::Untrusted(distrust)),
        };
        let core = host.core();
        let copy = core.tls.mint.borrow_mut().copy(&original.certificate, authority, host.now());
        let (certificate, coin) = copy.map_err(uncopied)?;
        host.count(if coin == Coin::Fresh { Event::Minted } else { Event::MintedKept }.into());
        Ok((certificate, by))
    }
}

/// TLS with a client, as its server, showing that certificate.
///
/// # Errors
/// There is none; the client has been told.
pub async fn accept<H: Host, S: Stream>(
    host: &H,
    settings: &Settings,
    io: S,
    certificate: Arc<CertifiedKey>,
) -> Result<TlsStream<S>, Unsecured> {
    settings.clock.set(host.wall_clock());
    let connection = settings.to_client.connection(certificate, &[]).map_err(Unsecured::unmade)?;
    let mut stream = TlsStream::server(io, connection);
    stream.set_truncation(settings.truncation);
    secure(host, settings.handshake, &mut stream).await?;
    Ok(stream)
}

/// TLS with a server, as its client. Who is not trusted is an error unless the settings permit it.
///
/// # Errors
/// There is none; the server has been told.
pub async fn connect<H: Host, S: Stream>(
    host: &H,
    settings: &Settings,
    io: S,
    name: ServerName<'static>,
) -> Result<(TlsStream<S>, Original), Unsecured> {
    settings.clock.set(host.wall_clock());
    let demand = settings.untrusted == Untrusted::Deny;
    let (connection, judge) = settings.to_server.connection(name, &[], demand).map_err(Unsecured::unmade)?;
    let mut stream = TlsStream::client(io, connection);
    stream.set_truncation(settings.truncation);
    let result = secure(host, settings.handshake, &mut stream).await;
    if judge.verdict().is_some_and(|verdict| verdict.is_err()) {
        host.count(if demand { Event::UntrustedDenied } else { Event::Untrusted }.into());
    }
    result?;
    // No handshake is done without a certificate; none seen would be one not judged.
    let verdict = judge.verdict().unwrap_or(Err(Distrust::Unfit));
    let certificate = stream.peer_certificates().first().cloned();
    let certificate = certificate.ok_or_else(|| Unsecured::unmade(rustls::Error::NoCertificatesPresented))?;
    Ok((stream, Original { certificate, verdict }))
}

#[cfg(test)]
mod tests;
