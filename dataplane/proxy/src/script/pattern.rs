//! Lua's patterns, matched in a bounded number of steps.
//!
//! The library's own matcher backtracks without end on some patterns, and no hook runs meanwhile. This one has the same
//! language (the manual of Lua 5.4, §6.4.1) and counts every character that it looks at; who calls it says how many there may be.

use std::ops::Range;

use super::limits::{CAPTURES_MAX, PATTERN_BYTES_MAX, PATTERN_DEPTH_MAX};

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The pattern is none.
    Malformed(&'static str),
    /// It took too many steps.
    Steps,
}

/// What a pair of parentheses caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Capture {
    /// These bytes.
    Text(Range<usize>),
    /// A place: `()`.
    Place(usize),
}

/// A match and its captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) whole: Range<usize>,
    pub(super) captures: Vec<Capture>,
}

/// One pattern on one text.
pub(super) struct Matcher<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    anchored: bool,
    steps_left: u64,
    depth: u32,
    captures: Vec<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    start: usize,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Unclosed,
    At(usize),
    Place,
}

/// Does it mean more than its own letters? `find` looks for others as they are.
pub(super) fn is_plain(pattern: &[u8]) -> bool {
    !pattern.iter().any(|sign| b"^$*+?.([%-".contains(sign))
}

type Answer<T> = Result<T, Fault>;

impl<'a> Matcher<'a> {
    /// `steps` bounds all searches of this matcher together.
    pub(super) fn new(text: &'a [u8], pattern: &'a [u8], steps: u64) -> Self {
        let (anchored, pattern) = match pattern {
            [b'^', rest @ ..] => (true, rest),
            _ => (false, pattern),
        };
        Matcher { text, pattern, anchored, steps_left: steps, depth: 0, captures: Vec::new() }
    }

    /// In `gmatch` the caret is no anchor (manual: "a pattern cannot contain '^' in gmatch, as this would loop forever").
    pub(super) fn unanchored(text: &'a [u8], pattern: &'a [u8], steps: u64) -> Self {
        Matcher { text, pattern, anchored: false, steps_left: steps, depth: 0, captures: Vec::new() }
    }

    pub(super) fn is_anchored(&self) -> bool {
        self.anchored
    }

    /// Steps not used yet.
    pub(super) fn steps_left(&self) -> u64 {
        self.steps_left
    }

    /// The first match that begins at `from` or later.
    pub(super) fn search(&mut self, from: usize) -> Answer<Option<Found>> {
        for start in from..=self.text.len() {
            if let Some(found) = self.at(start)? {
                return Ok(Some(found));
            }
            if self.anchored {
                break;
            }
        }
        Ok(None)
    }

    /// The match that begins here.
    pub(super) fn at(&mut self, start: usize) -> Answer<Option<Found>> {
        if self.pattern.len() > PATTERN_BYTES_MAX {
            return Err(Fault::Malformed("pattern too long"));
        }
        self.captures.clear();
        let Some(end) = self.follow(start, 0)? else { return Ok(None) };
        let captures = self.captures.iter().map(|open| match open.end {
            End::At(end) => Ok(Capture::Text(open.start..end)),
            End::Place => Ok(Capture::Place(open.start)),
            End::Unclosed => Err(Fault::Malformed("unfinished capture")),
        });
        Ok(Some(Found { whole: start..end, captures: captures.collect::<Answer<Vec<_>>>()? }))
    }

