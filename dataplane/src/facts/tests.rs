//! Facts of packets as they come from the wire: kinds of options, whatever their bytes.

use super::*;

fn bits(kinds: &[u32]) -> u64 {
    kinds.iter().map(|kind| 1 << kind).sum()
}

#[test]
fn kinds_of_options_are_found_and_nothing_runs_over() {
    for (options, kinds) in [
        (&[][..], &[][..]),
        // A usual SYN: MSS, SACK permitted, timestamps, NOP, window scale.
        (&[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7], &[1, 2, 3, 4, 8]),
        // What stands behind the end of the list is padding.
        (&[1, 0, 2, 4, 5, 180], &[0, 1]),
        // Lengths that cannot be: none, less than the header, beyond the end.
        (&[5], &[5]),
        (&[5, 1, 2, 4, 0, 0], &[5]),
        (&[5, 0, 2, 4, 0, 0], &[5]),
        (&[5, 40, 2, 4, 0, 0], &[5]),
        // Kinds beyond 63 are ignored, and passed over.
        (&[254, 4, 1, 2, 63, 2, 64, 2], &[63]),
    ] {
        assert_eq!(option_kinds(options), bits(kinds), "{options:?}");
    }
}
