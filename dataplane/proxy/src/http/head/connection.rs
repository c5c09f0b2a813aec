//! What is said for this hop only: RFC 9110, 7.6.1. It is taken out of the head and said anew to the other side.

use crate::http::event::Event;
use crate::http::headers::{Headers, list};
use crate::http::message::Version;

/// What a head says about its connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct Hop {
    /// Another message may follow.
    pub persistent: bool,
    /// The protocols it would rather speak, as written; only when Connection names Upgrade, as it must.
    pub upgrade: Option<Vec<u8>>,
    /// It understands trailers.
    pub trailers: bool,
}

/// Fields that a message cannot do without: RFC 9110, 7.6.1: "A sender MUST NOT send a connection option corresponding to a
/// field that is intended for all recipients of the content."
const NEEDED: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "content-type",
    "content-encoding",
    "content-range",
    "authorization",
    "cookie",
    "set-cookie",
    "cache-control",
    "location",
    "expect",
    "range",
    "date",
    "x-forwarded-for",
    "x-real-ip",
    "forwarded",
];

/// Fields of one hop, named by Connection or not. `Transfer-Encoding` stays: the body is framed anew in the same way.
const HOP: &[&str] = &["Connection", "Proxy-Connection", "Keep-Alive", "TE", "Upgrade", "HTTP2-Settings"];

/// Takes what is for this hop out of a head.
pub(super) fn take(headers: &mut Headers, version: Version) -> Result<Hop, Event> {
    let mut named: Vec<String> = Vec::new();
    for field in ["Connection", "Proxy-Connection"] {
        for option in headers.get_all(field).flat_map(list) {
            let option = std::str::from_utf8(option).map_err(|_| Event::FieldValue)?;
            named.push(option.to_ascii_lowercase());
        }
    }
    if named.iter().any(|name| NEEDED.contains(&name.as_str())) {
        return Err(Event::ConnectionNames);
    }
    let says = |option: &str| named.iter().any(|name| name == option);
    let upgrade = says("upgrade").then(|| joined(headers, "Upgrade")).flatten();
    let trailers = headers.get_all("TE").flat_map(list).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
    // RFC 9112, 9.3, in its order.
    let persistent = !says("close") && (version == Version::Http11 || says("keep-alive"));
    for name in HOP.iter().copied().chain(named.iter().map(String::as_str)) {
        headers.remove(name);
    }
    Ok(Hop { persistent, upgrade, trailers })
}

/// All values of a list field as one.
fn joined(headers: &Headers, name: &str) -> Option<Vec<u8>> {
    let values: Vec<&[u8]> = headers.get_all(name).filter(|value| !value.is_empty()).collect();
    (!values.is_empty()).then(|| values.join(&b", "[..]))
}
