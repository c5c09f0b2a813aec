//! TLS on streams in memory: in every cut of the bytes, both ends' ends, and what a peer can do wrong.

use std::time::Duration;

use bytes::Bytes;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, CertificateError, Error, SupportedProtocolVersion};

use super::{Fault, HandshakeError, TlsStream, Truncation};
use crate::host::Host;
use crate::memory::{MemoryStream, World, duplex};
use crate::stream::{Ends, Stream, StreamError};
use crate::tls::testing::{Authority, WINDOW, client, client_config, server, wire};

async fn read_all(stream: &mut TlsStream<MemoryStream>) -> (Vec<u8>, Option<StreamError>) {
    let mut all = Vec::new();
    loop {
        match stream.read().await {
            Ok(Some(chunk)) => all.extend_from_slice(&chunk),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

/// A question that half-closes, an answer that is longer than any window.
fn talk(version: &'static SupportedProtocolVersion, size: usize) {
    let root = Authority::new("root");
    let leaf = root.leaf(&["a.example"], |_| ());
    let mut world = World::new();
    let (at_client, at_server) = wire(&mut world, size);
    let answer: Vec<u8> = (0..20_000_u32).map(|i| (i % 251) as u8).collect();
    let connection = client(client_config(&[&root], &[version], &["h2", "http/1.1"]), "a.example");
    let client = world.spawn(async move {
        let mut tls = TlsStream::client(at_client, connection);
        tls.handshake().await?;
        assert_eq!(tls.alpn(), Some(&b"http/1.1"[..]));
        assert_eq!(tls.peer_certificates().len(), 1);
        tls.send(Bytes::from_static(b"question")).await.expect("it is open");
        tls.shutdown();
        let heard = read_all(&mut tls).await;
        assert_eq!(tls.finished().await, Ok(()));
        Ok::<_, HandshakeError>(heard)
    });
    let sent = answer.clone();
    let server = world.spawn(async move {
        let mut tls = TlsStream::server(at_server, server(&leaf, &["http/1.1"]));
        // Reading makes the handshake, too.
        let heard = read_all(&mut tls).await;
        for piece in sent.chunks(7_000) {
            tls.send(Bytes::copy_from_slice(piece)).await.expect("it is open");
        }
        tls.shutdown();
        (heard, tls.finished().await)
    });
    assert_eq!(world.run(), 0, "pieces of {size}");
    assert_eq!(server.take(), Some(((b"question".to_vec(), None), Ok(()))), "pieces of {size}");
    assert_eq!(client.take(), Some(Ok((answer, None))), "pieces of {size}");
}

#[test]
fn in_pieces_of_every_size() {
    for version in [&TLS12, &TLS13] {
        for size in [1, 2, 3, 5, 6, 64, 517, 1_460, 100_000] {
            talk(version, size);
        }
    }
}

/// Both ends after their handshake, on a perfect wire.
fn pair(world: &mut World, root: &Authority) -> (TlsStream<MemoryStream>, TlsStream<MemoryStream>) {
    let leaf = root.leaf(&["a.example"], |_| ());
    let (at_client, at_server) = duplex(WINDOW);
    let connection = client(client_config(&[root], &[&TLS13], &[]), "a.example");
    let near = world.spawn(async move {
        let mut tls = TlsStream::client(at_client, connection);
        tls.handshake().await.map(|()| tls)
    });
    let far = world.spawn(async move {
        let mut tls = TlsStream::server(at_server, server(&leaf, &[]));
        tls.handshake().await.map(|()| tls)
    });
    assert_eq!(world.run(), 0);
    let ends = (near.take(), far.take());
    let (Some(Ok(near)), Some(Ok(far))) = ends else { panic!("they know each other") };
    (near, far)
}

#[test]
fn it_is_between_the_ends_of_what_is_below() {
    let root = Authority::new("root");
    let (mut below, _peer) = duplex(WINDOW);
    let ends = Ends { local: ([192, 168, 1, 5], 40_000).into(), peer: ([10, 0, 0, 9], 21).into() };
    below.set_ends(ends);
    let tls = TlsStream::client(below, client(client_config(&[&root], &[&TLS13], &[]), "a.example"));
    assert_eq!(tls.ends(), Some(ends));
    assert_eq!(tls.handle(), None, "nothing may pass it by");
}

#[test]
fn a_fin_without_close_notify_is_a_truncation_unless_it_is_permitted() {
    for permitted in [false, true] {
        let mut world = World::new();
        let (mut near, mut far) = pair(&mut world, &Authority::new("root"));
        if permitted {
            near.set_truncation(Truncation::Permit);
        }
        let heard = world.spawn(async move { (read_all(&mut near).await, near.fault().cloned()) });
        world.spawn(async move {
            far.send(Bytes::from_static(b"half a")).await.expect("it is open");
            far.truncate();
            let _ = far.finished().await;
        });
        world.run();
        let (error, fault) = if permitted { (None, None) } else { (Some(StreamError::Reset), Some(Fault::Truncated)) };
        assert_eq!(heard.take(), Some(((b"half a".to_vec(), error), fault)));
    }
}

#[test]
fn a_reset_comes_behind_the_bytes_before_it() {
    let mut world = World::new();
    let (mut near, mut far) = pair(&mut world, &Authority::new("root"));
    let heard = world.spawn(async move {
        let first = near.read().await;
        (first, near.failed().await, near.read().await)
    });
    let host = world.host();
    world.spawn(async move {
        far.send(Bytes::from_static(b"last words")).await.expect("it is open");
        host.sleep(Duration::from_secs(1)).await;
        far.abort();
    });
    assert_eq!(world.run(), 0);
    let reset = StreamError::Reset;
    assert_eq!(heard.take(), Some((Ok(Some(Bytes::from_static(b"last words"))), reset, Err(reset))));
}

#[test]
fn a_slow_reader_stops_the_writer() {
    let mut world = World::new();
    let (mut near, far) = pair(&mut world, &Authority::new("root"));
    let written = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = written.clone();
    world.spawn(async move {
        while near.send(Bytes::from(vec![0; 1_000])).await.is_ok() {
            count.set(count.get() + 1_000);
        }
    });
    assert_eq!(world.run(), 1, "the writer waits");
    assert!(written.get() <= 2 * WINDOW, "{} bytes were taken", written.get());
    let mut far = far;
    let read = world.spawn(async move {
        let mut all = 0;
        while all < 50_000 {
            let chunk = far.read().await.expect("it is open").expect("it goes on");
            assert!(chunk.len() <= 1 << 14);
            all += chunk.len();
        }
    });
    world.run();
    assert_eq!(read.take(), Some(()));
}

#[test]
fn what_is_put_back_is_read_first() {
    let mut world = World::new();
    let (mut near, mut far) = pair(&mut world, &Authority::new("root"));
    let heard = world.spawn(async move {
        let mut first = near.read().await.expect("it is open").expect("bytes");
        let begin = first.split_to(3);
        near.unread(first);
        near.unread(begin);
        near.unread(Bytes::new());
        (near.read().await, near.read().await, near.read().await)
    });
    world.spawn(async move {
        far.send(Bytes::from_static(b"abcdef")).await.expect("it is open");
        far.shutdown();
        let _ = far.finished().await;
    });
    world.run();
    let some = |text: &'static str| Ok(Some(Bytes::from_static(text.as_bytes())));
    assert_eq!(heard.take(), Some((some("abc"), some("def"), Ok(None))));
}

#[test]
fn what_is_no_tls_gets_an_alert_before_the_end() {
    let root = Authority::new("root");
    let leaf = root.leaf(&["a.example"], |_| ());
    let mut world = World::new();
    let (mut plain, at_server) = duplex(WINDOW);
    let refused = world.spawn(async move {
        let mut tls = TlsStream::server(at_server, server(&leaf, &[]));
        let result = tls.handshake().await;
        // Whoever ends the session now does not take the alert back.
        tls.abort();
        result
    });
    let heard = world.spawn(async move {
        plain.send(Bytes::from_static(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00")).await.expect("it is open");
        (plain.read().await, plain.read().await)
    });
    assert_eq!(world.run(), 0);
    assert!(matches!(refused.take(), Some(Err(HandshakeError::Fault(Fault::Tls(_))))));
    let Some((Ok(Some(alert)), end)) = heard.take() else { panic!("an alert was expected") };
    assert_eq!((&alert[..], end), (&[21, 3, 3, 0, 2, 2, 50][..], Ok(None)), "decode_error, and an end");
}

#[test]
fn who_is_not_trusted_hears_it() {
    let (root, other) = (Authority::new("root"), Authority::new("other"));
    let leaf = other.leaf(&["a.example"], |_| ());
    let mut world = World::new();
    let (at_client, at_server) = duplex(WINDOW);
    let connection = client(client_config(&[&root], &[&TLS13], &[]), "a.example");
    let near = world.spawn(async move { TlsStream::client(at_client, connection).handshake().await });
    let far = world.spawn(async move { TlsStream::server(at_server, server(&leaf, &[])).handshake().await });
    assert_eq!(world.run(), 0);
    let fault = |error| Some(Err(HandshakeError::Fault(Fault::Tls(error))));
    assert_eq!(near.take(), fault(Error::InvalidCertificate(CertificateError::UnknownIssuer)));
    assert_eq!(far.take(), fault(Error::AlertReceived(AlertDescription::UnknownCA)));
}

#[test]
fn an_end_within_the_handshake_is_a_truncation() {
    let root = Authority::new("root");
    let leaf = root.leaf(&["a.example"], |_| ());
    let mut world = World::new();
    let (mut plain, at_server) = duplex(WINDOW);
    let refused = world.spawn(async move { TlsStream::server(at_server, server(&leaf, &[])).handshake().await });
    world.spawn(async move {
        plain.shutdown();
        let _ = plain.read().await;
    });
    assert_eq!(world.run(), 0);
    assert_eq!(refused.take(), Some(Err(HandshakeError::Fault(Fault::Truncated))));
}

#[test]
fn a_reset_that_answers_our_close_notify_is_no_failure() {
    let mut world = World::new();
    let (mut near, mut far) = pair(&mut world, &Authority::new("root"));
    let ended = world.spawn(async move {
        assert_eq!(near.read().await, Ok(None));
        near.shutdown();
        near.finished().await
    });
    let host = world.host();
    world.spawn(async move {
        far.shutdown();
        host.sleep(Duration::from_secs(1)).await;
        far.io.abort();
    });
    assert_eq!(world.run(), 0);
    assert_eq!(ended.take(), Some(Ok(())));
}
