use super::*;
use proptest::prelude::*;

#[test]
fn compares_across_the_wrap() {
    assert!(SeqNumber(0xffff_fff0) < SeqNumber(0x10));
    assert!(SeqNumber(0x10) > SeqNumber(0xffff_fff0));
    assert_eq!(SeqNumber(0x10).since(SeqNumber(0xffff_fff0)), 0x20);
}

#[test]
fn positions_go_on_past_the_wrap() {
    let syn = Position::of_syn(SeqNumber(0xffff_ff00));
    let later = syn + 0x200;
    assert_eq!(later.seq(), SeqNumber(0x100));
    assert!(later > syn);
    assert_eq!(syn.near(SeqNumber(0x100)), later);
    assert_eq!(later.near(SeqNumber(0xffff_ff00)), syn);
}

#[test]
fn positions_before_the_syn_exist() {
    let syn = Position::of_syn(SeqNumber(3));
    assert!(syn.near(SeqNumber(0xffff_ffff)) < syn);
}

proptest! {
    #[test]
    fn near_finds_every_position_within_two_gigabytes(isn: u32, ahead in 0u64..1 << 40, distance in -(1i64 << 31)..1i64 << 31) {
        let here = Position::of_syn(SeqNumber(isn)) + ahead + (1 << 31);
        let there = Position(here.0.saturating_add_signed(distance));
        prop_assert_eq!(here.near(there.seq()), there);
    }
}
