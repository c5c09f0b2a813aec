//! Is this server's certificate to be trusted, and if not, what is wrong with it.
//!
//! The path is built by webpki against the service's authorities and revocation lists; a bound on its length, the policy about missing
//! lists, and the comparison with the name are here. One verdict a certificate: the fault that
//! webpki finds most telling on its way to an authority, then the name. The [`Judge`] of one connection keeps the verdict for who minds, and has the handshake go on or not.
//! That the server has the certificate's key is always checked. Left out: OCSP (a request to a third party for each
//! server) and certificate transparency.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, TrustAnchor, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath, anchor_from_trusted_cert,
};

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Distrust {
    /// Signed by nobody that is trusted.
    UnknownIssuer,
    /// Signed by itself.
    SelfSigned,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is on its issuer's list of revoked ones.
    Revoked,
    /// There is no list that is still valid to say whether it is revoked, and the service wants one.
    NoRevocationList,
    /// More authorities lie between it and a trusted one than the service permits.
    TooDeep,
    /// It is another server's.
    WrongName,
    /// It is not meant for servers, or not well made.
    Unfit,
}

impl Distrust {
    /// All of them.
    pub const ALL: [Distrust; 9] = [
        Distrust::UnknownIssuer,
        Distrust::SelfSigned,
        Distrust::Expired,
        Distrust::NotYetValid,
        Distrust::Revoked,
        Distrust::NoRevocationList,
        Distrust::TooDeep,
        Distrust::WrongName,
        Distrust::Unfit,
    ];

    /// For logs and policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Distrust::UnknownIssuer => "unknown_issuer",
            Distrust::SelfSigned => "self_signed",
            Distrust::Expired => "expired",
            Distrust::NotYetValid => "not_yet_valid",
            Distrust::Revoked => "revoked",
            Distrust::NoRevocationList => "no_revocation_list",
            Distrust::TooDeep => "too_deep",
            Distrust::WrongName => "wrong_name",
            Distrust::Unfit => "unfit",
        }
    }

    /// As the library says it to the server, which gets the alert that belongs to it.
    fn error(self) -> Error {
        Error::InvalidCertificate(match self {
            Distrust::UnknownIssuer | Distrust::SelfSigned | Distrust::TooDeep => CertificateError::UnknownIssuer,
            Distrust::Expired => CertificateError::Expired,
            Distrust::NotYetValid => CertificateError::NotValidYet,
            Distrust::Revoked => CertificateError::Revoked,
            Distrust::NoRevocationList => CertificateError::UnknownRevocationStatus,
            Distrust::WrongName => CertificateError::NotValidForName,
            Distrust::Unfit => CertificateError::BadEncoding,
        })
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Distrust::UnknownIssuer => "it is signed by nobody that is trusted",
            Distrust::SelfSigned => "it is signed by itself",
            Distrust::Expired => "it has expired",
            Distrust::NotYetValid => "it is not valid yet",
            Distrust::Revoked => "it has been revoked",
            Distrust::NoRevocationList => "no valid list says whether it has been revoked",
            Distrust::TooDeep => "too many authorities lie between it and a trusted one",
            Distrust::WrongName => "it is another server's",
            Distrust::Unfit => "it is no server's certificate as it should be",
        })
    }
}

/// A verdict.
pub type Verdict = Result<(), Distrust>;

/// Whom a service trusts.
#[derive(Debug)]
pub struct Trust {
    anchors: Vec<TrustAnchor<'static>>,
    lists: Vec<CertRevocationList<'static>>,
    /// A certificate whose issuer has no list here may pass.
    pub missing_list_permitted: bool,
    /// So many authorities may lie between a server's certificate and a trusted one; the library goes to six.
    pub depth_max: usize,
    /// Is the certificate to be the server's that was asked for?
    pub check_name: bool,
}

impl Default for Trust {
    /// Nobody is trusted; what Zorp has otherwise.
    fn default() -> Self {
        Trust { anchors: Vec::new(), lists: Vec::new(), missing_list_permitted: false, depth_max: 4, check_name: true }
    }
}

