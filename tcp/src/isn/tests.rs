use std::time::Duration;

use super::*;

fn pair(port: u16) -> (SocketAddr, SocketAddr) {
    (SocketAddr::new("10.0.0.1".parse().unwrap(), port), "10.0.0.2:80".parse().unwrap())
}

#[test]
fn grows_with_time_for_one_tuple() {
    let generator = IsnGenerator::new([7; 16]);
    let (src, dst) = pair(1);
    let start = Instant::from_micros(1_000);
    let first = generator.isn(start, src, dst);
    assert_eq!(generator.isn(start + Duration::from_secs(1), src, dst), first + 250_000);
}

#[test]
fn tuples_directions_families_and_keys_have_unrelated_numbers() {
    let now = Instant::ZERO;
    let mut seen = std::collections::HashSet::new();
    for key in [[1; 16], [2; 16]] {
        let generator = IsnGenerator::new(key);
        for port in 1..200 {
            let (src, dst) = pair(port);
            assert!(seen.insert(generator.isn(now, src, dst).0));
            assert!(seen.insert(generator.isn(now, dst, src).0));
            assert!(seen.insert(generator.timestamp_offset(src, dst)));
        }
        assert!(seen.insert(generator.isn(now, "[fd00::1]:1".parse().unwrap(), "[fd00::2]:80".parse().unwrap()).0));
    }
}
