//! Whole sessions on streams in memory, in virtual time: clients and servers are the library's, or frames made by hand.

mod bodies;
mod endings;
mod floods;
mod malformed;
mod policy;
mod raw;
mod slow;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{Reason as Code, RecvStream, SendStream};
use http::{HeaderMap, Method, Request, Response};

use super::body::poll_room;
use super::flood::Meter;
use super::set::Set;
use super::wire::Wire;
use crate::http::event::Event;
use crate::http::{Settings, Two, run};
use crate::memory::{ConnectAnswer, MemoryHost, MemoryStream, Task, World, duplex};
use crate::outcome::Outcome;
use crate::session::{Session, SessionId, SessionInfo};
use crate::stack::LocalFuture;
use crate::stream::Stream;

/// Bytes that a stream takes unread.
const WINDOW: usize = 16 << 10;

/// How many times a proxy may connect in one scene.
const SERVERS: usize = 12;

/// What a server does with a request.
pub(crate) type Handler = fn(Request<RecvStream>, SendResponse<Bytes>) -> LocalFuture<'static, ()>;

/// A proxy, and servers behind it.
struct Scene {
    world: World,
    outcome: Task<Outcome>,
    /// What servers were asked: the head of each request.
    seen: Rc<RefCell<Vec<Request<()>>>>,
}

fn settings() -> Settings {
    Settings { http2: Some(Two::default()), ..Settings::default() }
}

fn info() -> SessionInfo {
    SessionInfo {
        client: "192.168.1.5:40000".parse().expect("it is an address"),
        original_destination: "10.0.0.9:80".parse().expect("it is an address"),
        service: "web".into(),
        client_zone: None,
        server_zone: None,
        interface: "intra".into(),
        idle: Duration::from_secs(600),
        total: None,
    }
}

/// A proxy between the stream that is given and servers that answer so.
fn scene(settings: Settings, handler: Handler) -> (Scene, MemoryStream) {
    let mut world = World::new();
    let (client, leg) = duplex(WINDOW);
    let seen = Rc::new(RefCell::new(Vec::new()));
    for _ in 0..SERVERS {
        let (leg, server) = duplex(WINDOW);
        world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(leg)));
        let _ = world.spawn(serve(server, handler, Rc::clone(&seen)));
    }
    let session = Session { id: SessionId(7), host: world.host(), client: leg, info: info() };
    let outcome = world.spawn(run(session, Arc::new(settings)));
    (Scene { world, outcome, seen }, client)
}

