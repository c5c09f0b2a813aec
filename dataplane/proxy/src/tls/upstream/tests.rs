//! The first connection once, further ones judged like it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::{Again, Servers};
use crate::host::{ConnectError, Target};
use crate::memory::{ConnectAnswer, World, duplex};
use crate::session::SessionId;
use crate::stack::{BoxStream, Upstream};
use crate::stream::Stream;
use crate::tls::serve::tests::Scene;
use crate::tls::stream::TlsStream;
use crate::tls::testing::{Authority, Leaf, WINDOW, info, server};

/// What a second connection comes to: with a server that shows this, or is silent.
fn again(scene: &Scene, leaf: Option<&Leaf>, demand: bool, alpn: &str, tls: bool) -> Result<String, ConnectError> {
    let mut world = World::new();
    let (first, _kept) = duplex(WINDOW);
    let (leg, mut at_server) = duplex(WINDOW);
    world.host().answer_connect(ConnectAnswer::After(Duration::from_secs(1), Ok(leg)));
    let again = Again {
        settings: Arc::new(scene.settings()),
        name: "a.example".try_into().expect("a name"),
        alpn: vec![b"http/1.1".to_vec()],
        demand,
    };
    let servers = Servers {
        host: world.host(),
        first: RefCell::new(Some(Box::new(first) as BoxStream)),
        original: info().original_destination,
        tls: tls.then_some(again),
    };
    let heard = world.spawn(async move {
        let first = servers.connect(SessionId(7), Target::Original).await;
        assert!(first.is_ok_and(|first| first.unacknowledged() == 0), "the first is there");
        let mut second = servers.connect(SessionId(7), Target::Original).await?;
        let chunk = second.read().await.ok().flatten().unwrap_or_default();
        Ok(String::from_utf8_lossy(&chunk).into_owned())
    });
    let connection = leaf.map(|leaf| server(leaf, &[alpn]));
    let _ = world.spawn(async move {
        match connection {
            _ if !tls => {
                let _ = at_server.send("hello".into()).await;
                at_server.failed().await;
            }
            Some(connection) => {
                let mut tls = TlsStream::server(at_server, connection);
                let _ = tls.handshake().await;
                let _ = tls.send("hello".into()).await;
                let _ = tls.finished().await;
            }
            None => {
                at_server.failed().await;
            }
        }
    });
    world.run();
    heard.take().expect("it ended")
}

#[test]
fn further_connections_are_judged_like_the_first() {
    let scene = Scene::new();
    let (good, bad) = (scene.good(), Authority::new("another").leaf(&["a.example"], |_| ()));
    let hello = || Ok("hello".to_owned());
    assert_eq!(again(&scene, Some(&good), true, "http/1.1", true), hello());
    assert_eq!(again(&scene, Some(&bad), true, "http/1.1", true), Err(ConnectError::Denied));
    assert_eq!(again(&scene, Some(&bad), false, "http/1.1", true), hello());
    assert_eq!(again(&scene, Some(&good), true, "h2", true), Err(ConnectError::Denied));
    assert_eq!(again(&scene, None, true, "", true), Err(ConnectError::TimedOut));
    assert_eq!(again(&scene, None, true, "", false), hello(), "in clear where it is in clear");
}

#[test]
fn another_server_is_not_the_first_one() {
    let mut world = World::new();
    let (first, mut gone) = duplex(WINDOW);
    let (leg, _at_server) = duplex(WINDOW);
    let other = "10.0.0.77:443".parse().expect("an address");
    world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(leg)));
    let first = RefCell::new(Some(Box::new(first) as BoxStream));
    let servers = Servers { host: world.host(), first, original: info().original_destination, tls: None };
    let connected = world.spawn(async move { servers.connect(SessionId(7), Target::Address(other)).await.is_ok() });
    let ended = world.spawn(async move { gone.failed().await });
    world.run();
    assert_eq!((connected.take(), ended.take().is_some()), (Some(true), true));
    assert_eq!(world.host().connected(), [(SessionId(7), Target::Address(other))]);
}
