//! Bodies both ways: in any pieces, with trailers, bounded, cut off, and a hundred at a time.

use http::{HeaderValue, Method};

use super::*;
use crate::http::Trailers;
use crate::http::limits::CONNECTION_WINDOW;

fn pieces(len: usize, piece: usize) -> (Vec<u8>, Vec<Bytes>) {
    let all: Vec<u8> = (0..len).map(|at| (at * 7 + at / 256) as u8).collect();
    let pieces = all.chunks(piece).map(Bytes::copy_from_slice).collect();
    (all, pieces)
}

#[test]
fn bodies_come_back_as_they_were_said() {
    for (len, piece) in [(0, 1), (1, 1), (500, 1), (16 << 10, 16 << 10), (1 << 20, 10_000)] {
        let (all, pieces) = pieces(len, piece);
        // An empty list of pieces would be a request without a body.
        let pieces = if pieces.is_empty() { vec![Bytes::new()] } else { pieces };
        let (got, scene) = one(settings(), asked(Method::POST, "/echo"), pieces);
        assert_eq!((got.status, got.error), (200, None), "{len} by {piece}");
        assert!(got.body == all, "{len} by {piece}: what came back differs");
        assert_eq!(counted(&scene, Event::Response), 1);
    }
}

#[test]
fn trailers_pass_as_the_service_says() {
    let trailers = || {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("set-cookie", HeaderValue::from_static("a=1"));
        trailers
    };
    for (policy, status, names, dropped) in [
        (Trailers::Pass, 200, vec!["grpc-status"], 1),
        (Trailers::Drop, 200, vec![], 1),
        (Trailers::Refuse, 0, vec![], 0),
    ] {
        let (mut scene, stream) = scene(Settings { trailers: policy, ..settings() }, by_path);
        let task = client(&mut scene, stream, move |send, _| {
            let mut request = asked(Method::POST, "/echo");
            request.headers_mut().insert("te", HeaderValue::from_static("trailers"));
            fetch(send, request, vec![Bytes::from_static(b"body")], Some(trailers()))
        });
        scene.world.run();
        let got = task.take().expect("the client is done");
        let got_names: Vec<String> = got.trailers.iter().flat_map(HeaderMap::keys).map(ToString::to_string).collect();
        assert_eq!(got_names, names, "{policy:?}");
        assert_eq!(counted(&scene, Event::TrailersDropped), dropped, "{policy:?}");
        let refused = counted(&scene, Event::TrailerInvalid);
        assert_eq!(
            (got.error.is_none() || got.status == 400, refused),
            (true, u64::from(status == 0)),
            "{policy:?}: {got:?}"
        );
        let seen = scene.seen.borrow();
        assert_eq!(seen[0].headers().contains_key("te"), policy == Trailers::Pass, "{policy:?}");
    }
}

#[test]
fn bodies_have_the_services_bounds() {
    let settings = || Settings { request_body_max: Some(1000), response_body_max: Some(2000), ..settings() };
    let length = |len: usize| {
        let mut request = asked(Method::POST, "/echo");
        request.headers_mut().insert("content-length", HeaderValue::from(len));
        request
    };
    let (_, fits) = pieces(1000, 300);
    assert_eq!(one(settings(), length(1000), fits).0.status, 200);
    let (_, long) = pieces(1001, 300);
    let (got, scene) = one(settings(), length(1001), long.clone());
    assert_eq!((got.status, counted(&scene, Event::BodyLong)), (413, 1), "said beforehand");
    let (got, scene) = one(settings(), asked(Method::POST, "/status/200"), long);
    assert_eq!(counted(&scene, Event::BodyLong) + u64::from(got.status == 200), 1, "found out: {got:?}");
    let (got, scene) = one(settings(), get("/big/2"), vec![]);
    assert_eq!((got.error, counted(&scene, Event::BodyLong)), (Some(Code::INTERNAL_ERROR), 1));
}

#[test]
fn a_hundred_streams_at_once() {
    let (mut scene, stream) = scene(settings(), by_path);
    let task = client(&mut scene, stream, |send, _| async move {
        let mut set = Set::default();
        let results = Rc::new(RefCell::new(Vec::new()));
        let mut begun = false;
        poll_fn(|cx| {
            if !std::mem::replace(&mut begun, true) {
                for n in 0..100_usize {
                    let (send, results) = (send.clone(), Rc::clone(&results));
                    set.push(cx, async move {
                        let (all, pieces) = pieces(n * 600, 1000);
                        let pieces = if n % 2 == 0 { pieces } else { vec![Bytes::from(all.clone())] };
                        let got = fetch(send, asked(Method::POST, "/echo"), pieces, None).await;
                        results.borrow_mut().push(got.status == 200 && got.body == all);
                    });
                }
            }
            while set.poll(cx) {}
            if set.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        results.take()
    });
    scene.world.run();
    let results = task.take().expect("the client is done");
    assert_eq!(results.len(), 100);
    assert!(results.iter().all(|good| *good));
    assert_eq!(scene.world.host().connected().len(), 1, "all over one connection");
    assert_eq!(counted(&scene, Event::TwoStreamsMax), 0);
}

#[test]
fn a_reader_that_does_not_read_makes_the_server_wait() {
    let sent = Rc::new(RefCell::new(0_usize));
    thread_local!(static SENT: RefCell<Option<Rc<RefCell<usize>>>> = const { RefCell::new(None) });
    SENT.set(Some(Rc::clone(&sent)));
    let (mut scene, stream) = scene(settings(), |_, mut respond| {
        Box::pin(async move {
            let sent = SENT.with_borrow(|sent| sent.clone().expect("it was set"));
            let Ok(mut to) = respond.send_response(Response::new(()), false) else { return };
            for _ in 0..10_000 {
                if send(&mut to, Bytes::from(vec![0; 1024])).await.is_err() {
                    return;
                }
                *sent.borrow_mut() += 1024;
            }
        })
    });
    let _task = client(&mut scene, stream, |send, host| async move {
        let mut send = send.ready().await.expect("it is ready");
        let (response, _) = send.send_request(get("/"), true).expect("it is sent");
        let _body = response.await.expect("it is answered").into_body();
        crate::host::Host::sleep(&host, Duration::from_secs(5)).await;
    });
    scene.world.run_until(Duration::from_secs(4));
    let held = *sent.borrow();
    // The reader's window, what waits on the way, and the server's own buffer; nothing grows with what the server has.
    assert!(held > 64 << 10, "{held}");
    assert!(held < CONNECTION_WINDOW as usize + (512 << 10), "{held}");
}

#[test]
fn an_early_answer_ends_the_request() {
    let (_, pieces) = pieces(1 << 20, 10_000);
    let (got, scene) = one(settings(), asked(Method::POST, "/early"), pieces);
    assert_eq!(got.text(), (200, "enough".to_owned()));
    assert_eq!(counted(&scene, Event::Response), 1);
}

#[test]
fn answers_to_head_and_hints() {
    let (got, _) = one(settings(), asked(Method::HEAD, "/status/200"), vec![]);
    assert_eq!((got.status, got.body.len(), got.error), (200, 0, None));
    let (got, scene) = one(settings(), get("/hints"), vec![]);
    assert_eq!((got.status, counted(&scene, Event::Interim)), (200, 1));
    for status in [204, 205, 304] {
        let (got, _) = one(settings(), get(&format!("/status/{status}")), vec![]);
        assert_eq!((got.status, got.error), (status, None));
    }
}
