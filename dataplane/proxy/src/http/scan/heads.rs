//! HTTP heads as a scanner gets them, and what it may give back.
//!
//! A scanner gets what policy has made of a head, without what is said for one hop. It gives back a head that is read
//! by the same rules as any other: a scanner that could write into a connection what it likes would be the weakest part.

use std::io::Write;

use bytes::Bytes;

use crate::http::head::{Answered, Asked, Body, Exchange, RequestRules, parse_request, parse_response};
use crate::http::headers::Headers;
use crate::http::message::{Form, Response};
use crate::icap::Event;

/// The request's head, as to a proxy: RFC 3507, 4.4.2: the URL is what scanners judge by.
pub(super) fn request(asked: &Asked) -> Bytes {
    let request = &asked.request;
    let mut headers = request.headers.clone();
    // Ours are tokens and values; a head that would be too large with them is refused where it is forwarded.
    let host = if request.form == Form::Authority { request.url.to_string() } else { request.url.authority() };
    let _ = headers.set("Host", host.as_bytes());
    frame(&mut headers, asked.body);
    let mut head = Vec::with_capacity(headers.wire_len() + 256);
    let _ = match request.form {
        Form::Asterisk => write!(head, "{} * HTTP/1.1\r\n", request.method),
        _ => write!(head, "{} {} HTTP/1.1\r\n", request.method, request.url),
    };
    finish(head, &headers)
}

/// The response's head.
pub(super) fn response(response: &Response, body: Body) -> Bytes {
    let mut headers = response.headers.clone();
    frame(&mut headers, body);
    let mut head = Vec::with_capacity(headers.wire_len() + 256);
    let _ = write!(head, "HTTP/1.1 {} ", response.status);
    head.extend_from_slice(&response.reason);
    head.extend_from_slice(b"\r\n");
    finish(head, &headers)
}

/// How long the body is, where that is known; how it is framed is no business of the scanner, it gets chunks of ICAP's own.
fn frame(headers: &mut Headers, body: Body) {
    headers.remove("Transfer-Encoding");
    headers.remove("Content-Length");
    if let Body::Length(length) = body {
        let _ = headers.set("Content-Length", length.to_string().as_bytes());
    }
}

fn finish(mut head: Vec<u8>, headers: &Headers) -> Bytes {
    headers.write_to(&mut head);
    head.extend_from_slice(b"\r\n");
    Bytes::from(head)
}

/// A request that the scanner gives back in place of the one it got; how long its body is, if its head says so.
///
/// # Errors
/// It is no request, or another one than was asked about: what policy has decided does not hold for it.
pub(super) fn changed_request(
    head: &[u8],
    body: bool,
    rules: &RequestRules,
    asked: &mut Asked,
) -> Result<Option<u64>, Event> {
    let rules = RequestRules { permit_odd_body: true, ..*rules };
    let mut changed = parse_request(head, &rules).map_err(|_| Event::MessageInvalid)?;
    if changed.request.method != asked.request.method || changed.request.url != asked.request.url {
        return Err(Event::Redirected);
    }
    let host = asked.request.headers.get("Host").map(<[u8]>::to_vec);
    match host {
        Some(host) => changed.request.headers.set("Host", &host).map_err(|_| Event::MessageInvalid)?,
        None => drop(changed.request.headers.remove("Host")),
    }
    changed.request.headers.remove("Expect");
    asked.request.headers = changed.request.headers;
    let length = length(changed.body);
    asked.body = match behind(body, length) {
        Some(behind) => behind,
        None if asked.body == Body::None => Body::None,
        None => Body::Length(0),
    };
    Ok(length.filter(|_| body))
}

/// A response that the scanner gives back; how long its body is, if its head says so.
///
/// # Errors
/// It is no response.
pub(super) fn changed_response(head: &[u8], body: bool, answered: &mut Answered) -> Result<Option<u64>, Event> {
    let changed = parse_response(head, Exchange::Other).map_err(|_| Event::MessageInvalid)?;
    let status = changed.response.status;
    if status < 200 || (body && changed.body == Body::None) {
        return Err(Event::MessageInvalid);
    }
    let bodiless = changed.body == Body::None;
    let length = length(changed.body);
    answered.response = changed.response;
    answered.body = behind(body, length).unwrap_or(if bodiless { Body::None } else { Body::Length(0) });
    Ok(length.filter(|_| body))
}

fn length(body: Body) -> Option<u64> {
    match body {
        Body::Length(length) => Some(length),
        _ => None,
    }
}

/// How a body from the scanner is said to the receiver; `None`: there is none.
fn behind(body: bool, length: Option<u64>) -> Option<Body> {
    match (body, length) {
        (false, _) => None,
        (true, Some(length)) => Some(Body::Length(length)),
        (true, None) => Some(Body::Chunked),
    }
}
