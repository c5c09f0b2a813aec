//! The request-target in its four forms (RFC 9112, 3.2) together with Host: one absolute URL, or none.

use std::net::SocketAddr;

use crate::http::event::Event;
use crate::http::headers::Headers;
use crate::http::message::{Form, Version};
use crate::http::method::Method;
use crate::http::url::{Scheme, Url, UrlFault, UrlRules, authority_of, canonical_path};

/// What a URL is completed by where the request does not say it.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Completion {
    /// Of an origin form.
    pub scheme: Scheme,
    /// The server that the client addressed, for HTTP/1.0 without Host.
    pub server: SocketAddr,
    /// Whether HTTP/1.0 must have a Host as well.
    pub require_host: bool,
}

/// The URL that is asked for.
pub(super) fn url(
    method: &Method,
    target: &[u8],
    version: Version,
    headers: &Headers,
    by: &Completion,
    rules: &UrlRules,
) -> Result<(Form, Url), Event> {
    let host = host(headers, version, by, rules)?;
    match target {
        // RFC 9112, 3.2.3: "When making a CONNECT request [...] a client MUST send only the host and port".
        _ if *method == Method::CONNECT => {
            let (name, port) = authority_of(target, rules).map_err(|_| Event::TargetInvalid)?;
            let url = Url::of(Scheme::Http, name, port.ok_or(Event::TargetInvalid)?, String::new());
            // Clients differ on whether Host has the port here; the name is the same.
            if host.is_some_and(|(name, _)| name != url.host()) {
                return Err(Event::HostDiffers);
            }
            Ok((Form::Authority, url))
        }
        [b'/', ..] => {
            let path = canonical_path(target, rules).map_err(fault)?;
            Ok((Form::Origin, completed(host, by, path)))
        }
        // RFC 9112, 3.2.4: "the asterisk-form of request-target is only used for a server-wide OPTIONS request".
        b"*" if *method == Method::OPTIONS => Ok((Form::Asterisk, completed(host, by, "*".to_owned()))),
        b"*" => Err(Event::TargetInvalid),
        target => {
            let url = Url::parse(target, rules).map_err(|error| match error {
                UrlFault::Scheme => Event::TargetInvalid,
                error => fault(error),
            })?;
            // RFC 9112, 3.2.2: "a proxy [...] MUST ignore the received Host header field (if any) and instead replace it":
            // who does not would see another host.
            let same = host.is_none_or(|(name, port)| {
                name == url.host() && port.unwrap_or(url.scheme().default_port()) == url.port()
            });
            if same { Ok((Form::Absolute, url)) } else { Err(Event::HostDiffers) }
        }
    }
}

/// RFC 9112, 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a
/// Host header field and to any request message that contains more than one Host header field line or a Host header
/// field with an invalid field value."
fn host(
    headers: &Headers,
    version: Version,
    by: &Completion,
    rules: &UrlRules,
) -> Result<Option<(String, Option<u16>)>, Event> {
    let mut values = headers.get_all("Host");
    let Some(value) = values.next() else {
        let must = version != Version::Http10 || by.require_host;
        return if must { Err(Event::HostMissing) } else { Ok(None) };
    };
    if values.next().is_some() {
        return Err(Event::HostTwice);
    }
    authority_of(value, rules).map(Some).map_err(|_| Event::HostInvalid)
}

/// RFC 9110, 7.1: the target's absolute form.
fn completed(host: Option<(String, Option<u16>)>, by: &Completion, target: String) -> Url {
    let (name, port) = host.unwrap_or_else(|| {
        let name = match by.server {
            SocketAddr::V4(server) => server.ip().to_string(),
            SocketAddr::V6(server) => format!("[{}]", server.ip()),
        };
        (name, Some(by.server.port()))
    });
    Url::of(by.scheme, name, port.unwrap_or(by.scheme.default_port()), target)
}

fn fault(error: UrlFault) -> Event {
    match error {
        UrlFault::Long => Event::UrlLong,
        _ => Event::UrlInvalid,
    }
}
