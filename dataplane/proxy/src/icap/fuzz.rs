//! What the fuzzers of ICAP do with bytes, and what must hold for all of them; `tests/fuzz` feeds it, and a test with fixed
//! seeds.
//!
//! Part of the library, as [`crate::memory`] is, because fuzzers live in a workspace of their own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Collector, Head, Options, Service, Settings, Threat};
use crate::http;
use crate::memory::{ConnectAnswer, MemoryStream, Task, World, duplex};
use crate::session::{Session, SessionId, SessionInfo};
use crate::stream::Stream;

/// Any bytes as a scanner's head: pieces make no difference, and whatever it says is read to its end.
///
/// # Panics
/// When that does not hold.
pub fn heads(bytes: &[u8]) {
    let whole = collect(bytes, bytes.len().max(1));
    assert_eq!(whole, collect(bytes, 1), "byte by byte as whole");
    let Some(Ok(head)) = whole else { return };
    for service in [Service::Reqmod, Service::Respmod] {
        if let Ok(options) = Options::read(&head, service, Duration::from_secs(1)) {
            let _ = options.treatment("/a/page.html");
        }
    }
    let _ = Threat::of(&head.headers);
}

/// The head, or why there is none; nothing when it is not whole yet.
fn collect(bytes: &[u8], piece: usize) -> Option<Result<Head, super::Event>> {
    let mut collector = Collector::default();
    for piece in bytes.chunks(piece) {
        match collector.feed(piece) {
            Ok(Some(_)) => return Some(collector.parse()),
            Ok(None) => {}
            Err(event) => return Some(Err(event)),
        }
    }
    None
}

/// What the body of a server's answer is, in words that no page of ours has.
const BODY: &[u8] = b"qzx1qzx2qzx3qzx4qzx5qzx6qzx7qzx8qzx9";

/// A client asks, a server answers, and a scanner says whatever it says, to all that it is asked: the session ends; and where nothing
/// was permitted, the client has not seen a byte of the server's body.
///
/// # Panics
/// When that does not hold.
pub fn scanned(from_scanner: &[u8], piece: usize, knows_options: bool) {
    let mut world = World::new();
    let (client, leg) = duplex(1 << 16);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice();
    let answer = [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY.len()).as_bytes(), BODY].concat();
    let (server_leg, server) = duplex(1 << 16);
    world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(server_leg)));
    let _ = world.spawn(say(server, vec![answer.into()]));
    let options =
        b"ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nISTag: \"a\"\r\nAllow: 204\r\nPreview: 16\r\n\r\n".as_slice();
    for number in 0..4 {
        let (scanner_leg, scanner) = duplex(1 << 16);
        world.host().answer_related(ConnectAnswer::After(Duration::ZERO, Ok(scanner_leg)));
        let mut said: Vec<Bytes> = from_scanner.chunks(piece.max(1)).map(Bytes::copy_from_slice).collect();
        if knows_options && number == 0 {
            said.insert(0, Bytes::from_static(options));
        }
        let _ = world.spawn(say(scanner, said));
    }
    let mut settings = Settings::new(([10, 0, 0, 5], 1344).into());
    settings.respmod = Some("/scan".to_owned());
    let settings = http::Settings { icap: Some(Arc::new(settings)), ..http::Settings::default() };
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
    let outcome = world.spawn(http::run(session, Arc::new(settings)));
    let heard = world.spawn(ask(client, Bytes::from_static(request)));
    world.run();
    assert!(outcome.take().is_some(), "the session has ended");
    let permits = |bytes: &[u8]| bytes.windows(3).any(|three| three == b"204" || three == b"100" || three == b"200");
    let heard = Task::take(&heard).unwrap_or_default();
    if !permits(from_scanner) {
        assert!(
            !heard.windows(8).any(|eight| BODY.windows(8).any(|part| part == eight)),
            "unjudged bytes came through"
        );
    }
}

/// Asks, and hears what comes.
async fn ask(mut stream: MemoryStream, request: Bytes) -> Vec<u8> {
    let _ = stream.send(request).await;
    stream.shutdown();
    let mut heard = Vec::new();
    while let Ok(Some(chunk)) = stream.read().await {
        heard.extend_from_slice(&chunk);
    }
    heard
}

/// Says this once something has come, finishes, and hears what comes.
async fn say(mut stream: MemoryStream, pieces: Vec<Bytes>) {
    if !matches!(stream.read().await, Ok(Some(_))) {
        return;
    }
    for piece in pieces {
        if stream.send(piece).await.is_err() {
            break;
        }
    }
    stream.shutdown();
    while let Ok(Some(_)) = stream.read().await {}
}
