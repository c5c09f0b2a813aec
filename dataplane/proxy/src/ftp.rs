//! FTP; header follows
pub mod address;
pub mod command;
pub mod event;
pub mod known;
pub mod limits;
pub mod line;
pub mod reply;

pub use command::Command;
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
