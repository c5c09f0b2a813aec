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
//! Before a connection and after it there is less to remember: a [`Listener`] answers SYNs from a table of compact records,
//! or by [`SynCookies`], and gives a [`Connection`] when the handshake is complete; an [`Embryo`] is the handshake of two others
//! that a gateway passes on; [`Connection::into_time_wait`] leaves a
//! [`TimeWait`] of 64 bytes. Both are driven like a connection.
//!
//! Left out: demultiplexing (the owner of the flow table knows which connection or listener a segment is for),
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
mod embryo;
mod icmp;
mod info;
mod isn;
mod lazy;
mod limits;
mod listen;
mod mirror;
mod open;
mod options;
mod path_mtu;
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
mod shift;
mod state;
mod syn_cookie;
mod time;
mod time_wait;
mod timers;
mod transmit;
mod window;

pub use config::{Config, KeepAlive};
pub use congestion::Algorithm;
pub use connection::{Clocks, Connection, Error, Signals, Standing};
pub use discard::Discard;
pub use embryo::{Due, Embryo, FromClient, FromServer, Stage, handshake_reset};
pub use icmp::{IcmpError, IcmpKind};
pub use info::Info;
pub use isn::IsnGenerator;
pub use listen::{ListenConfig, Listener, Outcome, Refusal};
pub use open::{CompactSyn, Opening, PeerSyn, TimestampClock};
pub use options::{Options, Order, SackBlocks, Timestamp};
pub use payload::Payload;
pub use reset::reset_for;
pub use segment::{Ecn, Flags, Header, ParseError, Segment};
pub use seq::SeqNumber;
pub use shift::{Mismatch, Shift};
pub use state::State;
pub use syn_cookie::{Flow, Proof, SynCookies};
pub use time::Instant;
pub use time_wait::{Lingering, TimeWait};
