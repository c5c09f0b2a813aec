//! Lines of a control connection: RFC 959 has them end in CR LF and takes Telnet's bytes (RFC 854) for granted.
//!
//! What must hold, because two ends that read one line differently can be made to disagree about commands:
//! - a line ends in CR LF and in nothing else; CR or LF alone is a violation, and so is NUL;
//! - Telnet sequences are taken out; a doubled 255 is one byte of data, and is doubled again when it is written;
//! - what a line may take, on the wire and of memory, is bounded, options included.
//!
//! Left out: answering to options (RFC 1123 4.1.2.12: "A Server-FTP … MUST be capable of ignoring" them), and urgent data,
//! which our streams do not have: the Synch of an ABOR arrives in line, as the two bytes that it is.

use bytes::Bytes;

use super::limits::WIRE_BYTES_PER_BYTE;

const NUL: u8 = 0;
const LF: u8 = b'\n';
const CR: u8 = b'\r';
/// "Interpret as command", and what may follow it.
const IAC: u8 = 255;
const SB: u8 = 250;
const SE: u8 = 240;
const WILL: u8 = 251;
const DONT: u8 = 254;

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// More bytes than may be, or more on the wire.
    TooLong,
    /// CR without LF, LF without CR, or NUL.
    BadEnd,
}

/// Puts a line together from what comes in.
#[derive(Debug)]
pub struct LineReader {
    line: Vec<u8>,
    state: State,
    wire: usize,
    max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    /// After CR.
    End,
    /// After IAC.
    Command,
    /// After IAC WILL, WONT, DO or DONT: the option follows.
    Option,
    /// Between IAC SB and IAC SE.
    Negotiation,
    /// After IAC in there.
    NegotiationCommand,
}

impl LineReader {
    /// For lines of at most `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> LineReader {
        LineReader { line: Vec::new(), state: State::Text, wire: 0, max }
    }

    /// Has part of a line come?
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.wire > 0
    }

    /// Takes bytes to the end of the line; says how many, and the line if it has ended.
    ///
    /// # Errors
    /// The line is none; nothing is to be read after it.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Vec<u8>>), LineError> {
        let mut at = 0;
        while at < bytes.len() {
            if self.state == State::Text {
                let plain = plain_bytes(&bytes[at..]);
                self.text(&bytes[at..at + plain])?;
                at += plain;
            }
            let Some(byte) = bytes.get(at) else { break };
            at += 1;
            self.wire += 1;
            if self.step(*byte)? {
                self.state = State::Text;
                self.wire = 0;
                return Ok((at, Some(std::mem::take(&mut self.line))));
            }
            if self.wire > self.max * WIRE_BYTES_PER_BYTE {
                return Err(LineError::TooLong);
            }
        }
        Ok((at, None))
    }

    fn text(&mut self, text: &[u8]) -> Result<(), LineError> {
        if memchr::memchr(NUL, text).is_some() {
            return Err(LineError::BadEnd);
        }
        self.wire += text.len();
        if self.line.len() + text.len() > self.max {
            return Err(LineError::TooLong);
        }
        self.line.extend_from_slice(text);
        Ok(())
    }

    /// One byte that is not plain text; `true` when the line ends with it.
    fn step(&mut self, byte: u8) -> Result<bool, LineError> {
        self.state = match (self.state, byte) {
            (State::Text, CR) => State::End,
            (State::Text, IAC) => State::Command,
            (State::End, LF) => return Ok(true),
            (State::Text | State::End, _) => return Err(LineError::BadEnd),
            (State::Command, IAC) => {
                self.text(&[IAC])?;
                State::Text
            }
            (State::Command, WILL..=DONT) => State::Option,
            (State::Command, SB) => State::Negotiation,
            // A line end here would end the line for one reader and not for another.
            (State::Command | State::Option, CR | LF) => return Err(LineError::BadEnd),
            (State::Command | State::Option, _) => State::Text,
            (State::Negotiation, IAC) => State::NegotiationCommand,
            (State::Negotiation, CR | LF) => return Err(LineError::BadEnd),
            (State::NegotiationCommand, SE) => State::Text,
            (State::Negotiation | State::NegotiationCommand, _) => State::Negotiation,
        };
        Ok(false)
    }
}

/// How many bytes from the start are text.
fn plain_bytes(bytes: &[u8]) -> usize {
    memchr::memchr3(CR, LF, IAC, bytes).unwrap_or(bytes.len())
}

/// A line as it goes on the wire; 255 is doubled, CR LF is added.
///
/// Panics when the text has a line end or NUL in it: who writes a line has checked what is in it.
pub fn encode(text: &[u8], out: &mut Vec<u8>) {
    assert!(!text.iter().any(|byte| matches!(*byte, CR | LF | NUL)), "a line is one line");
    for part in text.split_inclusive(|byte| *byte == IAC) {
        out.extend_from_slice(part);
        if part.last() == Some(&IAC) {
            out.push(IAC);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// One line as it goes on the wire.
#[must_use]
pub fn encoded(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len() + 2);
    encode(text, &mut out);
    out.into()
}

#[cfg(test)]
mod tests;