    fn step(&mut self) -> Answer<()> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(Fault::Steps)?;
        Ok(())
    }

    /// Matches the pattern from `p` on the text from `s`: where the match ends.
    fn follow(&mut self, s: usize, p: usize) -> Answer<Option<usize>> {
        if self.depth == PATTERN_DEPTH_MAX {
            return Err(Fault::Malformed("pattern too complex"));
        }
        self.depth += 1;
        let end = self.walk(s, p);
        self.depth -= 1;
        end
    }

    fn walk(&mut self, mut s: usize, mut p: usize) -> Answer<Option<usize>> {
        loop {
            self.step()?;
            let Some(&sign) = self.pattern.get(p) else { return Ok(Some(s)) };
            match (sign, self.pattern.get(p + 1).copied()) {
                (b'(', Some(b')')) => return self.open(s, p + 2, End::Place),
                (b'(', _) => return self.open(s, p + 1, End::Unclosed),
                (b')', _) => return self.close(s, p + 1),
                (b'$', None) => return Ok((s == self.text.len()).then_some(s)),
                (b'%', Some(b'b')) => {
                    let Some(end) = self.balance(s, p + 2)? else { return Ok(None) };
                    (s, p) = (end, p + 4);
                    continue;
                }
                (b'%', Some(b'f')) => {
                    let Some(end) = self.frontier(s, p + 2)? else { return Ok(None) };
                    p = end;
                    continue;
                }
                (b'%', Some(digit @ b'0'..=b'9')) => {
                    let Some(end) = self.again(s, digit)? else { return Ok(None) };
                    (s, p) = (end, p + 2);
                    continue;
                }
                _ => {}
            }
            let end = self.item_end(p)?;
            match self.pattern.get(end) {
                Some(b'?') => {
                    if self.fits(s, p, end)
                        && let Some(found) = self.follow(s + 1, end + 1)?
                    {
                        return Ok(Some(found));
                    }
                    p = end + 1;
                }
                Some(b'*') => return self.most(s, p, end, 0),
                Some(b'+') => return self.most(s, p, end, 1),
                Some(b'-') => return self.fewest(s, p, end),
                _ if self.fits(s, p, end) => (s, p) = (s + 1, end),
                _ => return Ok(None),
            }
        }
    }

    /// As many as fit, at least `least`, then fewer until the rest matches.
    fn most(&mut self, s: usize, p: usize, end: usize, least: usize) -> Answer<Option<usize>> {
        let mut count = 0;
        while self.fits(s + count, p, end) {
            self.step()?;
            count += 1;
        }
        while count >= least {
            if let Some(found) = self.follow(s + count, end + 1)? {
                return Ok(Some(found));
            }
            let Some(fewer) = count.checked_sub(1) else { break };
            count = fewer;
        }
        Ok(None)
    }

    /// As few as let the rest match.
    fn fewest(&mut self, mut s: usize, p: usize, end: usize) -> Answer<Option<usize>> {
        loop {
            if let Some(found) = self.follow(s, end + 1)? {
                return Ok(Some(found));
            }
            if !self.fits(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open(&mut self, s: usize, p: usize, end: End) -> Answer<Option<usize>> {
        if self.captures.len() >= CAPTURES_MAX {
            return Err(Fault::Malformed("too many captures"));
        }
        self.captures.push(Open { start: s, end });
        let count = self.captures.len();
        let found = self.follow(s, p)?;
        if found.is_none() {
            self.captures.truncate(count - 1);
        }
        Ok(found)
    }

    fn close(&mut self, s: usize, p: usize) -> Answer<Option<usize>> {
        let unclosed = self.captures.iter().rposition(|open| open.end == End::Unclosed);
        let at = unclosed.ok_or(Fault::Malformed("invalid pattern capture"))?;
        self.captures[at].end = End::At(s);
        let found = self.follow(s, p)?;
        if found.is_none()
            && let Some(open) = self.captures.get_mut(at)
        {
            open.end = End::Unclosed;
        }
        Ok(found)
    }

    /// `%bxy`.
    fn balance(&mut self, s: usize, p: usize) -> Answer<Option<usize>> {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err(Fault::Malformed("missing arguments to '%b'"));
        };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1;
        for at in s + 1..self.text.len() {
            self.step()?;
            let byte = self.text[at];
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// `%f[set]`: where the set begins to fit; the ends of the text count as a NUL.
    fn frontier(&self, s: usize, p: usize) -> Answer<Option<usize>> {
        if self.pattern.get(p) != Some(&b'[') {
            return Err(Fault::Malformed("missing '[' after '%f' in pattern"));
        }
        let end = self.item_end(p)?;
        let before = s.checked_sub(1).map_or(0, |at| self.text[at]);
        let here = self.text.get(s).copied().unwrap_or(0);
        Ok((!self.in_set(before, p, end) && self.in_set(here, p, end)).then_some(end))
    }

    /// `%1`: what the capture caught, once more.
    fn again(&mut self, s: usize, digit: u8) -> Answer<Option<usize>> {
        let index = usize::from(digit).checked_sub(usize::from(b'1'));
        let open = index.and_then(|index| self.captures.get(index)).copied();
        let Some(Open { start, end: End::At(end) }) = open else {
            return Err(Fault::Malformed("invalid capture index in pattern"));
        };
        let length = end - start;
        self.steps_left = self.steps_left.checked_sub(length as u64).ok_or(Fault::Steps)?;
        let same = self.text.get(s..s + length) == Some(&self.text[start..end]);
        Ok(same.then_some(s + length))
    }

    /// Where the single item that begins at `p` ends.
    fn item_end(&self, p: usize) -> Answer<usize> {
        match self.pattern[p] {
            b'%' if p + 1 < self.pattern.len() => Ok(p + 2),
            b'%' => Err(Fault::Malformed("malformed pattern (ends with '%')")),
            b'[' => self.set_end(p + 1),
            _ => Ok(p + 1),
        }
    }

    /// Behind the `]`. A `]` that comes first is one of the set.
    fn set_end(&self, mut p: usize) -> Answer<usize> {
        let missing = Fault::Malformed("malformed pattern (missing ']')");
        if self.pattern.get(p) == Some(&b'^') {
            p += 1;
        }
        let first = p;
        loop {
            match self.pattern.get(p).ok_or(missing)? {
                b']' if p > first => return Ok(p + 1),
                b'%' if p + 1 < self.pattern.len() => p += 2,
                b'%' => return Err(missing),
                _ => p += 1,
            }
        }
    }

    /// Does the byte at `s` fit the item?
    fn fits(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(&byte) = self.text.get(s) else { return false };
        match self.pattern[p] {
            b'.' => true,
            b'%' => in_class(byte, self.pattern[p + 1]),
            b'[' => self.in_set(byte, p, end),
            sign => sign == byte,
        }
    }

    /// The set from its `[` at `p` to behind its `]` at `end`.
    fn in_set(&self, byte: u8, p: usize, end: usize) -> bool {
        let mut set = &self.pattern[p + 1..end - 1];
        let negated = set.first() == Some(&b'^');
        if negated {
            set = &set[1..];
        }
        loop {
            set = match set {
                [] => return negated,
                [b'%', class, ..] if in_class(byte, *class) => return !negated,
                [b'%', _, rest @ ..] => rest,
                [low, b'-', high, ..] if (*low..=*high).contains(&byte) => return !negated,
                [_, b'-', _, rest @ ..] => rest,
                [one, ..] if *one == byte => return !negated,
                [_, rest @ ..] => rest,
            };
        }
    }
}

/// `%a` and the like; a capital means all others, and any other sign itself. Letters are those of ASCII.
fn in_class(byte: u8, class: u8) -> bool {
    let fits = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    fits != class.is_ascii_uppercase()
}

#[cfg(test)]
mod tests;
