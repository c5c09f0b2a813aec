//! The record of one request, with what a combined log has: who asked is the session's, and added by the host.

use std::time::Duration;

use super::event::Event;
use super::headers::Headers;
use super::limits::{RECORD_URL_MAX, RECORD_WORDS_MAX};
use super::message::Request;
use crate::record::Record;

/// A request on its way into the log.
#[derive(Debug)]
pub(super) struct Access {
    method: String,
    url: String,
    version: &'static str,
    referer: String,
    user_agent: String,
    began: Duration,
    /// Of the response that the client got; 0: none.
    pub status: u16,
    /// Bytes of the bodies.
    pub received: u64,
    pub sent: u64,
    /// Why it did not go as usual.
    pub event: Option<Event>,
}

impl Access {
    /// Of a request as the client said it.
    pub(super) fn of(request: &Request, began: Duration) -> Access {
        Access {
            method: cut(request.method.as_str(), RECORD_WORDS_MAX),
            url: cut(&request.url.to_string(), RECORD_URL_MAX),
            version: request.version.as_str(),
            referer: words(&request.headers, "Referer"),
            user_agent: words(&request.headers, "User-Agent"),
            ..Access::unread(began)
        }
    }

    /// Of something that is no request.
    pub(super) fn unread(began: Duration) -> Access {
        Access {
            method: String::new(),
            url: String::new(),
            version: "",
            referer: String::new(),
            user_agent: String::new(),
            began,
            status: 0,
            received: 0,
            sent: 0,
            event: None,
        }
    }

    pub(super) fn record(self, now: Duration) -> Record {
        let millis = now.saturating_sub(self.began).as_millis() as u64;
        let record = Record::new("http.request")
            .with("method", self.method)
            .with("url", self.url)
            .with("version", self.version)
            .with("status", u64::from(self.status))
            .with("bytes", self.sent)
            .with("request_bytes", self.received)
            .with("referer", self.referer)
            .with("user_agent", self.user_agent)
            .with("duration_ms", millis);
        match self.event {
            Some(event) => record.with("event", event.name()),
            None => record,
        }
    }
}

fn words(headers: &Headers, name: &str) -> String {
    headers.get(name).map(|value| cut(&String::from_utf8_lossy(value), RECORD_WORDS_MAX)).unwrap_or_default()
}

pub(super) fn cut(text: &str, max: usize) -> String {
    text[..text.floor_char_boundary(max)].to_owned()
}
