//! The simulator: the whole gateway, worker and control included, in memory and on virtual time.
//!
//! ```text
//!   hosts ── cables ── ports ┐                       ┌ ports ── cables ── hosts
//!   (app, tcp, IP, ARP)      ├ Worker ── mail ── Engine      (loss, reorder, duplication, delay, damage, rate)
//!                            └───────── World ───────┘
//! ```
//!
//! A [`World`] moves the clock from event to event. All choices come from one seed
//! ([`seed::for_each_seed`]), so a failing run is a number. The hosts are not the gateway's code: they read and write
//! frames by themselves and check every sum; only their TCP is the crate `tcp`, whose other oracle is Linux.
//!
//! Left out: several workers (steering between cores is a matter of ports and rings, which the simulator has not).

pub mod app;
pub mod frame;
pub mod gateway;
pub mod host;
pub mod link;
pub mod seed;
pub mod town;
pub mod world;

pub use app::{Pattern, Progress, Step};
pub use gateway::Gateway;
pub use host::Host;
pub use link::Conditions;
pub use seed::{Random, for_each_seed};
pub use town::Town;
pub use world::{ConnectionId, HostId, World};
