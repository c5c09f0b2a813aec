//! Lines in pieces, with Telnet in them, too long, and ended wrongly.

use proptest::prelude::*;

use super::{LineError, LineReader, encoded};

/// All lines of `pieces`, or the error that ended them.
fn lines(pieces: &[&[u8]], max: usize) -> (Vec<Vec<u8>>, Option<LineError>) {
    let mut reader = LineReader::new(max);
    let mut lines = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            match reader.take(rest) {
                Ok((taken, line)) => {
                    lines.extend(line);
                    rest = &rest[taken..];
                }
                Err(error) => return (lines, Some(error)),
            }
        }
    }
    (lines, None)
}

fn whole(input: &[u8]) -> (Vec<Vec<u8>>, Option<LineError>) {
    lines(&[input], 20)
}

#[test]
fn lines_end_in_cr_lf_and_nothing_else() {
    assert_eq!(whole(b"USER a\r\nPASS b\r\n\r\nQ"), (vec![b"USER a".into(), b"PASS b".into(), b"".into()], None));
    for bad in [&b"A\nB"[..], b"A\rB", b"A\r\rB", b"A\r\0", b"A\0\r\n", b"\xff\xfb\n", b"\xff\r\n", b"\xff\xfa\r\n"] {
        assert_eq!(whole(bad).1, Some(LineError::BadEnd), "{bad:?}");
    }
}

#[test]
fn telnet_is_taken_out_and_a_doubled_255_is_data() {
    assert_eq!(whole(b"\xff\xf4\xff\xf2ABOR\r\n").0, [b"ABOR"]);
    assert_eq!(whole(b"A\xff\xfd\x01B\xff\xfa\x18\x00x\xff\xffy\xff\xf0C\r\n").0, [b"ABC"]);
    assert_eq!(whole(b"CWD \xff\xff\r\n").0, [b"CWD \xff"]);
    assert_eq!(&encoded(b"CWD \xff!")[..], b"CWD \xff\xff!\r\n");
}

#[test]
fn what_a_line_takes_is_bounded() {
    assert_eq!(lines(&[&[b'a'; 20], b"\r\n"], 20).0, [vec![b'a'; 20]]);
    assert_eq!(lines(&[&[b'a'; 21]], 20).1, Some(LineError::TooLong));
    let options: Vec<u8> = [255, 251, 1].repeat(14);
    assert_eq!(lines(&[&options], 20).1, Some(LineError::TooLong));
    let negotiation = [&[255, 250][..], &[7; 40]].concat();
    assert_eq!(lines(&[&negotiation], 20).1, Some(LineError::TooLong));
}

#[test]
#[should_panic(expected = "a line is one line")]
fn nobody_writes_two_lines_as_one() {
    let _ = encoded(b"USER a\r\nDELE b");
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(&b"\r\n\0AB "[..]),
        prop::sample::select(&[240_u8, 250, 251, 254, 255][..])
    ];
    let piece = prop_oneof![3 => byte.prop_map(|byte| vec![byte]), 1 => Just(b"\r\n".to_vec())];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn pieces_make_no_difference(input in bytes(), cut in 0_usize..120) {
        let all = whole(&input);
        let single: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(&lines(&single, 20), &all);
        let (first, second) = input.split_at(cut.min(input.len()));
        prop_assert_eq!(&lines(&[first, second], 20), &all);
        for line in all.0 {
            prop_assert!(line.len() <= 20 && !line.iter().any(|byte| b"\r\n\0".contains(byte)));
        }
    }

    #[test]
    fn what_is_written_reads_the_same(text in prop::collection::vec(any::<u8>(), 0..20)) {
        prop_assume!(!text.iter().any(|byte| b"\r\n\0".contains(byte)));
        prop_assert_eq!(lines(&[&encoded(&text)], 20), (vec![text], None));
    }
}
