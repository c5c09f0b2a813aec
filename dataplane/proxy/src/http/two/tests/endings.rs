//! Ends: of streams by resets in both directions, of connections by GOAWAY, silence and age.

use http::Method;

use super::*;
use crate::host::{ConnectError, Host};
use crate::http::Times;
use crate::outcome::Reason;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn codes_of_a_servers_reset() {
    let code = |code: Code| u32::from(code);
    for (path, status, error) in [
        // Before a response: told as HTTP/1 tells it, but for what a client acts upon.
        (format!("/reset/{}", code(Code::INTERNAL_ERROR)), 502, None),
        (format!("/reset/{}", code(Code::HTTP_1_1_REQUIRED)), 0, Some(Code::HTTP_1_1_REQUIRED)),
        (format!("/reset/{}", code(Code::REFUSED_STREAM)), 0, Some(Code::REFUSED_STREAM)),
        // Behind its head.
        (format!("/half/{}", code(Code::CANCEL)), 200, Some(Code::CANCEL)),
        (format!("/half/{}", code(Code::PROTOCOL_ERROR)), 200, Some(Code::INTERNAL_ERROR)),
    ] {
        let (got, scene) = one(settings(), get(&path), vec![]);
        // Behind a head that has not left yet a reset is all that is heard.
        let status = if path.starts_with("/half") && got.status == 0 { 0 } else { status };
        assert_eq!((got.status, got.error), (status, error), "{path}");
        assert!(counted(&scene, Event::TwoServerReset) > 0, "{path}");
    }
}

#[test]
fn a_refused_stream_is_asked_once_more() {
    let (got, scene) = one(settings(), get(&format!("/reset/{}", u32::from(Code::REFUSED_STREAM))), vec![]);
    assert_eq!(got.error, Some(Code::REFUSED_STREAM));
    assert_eq!((scene.seen.borrow().len(), counted(&scene, Event::Retried)), (2, 1));
}

#[test]
fn a_clients_reset_reaches_the_server() {
    let (mut scene, stream) = scene(settings(), |request, mut respond| {
        Box::pin(async move {
            let code = poll_fn(|cx| respond.poll_reset(cx)).await.expect("it is reset");
            // The next request tells what this one came to.
            LAST.set(Some(code));
            drop(request);
        })
    });
    thread_local!(static LAST: std::cell::Cell<Option<Code>> = const { std::cell::Cell::new(None) });
    let task = client(&mut scene, stream, |send, host| async move {
        let mut send = send.ready().await.expect("it is ready");
        let (response, mut to) = send.send_request(asked(Method::POST, "/"), false).expect("it is sent");
        host.sleep(SECOND).await;
        to.send_reset(Code::CANCEL);
        host.sleep(SECOND).await;
        drop(response);
    });
    scene.world.run();
    task.take().expect("the client is done");
    assert_eq!(LAST.get(), Some(Code::CANCEL));
    assert_eq!(counted(&scene, Event::TwoReset), 1);
}

#[test]
fn a_request_that_ends_with_its_connection_is_on_record() {
    use crate::stream::Stream;
    let (mut scene, mut stream) = scene(settings(), by_path);
    let host = scene.world.host();
    let _ = scene.world.spawn(async move {
        let _ = stream.send(raw::client(&[raw::headers(1, false, &[])])).await;
        host.sleep(SECOND).await;
        stream.abort();
    });
    scene.world.run();
    assert_eq!(scene.outcome.take().map(|outcome| outcome.reason), Some(Reason::ClientReset));
    let records = scene.world.host().records();
    let event = records[0].fields.iter().find(|(name, _)| *name == "event").map(|(_, value)| value.clone());
    assert_eq!((records.len(), event), (1, Some(Event::ClientTruncated.name().into())));
}

#[test]
fn silence_ends_with_goaway() {
    let (mut scene, stream) = scene(settings(), by_path);
    let task = client(&mut scene, stream, |send, _| async move {
        let got = fetch(send.clone(), get("/"), vec![], None).await;
        // The handle is kept, so that it is the proxy that has enough.
        let mut send = send;
        let gone = poll_fn(|cx| match send.poll_ready(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(error),
            _ => Poll::Pending,
        });
        (got.status, gone.await.reason())
    });
    scene.world.run();
    // The client's own task waits for nothing but the connection, which wakes it.
    assert_eq!(counted(&scene, Event::KeepAliveTimeout), 1);
    assert_eq!(scene.outcome.take().map(|outcome| outcome.reason), Some(Reason::Finished));
    if let Some((status, code)) = task.take() {
        assert_eq!((status, code), (200, Some(Code::NO_ERROR)));
    }
}

#[test]
fn who_asks_nothing_is_not_waited_for() {
    let (mut scene, stream) = scene(settings(), by_path);
    let _task = client(&mut scene, stream, |send, host| async move {
        host.sleep(100 * SECOND).await;
        drop(send);
    });
    scene.world.run_until(20 * SECOND);
    assert_eq!(counted(&scene, Event::RequestTimeout), 1);
    assert_eq!(scene.outcome.take().map(|outcome| outcome.reason), Some(Reason::ClientTooSlow));
}

