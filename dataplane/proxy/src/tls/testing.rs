//! For tests: authorities and certificates as they are needed, both ends of TLS by the library, wires that cut what passes.
//! Time is that of the worlds in memory; keys are made anew in each run, nothing depends on them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::clock::Clock;
use super::hello::{Hello, Peek};
use crate::host::Host;
use crate::memory::{MemoryStream, World, duplex};
use crate::session::SessionInfo;
use crate::stream::Stream;

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

/// A ClientHello as the library's client sends it.
pub(crate) fn hello_for(name: Option<&str>, alpn: &[&str]) -> Hello {
    let mut connection = client(client_config(&[], &[&TLS13, &TLS12], alpn), name.unwrap_or("192.0.2.1"));
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).expect("a Vec takes all");
    Peek::default().feed(&bytes).expect("it is good").expect("it is whole")
}

/// Of a session between zones.
pub(crate) fn info() -> SessionInfo {
    SessionInfo {
        client: "192.168.1.5:40000".parse().expect("an address"),
        original_destination: "10.0.0.9:443".parse().expect("an address"),
        service: "https".into(),
        client_zone: Some("intranet".into()),
        server_zone: Some("dmz".into()),
        interface: "intra".into(),
        idle: Duration::from_secs(60),
        total: None,
    }
}

/// Unread bytes of a stream in memory.
pub(crate) const WINDOW: usize = 4_096;

/// Two ends whose bytes come in pieces of `size` in both directions, each at its own time.
pub(crate) fn wire(world: &mut World, size: usize) -> (MemoryStream, MemoryStream) {
    let (client, mut near) = duplex(WINDOW);
    let (mut far, server) = duplex(WINDOW);
    let host = world.host();
    let _ = world.spawn(async move {
        let mut open = (true, true);
        while open.0 || open.1 {
            poll_fn(|cx| {
                let forth = open.0 && pass_piece(cx, &mut near, &mut far, size, &mut open.0);
                let back = open.1 && pass_piece(cx, &mut far, &mut near, size, &mut open.1);
                if forth || back { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            host.sleep(Duration::from_micros(1)).await;
        }
        let _ = (near.finished().await, far.finished().await);
    });
    (client, server)
}

/// One piece, or the end; `false` when there is nothing.
fn pass_piece(
    cx: &mut Context<'_>,
    from: &mut MemoryStream,
    to: &mut MemoryStream,
    size: usize,
    open: &mut bool,
) -> bool {
    match from.poll_read(cx) {
        Poll::Pending => return false,
        Poll::Ready(Ok(Some(mut chunk))) => {
            let piece = chunk.split_to(size.min(chunk.len()));
            from.unread(chunk);
            *open = to.write(piece).is_ok();
        }
        Poll::Ready(Ok(None)) => {
            to.shutdown();
            *open = false;
        }
        Poll::Ready(Err(_)) => {
            to.abort();
            *open = false;
        }
    }
    true
}