/// Serves a connection by the library, to its end.
pub(crate) async fn serve<S: Stream>(stream: S, handler: Handler, seen: Rc<RefCell<Vec<Request<()>>>>) {
    let wire = Wire::new(stream, Meter::of_client(Duration::ZERO));
    wire.tick(Duration::ZERO);
    let Ok(mut connection) = h2::server::handshake(wire.clone()).await else { return };
    let mut set = Set::default();
    poll_fn(|cx| {
        loop {
            wire.tick(Duration::ZERO);
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    let mut head = Request::new(());
                    *head.method_mut() = request.method().clone();
                    *head.uri_mut() = request.uri().clone();
                    *head.headers_mut() = request.headers().clone();
                    seen.borrow_mut().push(head);
                    set.push(cx, handler(request, respond));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if set.poll(cx) | wire.is_stalled() => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

/// What most servers here do: the path says it.
pub(crate) fn by_path(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> LocalFuture<'static, ()> {
    Box::pin(async move {
        let path = request.uri().path().to_owned();
        let mut body = request.into_body();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let answer = || Response::builder().header("server", "test").body(()).expect("it is a response");
        match parts.as_slice() {
            ["echo"] => {
                let Ok(mut to) = respond.send_response(answer(), false) else { return };
                let _ = copy(&mut body, &mut to).await;
            }
            ["big", kilobytes] => {
                let Ok(mut to) = respond.send_response(answer(), false) else { return };
                let kilobytes: usize = kilobytes.parse().expect("it is a number");
                for kilobyte in 0..kilobytes {
                    if send(&mut to, Bytes::from(vec![kilobyte as u8; 1024])).await.is_err() {
                        return;
                    }
                }
                let _ = to.send_data(Bytes::new(), true);
            }
            ["status", status] => {
                let mut response = answer();
                *response.status_mut() = status.parse().expect("it is a status");
                let _ = respond.send_response(response, true);
            }
            ["reset", code] => {
                let code: u32 = code.parse().expect("it is a number");
                respond.send_reset(Code::from(code));
            }
            ["half", code] => {
                let Ok(mut to) = respond.send_response(answer(), false) else { return };
                let _ = send(&mut to, Bytes::from_static(b"half")).await;
                // The data is out before the reset takes it back.
                poll_turn().await;
                to.send_reset(Code::from(code.parse::<u32>().expect("it is a number")));
            }
            ["early"] => {
                let Ok(mut to) = respond.send_response(answer(), false) else { return };
                let _ = to.send_data(Bytes::from_static(b"enough"), true);
            }
            ["hints"] => {
                let mut hints = answer();
                *hints.status_mut() = http::StatusCode::EARLY_HINTS;
                let _ = respond.send_informational(hints);
                let _ = respond.send_response(answer(), true);
            }
            ["never"] => {
                let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
            }
            _ => {
                let Ok(mut to) = respond.send_response(answer(), false) else { return };
                let _ = send(&mut to, Bytes::from(format!("hello {path}"))).await;
                let _ = to.send_data(Bytes::new(), true);
            }
        }
    })
}

/// Lets everybody else go on a few times.
async fn poll_turn() {
    for _ in 0..8 {
        let mut once = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut once, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// Data and trailers from one stream to another.
async fn copy(from: &mut RecvStream, to: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
    while let Some(data) = from.data().await {
        let data = data?;
        let len = data.len();
        send(to, data).await?;
        from.flow_control().release_capacity(len)?;
    }
    match from.trailers().await? {
        Some(trailers) => to.send_trailers(trailers),
        None => to.send_data(Bytes::new(), true),
    }
}

async fn send(to: &mut SendStream<Bytes>, mut data: Bytes) -> Result<(), h2::Error> {
    while !data.is_empty() {
        let room = poll_fn(|cx| poll_room(cx, to, data.len())).await?;
        to.send_data(data.split_to(room.min(data.len())), false)?;
    }
    Ok(())
}

/// What a client got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Its stream, or its connection, ended so.
    error: Option<Code>,
}

impl Got {
    fn text(&self) -> (u16, String) {
        (self.status, String::from_utf8_lossy(&self.body).into_owned())
    }
}

fn get(path: &str) -> Request<()> {
    asked(Method::GET, path)
}

fn asked(method: Method, path: &str) -> Request<()> {
    let uri = format!("http://www.example.com{path}");
    Request::builder().method(method).uri(uri).body(()).expect("it is a request")
}

/// Asks, says the body in these pieces, and reads everything.
pub(crate) async fn fetch(
    send: SendRequest<Bytes>,
    request: Request<()>,
    pieces: Vec<Bytes>,
    trailers: Option<HeaderMap>,
) -> Got {
    let mut got = Got::default();
    if let Err(error) = fetch_into(&mut got, send, request, pieces, trailers).await {
        got.error = Some(error.reason().unwrap_or(Code::CONNECT_ERROR));
    }
    got
}

async fn fetch_into(
    got: &mut Got,
    send_request: SendRequest<Bytes>,
    request: Request<()>,
    pieces: Vec<Bytes>,
    trailers: Option<HeaderMap>,
) -> Result<(), h2::Error> {
    let mut ready = send_request.ready().await?;
    let bare = pieces.is_empty() && trailers.is_none();
    let (response, mut to) = ready.send_request(request, bare)?;
    drop(ready);
    let mut upload = Box::pin(async move {
        for piece in pieces {
            send(&mut to, piece).await?;
        }
        match trailers {
            Some(trailers) => to.send_trailers(trailers),
            None if bare => Ok(()),
            None => to.send_data(Bytes::new(), true),
        }?;
        Ok::<_, h2::Error>(to)
    });
    let mut kept = None;
    let mut download = Box::pin(async {
        let response = response.await?;
        got.status = response.status().as_u16();
        got.headers = response.headers().clone();
        let mut body = response.into_body();
        while let Some(data) = body.data().await {
            let data = data?;
            got.body.extend_from_slice(&data);
            body.flow_control().release_capacity(data.len())?;
        }
        got.trailers = body.trailers().await?;
        Ok::<_, h2::Error>(())
    });
    poll_fn(|cx| {
        if kept.is_none()
            && let Poll::Ready(sent) = upload.as_mut().poll(cx)
        {
            // What is wrong is heard by the response.
            kept = Some(sent.ok());
        }
        download.as_mut().poll(cx)
    })
    .await
}

/// Polls a connection as far as it goes.
fn drive<S: Stream, T>(
    wire: &Wire<S>,
    mut connection: Pin<&mut impl Future<Output = T>>,
    cx: &mut Context<'_>,
) -> Poll<T> {
    loop {
        wire.tick(Duration::ZERO);
        let polled = connection.as_mut().poll(cx);
        if polled.is_ready() || !wire.is_stalled() {
            return polled;
        }
    }
}

/// Runs a client of the library's; what it came to.
fn client<T: 'static, F: Future<Output = T> + 'static>(
    scene: &mut Scene,
    stream: MemoryStream,
    act: impl FnOnce(SendRequest<Bytes>, MemoryHost) -> F + 'static,
) -> Task<T> {
    let host = scene.world.host();
    scene.world.spawn(talk(stream, move |send| act(send, host)))
}

/// The same over any stream.
pub(crate) async fn talk<S: Stream, T, F: Future<Output = T>>(
    stream: S,
    act: impl FnOnce(SendRequest<Bytes>) -> F,
) -> T {
    let wire = Wire::new(stream, Meter::of_server(Duration::ZERO));
    let mut builder = h2::client::Builder::new();
    builder.initial_max_send_streams(1000);
    wire.tick(Duration::ZERO);
    let (send, connection) = builder.handshake::<_, Bytes>(wire.clone()).await.expect("the preface is written");
    let (mut connection, mut act) = (Box::pin(connection), Box::pin(act(send)));
    let mut over = false;
    let result = poll_fn(|cx| {
        over = over || drive(&wire, connection.as_mut(), cx).is_ready();
        act.as_mut().poll(cx)
    })
    .await;
    drop(act);
    if !over {
        let _ = poll_fn(|cx| drive(&wire, connection.as_mut(), cx)).await;
    }
    result
}

/// Asks one thing and goes; what came of it, and the scene for a look at it.
fn one(settings: Settings, request: Request<()>, pieces: Vec<Bytes>) -> (Got, Scene) {
    let (mut scene, stream) = scene(settings, by_path);
    let task = client(&mut scene, stream, move |send, _| fetch(send, request, pieces, None));
    scene.world.run();
    let got = task.take().expect("the client is done");
    (got, scene)
}

fn counted(scene: &Scene, event: Event) -> u64 {
    scene.world.host().counted(event)
}
