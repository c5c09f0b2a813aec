use super::*;
use crate::options::tests::any_options;
use proptest::prelude::*;

#[test]
fn lengths_are_checked() {
    let mut bytes = [0u8; 24];
    bytes[12] = 6 << 4;
    assert_eq!(Header::parse(&bytes[..19]), Err(ParseError::Truncated));
    assert_eq!(Header::parse(&bytes[..23]), Err(ParseError::OffsetTooLarge));
    assert_eq!(Header::parse(&bytes).map(|(_, length)| length), Ok(24));
    bytes[12] = 4 << 4;
    assert_eq!(Header::parse(&bytes), Err(ParseError::OffsetTooSmall));
}

#[test]
fn every_parse_error_has_its_own_name_and_a_sentence() {
    let names: std::collections::HashSet<_> = ParseError::ALL.iter().map(|error| error.name()).collect();
    assert_eq!(names.len(), ParseError::ALL.len());
    assert!(ParseError::ALL.iter().all(|error| error.to_string().ends_with('.')));
}

#[test]
fn ecn_bits_round() {
    for bits in 0..4 {
        assert_eq!(Ecn::from_bits(bits | 0b1010_0100).bits(), bits);
    }
}

proptest! {
    #[test]
    fn what_is_emitted_parses_again(
        src_port: u16, dst_port: u16, seq: u32, ack: u32, flags in 0u16..512, window: u16, urgent: u16, options in any_options()
    ) {
        let header = Header {
            src_port, dst_port, seq: SeqNumber(seq), ack: SeqNumber(ack), flags: Flags::from_bits_truncate(flags), window, urgent, options,
        };
        let mut bytes = vec![0xaa; header.len() + 7];
        header.emit(&mut bytes);
        prop_assert_eq!(Header::parse(&bytes), Ok((header, header.len())));
        prop_assert_eq!(&bytes[header.len()..], &[0xaa; 7]);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok((header, length)) = Header::parse(&bytes) {
            prop_assert!((20..=60).contains(&length) && length <= bytes.len());
            prop_assert!(header.len() <= 60);
        }
    }
}
