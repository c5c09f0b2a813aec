//! FTP; header follows
pub mod event;
pub mod limits;
pub mod line;
pub mod reply;
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
