//! Who is too slow, on either side, and who is not.

use std::time::Duration;

use bytes::Bytes;

use super::scene::{Said, Scene, client, message_end, said, scene, statuses};
use crate::host::Host;
use crate::http::Settings;
use crate::http::event::Event;
use crate::http::limits::LINGER_BYTES_MAX;
use crate::outcome::Reason;
use crate::stream::Stream;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SECOND: Duration = Duration::from_secs(1);

fn ok(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
    message_end(bytes).map(|end| (end, said(OK)))
}

/// Says `first`, then one byte of `then` each `pause`; what is heard, when it ended, and why.
fn dribble(
    first: &str,
    then: &'static str,
    pause: Duration,
    answer: super::scene::Answer,
) -> (String, Duration, Reason) {
    let (Scene { mut world, outcome, .. }, mut stream) = scene(Settings::default(), answer);
    let (host, first) = (world.host(), Bytes::copy_from_slice(first.as_bytes()));
    let said = world.spawn(async move {
        let _ = stream.send(first).await;
        for at in 0..then.len() {
            host.sleep(pause).await;
            if stream.send(Bytes::from_static(&then.as_bytes()[at..=at])).await.is_err() {
                break;
            }
        }
        let mut heard = Vec::new();
        while let Ok(Some(chunk)) = stream.read().await {
            heard.extend_from_slice(&chunk);
        }
        (String::from_utf8(heard).expect("it is text"), host.now())
    });
    world.run();
    let (heard, when) = said.take().expect("the client hears an end");
    (heard, when, outcome.take().expect("the session has ended").reason)
}

#[test]
fn a_head_has_an_absolute_time() {
    let (heard, when, reason) = dribble("GET / HTTP/1.1\r\n", "X: aaaaaaaaaaaaaaaaaaaaaaa", SECOND, ok);
    assert_eq!((statuses(heard.as_bytes()).0, reason), (vec!["408".to_owned()], Reason::ClientTooSlow));
    assert!(when < 30 * SECOND, "{when:?}");
}

#[test]
fn a_later_request_is_closed_for_without_a_word() {
    let (Scene { mut world, outcome, .. }, stream) = scene(Settings::default(), ok);
    let heard = world.spawn(client(stream, vec![Bytes::from(GET)], false));
    world.run();
    assert_eq!(heard.take(), Some((OK.as_bytes().to_vec(), None)));
    assert_eq!(world.host().counted(Event::KeepAliveTimeout), 1);
    assert!(world.now() >= Settings::default().times.keep_alive, "{:?}", world.now());
    assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::Finished));
}

#[test]
fn a_body_has_a_rate() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
    let slow: &'static str = "a".repeat(100).leak();
    let (heard, _, reason) = dribble(post, slow, SECOND, ok);
    assert_eq!((statuses(heard.as_bytes()).0, reason), (vec!["408".to_owned()], Reason::ClientTooSlow));
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n";
    let quick: &'static str = "a".repeat(1000).leak();
    let (heard, _, reason) = dribble(post, quick, Duration::from_millis(2), ok);
    assert_eq!((statuses(heard.as_bytes()).0, reason), (vec!["200".to_owned()], Reason::Finished));
}

#[test]
fn a_server_has_its_time_for_an_answer() {
    fn never(_: &[u8]) -> Option<(usize, Vec<Said>)> {
        None
    }
    let (Scene { mut world, outcome, .. }, stream) = scene(Settings::default(), never);
    let heard = world.spawn(client(stream, vec![Bytes::from(GET)], false));
    world.run();
    assert_eq!(statuses(&heard.take().expect("an end").0).0, ["504"]);
    assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::ServerTooSlow));
    let waited = world.now();
    assert!(waited >= Settings::default().times.response && waited < 310 * SECOND, "{waited:?}");
}

#[test]
fn a_server_may_be_slow_but_not_silent() {
    fn slow(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
        let mut parts = said("HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\n");
        for _ in 0..20 {
            parts.extend([Said::Wait(100 * SECOND), Said::Bytes(b"x".to_vec())]);
        }
        message_end(bytes).map(|end| (end, parts))
    }
    fn silent(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
        let mut parts = said("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nx");
        parts.extend([Said::Wait(400 * SECOND), Said::Bytes(b"x".repeat(19))]);
        message_end(bytes).map(|end| (end, parts))
    }
    let says = GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let (heard, _, reason) = dribble(&says, "", SECOND, slow);
    assert!(heard.ends_with(&"x".repeat(20)) && reason == Reason::Finished, "{heard} {reason:?}");
    let (heard, _, reason) = dribble(&says, "", SECOND, silent);
    assert!(heard.ends_with("\r\n\r\nx") && reason == Reason::ServerTooSlow, "{heard} {reason:?}");
}

#[test]
fn a_reader_has_a_rate() {
    fn large(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1 << 20);
        let mut parts = said(&head);
        parts.extend((0..1 << 6).map(|_| Said::Bytes(vec![b'x'; 1 << 14])));
        message_end(bytes).map(|end| (end, parts))
    }
    let read = |pause: Duration| {
        let (Scene { mut world, outcome, .. }, mut stream) = scene(Settings::default(), large);
        let host = world.host();
        let read = world.spawn(async move {
            let _ = stream.send(Bytes::from(GET)).await;
            stream.shutdown();
            let mut read = 0;
            while let Ok(Some(chunk)) = stream.read().await {
                read += chunk.len();
                host.sleep(pause).await;
            }
            read
        });
        world.run();
        (read.take().expect("it has an end"), outcome.take().expect("it has one, too").reason)
    };
    let (bytes, reason) = read(SECOND);
    assert!(bytes > 1 << 20 && reason == Reason::Finished, "{bytes} {reason:?}");
    let (bytes, reason) = read(100 * SECOND);
    assert!(bytes < 1 << 20 && reason == Reason::ClientTooSlow, "{bytes} {reason:?}");
}

#[test]
fn the_session_has_a_total_time() {
    let (Scene { mut world, .. }, _) = scene(Settings::default(), ok);
    let (ours, leg) = crate::memory::duplex(100);
    let info = crate::session::SessionInfo { total: Some(5 * SECOND), ..super::scene::info() };
    let session = crate::session::Session { id: crate::session::SessionId(8), host: world.host(), client: leg, info };
    let outcome = world.spawn(crate::http::run(session, std::sync::Arc::default()));
    let heard = world.spawn(client(ours, Vec::new(), false));
    world.run();
    assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::TotalTimeout));
    assert!(heard.take().expect("an end").1.is_some(), "it is reset");
}

#[test]
fn a_closed_connection_is_read_on_for_a_while() {
    let end = |endless: bool| {
        let (Scene { mut world, outcome, .. }, mut stream) = scene(Settings::default(), ok);
        let (host, done) = (world.host(), world.host());
        let told = world.spawn(async move {
            let _ = stream.send(Bytes::from("nonsense\r\n\r\n")).await;
            let mut sent = 0_u64;
            while endless && stream.send(Bytes::from(vec![b'x'; 1 << 12])).await.is_ok() {
                sent += 1 << 12;
            }
            while !endless && !matches!(stream.read().await, Ok(None) | Err(_)) {}
            host.sleep(10 * SECOND).await;
            sent
        });
        world.run_until(9 * SECOND);
        assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::ClientViolation), "it has ended");
        assert!(done.counted(Event::RequestLine) == 1);
        world.run();
        told.take().expect("it went on")
    };
    let sent = end(true);
    assert!((LINGER_BYTES_MAX..LINGER_BYTES_MAX + (1 << 17)).contains(&sent), "{sent} bytes");
    end(false);
}
