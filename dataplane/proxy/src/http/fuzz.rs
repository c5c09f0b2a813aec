//! What the fuzzers of HTTP do with bytes, and what must hold for all of them; `tests/fuzz` feeds it, and a test here with
//! fixed seeds.
//!
//! Part of the library, as [`crate::memory`] is, because fuzzers live in a workspace of their own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::body::Trailers;
use super::chunked::{Chunked, Piece};
use super::event::Event;
use super::forward;
use super::head::{Asked, Collector, Completion, Exchange, HeadLimits, RequestRules, parse_request, parse_response};
use super::policy::Route;
use super::settings::{Settings, Two};
use super::url::{Scheme, UrlRules};
use crate::host::Host;
use crate::memory::{ConnectAnswer, MemoryHost, MemoryStream, World, duplex};
use crate::session::{Session, SessionId, SessionInfo};
use crate::stream::Stream;

fn rules() -> RequestRules {
    let server = ([10, 0, 0, 9], 80).into();
    RequestRules {
        completion: Completion { scheme: Scheme::Http, server, require_host: false },
        url: UrlRules::default(),
        permit_odd_body: false,
    }
}

/// Any bytes as heads: pieces make no difference, and a request that passes is one that reads the same again.
///
/// # Panics
/// When that does not hold.
pub fn heads(bytes: &[u8]) {
    let whole = collect(bytes, bytes.len().max(1));
    assert_eq!(whole, collect(bytes, 1), "byte by byte as whole");
    let Ok(Some(head)) = whole else { return };
    let _ = parse_response(&head, Exchange::Other);
    let Ok(asked) = parse_request(&head, &rules()) else { return };
    let client = [192, 168, 1, 5].into();
    let Ok(said) = forward::request(&Settings::default(), &asked, Route::Original, client, None) else { return };
    assert!(!said.contains(&0), "no NUL");
    assert_eq!(collect(&said, 7), Ok(Some(said.to_vec())), "one head, with its end at its end");
    let again = parse_request(&said, &rules()).expect("what we say is a request");
    let facts = |asked: &Asked| (asked.request.method.clone(), asked.request.url.clone(), asked.body);
    assert_eq!(facts(&again), facts(&asked), "read again it is the same");
}

fn collect(bytes: &[u8], piece: usize) -> Result<Option<Vec<u8>>, Event> {
    let mut collector = Collector::request(HeadLimits::default());
    for piece in bytes.chunks(piece) {
        if collector.feed(piece)?.is_some() {
            return Ok(Some(collector.into_bytes()));
        }
    }
    Ok(None)
}

/// Any bytes as a chunked body: pieces make no difference.
///
/// # Panics
/// When that does not hold.
pub fn chunks(bytes: &[u8]) {
    assert_eq!(decode(bytes, bytes.len().max(1)), decode(bytes, 1), "byte by byte as whole");
}

/// The data, and where the body ended, if it did.
fn decode(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, Option<usize>), Event> {
    let (mut decoder, mut data, mut used) = (Chunked::new(), Vec::new(), 0);
    for piece in bytes.chunks(piece) {
        let mut rest = piece;
        while !rest.is_empty() {
            let (taken, found) = decoder.next(rest)?;
            assert!(taken <= rest.len() && (taken > 0 || found == Piece::More), "it goes on, within what is there");
            used += taken;
            match found {
                Piece::Data(len) => data.extend_from_slice(&rest[..len]),
                Piece::End => {
                    decoder.trailers()?;
                    return Ok((data, Some(used)));
                }
                Piece::Begin(_) | Piece::More => {}
            }
            rest = &rest[taken..];
        }
    }
    Ok((data, None))
}

/// What a client and a server say, whatever it is: the session ends, and the server has seen nothing but whole requests
/// that a plain parser finds, but for the last.
///
/// # Panics
/// When that does not hold.
pub fn session(from_client: &[u8], from_server: &[u8], piece: usize) {
    let settings = Settings { upgrade: vec!["websocket".into()], ..Settings::default() };
    let (world, seen) = between(settings, from_client, from_server, piece, Duration::ZERO);
    for seen in seen {
        whole_requests(&seen, world.host().counted(Event::Upgraded) > 0);
    }
}

/// A frame of HTTP/2: type, flags, stream, payload.
pub type Frame = (u8, u8, u8, Vec<u8>);

