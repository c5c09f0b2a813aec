//! What scripts look at: plain values that a proxy fills from its own types before a hook, and reads back after it.
//!
//! They hold no streams and no references, so that a script that keeps one beyond its hook keeps a name for nothing. What
//! a script sets is checked where it sets it (`super::http`, `super::ftp`); [`Changed`] says what has to be read back.

use std::net::SocketAddr;

use bytes::Bytes;

/// What a script has set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The request's method.
    pub method: bool,
    /// The request's URL.
    pub url: bool,
    /// Any header.
    pub headers: bool,
    /// The response's status.
    pub status: bool,
    /// The FTP command's argument.
    pub argument: bool,
}

/// Header lines in their order, with the case they were written in, duplicates and all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Bytes, Bytes)>);

impl Headers {
    /// One more line at the end.
    pub fn push(&mut self, name: Bytes, value: Bytes) {
        self.0.push((name, value));
    }

    /// Name and value of each line.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// How many lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the first line of that name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Bytes> {
        self.get_all(name).next()
    }

    /// The values of all lines of that name.
    pub fn get_all(&self, name: &[u8]) -> impl Iterator<Item = &Bytes> {
        self.0.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// One line of that name in the place of the first one there was, or at the end.
    pub fn set(&mut self, name: Bytes, value: Bytes) {
        let Some(at) = self.0.iter().position(|(known, _)| known.eq_ignore_ascii_case(&name)) else {
            return self.push(name, value);
        };
        let mut index = 0;
        self.0.retain(|(known, _)| {
            let keep = index <= at || !known.eq_ignore_ascii_case(&name);
            index += 1;
            keep
        });
        self.0[at].1 = value;
    }

    /// Takes all lines of that name away; were there any?
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let before = self.0.len();
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.0.len() < before
    }
}

/// A request, HTTP/1 or HTTP/2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Bytes,
    /// Absolute and canonical.
    pub url: String,
    /// 10, 11 or 20.
    pub version: u8,
    /// Header lines.
    pub headers: Headers,
    /// Set by the script: whom to send it to.
    pub server: Option<SocketAddr>,
    /// What the script has set, beside the server.
    pub changed: Changed,
}

/// The head of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Header lines.
    pub headers: Headers,
    /// What the script has set.
    pub changed: Changed,
}

/// An FTP command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// In upper case.
    pub verb: String,
    /// What follows it; may be empty.
    pub argument: Bytes,
    /// Who has logged in.
    pub user: Option<String>,
    /// What the script has set.
    pub changed: Changed,
}

/// A TLS `ClientHello`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The server's name that the client asks for.
    pub sni: Option<String>,
    /// Protocols that it offers.
    pub alpn: Vec<String>,
    /// The highest version that it offers: 0x0304 is TLS 1.3.
    pub version: u16,
    /// Fingerprint.
    pub ja3: String,
    /// Fingerprint.
    pub ja4: String,
    /// Does it hide its true name (ECH, no GREASE)?
    pub ech: bool,
}
