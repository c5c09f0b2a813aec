//! All bounds of the proxies, with the reason of each: times, and how much work is done in one go.
//!
//! Memory has no bound here because no proxy holds any: bytes wait in the streams, whose windows the host bounds.

use std::time::Duration;

/// Chunks moved in one direction before the relay gives way to the other sessions of its core.
///
/// 64 chunks are about two full bursts of a port: enough to keep a fast stream busy from turn to turn, little enough
/// that a thousand sessions each get theirs within a millisecond.
pub const RELAY_CHUNKS_PER_POLL_MAX: usize = 64;

/// How long a reset waits behind the bytes that came before it.
///
/// A server that answers and then resets (request not read to its end) is understood only if the answer arrives first.
/// Three seconds are two losses of a first retransmission; a peer that takes nothing in that time gets the reset alone.
pub const RESET_LINGER_MAX: Duration = Duration::from_secs(3);

/// How long both FINs may stay unacknowledged without any byte being acknowledged either.
///
/// Linux keeps an orphaned FIN-WAIT-1 for about this long (`tcp_fin_timeout`). Applies when the session's own idle time is longer.
pub const FINISH_MAX: Duration = Duration::from_secs(60);

/// How often within its idle time a relay looks whether a slow reader still takes what is held for it.
///
/// Acknowledgements do not wake a proxy; eight looks make the idle time exact to an eighth and cost next to nothing.
pub const IDLE_LOOKS: u32 = 8;

/// But not more often than this, however short the idle time: one tick of the gateway's timers.
pub const IDLE_LOOK_MIN: Duration = Duration::from_millis(1);

/// Bytes that a rate saves up before it lets more pass: a full segment of an ordinary path.
pub const GATE_QUANTUM: u64 = 1_460;

/// And no wake-up sooner than this, however high the rate: one tick of the gateway's timers.
pub const GATE_WAIT_MIN: Duration = Duration::from_millis(1);