/// Frames of a client and of a server, whatever they are: the session ends, and what the server has seen is the preface
/// and whole frames, but for the last. How many requests were passed to it.
///
/// # Panics
/// When that does not hold.
pub fn two(from_client: &[Frame], from_server: &[Frame], piece: usize) -> u64 {
    let settings = Settings { http2: Some(Two::default()), trailers: Trailers::Pass, ..Settings::default() };
    let client = [super::two::PREFACE.to_vec(), vec![0, 0, 0, 4, 0, 0, 0, 0, 0], frames(from_client, REQUEST)].concat();
    let server = [vec![0, 0, 0, 4, 0, 0, 0, 0, 0], frames(from_server, &[0x88])].concat();
    // Who has finished hears no answer in HTTP/2.
    let (world, seen) = between(settings, &client, &server, piece, Duration::from_secs(1));
    for seen in seen.iter().filter(|seen| seen.len() >= super::two::PREFACE.len()) {
        let mut rest = seen.strip_prefix(super::two::PREFACE).expect("a server hears the preface first");
        while let [a, b, c, kind, _, _, _, _, _, after @ ..] = rest {
            assert!(*kind <= 9, "a type that we know");
            let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            assert!(len <= 1 << 14, "no larger than was permitted");
            rest = after.get(len..).unwrap_or_default();
        }
    }
    world.host().counted(Event::Response)
}

/// `POST http://a/`, as HPACK has it in its static table (RFC 7541, A) but for the host.
const REQUEST: &[u8] = &[0x83, 0x86, 0x84, 0x41, 1, b'a'];

/// As on the wire. By its first byte a head is a good one, begins as one, or is what it is; streams are those of clients.
fn frames(frames: &[Frame], head: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, flags, stream, payload) in frames {
        let kind = kind % 12;
        let first = payload.first().copied().unwrap_or_default();
        let payload = match (kind, first % 4) {
            (1, 0 | 1) if flags & 0x28 == 0 => head.to_vec(),
            (1, 2) => [head, payload].concat(),
            _ => payload.clone(),
        };
        let stream = if matches!(kind, 4 | 6 | 7) { 0 } else { u32::from(stream % 8) * 2 + 1 };
        out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
        out.extend_from_slice(&[kind, *flags]);
        out.extend_from_slice(&stream.to_be_bytes());
        out.extend_from_slice(&payload);
    }
    out
}

/// A session between these; the world it was in, and what each server has seen.
///
/// The peers finish so long after they have said all.
fn between(
    settings: Settings,
    from_client: &[u8],
    from_server: &[u8],
    piece: usize,
    pause: Duration,
) -> (World, Vec<Vec<u8>>) {
    let mut world = World::new();
    let (client, leg) = duplex(1 << 16);
    let pieces = |bytes: &[u8]| bytes.chunks(piece.max(1)).map(Bytes::copy_from_slice).collect::<Vec<_>>();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (leg, server) = duplex(1 << 16);
        world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(leg)));
        let host = world.host();
        seen.push(world.spawn(say(server, pieces(from_server), true, host, pause)));
    }
    let info = SessionInfo {
        client: ([192, 168, 1, 5], 40_000).into(),
        original_destination: ([10, 0, 0, 9], 80).into(),
        service: "fuzzed".into(),
        client_zone: None,
        server_zone: None,
        interface: "intra".into(),
        idle: Duration::from_secs(600),
        total: Some(Duration::from_secs(86_400)),
    };
    let session = Session { id: SessionId(1), host: world.host(), client: leg, info };
    let outcome = world.spawn(super::run(session, Arc::new(settings)));
    let host = world.host();
    let _ = world.spawn(say(client, pieces(from_client), false, host, pause));
    world.run();
    assert!(outcome.take().is_some(), "the session has ended");
    let seen = seen.iter().filter_map(crate::memory::Task::take).collect();
    (world, seen)
}

/// Says this once something has come (`waits`), or at once, finishes, and hears what comes.
async fn say(mut stream: MemoryStream, pieces: Vec<Bytes>, waits: bool, host: MemoryHost, pause: Duration) -> Vec<u8> {
    let mut heard = Vec::new();
    if waits {
        match stream.read().await {
            Ok(Some(chunk)) => heard.extend_from_slice(&chunk),
            _ => return heard,
        }
    }
    for piece in pieces {
        if stream.send(piece).await.is_err() {
            break;
        }
    }
    if !pause.is_zero() {
        host.sleep(pause).await;
    }
    stream.shutdown();
    while let Ok(Some(chunk)) = stream.read().await {
        heard.extend_from_slice(&chunk);
    }
    heard
}

/// Every head that a server has seen is one that we would take, in its own canonical form.
fn whole_requests(mut seen: &[u8], upgraded: bool) {
    while !seen.is_empty() {
        let mut collector = Collector::request(HeadLimits::default());
        let Some(end) = collector.feed(seen).expect("heads of ours are well formed") else { return };
        let asked = parse_request(&collector.into_bytes(), &rules()).expect("heads of ours are requests");
        seen = &seen[end..];
        let over = match asked.body {
            super::head::Body::Length(length) => usize::try_from(length).ok().filter(|length| *length <= seen.len()),
            super::head::Body::Chunked => decode(seen, seen.len().max(1)).expect("chunks of ours are well formed").1,
            _ => Some(0),
        };
        // What follows a request that was cut off, or an upgrade, is no request.
        let Some(over) = over.filter(|_| !upgraded) else { return };
        seen = &seen[over..];
    }
}

#[cfg(test)]
mod tests;
