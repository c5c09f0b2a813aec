//! A session in clear that becomes TLS on both sides, the server first.

use std::time::Duration;

use bytes::Bytes;
use rustls::version::TLS13;

use super::{NoCertificate, accept, connect};
use crate::host::Host;
use crate::memory::{World, duplex};
use crate::stream::{Stream, StreamError};
use crate::tls::Untrusted;
use crate::tls::handshake::{Unsecured, is_clear_of_text};
use crate::tls::serve::tests::Scene;
use crate::tls::stream::TlsStream;
use crate::tls::testing::{WINDOW, client, client_config, server};
use crate::tls::verify::Distrust;

#[test]
fn both_sides_after_a_word_in_clear() {
    let scene = Scene::new();
    for (name, untrusted, with_authority) in [
        ("a.example", Untrusted::Deny, true),
        ("b.example", Untrusted::Permit, true),
        ("b.example", Untrusted::Permit, false),
        ("b.example", Untrusted::Deny, true),
    ] {
        let mut settings = scene.settings();
        settings.untrusted = untrusted;
        if !with_authority {
            scene.without_untrusted(&mut settings);
        }
        let mut world = World::new();
        let (mut at_client, mut client_leg) = duplex(WINDOW);
        let (server_leg, at_server) = duplex(WINDOW);
        let host = world.host();
        let proxy = world.spawn(async move {
            let word = client_leg.read().await;
            assert_eq!(word, Ok(Some(Bytes::from_static(b"STARTTLS"))));
            assert_eq!(is_clear_of_text(&mut client_leg).await, Ok(true));
            client_leg.send(Bytes::from_static(b"OK")).await.expect("it is open");
            let server_name = name.try_into().expect("a name");
            let (_server, original) =
                connect(&host, &settings, server_leg, server_name).await.map_err(|e| e.to_string())?;
            let certificate = settings.certificate_for(&host, Some(name), Some(&original));
            let (certificate, by) = certificate.map_err(|error| format!("{error:?}"))?;
            let mut client = accept(&host, &settings, client_leg, certificate).await.map_err(|e| e.to_string())?;
            client.send(Bytes::from_static(b"secret")).await.expect("it is open");
            client.shutdown();
            let _ = client.finished().await;
            Ok::<_, String>(by)
        });
        let connection = client(client_config(&[&scene.trusted], &[&TLS13], &[]), name);
        let heard = world.spawn(async move {
            at_client.send(Bytes::from_static(b"STARTTLS")).await.expect("it is open");
            let _ = at_client.read().await;
            let mut tls = TlsStream::client(at_client, connection);
            tls.handshake().await.ok()?;
            tls.read().await.ok()?
        });
        let tls = server(&scene.good(), &[]);
        let _ = world.spawn(async move { TlsStream::server(at_server, tls).handshake().await });
        world.run();
        let (proxy, heard) = (proxy.take().expect("it ended"), heard.take().expect("it ended"));
        match (name, untrusted) {
            ("a.example", _) => {
                assert_eq!((proxy, heard), (Ok("trusted"), Some(Bytes::from_static(b"secret"))));
            }
            // The client does not know the untrusted authority, or there is none.
            (_, Untrusted::Permit) if !with_authority => {
                assert_eq!(proxy, Err(format!("{:?}", NoCertificate::Untrusted(Distrust::WrongName))));
            }
            _ => assert!(proxy.is_err() && heard.is_none(), "{proxy:?}"),
        }
    }
}

#[test]
fn clear_text_behind_the_command_is_seen() {
    let mut world = World::new();
    let (mut far, mut near) = duplex(WINDOW);
    let (gone, mut left) = duplex(WINDOW);
    drop(gone);
    let seen = world.spawn(async move {
        far.send(Bytes::from_static(b"USER injected")).await.expect("it is open");
        let seen = (is_clear_of_text(&mut near).await, near.read().await, is_clear_of_text(&mut near).await);
        drop(far);
        (seen, is_clear_of_text(&mut left).await)
    });
    world.run();
    let text = Ok(Some(Bytes::from_static(b"USER injected")));
    assert_eq!(seen.take(), Some(((Ok(false), text, Ok(true)), Err(StreamError::Reset))));
}

#[test]
fn who_is_silent_is_too_slow() {
    let scene = Scene::new();
    let mut world = World::new();
    let (server_leg, mut at_server) = duplex(WINDOW);
    let (host, settings) = (world.host(), scene.settings());
    let refused = world.spawn(async move {
        connect(&host, &settings, server_leg, "a.example".try_into().expect("a name"))
            .await
            .map(|_| ())
            .map_err(|e| (e, host.now()))
    });
    let _ = world.spawn(async move { at_server.failed().await });
    world.run();
    assert_eq!(refused.take(), Some(Err((Unsecured::TooSlow, Duration::from_secs(10)))));
}
