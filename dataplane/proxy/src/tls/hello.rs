//! The ClientHello as a client sent it: read without answering, so that the connection can still be passed on untouched.
//!
//! [`Peek`] is given the bytes in whatever pieces they come and says at the end what they were; each byte is looked at once,
//! memory is [`limits::HELLO_MAX`]. What it accepts is stricter than what servers do: a hello that two readers could read
//! in two ways (an extension twice, two names, bytes left over) is refused, because the policy must judge what the server
//! will see. Left out: SSLv2's form of the hello (RFC 6176 forbids it), and what only a server answers to (key shares,
//! session tickets).

use std::fmt;

use super::fingerprint::{self, Ja4};
use super::limits;

/// What a client offers. Values are those of the IANA's registries, in the client's order, GREASE (RFC 8701) included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Whom the client wants (SNI): lower case, without a dot at the end.
    server_name: Option<String>,
    alpn: Vec<Vec<u8>>,
    /// `legacy_version`: 0x0303 in all that speak TLS 1.3.
    pub legacy_version: u16,
    /// `supported_versions`; empty before TLS 1.3.
    pub versions: Vec<u16>,
    /// Cipher suites.
    pub ciphers: Vec<u16>,
    /// Types of the extensions.
    pub extensions: Vec<u16>,
    /// Groups for the key exchange.
    pub groups: Vec<u16>,
    /// Formats of points on elliptic curves.
    pub point_formats: Vec<u8>,
    /// Signature algorithms.
    pub signature_algorithms: Vec<u16>,
    /// Encrypted ClientHello.
    pub ech: Option<Ech>,
}

/// What an encrypted ClientHello shows of itself (RFC 9849). One made to grease looks the same: the server's name tells
/// them apart, which is the provider's public one where the true one is within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ech {
    /// KDF and AEAD.
    pub cipher: (u16, u16),
    /// Which of the provider's configurations.
    pub config_id: u8,
    /// Length of what is encrypted, bytes.
    pub payload: usize,
}

/// Why these bytes are no ClientHello that can be passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// They do not begin like TLS.
    NotTls,
    /// Longer than [`limits::HELLO_MAX`].
    TooLong,
    /// TLS, but not as it is written; what is wrong.
    Malformed(&'static str),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::NotTls => f.write_str("it is not TLS"),
            Broken::TooLong => write!(f, "the ClientHello is longer than {} bytes", limits::HELLO_MAX),
            Broken::Malformed(what) => write!(f, "the ClientHello is malformed: {what}"),
        }
    }
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const GROUPS: u16 = 10;
    pub(super) const POINT_FORMATS: u16 = 11;
    pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(super) const ALPN: u16 = 16;
    pub(super) const PRE_SHARED_KEY: u16 = 41;
    pub(super) const VERSIONS: u16 = 43;
    pub(super) const ECH: u16 = 0xfe0d;
}

/// A ClientHello that is coming in.
#[derive(Debug, Default)]
pub struct Peek {
    header: [u8; 5],
    header_len: usize,
    /// Bytes of the current record that have yet to come.
    left: usize,
    message: Vec<u8>,
    seen: usize,
}

impl Peek {
    /// The next bytes; the hello once it is complete. What comes behind it is not looked at.
    ///
    /// # Errors
    /// It will never be one.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Option<Hello>, Broken> {
        while let Some(&byte) = bytes.first() {
            self.seen += 1;
            if self.seen > limits::HELLO_WIRE_MAX {
                return Err(Broken::TooLong);
            }
            if self.left == 0 {
                bytes = &bytes[1..];
                self.header_byte(byte)?;
                continue;
            }
            let take = self.left.min(bytes.len());
            self.seen += take - 1;
            self.message.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            self.left -= take;
            if let Some(hello) = self.complete()? {
                return Ok(Some(hello));
            }
        }
        Ok(None)
    }

    fn header_byte(&mut self, byte: u8) -> Result<(), Broken> {
        self.header[self.header_len] = byte;
        self.header_len += 1;
        // Told as early as it can be: who speaks something else may be waiting for an answer.
        let begins = match self.header_len {
            1 => byte == HANDSHAKE,
            2 => byte == 3,
            _ => true,
        };
        if !begins {
            let first = self.message.is_empty();
            return Err(if first { Broken::NotTls } else { Broken::Malformed("another record within it") });
        }
        if self.header_len == self.header.len() {
            self.left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
            self.header_len = 0;
            // RFC 8446, 5.1: "Implementations MUST NOT send zero-length fragments of Handshake types", "The length MUST NOT
            // exceed 2^14 bytes."
            if self.left == 0 || self.left > 1 << 14 {
                return Err(Broken::Malformed("a record's length"));
            }
        }
        Ok(())
    }

    fn complete(&self) -> Result<Option<Hello>, Broken> {
        let &[kind, a, b, c, ref body @ ..] = &*self.message else {
            return match self.message.first() {
                Some(&kind) if kind != CLIENT_HELLO => Err(Broken::Malformed("it begins with another message")),
                _ => Ok(None),
            };
        };
        if kind != CLIENT_HELLO {
            return Err(Broken::Malformed("it begins with another message"));
        }
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if length > limits::HELLO_MAX {
            return Err(Broken::TooLong);
        }
        if body.len() < length {
            return Ok(None);
        }
        // RFC 8446, 5.1: "Handshake messages MUST NOT span key changes": nothing can follow it in its record.
        if body.len() > length || self.left > 0 {
            return Err(Broken::Malformed("bytes behind it in its record"));
        }
        Hello::parse(body).map(Some)
    }
}

