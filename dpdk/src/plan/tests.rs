//! Choices for drivers that this machine does not have.

use super::*;
use crate::quirks;

/// A NIC that can everything.
fn nic() -> Report {
    Report {
        driver: "net_ice".into(),
        rx_offloads: u64::MAX,
        tx_offloads: u64::MAX,
        rss_types: u64::MAX,
        rss_key_len: 52,
        queues_max: 64,
        rx_packet_max: 9728,
        mtu_min: 68,
        mtu_max: 9702,
        kernel_mtu: None,
        data_room: 2048,
    }
}

/// What af_packet of 22.11 reports.
fn af_packet() -> Report {
    Report {
        driver: "net_af_packet".into(),
        rx_offloads: dpdk_sys::LIMPID_RX_VLAN_STRIP,
        tx_offloads: dpdk_sys::LIMPID_TX_MULTI_SEGS,
        rss_types: 0,
        rss_key_len: 0,
        queues_max: 1,
        rx_packet_max: 1518,
        mtu_min: 68,
        mtu_max: u16::MAX,
        kernel_mtu: Some(1500),
        data_room: 2048,
    }
}

fn asked(queues: u16) -> Settings {
    Settings { queues, mtu: None, rss_seed: 7 }
}

#[track_caller]
fn has_line(plan: &Plan, wanted: &str) {
    assert!(plan.choices.iter().any(|line| line == wanted), "no `{wanted}` in {:#?}", plan.choices);
}

#[test]
fn a_good_nic_does_everything() {
    let plan = plan(&asked(4), &nic(), &Quirk::default()).unwrap();
    assert_eq!((plan.queues, plan.mtu, plan.rss_key.len()), (4, 1500, 52));
    assert_eq!(
        plan.offloads,
        Offloads { ipv4_checksum: true, tcp_checksum: true, udp_checksum: true, tso: true, multi_segment: true }
    );
    assert_eq!(plan.rx_offloads & dpdk_sys::LIMPID_RX_SCATTER, 0);
    has_line(&plan, "queues: 4 (asked for 4; RSS with a symmetric key: IP TCP UDP)");
    has_line(&plan, "transmit TCP segmentation: by the device");
}

#[test]
fn what_is_not_reported_is_software() {
    let plan = plan(&asked(4), &af_packet(), &Quirk::default()).unwrap();
    assert_eq!(plan.queues, 1);
    assert_eq!(plan.tx_offloads, dpdk_sys::LIMPID_TX_MULTI_SEGS);
    assert_eq!(plan.rx_offloads, dpdk_sys::LIMPID_RX_VLAN_STRIP);
    assert_eq!(plan.rss_types, 0);
    has_line(&plan, "receive TCP checksum: in software");
    has_line(&plan, "queues: 1 (asked for 4, the driver has one)");
}

#[test]
fn several_queues_want_a_symmetric_spread() {
    let many = Report { queues_max: 8, ..af_packet() };
    assert_eq!(plan(&asked(4), &many, &Quirk::default()).unwrap().queues, 1);
    assert_eq!(plan(&asked(4), &many, &quirks::of("net_af_packet")).unwrap().queues, 4);
    assert_eq!(plan(&asked(16), &nic(), &quirks::of("net_tap")).unwrap().queues, 1);
    assert_eq!(plan(&asked(100), &nic(), &Quirk::default()).unwrap().queues, 64);
}

#[test]
fn tso_needs_checksums_and_chains() {
    for bit in [dpdk_sys::LIMPID_TX_MULTI_SEGS, dpdk_sys::LIMPID_TX_TCP_CKSUM, dpdk_sys::LIMPID_TX_IPV4_CKSUM] {
        let plan = plan(&asked(1), &Report { tx_offloads: !bit, ..nic() }, &Quirk::default()).unwrap();
        assert!(!plan.offloads.tso);
        assert_eq!(plan.tx_offloads & dpdk_sys::LIMPID_TX_TCP_TSO, 0);
    }
}

#[test]
fn mtu_is_kept_inside_what_the_driver_takes() {
    let ask = |mtu, report: &Report| plan(&Settings { mtu: Some(mtu), ..asked(1) }, report, &Quirk::default());
    assert!(ask(9000, &af_packet()).unwrap_err().contains("68-1500"));
    assert!(ask(60, &af_packet()).unwrap_err().contains("60"));
    assert_eq!(ask(1400, &af_packet()).unwrap().mtu, 1400);
    let jumbo = ask(9000, &nic()).unwrap();
    assert_ne!(jumbo.rx_offloads & dpdk_sys::LIMPID_RX_SCATTER, 0);
    let no_scatter = Report { rx_offloads: 0, ..nic() };
    assert!(ask(9000, &no_scatter).unwrap_err().contains("cannot scatter"));
    assert_eq!(ask(9000, &Report { data_room: 9216, ..no_scatter }).unwrap().mtu, 9000);
}

#[test]
fn the_interface_below_caps_the_usual_mtu() {
    let plan = plan(&asked(1), &Report { kernel_mtu: Some(1280), ..af_packet() }, &Quirk::default()).unwrap();
    assert_eq!(plan.mtu, 1280);
}

#[test]
fn virtio_checks_in_software() {
    let plan = plan(&asked(1), &nic(), &quirks::of("net_virtio_user")).unwrap();
    assert_eq!(plan.rx_offloads & dpdk_sys::LIMPID_RX_TCP_CKSUM, 0);
    assert!(plan.choices.iter().any(|line| line.starts_with("receive TCP checksum: in software (with it virtio")));
}

/// Against DPDK's own software Toeplitz: both directions of a flow hash alike, and different flows do not.
#[test]
fn the_key_is_symmetric() {
    let hash = |words: &mut [u32], key: &[u8]| {
        // SAFETY: a pure function over the words and the key, which is longer than they are.
        unsafe { dpdk_sys::rte_softrss(words.as_mut_ptr(), words.len() as u32, key.as_ptr()) }
    };
    for seed in 0..64 {
        let key = symmetric_key(seed, RSS_KEY_LEN);
        let (client, server) = (0xc0a8_0102, 0xcb00_7109);
        let there = hash(&mut [client, server, 40_000 << 16 | 443], &key);
        let back = hash(&mut [server, client, 443 << 16 | 40_000], &key);
        let other = hash(&mut [client, server, 40_001 << 16 | 443], &key);
        assert_eq!(there, back);
        assert_ne!(there, other);
    }
    assert_ne!(symmetric_key(1, 40), symmetric_key(2, 40));
}
