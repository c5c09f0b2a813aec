//! The relay over duplex streams: the same bytes whatever the cuts, FINs and resets one way at a time, and its times.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Limits, Relay};
use crate::host::Host;
use crate::memory::{MemoryHost, MemoryStream, Task, World, duplex};
use crate::outcome::{Outcome, Reason, Verdict};
use crate::stream::{Stream, StreamError};

const IDLE: Duration = Duration::from_secs(600);
const SECOND: Duration = Duration::from_secs(1);

/// A relay between two duplex links; what the tests play are the far ends.
struct Bench {
    world: World,
    host: MemoryHost,
    outcome: Task<Outcome>,
}

fn bench(window: usize, limits: Limits) -> (Bench, MemoryStream, MemoryStream) {
    let mut world = World::new();
    let host = world.host();
    let (client, client_leg) = duplex(window);
    let (server, server_leg) = duplex(window);
    let relay = Relay::new(client_leg, server_leg, limits);
    let relay_host = host.clone();
    let outcome = world.spawn(async move { relay.run(&relay_host).await });
    (Bench { world, host, outcome }, client, server)
}

fn limits(idle: Duration) -> Limits {
    Limits { idle, end: None }
}

/// Says these chunks, then FIN; hears until the other's FIN.
async fn talk(mut stream: MemoryStream, say: Vec<Bytes>) -> Result<Vec<u8>, StreamError> {
    for chunk in say {
        stream.send(chunk).await?;
    }
    stream.shutdown();
    hear(&mut stream).await
}

/// Hears until the other's FIN, then says these chunks.
async fn answer(mut stream: MemoryStream, say: Vec<Bytes>) -> Result<Vec<u8>, StreamError> {
    let heard = hear(&mut stream).await?;
    for chunk in say {
        stream.send(chunk).await?;
    }
    stream.shutdown();
    Ok(heard)
}

