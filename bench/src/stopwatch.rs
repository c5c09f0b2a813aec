//! Time as a bench needs it: the machine's clock, in nanoseconds.
//!
//! Cycles are computed from time and the frequency of the time-stamp counter ([`crate::machine`]), which is what the
//! gateway's own accounting counts; reading the clock twice costs some 40 ns, so callers time bursts and turns, not
//! single calls.

use std::time::{Duration, Instant};

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "certificates of a bench are of today")]
pub(crate) fn unix_time() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}

/// A running clock.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// The same in nanoseconds.
    pub(crate) fn nanos(self) -> u64 {
        self.elapsed().as_nanos() as u64
    }
}
