//! What hooks return, and what it means to the proxy.
//!
//! Nothing, or `true`, accepts; `false` denies. Words say more: `"deny", why`, `"reject", code, text`, and for TLS
//! `"splice"` or `"bump"`. Anything else is a mistake, and a mistake denies.

use std::net::{IpAddr, SocketAddr};

use mlua::{MultiValue, Value};

use super::sandbox::line;
use crate::host::Target;

/// What a script says to a session, a request, a response or a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// Go on, with what it changed.
    #[default]
    Accept,
    /// No, by the protocol's usual words.
    Deny {
        /// For the log.
        why: String,
    },
    /// No, by these words.
    Reject {
        /// An HTTP status or an FTP reply code, 400 to 599.
        code: u16,
        /// The page's, or the reply's, text: one line.
        text: String,
    },
}

/// What a script says to a TLS handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsAnswer {
    /// What the service says.
    #[default]
    AsConfigured,
    /// No.
    Deny {
        /// For the log.
        why: String,
    },
    /// Pass it on undecrypted.
    Splice,
    /// Decrypt it.
    Bump,
}

/// Answers that may be a no.
pub(super) trait Deny {
    /// Why, if it is one.
    fn denied(&self) -> Option<&str>;
}

impl Deny for Answer {
    fn denied(&self) -> Option<&str> {
        match self {
            Answer::Accept => None,
            Answer::Deny { why: text } | Answer::Reject { text, .. } => Some(text),
        }
    }
}

impl Deny for TlsAnswer {
    fn denied(&self) -> Option<&str> {
        match self {
            TlsAnswer::Deny { why } => Some(why),
            _ => None,
        }
    }
}

/// A route; `None` is a no.
impl Deny for Option<Target> {
    fn denied(&self) -> Option<&str> {
        if self.is_none() { Some("no server") } else { None }
    }
}

/// Of `session`.
pub(super) fn of_session(values: &MultiValue) -> Result<Answer, String> {
    match plain(values) {
        Some(answer) => Ok(answer),
        None => Err(unknown(values, "`deny`")),
    }
}

/// Of `request`, `response` and `command`.
pub(super) fn of_message(values: &MultiValue) -> Result<Answer, String> {
    if let Some(answer) = plain(values) {
        return Ok(answer);
    }
    if word(values).as_deref() != Some(b"reject") {
        return Err(unknown(values, "`deny` or `reject`"));
    }
    let code = values.get(1).and_then(Value::as_integer).and_then(|code| u16::try_from(code).ok());
    let code = code.filter(|code| (400..=599).contains(code));
    let code = code.ok_or_else(|| "`reject` without a code from 400 to 599".to_owned())?;
    Ok(Answer::Reject { code, text: text(values.get(2)) })
}

/// Of `hello`.
pub(super) fn of_hello(values: &MultiValue) -> Result<TlsAnswer, String> {
    match (plain(values), word(values).as_deref()) {
        (Some(Answer::Deny { why }), _) => Ok(TlsAnswer::Deny { why }),
        (Some(_), _) => Ok(TlsAnswer::AsConfigured),
        (None, Some(b"splice")) => Ok(TlsAnswer::Splice),
        (None, Some(b"bump")) => Ok(TlsAnswer::Bump),
        _ => Err(unknown(values, "`splice`, `bump` or `deny`")),
    }
}

/// Of `route`: an address, with a port or with that of the original destination.
pub(super) fn of_route(values: &MultiValue, port: u16) -> Result<Option<Target>, String> {
    match plain(values) {
        Some(Answer::Deny { .. }) => return Ok(None),
        Some(_) => return Ok(Some(Target::Original)),
        None => {}
    }
    let written = word(values).map(|word| String::from_utf8_lossy(&word).into_owned()).unwrap_or_default();
    let address = written.parse::<SocketAddr>().ok();
    let address = address.or_else(|| written.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port)));
    match address {
        Some(address) if address.port() != 0 && !address.ip().is_unspecified() => Ok(Some(Target::Address(address))),
        _ => Err(unknown(values, "an address, with or without a port, or `deny`")),
    }
}

/// Accepted or denied in the words that all hooks have.
fn plain(values: &MultiValue) -> Option<Answer> {
    match values.front() {
        None | Some(Value::Nil | Value::Boolean(true)) => Some(Answer::Accept),
        Some(Value::Boolean(false)) => Some(Answer::Deny { why: text(values.get(1)) }),
        _ if word(values).as_deref() == Some(b"deny") => Some(Answer::Deny { why: text(values.get(1)) }),
        _ => None,
    }
}

fn word(values: &MultiValue) -> Option<Vec<u8>> {
    values.front().and_then(Value::as_string).map(|word| word.as_bytes().to_vec())
}

fn text(value: Option<&Value>) -> String {
    match value.and_then(Value::as_string) {
        Some(text) => line(&text.as_bytes()),
        None => "the script gives no reason".to_owned(),
    }
}

fn unknown(values: &MultiValue, expected: &str) -> String {
    let found = match (word(values), values.front()) {
        (Some(word), _) => format!("`{}`", line(&word)),
        (None, Some(other)) => format!("a {}", other.type_name()),
        (None, None) => "nothing".to_owned(),
    };
    format!("{found}, where {expected} was expected, or nothing to accept")
}
