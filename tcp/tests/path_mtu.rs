//! The path's MTU in virtual time: routers that speak, routers that do not, a path that changes in mid-transfer and one that
//! widens again (RFC 1191, RFC 4821, RFC 8899). Whatever happens, every byte arrives; that the world checks.

mod world;

use std::time::Duration;

use tcp::{Algorithm, IcmpError, IcmpKind, Info, Instant, SeqNumber};
use world::{Plan, Wire, World};

const MBIT: u64 = 1_000_000;
const ISN: u32 = 0xffff_0000;
/// TCP header with timestamps.
const HEADER: usize = 32;
/// Payload of a full segment on Ethernet, with timestamps; sizes closer than eight are the same to the search.
const FULL: u32 = 1_448;
const CLOSE: u32 = 8;

fn world(bytes: u64, rate: u64, mtu: usize, tells: bool, probing: bool) -> World {
    let (mut sender, mut receiver) = (Plan::new(ISN, bytes), Plan::new(0xfff0_0000, 0));
    for plan in [&mut sender, &mut receiver] {
        plan.config.path_mtu_probing = probing;
        plan.config.time_wait = Duration::from_millis(1);
        // Little, so that a slow link has no queue of a minute.
        (plan.config.send_buffer, plan.config.receive_buffer) = (128 << 10, 32 << 10);
    }
    let wire = Wire { mtu, tells, ..Wire::clean(Duration::from_millis(20), rate) };
    World::new(7, Instant::from_micros(1), [sender, receiver], [wire, Wire { mtu: usize::MAX, ..wire }])
}

fn info(world: &World) -> Info {
    world.sides[0].connection.as_ref().expect("opened").info()
}

fn is_found(info: &Info, path: usize) -> bool {
    let payload = u32::try_from(path - HEADER).expect("small");
    info.snd_mss <= payload && info.snd_mss + CLOSE > payload
}

#[test]
fn a_black_hole_from_the_start_costs_three_timeouts_and_is_measured() {
    for algorithm in [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Bbr] {
        let mut world = world(12_000_000, 10 * MBIT, 1_300, false, true);
        for side in &mut world.sides {
            side.plan.config.congestion = algorithm;
        }
        assert!(world.run(Duration::from_secs(60)));
        world.assert_complete();
        let info = info(&world);
        assert!(is_found(&info, 1_300), "{algorithm:?}: {info:?}");
        assert_eq!(info.timeouts, 3, "{algorithm:?}");
    }
}

#[test]
fn without_probing_a_black_hole_is_the_end() {
    let mut world = world(300_000, 10 * MBIT, 1_300, false, false);
    world.run(Duration::from_secs(7_200));
    assert_eq!(world.sides[0].connection.as_ref().expect("opened").error(), Some(tcp::Error::TimedOut));
}

#[test]
fn a_path_that_narrows_in_mid_transfer_without_a_word() {
    let mut world = world(16_000_000, 10 * MBIT, usize::MAX, false, true);
    assert!(!world.run(Duration::from_secs(1)));
    assert_eq!((info(&world).snd_mss, info(&world).timeouts), (FULL, 0));
    world.wires[0].mtu = 1_200;
    assert!(world.run(Duration::from_secs(60)));
    world.assert_complete();
    assert!(is_found(&info(&world), 1_200), "{:?}", info(&world));
}

/// RFC 1191: what the router says is taken at once, and its loss is no sign of congestion.
#[test]
fn a_router_that_speaks_costs_nothing() {
    let mut world = world(4_000_000, 10 * MBIT, usize::MAX, true, true);
    assert!(!world.run(Duration::from_secs(1)));
    let before = info(&world);
    world.wires[0].mtu = 1_200;
    assert!(world.run(Duration::from_secs(60)));
    world.assert_complete();
    let after = info(&world);
    assert_eq!((after.snd_mss, after.timeouts), (1_200 - 32, 0));
    assert_eq!(after.snd_ssthresh, before.snd_ssthresh);
}

/// Ten minutes after a router's word the way up is searched. Probes that are lost are no sign of congestion.
#[test]
fn a_path_that_stays_narrow_is_probed_without_harm() {
    let mut world = world(18_000_000, MBIT / 5, 1_300, true, true);
    assert!(!world.run(Duration::from_secs(590)));
    let before = info(&world);
    assert_eq!((before.snd_mss, before.timeouts), (1_300 - 32, 0));
    world.wires[0].tells = false;
    let lost = world.too_big;
    assert!(!world.run(Duration::from_secs(100)));
    let after = info(&world);
    assert!(world.too_big >= lost + 3, "probes were lost: {}", world.too_big - lost);
    assert_eq!(after.snd_mss, before.snd_mss);
    assert_eq!((after.timeouts, after.snd_ssthresh), (0, before.snd_ssthresh));
    assert!(after.snd_cwnd >= before.snd_cwnd, "{} {}", before.snd_cwnd, after.snd_cwnd);
    assert!(world.run(Duration::from_secs(3_600)));
    world.assert_complete();
}

