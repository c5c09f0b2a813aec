//! A request's head: every rule by which it could be read in two ways, in one place and in order.

use super::connection::{self, Hop};
use super::framing::{self, Body};
use super::target::{self, Completion};
use super::{NO_FIELDS, fault, fields};
use crate::http::event::Event;
use crate::http::headers::Headers;
use crate::http::message::{Request, Version};
use crate::http::method::Method;
use crate::http::url::UrlRules;

/// What may be read how.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct RequestRules {
    /// What completes the URL.
    pub completion: Completion,
    /// What URLs may look like.
    pub url: UrlRules,
    /// GET and HEAD may have a body.
    pub permit_odd_body: bool,
}

/// A request, and what holds for its way over this connection only.
#[derive(Debug)]
pub(in crate::http) struct Asked {
    pub request: Request,
    pub body: Body,
    pub hop: Hop,
    /// The client waits for 100 before it sends the body.
    pub expects: bool,
}

/// Fields that a request has once (RFC 9110, 5.3): of two, one server takes the first and another the last.
const SINGLE: &[&str] =
    &["Content-Type", "Authorization", "Proxy-Authorization", "Expect", "Content-Range", "Range", "Max-Forwards"];

/// Reads a whole head.
pub(in crate::http) fn parse(head: &[u8], rules: &RequestRules) -> Result<Asked, Event> {
    let mut room = NO_FIELDS;
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed.parse_with_uninit_headers(head, &mut room);
    match status.map_err(|error| fault(error, head, Event::RequestLine))? {
        httparse::Status::Complete(read) if read == head.len() => {}
        _ => return Err(Event::RequestLine),
    }
    let method = parsed.method.and_then(|method| Method::parse(method.as_bytes())).ok_or(Event::RequestLine)?;
    let target = parsed.path.filter(|path| !path.is_empty()).ok_or(Event::RequestLine)?.as_bytes();
    let version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let mut headers = fields(parsed.headers, head);
    let stated = framing::stated(&mut headers, version)?;
    single(&headers)?;
    let hop = connection::take(&mut headers, version)?;
    let (form, url) = target::url(&method, target, version, &headers, &rules.completion, &rules.url)?;
    let expects = expects(&mut headers, version)?;
    // RFC 9112, 6.3: "If this is a request message and none of the above are true, then the message body length is zero".
    let body = stated.unwrap_or(Body::None);
    let bare = is_bare(body, &method, rules)?;
    Ok(Asked { request: Request { method, url, version, form, headers }, body, hop, expects: expects && !bare })
}

/// Has it no body? One that has none where its method gives a body no meaning is no request.
pub(super) fn is_bare(body: Body, method: &Method, rules: &RequestRules) -> Result<bool, Event> {
    let bare = matches!(body, Body::None | Body::Length(0));
    let odd = matches!(method.as_str(), "GET" | "HEAD") && rules.permit_odd_body;
    if !bare && !method.has_content() && !odd { Err(Event::BodyUnexpected) } else { Ok(bare) }
}

pub(super) fn single(headers: &Headers) -> Result<(), Event> {
    let twice = SINGLE.iter().any(|name| headers.get_all(name).nth(1).is_some());
    if twice { Err(Event::SingletonTwice) } else { Ok(()) }
}

/// RFC 9110, 10.1.1: other expectations "MAY" be answered by 417; "A server that receives a 100-continue expectation in an
/// HTTP/1.0 request MUST ignore that expectation."
pub(super) fn expects(headers: &mut Headers, version: Version) -> Result<bool, Event> {
    let Some(value) = headers.get("Expect") else { return Ok(false) };
    if !value.eq_ignore_ascii_case(b"100-continue") {
        return Err(Event::Expectation);
    }
    if version == Version::Http10 {
        headers.remove("Expect");
        return Ok(false);
    }
    Ok(true)
}
