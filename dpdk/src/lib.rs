//! Safe owners for DPDK: the environment, ports, queues, packet memory. The only crate with `unsafe` code.
//!
//! What must hold: wrong use does not compile where a type can say so. An [`Eal`] stays on the thread that made it;
//! a [`Queue`] has one owner; an [`Mbuf`] is the only reference to its buffer until it is given up for counted,
//! read-only [`MbufSlice`]s. Owners keep what they need alive: a queue its port, a port its pools, all of them the EAL.
//!
//! In the order of use:
//!
//! ```text
//! Eal::init → Pool::new (one a worker) → Port::attach (device string, settings, pools) → Port::queue(i) → launch
//! worker:  Queue::receive → Mbuf → … → Burst → Queue::send
//! ```
//!
//! Left out: everything that only newer releases than 22.11 have, secondary processes, flow rules, hardware crypto.

pub mod limits;

mod burst;
mod device;
mod device_string;
mod diagnose;
mod eal;
mod error;
mod hugepages;
mod lcore;
mod log;
mod mbuf;
mod plan;
mod pool;
mod port;
mod queue;
mod quirks;
mod stats;
mod time;

pub use burst::Burst;
pub use device::Device;
pub use device_string::{kernel_interface, names_pci};
pub use eal::{Eal, HugePages, Options};
pub use error::Error;
pub use lcore::{Lcore, allowed_cpus};
pub use mbuf::{Checksum, Full, Mbuf, MbufSlice, Transmit};
pub use plan::{Offloads, Settings};
pub use pool::Pool;
pub use port::Port;
pub use queue::Queue;
pub use stats::{Link, Stats};
pub use time::{cycles, cycles_per_second};
