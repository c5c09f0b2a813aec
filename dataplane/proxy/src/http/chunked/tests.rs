//! The decoder alone: whatever pieces come, the same data comes out. What is refused is in the tables.

use super::{Chunked, Piece};
use crate::http::event::Event;
use crate::http::limits::TRAILER_FIELDS_MAX;

fn decode(input: &[u8], piece: usize) -> Result<(Vec<u8>, usize), Event> {
    let (mut decoder, mut data, mut used) = (Chunked::new(), Vec::new(), 0);
    for piece in input.chunks(piece) {
        let mut rest = piece;
        while !rest.is_empty() {
            let (taken, found) = decoder.next(rest)?;
            used += taken;
            match found {
                Piece::Data(len) => data.extend_from_slice(&rest[..len]),
                Piece::End => return Ok((data, used)),
                Piece::Begin(_) | Piece::More => {}
            }
            rest = &rest[taken..];
        }
    }
    Ok((data, usize::MAX))
}

#[test]
fn pieces_make_no_difference() {
    let body = b"5;a=b\r\nhello\r\n00a\r\n0123456789\r\n0\r\nX: y\r\n\r\nnext";
    for piece in 1..=body.len() {
        assert_eq!(decode(body, piece), Ok((b"hello0123456789".to_vec(), body.len() - 4)), "by {piece}");
    }
}

#[test]
fn sizes_have_63_bits() {
    assert_eq!(decode(b"7fffffffffffffff\r\n", 3).map(|(data, _)| data.len()), Ok(0));
    assert_eq!(decode(b"8000000000000000\r\n", 3), Err(Event::ChunkSize));
}

#[test]
fn trailers_are_fields() {
    let mut decoder = Chunked::new();
    let mut input: &[u8] = b"0\r\nA: b\r\na:  c \r\n\r\n";
    while !input.is_empty() {
        let (taken, _) = decoder.next(input).expect("it is well formed");
        input = &input[taken..];
    }
    let trailers = decoder.trailers().expect("they are fields");
    assert_eq!(trailers.get_all("A").collect::<Vec<_>>(), [b"b", b"c"]);
}

#[test]
fn trailers_are_few() {
    let section = |fields: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(fields));
    for (fields, good) in [(TRAILER_FIELDS_MAX, true), (TRAILER_FIELDS_MAX + 1, false)] {
        let (section, mut decoder, mut at) = (section(fields), Chunked::new(), 0);
        while at < section.len() {
            at += decoder.next(&section.as_bytes()[at..]).expect("it is well formed").0;
        }
        assert_eq!(decoder.trailers().is_ok(), good, "{fields}");
    }
}
