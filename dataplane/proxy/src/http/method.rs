//! A request's method: a token, case-sensitive (RFC 9110, 9.1: "The method token is case-sensitive").
//!
//! Which methods pass is the policy's business; here is only what the protocol itself says of the known ones.

use std::borrow::Cow;
use std::fmt;

use super::headers::is_token;

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Method(Cow<'static, str>);

macro_rules! known {
    ($($name:ident $text:literal)*) => {
        impl Method {
            $(#[doc = concat!("`", $text, "`.")] pub const $name: Method = Method(Cow::Borrowed($text));)*

            /// Those that have a name here.
            pub const KNOWN: &[&'static str] = &[$($text,)*];
        }
    };
}

known! {
    GET "GET" HEAD "HEAD" POST "POST" PUT "PUT" DELETE "DELETE" CONNECT "CONNECT" OPTIONS "OPTIONS" TRACE "TRACE"
    PATCH "PATCH" PROPFIND "PROPFIND" PROPPATCH "PROPPATCH" MKCOL "MKCOL" COPY "COPY" MOVE "MOVE" LOCK "LOCK"
    UNLOCK "UNLOCK" REPORT "REPORT" SEARCH "SEARCH"
}

impl Method {
    /// A method of any token; `None` when it is none. Known ones cost no memory.
    #[must_use]
    pub fn parse(token: &[u8]) -> Option<Method> {
        if let Some(known) = Method::KNOWN.iter().find(|known| known.as_bytes() == token) {
            return Some(Method(Cow::Borrowed(known)));
        }
        let text = std::str::from_utf8(token).ok()?;
        is_token(token).then(|| Method(Cow::Owned(text.to_owned())))
    }

    /// As on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// RFC 9110, 9.2.2: doing it twice is as doing it once, so that a lost connection may be tried again.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        matches!(
            self.as_str(),
            "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE" | "PROPFIND" | "REPORT" | "SEARCH"
        )
    }

    /// Whether content of a request means something: RFC 9110, 9.3.1, 9.3.2, 9.3.5 to 9.3.8.
    ///
    /// "Content received in a GET request has no generally defined semantics (and) might lead some implementations to
    /// reject the request and close the connection because of its potential as a request smuggling attack".
    #[must_use]
    pub fn has_content(&self) -> bool {
        !matches!(self.as_str(), "GET" | "HEAD" | "TRACE" | "CONNECT")
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
