use super::*;
use crate::congestion::Stamp;
use crate::seq::SeqNumber;

fn at(offset: u64) -> Position {
    Position::of_syn(SeqNumber(0xffff_f000)) + offset
}

fn time(ms: u64) -> Instant {
    Instant::from_micros(ms * 1_000)
}

const CERTAIN: Measure =
    Measure { certain: true, min_rtt: Duration::from_millis(100), smoothed: Duration::from_millis(100) };
const UNCERTAIN: Measure = Measure { certain: false, ..CERTAIN };

/// Five segments of 100 bytes, sent 1 ms apart.
fn board() -> Scoreboard {
    let mut board = Scoreboard::default();
    for i in 0..5 {
        board.push(at(i * 100), at(i * 100 + 100), time(i), Stamp::default());
    }
    board
}

fn sack(rack: &mut Rack, board: &mut Scoreboard, now: Instant, from: u64, to: u64) -> bool {
    let mut delivered = Delivered::default();
    board.sack(at(from), at(to), &mut delivered);
    rack.on_delivered(now, &delivered, None, CERTAIN.min_rtt)
}

#[test]
fn what_was_sent_before_an_arrival_is_lost_after_the_reordering_window() {
    let (mut rack, mut board) = (Rack::new(), board());
    assert_eq!(rack.detect(time(100), Duration::ZERO, &mut board), None);
    assert!(!sack(&mut rack, &mut board, time(102), 200, 300));
    // Sent at 0 and 1 ms, round trip 100 ms, window 25 ms: lost at 126 ms at the latest.
    let again = rack.detect(time(102), rack.window(&UNCERTAIN), &mut board);
    assert_eq!((again, board.lost()), (Some(time(126)), 0));
    assert_eq!(rack.detect(time(126), rack.window(&UNCERTAIN), &mut board), None);
    assert_eq!(board.lost(), 200);
}

#[test]
fn with_three_segments_beyond_it_is_lost_at_once() {
    let (mut rack, mut board) = (Rack::new(), board());
    sack(&mut rack, &mut board, time(104), 200, 500);
    assert_eq!(rack.detect(time(104), rack.window(&CERTAIN), &mut board), None);
    assert_eq!(board.lost(), 200);
}

#[test]
fn a_lost_retransmission_is_seen_by_what_was_sent_after_it() {
    let (mut rack, mut board) = (Rack::new(), board());
    sack(&mut rack, &mut board, time(104), 100, 500);
    rack.detect(time(104), Duration::ZERO, &mut board);
    board.resend(at(0), at(100), time(105), Stamp::default());
    board.push(at(500), at(600), time(106), Stamp::default());
    assert!(!sack(&mut rack, &mut board, time(206), 500, 600));
    rack.detect(time(206), Duration::ZERO, &mut board);
    assert_eq!(board.lost(), 100);
}

#[test]
fn reordering_widens_and_dsack_widens_further() {
    let (mut rack, mut board) = (Rack::new(), board());
    sack(&mut rack, &mut board, time(102), 200, 300);
    assert!(sack(&mut rack, &mut board, time(103), 0, 100));
    assert!(rack.reordering_seen);
    assert_eq!(rack.window(&CERTAIN), Duration::from_millis(25));
    rack.on_dsack(at(100), at(500));
    rack.on_dsack(at(100), at(500));
    assert_eq!(rack.window(&CERTAIN), Duration::from_millis(50));
    for _ in 0..10 {
        rack.on_dsack(at(900), at(500));
    }
    assert_eq!(rack.window(&CERTAIN), CERTAIN.smoothed);
    for _ in 0..PERSIST {
        rack.on_recovery_end();
    }
    assert_eq!(rack.window(&CERTAIN), Duration::from_millis(25));
}

#[test]
fn the_echo_tells_an_original_from_its_retransmission() {
    let clock = TimestampClock::with_offset(0);
    for (echo, counts) in [(104, false), (105, true)] {
        let (mut rack, mut board) = (Rack::new(), board());
        board.resend(at(0), at(100), time(105), Stamp::default());
        let mut delivered = Delivered::default();
        board.sack(at(0), at(100), &mut delivered);
        rack.on_delivered(time(300), &delivered, Some((echo, clock)), CERTAIN.min_rtt);
        assert_eq!(rack.latest.is_some(), counts);
    }
}
