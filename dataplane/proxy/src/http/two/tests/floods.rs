//! Floods: each kind just below its rate passes, just above it ends the connection with ENHANCE_YOUR_CALM, and is counted.

use super::raw::{block, client, frame, goaway, headers, reset, said};
use super::*;
use crate::http::limits;
use crate::outcome::Reason;

fn floods(event: Event, frames: impl Fn(usize) -> Vec<Vec<u8>>, max: usize) {
    let asks = || Settings { http2: Some(Two { streams: 10, ..Two::default() }), ..settings() };
    let (heard, _, scene) = said(asks(), vec![client(&frames(max))]);
    assert_eq!(counted(&scene, event), 0, "{event:?}: as many as permitted");
    assert_eq!(counted(&scene, Event::TwoCalm) + counted(&scene, Event::TwoProtocol), 0, "{event:?}");
    assert_ne!(goaway(&heard), Some(Code::ENHANCE_YOUR_CALM), "{event:?}: as many as permitted");
    let (heard, _, scene) = said(asks(), vec![client(&frames(max + 1))]);
    assert_eq!(counted(&scene, event), 1, "{event:?}: one more");
    assert_eq!(goaway(&heard), Some(Code::ENHANCE_YOUR_CALM), "{event:?}: one more");
    let outcome = scene.outcome.take().expect("the session has ended");
    assert_eq!(outcome.reason, Reason::ClientViolation, "{event:?}");
}

fn many(n: usize, one: impl Fn(usize) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..n).map(one).collect()
}

