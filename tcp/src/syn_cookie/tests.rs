use std::time::Duration;

use super::*;

fn flow(port: u16) -> Flow {
    Flow { local: "10.0.0.1:80".parse().unwrap(), remote: SocketAddr::new("10.0.0.2".parse().unwrap(), port) }
}

fn header(seq: u32, ack: u32, flags: Flags, options: Options) -> Header {
    Header {
        src_port: 4_000,
        dst_port: 80,
        seq: SeqNumber(seq),
        ack: SeqNumber(ack),
        flags,
        window: 9_000,
        urgent: 0,
        options,
    }
}

fn answer(cookies: &SynCookies, at: Instant, mss: Option<u16>) -> Header {
    let syn = header(u32::MAX, 0, Flags::SYN, Options { mss, ..Options::default() });
    let isn = cookies.isn(at, &flow(1), &syn);
    header(0, isn.0.wrapping_add(1), Flags::ACK, Options::default())
}

const START: Instant = Instant::from_micros(77_000_000);

#[test]
fn the_size_comes_back_rounded_down() {
    let cookies = SynCookies::new([1; 16]);
    for (said, known) in
        [(None, 536), (Some(100), 536), (Some(1_400), 1_300), (Some(1_460), 1_460), (Some(9_000), 1_460)]
    {
        let syn = cookies.open(START, &flow(1), &answer(&cookies, START, said)).unwrap();
        assert_eq!((syn.options.mss, syn.seq, syn.flags), (Some(known), SeqNumber(u32::MAX), Flags::SYN));
    }
}

#[test]
fn only_for_its_flow_its_number_and_its_time() {
    let cookies = SynCookies::new([1; 16]);
    let ack = answer(&cookies, START, Some(1_460));
    assert!(cookies.open(START + Duration::from_secs(59), &flow(1), &ack).is_some());
    assert!(cookies.open(START + Duration::from_secs(240), &flow(1), &ack).is_none());
    assert_eq!(cookies.check(START + Duration::from_secs(240), &flow(1), &ack), Proof::Late);
    assert_eq!(cookies.check(START, &flow(2), &ack), Proof::Wrong);
    assert!(cookies.open(START, &flow(2), &ack).is_none());
    assert!(cookies.open(START, &flow(1), &Header { seq: SeqNumber(9), ..ack }).is_none());
    assert!(SynCookies::new([2; 16]).open(START, &flow(1), &ack).is_none());
}

#[test]
fn guesses_fail() {
    let cookies = SynCookies::new([1; 16]);
    let guess = |n: u32| header(5, n.wrapping_mul(0x9e37_79b9), Flags::ACK, Options::default());
    let believed = (0..100_000).filter(|n| cookies.open(START, &flow(1), &guess(*n)).is_some()).count();
    // Eight numbers of 2^32 are good: two minutes, four sizes.
    assert_eq!(believed, 0);
}

#[test]
fn a_new_secret_leaves_cookies_under_way_good_for_their_time() {
    let mut cookies = SynCookies::new([1; 16]);
    let ack = answer(&cookies, START, Some(1_460));
    cookies.rotate(START, [2; 16]);
    assert!(cookies.open(START, &flow(1), &ack).is_some());
    let new = answer(&cookies, START, Some(1_460));
    assert_ne!(new.ack, ack.ack);
    assert!(cookies.open(START, &flow(1), &new).is_some());
    cookies.rotate(START, [3; 16]);
    assert!(cookies.open(START, &flow(1), &ack).is_none());
}

#[test]
fn timestamps_remember_scale_sack_and_ecn_and_never_go_ahead() {
    let cookies = SynCookies::new([1; 16]);
    let ours = Options { window_scale: Some(3), sack_permitted: true, ..Options::default() };
    for value in [0, 1, 63, 64, 1_000_000, u32::MAX] {
        for (scale, sack, ecn) in
            [(None, false, false), (Some(0), true, false), (Some(14), false, true), (Some(200), true, true)]
        {
            let theirs = Options { window_scale: scale, sack_permitted: sack, ..Options::default() };
            let echo = remember(value, &theirs, &ours, ecn);
            assert!(value.wrapping_sub(echo) < 64, "{value} {echo}");
            let mut ack = answer(&cookies, START, Some(1_460));
            ack.options.timestamp = Some(Timestamp { value: 5, echo });
            let syn = cookies.open(START, &flow(1), &ack).unwrap();
            let Options { window_scale, sack_permitted, timestamp, .. } = syn.options;
            assert_eq!((window_scale, sack_permitted), (scale.map(|scale| scale.min(14)), sack));
            assert_eq!((timestamp.is_some(), syn.flags.contains(Flags::ECE)), (true, ecn));
        }
    }
}
