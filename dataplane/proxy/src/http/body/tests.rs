//! Data is handed over and not copied; tiny chunks do not become as many pieces.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::{Framing, Pump, Trailers};
use crate::http::head::Body;
use crate::http::pace::Waits;
use crate::memory::{MemoryStream, duplex};
use crate::stream::Stream;

const NOW: Duration = Duration::from_secs(1);

/// A pump between two duplexes, with the far ends of both.
fn pump(body: Body, framing: Framing) -> (Pump, MemoryStream, MemoryStream, MemoryStream, MemoryStream) {
    let (sender, from) = duplex(1 << 20);
    let (to, receiver) = duplex(1 << 20);
    (Pump::new(Bytes::from("head"), body, framing, Trailers::Drop, None, NOW), sender, from, to, receiver)
}

fn read_all(stream: &mut MemoryStream) -> Vec<Bytes> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    while let Poll::Ready(Ok(Some(chunk))) = stream.poll_read(&mut cx) {
        all.push(chunk);
    }
    all
}

#[test]
fn data_is_the_very_memory_that_was_read() {
    for (body, framing, wire) in [
        (Body::Length(1000), Framing::Plain, Bytes::from(vec![b'x'; 1000])),
        (Body::UntilClose, Framing::Plain, Bytes::from(vec![b'x'; 1000])),
        (Body::Chunked, Framing::Chunked, Bytes::from([b"3e8\r\n", &[b'x'; 1000][..], b"\r\n0\r\n\r\n"].concat())),
        (Body::Chunked, Framing::Plain, Bytes::from([b"3e8\r\n", &[b'x'; 1000][..], b"\r\n0\r\n\r\n"].concat())),
    ] {
        let (mut pump, mut sender, mut from, mut to, mut receiver) = pump(body, framing);
        sender.write(wire.clone()).expect("there is room");
        let _ = pump.poll(&mut Context::from_waker(Waker::noop()), NOW, &mut from, &mut to);
        let within = |piece: &Bytes| wire.as_ptr_range().contains(&piece.as_ptr());
        let got = read_all(&mut receiver);
        let data: Vec<&Bytes> = got.iter().filter(|piece| piece.len() == 1000).collect();
        assert!(data.len() == 1 && within(data[0]), "{body:?} {framing:?}: {} pieces", got.len());
        assert_eq!(pump.moved, 1000);
    }
}

#[test]
fn tiny_chunks_are_written_together() {
    let (mut pump, mut sender, mut from, mut to, mut receiver) = pump(Body::Chunked, Framing::Chunked);
    sender.write(Bytes::from("1\r\nx\r\n".repeat(1000))).expect("there is room");
    let _ = pump.poll(&mut Context::from_waker(Waker::noop()), NOW, &mut from, &mut to);
    let got = read_all(&mut receiver);
    assert_eq!(got.len(), 2, "the head, and all chunks as one");
    assert_eq!(pump.moved, 1000);
}

#[test]
fn who_is_waited_for_pays() {
    let (mut pump, _sender, mut from, mut to, _receiver) = pump(Body::Length(10), Framing::Plain);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pump.poll(&mut cx, NOW, &mut from, &mut to).is_pending());
    let grace = Duration::from_secs(20);
    assert_eq!(pump.waits(), Waits::Sender);
    assert_eq!(pump.slow_at(Waits::Sender, grace, 500), Some(NOW + grace));
    // Looked at again, without a byte: the time does not move.
    assert!(pump.poll(&mut cx, NOW * 10, &mut from, &mut to).is_pending());
    assert_eq!(pump.slow_at(Waits::Sender, grace, 500), Some(NOW + grace));
    assert_eq!(pump.slow_at(Waits::Receiver, grace, 500), None);
    assert_eq!(pump.slow_at(Waits::Sender, grace, 0), None, "no rate, no bound");
}
