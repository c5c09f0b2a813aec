//! The duplex behaves as [`Stream`] says, and time moves only when everybody waits.

use std::time::Duration;

use bytes::Bytes;

use super::{World, duplex};
use crate::host::Host;
use crate::stream::{Chunk, Stream, StreamError};

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn a_window_is_overrun_by_one_chunk_only() {
    let (mut near, mut far) = duplex(4);
    let mut world = World::new();
    let host = world.host();
    let writer = world.spawn(async move {
        near.send(bytes("abc")).await?;
        near.send(bytes("defghi")).await?;
        near.send(bytes("j")).await?;
        near.shutdown();
        near.finished().await
    });
    let reader = world.spawn(async move {
        host.sleep(Duration::from_secs(1)).await;
        assert_eq!(far.unread(), 9, "the third chunk has to wait");
        let mut read = Vec::new();
        while let Some(chunk) = far.read().await? {
            read.extend_from_slice(chunk.as_slice());
        }
        far.shutdown();
        Ok::<_, StreamError>(read)
    });
    assert_eq!(world.run(), 0);
    assert_eq!(writer.take(), Some(Ok(())));
    assert_eq!(reader.take(), Some(Ok(b"abcdefghij".to_vec())));
}

#[test]
fn last_words_are_read_before_the_failure() {
    let (mut near, mut far) = duplex(100);
    let mut world = World::new();
    let said = world.spawn(async move {
        near.send(bytes("bye")).await?;
        near.abort();
        near.read().await
    });
    let heard = world.spawn(async move {
        let failed = far.failed().await;
        (failed, far.read().await, far.read().await, far.write(bytes("x")))
    });
    assert_eq!(world.run(), 0);
    assert_eq!(said.take(), Some(Err(StreamError::Cut)));
    let reset = StreamError::Reset;
    assert_eq!(heard.take(), Some((reset, Ok(Some(bytes("bye"))), Err(reset), Err(reset))));
}

#[test]
fn dropping_aborts_unless_it_was_shut_down() {
    let mut world = World::new();
    let (near, mut far) = duplex(1);
    drop(near);
    let dropped = world.spawn(async move { far.read().await });
    let (mut near, mut far) = duplex(1);
    near.shutdown();
    drop(near);
    let finished = world.spawn(async move { far.read().await });
    assert_eq!(world.run(), 0);
    assert_eq!(dropped.take(), Some(Err(StreamError::Reset)));
    assert_eq!(finished.take(), Some(Ok(None)));
}

#[test]
fn time_passes_only_when_all_wait() {
    let mut world = World::new();
    let host = world.host();
    let slept = world.spawn(async move {
        let before = host.now();
        host.sleep(Duration::from_secs(5)).await;
        host.now() - before
    });
    assert_eq!(world.run_until(Duration::from_secs(2)), 1);
    assert_eq!((world.now(), slept.take()), (Duration::from_secs(2), None));
    assert_eq!(world.run(), 0);
    assert_eq!((world.now(), slept.take()), (Duration::from_secs(5), Some(Duration::from_secs(5))));
    assert_eq!(world.run_until(Duration::from_secs(9)), 0);
    assert_eq!(world.now(), Duration::from_secs(9));
}

#[test]
fn a_dropped_sleep_wakes_nobody() {
    let mut world = World::new();
    let host = world.host();
    let _ = world.spawn(async move {
        let long = Box::pin(host.sleep(Duration::from_secs(100)));
        host.sleep(Duration::from_secs(1)).await;
        drop(long);
    });
    assert_eq!(world.run(), 0);
    assert_eq!(world.now(), Duration::from_secs(1));
}
