//! What a scanner's service can do: its answer to OPTIONS (RFC 3507, 4.10), kept by a core for as long as the scanner says.

use std::time::Duration;

use super::event::Event;
use super::head::Head;
use super::limits::{EXTENSIONS_MAX, OPTIONS_TTL_MAX, OPTIONS_TTL_MIN};
use super::request::Service;
use crate::http::headers::list;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes that it wants to see first; `None`: it does not know previews.
    pub preview: Option<usize>,
    /// It can say that nothing is to be changed.
    pub allow_204: bool,
    /// Connections that it takes at once.
    pub max_connections: Option<usize>,
    /// File extensions, and what it wants of each: the first that fits; `*` is all others.
    transfer: Vec<(String, Treatment)>,
    /// Until when this holds, on the host's clock.
    pub until: Duration,
}

/// What a scanner wants of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Treatment {
    /// A preview, and the rest if it asks.
    Preview,
    /// All of it at once.
    Complete,
    /// Nothing.
    Ignore,
}

impl Options {
    /// Reads an answer.
    ///
    /// # Errors
    /// It is none, or the service does not do what is wanted.
    pub fn read(head: &Head, service: Service, now: Duration) -> Result<Options, Event> {
        if head.status != 200 {
            return Err(Event::StatusUnexpected);
        }
        let says = |field: &str, word: &str| {
            let mut words = head.headers.get_all(field).flat_map(list);
            words.any(|one| one.eq_ignore_ascii_case(word.as_bytes()))
        };
        // RFC 3507, 4.10.2: Methods is "REQUIRED"; one that says nothing is taken at its path's word.
        if head.headers.contains("Methods") && !says("Methods", service.method()) {
            return Err(Event::MethodMissing);
        }
        let number = |field: &str| {
            let value = std::str::from_utf8(head.headers.get(field)?).ok()?;
            value.parse::<u32>().ok().and_then(|number| usize::try_from(number).ok())
        };
        let ttl = number("Options-TTL").map_or(OPTIONS_TTL_MAX, |ttl| Duration::from_secs(ttl as u64));
        let mut transfer = Vec::new();
        for (field, treatment) in [
            ("Transfer-Ignore", Treatment::Ignore),
            ("Transfer-Complete", Treatment::Complete),
            ("Transfer-Preview", Treatment::Preview),
        ] {
            for extension in head.headers.get_all(field).flat_map(list) {
                let extension = String::from_utf8_lossy(extension).to_ascii_lowercase();
                if transfer.len() == EXTENSIONS_MAX {
                    return Err(Event::HeadLarge);
                }
                transfer.push((extension, treatment));
            }
        }
        Ok(Options {
            preview: number("Preview"),
            allow_204: says("Allow", "204"),
            max_connections: number("Max-Connections").filter(|max| *max > 0),
            transfer,
            until: now.saturating_add(ttl.clamp(OPTIONS_TTL_MIN, OPTIONS_TTL_MAX)),
        })
    }

    /// What it wants of a message whose path is this.
    #[must_use]
    pub fn treatment(&self, path: &str) -> Treatment {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
        let named = |name: &str| self.transfer.iter().find(|(one, _)| one == name).map(|(_, treatment)| *treatment);
        named(&extension).filter(|_| !extension.is_empty()).or_else(|| named("*")).unwrap_or(Treatment::Preview)
    }
}
