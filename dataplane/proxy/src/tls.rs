//! The tls proxy; its owner writes this header.

pub mod clock;
pub mod event;
pub mod fingerprint;
pub mod hello;
pub mod limits;
mod md5;
pub mod stream;
#[cfg(test)]
#[expect(dead_code, reason = "what the next tests need")]
pub(crate) mod testing;

pub use hello::Hello;
pub use stream::TlsStream;

use std::sync::Arc;

use crate::host::Host;
use crate::outcome::Outcome;
use crate::session::Session;

/// What a service sets for it.
#[derive(Clone, Debug, Default)]
pub struct Settings {}

/// Serves a session to its end.
pub async fn run<H: Host>(session: Session<H>, settings: Arc<Settings>) -> Outcome {
    let _ = settings;
    crate::plug::run(session, Arc::default()).await
}
