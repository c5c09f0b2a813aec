//! The two ends that the gateway can be: a TLS server towards clients, a TLS client towards servers.
//!
//! What all connections of a service share is made once, when the configuration is read; what differs (certificate,
//! protocols, verdict) is put into a copy for each connection, which is a few counted references.
//!
//! Sessions are not resumed, on either side: each handshake asks for the certificate anew, so that a revocation, an end of
//! validity or another verdict counts at once; and no ticket key is shared between cores. It costs a client a signature
//! for each connection; within one session of FTP it is otherwise ([`repeated`]). No early data for the same reason and because it can be replayed.

pub mod repeated;

use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::clock::Clock;
use super::verify::{Judge, Trust};

/// The oldest version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Oldest {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Oldest {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Oldest::Tls12 => &VERSIONS,
            Oldest::Tls13 => &VERSIONS[..1],
        }
    }
}

/// The cryptography, one for all.
pub(super) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    &PROVIDER
}

/// TLS towards clients.
#[derive(Clone, Debug)]
pub struct ToClient {
    base: ServerConfig,
}

impl ToClient {
    /// Speaks this version and newer ones.
    #[must_use]
    pub fn new(oldest: Oldest, clock: &Clock) -> ToClient {
        let mut base = ServerConfig::builder_with_details(provider().clone(), Arc::new(clock.clone()))
            .with_protocol_versions(oldest.versions())
            .expect("the provider has suites for both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Nothing));
        base.session_storage = Arc::new(NoServerSessionStorage {});
        base.send_tls13_tickets = 0;
        ToClient { base }
    }

    /// A connection that shows this certificate and takes one of these protocols.
    ///
    /// # Errors
    /// The library has no place for it.
    pub fn connection(
        &self,
        certificate: Arc<CertifiedKey>,
        alpn: &[Vec<u8>],
    ) -> Result<ServerConnection, rustls::Error> {
        let mut config = self.base.clone();
        config.cert_resolver = Arc::new(SingleCertAndKey::from(certificate));
        config.alpn_protocols = alpn.to_vec();
        ServerConnection::new(Arc::new(config))
    }
}

/// What stands in the place of a certificate until the connection brings its own.
#[derive(Debug)]
struct Nothing;

impl ResolvesServerCert for Nothing {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

/// TLS towards servers.
#[derive(Clone, Debug)]
pub struct ToServer {
    base: ClientConfig,
    trust: Arc<Trust>,
}

impl ToServer {
    /// Speaks this version and newer ones to servers that are trusted so.
    #[must_use]
    pub fn new(trust: Trust, oldest: Oldest, clock: &Clock) -> ToServer {
        let trust = Arc::new(trust);
        let mut base = ClientConfig::builder_with_details(provider().clone(), Arc::new(clock.clone()))
            .with_protocol_versions(oldest.versions())
            .expect("the provider has suites for both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Judge::new(trust.clone(), true)))
            .with_no_client_auth();
        base.resumption = Resumption::disabled();
        ToServer { base, trust }
    }

    /// A connection to that server, and the judge of its certificate. `demand`: who is not trusted is not spoken to.
    ///
    /// # Errors
    /// The library has no place for it.
    pub fn connection(
        &self,
        name: ServerName<'static>,
        alpn: &[Vec<u8>],
        demand: bool,
    ) -> Result<(ClientConnection, Arc<Judge>), rustls::Error> {
        let judge = Arc::new(Judge::new(self.trust.clone(), demand));
        let mut config = self.base.clone();
        config.dangerous().set_certificate_verifier(judge.clone());
        config.alpn_protocols = alpn.to_vec();
        Ok((ClientConnection::new(Arc::new(config), name)?, judge))
    }
}
