//! Time as the caller tells it: microseconds since a start that only the caller knows.
//!
//! Nothing in this crate reads a clock; tests and the simulator run on virtual time. Differences saturate at zero, so
//! a caller whose clock steps back gets late timers, not a panic.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A moment, in microseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The start.
    pub const ZERO: Instant = Instant(0);

    /// Later than everything.
    pub(crate) const NEVER: Instant = Instant(u64::MAX);

    /// `micros` microseconds after the start.
    pub const fn from_micros(micros: u64) -> Instant {
        Instant(micros)
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the start: the tick of timestamp clocks.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Milliseconds modulo 2^32: enough to tell ages of up to 49 days apart in four bytes.
    #[expect(clippy::cast_possible_truncation, reason = "it is modulo 2^32")]
    pub(crate) const fn tick(self) -> u32 {
        self.as_millis() as u32
    }

    /// Microseconds modulo 2^32 that say `at`, which is not before this, and not more than 71 minutes after.
    #[expect(clippy::cast_possible_truncation, reason = "it is modulo 2^32")]
    pub(crate) const fn modulo(self, at: Instant) -> u32 {
        let distance = at.0.saturating_sub(self.0);
        self.0.wrapping_add(if distance > u32::MAX as u64 { u32::MAX as u64 } else { distance }) as u32
    }

    /// The moment, not before this, that those microseconds say.
    #[expect(clippy::cast_possible_truncation, reason = "it is modulo 2^32")]
    pub(crate) const fn after(self, micros: u32) -> Instant {
        Instant(self.0.saturating_add(micros.wrapping_sub(self.0 as u32) as u64))
    }

    /// Time since `earlier`; zero if `earlier` is later.
    pub const fn saturating_sub(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Microseconds in 64 bits, without the detour over 128.
fn micros(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(duration.subsec_micros()))
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(micros(duration)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_sub(earlier)
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_sub(micros(duration)))
    }
}

#[cfg(test)]
mod tests;
