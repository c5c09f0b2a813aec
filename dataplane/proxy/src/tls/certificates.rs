//! Certificates of the operator's own, chosen by the name that the client wants. They are read with the configuration and
//! shared by all cores; that certificate and key belong together is checked then.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::ends::provider;
use super::names::Names;

/// One of them.
#[derive(Clone, Debug)]
pub struct Own {
    /// For these names; `None`: for all that no other is for.
    pub names: Option<Names>,
    /// The certificate with what it is signed by, and its key.
    pub certificate: Arc<CertifiedKey>,
}

/// The certificate for that name: the first that names it, else the first that names none.
#[must_use]
pub fn choose<'a>(all: &'a [Own], name: Option<&str>) -> Option<&'a Arc<CertifiedKey>> {
    let named = |own: &&Own| own.names.as_ref().zip(name).is_some_and(|(names, name)| names.contains(name));
    let found = all.iter().find(named).or_else(|| all.iter().find(|own| own.names.is_none()));
    found.map(|own| &own.certificate)
}

/// Reads a certificate, what it is signed by, and its key, in PEM.
///
/// # Errors
/// What is wrong with them.
pub fn read(certificates: &str, key: &str) -> Result<Arc<CertifiedKey>, String> {
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(certificates.as_bytes()).collect();
    let chain = chain.map_err(|error| error.to_string())?;
    if chain.is_empty() {
        return Err("there is no certificate in it".into());
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| format!("its key: {error}"))?;
    CertifiedKey::from_der(chain, key, provider()).map(Arc::new).map_err(|error| error.to_string())
}
