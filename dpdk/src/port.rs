//! A port: a device attached by its string, configured by what its driver reports, started, its queues given away.
//!
//! In the order of events: probe → report → plan → configure → queues → start. Whatever fails names the device and
//! leaves it off its bus.

use std::ffi::{CStr, CString};
use std::ops::Deref;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dpdk_sys::{limpid_port_conf, limpid_port_info, rte_ether_addr};

use crate::device::{Attached, Device};
use crate::device_string::DeviceString;
use crate::diagnose::{self, Facts};
use crate::eal::Eal;
use crate::error::{Error, describe};
use crate::limits;
use crate::log::listen;
use crate::plan::{self, Plan, Report, Settings};
use crate::pool::Pool;
use crate::queue::Queue;
use crate::quirks;

/// A started port and the queues of it that nobody took yet. Reads like its [`Device`].
pub struct Port {
    device: Arc<Device>,
    queues: Vec<Option<Queue>>,
}

impl Deref for Port {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.device
    }
}

impl Port {
    /// Attaches the device, configures and starts it. Queue `i` receives into pool `i`.
    ///
    /// # Errors
    /// When the device is not there, or its driver refuses; names it, the cause, and what to try.
    ///
    /// # Panics
    /// When there are fewer pools than queues asked for.
    pub fn attach(eal: &Eal, device: &str, settings: &Settings, pools: &[Pool]) -> Result<Port, Error> {
        assert!(pools.len() >= usize::from(settings.queues.max(1)), "a queue without a pool");
        let string = DeviceString::new(device);
        let mut attached = probe(&string)?;
        let refused = |cause: String| Error::new(format!("cannot configure device `{device}`"), cause);

        let report = report(&attached, &string, pools).map_err(|code| refused(describe(code)))?;
        let plan = plan::plan(settings, &report, &quirks::of(&report.driver))
            .map_err(|cause| refused(cause).advise("another mtu, or another driver"))?;
        let (result, heard) = listen(|| bring_up(&mut attached, plan, settings.mtu.is_some(), pools));
        let (plan, mac) = result.map_err(|(step, code)| {
            refused(format!("{step}: {}", describe(code))).advise(advice_for(&string, code)).with_log(heard)
        })?;

        let device = Arc::new(Device {
            attached,
            text: device.to_owned(),
            driver: report.driver,
            mac,
            plan,
            asked: AtomicBool::new(false),
            _pools: pools.to_vec(),
            _eal: Arc::clone(&eal.handle),
        });
        let queues = (0..device.queues()).zip(pools);
        let queues = queues.map(|(index, pool)| Some(Queue::new(Arc::clone(&device), index, pool.clone()))).collect();
        Ok(Port { device, queues })
    }

    /// Gives queue `index` away; `None` when the port has no such queue or somebody has it already.
    pub fn queue(&mut self, index: u16) -> Option<Queue> {
        self.queues.get_mut(usize::from(index))?.take()
    }
}

/// Puts the device on its bus and finds the port that this made.
fn probe(string: &DeviceString<'_>) -> Result<Attached, Error> {
    let text = CString::new(string.text)
        .map_err(|_| Error::new("cannot attach a device", "its string contains a zero byte"))?;
    let before = ports();
    let (code, heard) = listen(|| {
        // SAFETY: EAL runs (the caller has it) and this is the main lcore; the string is terminated and is copied.
        unsafe { dpdk_sys::rte_dev_probe(text.as_ptr()) }
    });
    // A driver that fails to start a device may still have logged a success, and the other way round: the port counts.
    let mut new = ports().into_iter().filter(|port| !before.contains(port));
    let Some(id) = new.next().filter(|_| code >= 0) else {
        // EAL calls it a success when the device is there already.
        let code = if code == 0 { -EEXIST } else { code };
        return Err(diagnose::refused(string, code, heard, &Facts::look(string)));
    };
    let mut attached = Attached { id, device: ptr::null_mut(), started: false, alone: new.next().is_none() };
    let info = port_info(id).map_err(|code| diagnose::refused(string, code, heard, &Facts::look(string)))?;
    attached.device = info.device;
    Ok(attached)
}

const EEXIST: i32 = 17;

/// Ids of all ports.
fn ports() -> Vec<u16> {
    let mut ids = Vec::new();
    let mut next = 0;
    loop {
        // SAFETY: takes any id and reads ethdev's table.
        let id = unsafe { dpdk_sys::rte_eth_find_next(next) };
        if u32::from(id) >= dpdk_sys::LIMPID_PORTS_MAX {
            return ids;
        }
        ids.push(id);
        next = id + 1;
    }
}

fn port_info(id: u16) -> Result<limpid_port_info, i32> {
    let mut info = limpid_port_info::default();
    // SAFETY: the struct is ours to fill.
    match unsafe { dpdk_sys::limpid_port_info_get(id, &mut info) } {
        0 => Ok(info),
        code => Err(code),
    }
}

