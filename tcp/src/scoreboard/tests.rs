use super::*;
use crate::seq::SeqNumber;
use proptest::prelude::*;

fn at(offset: u64) -> Position {
    Position::of_syn(SeqNumber(0xffff_f000)) + offset
}

fn time(micros: u64) -> Instant {
    Instant::from_micros(micros)
}

/// `count` entries of 100 bytes, sent 10 µs apart.
fn board(count: u64) -> Scoreboard {
    let mut board = Scoreboard { lost_from: at(0), ..Scoreboard::default() };
    for i in 0..count {
        board.push(at(i * 100), at(i * 100 + 100), time(i * 10), Stamp::default());
    }
    board
}

#[test]
fn cumulative_and_selective_acknowledgments_count_every_byte_once() {
    let mut board = board(10);
    let mut delivered = Delivered::default();
    board.sack(at(300), at(500), &mut delivered);
    assert_eq!((delivered.bytes, board.sacked()), (200, 200));
    assert_eq!(delivered.latest_once, Some((time(40), at(500))));
    board.sack(at(300), at(600), &mut delivered);
    assert_eq!((delivered.bytes, board.sacked()), (300, 300));
    let mut delivered = Delivered::default();
    board.acknowledge(at(450), &mut delivered);
    assert_eq!((delivered.bytes, board.sacked()), (300, 150));
    assert_eq!(delivered.first_once, Some(time(0)));
    board.acknowledge(at(1_000), &mut Delivered::default());
    assert!(board.is_empty() && board.sacked() == 0 && board.lost() == 0);
}

#[test]
fn lost_entries_are_found_in_order_and_sent_again_in_parts() {
    let mut board = board(10);
    board.sack(at(400), at(900), &mut Delivered::default());
    board.judge(|entry| Some(entry.start < at(400)));
    assert_eq!(board.lost(), 400);
    assert_eq!(board.first_lost(), Some((at(0), at(100))));
    board.resend(at(0), at(60), time(500), Stamp::default());
    assert_eq!((board.lost(), board.first_lost()), (340, Some((at(60), at(100)))));
    board.resend(at(60), at(100), time(501), Stamp::default());
    assert_eq!(board.first_lost(), Some((at(100), at(200))));
    let mut delivered = Delivered::default();
    board.acknowledge(at(100), &mut delivered);
    assert!(delivered.ambiguous && delivered.first_once.is_none());
    assert_eq!(delivered.latest_again, Some((time(501), at(100))));
    board.forget_lost();
    assert_eq!((board.lost(), board.first_lost()), (0, None));
}

#[test]
fn attack_sack_storm_costs_no_walk_and_no_memory_beyond_the_bound() {
    let mut board = Scoreboard { lost_from: at(0), ..Scoreboard::default() };
    board.push(at(0), at(1_000_000), time(0), Stamp::default());
    for i in 0..100_000 {
        board.sack(at(i * 2 + 1), at(i * 2 + 2), &mut Delivered::default());
    }
    assert!(board.entries.len() <= limits::SENT_ENTRIES_MAX);
    assert_eq!(board.sacked(), board.entries.iter().filter(|entry| entry.sacked).map(Sent::len).sum::<u64>());
}

#[test]
fn a_reneging_peer_is_seen() {
    let mut board = board(3);
    board.sack(at(100), at(300), &mut Delivered::default());
    board.acknowledge(at(100), &mut Delivered::default());
    assert!(board.has_reneged());
    board.forget_sacked();
    assert_eq!(board.sacked(), 0);
    board.judge(|_| Some(true));
    assert_eq!(board.lost(), 200);
}

proptest! {
    /// Against a plain array of bytes.
    #[test]
    fn sums_agree_with_a_byte_by_byte_model(steps in prop::collection::vec((0u8..5, 0u64..1_000, 1u64..300), 1..60)) {
        let mut board = board(10);
        let mut model = [0u8; 1_000]; // 0 in flight, 1 sacked, 2 lost, 3 acknowledged
        let mut una = 0;
        for (what, from, len) in steps {
            let (from, to) = (from.max(una), (from + len).min(1_000));
            if from >= to {
                continue;
            }
            let range = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
            let mut delivered = Delivered::default();
            match what {
                0 => {
                    let expected = model[..range.end].iter().filter(|byte| matches!(byte, 0 | 2)).count() as u64;
                    board.acknowledge(at(to), &mut delivered);
                    prop_assert_eq!(delivered.bytes, expected);
                    model[..range.end].fill(3);
                    una = to;
                }
                1 | 2 => {
                    let expected = model[range.clone()].iter().filter(|byte| matches!(byte, 0 | 2)).count() as u64;
                    board.sack(at(from), at(to), &mut delivered);
                    prop_assert_eq!(delivered.bytes, expected);
                    model[range].fill(1);
                }
                3 => {
                    let mut marks = Vec::new();
                    board.judge(|entry| { let lost = entry.start >= at(from) && entry.end <= at(to); if lost { marks.push((entry.start, entry.end)) } Some(lost) });
                    for (a, b) in marks {
                        model[usize::try_from(a - at(0)).unwrap()..usize::try_from(b - at(0)).unwrap()].fill(2);
                    }
                }
                _ => {
                    if let Some((a, b)) = board.first_lost() {
                        let first = model.iter().position(|byte| *byte == 2).unwrap() as u64;
                        prop_assert_eq!(a, at(first));
                        let b = b.min(a + len);
                        board.resend(a, b, time(9_999), Stamp::default());
                        model[usize::try_from(a - at(0)).unwrap()..usize::try_from(b - at(0)).unwrap()].fill(0);
                    } else {
                        prop_assert!(!model.contains(&2));
                    }
                }
            }
            prop_assert_eq!(board.sacked(), model.iter().filter(|byte| **byte == 1).count() as u64);
            prop_assert_eq!(board.lost(), model.iter().filter(|byte| **byte == 2).count() as u64);
        }
    }
}