impl Hello {
    /// Reads the body of the message.
    ///
    /// # Errors
    /// [`Broken::Malformed`].
    pub fn parse(body: &[u8]) -> Result<Hello, Broken> {
        let mut fields = Fields(body);
        let legacy_version = fields.u16("version")?;
        fields.take(32, "random")?;
        fields.short("session id")?;
        let ciphers = fields.long("cipher suites")?.all_u16("cipher suites")?;
        fields.short("compression methods")?;
        let mut hello = Hello {
            server_name: None,
            alpn: Vec::new(),
            legacy_version,
            versions: Vec::new(),
            ciphers,
            extensions: Vec::new(),
            groups: Vec::new(),
            point_formats: Vec::new(),
            signature_algorithms: Vec::new(),
            ech: None,
        };
        if fields.0.is_empty() {
            return Ok(hello);
        }
        let mut extensions = fields.long("extensions")?;
        fields.end("bytes behind its extensions")?;
        while !extensions.0.is_empty() {
            let kind = extensions.u16("extension")?;
            let data = extensions.long("extension")?;
            hello.extension(kind, data)?;
        }
        Ok(hello)
    }

    fn extension(&mut self, kind: u16, mut data: Fields<'_>) -> Result<(), Broken> {
        // RFC 8446, 4.2: "There MUST NOT be more than one extension of the same type in a given extension block."
        if self.extensions.contains(&kind) {
            return Err(Broken::Malformed("an extension twice"));
        }
        // 4.2.11: "The "pre_shared_key" extension MUST be the last extension in the ClientHello".
        if self.extensions.last() == Some(&extension::PRE_SHARED_KEY) {
            return Err(Broken::Malformed("an extension behind the pre-shared key"));
        }
        if self.extensions.len() == limits::EXTENSIONS_MAX {
            return Err(Broken::TooLong);
        }
        self.extensions.push(kind);
        match kind {
            extension::SERVER_NAME => self.server_name = server_name(data)?,
            extension::GROUPS => self.groups = data.only_long("groups")?.all_u16("groups")?,
            extension::POINT_FORMATS => {
                self.point_formats = data.short("point formats")?.0.to_vec();
                data.end("point formats")?;
            }
            extension::SIGNATURE_ALGORITHMS => {
                self.signature_algorithms = data.only_long("signature algorithms")?.all_u16("signature algorithms")?;
            }
            extension::ALPN => self.alpn = protocols(data)?,
            extension::VERSIONS => {
                self.versions = data.short("versions")?.all_u16("versions")?;
                data.end("versions")?;
            }
            extension::ECH => self.ech = Some(ech(data)?),
            _ => {}
        }
        Ok(())
    }

    /// Whom the client wants, as the name is compared: lower case, no dot at the end.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The application protocols it offers, the dearest first.
    #[must_use]
    pub fn alpn(&self) -> &[Vec<u8>] {
        &self.alpn
    }

    /// Other ones in their place; what goes to the server is made of them.
    pub fn set_alpn(&mut self, protocols: Vec<Vec<u8>>) {
        self.alpn = protocols;
    }

