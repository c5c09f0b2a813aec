//! The keybridge: certificates minted on the fly, copies of what a real server showed, signed by one of our authorities.
//!
//! What is copied is what clients look at: subject, names, times. The key is one of ours, the same for all certificates of
//! a core (nobody outside can tell, and making one costs as much as signing); the serial number is random, 127 bits, so
//! that none comes twice, also after a restart (clients refuse two certificates of one issuer with the same number). What
//! was minted is kept, see [`limits::MINTED_MAX`]. Which authority signs is the caller's decision: the trusted one only for who was trusted.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::aging::Aging;
use super::ends::provider;
use super::fingerprint::sha256;
use super::limits;

/// One of our authorities.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What clients need beside a certificate to come to an authority they know.
    between: Vec<CertificateDer<'static>>,
    id: [u8; 32],
}

impl fmt::Debug for Authority {
    /// The key stays here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", super::fingerprint::hex(&self.id[..4]))
    }
}

impl Authority {
    /// The first certificate of a PEM file, with its key; further ones are what it is signed by.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(certificates: &str, key: &str) -> Result<Authority, String> {
        let all: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(certificates.as_bytes()).collect();
        let all = all.map_err(|error| error.to_string())?;
        let own = all.first().ok_or("there is no certificate in it")?;
        let (_, parsed) = X509Certificate::from_der(own).map_err(|error| error.to_string())?;
        if !parsed.is_ca() {
            return Err("it is no authority's certificate (CA:TRUE is missing)".into());
        }
        let key = KeyPair::from_pem(key).map_err(|error| format!("its key: {error}"))?;
        let public = &parsed.tbs_certificate.subject_pki.subject_public_key.data;
        if public.as_ref() != key.public_key_raw() {
            return Err("the key is another one's".into());
        }
        let issuer = Issuer::from_ca_cert_der(own, key).map_err(|error| error.to_string())?;
        if !issuer.key_usages().is_empty() && !issuer.key_usages().contains(&KeyUsagePurpose::KeyCertSign) {
            return Err("it is not meant to sign certificates (keyCertSign is missing)".into());
        }
        let id = sha256(own);
        let rooted = |cert: &&CertificateDer<'static>| {
            X509Certificate::from_der(cert).is_ok_and(|(_, cert)| cert.subject() == cert.issuer())
        };
        let between = all.iter().filter(|cert| !rooted(cert)).cloned().collect();
        Ok(Authority { issuer, between, id })
    }
}

/// The mint of one core.
pub struct Mint {
    /// Made when the first certificate is.
    key: Option<(KeyPair, Arc<dyn rustls::sign::SigningKey>)>,
    minted: Aging<([u8; 32], [u8; 32]), Minted>,
}

struct Minted {
    certificate: Arc<CertifiedKey>,
    /// Host's time at which it is to be made anew.
    until: Duration,
}

/// Whether a certificate was made or found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coin {
    /// Made now.
    Fresh,
    /// Kept from before.
    Kept,
}

impl Default for Mint {
    fn default() -> Self {
        Mint { key: None, minted: Aging::new(limits::MINTED_MAX) }
    }
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mint").finish_non_exhaustive()
    }
}

impl Mint {
    /// A copy of `real` by that authority.
    ///
    /// # Errors
    /// What cannot be copied.
    pub fn copy(
        &mut self,
        real: &CertificateDer<'_>,
        authority: &Authority,
        now: Duration,
    ) -> Result<(Arc<CertifiedKey>, Coin), String> {
        let place = (authority.id, sha256(real));
        if let Some(minted) = self.minted.get(&place)
            && now < minted.until
        {
            return Ok((minted.certificate.clone(), Coin::Kept));
        }
        let params = copied(real)?;
        let (pair, key) = self.key()?;
        let signed = params.signed_by(pair, &authority.issuer).map_err(|error| error.to_string())?;
        let chain = std::iter::once(signed.der().clone()).chain(authority.between.iter().cloned()).collect();
        let certificate = Arc::new(CertifiedKey::new(chain, key.clone()));
        let minted = Minted { certificate: certificate.clone(), until: now.saturating_add(limits::MINTED_AGE_MAX) };
        self.minted.insert(place, minted);
        Ok((certificate, Coin::Fresh))
    }

    fn key(&mut self) -> Result<&(KeyPair, Arc<dyn rustls::sign::SigningKey>), String> {
        if self.key.is_none() {
            let pair = KeyPair::generate().map_err(|error| error.to_string())?;
            let der = PrivateKeyDer::try_from(pair.serialize_der())?;
            let key = provider().key_provider.load_private_key(der).map_err(|error| error.to_string())?;
            self.key = Some((pair, key));
        }
        Ok(self.key.as_ref().expect("it was made"))
    }
}

/// What a certificate says, as something to be signed.
fn copied(real: &CertificateDer<'_>) -> Result<CertificateParams, String> {
    let (_, real) = X509Certificate::from_der(real).map_err(|error| error.to_string())?;
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(&real);
    params.subject_alt_names = names(&real);
    params.not_before = real.validity().not_before.to_datetime();
    params.not_after = real.validity().not_after.to_datetime();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial()?);
    Ok(params)
}

/// Positive and not zero, as RFC 5280, 4.1.2.2 wants it.
fn serial() -> Result<SerialNumber, String> {
    let mut bytes = [0; 16];
    provider().secure_random.fill(&mut bytes).map_err(|_| "there is no randomness".to_owned())?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn subject(real: &X509Certificate<'_>) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    for attribute in real.subject().iter_attributes() {
        let oid: Option<Vec<u64>> = attribute.attr_type().iter().map(Iterator::collect);
        if let (Some(oid), Ok(value)) = (oid, attribute.as_str()) {
            subject.push(DnType::from_oid(&oid), value);
        }
    }
    subject
}

fn names(real: &X509Certificate<'_>) -> Vec<SanType> {
    let Ok(Some(extension)) = real.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => (*name).try_into().ok().map(SanType::DnsName),
        GeneralName::IPAddress(bytes) => address(bytes).map(SanType::IpAddress),
        GeneralName::RFC822Name(name) => (*name).try_into().ok().map(SanType::Rfc822Name),
        GeneralName::URI(name) => (*name).try_into().ok().map(SanType::URI),
        _ => None,
    });
    names.take(limits::NAMES_COPIED_MAX).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests;
