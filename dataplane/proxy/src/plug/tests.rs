//! The plug around its relay: how it gets its server, and what becomes of the client when it does not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Allowance, Settings, run};
use crate::host::{ConnectError, Host, Target};
use crate::memory::{ConnectAnswer, MemoryStream, Task, World, duplex};
use crate::outcome::{Outcome, Reason, Verdict};
use crate::proxy_protocol::Version;
use crate::relay::Rate;
use crate::script;
use crate::session::{Session, SessionId, SessionInfo};
use crate::stream::{Stream, StreamError};

const SECOND: Duration = Duration::from_secs(1);

fn address(text: &str) -> SocketAddr {
    text.parse().expect("it is an address")
}

fn serve(world: &mut World, client: MemoryStream, total: Option<Duration>) -> Task<Outcome> {
    serve_with(world, client, total, Settings::default())
}

fn serve_with(world: &mut World, client: MemoryStream, total: Option<Duration>, settings: Settings) -> Task<Outcome> {
    let info = SessionInfo {
        client: address("192.168.1.5:40000"),
        original_destination: address("10.0.0.9:80"),
        service: "anything".into(),
        client_zone: Some("intranet".into()),
        server_zone: Some("dmz".into()),
        interface: "intra".into(),
        idle: 60 * SECOND,
        total,
    };
    let session = Session { id: SessionId(7), host: world.host(), client, info };
    assert_eq!(session.to_string(), "svc/anything:7");
    world.spawn(async move { run(session, Arc::new(settings)).await })
}

#[test]
fn what_the_client_says_during_the_connect_is_not_lost() {
    let mut world = World::new();
    let (mut client, client_leg) = duplex(100);
    let (server_leg, mut server) = duplex(100);
    world.host().answer_connect(ConnectAnswer::After(2 * SECOND, Ok(server_leg)));
    let outcome = serve(&mut world, client_leg, None);
    let at_client = world.spawn(async move {
        client.send(Bytes::from_static(b"early")).await?;
        client.shutdown();
        client.read().await
    });
    let at_server = world.spawn(async move {
        let heard = (server.read().await, server.read().await);
        server.shutdown();
        heard
    });
    assert_eq!(world.run(), 0);
    assert_eq!(at_server.take(), Some((Ok(Some(Bytes::from_static(b"early"))), Ok(None))));
    assert_eq!(at_client.take(), Some(Ok(None)));
    let expected = Outcome { verdict: Verdict::Accepted, reason: Reason::Finished, to_server: 5, to_client: 0 };
    assert_eq!(outcome.take(), Some(expected));
    assert_eq!(world.host().connected(), [(SessionId(7), Target::Original)]);
}

#[test]
fn without_a_server_the_client_gets_a_reset_and_the_log_a_line() {
    for (error, reason, verdict) in [
        (ConnectError::Refused, Reason::ConnectRefused, Verdict::DeniedByConnectionFail),
        (ConnectError::TimedOut, Reason::ConnectTimedOut, Verdict::DeniedByConnectionFail),
        (ConnectError::Unreachable, Reason::ConnectUnreachable, Verdict::DeniedByConnectionFail),
        (ConnectError::NoPort, Reason::ConnectNoPort, Verdict::DeniedByConnectionFail),
        (ConnectError::Limit, Reason::ConnectLimit, Verdict::DeniedByLimit),
        (ConnectError::Denied, Reason::ConnectDenied, Verdict::DeniedByPolicy),
        (ConnectError::Cut, Reason::Cut, Verdict::AbortedByPolicyAction),
    ] {
        let mut world = World::new();
        let (mut client, client_leg) = duplex(100);
        world.host().answer_connect(ConnectAnswer::After(SECOND, Err(error)));
        let outcome = serve(&mut world, client_leg, None);
        let heard = world.spawn(async move { client.read().await });
        assert_eq!(world.run(), 0);
        assert_eq!(heard.take(), Some(Err(StreamError::Reset)));
        assert_eq!(outcome.take(), Some(Outcome { verdict, reason, to_server: 0, to_client: 0 }));
        assert_eq!(world.host().lines().len(), 1);
    }
}

#[test]
fn a_client_that_goes_away_ends_the_connect() {
    let mut world = World::new();
    let (mut client, client_leg) = duplex(100);
    world.host().answer_connect(ConnectAnswer::Never);
    let outcome = serve(&mut world, client_leg, None);
    let host = world.host();
    let _ = world.spawn(async move {
        host.sleep(SECOND).await;
        client.abort();
    });
    assert_eq!(world.run(), 0);
    assert_eq!(world.now(), SECOND);
    assert_eq!(outcome.take(), Some(Outcome::unserved(Reason::ClientReset)));
}

