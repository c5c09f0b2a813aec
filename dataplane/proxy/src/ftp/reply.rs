//! Replies: three digits, words, and lines between (RFC 959 4.2); put together from lines, and written again.
//!
//! What must hold: client and proxy agree where a reply ends. A reply is written so that no line within it can be taken
//! for its last one, whatever rule the client ends it by.

use std::fmt;

use super::line::encode;

/// What a server said.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    /// The words of the first line, those between as they came, those of the last.
    lines: Vec<Vec<u8>>,
}

/// Why lines are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// Not three digits (of which the first is 1 to 6) with a space or a hyphen behind.
    NoCode,
    /// More lines than may be.
    TooManyLines,
}

impl Reply {
    /// A reply of one line.
    ///
    /// Panics when `code` has not three digits; line ends in `text` become spaces.
    #[must_use]
    pub fn new(code: u16, text: impl AsRef<[u8]>) -> Reply {
        assert!((100..700).contains(&code), "three digits");
        let clean = |byte: &u8| if matches!(*byte, b'\r' | b'\n' | 0) { b' ' } else { *byte };
        Reply { code, lines: vec![text.as_ref().iter().map(clean).collect()] }
    }

    /// A reply of several lines: first, those between, last.
    #[must_use]
    pub fn of_lines(code: u16, lines: impl IntoIterator<Item = Vec<u8>>) -> Reply {
        let mut reply = Reply::new(code, "");
        let clean: Vec<Vec<u8>> = lines.into_iter().map(|line| Reply::new(code, line).lines.remove(0)).collect();
        if !clean.is_empty() {
            reply.lines = clean;
        }
        reply
    }

    /// The three digits.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// First line's words, lines between, last line's words.
    #[must_use]
    pub fn lines(&self) -> &[Vec<u8>] {
        &self.lines
    }

    /// RFC 959 4.2: "1yz Positive Preliminary reply": another one follows.
    #[must_use]
    pub fn is_preliminary(&self) -> bool {
        self.code < 200
    }

    /// "2yz Positive Completion reply".
    #[must_use]
    pub fn is_done(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// "4yz" and "5yz": it was not done.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.code >= 400
    }

    /// As it goes on the wire.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let (last, before) = self.lines.split_last().map_or((&[][..], &[][..]), |(last, before)| (&last[..], before));
        for (index, line) in before.iter().enumerate() {
            let line = if index == 0 {
                [format!("{}-", self.code).as_bytes(), line].concat()
            } else if is_mistakable(line, self.code) {
                // "If an intermediary line begins with a 3-digit number, the Server must pad the front to avoid confusion."
                [b" ", &line[..]].concat()
            } else {
                line.clone()
            };
            encode(&line, &mut out);
        }
        encode(&[format!("{} ", self.code).as_bytes(), last].concat(), &mut out);
        out
    }
}

/// Could a client take that for a line with a code of its own? `123-` of the reply's own code goes on as many servers say it.
fn is_mistakable(line: &[u8], code: u16) -> bool {
    line.first().is_some_and(u8::is_ascii_digit) && !line.starts_with(format!("{code}-").as_bytes())
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.encoded().escape_ascii())
    }
}

/// Puts a reply together from its lines.
#[derive(Debug)]
pub struct ReplyReader {
    begun: Option<Reply>,
    lines_max: usize,
}

impl ReplyReader {
    /// For replies of at most so many lines.
    #[must_use]
    pub fn new(lines_max: usize) -> ReplyReader {
        ReplyReader { begun: None, lines_max }
    }

    /// Has part of a reply come?
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// The next line; the reply when it was the last one.
    ///
    /// # Errors
    /// The lines are no reply; what follows cannot be trusted to be one.
    pub fn take(&mut self, line: Vec<u8>) -> Result<Option<Reply>, ReplyError> {
        let Some(mut reply) = self.begun.take() else {
            let (code, more, text) = first_line(&line).ok_or(ReplyError::NoCode)?;
            let reply = Reply { code, lines: vec![text.to_vec()] };
            if !more {
                return Ok(Some(reply));
            }
            self.begun = Some(reply);
            return Ok(None);
        };
        if reply.lines.len() >= self.lines_max {
            return Err(ReplyError::TooManyLines);
        }
        // "The last line will begin with the same code, followed immediately by Space <SP>, optionally some text".
        if let Some((code, false, text)) = first_line(&line)
            && code == reply.code
        {
            reply.lines.push(text.to_vec());
            return Ok(Some(reply));
        }
        reply.lines.push(line);
        self.begun = Some(reply);
        Ok(None)
    }
}

/// Code, whether more lines follow, words.
///
/// Three digits and nothing behind are taken for a last line too: RFC 959 wants the space, some servers trim their lines.
fn first_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let digits = line.get(..3)?;
    if !matches!(digits[0], b'1'..=b'6') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match line.get(3) {
        None => Some((code, false, &[])),
        Some(b' ') => Some((code, false, &line[4..])),
        Some(b'-') => Some((code, true, &line[4..])),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests;
