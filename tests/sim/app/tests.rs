//! Patterns: the same from any place on, and any wrong byte is found where it is.

use super::*;

const PATTERN: Pattern = Pattern { key: 42, len: 20_000 };

#[test]
fn chunks_join_to_the_same_bytes_wherever_they_begin() {
    let whole: Vec<u8> = (0..3).flat_map(|i| PATTERN.chunk(i * CHUNK)).collect();
    assert_eq!(whole.len() as u64, PATTERN.len);
    for at in [1, 7, 8, 9, 8_191, 19_999] {
        let chunk = PATTERN.chunk(at);
        assert_eq!(chunk, whole[at as usize..][..chunk.len()]);
        assert_eq!(PATTERN.differs(at, &chunk), None);
    }
}

#[test]
fn a_wrong_byte_is_found_where_it_is() {
    for wrong in [0, 5, 8, 4_000, 8_191] {
        let mut chunk = PATTERN.chunk(3).to_vec();
        chunk[wrong] ^= 1;
        assert_eq!(PATTERN.differs(3, &chunk), Some(3 + wrong as u64));
    }
    let other = Pattern { key: 43, ..PATTERN }.chunk(0);
    assert!(PATTERN.differs(0, &other).is_some_and(|at| at < 4));
    assert!(PATTERN.differs(1, &PATTERN.chunk(0)).is_some(), "bytes at another place are other bytes");
}
