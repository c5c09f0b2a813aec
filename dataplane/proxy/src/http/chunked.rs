//! The chunked coding, decoded in place: RFC 9112, 7.1. What is passed on is framed anew, so that nobody after us sees
//! extensions, odd sizes or trailers that were not meant to pass.
//!
//! ```text
//! Size ──digits──→ Size ──;──→ Extension ──CR──→ SizeLf ──LF──→ Data(n) ──→ DataCr ──→ DataLf ──→ Size
//!                   └──────────CR─────────────────┘ └─LF, size 0─→ Trailers ──(empty line)──→ Done
//! ```

use super::event::Event;
use super::headers::Headers;
use super::limits::{CHUNK_DIGITS_MAX, CHUNK_EXTENSION_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX};

/// A decoder in the middle of a body.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Digits, or bytes of an extension, so far.
    count: usize,
    size: u64,
    trailers: Vec<u8>,
    /// Where the trailer line begins that is not yet complete.
    line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
    Done,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Framing only; more is needed.
    More,
    /// A chunk of so many bytes begins.
    Begin(u64),
    /// So many bytes of data.
    Data(usize),
    /// The body is over.
    End,
}

impl Chunked {
    pub(super) fn new() -> Chunked {
        Chunked { state: State::Size, count: 0, size: 0, trailers: Vec::new(), line: 0 }
    }

    /// Looks at the next bytes: how many belong to the piece, and what it is.
    pub(super) fn next(&mut self, input: &[u8]) -> Result<(usize, Piece), Event> {
        if self.state == State::Data {
            let data = usize::try_from(self.size).unwrap_or(usize::MAX).min(input.len());
            self.size -= data as u64;
            if self.size == 0 {
                self.state = State::DataCr;
            }
            return Ok((data, if data == 0 { Piece::More } else { Piece::Data(data) }));
        }
        for (at, byte) in input.iter().enumerate() {
            match self.step(*byte)? {
                Piece::More => {}
                piece => return Ok((at + 1, piece)),
            }
        }
        Ok((input.len(), Piece::More))
    }

    /// Bytes that are left of the chunk whose data comes next.
    pub(super) fn left(&self) -> u64 {
        if self.state == State::Data { self.size } else { 0 }
    }

    /// The trailer section of a body that is over.
    pub(super) fn trailers(&self) -> Result<Headers, Event> {
        let mut room = [httparse::EMPTY_HEADER; TRAILER_FIELDS_MAX];
        let parsed = httparse::parse_headers(&self.trailers, &mut room);
        match parsed.map_err(|_| Event::TrailerInvalid)? {
            httparse::Status::Complete((read, fields)) if read == self.trailers.len() => {
                Ok(super::head::fields(fields, &self.trailers))
            }
            _ => Err(Event::TrailerInvalid),
        }
    }

    /// One byte that is no data.
    fn step(&mut self, byte: u8) -> Result<Piece, Event> {
        match (self.state, byte) {
            (State::Size, b'\r') if self.count > 0 => self.state = State::SizeLf,
            (State::Size, b';') if self.count > 0 => {
                self.state = State::Extension;
                self.count = 0;
            }
            (State::Size, digit) => self.digit(digit)?,
            (State::Extension, b'\r') => self.state = State::SizeLf,
            (State::Extension, byte) => self.extension(byte)?,
            (State::SizeLf, b'\n') => {
                self.count = 0;
                self.state = if self.size == 0 { State::Trailers } else { State::Data };
                if self.size > 0 {
                    return Ok(Piece::Begin(self.size));
                }
            }
            (State::SizeLf, _) => return Err(Event::BareCr),
            (State::DataCr, b'\r') => self.state = State::DataLf,
            (State::DataLf, b'\n') => self.state = State::Size,
            (State::DataCr | State::DataLf, _) => return Err(Event::ChunkEnd),
            (State::Trailers, byte) => return self.trailer(byte),
            (State::Data | State::Done, _) => unreachable!("data and the end are no framing"),
        }
        Ok(Piece::More)
    }

    /// RFC 9112, 7.1: "chunk-size = 1*HEXDIG"; "recipients MUST anticipate potentially large hexadecimal numerals".
    fn digit(&mut self, byte: u8) -> Result<(), Event> {
        let digit = match char::from(byte).to_digit(16) {
            Some(digit) => u64::from(digit),
            None if byte == b'\n' && self.count > 0 => return Err(Event::BareLf),
            None => return Err(Event::ChunkSize),
        };
        // Beyond 63 bits a size is negative to some.
        if self.count == CHUNK_DIGITS_MAX || self.size >> 59 != 0 {
            return Err(Event::ChunkSize);
        }
        self.count += 1;
        self.size = self.size << 4 | digit;
        Ok(())
    }

    /// RFC 9112, 7.1.1: "A recipient MUST ignore unrecognized chunk extensions" but "ought to limit the total length". One
    /// with a bare LF ends there for some parsers.
    fn extension(&mut self, byte: u8) -> Result<(), Event> {
        self.count += 1;
        let good = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        if !good || self.count > CHUNK_EXTENSION_MAX {
            return Err(if byte == b'\n' { Event::BareLf } else { Event::ChunkExtension });
        }
        Ok(())
    }

    fn trailer(&mut self, byte: u8) -> Result<Piece, Event> {
        if self.trailers.len() == TRAILER_BYTES_MAX {
            return Err(Event::TrailerInvalid);
        }
        self.trailers.push(byte);
        if byte != b'\n' {
            return Ok(Piece::More);
        }
        let line = &self.trailers[self.line..];
        let Some(line) = line.strip_suffix(b"\r\n") else { return Err(Event::BareLf) };
        if line.contains(&b'\r') {
            return Err(Event::BareCr);
        }
        self.line = self.trailers.len();
        if line.is_empty() {
            self.state = State::Done;
            return Ok(Piece::End);
        }
        Ok(Piece::More)
    }
}

#[cfg(test)]
mod tests;
