//! The TLS proxy: looks at what clients offer and servers show, and passes on, decrypts or ends by policy.
//!
//! ```text
//! ClientHello ─→ policy ─→ splice: the relay, every byte as it was sent
//!                      ├─→ bump:   handshake with the server, its certificate judged and copied, handshake with the client,
//!                      │           then the relay in clear, or another service's proxy (`stack`)
//!                      ├─→ terminate: a reset
//!                      └─→ reject: an alert
//! ```
//!
//! `serve` is the way of a session; [`hello`] and [`policy`] are how it decides, [`ends`], [`verify`] and [`mint`] what it is towards
//! either side, [`stream`] and [`handshake`] TLS itself, which other proxies use too. What must hold: nothing is sent
//! to a client before the server's certificate was judged; a certificate of the trusted authority is only ever a copy of a
//! trusted one; what is spliced is not changed by a bit. Left out: client certificates (a bumped server that asks for one gets
//! none: splice it), resumption and early data (see [`ends`]), the key log (secrets would have to leave the core by the record
//! channel, which goes to the log).

mod aging;
pub mod certificates;
pub mod clock;
pub mod ends;
pub mod event;
pub mod fingerprint;
pub mod handshake;
pub mod hello;
pub mod limits;
mod md5;
pub mod mint;
pub mod names;
pub mod pins;
pub mod policy;
mod serve;
pub mod stream;
#[cfg(test)]
pub(crate) mod testing;
pub mod upgrade;
mod upstream;
pub mod verify;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use crate::host::Host;
use crate::outcome::Outcome;
use crate::session::Session;
pub use hello::Hello;
pub use rustls::AlertDescription;
pub use rustls::pki_types::ServerName;
pub use stream::TlsStream;

/// What a service sets for it.
#[derive(Debug)]
pub struct Settings {
    /// Which sides speak TLS.
    pub encryption: Encryption,
    /// What becomes of connections.
    pub rules: policy::Rules,
    /// What becomes of clients that speak something else.
    pub not_tls: NotTls,
    /// Towards clients.
    pub to_client: ends::ToClient,
    /// Which certificate they get.
    pub certificates: Certificates,
    /// Towards servers.
    pub to_server: ends::ToServer,
    /// What becomes of servers that are not trusted.
    pub untrusted: Untrusted,
    /// For whom servers are taken where no client says a name (`server` encryption alone).
    pub server_name: Option<ServerName<'static>>,
    /// A ClientHello, and each handshake, may take so long.
    pub handshake: Duration,
    /// What a FIN without `close_notify` is.
    pub truncation: stream::Truncation,
    /// When clients are taken for pinned.
    pub learning: Option<pins::Learning>,
    /// Who gets what was decrypted.
    pub stack: Option<Stack>,
    /// Decides about sessions, their servers, and ClientHellos.
    pub script: Option<Arc<crate::script::Settings>>,
    /// The time of certificates, shared by `to_client` and `to_server`.
    pub clock: clock::Clock,
}

/// Zorp's encryption policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// TLS with the client, clear text to the server.
    ClientOnly,
    /// Clear text from the client, TLS with the server.
    ServerOnly,
    /// TLS with both.
    TwoSided,
}

/// Which certificate a client gets.
#[derive(Debug)]
pub enum Certificates {
    /// A copy of the server's.
    Keybridge {
        /// Signs copies of certificates that are trusted.
        trusted: Box<mint::Authority>,
        /// Signs copies of others.
        untrusted: Option<Box<mint::Authority>>,
    },
    /// One of ours, by the name that the client wants.
    Own(Vec<certificates::Own>),
}

/// What becomes of a connection to a server whose certificate is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untrusted {
    /// It ends.
    Deny,
    /// It goes on; with the keybridge the client gets a copy by the untrusted authority, and decides itself.
    Permit,
}

/// What becomes of a client that does not speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTls {
    /// It is refused.
    Deny,
    /// It is passed on as it is.
    Pass,
}

/// A proxy for what was decrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The service that it belongs to.
    pub service: Arc<str>,
    /// Application protocols that it speaks; others are not offered to the server. `None`: those of its proxy
    /// ([`crate::Module::alpn`]).
    pub alpn: Option<Vec<Vec<u8>>>,
}

/// What sessions of a core share.
#[derive(Debug, Default)]
pub struct Shared {
    mint: RefCell<mint::Mint>,
    pins: RefCell<pins::Pins>,
}

/// Serves a session to its end.
pub async fn run<H: Host>(session: Session<H>, settings: Arc<Settings>) -> Outcome {
    serve::run(session, settings).await
}