    /// Does it offer that one?
    #[must_use]
    pub fn offers(&self, protocol: &str) -> bool {
        self.alpn.iter().any(|offered| offered == protocol.as_bytes())
    }

    /// The newest version it offers.
    #[must_use]
    pub fn version(&self) -> u16 {
        let offered = self.versions.iter().copied().filter(|&version| !is_grease(version));
        offered.max().unwrap_or(self.legacy_version)
    }

    /// JA3: the MD5 of what is offered, in hexadecimal.
    #[must_use]
    pub fn ja3(&self) -> String {
        fingerprint::ja3(self)
    }

    /// JA4: what is offered, sorted, so that shuffling browsers stay the same.
    #[must_use]
    pub fn ja4(&self) -> Ja4 {
        fingerprint::ja4(self)
    }
}

/// One of the values that mean nothing (RFC 8701, 2).
#[must_use]
pub fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// RFC 6066, 3: a list of names of which "MUST NOT contain more than one name of the same name_type"; one type exists.
fn server_name(mut data: Fields<'_>) -> Result<Option<String>, Broken> {
    const BAD: Broken = Broken::Malformed("the server's name");
    let mut names = data.only_long("the server's name")?;
    let kind = names.take(1, "the server's name")?;
    let name = names.only_long("the server's name")?.0;
    let good = |&byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if kind != [0] || name.is_empty() || name.len() > limits::NAME_MAX || !name.iter().all(good) {
        return Err(BAD);
    }
    let name = std::str::from_utf8(name).map_err(|_| BAD)?.to_ascii_lowercase();
    // RFC 6066, 3: "represented as a byte string using ASCII encoding without a trailing dot"; some send it, all mean the same.
    let name = name.strip_suffix('.').unwrap_or(&name);
    if name.is_empty() || name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Err(BAD);
    }
    Ok(Some(name.to_owned()))
}

/// RFC 7301, 3.1: a list that is not empty of strings that are not empty.
fn protocols(mut data: Fields<'_>) -> Result<Vec<Vec<u8>>, Broken> {
    let mut list = data.only_long("application protocols")?;
    let mut protocols = Vec::new();
    while !list.0.is_empty() {
        let protocol = list.short("application protocols")?.0;
        if protocol.is_empty() {
            return Err(Broken::Malformed("application protocols"));
        }
        protocols.push(protocol.to_vec());
    }
    if protocols.is_empty() { Err(Broken::Malformed("application protocols")) } else { Ok(protocols) }
}

/// RFC 9849, 5: of the outer form; the inner one never travels in clear.
fn ech(mut data: Fields<'_>) -> Result<Ech, Broken> {
    const WHAT: &str = "the encrypted ClientHello";
    if data.take(1, WHAT)? != [0] {
        return Err(Broken::Malformed(WHAT));
    }
    let cipher = (data.u16(WHAT)?, data.u16(WHAT)?);
    let config_id = data.take(1, WHAT)?[0];
    data.long(WHAT)?;
    let payload = data.only_long(WHAT)?.0.len();
    if payload == 0 { Err(Broken::Malformed(WHAT)) } else { Ok(Ech { cipher, config_id, payload }) }
}

/// Bytes yet to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Broken::Malformed(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, Broken> {
        self.take(2, what).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// What a length of one byte stands before.
    fn short(&mut self, what: &'static str) -> Result<Fields<'a>, Broken> {
        let length = self.take(1, what)?[0];
        self.take(length.into(), what).map(Fields)
    }

    /// What a length of two bytes stands before.
    fn long(&mut self, what: &'static str) -> Result<Fields<'a>, Broken> {
        let length = self.u16(what)?;
        self.take(length.into(), what).map(Fields)
    }

    /// The same, and nothing behind it.
    fn only_long(&mut self, what: &'static str) -> Result<Fields<'a>, Broken> {
        let inner = self.long(what)?;
        self.end(what)?;
        Ok(inner)
    }

    fn end(&self, what: &'static str) -> Result<(), Broken> {
        if self.0.is_empty() { Ok(()) } else { Err(Broken::Malformed(what)) }
    }

    fn all_u16(self, what: &'static str) -> Result<Vec<u16>, Broken> {
        let (pairs, rest) = self.0.as_chunks::<2>();
        if pairs.is_empty() || !rest.is_empty() {
            return Err(Broken::Malformed(what));
        }
        Ok(pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
    }
}

#[cfg(test)]
mod tests;
