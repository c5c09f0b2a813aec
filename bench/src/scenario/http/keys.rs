//! Keys and certificates of the TLS part: an authority, the server's certificate, and the authority that the gateway mints by.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;

use super::channel::HOST;

pub(super) struct Keys {
    files: TempDir,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Keys {
    pub(super) fn new() -> Result<Keys, String> {
        Keys::make().map_err(|error| format!("keys for TLS: {error}"))
    }

    fn make() -> Result<Keys, Box<dyn std::error::Error>> {
        let files = tempfile::tempdir()?;
        let (real, real_key) = authority()?;
        let (minting, minting_key) = authority()?;
        std::fs::write(files.path().join("real.pem"), real.self_signed(&real_key)?.pem())?;
        let minted_by = minting.self_signed(&minting_key)?;
        std::fs::write(files.path().join("mint.pem"), minted_by.pem())?;
        std::fs::write(files.path().join("mint.key"), minting_key.serialize_pem())?;
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new([HOST.to_owned()])?.signed_by(&key, &Issuer::new(real, real_key))?;
        let provider = Arc::new(default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(minted_by.der().clone())?;
        let client =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let mut client = client.with_root_certificates(roots).with_no_client_auth();
        // The gateway gives no tickets: whoever asks for none has it no easier.
        client.resumption = rustls::client::Resumption::disabled();
        let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
        let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let key = PrivateKeyDer::try_from(key.serialize_der())?;
        let mut server = server.with_no_client_auth().with_single_cert(chain, key)?;
        server.send_tls13_tickets = 0;
        Ok(Keys { files, client: Arc::new(client), server: Arc::new(server) })
    }

    pub(super) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// The service that ends TLS, reads HTTP, and makes TLS anew.
    pub(super) fn service(&self) -> String {
        let at = self.files.path().display();
        format!(
            "anything:
    proxy: tls
    accept: mirror
    tls:
      otherwise: bump
      keybridge: {{ trusted: {{ certificate: {at}/mint.pem, key: {at}/mint.key }} }}
      verify: {{ authorities: {at}/real.pem }}
      stack: web
  web: {{ proxy: http }}"
        )
    }
}

fn authority() -> Result<(CertificateParams, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((params, KeyPair::generate()?))
}
