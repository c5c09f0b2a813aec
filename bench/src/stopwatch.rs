//! Time as a bench needs it: the machine's clock, in nanoseconds, and what a cycle is.
//!
//! Cycles are computed from time and the frequency of the time-stamp counter, which is what the gateway's own
//! accounting counts; reading the clock twice costs some 40 ns, so callers time bursts and turns, not single calls.

use std::time::{Duration, Instant};

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

/// Cycles of the time-stamp counter in a second: as the kernel found it, else as the processor is marked.
pub(crate) fn cycles_per_second() -> Result<f64, String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").map_err(|error| format!("/proc/cpuinfo: {error}"))?;
    let mhz = text.lines().find_map(|line| line.strip_prefix("cpu MHz")?.split(':').nth(1)?.trim().parse::<f64>().ok());
    mhz.map(|mhz| mhz * 1e6).ok_or_else(|| "/proc/cpuinfo does not say how fast the processor is".to_owned())
}
