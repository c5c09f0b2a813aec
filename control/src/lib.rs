//! What the operator wants, made into something a core can look up.
//!
//! ```text
//! YAML ─ config ─┐                            ┌ tproxy table ─┐
//!                ├→ Config → Policy ──────────┤               ├→ read by every core, without locks
//! rules ─ rules ─┘   (all faults at once)     └ mailbox ──────┘
//!                                                 ↑ thread: requests, server, metrics, reload
//! ```
//!
//! - [`config`] reads the file and reports every fault with its line and column; [`rules`] reads the rules in it.
//! - [`Policy`] is the immutable result. [`Policy::decide`] is the only code that decides about a flow; `explain` and
//!   the cores run the same lines.
//! - [`tproxy`] is the table of foreign addresses and the one writer that changes it.
//! - [`engine`] answers requests, [`thread`] gives it sockets and signals.
//!
//! Nothing here touches packets, and nothing the cores call allocates, locks or waits.

pub mod client;
pub mod config;
pub mod engine;
pub mod faults;
pub mod handoff;
pub mod limits;
pub mod mailbox;
pub mod metrics;
pub mod modules;
pub mod policy;
pub mod prefix;
pub mod reload;
pub mod requests;
pub mod rollback;
pub mod rules;
pub mod server;
pub mod thread;
pub mod tproxy;

pub use config::Config;
pub use engine::Engine;
pub use faults::{Fault, Faults, Place};
pub use policy::{
    Accept, Decision, DropReason, EntryMatch, Explanation, Interface, InterfaceId, Listener, ListenerId, Memory,
    NewFlow, NoTrace, PacketFacts, Policy, Proxy, RejectKind, Route, Router, RuleRef, Service, ServiceId, Source,
    Trace, Verdict, Zone, ZoneId,
};
