//! Packets to bytes to packets, one core at a time.
//!
//! The way of a packet is [`worker`]; what it passes on that way are the modules below it, in that order. Nothing is
//! shared between workers but immutable snapshots of the policy, the tproxy table and channels.
//!
//! ```text
//! nic → packet → flow (found) ────────────→ socket (tcp) → stream → proxy task → stream → socket (tcp) → nic
//!              └ classify (new) → session ┘  forward · local · neighbour · icmp_error
//! ```

pub mod answer;
pub mod classify;
pub mod cli;
pub mod clock;
pub mod counters;
pub mod datagrams;
pub mod exception;
pub(crate) mod facts;
pub mod flow;
pub mod forward;
mod handoff;
pub mod icmp_error;
pub mod interface;
pub mod limits;
pub mod link;
pub mod local;
pub mod log;
pub mod mail;
pub mod modules;
mod nat;
pub mod neighbour;
pub mod nic;
pub mod packet;
pub mod piece;
pub mod random;
pub mod reassembly;
pub mod related;
pub mod route;
pub mod run;
pub mod session;
pub mod socket;
pub mod splice;
pub mod step;
pub mod stream;
pub mod task;
pub mod terminate;
pub mod timers;
pub mod worker;
