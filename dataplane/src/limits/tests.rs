//! Bounds that are rules by themselves; the others have their tests where they are reached.

use super::*;

#[test]
fn a_chosen_port_is_of_the_class_of_the_one_it_stands_for() {
    let class = |port: u16| match port {
        0..=512 => 0,
        513..=1_023 => 1,
        _ => 2,
    };
    for like in [1, 20, 511, 512, 513, 600, 1_023, 1_024, 40_000, u16::MAX] {
        let (low, high) = port_class(like);
        assert!(low <= high && low != 0, "{like}: {low} to {high}");
        assert_eq!((class(low), class(high)), (class(like), class(like)), "{like}: {low} to {high}");
    }
}
