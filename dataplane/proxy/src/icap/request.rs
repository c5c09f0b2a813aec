//! What is said to a scanner, written as bytes: request lines, headers and the parts of a message (RFC 3507, 4.3.2, 4.8, 4.9, 4.10).

use std::net::IpAddr;

use bytes::Bytes;

use super::settings::Settings;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// About a request, before the server sees it.
    Reqmod,
    /// About a response, before the client sees it.
    Respmod,
}

impl Service {
    /// The method.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Service::Reqmod => "REQMOD",
            Service::Respmod => "RESPMOD",
        }
    }

    /// The path that the service's settings have for it.
    #[must_use]
    pub fn path(self, settings: &Settings) -> Option<&str> {
        match self {
            Service::Reqmod => settings.reqmod.as_deref(),
            Service::Respmod => settings.respmod.as_deref(),
        }
    }
}

/// The message that is asked about, but for its body.
#[derive(Clone, Debug)]
pub struct Message {
    /// What is asked.
    pub service: Service,
    /// The request's head.
    pub request: Bytes,
    /// The response's head.
    pub response: Option<Bytes>,
    /// There is a body.
    pub has_body: bool,
    /// Who asks.
    pub client: IpAddr,
    /// Who is asked.
    pub server: IpAddr,
}

/// OPTIONS of one path.
#[must_use]
pub fn options(settings: &Settings, path: &str) -> Bytes {
    let server = settings.server;
    Bytes::from(format!(
        "OPTIONS icap://{server}{path} ICAP/1.0\r\nHost: {server}\r\nUser-Agent: Limpid/{}\r\nEncapsulated: null-body=0\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    ))
}

/// The head of a REQMOD or RESPMOD with the heads that it encapsulates; the body follows in chunks.
#[must_use]
pub fn modify(settings: &Settings, path: &str, message: &Message, preview: Option<usize>, allow_204: bool) -> Bytes {
    let server = settings.server;
    let mut head = format!(
        "{} icap://{server}{path} ICAP/1.0\r\nHost: {server}\r\nX-Client-IP: {}\r\nX-Server-IP: {}\r\n",
        message.service.method(),
        message.client,
        message.server,
    );
    if allow_204 {
        head.push_str("Allow: 204\r\n");
    }
    if let Some(preview) = preview {
        head.push_str(&format!("Preview: {preview}\r\n"));
    }
    let body = match (message.has_body, message.service) {
        (false, _) => "null-body",
        (true, Service::Reqmod) => "req-body",
        (true, Service::Respmod) => "res-body",
    };
    let request = message.request.len();
    match &message.response {
        Some(response) => {
            let end = request + response.len();
            head.push_str(&format!("Encapsulated: req-hdr=0, res-hdr={request}, {body}={end}\r\n\r\n"));
        }
        None => head.push_str(&format!("Encapsulated: req-hdr=0, {body}={request}\r\n\r\n")),
    }
    let mut head = head.into_bytes();
    head.extend_from_slice(&message.request);
    head.extend_from_slice(message.response.as_deref().unwrap_or_default());
    Bytes::from(head)
}
