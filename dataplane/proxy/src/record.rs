//! A record of one thing done within a session: an HTTP request, a transferred file, a TLS handshake.
//!
//! Sent as values; whoever writes the log makes a line of them (text, Zorp's, JSON), with the session's addresses,
//! zones and service added. The record of the session as a whole is the host's.

use std::borrow::Cow;

/// One value of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Words. What a peer said is escaped by who writes the log.
    Text(Cow<'static, str>),
    /// A number: of bytes, of milliseconds, as the field's name says.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What was done: `http.request`, `ftp.transfer`, `tls.handshake`.
    pub kind: &'static str,
    /// Names and values, in the order in which a line shows them.
    pub fields: Vec<(&'static str, Value)>,
}

impl Record {
    /// One without fields.
    #[must_use]
    pub fn new(kind: &'static str) -> Record {
        Record { kind, fields: Vec::new() }
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Record {
        self.fields.push((name, value.into()));
        self
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Flag(flag)
    }
}
