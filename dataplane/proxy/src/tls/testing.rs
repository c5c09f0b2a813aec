//! For tests: authorities, certificates, and both ends by the library.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::clock::Clock;

/// 2026-01-01: the memory host's wall clock at its start.
pub(crate) const NOW: Duration = Duration::from_secs(1_767_225_600);

/// An authority of a test.
pub(crate) struct Authority {
    pub(crate) cert: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let cert = params.self_signed(&key).expect("it signs itself");
        let key_pem = key.serialize_pem();
        Authority { cert: cert.der().clone(), pem: cert.pem(), key_pem, issuer: Issuer::new(params, key) }
    }

    /// An authority below this one.
    pub(crate) fn below(&self, name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let cert = params.signed_by(&key, &self.issuer).expect("it is signed");
        let key_pem = key.serialize_pem();
        Authority { cert: cert.der().clone(), pem: cert.pem(), key_pem, issuer: Issuer::new(params, key) }
    }

    /// A server's certificate, valid in 2025 and 2026 unless `change` says otherwise.
    pub(crate) fn leaf(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).expect("names");
        params.distinguished_name.push(DnType::CommonName, names.first().cloned().unwrap_or_default());
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("it is signed");
        Leaf {
            chain: vec![cert.der().clone()],
            key: key.serialize_der(),
            pem: cert.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    /// A list that revokes these serial numbers.
    pub(crate) fn crl(&self, serials: &[&[u8]]) -> String {
        let revoked = |serial: &&[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: date_time_ymd(2025, 6, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 12, 1),
            next_update: date_time_ymd(2026, 12, 1),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("it is signed").pem().expect("it has a text")
    }
}

/// A server's certificate and key.
pub(crate) struct Leaf {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    pub(crate) pem: String,
    pub(crate) key_pem: String,
}

impl Leaf {
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.clone()).expect("a key")
    }
}

pub(crate) fn clock() -> Clock {
    let clock = Clock::default();
    clock.set(NOW);
    clock
}

/// A server that shows this certificate.
pub(crate) fn server(leaf: &Leaf, alpn: &[&str]) -> ServerConnection {
    let mut config = ServerConfig::builder_with_details(Arc::new(default_provider()), Arc::new(clock()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(leaf.chain.clone(), leaf.key())
        .expect("they belong together");
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    ServerConnection::new(Arc::new(config)).expect("it is complete")
}

/// A client that trusts these authorities.
pub(crate) fn client_config(
    roots: &[&Authority],
    versions: &[&'static rustls::SupportedProtocolVersion],
    alpn: &[&str],
) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.cert.clone()).expect("an authority");
    }
    let mut config = ClientConfig::builder_with_details(Arc::new(default_provider()), Arc::new(clock()))
        .with_protocol_versions(versions)
        .expect("the provider has them")
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    config
}

/// The same, connecting to that name.
pub(crate) fn client(config: ClientConfig, name: &str) -> ClientConnection {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    ClientConnection::new(Arc::new(config), name).expect("it is complete")
}
