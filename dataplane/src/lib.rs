//! Packets to bytes to packets, one core at a time.
//!
//! The way of a packet is [`worker`]; what it passes on that way are the modules below it, in that order. Nothing is
//! shared between workers but immutable snapshots of the policy, the tproxy table and channels.
//!
//! ```text
//! nic → packet → flow (found) ────────────→ socket (tcp) → stream → proxy task → stream → socket (tcp) → nic
//!              └ classify (new) → session ┘  forward · local · neighbour · icmp_error
//! ```

pub mod classify;
pub mod cli;
pub mod clock;
pub mod counters;
pub mod flow;
pub mod forward;
pub mod icmp_error;
pub mod limits;
pub mod local;
pub mod neighbour;
pub mod nic;
pub mod packet;
pub mod route;
pub mod run;
pub mod session;
pub mod socket;
pub mod stream;
pub mod task;
pub mod timers;
pub mod worker;
