//! Heads are collected in any pieces, and never held beyond their bounds. What they may say is in the tables.

use super::{Collector, HeadLimits};
use crate::http::event::Event;
use crate::http::limits::EMPTY_LINES_MAX;

const LIMITS: HeadLimits = HeadLimits { first_line: 20, line: 10, bytes: 40, fields: 2 };

fn collect(input: &[u8], piece: usize) -> Result<Option<Vec<u8>>, Event> {
    let mut collector = Collector::request(LIMITS);
    for piece in input.chunks(piece) {
        if collector.feed(piece)?.is_some() {
            return Ok(Some(collector.into_bytes()));
        }
        assert!(collector.bytes.len() <= LIMITS.bytes, "never more than a head may have");
    }
    Ok(None)
}

#[test]
fn bounds_are_met_in_any_pieces() {
    let empty = "\r\n".repeat(EMPTY_LINES_MAX);
    for (input, result) in [
        ("GET / HTTP/1.1\r\n\r\nmore", Ok(Some(&b"GET / HTTP/1.1\r\n\r\n"[..]))),
        (&format!("{empty}a\r\n\r\n"), Ok(Some(b"a\r\n\r\n"))),
        (&format!("{empty}\r\na\r\n\r\n"), Err(Event::EmptyLines)),
        ("12345678901234567890\r\n\r\n", Ok(Some(b"12345678901234567890\r\n\r\n"))),
        ("123456789012345678901\r\n\r\n", Err(Event::UrlLong)),
        ("a\r\n1234567890\r\n\r\n", Ok(Some(b"a\r\n1234567890\r\n\r\n"))),
        ("a\r\n12345678901\r\n\r\n", Err(Event::LineLong)),
        ("a\r\nb\r\nc\r\nd\r\n\r\n", Err(Event::FieldsMany)),
        ("1234567890123456789\r\n1234567890\r\n1234567890\r\n", Err(Event::HeadLong)),
        ("a\r\nb\r\n", Ok(None)),
    ] {
        for piece in [1, 2, 3, 1000] {
            // The same fault is found however the bytes come; a line that has no end yet may be too long one byte sooner or later.
            assert_eq!(
                collect(input.as_bytes(), piece).as_ref().map(Option::as_deref),
                result.as_ref().map(|r| *r),
                "{input:?} by {piece}"
            );
        }
    }
}
