//! What a client's first bytes are: HTTP, TLS, SSH.
//!
//! A detector that would be wrong about a byte more says that it does not know yet; each says no as early as it can.

use super::Settings;
use super::event::Event;
use super::limits::{CLIENT_BYTES_MAX, METHOD_MAX, REQUEST_LINE_MAX};
use crate::tls::hello::{Broken, Hello, Peek};

/// What is known of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is none of the protocols that are looked for.
    No,
    /// More is needed.
    Maybe,
    /// This one, for the service of this name.
    Found(Event, std::sync::Arc<str>),
}

/// A client that is listened to.
#[derive(Debug, Default)]
pub(super) struct Client {
    hello: Peek,
    /// What TLS has come to.
    tls: Tls,
}

#[derive(Debug, Default)]
enum Tls {
    #[default]
    Maybe,
    No,
    /// It is TLS; the hello, if it is one.
    Yes(Option<Box<Hello>>),
}

impl Client {
    /// Looks at all bytes so far, of which those from `new` on were not looked at before.
    pub(super) fn look(&mut self, settings: &Settings, bytes: &[u8], new: usize) -> Judgement {
        // Who is known by the fewest bytes comes first, so that it does not matter in how many pieces they come.
        let answers = [
            settings.ssh.as_ref().map(|service| answer(ssh(bytes), Event::Ssh, service)),
            settings.http.as_ref().map(|service| answer(http(bytes), Event::Http, service)),
            settings.looks_for_tls().then(|| self.tls(settings, bytes, new)),
        ];
        let mut judgement = Judgement::No;
        for answer in answers.into_iter().flatten() {
            match answer {
                Judgement::Found(..) => return answer,
                Judgement::Maybe if bytes.len() < CLIENT_BYTES_MAX => judgement = Judgement::Maybe,
                Judgement::Maybe | Judgement::No => {}
            }
        }
        judgement
    }

    /// The rule that has the client's name, or the service for all TLS.
    fn tls(&mut self, settings: &Settings, bytes: &[u8], new: usize) -> Judgement {
        if matches!(self.tls, Tls::Maybe) {
            self.tls = match self.hello.feed(&bytes[new..]) {
                Ok(Some(hello)) => Tls::Yes(Some(Box::new(hello))),
                Ok(None) if settings.sni.is_empty() && begins_like_tls(bytes) => Tls::Yes(None),
                Ok(None) => return Judgement::Maybe,
                Err(Broken::NotTls) => Tls::No,
                Err(Broken::TooLong | Broken::Malformed(_)) => Tls::Yes(None),
            };
        }
        let Tls::Yes(hello) = &self.tls else { return Judgement::No };
        let name = hello.as_ref().and_then(|hello| hello.server_name());
        let rule = name.and_then(|name| settings.sni.iter().find(|rule| rule.fits(name)));
        match rule.map(|rule| &rule.service).or(settings.tls.as_ref()) {
            Some(service) => Judgement::Found(Event::Tls, service.clone()),
            None => Judgement::No,
        }
    }
}

/// A record of the handshake protocol with a `ClientHello` in it (RFC 8446, §5.1, §4).
fn begins_like_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [22, 3, _, _, _, 1, ..])
}

/// Yes, no, or not known yet.
type Answer = Option<bool>;

pub(super) fn answer(answer: Answer, event: Event, service: &std::sync::Arc<str>) -> Judgement {
    match answer {
        Some(true) => Judgement::Found(event, service.clone()),
        Some(false) => Judgement::No,
        None => Judgement::Maybe,
    }
}

/// RFC 4253, §4.2: "When the connection has been established, both sides MUST send an identification string", and a client
/// may say nothing before it.
pub(super) fn ssh(bytes: &[u8]) -> Answer {
    begins_with(bytes, b"SSH-")
}

/// Whether it begins so, if there is enough to say.
pub(super) fn begins_with(bytes: &[u8], beginning: &[u8]) -> Answer {
    let length = bytes.len().min(beginning.len());
    if bytes[..length] != beginning[..length] { Some(false) } else { (length == beginning.len()).then_some(true) }
}

/// A request line: method, target and `HTTP/`, each one space apart (RFC 9112, §3); HTTP/2's preface has the same shape.
fn http(bytes: &[u8]) -> Answer {
    // RFC 9112, §2.2: a server "SHOULD ignore at least one empty line (CRLF) received prior to the request-line".
    let bytes = match bytes {
        [b'\r'] => return None,
        [b'\r', b'\n', rest @ ..] => rest,
        bytes => bytes,
    };
    let end = memchr::memchr(b'\n', &bytes[..bytes.len().min(REQUEST_LINE_MAX)]);
    if end.is_none() && bytes.len() >= REQUEST_LINE_MAX {
        return Some(false);
    }
    let line = &bytes[..end.unwrap_or(bytes.len())];
    let method_length = memchr::memchr(b' ', line).unwrap_or(line.len());
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if method_length > METHOD_MAX || !line[..method_length].iter().all(is_token) {
        return Some(false);
    }
    // Of what is there, nothing may be what no request line has, however much is there.
    let rest = line.get(method_length + 1..).unwrap_or_default();
    if rest.iter().any(|byte| byte.is_ascii_control() && *byte != b'\r') {
        return Some(false);
    }
    // The line is not whole yet.
    end?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let shaped = words.next().is_none() && method.is_some_and(|word| !word.is_empty());
    let target = target.is_some_and(|word| !word.is_empty());
    let version = version.and_then(|word| word.strip_prefix(b"HTTP/"));
    Some(shaped && target && version.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit)))
}
