use super::*;
use crate::seq::SeqNumber;

const WAIT: Duration = Duration::from_millis(300);

fn at(ms: u64) -> Instant {
    Instant::from_micros(ms * 1_000)
}

fn position(bytes: u64) -> Position {
    Position::of_syn(SeqNumber(0xffff_ff00)) + bytes
}

/// Searches on a path that carries `path` until nothing is due; gives what was found and how many probes that took.
fn search(mtu: &mut PathMtu, path: u64, mut segment: u64) -> (u64, u32) {
    let (mut now, mut probes) = (at(10_000), 0);
    loop {
        now += WAIT;
        let Some(size) = mtu.due(now) else { return (segment, probes) };
        let (start, end) = (position(0), position(size));
        assert!(size > segment && size <= mtu.largest());
        probes += 1;
        mtu.on_sent(start, end);
        assert_eq!(mtu.due(now), None, "one at a time");
        if size <= path {
            assert_eq!(mtu.on_acknowledged(now, end), Outcome::Carried(size));
            segment = size;
        } else {
            assert!(mtu.is_probe_lost(now, (start, end), size, WAIT));
        }
    }
}

#[test]
fn nothing_is_kept_until_something_was_too_large() {
    let mut mtu = PathMtu::new(1_448, true);
    assert_eq!((mtu.due(at(1)), mtu.search.is_none()), (None, true));
    assert_eq!(mtu.on_acknowledged(at(1), position(9)), Outcome::Waiting);
    assert!(size_of::<PathMtu>() <= 16);
}

#[test]
fn three_timeouts_of_a_large_segment_are_a_black_hole() {
    let mut mtu = PathMtu::new(1_448, true);
    assert_eq!(mtu.on_timeout(at(1), limits::BLACK_HOLE_TIMEOUTS - 1, 1_448, 1_448), None);
    assert_eq!(mtu.on_timeout(at(1), limits::BLACK_HOLE_TIMEOUTS, 900, 1_448), None, "small ones are lost otherwise");
    assert_eq!(mtu.on_timeout(at(1), limits::BLACK_HOLE_TIMEOUTS, 1_448, 1_448), Some(limits::PATH_MTU_BASE));
    let smaller = u64::from(limits::MSS_DEFAULT);
    let base = limits::PATH_MTU_BASE;
    assert_eq!(mtu.on_timeout(at(1), 2 * limits::BLACK_HOLE_TIMEOUTS, base, base), Some(smaller));
    assert_eq!(mtu.on_timeout(at(1), 3 * limits::BLACK_HOLE_TIMEOUTS, smaller, smaller), None, "no smaller");
    let mut passive = PathMtu::new(1_448, false);
    assert_eq!(passive.on_timeout(at(1), limits::BLACK_HOLE_TIMEOUTS, 1_448, 1_448), None);
}

#[test]
fn the_largest_is_tried_first_then_by_halves() {
    let mut mtu = PathMtu::new(1_448, true);
    let base = mtu.on_timeout(at(1), limits::BLACK_HOLE_TIMEOUTS, 1_448, 1_448).expect("a black hole");
    assert_eq!(search(&mut mtu, 1_448, base), (1_448, 1));
    let base = mtu.on_timeout(at(1), limits::BLACK_HOLE_TIMEOUTS, 1_448, 1_448).expect("a black hole");
    let (found, probes) = search(&mut mtu, 1_300, base);
    assert!(found <= 1_300 && found + limits::PATH_MTU_CLOSE > 1_300, "{found}");
    assert!(probes <= 7 * u32::from(limits::PATH_MTU_PROBES), "{probes}");
}

#[test]
fn ten_minutes_after_a_router_spoke_the_way_up_is_tried() {
    let mut mtu = PathMtu::new(1_448, true);
    mtu.on_too_big(at(0), 1_200);
    assert_eq!(mtu.due(at(599_000)), None);
    assert_eq!(mtu.due(at(600_000)), Some(1_448));
    mtu.on_sent(position(0), position(1_448));
    assert!(mtu.on_probe_too_big(at(600_100), 1_300), "it answers the probe");
    assert_eq!(mtu.due(at(600_200)), Some(1_300));
    assert!(!mtu.on_probe_too_big(at(600_200), 1_250), "none on its way");
}

#[test]
fn other_losses_make_a_probe_say_nothing() {
    let mut mtu = PathMtu::new(1_448, true);
    mtu.on_timeout(at(1), limits::BLACK_HOLE_TIMEOUTS, 1_448, 1_448);
    assert_eq!(mtu.due(at(2)), Some(1_448));
    mtu.on_sent(position(0), position(1_448));
    assert!(!mtu.is_probe_lost(at(3), (position(0), position(1_448)), 2_000, WAIT));
    assert_eq!(mtu.due(at(4)), Some(1_448), "again, and not counted");
    mtu.on_sent(position(5_000), position(6_448));
    mtu.on_timeout(at(5), 1, 1_448, 1_024);
    assert_eq!(mtu.due(at(6)), Some(1_448));
}
