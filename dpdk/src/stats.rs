//! Figures of a port that move: link, counters, the driver's extended counters by name.

use std::ffi::CStr;
use std::fmt;
use std::ptr;

use dpdk_sys::{limpid_link, rte_eth_stats, rte_eth_xstat, rte_eth_xstat_name};

use crate::limits;

/// State of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Is it up?
    pub up: bool,
    /// Speed in Mbit/s; 0: the driver does not know.
    pub speed_mbps: u32,
    /// Both ways at once?
    pub full_duplex: bool,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.up, self.speed_mbps) {
            (false, _) => f.write_str("down"),
            (true, 0) => f.write_str("up"),
            (true, speed) if speed % 1000 == 0 => write!(f, "up {} Gbit/s", speed / 1000),
            (true, speed) => write!(f, "up {speed} Mbit/s"),
        }?;
        if self.up && !self.full_duplex { f.write_str(" half-duplex") } else { Ok(()) }
    }
}

/// Counters that every driver has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets the device lost because nobody fetched them, or no buffer was free.
    pub rx_missed: u64,
    /// Packets the device found broken.
    pub rx_errors: u64,
    /// Packets the device could not send.
    pub tx_errors: u64,
}

pub(crate) fn link(port: u16) -> Link {
    let mut link = limpid_link::default();
    // SAFETY: the port is attached, and the struct is ours to fill.
    let code = unsafe { dpdk_sys::limpid_link_get(port, &mut link) };
    // A driver that does not know of a link fails; then traffic is what tells.
    Link { up: code == 0 && link.up != 0, speed_mbps: link.speed_mbps, full_duplex: link.full_duplex != 0 }
}

pub(crate) fn stats(port: u16) -> Stats {
    let mut raw = rte_eth_stats::default();
    // SAFETY: the port is attached, and the struct is ours to fill; on failure it stays zero.
    unsafe { dpdk_sys::rte_eth_stats_get(port, &mut raw) };
    Stats {
        rx_packets: raw.ipackets,
        tx_packets: raw.opackets,
        rx_bytes: raw.ibytes,
        tx_bytes: raw.obytes,
        rx_missed: raw.imissed + raw.rx_nombuf,
        rx_errors: raw.ierrors,
        tx_errors: raw.oerrors,
    }
}

pub(crate) fn xstats(port: u16) -> Vec<(String, u64)> {
    // SAFETY: asking with no room only counts.
    let count = unsafe { dpdk_sys::rte_eth_xstats_get_names(port, ptr::null_mut(), 0) };
    let count = usize::try_from(count).unwrap_or(0).min(limits::XSTATS_MAX);
    let mut names = vec![rte_eth_xstat_name::default(); count];
    let mut values = vec![rte_eth_xstat::default(); count];
    // SAFETY: both arrays hold `count` elements, which is what is passed; DPDK fills at most so many.
    let (named, valued) = unsafe {
        (
            dpdk_sys::rte_eth_xstats_get_names(port, names.as_mut_ptr(), count as u32),
            dpdk_sys::rte_eth_xstats_get(port, values.as_mut_ptr(), count as u32),
        )
    };
    // More than asked for means that nothing was written.
    if usize::try_from(named) != Ok(count) || usize::try_from(valued).is_ok_and(|valued| valued > count) {
        return Vec::new();
    }
    let valued = usize::try_from(valued).unwrap_or(0);
    values[..valued].iter().filter_map(|value| Some((name(names.get(value.id as usize)?), value.value))).collect()
}

fn name(name: &rte_eth_xstat_name) -> String {
    // SAFETY: an array of plain characters, read as bytes.
    let bytes = unsafe { std::slice::from_raw_parts(name.name.as_ptr().cast::<u8>(), name.name.len()) };
    CStr::from_bytes_until_nul(bytes).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}
