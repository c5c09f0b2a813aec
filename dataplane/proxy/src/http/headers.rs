//! Header fields as they came: order, case and duplicates are kept for what is passed on.
//!
//! One buffer holds all bytes and each field is two spans of it; a changed value goes to the buffer's end. So a head
//! is copied once out of the packets it came in, and a change costs what it adds. What must hold: every name is a
//! token, no value has CR, LF, NUL or another control: what is written can be read in one way only.

use std::fmt;

use super::limits::HEAD_BYTES_MAX;

/// A name or value that no head may have, or that would make the head too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// RFC 9110, 5.1: "field-name = token".
    Name,
    /// RFC 9110, 5.5: "Field values containing CR, LF, or NUL characters are invalid and dangerous".
    Value,
    /// More than a head may have ([`HEAD_BYTES_MAX`]).
    Large,
}

/// See the module.
#[derive(Clone, Default)]
pub struct Headers {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

#[derive(Clone, Copy)]
struct Field {
    name: Span,
    value: Span,
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..][..self.len as usize]
    }
}

impl Headers {
    /// None yet.
    #[must_use]
    pub fn new() -> Headers {
        Headers::default()
    }

    /// With room, for who knows what comes.
    pub(super) fn with_capacity(bytes: usize, fields: usize) -> Headers {
        Headers { bytes: Vec::with_capacity(bytes), fields: Vec::with_capacity(fields) }
    }

    /// How many fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The value of the first field of that name, whatever its case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The values of all fields of that name, in order.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Is there a field of that name?
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and values in order, as they came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| (self.name(field), field.value.of(&self.bytes)))
    }

    /// Puts this value in place of all fields of that name: the first one keeps its place and its case, others go.
    /// Where there was none, a field is added at the end.
    ///
    /// # Errors
    /// The name or the value is none; nothing is changed.
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<(), HeaderFault> {
        let Some(first) = self.position(name, 0) else { return self.insert(name, value) };
        self.check(name.as_bytes(), value)?;
        self.fields[first].value = self.store(value);
        while let Some(again) = self.position(name, first + 1) {
            self.fields.remove(again);
        }
        Ok(())
    }

    /// Adds a field at the end, whether there is one of that name or not.
    ///
    /// # Errors
    /// The name or the value is none; nothing is changed.
    pub fn insert(&mut self, name: &str, value: &[u8]) -> Result<(), HeaderFault> {
        self.check(name.as_bytes(), value)?;
        self.push(name.as_bytes(), value);
        Ok(())
    }

    /// Removes all fields of that name; how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        let before = self.fields.len();
        let Headers { bytes, fields } = self;
        fields.retain(|field| !field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes()));
        before - fields.len()
    }

    /// Bytes on the wire, without the empty line.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        self.fields.iter().map(|field| field.name.len as usize + field.value.len as usize + 4).sum()
    }

    /// As on the wire, without the empty line.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.wire_len());
        for (name, value) in self.iter() {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Adds what a parser has already found to be a field.
    pub(super) fn push(&mut self, name: &[u8], value: &[u8]) {
        let name = self.store(name);
        let value = self.store(value);
        self.fields.push(Field { name, value });
    }

    /// Looks at each field in order and keeps, drops or changes it.
    pub(super) fn edit(&mut self, mut decide: impl FnMut(&str, &[u8]) -> Edit) {
        let mut at = 0;
        while let Some(field) = self.fields.get(at).copied() {
            let edit = decide(self.name(&field), field.value.of(&self.bytes));
            match edit {
                Edit::Keep => at += 1,
                Edit::Drop => drop(self.fields.remove(at)),
                Edit::Change { name, value } => {
                    if let Some(name) = name.filter(|name| is_token(name.as_bytes())) {
                        self.fields[at].name = self.store(name.as_bytes());
                    }
                    if let Some(value) = value.filter(|value| is_value(value)) {
                        self.fields[at].value = self.store(&value);
                    }
                    at += 1;
                }
            }
        }
    }

    fn name(&self, field: &Field) -> &str {
        std::str::from_utf8(field.name.of(&self.bytes)).unwrap_or_default()
    }

    fn position(&self, name: &str, from: usize) -> Option<usize> {
        let found = self.fields[from..].iter().position(|field| self.name(field).eq_ignore_ascii_case(name))?;
        Some(from + found)
    }

    fn check(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeaderFault> {
        if !is_token(name) {
            return Err(HeaderFault::Name);
        }
        if !is_value(value) {
            return Err(HeaderFault::Value);
        }
        let more = name.len() + value.len() + 4;
        if self.wire_len() + more > HEAD_BYTES_MAX {
            return Err(HeaderFault::Large);
        }
        if self.bytes.len() + more > 2 * HEAD_BYTES_MAX {
            self.compact();
        }
        Ok(())
    }

    /// Leaves out of the buffer what no field has any more.
    fn compact(&mut self) {
        let mut compact = Headers::with_capacity(self.wire_len(), self.fields.len());
        for (name, value) in self.iter() {
            compact.push(name.as_bytes(), value);
        }
        *self = compact;
    }

    fn store(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        Span { start, len: bytes.len() as u32 }
    }
}

/// What becomes of a field.
pub(super) enum Edit {
    Keep,
    Drop,
    /// What is no name or value leaves the old one.
    Change {
        name: Option<String>,
        value: Option<Vec<u8>>,
    },
}

/// Equal when the wire shows the same.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)))).finish()
    }
}

/// RFC 9110, 5.6.2: "token = 1*tchar".
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    let tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(tchar)
}

/// RFC 9110, 5.5: visible characters, obs-text, and spaces and tabs between them.
#[must_use]
pub fn is_value(bytes: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let good = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    bytes.iter().all(good) && !blank(bytes.first()) && !blank(bytes.last())
}

/// The members of a comma-separated list (RFC 9110, 5.6.1), without blanks around them; empty ones are left out.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests;
