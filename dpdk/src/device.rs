//! A device that is up: what all its queues share. It stays as long as one of them does, then is stopped, closed and
//! taken off its bus, so that the same string can be attached again.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dpdk_sys::rte_device;

use crate::eal::Handle;
use crate::plan::{Offloads, Plan};
use crate::pool::Pool;
use crate::stats::{self, Link, Stats};

/// A started device.
pub struct Device {
    pub(crate) attached: Attached,
    pub(crate) text: String,
    pub(crate) driver: String,
    pub(crate) mac: [u8; 6],
    pub(crate) plan: Plan,
    /// The driver's control functions take no locks, and any worker may ask.
    pub(crate) asked: AtomicBool,
    /// After the device, whose rings hold buffers of these.
    pub(crate) _pools: Vec<Pool>,
    /// Last.
    pub(crate) _eal: Arc<Handle>,
}

impl Device {
    /// The device string of the configuration.
    pub fn name(&self) -> &str {
        &self.text
    }

    /// The driver's name.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// The port's own Ethernet address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Largest IP packet, bytes.
    pub fn mtu(&self) -> u16 {
        self.plan.mtu
    }

    /// Queue pairs it has; may be fewer than were asked for.
    pub fn queues(&self) -> u16 {
        self.plan.queues
    }

    /// What it does on transmit.
    pub fn offloads(&self) -> Offloads {
        self.plan.offloads
    }

    /// What was chosen for it and why, one printable line each.
    pub fn choices(&self) -> &[String] {
        &self.plan.choices
    }

    /// State of the link.
    pub fn link(&self) -> Link {
        self.alone(|| stats::link(self.id()))
    }

    /// Counters that every driver has.
    pub fn stats(&self) -> Stats {
        self.alone(|| stats::stats(self.id()))
    }

    /// The driver's extended counters by name.
    pub fn xstats(&self) -> Vec<(String, u64)> {
        self.alone(|| stats::xstats(self.id()))
    }

    pub(crate) fn id(&self) -> u16 {
        self.attached.id
    }

    /// Runs a control function while no other thread does. Not for the packet path; the wait is that of a counter
    /// being read.
    fn alone<T>(&self, call: impl FnOnce() -> T) -> T {
        while self.asked.swap(true, Ordering::Acquire) {
            hint::spin_loop();
        }
        let result = call();
        self.asked.store(false, Ordering::Release);
        result
    }
}

/// A device on its bus; dropping takes it off.
pub(crate) struct Attached {
    pub(crate) id: u16,
    pub(crate) device: *mut rte_device,
    pub(crate) started: bool,
    /// No other port of this device is left.
    pub(crate) alone: bool,
}

// SAFETY: the pointer is EAL's, which guards its device list; it is used once, when this is dropped.
unsafe impl Send for Attached {}
// SAFETY: as above: nothing is done with the pointer through a shared reference.
unsafe impl Sync for Attached {}

impl Drop for Attached {
    fn drop(&mut self) {
        if self.started {
            // SAFETY: the port is attached and started, and no queue of it is left (each keeps its device).
            unsafe { dpdk_sys::rte_eth_dev_stop(self.id) };
        }
        // SAFETY: the port is stopped; it is not used after this.
        unsafe { dpdk_sys::rte_eth_dev_close(self.id) };
        if self.alone && !self.device.is_null() {
            // SAFETY: the device is still on its bus (only this takes it off), and its only port is closed.
            unsafe { dpdk_sys::rte_dev_remove(self.device) };
        }
    }
}
