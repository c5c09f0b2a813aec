//! The plug around its relay: how it gets its server, and what becomes of the client when it does not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::run;
use crate::host::{ConnectError, Host, Target};
use crate::memory::{ConnectAnswer, MemoryStream, Task, World, duplex};
use crate::outcome::{Outcome, Reason, Verdict};
use crate::session::{Session, SessionId, SessionInfo};
use crate::stream::{Stream, StreamError};

const SECOND: Duration = Duration::from_secs(1);

fn address(text: &str) -> SocketAddr {
    text.parse().expect("it is an address")
}

fn serve(world: &mut World, client: MemoryStream, total: Option<Duration>) -> Task<Outcome> {
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
    world.spawn(async move { run(session, Arc::default()).await })
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