#[test]
fn the_total_time_counts_from_the_start_of_the_session() {
    let mut world = World::new();
    let (mut client, client_leg) = duplex(100);
    let (server_leg, server) = duplex(100);
    world.host().answer_connect(ConnectAnswer::After(4 * SECOND, Ok(server_leg)));
    let outcome = serve(&mut world, client_leg, Some(10 * SECOND));
    let heard = world.spawn(async move { client.read().await });
    assert_eq!(world.run(), 0);
    assert_eq!(world.now(), 10 * SECOND);
    assert_eq!(heard.take(), Some(Err(StreamError::Reset)));
    assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::TotalTimeout));
    drop(server);
}

/// What both ends heard, how long it took and how it ended, when the client says `pieces` and the server `answer`.
fn talk(settings: Settings, pieces: Vec<Bytes>, answer: Bytes) -> (Vec<u8>, Vec<u8>, Duration, Outcome, World) {
    let mut world = World::new();
    let (mut client, client_leg) = duplex(100_000);
    let (server_leg, mut server) = duplex(100_000);
    world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(server_leg)));
    let outcome = serve_with(&mut world, client_leg, None, settings);
    let at_client = world.spawn(async move {
        for piece in pieces {
            let _ = client.send(piece).await;
        }
        client.shutdown();
        hear(&mut client).await
    });
    let at_server = world.spawn(async move {
        let _ = server.send(answer).await;
        server.shutdown();
        hear(&mut server).await
    });
    assert_eq!(world.run(), 0);
    let took = world.now();
    let outcome = outcome.take().expect("it is over");
    (at_server.take().expect("it heard"), at_client.take().expect("it heard"), took, outcome, world)
}

/// Everything up to the FIN or the failure.
async fn hear(stream: &mut MemoryStream) -> Vec<u8> {
    let mut heard = Vec::new();
    while let Ok(Some(chunk)) = stream.read().await {
        heard.extend_from_slice(&chunk);
    }
    heard
}

fn limit(bytes_max: u64) -> Allowance {
    Allowance { bytes_max: Some(bytes_max), rate: None }
}

#[test]
fn one_byte_too_many_ends_it_behind_those_that_may_pass() {
    let said = Bytes::from_static(b"0123456789");
    for cut in 0..=said.len() {
        let pieces = vec![said.slice(..cut), said.slice(cut..)];
        let settings = Settings { to_server: limit(10), to_client: limit(3), ..Settings::default() };
        let (at_server, at_client, _, outcome, _) = talk(settings, pieces.clone(), Bytes::from_static(b"abc"));
        assert_eq!((at_server, at_client), (said.to_vec(), b"abc".to_vec()));
        assert_eq!((outcome.reason, outcome.to_server, outcome.to_client), (Reason::Finished, 10, 3));
        let settings = Settings { to_server: limit(9), ..Settings::default() };
        let (at_server, _, _, outcome, _) = talk(settings, pieces, Bytes::new());
        assert_eq!(at_server, b"012345678", "cut at {cut}");
        assert_eq!((outcome.reason, outcome.verdict), (Reason::ServiceLimit, Verdict::DeniedByLimit));
        assert_eq!(outcome.to_server, 9);
    }
    let settings = Settings { to_client: limit(2), ..Settings::default() };
    let (_, at_client, _, outcome, _) = talk(settings, vec![said], Bytes::from_static(b"abc"));
    assert_eq!((&*at_client, outcome.reason), (&b"ab"[..], Reason::ServiceLimit));
}

#[test]
fn a_rate_takes_its_time_and_loses_nothing() {
    let said = Bytes::from(vec![b'x'; 50_000]);
    let rate = |bytes_per_s, burst| Allowance { bytes_max: None, rate: Some(Rate { bytes_per_s, burst }) };
    let throttled = Settings { to_server: rate(1_000, 10_000), ..Settings::default() };
    let (at_server, at_client, took, outcome, world) = talk(throttled, vec![said.clone()], Bytes::from_static(b"ok"));
    assert_eq!((at_server.len(), &*at_client, outcome.reason), (50_000, &b"ok"[..], Reason::Finished));
    // 40,000 bytes beyond the burst; the last segment's worth need not be full.
    assert!((38 * SECOND..=42 * SECOND).contains(&took), "{took:?}");
    assert_eq!(world.host().counted(super::event::Event::Throttled), 1);
    let free = Settings { to_server: rate(1_000, 50_000), ..Settings::default() };
    let (at_server, _, took, _, world) = talk(free, vec![said.clone()], Bytes::new());
    assert_eq!((at_server.len(), took), (50_000, Duration::ZERO), "the other direction, and a large burst, are free");
    assert_eq!(world.host().counted(super::event::Event::Throttled), 0);
    // Longer than the idle time of 60 s for one segment: waiting bytes are no idleness.
    let slow = Settings { to_client: rate(10, 2_000), ..Settings::default() };
    let (_, at_client, took, outcome, _) = talk(slow, Vec::new(), said.slice(..4_000));
    assert_eq!((at_client.len(), outcome.reason), (4_000, Reason::Finished));
    assert!(took >= 190 * SECOND, "{took:?}");
}

