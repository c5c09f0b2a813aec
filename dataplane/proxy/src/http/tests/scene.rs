//! A client, the proxy, and servers, on streams in memory.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::host::{ConnectError, Host};
use crate::http::{Settings, run};
use crate::memory::{ConnectAnswer, MemoryHost, MemoryStream, Task, World, duplex};
use crate::outcome::Outcome;
use crate::session::{Session, SessionId, SessionInfo};
use crate::stream::{Stream, StreamError};

/// Bytes that a stream takes unread.
pub(super) const WINDOW: usize = 16 << 10;

/// How many times a proxy may connect in one scene.
const SERVERS: usize = 8;

/// See the module.
pub(super) struct Scene {
    pub world: World,
    pub outcome: Task<Outcome>,
    /// What all servers were told, one after the other.
    pub seen: Rc<RefCell<Vec<u8>>>,
    pub connected: Rc<RefCell<usize>>,
}

/// What one server says to the bytes it has: the answer, and how many of the bytes it is for; `None`: not yet.
pub(super) type Answer = fn(&[u8]) -> Option<(usize, Vec<Said>)>;

/// A part of a server's answer.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Bytes(Vec<u8>),
    Wait(Duration),
    /// Its FIN.
    Close,
    /// A reset.
    Abort,
}

pub(super) fn said(text: &str) -> Vec<Said> {
    vec![Said::Bytes(text.as_bytes().to_vec())]
}

pub(super) fn info() -> SessionInfo {
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
pub(super) fn scene(settings: Settings, answer: Answer) -> (Scene, MemoryStream) {
    let mut world = World::new();
    let (client, leg) = duplex(WINDOW);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let connected = Rc::new(RefCell::new(0));
    for _ in 0..SERVERS {
        let (leg, server) = duplex(WINDOW);
        world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(leg)));
        let (seen, connected, host) = (Rc::clone(&seen), Rc::clone(&connected), world.host());
        let _ = world.spawn(serve(server, seen, connected, answer, host));
    }
    world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Err(ConnectError::Refused)));
    let session = Session { id: SessionId(7), host: world.host(), client: leg, info: info() };
    let outcome = world.spawn(run(session, Arc::new(settings)));
    (Scene { world, outcome, seen, connected }, client)
}

async fn serve(
    mut stream: MemoryStream,
    seen: Rc<RefCell<Vec<u8>>>,
    connected: Rc<RefCell<usize>>,
    answer: Answer,
    host: MemoryHost,
) {
    let mut own = Vec::new();
    let mut counted = false;
    while let Ok(Some(chunk)) = stream.read().await {
        if !counted {
            counted = true;
            *connected.borrow_mut() += 1;
        }
        seen.borrow_mut().extend_from_slice(&chunk);
        own.extend_from_slice(&chunk);
        while let Some((used, parts)) = answer(&own) {
            own.drain(..used);
            for part in parts {
                match part {
                    Said::Bytes(bytes) => {
                        if stream.send(Bytes::from(bytes)).await.is_err() {
                            return;
                        }
                    }
                    Said::Wait(time) => host.sleep(time).await,
                    Said::Close => stream.shutdown(),
                    Said::Abort => return stream.abort(),
                }
            }
        }
    }
    stream.shutdown();
}

/// What a client that says these pieces hears, to its end.
pub(super) async fn client(
    mut stream: MemoryStream,
    pieces: Vec<Bytes>,
    finish: bool,
) -> (Vec<u8>, Option<StreamError>) {
    for piece in pieces {
        if stream.send(piece).await.is_err() {
            break;
        }
    }
    if finish {
        stream.shutdown();
    }
    let mut heard = Vec::new();
    loop {
        match stream.read().await {
            Ok(Some(chunk)) => heard.extend_from_slice(&chunk),
            Ok(None) => return (heard, None),
            Err(error) => return (heard, Some(error)),
        }
    }
}

/// Where the first message ends that a plain parser finds at the beginning: it knows lengths and chunks, and no doubts.
pub(super) fn message_end(bytes: &[u8]) -> Option<usize> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    if field("transfer-encoding:").is_some() {
        let mut at = head;
        loop {
            let line = find(&bytes[at..], b"\r\n")?;
            let size = usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line]).ok()?, 16).ok()?;
            at += line + 2;
            if size == 0 {
                loop {
                    let line = find(&bytes[at..], b"\r\n")?;
                    at += line + 2;
                    if line == 0 {
                        return Some(at);
                    }
                }
            }
            at += size + 2;
            if at > bytes.len() {
                return None;
            }
        }
    }
    let length: usize = field("content-length:").map_or(0, |length| length.parse().expect("it is a number"));
    (bytes.len() >= head + length).then_some(head + length)
}

pub(super) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The statuses of the responses in what a client heard; the rest that is none.
pub(super) fn statuses(heard: &[u8]) -> (Vec<String>, Vec<u8>) {
    statuses_of(heard, false)
}

/// The same for answers to a HEAD, which have no body.
pub(super) fn statuses_of(mut heard: &[u8], bare: bool) -> (Vec<String>, Vec<u8>) {
    let mut statuses = Vec::new();
    while let Some(rest) = heard.strip_prefix(b"HTTP/1.1 ") {
        let status = String::from_utf8_lossy(&rest[..3]).into_owned();
        let end = if bare || status.starts_with('1') || status == "304" {
            find(heard, b"\r\n\r\n").map(|end| end + 4)
        } else {
            message_end(heard)
        };
        let Some(end) = end else { break };
        statuses.push(status);
        heard = &heard[end..];
    }
    (statuses, heard.to_vec())
}

/// The bytes in one piece, byte by byte, and in two at every boundary; of long ones at some.
pub(super) fn splits(bytes: &[u8]) -> Vec<Vec<Bytes>> {
    let whole = Bytes::copy_from_slice(bytes);
    let single = (0..bytes.len()).map(|at| whole.slice(at..at + 1)).collect();
    let step = bytes.len() / 400 + 1;
    let two = (1..bytes.len()).step_by(step).map(|at| vec![whole.slice(..at), whole.slice(at..)]);
    [vec![whole.clone()], single].into_iter().chain(two).collect()
}
