use super::*;
use proptest::prelude::*;

fn bytes(options: &Options) -> Vec<u8> {
    let mut out = SmallVec::new();
    options.write(&mut out);
    out.to_vec()
}

/// The bytes of a SYN as a Linux host sends it.
#[test]
fn a_syn_is_laid_out_as_linux_does() {
    let options = Options {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamp: Some(Timestamp { value: 0x0102_0304, echo: 0 }),
        ..Options::default()
    };
    assert_eq!(bytes(&options), [2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7]);
    assert_eq!(Options::parse(&bytes(&options)), options);
}

#[test]
fn sack_blocks_that_do_not_fit_beside_timestamps_are_left_out() {
    let mut options = Options { timestamp: Some(Timestamp { value: 1, echo: 2 }), ..Options::default() };
    for i in 0..4 {
        assert!(options.sack.push(SeqNumber(i * 10), SeqNumber(i * 10 + 5)));
    }
    assert!(!options.sack.push(SeqNumber(0), SeqNumber(1)));
    assert_eq!(options.len(), 40);
    assert_eq!(Options::parse(&bytes(&options)).sack.as_slice(), &options.sack.as_slice()[..3]);
}

#[test]
fn an_illegal_length_ends_the_options_but_keeps_what_came_before() {
    for illegal in [&[8u8, 0][..], &[8, 1], &[8, 11, 1], &[8]] {
        let mut bytes = vec![2, 4, 5, 180];
        bytes.extend_from_slice(illegal);
        assert_eq!(Options::parse(&bytes), Options { mss: Some(1460), ..Options::default() }, "{illegal:?}");
    }
}

#[test]
fn unknown_options_and_wrong_sizes_are_skipped() {
    let parsed = Options::parse(&[34, 4, 9, 9, 2, 3, 5, 3, 3, 20, 1, 0, 4, 2]);
    assert_eq!(parsed, Options { window_scale: Some(20), order: parsed.order, ..Options::default() });
    assert_eq!(parsed.window_shift(), Some(14));
}

pub(crate) fn any_options() -> impl Strategy<Value = Options> {
    let block = (any::<u32>(), any::<u32>());
    (
        any::<Option<u16>>(),
        any::<Option<u8>>(),
        any::<bool>(),
        any::<Option<(u32, u32)>>(),
        prop::collection::vec(block, 0..4),
    )
        .prop_map(|(mss, window_scale, sack_permitted, timestamp, blocks)| {
            let timestamp = timestamp.map(|(value, echo)| Timestamp { value, echo });
            let mut options = Options { mss, window_scale, sack_permitted, timestamp, ..Options::default() };
            let mut used = SmallVec::new();
            options.write(&mut used);
            let room = (SPACE - used.len()).saturating_sub(4) / 8;
            for (start, end) in blocks.into_iter().take(room) {
                options.sack.push(SeqNumber(start), SeqNumber(end));
            }
            options
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(options in any_options()) {
        let bytes = bytes(&options);
        prop_assert!(bytes.len() <= SPACE && bytes.len().is_multiple_of(4));
        prop_assert_eq!(bytes.len(), options.len());
        prop_assert_eq!(Options::parse(&bytes), options);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..41)) {
        let _ = Options::parse(&bytes);
    }
}
