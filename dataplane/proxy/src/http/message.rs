//! A request and a response as policy, scripts and the log see them, however they came over the wire.
//!
//! Plain values: how the body is framed and what the connection does afterwards is not in here, so that HTTP/1 and
//! HTTP/2 share what decides about them.

use super::headers::Headers;
use super::method::Method;
use super::url::Url;

/// The protocol's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

impl Version {
    /// As in a log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2.0",
        }
    }
}

/// How a request line named what it wants: RFC 9112, 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `/path`: said to a server.
    Origin,
    /// `http://host/path`: said to a proxy.
    Absolute,
    /// `host:port`, of CONNECT.
    Authority,
    /// `*`, of OPTIONS.
    Asterisk,
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// What it is about: absolute and canonical, in every form of request.
    pub url: Url,
    /// The client's version.
    pub version: Version,
    /// How it was asked.
    pub form: Form,
    /// Its fields.
    pub headers: Headers,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The server's version.
    pub version: Version,
    /// From 100 to 599.
    pub status: u16,
    /// The words after it: no control characters; of no meaning.
    pub reason: Vec<u8>,
    /// Its fields.
    pub headers: Headers,
}