async fn hear(stream: &mut MemoryStream) -> Result<Vec<u8>, StreamError> {
    let mut heard = Vec::new();
    while let Some(chunk) = stream.read().await? {
        heard.extend_from_slice(&chunk);
    }
    Ok(heard)
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn accepted(reason: Reason, to_server: u64, to_client: u64) -> Option<Outcome> {
    Some(Outcome { verdict: Verdict::Accepted, reason, to_server, to_client })
}

#[test]
fn every_cut_gives_the_same_bytes() {
    let request = "GET / HTTP/1.1\r\n\r\n";
    let reply = "200 OK, and more than that";
    for first in 0..=request.len() {
        for second in first..=request.len() {
            let (mut bench, client, server) = bench(8, limits(IDLE));
            let cuts = [&request[..first], &request[first..second], &request[second..]];
            let said = cuts.into_iter().map(|part| Bytes::from(part.to_owned())).collect();
            let heard_back = bench.world.spawn(talk(client, said));
            let heard = bench.world.spawn(answer(server, vec![bytes(reply)]));
            assert_eq!(bench.world.run(), 0);
            assert_eq!(heard.take(), Some(Ok(request.as_bytes().to_vec())));
            assert_eq!(heard_back.take(), Some(Ok(reply.as_bytes().to_vec())));
            let bytes = (request.len() as u64, reply.len() as u64);
            assert_eq!(bench.outcome.take(), accepted(Reason::Finished, bytes.0, bytes.1));
        }
    }
}

#[test]
fn the_server_speaks_first_and_finishes_first() {
    let (mut bench, client, server) = bench(100, limits(IDLE));
    let heard = bench.world.spawn(talk(server, vec![bytes("220 ready")]));
    let heard_back = bench.world.spawn(answer(client, vec![bytes("QUIT"), bytes("\r\n")]));
    assert_eq!(bench.world.run(), 0);
    assert_eq!(heard_back.take(), Some(Ok(b"220 ready".to_vec())));
    assert_eq!(heard.take(), Some(Ok(b"QUIT\r\n".to_vec())), "half-closed, the other direction stayed open");
    assert_eq!(bench.outcome.take(), accepted(Reason::Finished, 6, 9));
}

#[test]
fn a_half_closed_session_stays_open_while_bytes_move() {
    let (mut bench, client, mut server) = bench(100, limits(10 * SECOND));
    let host = bench.host.clone();
    let heard_back = bench.world.spawn(talk(client, vec![bytes("all?")]));
    let _ = bench.world.spawn(async move {
        hear(&mut server).await?;
        for _ in 0..20 {
            host.sleep(9 * SECOND).await;
            server.send(bytes("x")).await?;
        }
        server.shutdown();
        server.finished().await
    });
    assert_eq!(bench.world.run(), 0);
    assert_eq!(heard_back.take(), Some(Ok(vec![b'x'; 20])));
    assert_eq!(bench.outcome.take(), accepted(Reason::Finished, 4, 20));
    assert_eq!(bench.world.now(), 180 * SECOND);
}

#[test]
fn a_reset_travels_either_way_behind_the_last_words() {
    for (from_client, reason) in [(true, Reason::ClientReset), (false, Reason::ServerReset)] {
        let (mut bench, client, server) = bench(3, limits(IDLE));
        let (mut from, mut to) = if from_client { (client, server) } else { (server, client) };
        let host = bench.host.clone();
        let _ = bench.world.spawn(async move {
            let _ = from.send(bytes("last words")).await;
            from.abort();
        });
        let heard = bench.world.spawn(async move {
            host.sleep(SECOND).await;
            (to.read().await, to.read().await)
        });
        assert_eq!(bench.world.run(), 0);
        assert_eq!(heard.take(), Some((Ok(Some(bytes("last words"))), Err(StreamError::Reset))));
        let counts = if from_client { (10, 0) } else { (0, 10) };
        assert_eq!(bench.outcome.take(), accepted(reason, counts.0, counts.1));
        assert_eq!(bench.world.now(), SECOND, "it did not wait longer than it had to");
    }
}

#[test]
fn a_reset_is_heard_even_when_nothing_can_be_written() {
    let (mut bench, mut client, server) = bench(4, limits(IDLE));
    let host = bench.host.clone();
    let _ = bench.world.spawn(async move {
        // The server reads nothing: its window and ours fill, then the client goes away.
        for _ in 0..2 {
            client.send(bytes("full")).await?;
        }
        host.sleep(5 * SECOND).await;
        client.abort();
        Ok::<_, StreamError>(())
    });
    let still_there = bench.world.spawn(async move { server });
    bench.world.run();
    assert_eq!(bench.outcome.take(), accepted(Reason::ClientReset, 4, 0));
    assert_eq!(bench.world.now(), 8 * SECOND, "the reset lingered, bounded, for a peer that takes nothing");
    let mut server = still_there.take().expect("it ended");
    let heard = bench.world.spawn(async move { (server.read().await, server.read().await) });
    bench.world.run();
    assert_eq!(heard.take(), Some((Ok(Some(bytes("full"))), Err(StreamError::Reset))));
}

#[test]
fn a_silent_session_ends_after_the_idle_time_for_both() {
    let (mut bench, mut client, mut server) = bench(100, limits(30 * SECOND));
    let host = bench.host.clone();
    let client_end = bench.world.spawn(async move {
        host.sleep(20 * SECOND).await;
        client.send(bytes("once")).await?;
        client.read().await
    });
    let server_end = bench.world.spawn(async move { (server.read().await, server.read().await) });
    assert_eq!(bench.world.run(), 0);
    assert_eq!(bench.world.now(), 50 * SECOND, "idle counts from the last byte");
    assert_eq!(client_end.take(), Some(Err(StreamError::Reset)));
    assert_eq!(server_end.take(), Some((Ok(Some(bytes("once"))), Err(StreamError::Reset))));
    let outcome = bench.outcome.take().expect("it ended");
    assert_eq!((outcome.reason, outcome.verdict), (Reason::IdleTimeout, Verdict::AbortedByPolicyAction));
}

#[test]
fn the_total_time_ends_a_busy_session() {
    let limits = Limits { idle: 30 * SECOND, end: Some(60 * SECOND) };
    let (mut bench, mut client, mut server) = bench(100, limits);
    let host = bench.host.clone();
    let _ = bench.world.spawn(async move {
        loop {
            host.sleep(SECOND).await;
            client.send(bytes("x")).await?;
        }
        #[expect(unreachable_code, reason = "names the error type of the task")]
        Ok::<_, StreamError>(())
    });
    let heard = bench.world.spawn(async move { hear(&mut server).await });
    assert_eq!(bench.world.run(), 0);
    assert_eq!(heard.take(), Some(Err(StreamError::Reset)));
    let outcome = bench.outcome.take().expect("it ended");
    assert_eq!(outcome.reason, Reason::TotalTimeout);
    assert!((59..=60).contains(&outcome.to_server), "{outcome:?}");
}

#[test]
fn a_slow_reader_closes_the_senders_window_and_is_not_idle() {
    let window = 64;
    let (mut bench, mut client, mut server) = bench(window, limits(10 * SECOND));
    let host = bench.host.clone();
    let sender = bench.world.spawn(async move {
        for _ in 0..100 {
            server.send(Bytes::from(vec![7; 16])).await?;
        }
        server.shutdown();
        server.finished().await
    });
    let reader = bench.world.spawn(async move {
        let mut heard = 0;
        loop {
            // Slower than the idle time for a whole window, and never idle.
            host.sleep(9 * SECOND).await;
            assert!(client.unread() <= window, "nothing is held beyond the window");
            let Some(chunk) = client.read().await? else { break };
            heard += chunk.len();
        }
        client.shutdown();
        Ok::<_, StreamError>(heard)
    });
    assert_eq!(bench.world.run(), 0);
    assert_eq!(reader.take(), Some(Ok(1600)));
    assert_eq!(sender.take(), Some(Ok(())));
    assert_eq!(bench.outcome.take(), accepted(Reason::Finished, 0, 1600));
}

#[test]
fn last_bytes_that_nobody_takes_end_the_wait_for_acknowledgement() {
    let (mut bench, mut client, mut server) = bench(100, limits(IDLE));
    client.write(bytes("request")).expect("it is open");
    client.shutdown();
    server.write(bytes("reply")).expect("it is open");
    server.shutdown();
    bench.world.run();
    let outcome = bench.outcome.take().expect("it ended");
    assert_eq!((outcome.reason, outcome.to_server, outcome.to_client), (Reason::FinishTimeout, 7, 5));
    assert_eq!(bench.world.now(), crate::limits::FINISH_MAX);
    drop((client, server));
}

#[test]
fn a_reader_that_stops_is_idle_and_noticed_within_an_eighth() {
    let (mut bench, client, mut server) = bench(100, limits(80 * SECOND));
    server.write(bytes("nobody reads this")).expect("it is open");
    bench.world.run();
    assert_eq!(bench.outcome.take().map(|outcome| outcome.reason), Some(Reason::IdleTimeout));
    assert_eq!(bench.world.now(), 80 * SECOND);
    drop((client, server));
}

#[test]
fn a_dead_or_cut_leg_ends_the_session_with_its_name() {
    for (error, reason) in [
        (StreamError::TimedOut, Reason::ServerTimedOut),
        (StreamError::Unreachable, Reason::ServerUnreachable),
        (StreamError::Cut, Reason::Cut),
    ] {
        let (mut bench, mut client, server) = bench(100, limits(IDLE));
        server.break_wire(error);
        let heard = bench.world.spawn(async move { client.read().await });
        bench.world.run();
        assert_eq!(heard.take(), Some(Err(StreamError::Reset)), "{error:?}");
        assert_eq!(bench.outcome.take().map(|outcome| outcome.reason), Some(reason));
    }
}

#[test]
fn dropping_the_relay_resets_both_sides() {
    let (mut client, client_leg) = duplex(10);
    let (mut server, server_leg) = duplex(10);
    drop(Relay::new(client_leg, server_leg, limits(IDLE)));
    let mut world = World::new();
    let ends = world.spawn(async move { (client.read().await, server.read().await) });
    world.run();
    assert_eq!(ends.take(), Some((Err(StreamError::Reset), Err(StreamError::Reset))));
}

#[test]
fn a_fast_stream_lets_others_have_their_turn() {
    let chunks = 10 * crate::limits::RELAY_CHUNKS_PER_POLL_MAX;
    let (mut bench, mut client, mut server) = bench(usize::MAX, limits(IDLE));
    for _ in 0..chunks {
        client.write(bytes("x")).expect("there is room");
    }
    client.shutdown();
    // Spawned after the relay: it is polled between the relay's polls and sees how far those came.
    let seen = bench.world.spawn(async move {
        let first = server.read().await;
        let unread = server.unread();
        server.shutdown();
        let rest = hear(&mut server).await.map(|bytes| bytes.len());
        drop(client);
        (first, unread, rest)
    });
    assert_eq!(bench.world.run(), 0);
    let per_poll = crate::limits::RELAY_CHUNKS_PER_POLL_MAX;
    assert_eq!(seen.take(), Some((Ok(Some(bytes("x"))), per_poll - 1, Ok(chunks - 1))));
}

/// A party of a random conversation: chunk sizes with pauses before them.
fn script() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0..4u8, 0..50u8), 0..40)
}

