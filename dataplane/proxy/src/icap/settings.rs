//! What a service sets for its scanner: read and checked once, shared by all sessions.

use std::net::SocketAddr;
use std::time::Duration;

use super::limits;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens.
    pub server: SocketAddr,
    /// The path that requests are given to; `None`: they are not scanned.
    pub reqmod: Option<String>,
    /// The path that responses are given to; `None`: they are not scanned.
    pub respmod: Option<String>,
    /// Bytes of a preview at most; the scanner may want fewer.
    pub preview: usize,
    /// Bytes of a body that are held, so that the scanner need not give them back.
    pub hold: usize,
    /// What becomes of a message without a verdict.
    pub on_failure: Otherwise,
    /// How long the scanner may be silent.
    pub timeout: Duration,
    /// Content types of responses that are not scanned, in small letters: `image/png`, `image/*`.
    pub skip: Vec<String>,
    /// Bytes of a body that is scanned; `None`: however many.
    pub max_scan: Option<u64>,
    /// What becomes of larger ones.
    pub on_large: Otherwise,
    /// Clients may ask for parts (Range), which are then scanned as if they were the whole.
    pub permit_ranges: bool,
}

/// What becomes of what cannot be scanned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Otherwise {
    /// It is refused.
    #[default]
    Deny,
    /// It passes.
    Pass,
}

impl Settings {
    /// A scanner without any service yet, and all else at its default.
    #[must_use]
    pub fn new(server: SocketAddr) -> Settings {
        Settings {
            server,
            reqmod: None,
            respmod: None,
            preview: limits::PREVIEW_DEFAULT,
            hold: limits::HOLD_DEFAULT,
            on_failure: Otherwise::Deny,
            timeout: limits::TIMEOUT_DEFAULT,
            skip: Vec::new(),
            max_scan: None,
            on_large: Otherwise::Deny,
            permit_ranges: false,
        }
    }

    /// Is this Content-Type one of those that are skipped?
    #[must_use]
    pub fn skips(&self, content_type: &[u8]) -> bool {
        let name = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let fits = |skip: &String| match skip.strip_suffix('*') {
            Some(prefix) => name.get(..prefix.len()).is_some_and(|name| name.eq_ignore_ascii_case(prefix.as_bytes())),
            None => name.eq_ignore_ascii_case(skip.as_bytes()),
        };
        self.skip.iter().any(fits)
    }
}
