//! Frames are found in any pieces, with their first bytes, and only when they are whole.

use super::{Frame, Frames, HEADERS, PREFACE, RST_STREAM};

fn seen(bytes: &[u8], piece: usize) -> (Vec<Frame>, Option<u8>) {
    let (mut frames, mut seen) = (Frames::of_client(), Vec::new());
    for piece in bytes.chunks(piece) {
        frames.feed(piece, |frame| seen.push(frame));
    }
    (seen, frames.under_way())
}

#[test]
fn pieces_make_no_difference() {
    let bytes = [
        PREFACE,
        &[0, 0, 0, 4, 0, 0, 0, 0, 0],
        &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8],
        &[0, 0, 6, 0, 8, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0],
        &[0, 0, 3, 1, 4, 0, 0, 0, 1, 1],
    ]
    .concat();
    let (whole, under_way) = seen(&bytes, bytes.len());
    assert_eq!(whole.len(), 3);
    assert_eq!((whole[1].kind, whole[1].number()), (RST_STREAM, 8));
    assert!(whole[2].is_empty_data(), "padding is no data");
    assert_eq!(under_way, Some(HEADERS));
    for piece in 1..bytes.len() {
        assert_eq!(seen(&bytes, piece), (whole.clone(), under_way), "by {piece}");
    }
}
