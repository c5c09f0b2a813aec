//! TCP as pure state machines: segments and time in, segments and deadlines out.
//!
//! No clock, no IO, no `unsafe`. A [`Connection`] is driven by its owner, who brings the time with every call:
//!
//! ```text
//!   segment  → handle_segment ─┐                        ┌─ read · peer_finished
//!   deadline → handle_timeout ─┼→ Connection → Signals →┤
//!   ICMP     → handle_icmp    ─┘      │                 └─ write · shutdown · abort
//!                                     └→ poll_transmit, until it gives None → headers and payload slices
//! ```
//!
//! After *any* call that may change something, call [`Connection::poll_transmit`] until it gives `None`, then ask
//! [`Connection::deadline`]: it lies in the future then. Payload is never copied: what comes in is sliced and handed
//! on, what goes out is a list of slices, so a [`Payload`] is cheap to clone (`bytes::Bytes`, a counted packet buffer).
//!
//! What must hold: input from the wire never panics, never allocates or loops without bound (`limits.rs` has every
//! bound and its reason); every way a segment can be refused has a name ([`Discard`]).
//!
//! Left out: demultiplexing, listening queues and SYN cookies (the owner of the flow table decides who may open),
//! IP (checksums are offered in [`checksum`], headers are the caller's), TCP Fast Open and multipath (a middle must not
//! add what the ends did not agree on).

pub mod checksum;

mod acknowledge;
mod challenge;
mod config;
mod congestion;
mod connection;
mod discard;
mod ecn;
mod icmp;
mod info;
mod isn;
mod limits;
mod mirror;
mod open;
mod options;
mod payload;
mod reassembly;
mod receive;
mod recovery;
mod reset;
mod rtt;
mod scoreboard;
mod segment;
mod send_buffer;
mod seq;
mod state;
mod time;
mod timers;
mod transmit;
mod window;

pub use config::{Config, KeepAlive};
pub use congestion::Algorithm;
pub use connection::{Connection, Error, Signals};
pub use discard::Discard;
pub use icmp::{IcmpError, IcmpKind};
pub use info::Info;
pub use isn::IsnGenerator;
pub use open::{Opening, PeerSyn, TimestampClock};
pub use options::{Options, SackBlocks, Timestamp};
pub use payload::Payload;
pub use reset::reset_for;
pub use segment::{Ecn, Flags, Header, ParseError, Segment};
pub use seq::SeqNumber;
pub use state::State;
pub use time::Instant;
