use bytes::Bytes;
use smallvec::smallvec;

use super::*;
use crate::seq::SeqNumber;

fn at(offset: u64) -> Position {
    Position::of_syn(SeqNumber(0xffff_fff0)) + offset
}

fn receive(buffer: u32) -> Receive<Bytes> {
    let mut receive = Receive::new(at(0), buffer, 0, Acknowledge::new(1_460, Duration::ZERO));
    receive.offer(100);
    receive
}

fn accept(receive: &mut Receive<Bytes>, from: u64, text: &'static str, fin: bool) -> Arrival {
    receive.accept(at(from), smallvec![Bytes::from_static(text.as_bytes())], fin)
}

fn text(receive: &mut Receive<Bytes>) -> String {
    let mut out = Vec::new();
    while let Some(piece) = receive.read() {
        out.extend_from_slice(&piece);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn overlaps_and_gaps_come_out_once_and_in_order() {
    let mut receive = receive(1_000);
    assert_eq!(accept(&mut receive, 0, "abc", false).in_order, 3);
    assert!(accept(&mut receive, 5, "fgh", false).disorder);
    let arrival = accept(&mut receive, 1, "bcdef", false);
    assert_eq!((arrival.in_order, arrival.disorder), (5, true));
    assert_eq!((text(&mut receive).as_str(), receive.unread()), ("abcdefgh", 0));
}

#[test]
fn an_early_fin_waits_for_what_is_missing() {
    let mut receive = receive(1_000);
    assert!(!accept(&mut receive, 3, "def", true).fin);
    let arrival = accept(&mut receive, 0, "abc", false);
    assert!(arrival.fin && receive.is_finished());
    assert_eq!(receive.next(), at(7));
    let late = accept(&mut receive, 6, "xyz", true);
    assert_eq!((late.refused, late.fin), (Some(Discard::AfterFin), false));
    assert_eq!(text(&mut receive), "abcdef");
}

#[test]
fn a_fin_before_what_was_received_is_not_believed() {
    let mut receive = receive(1_000);
    accept(&mut receive, 5, "f", false);
    accept(&mut receive, 2, "", true);
    assert_eq!(accept(&mut receive, 0, "abcde", false).in_order, 6);
    assert!(!receive.is_finished());
}

#[test]
fn beyond_the_window_is_cut_off_but_a_fin_fits_at_its_edge() {
    let mut receive = receive(4);
    let arrival = accept(&mut receive, 0, "abcdef", true);
    assert_eq!((arrival.in_order, arrival.refused, arrival.fin), (4, Some(Discard::BeyondWindow), false));
    assert!(accept(&mut receive, 4, "", true).fin);
}

#[test]
fn the_queue_is_bounded_in_pieces() {
    let mut receive = receive(60_000);
    let crumbs =
        (0..).map(|i| accept(&mut receive, i, "x", false)).take_while(|arrival| arrival.refused.is_none()).count();
    assert_eq!(crumbs, limits::READY_PIECES_MAX);
    assert_eq!(text(&mut receive).len(), limits::READY_PIECES_MAX);
}

#[test]
fn duplicates_are_reported_once() {
    let mut receive = receive(1_000);
    accept(&mut receive, 0, "abc", false);
    accept(&mut receive, 1, "bcd", false);
    let blocks = receive.blocks(4);
    assert_eq!(blocks.as_slice(), [(at(1).seq(), at(3).seq())]);
    assert!(receive.blocks(4).is_empty() && !receive.has_blocks());
}

#[test]
fn under_pressure_only_what_is_in_order_is_taken() {
    let mut receive = receive(1_000);
    receive.set_pressure(true);
    assert_eq!(accept(&mut receive, 5, "f", false).refused, Some(Discard::ReassemblyFull));
    assert_eq!(accept(&mut receive, 0, "abc", false).in_order, 3);
}
