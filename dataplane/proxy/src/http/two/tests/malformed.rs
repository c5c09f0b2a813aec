//! What breaks the rules in a stream is refused there, what breaks framing ends the connection; in any pieces alike.

use super::raw::{block, client, frame, goaway, headers, reset, said};
use super::*;

/// What a stream with these fields comes to: a reset by the library, or a page by us.
fn malformed(fields: &[(&str, &str)]) -> (Option<Code>, Option<Code>, Scene) {
    let request = frame(1, 0x5, 1, &block(fields));
    let (heard, _, scene) = said(settings(), vec![client(&[request])]);
    (reset(&heard, 1), goaway(&heard), scene)
}

#[test]
fn heads_that_are_none() {
    let usual = [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")];
    let with = |field| [&usual[..], &[field]].concat();
    let without = |name: &str| usual.iter().copied().filter(|(n, _)| *n != name).collect::<Vec<_>>();
    let cases: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("a field of one connection", with(("connection", "close"))),
        ("Transfer-Encoding", with(("transfer-encoding", "chunked"))),
        ("Upgrade", with(("upgrade", "websocket"))),
        ("Keep-Alive", with(("keep-alive", "5"))),
        ("TE that is not trailers", with(("te", "gzip"))),
        ("an unknown method of pseudo-fields twice", with((":path", "/again"))),
        ("a pseudo-field of responses", with((":status", "200"))),
        ("extended CONNECT", with((":protocol", "websocket"))),
        ("no method", without(":method")),
        ("no scheme", without(":scheme")),
        ("an empty path", [&without(":path")[..], &[(":path", "")]].concat()),
        ("pseudo-fields behind others", [&[("a", "b")], &usual[..]].concat()),
        ("a length and no data", with(("content-length", "5"))),
        ("lengths that differ", [&usual[..], &[("content-length", "0"), ("content-length", "1")]].concat()),
    ];
    for (name, fields) in cases {
        let (reset, _, scene) = malformed(&fields);
        assert_eq!(reset, Some(Code::PROTOCOL_ERROR), "{name}");
        assert!(scene.seen.borrow().is_empty(), "{name}: no server has seen it");
        assert_eq!(counted(&scene, Event::TwoMalformed), 1, "{name}");
    }
    for (name, field) in [
        ("capital letters", ("X-Capital", "1")),
        ("a name with a blank", ("x y", "1")),
        ("CR in a value", ("x", "a\rb")),
    ] {
        let (_, goaway, scene) = malformed(&with(field));
        assert!(goaway.is_some_and(|code| code != Code::NO_ERROR), "{name}: {goaway:?}");
        assert!(scene.seen.borrow().is_empty(), "{name}: no server has seen it");
        assert_eq!(counted(&scene, Event::TwoProtocol), 1, "{name}");
    }
}

#[test]
fn data_that_does_not_fit_its_length() {
    let long = frame(0, 0x1, 1, b"123456");
    for data in [long, frame(0, 0x1, 1, b"1234")] {
        let request = headers(1, false, &[("content-length", "5")]);
        let (heard, _, scene) = said(settings(), vec![client(&[request, data])]);
        assert_eq!(reset(&heard, 1), Some(Code::PROTOCOL_ERROR));
        assert_eq!(counted(&scene, Event::Response), 0);
    }
}

#[test]
fn frames_that_break_the_framing() {
    for (name, frames, code) in [
        ("a stream of even number", vec![headers(2, true, &[])], Code::PROTOCOL_ERROR),
        ("DATA on no stream", vec![frame(0, 0, 0, b"x")], Code::PROTOCOL_ERROR),
        ("HEADERS on no stream", vec![headers(0, true, &[])], Code::PROTOCOL_ERROR),
        (
            "a frame between HEADERS and CONTINUATION",
            vec![frame(1, 0, 1, &block(&[])), frame(6, 0, 0, &[0; 8])],
            Code::PROTOCOL_ERROR,
        ),
        ("SETTINGS of five bytes", vec![frame(4, 0, 0, &[0; 5])], Code::PROTOCOL_ERROR),
        ("PING of seven bytes", vec![frame(6, 0, 0, &[0; 7])], Code::PROTOCOL_ERROR),
        ("a window of more than 31 bits", vec![frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff])], Code::FLOW_CONTROL_ERROR),
        ("HPACK that is none", vec![frame(1, 0x5, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff])], Code::PROTOCOL_ERROR),
        ("a frame that is too large", vec![frame(0, 0, 1, &[0; 20_000])], Code::FRAME_SIZE_ERROR),
    ] {
        let (heard, _, scene) = said(settings(), vec![client(&frames)]);
        assert_eq!(goaway(&heard), Some(code), "{name}");
        assert_eq!(counted(&scene, Event::TwoProtocol), 1, "{name}");
    }
}

#[test]
fn pieces_make_no_difference() {
    let conversation = client(&[
        headers(1, false, &[("te", "trailers")]),
        frame(0, 0, 1, b"first"),
        headers(3, true, &[("x-second", "2")]),
        frame(0, 0x1, 1, b"last"),
        frame(6, 0, 0, b"12345678"),
        headers(5, true, &[("host", "b.example")]),
    ]);
    let run = |pieces: Vec<Bytes>| {
        let (heard, end, scene) = said(settings(), pieces);
        let mut streams: Vec<(u32, Vec<u8>, bool)> = Vec::new();
        for stream in [1, 3, 5] {
            let of = |kind: u8| heard.iter().filter(move |(k, _, s, _)| *k == kind && *s == stream);
            let data = of(0).flat_map(|(.., payload)| payload.clone()).collect();
            let ended = heard.iter().any(|(kind, flags, s, _)| *s == stream && *kind < 2 && flags & 1 == 1);
            assert_eq!(of(1).count(), 1, "one head for each stream");
            streams.push((stream, data, ended));
        }
        let pong = heard.iter().any(|(kind, flags, _, payload)| *kind == 6 && flags & 1 == 1 && payload == b"12345678");
        let events = [Event::Request, Event::Passed, Event::HostDiffers, Event::TwoMalformed]
            .map(|event| counted(&scene, event));
        (streams, pong, events, end, goaway(&heard))
    };
    let whole = run(vec![conversation.clone()]);
    assert_eq!(whole.0[0].1, b"firstlast");
    assert_eq!(whole.2, [3, 2, 1, 0]);
    assert!(whole.1, "PING was answered");
    assert_eq!(whole, run((0..conversation.len()).map(|at| conversation.slice(at..at + 1)).collect()), "byte by byte");
    for at in 1..conversation.len() {
        assert_eq!(whole, run(vec![conversation.slice(..at), conversation.slice(at..)]), "split at {at}");
    }
}
