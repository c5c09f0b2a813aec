use super::*;
use proptest::prelude::*;

/// RFC 1071, section 3: the worked example.
#[test]
fn rfc_1071_example() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(finish(sum(&bytes, 0)), !0xddf2);
}

fn plain(bytes: &[u8]) -> u16 {
    let mut acc = 0u32;
    for pair in bytes.chunks(2) {
        acc += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        acc = (acc & 0xffff) + (acc >> 16);
    }
    !u16::try_from(acc).unwrap()
}

#[test]
fn pseudo_headers_sum_their_fields() {
    let (a, b) = ("10.1.2.3".parse().unwrap(), "192.0.2.7".parse().unwrap());
    assert_eq!(finish(pseudo_header(a, b, 6, 0x1_0002)), plain(&[10, 1, 2, 3, 192, 0, 2, 7, 0, 1, 0, 2, 0, 6]));
    let (a, b) = ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
    assert_eq!(finish(pseudo_header(a, b, 58, 8)), plain(&[0xfd, 0, 0, 1, 0xfd, 0, 0, 2, 0, 8, 0, 58]));
}

proptest! {
    #[test]
    fn agrees_with_the_plain_sum(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert_eq!(finish(sum(&bytes, 0)), plain(&bytes));
    }

    #[test]
    fn pieces_agree_with_the_whole(bytes in proptest::collection::vec(any::<u8>(), 1..500), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let mut pieces = Pieces::new(0);
        let mut from = 0;
        for to in cuts {
            pieces.add(&bytes[from..to]);
            from = to;
        }
        prop_assert_eq!(finish(pieces.acc()), plain(&bytes));
    }

    #[test]
    fn a_right_checksum_sums_to_zero(mut bytes in proptest::collection::vec(any::<u8>(), 2..200)) {
        bytes[0] = 0;
        bytes[1] = 0;
        let checksum = finish(sum(&bytes, 0));
        bytes[..2].copy_from_slice(&checksum.to_be_bytes());
        prop_assert_eq!(finish(sum(&bytes, 0)), 0);
    }
}