async fn play(host: MemoryHost, mut stream: MemoryStream, script: Vec<(u8, u8)>) -> Result<Vec<u8>, StreamError> {
    let mut heard = Vec::new();
    let mut next = 0u8;
    for (pause, len) in script {
        host.sleep(Duration::from_millis(u64::from(pause))).await;
        let chunk: Vec<u8> = (0..len).map(|offset| next.wrapping_add(offset)).collect();
        next = next.wrapping_add(len);
        // Reading between writes keeps two full windows from waiting for one another for ever.
        while stream.unread() > 0 {
            heard.extend_from_slice(&stream.read().await?.unwrap_or_default());
        }
        let mut chunk = Some(Bytes::from(chunk));
        while let Some(bytes) = chunk.take() {
            let room = std::future::poll_fn(|cx| match stream.poll_writable(cx) {
                std::task::Poll::Pending if stream.unread() > 0 => std::task::Poll::Ready(Ok(0)),
                other => other,
            });
            if room.await? > 0 {
                stream.write(bytes)?;
            } else {
                heard.extend_from_slice(&stream.read().await?.unwrap_or_default());
                chunk = Some(bytes);
            }
        }
    }
    stream.shutdown();
    heard.extend(hear(&mut stream).await?);
    Ok(heard)
}

fn said(script: &[(u8, u8)]) -> Vec<u8> {
    let len: usize = script.iter().map(|&(_, len)| usize::from(len)).sum();
    (0..len).map(|offset| u8::try_from(offset % 256).expect("it is below 256")).collect()
}

proptest! {
    #[test]
    fn any_conversation_arrives_whole(client_says in script(), server_says in script(), window in 1usize..100) {
        let (mut bench, client, server) = bench(window, limits(IDLE));
        let at_client = bench.world.spawn(play(bench.host.clone(), client, client_says.clone()));
        let at_server = bench.world.spawn(play(bench.host.clone(), server, server_says.clone()));
        prop_assert_eq!(bench.world.run(), 0);
        prop_assert_eq!(at_server.take(), Some(Ok(said(&client_says))));
        prop_assert_eq!(at_client.take(), Some(Ok(said(&server_says))));
        let counts = (said(&client_says).len() as u64, said(&server_says).len() as u64);
        prop_assert_eq!(bench.outcome.take(), accepted(Reason::Finished, counts.0, counts.1));
    }
}
