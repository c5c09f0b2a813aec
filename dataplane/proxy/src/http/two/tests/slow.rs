//! Slow ends: heads, bodies and readers that keep a stream waiting; others are not kept.

use http::Method;

use super::raw::{block, client as raw_client, frame, goaway, headers, said};
use super::*;
use crate::host::Host;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_head_that_does_not_end() {
    let begun = frame(1, 0, 1, &block(&[(":method", "GET")]));
    for cut in [begun.len(), begun.len() - 3] {
        let (heard, _, scene) = said(
            settings(),
            vec![raw_client(&[headers(3, true, &[]).clone()]), {
                let mut begun = frame(1, 0, 5, &block(&[(":method", "GET")]));
                begun.truncate(cut);
                begun.into()
            }],
        );
        assert_eq!(goaway(&heard), Some(Code::ENHANCE_YOUR_CALM), "cut at {cut}");
        assert_eq!((counted(&scene, Event::RequestTimeout), counted(&scene, Event::Response)), (1, 1));
    }
}

#[test]
fn a_body_that_does_not_come() {
    let (mut scene, stream) = scene(settings(), by_path);
    let task = client(&mut scene, stream, |send, host| async move {
        let mut ready = send.clone().ready().await.expect("it is ready");
        let (response, mut to) = ready.send_request(asked(Method::POST, "/status/200"), false).expect("it is sent");
        to.send_data(Bytes::from_static(b"some"), false).expect("there is room");
        let _ = &host;
        let slow = response.await.map(|response| response.status().as_u16());
        let other = fetch(send, get("/"), vec![], None).await;
        (slow, other.status)
    });
    scene.world.run();
    let (slow, other) = task.take().expect("the client is done");
    // This server has answered before the body came; one that waits would see it told by 408.
    assert_eq!((slow.ok(), other), (Some(200), 200));
    let (mut scene, stream) = super::scene(settings(), by_path);
    let task = client(&mut scene, stream, |send, _| async move {
        let mut ready = send.clone().ready().await.expect("it is ready");
        let (response, _to) = ready.send_request(asked(Method::POST, "/never"), false).expect("it is sent");
        let slow = response.await.map(|response| response.status().as_u16()).ok();
        (slow, fetch(send, get("/"), vec![], None).await.status)
    });
    scene.world.run();
    assert_eq!(task.take(), Some((Some(408), 200)));
    assert_eq!(counted(&scene, Event::BodyTimeout), 1);
}

#[test]
fn a_response_that_does_not_come() {
    let (got, scene) = one(settings(), get("/never"), vec![]);
    assert_eq!((got.status, counted(&scene, Event::ResponseTimeout)), (504, 1));
}

#[test]
fn a_reader_that_does_not_read() {
    let (mut scene, stream) = scene(settings(), by_path);
    let task = client(&mut scene, stream, |send, host| async move {
        let mut ready = send.clone().ready().await.expect("it is ready");
        let (response, _) = ready.send_request(get("/big/1000"), true).expect("it is sent");
        let mut body = response.await.expect("it is answered").into_body();
        host.sleep(600 * SECOND).await;
        let mut last = None;
        while let Some(data) = body.data().await {
            if let Err(error) = data {
                last = error.reason();
                break;
            }
        }
        (last, fetch(send, get("/"), vec![], None).await.status)
    });
    scene.world.run();
    let (last, _) = task.take().expect("the client is done");
    assert_eq!(last, Some(Code::CANCEL));
    assert_eq!(counted(&scene, Event::ReaderTimeout), 1);
}
