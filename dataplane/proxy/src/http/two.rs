//! HTTP/2 (RFC 9113): as many requests at a time as a client has streams, each decided as HTTP/1's are.
//!
//! The library `h2` does the protocol on a [`wire::Wire`] over our streams, without a runtime: everything is polled in the
//! session's one future. [`serving`] is a client's connection, [`exchange`] one stream of it, [`servers`] where streams go,
//! [`flood`] what a peer must not do too often. What must hold:
//! - both sides speak the same version: nothing is translated, so that a stream's end, its trailers and its reset mean the
//!   same at both ends;
//! - what a stream comes to touches no other; what floods, or breaks framing, ends the connection with GOAWAY;
//! - memory: what `limits` says of windows and of what waits to be sent, for each stream and for all.
//!
//! Left out: server push (we say so, and a server that does it anyway breaks the protocol), priorities (deprecated by RFC
//! 9113, 5.3; they are skipped), CONNECT in both its forms, scanners, and the upgrade from HTTP/1.1 that RFC 9113 took away.

mod body;
mod code;
mod context;
mod exchange;
mod flood;
mod forward;
mod frames;
mod refuse;
mod servers;
mod serving;
mod set;
mod wire;

pub(super) use frames::PREFACE;

use super::serving::Serving;
use crate::host::Host;
use crate::outcome::Outcome;

/// What ALPN calls it.
pub(crate) const ALPN: &[u8] = b"h2";

/// Have client and server agreed on it?
pub(super) fn is_agreed<H: Host>(session: &Serving<H>) -> bool {
    let agreed = session.host.secured().is_some_and(|tls| tls.alpn.as_deref() == Some(ALPN));
    agreed && session.settings.http2.is_some()
}

/// Is this the head that begins it in clear text, and may it?
///
/// RFC 9113, 3.4: the preface begins like a request, so that servers of HTTP/1 "do not attempt to process further frames".
pub(super) fn begins<H: Host>(session: &Serving<H>, head: &[u8]) -> bool {
    let permitted = session.settings.http2.is_some_and(|two| two.prior_knowledge);
    let first = session.requests == 0 && session.host.secured().is_none();
    permitted && first && head.ends_with(b"\r\n\r\n") && PREFACE.starts_with(head)
}

/// Serves a session to its end; the preface is still to be read.
pub(super) async fn run<H: Host>(session: Serving<H>) -> Outcome {
    let two = session.settings.http2.unwrap_or_default();
    let (context, client, server) = serving::context(session, two);
    serving::serve(context, client, server).await
}

#[cfg(test)]
pub(crate) mod tests;
