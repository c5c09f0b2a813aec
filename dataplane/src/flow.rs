//! Flows: how packets of one conversation are found again.
//!
//! [`key`] names a direction of a conversation, [`table`] finds what is known of it, [`tracking`] follows the
//! conversations that are only forwarded. What a flow *does* is its owner's value in the table: sockets, forwarding,
//! a drop. Nothing in here knows the clock or sends packets.

pub mod key;
pub mod table;
pub mod tracking;

pub use key::Key;
pub use table::{FlowId, Table};
