//! Heads of HTTP/2 as HTTP/1's: the same request and response come of them, and the same rules hold for what they say.
//!
//! The library has refused what RFC 9113, 8.2 and 8.3 call malformed (capital letters, fields of one connection, pseudo-fields
//! that are missing, twice, or behind others), and holds Content-Length against the DATA that comes. What is left is here: the
//! service's bounds, Host against `:authority`, values with blanks around them, and everything that HTTP/1 is asked.

use http::{HeaderMap, request, response};

use super::framing::{self, Body};
use super::request::{Asked, RequestRules, expects, is_bare, single};
use super::response::{Answered, Exchange, body, first_only};
use super::{HeadLimits, connection::Hop, target};
use crate::http::event::Event;
use crate::http::headers::{Headers, is_token, is_value, list};
use crate::http::message::{Request, Response, Version};
use crate::http::method::Method;

/// Reads a request; `ended`: nothing follows its head.
pub(in crate::http) fn asked(
    head: &request::Parts,
    ended: bool,
    rules: &RequestRules,
    limits: &HeadLimits,
) -> Result<Asked, Event> {
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let path = head.uri.path_and_query().map(|path| path.as_str().as_bytes());
    let target = path.unwrap_or_default();
    bounded(head.method.as_str().len() + target.len(), &head.headers, limits)?;
    let method = Method::parse(head.method.as_str().as_bytes()).ok_or(Event::RequestLine)?;
    // Only a request with both tells its scheme; without an authority there is nothing to tell it of.
    let scheme = head.uri.scheme_str().filter(|_| method != Method::CONNECT);
    if scheme.is_some_and(|scheme| !scheme.eq_ignore_ascii_case(rules.completion.scheme.as_str())) {
        return Err(Event::SchemeDiffers);
    }
    let mut headers = fields(&head.headers)?;
    host(&mut headers, authority, rules)?;
    crumbs(&mut headers)?;
    let stated = framing::stated(&mut headers, Version::Http2)?;
    single(&headers)?;
    let hop = hop(&mut headers);
    let (form, url) = match target {
        _ if method == Method::CONNECT => {
            let authority = authority.ok_or(Event::TargetInvalid)?;
            target::url(&method, authority, Version::Http2, &headers, &rules.completion, &rules.url)?
        }
        // RFC 9113, 8.3.1: ":path" is "the path and query parts of the target URI", or "*".
        [b'/', ..] | b"*" => target::url(&method, target, Version::Http2, &headers, &rules.completion, &rules.url)?,
        _ => return Err(Event::TargetInvalid),
    };
    let expects = expects(&mut headers, Version::Http2)?;
    let body = unstated(stated, ended);
    let bare = is_bare(body, &method, rules)?;
    let request = Request { method, url, version: Version::Http2, form, headers };
    Ok(Asked { request, body, hop, expects: expects && !bare })
}

/// Reads a response; `ended`: nothing follows its head.
pub(in crate::http) fn answered(
    head: &response::Parts,
    ended: bool,
    to: Exchange,
    limits: &HeadLimits,
) -> Result<Answered, Event> {
    bounded(0, &head.headers, limits)?;
    let status = head.status.as_u16();
    // RFC 9113, 8.6: "HTTP/2 does not support the 101 (Switching Protocols) informational status code".
    match status {
        101 => return Err(Event::UpgradeUnasked),
        100..600 => {}
        _ => return Err(Event::StatusLine),
    }
    let mut headers = fields(&head.headers)?;
    let stated = framing::stated(&mut headers, Version::Http2)?;
    first_only(&mut headers)?;
    let hop = hop(&mut headers);
    let bare = matches!(status, 205) && ended && stated.is_none();
    let body = if bare { Body::None } else { body(stated, status, to, &mut headers)? };
    let body = if body == Body::UntilClose { unstated(None, ended) } else { body };
    Ok(Answered { response: Response { version: Version::Http2, status, reason: Vec::new(), headers }, body, hop })
}

/// Fields in our own form.
pub(in crate::http) fn fields(map: &HeaderMap) -> Result<Headers, Event> {
    let bytes = map.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let mut headers = Headers::with_capacity(bytes, map.len());
    for (name, value) in map {
        if !is_token(name.as_str().as_bytes()) {
            return Err(Event::FieldName);
        }
        // RFC 9113, 8.2.1: "A field value MUST NOT start or end with an ASCII whitespace character".
        if !is_value(value.as_bytes()) {
            return Err(Event::FieldValue);
        }
        headers.push(name.as_str().as_bytes(), value.as_bytes());
    }
    Ok(headers)
}

/// A head that is as large in HTTP/1 must pass there, too: RFC 9113, 6.5.2 has another measure, which the library applies.
fn bounded(first_line: usize, map: &HeaderMap, limits: &HeadLimits) -> Result<(), Event> {
    if first_line > limits.first_line {
        return Err(Event::UrlLong);
    }
    if map.len() > limits.fields {
        return Err(Event::FieldsMany);
    }
    let mut bytes = first_line;
    for (name, value) in map {
        let line = name.as_str().len() + value.len() + 2;
        if line > limits.line {
            return Err(Event::LineLong);
        }
        bytes += line + 2;
    }
    if bytes > limits.bytes { Err(Event::HeadLong) } else { Ok(()) }
}

/// One Host, whichever way it was said: scripts and policy see what HTTP/1 would have said.
///
/// RFC 9113, 8.3.1: "a server SHOULD treat a request as malformed if it contains a Host header field that identifies an
/// entity that differs from the entity in the `:authority` pseudo-header field."
fn host(headers: &mut Headers, authority: Option<&[u8]>, rules: &RequestRules) -> Result<(), Event> {
    let Some(authority) = authority else { return Ok(()) };
    let canonical = |text: &[u8]| {
        let (name, port) = crate::http::url::authority_of(text, &rules.url).map_err(|_| Event::HostInvalid)?;
        Ok((name, port.unwrap_or(rules.completion.scheme.default_port())))
    };
    let named = canonical(authority)?;
    if headers.get_all("Host").nth(1).is_some() {
        return Err(Event::HostTwice);
    }
    if let Some(host) = headers.get("Host")
        && canonical(host)? != named
    {
        return Err(Event::HostDiffers);
    }
    headers.set("Host", authority).map_err(|_| Event::HeadLong)
}

/// RFC 9113, 8.2.3: Cookie may come in several fields, which "MUST be concatenated into a single octet string using the
/// two-octet delimiter of 0x3b, 0x20" before anybody who does not speak HTTP/2 sees them.
fn crumbs(headers: &mut Headers) -> Result<(), Event> {
    if headers.get_all("Cookie").nth(1).is_none() {
        return Ok(());
    }
    let cookies: Vec<&[u8]> = headers.get_all("Cookie").collect();
    let cookie = cookies.join(&b"; "[..]);
    headers.set("Cookie", &cookie).map_err(|_| Event::HeadLong)
}

/// What is for this hop only. The library lets pass no other value of TE than `trailers`.
fn hop(headers: &mut Headers) -> Hop {
    let trailers = headers.get_all("TE").flat_map(list).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
    headers.remove("TE");
    headers.remove("HTTP2-Settings");
    Hop { persistent: true, upgrade: None, trailers }
}

/// Where no length is said, the stream's end is the body's.
fn unstated(stated: Option<Body>, ended: bool) -> Body {
    match stated {
        Some(body) => body,
        None if ended => Body::None,
        None => Body::Chunked,
    }
}
