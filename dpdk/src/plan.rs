//! What a port is configured to: from what is asked and what the driver reports, each choice with a printable line.
//!
//! Pure: no device is touched here. What must hold: nothing is switched on that the driver does not report, and more
//! than one queue is used only where both directions of a flow land on the same one. Left unused although many
//! drivers report it: fast free (buffers of several pools and with references are sent), LRO (it breaks the packets
//! that are passed on as they came), jumbo frames without being asked.

use crate::limits;
use crate::quirks::{Off, Quirk, Spread};

#[cfg(test)]
mod tests;

/// What is asked of a port.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Queue pairs wanted: one a worker.
    pub queues: u16,
    /// Largest IP packet; `None`: 1,500, or less where the interface below has less.
    pub mtu: Option<u16>,
    /// Where the RSS key comes from: random, and the same for all ports, so that both legs of a flow meet.
    pub rss_seed: u64,
}

/// What the port does on transmit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// IPv4 header checksum.
    pub ipv4_checksum: bool,
    /// TCP checksum.
    pub tcp_checksum: bool,
    /// UDP checksum.
    pub udp_checksum: bool,
    /// TCP segmentation.
    pub tso: bool,
    /// Frames of several segments.
    pub multi_segment: bool,
}

impl Offloads {
    pub(crate) fn any_checksum(&self) -> bool {
        self.ipv4_checksum || self.tcp_checksum || self.udp_checksum
    }
}

/// What the driver and the machine report.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) driver: String,
    pub(crate) rx_offloads: u64,
    pub(crate) tx_offloads: u64,
    pub(crate) rss_types: u64,
    pub(crate) rss_key_len: u8,
    pub(crate) queues_max: u16,
    pub(crate) rx_packet_max: u32,
    pub(crate) mtu_min: u16,
    pub(crate) mtu_max: u16,
    /// MTU of the kernel's interface below, if there is one.
    pub(crate) kernel_mtu: Option<u16>,
    /// Packet bytes in one receive buffer.
    pub(crate) data_room: u16,
}

/// The configuration.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) queues: u16,
    pub(crate) mtu: u16,
    pub(crate) rx_offloads: u64,
    pub(crate) tx_offloads: u64,
    pub(crate) rss_types: u64,
    pub(crate) rss_key: Vec<u8>,
    pub(crate) offloads: Offloads,
    pub(crate) choices: Vec<String>,
}

/// Decides; the error is the cause, in words.
pub(crate) fn plan(settings: &Settings, report: &Report, quirk: &Quirk) -> Result<Plan, String> {
    let mut choices = Vec::new();
    let mtu = choose_mtu(settings.mtu, report, &mut choices)?;
    let rss_types = if matches!(quirk.spread, Spread::Useless(_)) { 0 } else { report.rss_types & RSS_TYPES };
    let queues = choose_queues(settings.queues, rss_types, report, quirk, &mut choices);
    let rss_types = if queues > 1 { rss_types } else { 0 };
    let key_len = if report.rss_key_len == 0 { RSS_KEY_LEN } else { usize::from(report.rss_key_len) };
    let rss_key = if rss_types != 0 { symmetric_key(settings.rss_seed, key_len) } else { Vec::new() };
    let rx_offloads = choose_rx(mtu, report, quirk, &mut choices)?;
    let (tx_offloads, offloads) = choose_tx(report, quirk, &mut choices);
    Ok(Plan { queues, mtu, rx_offloads, tx_offloads, rss_types, rss_key, offloads, choices })
}

const RSS_TYPES: u64 = dpdk_sys::LIMPID_RSS_IP | dpdk_sys::LIMPID_RSS_TCP | dpdk_sys::LIMPID_RSS_UDP;

/// The usual key: enough for two IPv6 addresses and ports.
const RSS_KEY_LEN: usize = 40;

/// Ethernet header and check sequence, as ethdev counts them.
const HEADER_AND_CHECK: u32 = 14 + 4;

fn choose_mtu(wanted: Option<u16>, report: &Report, choices: &mut Vec<String>) -> Result<u16, String> {
    // As ethdev does it: the driver's own overhead when it reports both limits.
    let overhead = if report.mtu_max != u16::MAX && report.rx_packet_max > u32::from(report.mtu_max) {
        report.rx_packet_max - u32::from(report.mtu_max)
    } else {
        HEADER_AND_CHECK
    };
    let by_frame = u16::try_from(report.rx_packet_max.saturating_sub(overhead)).unwrap_or(u16::MAX);
    let ceiling = report.mtu_max.min(by_frame);
    let Some(mtu) = wanted else {
        let usual = dpdk_sys::LIMPID_MTU_DEFAULT as u16;
        let mtu = usual.min(report.kernel_mtu.unwrap_or(usual)).min(ceiling);
        let below = if mtu < usual { " (as the interface below)" } else { "" };
        choices.push(format!("MTU: {mtu}{below}"));
        return Ok(mtu);
    };
    if mtu > ceiling || mtu < report.mtu_min {
        return Err(format!("an MTU of {mtu} is outside what {} takes: {}-{ceiling}", report.driver, report.mtu_min));
    }
    choices.push(format!("MTU: {mtu}, as asked"));
    Ok(mtu)
}

