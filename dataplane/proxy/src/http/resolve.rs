//! The address of a name in a URL: from the service's own list, or asked of one resolver over TCP (RFC 1035, 7766).
//!
//! One question for one family, that of the client: whose address the server is to see has no other. The resolver is the
//! operator's, recursive, and trusted to follow aliases; the zones judge the address afterwards, as any other. An
//! answer serves one session, so that nothing is kept for longer than it was asked for. Left out: UDP (nobody could be told from
//! a forger without more), search domains, and everything but addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;

use bytes::Bytes;

use super::drive::{Step, drive};
use super::event::Event;
use super::limits::{ANSWER_BYTES_MAX, ANSWERS_MAX, RESOLVE_MAX};
use crate::host::{Host, Related};
use crate::outcome::Side;
use crate::session::SessionId;
use crate::stream::{Chunk, Stream};

/// Any number: over TCP an answer is told from others by its connection.
const ID: u16 = 0x11d0;

/// Asks for a name's address.
pub(super) async fn resolve<H: Host>(
    host: &H,
    session: SessionId,
    resolver: SocketAddr,
    name: &str,
    ipv6: bool,
) -> Result<IpAddr, Event> {
    let question = question(name, ipv6).ok_or(Event::Unresolved)?;
    let related = Related { side: Side::Server, local: None, ports: 0..=0, remote: resolver };
    let until = host.now().saturating_add(RESOLVE_MAX);
    let mut connecting = std::pin::pin!(host.connect_related(session, related));
    let mut stream = drive(host, |cx, now| match connecting.as_mut().poll(cx) {
        Poll::Ready(connected) => Step::Done(connected.map_err(|_| Event::Unresolved)),
        Poll::Pending if now >= until => Step::Done(Err(Event::Unresolved)),
        Poll::Pending => Step::Until(until),
    })
    .await?;
    let mut message = (question.len() as u16).to_be_bytes().to_vec();
    message.extend_from_slice(&question);
    let mut message = Some(Bytes::from(message));
    let mut answer: Vec<u8> = Vec::new();
    drive(host, |cx, now| {
        if message.is_some()
            && let Poll::Ready(Ok(_)) = stream.poll_writable(cx)
        {
            // A failure is read below.
            let _ = message.take().map(|message| stream.write(message.into()));
        }
        loop {
            match stream.poll_read(cx) {
                Poll::Ready(Ok(Some(chunk))) if answer.len() + chunk.len() <= ANSWER_BYTES_MAX => {
                    answer.extend_from_slice(chunk.as_slice());
                }
                Poll::Ready(_) => return Step::Done(Err(Event::Unresolved)),
                Poll::Pending => break,
            }
            if let [high, low, message @ ..] = answer.as_slice()
                && let Some(message) = message.get(..usize::from(u16::from_be_bytes([*high, *low])))
            {
                return Step::Done(address(message, &question, ipv6).ok_or(Event::Unresolved));
            }
        }
        if now >= until { Step::Done(Err(Event::Unresolved)) } else { Step::Until(until) }
    })
    .await
}

const A: u16 = 1;
const AAAA: u16 = 28;
const IN: u16 = 1;

/// A message with one question, recursion desired; `None`: no name of the DNS.
fn question(name: &str, ipv6: bool) -> Option<Vec<u8>> {
    if name.len() > 253 || name.starts_with('[') {
        return None;
    }
    let mut message = Vec::with_capacity(name.len() + 18);
    for word in [ID, 0x0100, 1, 0, 0, 0] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    for label in name.split('.') {
        // RFC 1035, 2.3.4: "labels: 63 octets or less".
        message.push(u8::try_from(label.len()).ok().filter(|len| (1..=63).contains(len))?);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    for word in [if ipv6 { AAAA } else { A }, IN] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    Some(message)
}

/// The first address among the answers to the question.
fn address(message: &[u8], question: &[u8], ipv6: bool) -> Option<IpAddr> {
    let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let (flags, questions, answers) = (word(2)?, word(4)?, word(6)?);
    let is_response = flags & 0x8000 != 0;
    let (truncated, failed) = (flags & 0x0200 != 0, flags & 0x000f != 0);
    if word(0)? != ID || !is_response || truncated || failed || questions != 1 {
        return None;
    }
    // It is our question that is answered.
    let asked = message.get(12..question.len())?;
    if !asked.eq_ignore_ascii_case(&question[12..]) {
        return None;
    }
    let mut at = question.len();
    for _ in 0..usize::from(answers).min(ANSWERS_MAX) {
        at = after_name(message, at)?;
        let (kind, class, len) = (word(at)?, word(at + 2)?, usize::from(word(at + 8)?));
        let data = message.get(at + 10..at + 10 + len)?;
        at += 10 + len;
        match (kind, class, ipv6) {
            (A, IN, false) => return <[u8; 4]>::try_from(data).ok().map(|data| Ipv4Addr::from(data).into()),
            (AAAA, IN, true) => return <[u8; 16]>::try_from(data).ok().map(|data| Ipv6Addr::from(data).into()),
            _ => {}
        }
    }
    None
}

/// Where a name ends: its labels are skipped, a pointer ends it (RFC 1035, 4.1.4) and is not followed.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