impl Trust {
    /// Trusts the authorities of a PEM file; how many those were.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn add_authorities(&mut self, pem: &str) -> Result<usize, String> {
        let mut count = 0;
        for cert in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            self.add_authority(&cert.map_err(|error| error.to_string())?)?;
            count += 1;
        }
        Ok(count)
    }

    /// Trusts the authorities that the system trusts; how many those are. Reads files: while a configuration is read only.
    ///
    /// # Errors
    /// There is none.
    pub fn add_system_authorities(&mut self) -> Result<usize, String> {
        let found = rustls_native_certs::load_native_certs();
        // What the system has and cannot be used is nothing that an operator of ours could mend.
        let count = found.certs.iter().filter(|cert| self.add_authority(cert).is_ok()).count();
        match found.errors.first() {
            _ if count > 0 => Ok(count),
            Some(error) => Err(error.to_string()),
            None => Err("the system has none".into()),
        }
    }

    /// Trusts one authority.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add_authority(&mut self, cert: &CertificateDer<'_>) -> Result<(), String> {
        let anchor = anchor_from_trusted_cert(cert).map_err(|error| error.to_string())?;
        self.anchors.push(anchor.to_owned());
        Ok(())
    }

    /// Adds the revocation lists of a PEM file; how many those were.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn add_lists(&mut self, pem: &str) -> Result<usize, String> {
        let mut count = 0;
        for list in CertificateRevocationListDer::pem_slice_iter(pem.as_bytes()) {
            let list = list.map_err(|error| error.to_string())?;
            let list = OwnedCertRevocationList::from_der(&list).map_err(|error| error.to_string())?;
            self.lists.push(list.into());
            count += 1;
        }
        Ok(count)
    }

    /// How many authorities are trusted.
    #[must_use]
    pub fn authorities(&self) -> usize {
        self.anchors.len()
    }

    /// The verdict about a server's certificate and what it sent with it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn judge(
        &self,
        cert: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Verdict {
        let end = EndEntityCert::try_from(cert).map_err(|_| Distrust::Unfit)?;
        let lists: Vec<&CertRevocationList<'_>> = self.lists.iter().collect();
        let unknown = if self.missing_list_permitted { UnknownStatusPolicy::Allow } else { UnknownStatusPolicy::Deny };
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(unknown)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        let shallow = |path: &VerifiedPath<'_>| {
            let deep = path.intermediate_certificates().count() > self.depth_max;
            if deep { Err(webpki::Error::MaximumPathDepthExceeded) } else { Ok(()) }
        };
        let usage = KeyUsage::server_auth();
        let algorithms = algorithms().all;
        end.verify_for_usage(algorithms, &self.anchors, between, now, usage, revocation, Some(&shallow))
            .map_err(|error| if end.issuer() == end.subject() { self_signed(&error) } else { distrust(&error) })?;
        if self.check_name && end.verify_is_valid_for_subject_name(name).is_err() {
            return Err(Distrust::WrongName);
        }
        Ok(())
    }
}

fn self_signed(error: &webpki::Error) -> Distrust {
    match distrust(error) {
        // Most that are made by hand are made as authorities.
        Distrust::UnknownIssuer | Distrust::Unfit => Distrust::SelfSigned,
        other => other,
    }
}

fn distrust(error: &webpki::Error) -> Distrust {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } => Distrust::Expired,
        Error::CertNotValidYet { .. } => Distrust::NotYetValid,
        Error::CertRevoked => Distrust::Revoked,
        Error::UnknownRevocationStatus | Error::CrlExpired { .. } => Distrust::NoRevocationList,
        Error::MaximumPathDepthExceeded => Distrust::TooDeep,
        Error::UnknownIssuer
        | Error::InvalidSignatureForPublicKey
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::NameConstraintViolation
        | Error::PathLenConstraintViolated => Distrust::UnknownIssuer,
        _ => Distrust::Unfit,
    }
}

/// The names that a certificate is for, as far as it has any, lower case.
#[must_use]
pub fn names_of(cert: &CertificateDer<'_>) -> Vec<String> {
    let end = EndEntityCert::try_from(cert);
    let names = end
        .map(|end| end.valid_dns_names().take(super::limits::NAMES_COPIED_MAX).map(str::to_ascii_lowercase).collect());
    names.unwrap_or_default()
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    super::ends::provider().signature_verification_algorithms
}

/// Verifies the server of one connection.
#[derive(Debug)]
pub struct Judge {
    trust: Arc<Trust>,
    /// Ends the handshake when the verdict is bad.
    demand: bool,
    verdict: OnceLock<Verdict>,
}

impl Judge {
    /// A judge; `demand`: who is not trusted is not spoken to.
    #[must_use]
    pub fn new(trust: Arc<Trust>, demand: bool) -> Judge {
        Judge { trust, demand, verdict: OnceLock::new() }
    }

    /// The verdict, once the server has shown its certificate.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict.get().copied()
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = *self.verdict.get_or_init(|| self.trust.judge(cert, between, name, now));
        match verdict {
            Err(distrust) if self.demand => Err(distrust.error()),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

#[cfg(test)]
mod tests;
