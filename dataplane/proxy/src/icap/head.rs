//! The head of a scanner's answer: RFC 3507, 4.3 and 4.4. What it encapsulates is read by who asked.

use super::event::Event;
use super::limits::{FIELDS_MAX, HEAD_BYTES_MAX};
use crate::http::Headers;
use crate::http::limits::HEAD_BYTES_MAX as MESSAGE_HEAD_MAX;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// From 100 to 599.
    pub status: u16,
    /// Its fields; continued lines are one.
    pub headers: Headers,
    /// Another request may follow on this connection.
    pub persistent: bool,
    /// What comes behind it.
    pub encapsulated: Encapsulated,
}

/// The parts behind a head: at most an HTTP head and a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encapsulated {
    /// Whose head it is.
    pub part: Option<Part>,
    /// The head's length in bytes.
    pub head: usize,
    /// A body in chunks follows.
    pub body: bool,
}

/// Whose head is encapsulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// `req-hdr`.
    Request,
    /// `res-hdr`.
    Response,
}

/// A head on its way in.
#[derive(Debug, Default)]
pub struct Collector {
    bytes: Vec<u8>,
}

impl Collector {
    /// Has nothing come yet?
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes bytes of a stream; how many of them belong to the head, once it is whole.
    ///
    /// # Errors
    /// It is too large.
    pub fn feed(&mut self, input: &[u8]) -> Result<Option<usize>, Event> {
        let before = self.bytes.len();
        let room = HEAD_BYTES_MAX - before;
        self.bytes.extend_from_slice(&input[..input.len().min(room)]);
        let from = before.saturating_sub(3);
        if let Some(at) = memchr::memmem::find(&self.bytes[from..], b"\r\n\r\n") {
            let end = from + at + 4;
            self.bytes.truncate(end);
            return Ok(Some(end - before));
        }
        if input.len() >= room { Err(Event::HeadLarge) } else { Ok(None) }
    }

    /// What the whole head says.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(&self) -> Result<Head, Event> {
        parse(&self.bytes)
    }
}

/// Reads a whole head, with the empty line at its end.
///
/// # Errors
/// It is none.
pub fn parse(bytes: &[u8]) -> Result<Head, Event> {
    let bytes = bytes.strip_suffix(b"\r\n\r\n").ok_or(Event::HeadInvalid)?;
    let mut lines = lines(bytes)?.into_iter();
    let status = status(&lines.next().unwrap_or_default())?;
    let mut headers = Headers::new();
    for line in lines {
        let colon = memchr::memchr(b':', &line).ok_or(Event::HeadInvalid)?;
        let name = std::str::from_utf8(&line[..colon]).map_err(|_| Event::HeadInvalid)?;
        headers.insert(name, line[colon + 1..].trim_ascii()).map_err(|_| Event::HeadInvalid)?;
    }
    let persistent = !headers.get_all("Connection").any(|value| value.eq_ignore_ascii_case(b"close"));
    let encapsulated = match headers.get("Encapsulated") {
        Some(value) => encapsulated(value)?,
        None => Encapsulated::default(),
    };
    Ok(Head { status, headers, persistent, encapsulated })
}

/// Lines with those that continue them: `X-Violations-Found` has its value on many (draft-stecher-icap-subid, 3.4).
fn lines(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Event> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        if let Some(last) = lines.last_mut().filter(|_| continues) {
            last.push(b' ');
            last.extend_from_slice(line.trim_ascii());
        } else if lines.len() > FIELDS_MAX {
            return Err(Event::HeadLarge);
        } else {
            lines.push(line.to_vec());
        }
    }
    Ok(lines)
}

/// `ICAP/1.0 200 OK`.
fn status(line: &[u8]) -> Result<u16, Event> {
    let rest = line.strip_prefix(b"ICAP/1.0 ").ok_or(Event::HeadInvalid)?;
    let (digits, reason) = rest.split_at_checked(3).ok_or(Event::HeadInvalid)?;
    let plain = digits.iter().all(u8::is_ascii_digit) && matches!(reason.first(), None | Some(b' '));
    let status = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    status.filter(|status| plain && (100..600).contains(status)).ok_or(Event::HeadInvalid)
}

/// RFC 3507, 4.4.1: "encapsulated-list = encapsulated-entity *( "," encapsulated-entity )", with the offset of each.
fn encapsulated(value: &[u8]) -> Result<Encapsulated, Event> {
    let text = std::str::from_utf8(value).map_err(|_| Event::EncapsulatedInvalid)?;
    let mut parts = text.split(',').map(|part| {
        let (name, offset) = part.trim().split_once('=')?;
        let plain = !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_digit());
        Some((name, offset.parse::<usize>().ok().filter(|_| plain)?))
    });
    let mut next = || parts.next().map(|part| part.ok_or(Event::EncapsulatedInvalid)).transpose();
    let first = next()?.ok_or(Event::EncapsulatedInvalid)?;
    let (part, last) = match first {
        ("req-hdr", 0) => (Some(Part::Request), next()?),
        ("res-hdr", 0) => (Some(Part::Response), next()?),
        other => (None, Some(other)),
    };
    let (name, head) = last.ok_or(Event::EncapsulatedInvalid)?;
    let fits = matches!(
        (part, name),
        (_, "null-body")
            | (Some(Part::Request) | None, "req-body")
            | (Some(Part::Response) | None, "res-body")
            | (None, "opt-body")
    );
    if !fits || next()?.is_some() || head > MESSAGE_HEAD_MAX || (part.is_none() && head != 0) {
        return Err(Event::EncapsulatedInvalid);
    }
    Ok(Encapsulated { part, head, body: name != "null-body" })
}