#[test]
fn a_path_that_widens_again_is_noticed() {
    for tells in [false, true] {
        let mut world = world(20_000_000, MBIT / 5, 1_000, tells, true);
        assert!(!world.run(Duration::from_secs(60)));
        assert!(info(&world).snd_mss < 1_000);
        world.wires[0].mtu = usize::MAX;
        assert!(world.run(Duration::from_secs(3_600)));
        world.assert_complete();
        assert_eq!(info(&world).snd_mss, FULL, "tells: {tells}");
    }
}

/// Who sends segment by segment gives as limit what the largest one may have.
#[test]
fn without_offload_it_is_found_too() {
    let mut world = world(12_000_000, 10 * MBIT, 1_300, false, true);
    world.sides[0].plan.limit = FULL as usize;
    assert!(world.run(Duration::from_secs(60)));
    world.assert_complete();
    assert!(is_found(&info(&world), 1_300), "{:?}", info(&world));
}

/// The same on a path that carries less than half of the largest: still one segment at a time.
#[test]
fn without_offload_a_very_narrow_path_gets_one_segment_at_a_time() {
    let mut world = world(3_000_000, 10 * MBIT, 600, false, true);
    world.sides[0].plan.limit = FULL as usize;
    assert!(world.run(Duration::from_secs(60)));
    world.assert_complete();
    let info = info(&world);
    assert!(is_found(&info, 600), "{info:?}");
    assert!(info.segs_out >= 3_000_000 / 568, "outputs are segments: {info:?}");
}

/// Duplicate ACKs cannot tell a probe's loss from another: such a connection keeps to the base.
#[test]
fn without_sack_it_falls_and_stays() {
    let mut world = world(1_000_000, 10 * MBIT, 1_300, false, true);
    world.sides[1].plan.opening.sack_permitted = false;
    assert!(world.run(Duration::from_secs(600)));
    world.assert_complete();
    assert_eq!(info(&world).snd_mss, 1_024);
}

/// Losses of other segments and reordering meanwhile: it still arrives, and nothing larger than the path stays in use.
#[test]
fn black_holes_on_lossy_paths() {
    for seed in 0..10 {
        let mut world = world(1_000_000, 10 * MBIT, 1_300, seed % 2 == 0, true);
        world.wires[0].loss = 10;
        world.wires[0].jitter = Duration::from_millis(5);
        assert!(world.run(Duration::from_secs(600)), "{seed}");
        world.assert_complete();
        assert!(info(&world).snd_mss <= 1_300 - 32, "{seed}: {:?}", info(&world));
    }
}

/// Whatever a router says is kept for ten minutes, though in truth the path carries more: larger segments that were under way
/// when it spoke arrive, and prove nothing about what routers further on will do.
#[test]
fn what_a_router_says_is_kept_however_small_it_is() {
    for (mtu, algorithm) in
        [1_300, 600, 576, 552, 280].into_iter().flat_map(|mtu| [(mtu, Algorithm::Cubic), (mtu, Algorithm::Bbr)])
    {
        for rate in [10 * MBIT, 1_000 * MBIT] {
            let mut world = world(400_000_000, rate, usize::MAX, false, true);
            for side in &mut world.sides {
                side.plan.config.congestion = algorithm;
                (side.plan.config.send_buffer, side.plan.config.receive_buffer) = (1 << 20, 1 << 20);
            }
            assert!(!world.run(Duration::from_millis(400)));
            let now = world.now;
            let connection = world.sides[0].connection.as_mut().expect("opened");
            let acked = u32::try_from(connection.info().bytes_acked).expect("little");
            let seq = SeqNumber(ISN.wrapping_add(1 + acked));
            connection.handle_icmp(now, IcmpError { kind: IcmpKind::TooBig { mtu }, seq });
            for _ in 0..40 {
                world.run(Duration::from_millis(50));
                let told = u32::from(mtu) - HEADER as u32;
                assert!(info(&world).snd_mss <= told, "{mtu} {algorithm:?} {rate}: {:?}", info(&world));
            }
        }
    }
}