fn choose_queues(wanted: u16, rss: u64, report: &Report, quirk: &Quirk, choices: &mut Vec<String>) -> u16 {
    let wanted = wanted.max(1);
    let most = wanted.min(report.queues_max.max(1));
    let (queues, why) = match quirk.spread {
        _ if wanted == 1 => (1, "one worker".to_owned()),
        _ if most == 1 => (1, format!("asked for {wanted}, the driver has one")),
        _ if rss != 0 => (most, format!("asked for {wanted}; RSS with a symmetric key: {}", rss_names(rss))),
        Spread::Symmetric(how) => (most, format!("asked for {wanted}; {how}")),
        Spread::Useless(why) => (1, format!("asked for {wanted}, but {why}")),
        Spread::AsReported => (1, format!("asked for {wanted}, but the driver reports no RSS")),
    };
    choices.push(format!("queues: {queues} ({why})"));
    queues
}

fn rss_names(types: u64) -> String {
    let all = [("IP", dpdk_sys::LIMPID_RSS_IP), ("TCP", dpdk_sys::LIMPID_RSS_TCP), ("UDP", dpdk_sys::LIMPID_RSS_UDP)];
    let names: Vec<&str> = all.iter().filter(|(_, bits)| types & bits != 0).map(|(name, _)| *name).collect();
    names.join(" ")
}

fn choose_rx(mtu: u16, report: &Report, quirk: &Quirk, choices: &mut Vec<String>) -> Result<u64, String> {
    let usable = report.rx_offloads & !quirk.rx_off.bits;
    let mut taken = 0;
    let checksums = [
        ("IPv4", dpdk_sys::LIMPID_RX_IPV4_CKSUM),
        ("TCP", dpdk_sys::LIMPID_RX_TCP_CKSUM),
        ("UDP", dpdk_sys::LIMPID_RX_UDP_CKSUM),
    ];
    for (name, bit) in checksums {
        taken |= usable & bit;
        let place = where_done(report.rx_offloads, quirk.rx_off, bit);
        choices.push(format!("receive {name} checksum: {place}"));
    }
    taken |= usable & dpdk_sys::LIMPID_RX_VLAN_STRIP;
    let strip = where_done(report.rx_offloads, quirk.rx_off, dpdk_sys::LIMPID_RX_VLAN_STRIP);
    choices.push(format!("VLAN strip: {strip}"));

    if u32::from(mtu) + u32::from(limits::FRAME_OVERHEAD) > u32::from(report.data_room) {
        if usable & dpdk_sys::LIMPID_RX_SCATTER == 0 {
            let (driver, room) = (&report.driver, report.data_room);
            return Err(format!("an MTU of {mtu} needs larger buffers than {room} bytes: {driver} cannot scatter"));
        }
        taken |= dpdk_sys::LIMPID_RX_SCATTER;
        choices.push("receive scatter: on, frames are larger than a buffer".into());
    }
    Ok(taken)
}

fn choose_tx(report: &Report, quirk: &Quirk, choices: &mut Vec<String>) -> (u64, Offloads) {
    let usable = report.tx_offloads & !quirk.tx_off.bits;
    let has = |bit: u64| usable & bit != 0;
    let multi_segment = has(dpdk_sys::LIMPID_TX_MULTI_SEGS);
    let tcp_checksum = has(dpdk_sys::LIMPID_TX_TCP_CKSUM);
    let ipv4_checksum = has(dpdk_sys::LIMPID_TX_IPV4_CKSUM);
    let offloads = Offloads {
        ipv4_checksum,
        tcp_checksum,
        udp_checksum: has(dpdk_sys::LIMPID_TX_UDP_CKSUM),
        // A large frame is a chain, and each cut needs both checksums anew.
        tso: has(dpdk_sys::LIMPID_TX_TCP_TSO) && multi_segment && tcp_checksum && ipv4_checksum,
        multi_segment,
    };
    let lines = [
        ("IPv4 checksum", dpdk_sys::LIMPID_TX_IPV4_CKSUM, ipv4_checksum),
        ("TCP checksum", dpdk_sys::LIMPID_TX_TCP_CKSUM, tcp_checksum),
        ("UDP checksum", dpdk_sys::LIMPID_TX_UDP_CKSUM, offloads.udp_checksum),
        ("TCP segmentation", dpdk_sys::LIMPID_TX_TCP_TSO, offloads.tso),
        ("of several segments", dpdk_sys::LIMPID_TX_MULTI_SEGS, multi_segment),
    ];
    let mut taken = 0;
    for (name, bit, on) in lines {
        if on {
            taken |= bit;
        }
        let mut place = where_done(report.tx_offloads, quirk.tx_off, bit);
        if !on && has(bit) {
            place = "in software (the driver lacks what it needs beside it)".into();
        }
        choices.push(format!("transmit {name}: {place}"));
    }
    (taken, offloads)
}

fn where_done(reported: u64, off: Off, bit: u64) -> String {
    match (reported & bit != 0, off.bits & bit != 0) {
        (true, false) => "by the device".into(),
        (true, true) => format!("in software ({})", off.reason),
        (false, _) => "in software".into(),
    }
}

/// A Toeplitz key with which both directions of a flow hash alike: the hash is linear in the key's 32-bit windows,
/// so a key that repeats after 16 bits does not notice when addresses, or ports, change places.
fn symmetric_key(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let pair = loop {
        // A few steps of a linear congruence (Knuth's MMIX) until the 16 bits are neither sparse nor dense.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let candidate = (state >> 48) as u16;
        if (6..=10).contains(&candidate.count_ones()) {
            break candidate.to_be_bytes();
        }
    };
    pair.iter().copied().cycle().take(len).collect()
}
