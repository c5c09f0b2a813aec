//! The strict mechanism: each known header's value has a greatest length and a set of bytes; the rest is refused or left out.
//!
//! The mechanism is Zorp's. Its table is of the year 2000 and would break today's web (`W/"…"` in ETag, tokens in
//! Authorization, structured fields), so this one is written from the grammars that the RFCs give today, with lengths that
//! servers and browsers really use. Headers without a row pass: new ones come every year.

use super::Refusal;
use crate::http::event::Event;
use crate::http::headers::{Edit, Headers};

/// What happens to a value that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrictAction {
    /// The field is left out: Zorp's default.
    Drop,
    /// The message does not pass.
    Refuse,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strict {
    /// What happens.
    pub action: StrictAction,
}

/// Which bytes a value may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Digits.
    Number,
    /// Tokens, and what stands between them in lists and parameters: RFC 9110, 5.6.
    Tokens,
    /// Letters, digits, blanks, `,`, `:`, `-` and `+`: RFC 9110, 5.6.7, or `0` and `-1` as some servers say.
    Date,
    /// Visible ASCII and blanks.
    Ascii,
    /// Visible ASCII without blanks, `"`, `<` and `>`.
    Url,
    /// Any that a header may have.
    Any,
}

impl Values {
    fn permit(self, byte: u8) -> bool {
        match self {
            Values::Number => byte.is_ascii_digit(),
            Values::Tokens => byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~ \t,;=\"/?:()@".contains(&byte),
            Values::Date => byte.is_ascii_alphanumeric() || b" ,:-+".contains(&byte),
            Values::Ascii => matches!(byte, b'\t' | b' '..=b'~'),
            Values::Url => matches!(byte, b'!'..=b'~') && !b"\"<>".contains(&byte),
            Values::Any => true,
        }
    }
}

/// Name in small letters, greatest length, bytes; in the order of names.
pub const TABLE: &[(&str, usize, Values)] = &[
    ("accept", 2048, Values::Tokens),
    ("accept-charset", 256, Values::Tokens),
    ("accept-encoding", 256, Values::Tokens),
    ("accept-language", 512, Values::Tokens),
    ("accept-ranges", 64, Values::Tokens),
    ("access-control-allow-credentials", 8, Values::Tokens),
    ("access-control-allow-headers", 4096, Values::Tokens),
    ("access-control-allow-methods", 512, Values::Tokens),
    ("access-control-allow-origin", 2048, Values::Url),
    ("access-control-max-age", 16, Values::Date),
    ("access-control-request-headers", 4096, Values::Tokens),
    ("access-control-request-method", 64, Values::Tokens),
    ("age", 20, Values::Number),
    ("allow", 512, Values::Tokens),
    ("alt-svc", 1024, Values::Ascii),
    // Kerberos tickets have up to 48 KiB; the line's own bound is met first.
    ("authorization", 49_152, Values::Ascii),
    ("cache-control", 512, Values::Tokens),
    ("content-disposition", 2048, Values::Any),
    ("content-encoding", 64, Values::Tokens),
    ("content-language", 256, Values::Tokens),
    ("content-length", 19, Values::Number),
    ("content-location", 8192, Values::Url),
    ("content-range", 128, Values::Tokens),
    ("content-type", 512, Values::Tokens),
    ("date", 64, Values::Date),
    ("dav", 1024, Values::Ascii),
    ("depth", 16, Values::Tokens),
    ("destination", 8192, Values::Url),
    ("etag", 512, Values::Ascii),
    ("expect", 32, Values::Tokens),
    ("expires", 64, Values::Date),
    ("from", 256, Values::Ascii),
    ("host", 512, Values::Tokens),
    ("if", 8192, Values::Ascii),
    ("if-match", 2048, Values::Ascii),
    ("if-modified-since", 128, Values::Ascii),
    ("if-none-match", 2048, Values::Ascii),
    ("if-range", 512, Values::Ascii),
    ("if-unmodified-since", 64, Values::Date),
    ("last-modified", 64, Values::Date),
    ("location", 8192, Values::Any),
    ("lock-token", 512, Values::Ascii),
    ("max-forwards", 10, Values::Number),
    ("origin", 2048, Values::Url),
    ("overwrite", 8, Values::Tokens),
    ("pragma", 128, Values::Tokens),
    ("proxy-authenticate", 8192, Values::Ascii),
    ("proxy-authorization", 49_152, Values::Ascii),
    ("range", 512, Values::Tokens),
    ("referer", 8192, Values::Any),
    ("retry-after", 64, Values::Date),
    ("sec-fetch-dest", 32, Values::Tokens),
    ("sec-fetch-mode", 32, Values::Tokens),
    ("sec-fetch-site", 32, Values::Tokens),
    ("sec-fetch-user", 8, Values::Tokens),
    ("sec-websocket-accept", 64, Values::Tokens),
    ("sec-websocket-extensions", 512, Values::Tokens),
    ("sec-websocket-key", 64, Values::Tokens),
    ("sec-websocket-protocol", 512, Values::Tokens),
    ("sec-websocket-version", 32, Values::Tokens),
    ("server", 512, Values::Ascii),
    ("strict-transport-security", 256, Values::Tokens),
    ("timeout", 128, Values::Tokens),
    ("trailer", 512, Values::Tokens),
    ("transfer-encoding", 16, Values::Tokens),
    ("upgrade-insecure-requests", 4, Values::Number),
    ("user-agent", 1024, Values::Ascii),
    ("vary", 1024, Values::Tokens),
    ("via", 1024, Values::Ascii),
    ("www-authenticate", 8192, Values::Ascii),
    ("x-content-type-options", 32, Values::Tokens),
    ("x-forwarded-for", 1024, Values::Tokens),
    ("x-frame-options", 512, Values::Ascii),
    ("x-requested-with", 128, Values::Tokens),
];

impl Strict {
    pub(super) fn apply(self, headers: &mut Headers) -> Result<(), Refusal> {
        let mut refused = false;
        headers.edit(|name, value| match fits(name, value) {
            true => Edit::Keep,
            false if self.action == StrictAction::Drop => Edit::Drop,
            false => {
                refused = true;
                Edit::Keep
            }
        });
        if refused { Err(Refusal::page(Event::StrictDenied)) } else { Ok(()) }
    }
}

fn fits(name: &str, value: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    let Ok(row) = TABLE.binary_search_by(|(known, ..)| (*known).cmp(lower.as_str())) else { return true };
    let (_, max, values) = TABLE[row];
    value.len() <= max && value.iter().all(|byte| values.permit(*byte))
}