fn report(attached: &Attached, string: &DeviceString<'_>, pools: &[Pool]) -> Result<Report, i32> {
    let info = port_info(attached.id)?;
    // SAFETY: the driver's name is a static, terminated string of the driver, which stays loaded.
    let driver = unsafe { CStr::from_ptr(info.driver) }.to_string_lossy().into_owned();
    Ok(Report {
        driver,
        rx_offloads: info.rx_offloads,
        tx_offloads: info.tx_offloads,
        rss_types: info.rss_types,
        rss_key_len: info.rss_key_len,
        queues_max: info.rx_queues_max.min(info.tx_queues_max),
        rx_packet_max: info.rx_packet_max,
        mtu_min: info.mtu_min,
        mtu_max: info.mtu_max,
        kernel_mtu: string.kernel_interface().and_then(diagnose::interface_mtu),
        data_room: pools.iter().map(Pool::data_room).min().unwrap_or(limits::DATA_ROOM),
    })
}

/// Which step failed, and the driver's number.
type Failed = (&'static str, i32);

/// From attached to started.
fn bring_up(
    attached: &mut Attached,
    mut plan: Plan,
    mtu_asked: bool,
    pools: &[Pool],
) -> Result<(Plan, [u8; 6]), Failed> {
    let id = attached.id;
    configure(id, &mut plan)?;
    if mtu_asked {
        // SAFETY: an attached, configured, stopped port.
        let code = unsafe { dpdk_sys::rte_eth_dev_set_mtu(id, plan.mtu) };
        note(&mut plan, "MTU on the interface", code, "set")?;
    }
    let (rx, tx) = set_up_queues(id, &plan, pools)?;
    plan.choices.push(format!("descriptors: {rx} receive, {tx} transmit"));
    // SAFETY: configured, with all its queues set up.
    check("start", unsafe { dpdk_sys::rte_eth_dev_start(id) })?;
    attached.started = true;
    // A gateway answers for its own address only, but interfaces below tap and packet sockets filter by theirs.
    // SAFETY: a started port.
    let code = unsafe { dpdk_sys::rte_eth_promiscuous_enable(id) };
    note(&mut plan, "promiscuous", code, "on")?;
    // Neighbour discovery is multicast.
    // SAFETY: a started port.
    let code = unsafe { dpdk_sys::rte_eth_allmulticast_enable(id) };
    note(&mut plan, "all multicast", code, "on")?;
    let mut mac = rte_ether_addr::default();
    // SAFETY: a started port, and the struct is ours to fill.
    check("read its address", unsafe { dpdk_sys::rte_eth_macaddr_get(id, &mut mac) })?;
    Ok((plan, mac.addr_bytes))
}

fn configure(id: u16, plan: &mut Plan) -> Result<(), Failed> {
    let conf = limpid_port_conf {
        rx_offloads: plan.rx_offloads,
        tx_offloads: plan.tx_offloads,
        rss_types: plan.rss_types,
        rss_key: if plan.rss_key.is_empty() { ptr::null_mut() } else { plan.rss_key.as_mut_ptr() },
        rss_key_len: plan.rss_key.len() as u8,
        mtu: u32::from(plan.mtu),
        queues: plan.queues,
    };
    // SAFETY: an attached, stopped port; the key lives through the call, and ethdev copies what it keeps.
    check("configure", unsafe { dpdk_sys::limpid_port_configure(id, &conf) })
}

fn set_up_queues(id: u16, plan: &Plan, pools: &[Pool]) -> Result<(u16, u16), Failed> {
    let (mut rx, mut tx) = (limits::DESCRIPTORS, limits::DESCRIPTORS);
    // SAFETY: a configured port; the numbers are ours to fill.
    check("descriptors", unsafe { dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(id, &mut rx, &mut tx) })?;
    // SAFETY: takes a port's id.
    let socket = unsafe { dpdk_sys::rte_eth_dev_socket_id(id) }.cast_unsigned();
    for (index, pool) in (0..plan.queues).zip(pools) {
        // SAFETY: a configured port with that many queues; no conf means the driver's defaults; the pool is kept by
        // the Device that will own the port.
        let code = unsafe { dpdk_sys::rte_eth_rx_queue_setup(id, index, rx, socket, ptr::null(), pool.as_ptr()) };
        check("set up a receive queue", code)?;
        // SAFETY: as above.
        let code = unsafe { dpdk_sys::rte_eth_tx_queue_setup(id, index, tx, socket, ptr::null()) };
        check("set up a transmit queue", code)?;
    }
    Ok((rx, tx))
}

fn check(step: &'static str, code: i32) -> Result<(), Failed> {
    if code < 0 { Err((step, code)) } else { Ok(()) }
}

/// A choice line for something that a driver may not have.
fn note(plan: &mut Plan, what: &'static str, code: i32, done: &str) -> Result<(), Failed> {
    const ENOTSUP: i32 = 95;
    const ENOSYS: i32 = 38;
    match code {
        0 => plan.choices.push(format!("{what}: {done}")),
        code if [ENOTSUP, ENOSYS].contains(&code.saturating_abs()) => {
            plan.choices.push(format!("{what}: the driver has no such thing"));
        }
        code => return Err((what, code)),
    }
    Ok(())
}

fn advice_for(string: &DeviceString<'_>, code: i32) -> String {
    const EPERM: i32 = 1;
    const ENOMEM: i32 = 12;
    const EACCES: i32 = 13;
    match code.saturating_abs() {
        EPERM | EACCES => "run as root, or with CAP_NET_ADMIN and CAP_NET_RAW".into(),
        ENOMEM => "more dpdk.memory_mib".into(),
        _ => format!("the arguments of `{}`; dpdk-testpmd tells whether DPDK alone can bring it up", string.name),
    }
}
