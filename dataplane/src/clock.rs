//! Where the time comes from: read once per turn by whoever drives a worker, handed on as an argument from there.
//!
//! On a core it is the time stamp counter, which costs no system call; in tests and tools without one, the operating
//! system's monotonic clock; in the simulator nothing but a number that is moved by hand. What must hold: it never
//! runs backwards, and starts a little after zero so that "before the start" can be told.

use std::cell::Cell;
use std::rc::Rc;

use tcp::Instant;

/// Microseconds between the start of time and the start of a clock: RFC 7323 timestamps and PAWS compare backwards.
const START: u64 = 1_000_000;

/// Bits behind the point of microseconds per cycle: a year is right to a millisecond.
const FRACTION: u32 = 48;

/// A source of time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// Cycles at the start, and microseconds per cycle in units of 2^-[`FRACTION`].
    Cycles {
        start: u64,
        micros_per_cycle: u64,
    },
    Monotonic {
        start: std::time::Instant,
    },
    Virtual(Rc<Cell<Instant>>),
}

impl Clock {
    /// The time stamp counter; the environment (EAL) must be up, for it measures the counter's rate.
    ///
    /// Falls back to the monotonic clock where no rate is known.
    #[must_use]
    pub fn cycles() -> Clock {
        match dpdk::cycles_per_second() {
            0 => Clock::monotonic(),
            rate => Clock(Source::Cycles { start: dpdk::cycles(), micros_per_cycle: micros_per_cycle(rate) }),
        }
    }

    /// The operating system's monotonic clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where time comes in")]
    pub fn monotonic() -> Clock {
        Clock(Source::Monotonic { start: std::time::Instant::now() })
    }

    /// Time that stands still until it is moved: by setting the cell, which the caller keeps.
    #[must_use]
    pub fn manual() -> (Clock, Rc<Cell<Instant>>) {
        let now = Rc::new(Cell::new(Instant::from_micros(START)));
        (Clock(Source::Virtual(Rc::clone(&now))), now)
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::Cycles { start, micros_per_cycle } => {
                // Counters of two cores may differ by a little; they never count as going back.
                let cycles = dpdk::cycles().saturating_sub(*start);
                Instant::from_micros(START + micros(cycles, *micros_per_cycle))
            }
            Source::Monotonic { start } => {
                Instant::from_micros(START + u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX - START))
            }
            Source::Virtual(now) => now.get(),
        }
    }
}

impl Clock {
    /// What the wall's clock (UTC, seconds since 1970) said when this one stood at zero; 1970 itself for a clock that
    /// is moved by hand. Asked again now and then, for the wall's clock is set by people and by NTP.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where time comes in")]
    pub fn unix_at_zero(&self) -> i64 {
        if matches!(self.0, Source::Virtual(_)) {
            return 0;
        }
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let wall = wall.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        wall.saturating_sub_unsigned(self.now().as_micros() / 1_000_000)
    }
}

fn micros_per_cycle(cycles_per_second: u64) -> u64 {
    u64::try_from((1_000_000u128 << FRACTION) / u128::from(cycles_per_second)).unwrap_or(u64::MAX)
}

fn micros(cycles: u64, micros_per_cycle: u64) -> u64 {
    ((u128::from(cycles) * u128::from(micros_per_cycle)) >> FRACTION) as u64
}

#[cfg(test)]
mod tests;