#[test]
fn so_many_requests_and_no_more() {
    let (mut scene, stream) = scene(Settings { requests_max: Some(3), ..settings() }, by_path);
    let task = client(&mut scene, stream, |send, host| async move {
        let mut statuses = Vec::new();
        for _ in 0..5 {
            statuses.push(fetch(send.clone(), get("/"), vec![], None).await.status);
            host.sleep(SECOND).await;
        }
        statuses
    });
    scene.world.run();
    assert_eq!(task.take(), Some(vec![200, 200, 200, 0, 0]));
    assert_eq!(counted(&scene, Event::RequestsMax), 1);
}

#[test]
fn a_session_has_its_time() {
    let mut world = World::new();
    let (client_end, leg) = duplex(WINDOW);
    let info = SessionInfo { total: Some(3 * SECOND), ..info() };
    let session = Session { id: SessionId(7), host: world.host(), client: leg, info };
    world.host().answer_connect(ConnectAnswer::Never);
    let outcome = world.spawn(run(session, Arc::new(settings())));
    let mut scene = Scene { world, outcome, seen: Rc::default() };
    let task = client(&mut scene, client_end, |send, _| fetch(send, get("/"), vec![], None));
    scene.world.run();
    assert_eq!(scene.outcome.take().map(|outcome| outcome.reason), Some(Reason::TotalTimeout));
    let got = task.take().expect("the client is done");
    assert!(got.status == 0 && got.error.is_some(), "{got:?}");
}

#[test]
fn a_server_that_cannot_be_had() {
    for (error, status) in [(ConnectError::Refused, 502), (ConnectError::TimedOut, 504), (ConnectError::Limit, 503)] {
        let mut world = World::new();
        let (client_end, leg) = duplex(WINDOW);
        world.host().answer_connect(ConnectAnswer::After(SECOND, Err(error)));
        let session = Session { id: SessionId(7), host: world.host(), client: leg, info: info() };
        let outcome = world.spawn(run(session, Arc::new(settings())));
        let mut scene = Scene { world, outcome, seen: Rc::default() };
        let task = client(&mut scene, client_end, |send, _| fetch(send, get("/"), vec![], None));
        scene.world.run();
        assert_eq!(task.take().expect("the client is done").status, status, "{error:?}");
        assert_eq!(counted(&scene, Event::NoServer), 1);
    }
}

/// Servers that say what is given here, whatever they hear.
fn with_servers(said: Vec<Bytes>) -> (Got, Scene) {
    let mut world = World::new();
    let (client_end, leg) = duplex(WINDOW);
    for said in said {
        let (leg, mut server) = duplex(WINDOW);
        world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(leg)));
        let _ = world.spawn(async move {
            use crate::stream::Stream;
            let _ = server.read().await;
            let _ = server.send(said).await;
            while let Ok(Some(_)) = server.read().await {}
            server.shutdown();
        });
    }
    let session = Session { id: SessionId(7), host: world.host(), client: leg, info: info() };
    let times = Times { response: 30 * SECOND, ..Times::default() };
    let outcome = world.spawn(run(session, Arc::new(Settings { times, ..settings() })));
    let mut scene = Scene { world, outcome, seen: Rc::default() };
    let task = client(&mut scene, client_end, |send, _| fetch(send, get("/"), vec![], None));
    scene.world.run();
    (task.take().expect("the client is done"), scene)
}

#[test]
fn a_server_that_speaks_http_1_is_told_of() {
    let (got, scene) = with_servers(vec![Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")]);
    assert_eq!(got.status, 502, "{got:?}");
    assert!(counted(&scene, Event::TwoServerProtocol) > 0);
}

#[test]
fn a_server_that_floods_is_left() {
    let mut said = raw::frame(4, 0, 0, b"");
    for _ in 0..5000 {
        said.extend(raw::frame(6, 0, 0, b"12345678"));
    }
    let (got, scene) = with_servers(vec![said.into()]);
    assert_eq!(got.status, 502, "{got:?}");
    assert_eq!(counted(&scene, Event::TwoServerFlood), 1);
}

#[test]
fn a_servers_goaway_sends_the_request_to_another_connection() {
    // RFC 9113, 6.8: streams beyond the last one it names "have not been processed".
    let goaway = [raw::frame(4, 0, 0, b""), raw::frame(7, 0, 0, &[0; 8])].concat();
    let answer = [raw::frame(4, 0, 0, b""), raw::frame(1, 0x5, 1, &[0x88])].concat();
    let (got, scene) = with_servers(vec![goaway.into(), answer.into()]);
    assert_eq!((got.status, got.error), (200, None));
    assert_eq!((counted(&scene, Event::TwoServerGone), counted(&scene, Event::Retried)), (1, 1));
    assert_eq!(scene.world.host().connected().len(), 2);
}
