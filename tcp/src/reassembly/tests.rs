use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::seq::SeqNumber;

fn base() -> Position {
    Position::of_syn(SeqNumber(0xffff_fff0))
}

fn bytes(from: u64, to: u64) -> Bytes {
    (from..to).map(|i| u8::try_from(i % 251).unwrap()).collect::<Vec<_>>().into()
}

fn insert(queue: &mut Reassembly<Bytes>, from: u64, to: u64) -> Result<Option<(u64, u64)>, Full> {
    let result = queue.insert(base() + from, bytes(from, to))?;
    Ok(result.map(|(a, b)| (a - base(), b - base())))
}

fn taken(queue: &mut Reassembly<Bytes>, next: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let end = queue.take(base() + next, |piece| out.extend_from_slice(&piece));
    assert_eq!(end - base() - next, out.len() as u64);
    out
}

fn blocks(queue: &Reassembly<Bytes>) -> Vec<(u32, u32)> {
    let mut blocks = SackBlocks::new();
    queue.blocks(4, &mut blocks);
    blocks.as_slice().iter().map(|(a, b)| (a.since(base().seq()), b.since(base().seq()))).collect()
}

#[test]
fn runs_meet_and_come_out_in_order() {
    let mut queue = Reassembly::new();
    assert_eq!(insert(&mut queue, 30, 40), Ok(None));
    assert_eq!(insert(&mut queue, 10, 20), Ok(None));
    assert_eq!(blocks(&queue), [(10, 20), (30, 40)]);
    assert_eq!(insert(&mut queue, 20, 30), Ok(None));
    assert_eq!(blocks(&queue), [(10, 40)]);
    assert_eq!(queue.bytes(), 30);
    assert_eq!(taken(&mut queue, 10), &bytes(10, 40)[..]);
    assert!(queue.is_empty() && queue.bytes() == 0 && queue.pieces == 0);
}

#[test]
fn what_came_first_stays_and_duplicates_are_told() {
    let mut queue = Reassembly::new();
    insert(&mut queue, 10, 20).unwrap();
    assert_eq!(queue.insert(base() + 5, Bytes::from_static(&[7; 20])), Ok(Some((base() + 10, base() + 20))));
    let mut expected = vec![7; 5];
    expected.extend_from_slice(&bytes(10, 20));
    expected.extend_from_slice(&[7; 5]);
    assert_eq!(taken(&mut queue, 5), expected);
}

#[test]
fn the_latest_run_is_the_first_block() {
    let mut queue = Reassembly::new();
    for from in [10, 30, 50, 70, 90] {
        insert(&mut queue, from, from + 5).unwrap();
    }
    assert_eq!(blocks(&queue), [(90, 95), (70, 75), (50, 55), (30, 35)]);
    insert(&mut queue, 55, 60).unwrap();
    assert_eq!(blocks(&queue), [(50, 60), (90, 95), (70, 75), (30, 35)]);
}

#[test]
fn attack_reassembly_exhaustion_runs_and_pieces_are_bounded() {
    let mut queue = Reassembly::new();
    let mut taken = 0u64;
    while insert(&mut queue, 10 + taken * 2, 11 + taken * 2).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, limits::REASSEMBLY_RUNS_MAX as u64);
    let mut queue = Reassembly::new();
    let mut taken = 0u64;
    while insert(&mut queue, 10 + taken, 11 + taken).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, limits::REASSEMBLY_PIECES_MAX as u64);
}

proptest! {
    #[test]
    fn any_order_and_overlap_gives_the_stream(cuts in prop::collection::vec((0u64..400, 1u64..60), 1..80)) {
        let mut queue = Reassembly::new();
        let mut seen = vec![false; 500];
        for (from, len) in cuts {
            let all_known = (from..from + len).all(|i| seen[usize::try_from(i).unwrap()]);
            let any_known = (from..from + len).any(|i| seen[usize::try_from(i).unwrap()]);
            let duplicate = insert(&mut queue, from, from + len).unwrap();
            prop_assert_eq!(duplicate.is_some(), any_known);
            if all_known {
                prop_assert_eq!(duplicate, Some((from, from + len)));
            }
            seen[usize::try_from(from).unwrap()..usize::try_from(from + len).unwrap()].fill(true);
        }
        prop_assert_eq!(queue.bytes(), seen.iter().filter(|seen| **seen).count() as u64);
        let mut at = 0;
        while let Some(start) = seen[at..].iter().position(|seen| *seen).map(|ahead| at + ahead) {
            let end = seen[start..].iter().position(|seen| !*seen).map_or(seen.len(), |ahead| start + ahead);
            prop_assert_eq!(taken(&mut queue, start as u64), &bytes(start as u64, end as u64)[..]);
            at = end;
        }
        prop_assert!(queue.is_empty() && queue.pieces == 0);
    }
}

#[test]
fn full_segments_may_be_more_than_crumbs() {
    let mut queue = Reassembly::new();
    let piece = Bytes::from_static(&[0; limits::REASSEMBLY_PIECE_MIN as usize]);
    let count = 2 * limits::REASSEMBLY_PIECES_MAX as u64;
    let step = 2 * limits::REASSEMBLY_PIECE_MIN;
    for i in 1..=count {
        assert_eq!(queue.insert(base() + i * step, piece.clone()), Ok(None));
    }
    assert_eq!(queue.pieces() as u64, count);
    // One crumb makes the average too small for the next.
    assert_eq!(queue.insert(base() + 1, Bytes::from_static(&[0])), Ok(None));
    assert_eq!(queue.insert(base() + 3, Bytes::from_static(&[0])), Err(Full));
}