#[test]
fn a_throttled_session_still_ends_by_its_total_time_and_by_a_reset() {
    let mut world = World::new();
    let (mut client, client_leg) = duplex(100_000);
    let (server_leg, mut server) = duplex(100_000);
    world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(server_leg)));
    let slow = Allowance { bytes_max: None, rate: Some(Rate { bytes_per_s: 1, burst: 1 }) };
    let settings = Settings { to_server: slow, to_client: slow, ..Settings::default() };
    let outcome = serve_with(&mut world, client_leg, Some(10 * SECOND), settings.clone());
    let _ = world.spawn(async move {
        let _ = client.send(Bytes::from_static(b"0123456789abcdefghij")).await;
        hear(&mut client).await
    });
    let heard = world.spawn(async move { hear(&mut server).await });
    assert_eq!(world.run(), 0);
    assert_eq!((outcome.take().map(|outcome| outcome.reason), world.now()), (Some(Reason::TotalTimeout), 10 * SECOND));
    assert!((9..=11).contains(&heard.take().expect("it heard").len()));

    let mut world = World::new();
    let (mut client, client_leg) = duplex(100_000);
    let (server_leg, mut server) = duplex(100_000);
    world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(server_leg)));
    let outcome = serve_with(&mut world, client_leg, None, settings);
    let _ = world.spawn(async move {
        let _ = client.send(Bytes::from_static(b"last words")).await;
        client.abort();
    });
    let heard = world.spawn(async move { hear(&mut server).await });
    assert_eq!(world.run(), 0);
    assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::ClientReset));
    assert_eq!(heard.take(), Some(b"last words".to_vec()), "last words do not wait for their rate");
}

#[test]
fn a_server_is_told_the_client_first() {
    let v1 = "PROXY TCP4 192.168.1.5 10.0.0.9 40000 80\r\n".as_bytes().to_vec();
    for (version, length) in [(Version::V1, v1.len()), (Version::V2, 28)] {
        let settings = Settings { send_proxy: Some(version), to_server: limit(5), ..Settings::default() };
        let (at_server, _, _, outcome, world) = talk(settings, vec![Bytes::from_static(b"hello")], Bytes::new());
        assert_eq!(&at_server[length..], b"hello");
        if version == Version::V1 {
            assert_eq!(&at_server[..length], v1);
        }
        assert_eq!((outcome.reason, outcome.to_server), (Reason::Finished, 5), "the header is not the client's");
        assert_eq!(world.host().counted(super::event::Event::Announced), 1);
    }
}

#[test]
fn a_script_denies_and_routes() {
    let source = "function session(s) return s.client_port ~= 40000 end";
    let settings = script::Settings::new("t", source, 1 << 20, 10_000).expect("it is good");
    let settings = Settings { script: Some(Arc::new(settings)), ..Settings::default() };
    let mut world = World::new();
    let (mut client, client_leg) = duplex(100);
    let outcome = serve_with(&mut world, client_leg, None, settings);
    let heard = world.spawn(async move { client.read().await });
    assert_eq!(world.run(), 0);
    assert_eq!(
        (outcome.take(), heard.take()),
        (Some(Outcome::unserved(Reason::PolicyDenied)), Some(Err(StreamError::Reset)))
    );
    assert_eq!(world.host().connected(), []);
    let source = "function route(s) return '10.1.1.1' end";
    let settings = script::Settings::new("t", source, 1 << 20, 10_000).expect("it is good");
    let settings = Settings { script: Some(Arc::new(settings)), ..Settings::default() };
    let (_, _, _, outcome, world) = talk(settings, Vec::new(), Bytes::new());
    assert_eq!(outcome.reason, Reason::Finished);
    assert_eq!(world.host().connected(), [(SessionId(7), Target::Address(address("10.1.1.1:80")))]);
}
