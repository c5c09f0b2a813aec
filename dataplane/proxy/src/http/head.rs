//! Heads from the wire: where one ends, whether every parser would see the same lines, and what they say.
//!
//! `httparse` finds names and values; before and after it stand the rules by which a head is refused that others could
//! read otherwise. A head is collected line by line, so that what is wrong with its first line is told before the last
//! has come, and nothing longer than its bounds is ever held.

mod connection;
mod framing;
mod request;
mod response;
mod target;
pub(super) mod two;

use memchr::memchr;

pub(super) use framing::Body;
pub(super) use request::{Asked, RequestRules, parse as parse_request};
pub(super) use response::{Answered, Exchange, parse as parse_response};
pub(super) use target::Completion;

use super::event::Event;
use super::headers::Headers;
use super::limits::{EMPTY_LINES_MAX, FIELDS_DEFAULT, FIELDS_MAX, HEAD_DEFAULT, LINE_DEFAULT, URL_DEFAULT};

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the first line.
    pub first_line: usize,
    /// Bytes of each other line.
    pub line: usize,
    /// Bytes of all.
    pub bytes: usize,
    /// Header lines.
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits { first_line: URL_DEFAULT, line: LINE_DEFAULT, bytes: HEAD_DEFAULT, fields: FIELDS_DEFAULT }
    }
}

/// A head on its way in.
#[derive(Debug)]
pub(super) struct Collector {
    bytes: Vec<u8>,
    limits: HeadLimits,
    /// Where the line begins that is not yet complete.
    line: usize,
    /// Complete lines so far.
    lines: usize,
    /// Empty lines skipped before the first; a response has none.
    empty: usize,
    skips_empty: bool,
}

impl Collector {
    pub(super) fn request(limits: HeadLimits) -> Collector {
        Collector { bytes: Vec::new(), limits, line: 0, lines: 0, empty: 0, skips_empty: true }
    }

    pub(super) fn response(limits: HeadLimits) -> Collector {
        Collector { skips_empty: false, ..Collector::request(limits) }
    }

    /// Has nothing come yet, not even an empty line?
    pub(super) fn is_untouched(&self) -> bool {
        self.bytes.is_empty() && self.empty == 0
    }

    /// Takes bytes of a stream; how many of them belong to the head, once it is whole.
    pub(super) fn feed(&mut self, mut input: &[u8]) -> Result<Option<usize>, Event> {
        let mut taken = 0;
        while let Some(end) = memchr(b'\n', input) {
            let (line, rest) = input.split_at(end + 1);
            taken += line.len();
            input = rest;
            if self.end_line(line)? {
                return Ok(Some(taken));
            }
        }
        self.take(input)?;
        Ok(None)
    }

    /// The head as it came, with the empty line at its end.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The rest of a line; `true` when it is the empty one that ends the head.
    fn end_line(&mut self, rest: &[u8]) -> Result<bool, Event> {
        self.take(rest)?;
        let line = &self.bytes[self.line..];
        // RFC 9112, 2.2: "a recipient MAY recognize a single LF as a line terminator": those who do see other lines
        // than those who do not.
        let Some(line) = line.strip_suffix(b"\r\n") else { return Err(Event::BareLf) };
        if memchr(b'\r', line).is_some() {
            return Err(Event::BareCr);
        }
        let empty = line.is_empty();
        if empty && self.lines == 0 {
            if !self.skips_empty {
                return Err(Event::StatusLine);
            }
            if self.empty == EMPTY_LINES_MAX {
                return Err(Event::EmptyLines);
            }
            self.empty += 1;
            self.bytes.clear();
            return Ok(false);
        }
        self.line = self.bytes.len();
        self.lines += 1;
        if self.lines > self.limits.fields + 1 && !empty {
            return Err(Event::FieldsMany);
        }
        Ok(empty)
    }

    /// More of the line, unless that makes it or the head too long.
    fn take(&mut self, more: &[u8]) -> Result<(), Event> {
        let line = self.bytes.len() - self.line + more.len();
        if self.lines == 0 && line > self.limits.first_line + 2 {
            return Err(if self.skips_empty { Event::UrlLong } else { Event::LineLong });
        }
        if self.lines > 0 && line > self.limits.line + 2 {
            return Err(Event::LineLong);
        }
        if self.bytes.len() + more.len() > self.limits.bytes {
            return Err(Event::HeadLong);
        }
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(more.len().clamp(512, 2048));
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }
}

/// The fields that a parser found, in our own form.
pub(super) fn fields(parsed: &[httparse::Header<'_>], head: &[u8]) -> Headers {
    let mut headers = Headers::with_capacity(head.len(), parsed.len());
    for field in parsed {
        // RFC 9110, 5.5: "field values with leading or trailing whitespace [are] parsed without it".
        headers.push(field.name.as_bytes(), field.value.trim_ascii());
    }
    headers
}

/// Room for what the parser finds; on the stack of who parses.
const NO_FIELDS: [std::mem::MaybeUninit<httparse::Header<'_>>; FIELDS_MAX] =
    [const { std::mem::MaybeUninit::uninit() }; FIELDS_MAX];

/// What it was that the parser did not like, for the counter and the page.
fn fault(error: httparse::Error, head: &[u8], first_line: Event) -> Event {
    match error {
        httparse::Error::HeaderName => name_fault(head),
        httparse::Error::HeaderValue => Event::FieldValue,
        httparse::Error::NewLine | httparse::Error::Status | httparse::Error::Token => first_line,
        httparse::Error::TooManyHeaders => Event::FieldsMany,
        httparse::Error::Version => version_fault(head, first_line),
    }
}

/// A line that has no name before its colon.
fn name_fault(head: &[u8]) -> Event {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.is_empty());
    for line in lines {
        if matches!(line[0], b' ' | b'\t') {
            return Event::Fold;
        }
        let Some(colon) = memchr(b':', line) else { return Event::NoColon };
        let name = &line[..colon];
        if name.is_empty() {
            return Event::NoColon;
        }
        if matches!(name[name.len() - 1], b' ' | b'\t') {
            return Event::SpaceBeforeColon;
        }
        if !super::headers::is_token(name) {
            return Event::FieldName;
        }
    }
    Event::FieldName
}

/// `HTTP/2.0` is a version that is not served; `HTTP/1.1 ` or `HTCPCP/1.0` is no version at all.
fn version_fault(head: &[u8], first_line: Event) -> Event {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let word = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let is_version = !matches!(word, b"HTTP/1.0" | b"HTTP/1.1")
        && matches!(word, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit());
    let is_status = head.starts_with(b"HTTP/");
    if is_version || is_status { Event::Version } else { first_line }
}

#[cfg(test)]
mod tests;
