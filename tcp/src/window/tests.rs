use super::*;
use crate::seq::SeqNumber;
use proptest::prelude::*;

fn at(offset: u64) -> Position {
    Position::of_syn(SeqNumber(0xffff_ff00)) + offset
}

#[test]
fn the_edge_waits_for_a_step_worth_sending() {
    let mut window = ReceiveWindow::new(at(0), 10_000, 0);
    assert_eq!(window.offer(at(0), 0, 1_000), 10_000);
    // All of it was filled; the application reads in crumbs.
    assert_eq!(window.offer(at(10_000), 10_000, 1_000), 0);
    assert_eq!(window.offer(at(10_000), 9_001, 1_000), 0);
    assert!(!window.update_is_due(at(10_000), 8_001, 1_000));
    assert!(window.update_is_due(at(10_000), 8_000, 1_000));
    assert_eq!(window.offer(at(10_000), 9_000, 1_000), 1_000);
}

#[test]
fn half_of_a_small_buffer_is_worth_sending_too() {
    let mut window = ReceiveWindow::new(at(0), 1_000, 0);
    assert_eq!(window.offer(at(0), 0, 1_460), 1_000);
    assert_eq!(window.offer(at(1_000), 501, 1_460), 0);
    assert_eq!(window.offer(at(1_000), 500, 1_460), 500);
}

#[test]
fn a_peer_with_plenty_of_window_is_not_bothered() {
    let mut window = ReceiveWindow::new(at(0), 1 << 20, 5);
    window.offer(at(0), 0, 1_460);
    assert!(!window.update_is_due(at(100_000), 0, 1_460));
    assert!(window.update_is_due(at(300_000), 0, 1_460));
}

#[test]
fn no_scale_keeps_the_window_within_sixteen_bits() {
    let mut window = ReceiveWindow::new(at(0), 1 << 20, 0);
    assert_eq!(window.buffer, 65_535);
    assert_eq!(window.offer_on_syn(at(0)), 65_535);
}

#[test]
fn under_pressure_the_edge_stays() {
    let mut window = ReceiveWindow::new(at(0), 10_000, 0);
    window.offer(at(0), 0, 1_000);
    window.set_pressure(true);
    assert_eq!(window.offer(at(4_000), 0, 1_000), 6_000);
    assert!(!window.update_is_due(at(9_999), 0, 1_000));
    window.set_pressure(false);
    assert_eq!(window.offer(at(4_000), 0, 1_000), 10_000);
}

#[test]
fn a_reordered_acknowledgment_does_not_widen_the_window() {
    let mut window = SendWindow::new(0, at(0), 1_000, at(0));
    assert!(window.update(at(5), at(500), 1_000));
    assert_eq!(window.right(at(500)), at(1_500));
    assert!(!window.update(at(3), at(400), 60_000));
    assert!(!window.update(at(4), at(500), 60_000));
    assert!(!window.update(at(5), at(500), 900));
    assert!(window.update(at(5), at(500), 1_200));
    assert!(window.update(at(5), at(500), 0));
    assert_eq!((window.right(at(500)), window.size(), window.largest()), (at(500), 0, 1_200));
}

proptest! {
    /// A peer that fills any part of the window, an application that reads any part: the edge never goes back by
    /// more than rounding, and what is held never exceeds the buffer by more than two units.
    #[test]
    fn the_edge_never_goes_back(shift in 0u8..15, size in 8u32..21, steps in prop::collection::vec((0u64..100, 0u64..100, any::<bool>()), 1..200)) {
        let unit = 1u64 << shift;
        let mut window = ReceiveWindow::new(at(0), 1 << size, shift);
        let (mut next, mut unread) = (at(0), 0u64);
        let mut seen = next + (u64::from(window.offer(next, 0, 1_460)) << shift);
        for (fill, read, odd) in steps {
            let room = seen - next;
            let fill = (room * fill / 99).saturating_sub(u64::from(odd));
            next += fill;
            unread += fill;
            prop_assert!(unread <= u64::from(window.buffer) + 2 * unit);
            unread -= unread * read / 99;
            let edge = next + (u64::from(window.offer(next, unread, 1_460)) << shift);
            prop_assert!(edge + unit > seen, "went back from {:?} to {:?}", seen, edge);
            prop_assert!(edge <= window.right(next));
            seen = edge.max(next);
        }
    }
}
