//! Token buckets: so many a second, so many at once.
//!
//! Kept as the one time at which the bucket is full again (GCRA, ITU-T I.371 annex A): eight bytes of state, no division
//! and no timer, and a bucket that was never used is a zero.

use std::time::Duration;

use tcp::Instant;

/// So many a second, so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval: Duration,
    depth: Duration,
}

impl Rate {
    /// `per_second` and `burst` are at least 1.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        assert!(
            per_second >= 1 && per_second <= 1_000_000 && burst >= 1,
            "a rate is between 1/s and one a microsecond"
        );
        let interval = Duration::from_micros(1_000_000 / per_second as u64);
        Self { interval, depth: Duration::from_micros(interval.as_micros() as u64 * (burst as u64 - 1)) }
    }

    /// Takes a token out of the bucket that is full again at `full`; `false`: there is none.
    pub fn take(&self, full: &mut Instant, now: Instant) -> bool {
        let from = now.max(*full);
        if from - now > self.depth {
            return false;
        }
        *full = from + self.interval;
        true
    }
}

/// A rate and its one bucket.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    rate: Rate,
    full: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub const fn new(rate: Rate) -> Self {
        Self { rate, full: Instant::ZERO }
    }

    /// Takes a token; `false`: there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        self.rate.take(&mut self.full, now)
    }
}

#[cfg(test)]
mod tests;
