//! How long a body is: RFC 9112, 6.3, with every case refused that a server or client could read otherwise.

use crate::http::event::Event;
use crate::http::headers::Headers;
use crate::http::message::Version;

/// Where a message's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Body {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// After the last chunk and the trailers.
    Chunked,
    /// When the sender closes; responses only.
    UntilClose,
}

/// What the fields say; `None`: nothing.
pub(super) fn stated(headers: &mut Headers, version: Version) -> Result<Option<Body>, Event> {
    let chunked = coding(headers, version)?;
    let length = length(headers)?;
    if let Some(name) = lookalike(headers) {
        debug_assert!(name.contains('_'), "a lookalike is spelled with an underscore");
        return Err(Event::Lookalike);
    }
    match (chunked, length) {
        // RFC 9112, 6.3: "Such a message might indicate an attempt to perform request smuggling [...] or response
        // splitting [...] and ought to be handled as an error."
        (true, Some(_)) => Err(Event::LengthAndCoding),
        (true, None) => Ok(Some(Body::Chunked)),
        (false, Some(length)) => Ok(Some(Body::Length(length))),
        (false, None) => Ok(None),
    }
}

/// Is the body chunked? RFC 9112, 6.1: other codings are understood by few, and by each in its own way.
fn coding(headers: &mut Headers, version: Version) -> Result<bool, Event> {
    let mut values = headers.get_all("Transfer-Encoding");
    let Some(value) = values.next() else { return Ok(false) };
    if values.next().is_some() || !value.eq_ignore_ascii_case(b"chunked") {
        return Err(Event::CodingInvalid);
    }
    // RFC 9112, 6.1: "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field
    // MUST treat the message as if the framing is faulty".
    if version == Version::Http10 {
        return Err(Event::CodingInOld);
    }
    drop(values);
    headers.set("Transfer-Encoding", b"chunked").map_err(|_| Event::HeadLong)?;
    Ok(true)
}

/// RFC 9110, 8.6: "Content-Length = 1*DIGIT". Lists and repetitions are refused even where all agree.
fn length(headers: &Headers) -> Result<Option<u64>, Event> {
    let mut values = headers.get_all("Content-Length");
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Event::LengthTwice);
    }
    if value.contains(&b',') {
        return Err(Event::LengthTwice);
    }
    // A leading zero is octal to some; a number beyond 63 bits is negative to some.
    let plain = value.iter().all(u8::is_ascii_digit) && (value == b"0" || value.first() != Some(&b'0'));
    let number = plain.then(|| std::str::from_utf8(value).ok()?.parse::<i64>().ok()).flatten();
    number.and_then(|number| u64::try_from(number).ok()).map(Some).ok_or(Event::LengthInvalid)
}

/// A field that servers which hand fields to programs as `CONTENT_LENGTH` cannot tell from the real one.
fn lookalike(headers: &Headers) -> Option<&str> {
    let alike = |name: &str, real: &str| {
        let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
        name.len() == real.len() && name.bytes().map(fold).eq(real.bytes())
    };
    let names = headers.iter().map(|(name, _)| name).filter(|name| name.contains('_'));
    names.into_iter().find(|name| ["content-length", "transfer-encoding"].iter().any(|real| alike(name, real)))
}
