//! A response's head, and by which request and status its body is framed: RFC 9112, 6.3.

use super::connection::{self, Hop};
use super::framing::{self, Body};
use super::{NO_FIELDS, fault, fields};
use crate::http::event::Event;
use crate::http::headers::Headers;
use crate::http::message::{Response, Version};

/// What the response answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Exchange {
    /// A HEAD: no body, whatever the fields say.
    Head,
    /// A CONNECT of our own to a parent proxy: after a 2xx there is a tunnel.
    Connect,
    /// Any other request.
    Other,
}

/// A response, and what holds for its way over this connection only.
#[derive(Debug)]
pub(in crate::http) struct Answered {
    pub response: Response,
    pub body: Body,
    pub hop: Hop,
}

/// Reads a whole head.
pub(in crate::http) fn parse(head: &[u8], to: Exchange) -> Result<Answered, Event> {
    let mut room = NO_FIELDS;
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let status = config.parse_response_with_uninit_headers(&mut parsed, head, &mut room);
    match status.map_err(|error| fault(error, head, Event::StatusLine))? {
        httparse::Status::Complete(read) if read == head.len() => {}
        _ => return Err(Event::StatusLine),
    }
    let code = parsed.code.filter(|code| (100..600).contains(code)).ok_or(Event::StatusLine)?;
    let version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let reason = reason(head);
    let mut headers = fields(parsed.headers, head);
    let stated = framing::stated(&mut headers, version)?;
    first_only(&mut headers)?;
    let hop = connection::take(&mut headers, version)?;
    let body = body(stated, code, to, &mut headers)?;
    Ok(Answered { response: Response { version, status: code, reason, headers }, body, hop })
}

/// RFC 9112, 6.3, in its order.
pub(super) fn body(stated: Option<Body>, code: u16, to: Exchange, headers: &mut Headers) -> Result<Body, Event> {
    if matches!(code, 100..200 | 204) {
        // RFC 9110, 8.6, 15.2: "A server MUST NOT send a Content-Length header field in any response with a status code of
        // 1xx (Informational) or 204 (No Content)"; RFC 9112, 6.1 says the same of Transfer-Encoding.
        match stated {
            None => {}
            Some(Body::Length(0)) => drop(headers.remove("Content-Length")),
            Some(_) => return Err(Event::BodyUnexpected),
        }
        return Ok(Body::None);
    }
    if to == Exchange::Connect && (200..300).contains(&code) {
        headers.remove("Content-Length");
        headers.remove("Transfer-Encoding");
        return Ok(Body::None);
    }
    if to == Exchange::Head || code == 304 {
        return Ok(Body::None);
    }
    // RFC 9110, 15.3.6: "a server MUST NOT generate content in a 205 response"; zero and an empty chunked body are its ways.
    if code == 205 {
        return match stated {
            Some(Body::Length(0)) => Ok(Body::None),
            Some(Body::Chunked) => Ok(Body::Chunked),
            _ => Err(Event::BodyUnexpected),
        };
    }
    // "Otherwise, this is a response message without a declared message body length, so the message body length is
    // determined by the number of octets received prior to the server closing the connection."
    Ok(stated.unwrap_or(Body::UntilClose))
}

/// As it came: `httparse` gives an empty one where it has bytes beyond ASCII.
fn reason(head: &[u8]) -> Vec<u8> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    line.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default().to_vec()
}

/// Where servers of today repeat what has one meaning only, the first copy stays; where it decides, they are refused.
pub(super) fn first_only(headers: &mut Headers) -> Result<(), Event> {
    if headers.get_all("Location").nth(1).is_some() {
        return Err(Event::SingletonTwice);
    }
    if headers.get_all("Content-Type").nth(1).is_some() {
        let first = headers.get("Content-Type").unwrap_or_default().to_vec();
        headers.set("Content-Type", &first).map_err(|_| Event::HeadLong)?;
    }
    Ok(())
}
