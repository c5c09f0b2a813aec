//! The HTTP proxy: nothing passes that two parsers could read in two ways, and policy sees what is asked and answered.

pub mod event;
pub mod headers;
pub mod limits;
pub mod message;
pub mod method;
pub mod url;

use std::sync::Arc;

pub use headers::{HeaderFault, Headers};
pub use message::{Form, Request, Response, Version};
pub use method::Method;
pub use url::{Scheme, Url, UrlFault, UrlRules};

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
