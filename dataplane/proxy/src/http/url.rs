//! The absolute canonical URL: what policy sees, whatever the request said.
//!
//! Two spellings of one resource are one URL here (RFC 3986, 6.2.2): scheme and host in small letters, escapes of
//! unreserved characters decoded, all others with capital digits, dot segments removed. What cannot be made canonical
//! without guessing is refused: fragments, user information, spaces and controls, escapes that are none, hosts that
//! resolvers read in several ways, and dot segments behind escaped slashes or before `;`, which some servers follow.

mod host;
mod path;

use std::fmt;

pub use host::canonical as canonical_host;
pub use path::canonical as canonical_path;

/// Of which protocol a URL is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `http`.
    Http,
    /// `https`: within TLS that another proxy has ended.
    Https,
}

impl Scheme {
    /// As written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port when a URL names none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Why something is no URL for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UrlFault {
    /// Not `http` or `https`.
    Scheme,
    /// RFC 9110, 4.2.4: user information "is treated as an error".
    UserInfo,
    /// No name or address, or one that could be read in two ways.
    Host,
    /// Not a number from 1 to 65535.
    Port,
    /// A byte that no URL has.
    Byte,
    /// RFC 9112, 3.2: a request-target has no fragment.
    Fragment,
    /// `%` without two hexadecimal digits.
    Escape,
    /// `%uXXXX`, which is of no standard.
    UnicodeEscape,
    /// `%00` in a path.
    Nul,
    /// `..` that leads above the root, or that only some servers would follow.
    Dots,
    /// Longer than the service permits.
    Long,
}

/// What the canonical form may make of odd URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlRules {
    /// `%uXXXX` passes as it is.
    pub permit_unicode: bool,
    /// A `%` that begins no escape becomes `%25`.
    pub permit_invalid_escape: bool,
    /// The longest host, in bytes.
    pub host_max: usize,
}

impl Default for UrlRules {
    fn default() -> Self {
        UrlRules { permit_unicode: false, permit_invalid_escape: false, host_max: super::limits::HOST_MAX }
    }
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    host: String,
    port: u16,
    /// With the query; begins with `/`, or is `*` (OPTIONS) or empty (CONNECT).
    target: String,
}

impl Url {
    /// From parts that are canonical already.
    pub(super) fn of(scheme: Scheme, host: String, port: u16, target: String) -> Url {
        Url { scheme, host, port, target }
    }

    /// Parses an absolute URL and makes it canonical.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &[u8], rules: &UrlRules) -> Result<Url, UrlFault> {
        let (scheme, rest) = split_scheme(text).ok_or(UrlFault::Scheme)?;
        let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains(&b'@') {
            return Err(UrlFault::UserInfo);
        }
        let (host, port) = authority_of(authority, rules)?;
        let target = match target.first() {
            None => "/".to_owned(),
            Some(b'?') => canonical_path(&[b"/", target].concat(), rules)?,
            Some(_) => canonical_path(target, rules)?,
        };
        Ok(Url { scheme, host, port: port.unwrap_or(scheme.default_port()), target })
    }

    /// Its protocol.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A name in small letters, or an address; IPv6 in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, named or not.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query, as in the request line of a server.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The path alone.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// What follows `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The host if it is an address.
    #[must_use]
    pub fn address(&self) -> Option<std::net::IpAddr> {
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host);
        bare.parse().ok()
    }

    /// Host and port as the header `Host` has them: the port only where it is not the scheme's.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            return self.host.clone();
        }
        format!("{}:{}", self.host, self.port)
    }
}

/// `http://` or `https://` off its front, in any case.
fn split_scheme(text: &[u8]) -> Option<(Scheme, &[u8])> {
    [Scheme::Http, Scheme::Https].into_iter().find_map(|scheme| {
        let (name, rest) = text.split_at_checked(scheme.as_str().len())?;
        let rest = rest.strip_prefix(b"://")?;
        name.eq_ignore_ascii_case(scheme.as_str().as_bytes()).then_some((scheme, rest))
    })
}

/// `host[:port]`, as in a URL or in the header `Host`.
///
/// # Errors
/// It is none.
pub fn authority_of(text: &[u8], rules: &UrlRules) -> Result<(String, Option<u16>), UrlFault> {
    let colon = match text.iter().rposition(|byte| *byte == b':') {
        // The colons of an IPv6 address are within its brackets.
        Some(colon) if !text[colon..].contains(&b']') => Some(colon),
        _ => None,
    };
    let (host, port) = colon.map_or((text, None), |colon| (&text[..colon], Some(&text[colon + 1..])));
    let host = canonical_host(host, rules.host_max)?;
    // RFC 3986, 3.2.3: "port = *DIGIT"; an empty one is the default.
    let port = match port {
        None | Some([]) => None,
        Some(digits) => Some(port_of(digits).ok_or(UrlFault::Port)?),
    };
    Ok((host, port))
}

fn port_of(digits: &[u8]) -> Option<u16> {
    // Leading zeros and signs are for parsers to disagree about.
    if !digits.iter().all(u8::is_ascii_digit) || digits.first() == Some(&b'0') {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The absolute form; that of a CONNECT is `host:port`.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.target.is_empty() {
            return write!(f, "{}:{}", self.host, self.port);
        }
        // RFC 9112, 3.2.4: the absolute form of `OPTIONS *` has no path.
        let target = if self.target == "*" { "" } else { &self.target };
        write!(f, "{}://{}{target}", self.scheme.as_str(), self.authority())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
