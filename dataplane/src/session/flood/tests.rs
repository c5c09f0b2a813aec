use super::*;

const INTRA: InterfaceId = InterfaceId(0);
const DMZ: InterfaceId = InterfaceId(1);

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

#[test]
fn an_interface_is_flooded_by_its_share_and_the_others_when_nothing_is_left() {
    let mut flood = Flood::new(100, [1; 16]);
    assert_eq!(flood.look(at(1), INTRA, 74, 74), (false, Change::Nothing));
    assert_eq!(flood.look(at(1), INTRA, 75, 75), (true, Change::Begins));
    assert_eq!(flood.look(at(1), DMZ, 3, 78), (false, Change::Nothing));
    assert_eq!(flood.look(at(1), DMZ, 25, 100), (true, Change::Begins));
    assert_eq!(flood.flooded(), 2);
}

#[test]
fn the_mode_ends_when_half_is_free_and_cookies_come_back() {
    let mut flood = Flood::new(600, [1; 16]);
    assert_eq!(flood.look(at(1), INTRA, 600, 600), (true, Change::Begins));
    assert_eq!(flood.look(at(2), INTRA, 301, 301), (true, Change::Nothing), "more than half is taken");
    flood.mode(INTRA).unproven = 6;
    assert_eq!(flood.look(at(3), INTRA, 10, 10), (true, Change::Nothing), "six a second fill the half in 50 s");
    assert_eq!(flood.look(at(4), INTRA, 10, 10), (false, Change::Ends));
    assert_eq!(flood.look(at(4), INTRA, 10, 10), (false, Change::Nothing));
}
