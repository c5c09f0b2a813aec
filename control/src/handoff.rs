//! Sockets for other programs: over `control.handoff` a program in any language binds, assigns, sets flags, listens and
//! connects, and is handed ordinary file descriptors that carry the flows. `control/HANDOFF.md` is its manual.
//!
//! ```text
//! core            stream ⇄ task ──┐ pieces and credits, crossbeam ┌── reader, writer ⇄ AF_UNIX pair ⇄ program
//!                                 └───────── [`link`] ────────────┘
//! thread handoff  accepts programs, serves what they ask, moves bytes: [`programs`], [`program`], [`switch`], [`flow`]
//! control thread  does the tproxy requests, as for everybody else
//! ```
//!
//! What must hold: no core ever makes a system call for a program, waits for one, or holds more than
//! [`limits::FLOW_PIECES`](crate::limits::FLOW_PIECES) of its pieces; a program that ends takes its entries with it; whoever
//! is refused is told by an errno. A socket of datagrams is one descriptor (`datagram`, `queue`), whose packets begin
//! with both addresses; its flows are the cores'.

mod client;
mod datagram;
mod flow;
mod link;
mod program;
mod programs;
mod queue;
mod socket;
mod switch;
mod wire;

pub use client::{Accepted, Client, ClientError, Event};
pub use datagram::{Datagrams, Header};
pub use link::{CoreEnd, FromFlow, FromSocket, ToFlow, ToSocket, cost};
pub use wire::{Ask, PROTOCOL};

pub(crate) use programs::open;

#[cfg(test)]
mod tests;