#[test]
fn rapid_reset() {
    let cancel = |n: usize| {
        let stream = 2 * n as u32 + 1;
        [headers(stream, true, &[]), frame(3, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    floods(Event::TwoResetFlood, |n| many(n, cancel), limits::RESETS.burst as usize);
}

#[test]
fn a_stream_that_is_reset_at_once_costs_no_request() {
    let reset = [headers(1, true, &[]), frame(3, 0, 1, &8_u32.to_be_bytes()), headers(3, true, &[])].concat();
    let (_, _, scene) = said(settings(), vec![client(&[reset])]);
    assert_eq!((counted(&scene, Event::Request), counted(&scene, Event::TwoReset)), (2, 1));
    assert_eq!(scene.seen.borrow().len(), 1, "the server has seen the other one");
}

#[test]
fn resets_that_are_provoked() {
    let provoke = |n: usize| {
        let stream = 2 * n as u32 + 1;
        headers(stream, true, &[("connection", "close")])
    };
    floods(Event::TwoProvokedFlood, |n| many(n, provoke), limits::PROVOKED.burst as usize);
}

#[test]
fn settings_and_pings() {
    // One SETTINGS is a client's first frame.
    floods(Event::TwoSettingsFlood, |n| many(n, |_| frame(4, 0, 0, b"")), limits::SETTINGS.burst as usize - 1);
    floods(Event::TwoPingFlood, |n| many(n, |_| frame(6, 0, 0, &[0; 8])), limits::PINGS.burst as usize);
}

#[test]
fn frames_that_bring_nothing() {
    let empty = |n: usize| [vec![headers(1, false, &[])], many(n, |_| frame(0, 0, 1, b""))].concat();
    floods(Event::TwoEmptyFlood, empty, limits::EMPTY_DATA.burst as usize);
    let padded = |n: usize| [vec![headers(1, false, &[])], many(n, |_| frame(0, 0x8, 1, &[2, 0, 0]))].concat();
    floods(Event::TwoEmptyFlood, padded, limits::EMPTY_DATA.burst as usize);
    let update = |n: usize| many(n, |_| frame(8, 0, 0, &1_u32.to_be_bytes()));
    floods(Event::TwoWindowFlood, update, limits::SMALL_UPDATES.burst as usize);
    let priority = |n: usize| many(n, |at| frame(2, 0, 2 * at as u32 + 1, &[0, 0, 0, 0, 16]));
    floods(Event::TwoIdleFlood, priority, limits::IDLE_FRAMES.burst as usize);
    let unknown = |n: usize| many(n, |_| frame(0xbe, 0, 0, b"grease"));
    floods(Event::TwoIdleFlood, unknown, limits::IDLE_FRAMES.burst as usize);
}

#[test]
fn continuation_without_an_end() {
    let head =
        || frame(1, 0x1, 1, &block(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]));
    let frames = |n: usize| [vec![head()], many(n, |_| frame(9, 0, 1, &block(&[("x", "y")])))].concat();
    let max = limits::CONTINUATIONS_MAX as usize;
    let ended = [frames(max), vec![frame(9, 0x4, 1, b"")]].concat();
    let (_, _, scene) = said(settings(), vec![client(&ended)]);
    assert_eq!((counted(&scene, Event::TwoContinuationFlood), counted(&scene, Event::Passed)), (0, 1));
    let (heard, _, scene) = said(settings(), vec![client(&frames(max + 1))]);
    assert_eq!(counted(&scene, Event::TwoContinuationFlood), 1);
    assert_eq!(goaway(&heard), Some(Code::ENHANCE_YOUR_CALM));
}

#[test]
fn bombs_of_hpack() {
    // A field of four kilobytes goes into the table once and is then one byte (RFC 7541, 6.1): 16,000 of them are 60 MiB.
    let mut block = block(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]);
    let value = "x".repeat(4000 - 33);
    block.extend_from_slice(&[0x40, 1, b'b', 127]);
    let left = value.len() - 127;
    block.extend_from_slice(&[(left % 128 + 128) as u8, (left / 128) as u8]);
    block.extend_from_slice(value.as_bytes());
    block.extend(std::iter::repeat_n(0xbe, 10_000));
    let (heard, _, scene) = said(settings(), vec![client(&[frame(1, 0x5, 1, &block)])]);
    assert_eq!(goaway(&heard), Some(Code::ENHANCE_YOUR_CALM));
    assert_eq!(counted(&scene, Event::TwoCalm), 1);
    // Below that, and beyond what any service permits, it is a stream's fault, told by 431.
    let mut fewer = block[..block.len() - 10_000].to_vec();
    fewer.extend(std::iter::repeat_n(0xbe, limits::HEADER_LIST_MAX as usize / 4000 + 1));
    let (heard, _, scene) = said(settings(), vec![client(&[frame(1, 0x5, 1, &fewer)])]);
    assert_eq!(counted(&scene, Event::TwoCalm), 0);
    assert!(scene.seen.borrow().is_empty());
    assert!(heard.iter().any(|(kind, _, stream, _)| *kind == 1 && *stream == 1), "it was answered");
}

#[test]
fn more_streams_than_permitted() {
    let asks = Settings { http2: Some(Two { streams: 10, ..Two::default() }), ..settings() };
    let open = many(12, |n| headers(2 * n as u32 + 1, false, &[]));
    let (heard, _, scene) = said(asks, vec![client(&open)]);
    assert_eq!(counted(&scene, Event::TwoStreamsMax), 2);
    assert_eq!(counted(&scene, Event::Request), 10);
    for n in [10, 11] {
        assert_eq!(reset(&heard, 2 * n + 1), Some(Code::REFUSED_STREAM));
    }
}

#[test]
fn the_budget_fills_with_time() {
    let mut scene_pieces = Vec::new();
    let (mut scene, mut stream) = scene(settings(), by_path);
    scene_pieces.push(client(&many(limits::PINGS.burst as usize, |_| frame(6, 0, 0, &[0; 8]))));
    let host = scene.world.host();
    let _ = scene.world.spawn(async move {
        use crate::host::Host;
        use crate::stream::Stream;
        for piece in scene_pieces {
            let _ = stream.send(piece).await;
        }
        for _ in 0..5 {
            host.sleep(Duration::from_secs(1)).await;
            let more = many(limits::PINGS.per_second as usize, |_| frame(6, 0, 0, &[0; 8])).concat();
            let _ = stream.send(more.into()).await;
            while let Poll::Ready(Ok(Some(_))) = poll_fn(|cx| Poll::Ready(stream.poll_read(cx))).await {}
        }
    });
    scene.world.run_until(Duration::from_secs(8));
    assert_eq!(counted(&scene, Event::TwoPingFlood), 0);
}
