//! Several connections of one session to one server, as FTP has them: later ones take up the TLS session of the first one.
//!
//! Servers ask for it (`vsftpd` by default) to know that who connects for data is who has logged in. The memory is the
//! session's own and ends with it, so that no verdict outlives it.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

use super::ToServer;
use crate::tls::verify::{Judge, Trust};

/// TLS sessions that are remembered for one server: the library keeps several tickets with each.
const SESSIONS: usize = 2;

/// See the module.
#[derive(Clone, Debug)]
pub struct Repeated {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Repeated {
    /// To that server. `demand`: who is not trusted is not spoken to.
    #[must_use]
    pub fn new(to_server: &ToServer, name: ServerName<'static>, demand: bool) -> Repeated {
        let mut config = to_server.base.clone();
        config.dangerous().set_certificate_verifier(Arc::new(EachTime { trust: to_server.trust.clone(), demand }));
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Repeated { config: Arc::new(config), name }
    }

    /// One more connection.
    ///
    /// # Errors
    /// The library has no place for it.
    pub fn connection(&self) -> Result<ClientConnection, Error> {
        ClientConnection::new(self.config.clone(), self.name.clone())
    }
}

/// A judge that looks at each certificate anew: a [`Judge`] keeps one verdict, and the library takes up sessions of the
/// same verifier only.
#[derive(Debug)]
struct EachTime {
    trust: Arc<Trust>,
    demand: bool,
}

impl EachTime {
    fn judge(&self) -> Judge {
        Judge::new(self.trust.clone(), self.demand)
    }
}

impl ServerCertVerifier for EachTime {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge().verify_server_cert(cert, between, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge().verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge().verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge().supported_verify_schemes()
    }
}
