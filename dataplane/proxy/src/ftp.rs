//! FTP; header follows

pub mod address;
pub mod command;
pub mod event;
pub mod feat;
pub mod known;
pub mod limits;
pub mod line;
pub mod policy;
pub mod reply;
pub mod settings;
pub mod state;
pub mod syntax;

use std::sync::Arc;

pub use command::Command;
pub use settings::Settings;

use crate::host::Host;
use crate::outcome::Outcome;
use crate::session::Session;

/// Serves a session to its end.
pub async fn run<H: Host>(session: Session<H>, settings: Arc<Settings>) -> Outcome {
    let _ = settings;
    crate::plug::run(session, Arc::default()).await
}
