//! Which proxy a service has, and with which settings; how a session gets to it.
//!
//! Settings are read and checked once, when the configuration is loaded, and shared by all cores. A proxy that hands its
//! stream on to another one (TLS to HTTP, a detector to what it found) names that service and gets its module from
//! [`crate::Host::module`]; such chains have no cycles, which the configuration's reader sees to.

use std::fmt;
use std::sync::Arc;

use crate::host::Host;
use crate::outcome::Outcome;
use crate::session::Session;
use crate::{detect, ftp, http, plug, tls};

/// A service's proxy.
#[derive(Clone)]
pub struct Module {
    /// The service's name.
    pub service: Arc<str>,
    /// Which proxy it is, and how it behaves.
    pub settings: Settings,
}

/// Settings of each kind of proxy.
#[derive(Clone)]
pub enum Settings {
    /// Relays bytes.
    Plug(Arc<plug::Settings>),
    /// HTTP/1 and HTTP/2.
    Http(Arc<http::Settings>),
    /// FTP, both channels.
    Ftp(Arc<ftp::Settings>),
    /// TLS, peeked at, decrypted, or ended here.
    Tls(Arc<tls::Settings>),
    /// Chooses another service by the first bytes.
    Detect(Arc<detect::Settings>),
}

impl Settings {
    /// As the configuration names it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Settings::Plug(_) => "plug",
            Settings::Http(_) => "http",
            Settings::Ftp(_) => "ftp",
            Settings::Tls(_) => "tls",
            Settings::Detect(_) => "detect",
        }
    }
}

impl Module {
    /// What the proxy speaks within TLS, as ALPN names it.
    #[must_use]
    pub fn alpn(&self) -> Vec<Vec<u8>> {
        let all: &[&[u8]] = if self.speaks_two() { &[http::two::ALPN, b"http/1.1"] } else { &[b"http/1.1"] };
        all.iter().map(|protocol| protocol.to_vec()).collect()
    }

    /// Is it to understand what it is given as HTTP, and does it so with HTTP/2?
    fn speaks_two(&self) -> bool {
        matches!(&self.settings, Settings::Http(settings) if settings.http2.is_some())
    }

    /// Would HTTP/2 be something that it cannot read? It can where both ends have agreed on it, and the service permits it.
    pub(crate) fn is_lost_in_two(&self, both: bool) -> bool {
        matches!(self.settings, Settings::Http(_)) && !(both && self.speaks_two())
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service, self.settings.name())
    }
}

/// Serves a session to its end.
///
/// Boxed, because modules hand on to each other: the future of a chain is as deep as the chain.
pub async fn serve<H: Host>(session: Session<H>, module: Module) -> Outcome {
    match module.settings {
        Settings::Plug(settings) => plug::run(session, settings).await,
        Settings::Http(settings) => Box::pin(http::run(session, settings)).await,
        Settings::Ftp(settings) => Box::pin(ftp::run(session, settings)).await,
        Settings::Tls(settings) => Box::pin(tls::run(session, settings)).await,
        Settings::Detect(settings) => Box::pin(detect::run(session, settings)).await,
    }
}
