//! Frames made by hand, for what the library would not say, and a client that says them.

use super::*;
use crate::http::two::frames::PREFACE;
use crate::stream::{Stream, StreamError};

/// A frame: RFC 9113, 4.1.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals without a name in the table, not indexed and not compressed: RFC 7541, 6.2.2.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// RFC 7541, 5.1, with a prefix of seven bits.
fn integer(out: &mut Vec<u8>, value: usize) {
    if value < 127 {
        return out.push(value as u8);
    }
    out.push(127);
    let mut left = value - 127;
    while left >= 128 {
        out.push((left % 128 + 128) as u8);
        left /= 128;
    }
    out.push(left as u8);
}

/// A request of these fields besides those that each has; with END_HEADERS, and END_STREAM where `ends`.
pub(super) fn headers(stream: u32, ends: bool, more: &[(&str, &str)]) -> Vec<u8> {
    let usual = [(":method", "POST"), (":scheme", "http"), (":authority", "a.example"), (":path", "/echo")];
    let all: Vec<(&str, &str)> = usual.into_iter().chain(more.iter().copied()).collect();
    frame(1, if ends { 0x5 } else { 0x4 }, stream, &block(&all))
}

/// The preface, SETTINGS, and these frames.
pub(super) fn client(frames: &[Vec<u8>]) -> Bytes {
    [PREFACE.to_vec(), frame(4, 0, 0, b""), frames.concat()].concat().into()
}

/// A frame that was heard: type, flags, stream, payload.
pub(super) type Heard = (u8, u8, u32, Vec<u8>);

/// What a client that says these pieces hears until the proxy closes or nothing comes any more.
pub(super) fn said(settings: Settings, pieces: Vec<Bytes>) -> (Vec<Heard>, Option<StreamError>, Scene) {
    let (mut scene, mut stream) = scene(settings, by_path);
    let task = scene.world.spawn(async move {
        let mut heard = Vec::new();
        let mut pieces = std::collections::VecDeque::from(pieces);
        let end = poll_fn(|cx| {
            loop {
                let mut moved = false;
                if let Some(piece) = pieces.front()
                    && let Poll::Ready(room) = stream.poll_writable(cx)
                {
                    let piece = piece.clone();
                    pieces.pop_front();
                    moved = room.is_ok() && stream.write(piece).is_ok();
                }
                match stream.poll_read(cx) {
                    Poll::Ready(Ok(Some(chunk))) => {
                        heard.extend_from_slice(&chunk);
                        moved = true;
                    }
                    Poll::Ready(Ok(None)) => return Poll::Ready(None),
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(error)),
                    Poll::Pending => {}
                }
                if !moved {
                    return Poll::Pending;
                }
            }
        })
        .await;
        stream.shutdown();
        (heard, end)
    });
    scene.world.run();
    let (heard, end) = task.take().expect("the proxy has closed");
    (frames(&heard), end, scene)
}

fn frames(mut bytes: &[u8]) -> Vec<Heard> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, flags, s0, s1, s2, s3, rest @ ..] = bytes {
        let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let (payload, after) = rest.split_at(len.min(rest.len()));
        frames.push((*kind, *flags, u32::from_be_bytes([*s0, *s1, *s2, *s3]), payload.to_vec()));
        bytes = after;
    }
    frames
}

/// The code of the last GOAWAY.
pub(super) fn goaway(heard: &[Heard]) -> Option<Code> {
    let (.., payload) = heard.iter().rfind(|(kind, ..)| *kind == 7)?;
    Some(Code::from(u32::from_be_bytes(payload.get(4..8)?.try_into().ok()?)))
}

/// The code of a stream's RST_STREAM.
pub(super) fn reset(heard: &[Heard], stream: u32) -> Option<Code> {
    let (.., payload) = heard.iter().find(|(kind, _, of, _)| *kind == 3 && *of == stream)?;
    Some(Code::from(u32::from_be_bytes(payload.get(..4)?.try_into().ok()?)))
}
