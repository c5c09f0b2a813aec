//! A bucket that fills with time: `-m limit`, and each group of hashlimit.
//!
//! The bucket is kept as one number, the time at which it will be full again (the "theoretical arrival time" of GCRA).
//! Time until then is what is missing; a flow that costs so much time passes when no more than the bucket holds would be
//! missing afterwards. That is Linux' credit counting without its rounding, in one word that cores change by
//! compare-and-swap.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::policy::tuple::Moment;
use crate::rules::Limit;

/// Attempts at the word before a core takes it that others have emptied the bucket.
const ATTEMPTS: usize = 16;
/// Nanoseconds of iptables' unit of rates, a ten-thousandth of a second.
const UNIT_NS: u64 = 100_000;

/// The bucket of a rule.
#[derive(Debug)]
pub(in crate::policy) struct Rate {
    full_at: AtomicU64,
    /// Nanoseconds that one flow costs.
    cost: u64,
    /// Nanoseconds that the bucket holds.
    depth: u64,
}

impl Rate {
    pub(in crate::policy) fn new(limit: Limit) -> Rate {
        let cost = u64::from(limit.period) * UNIT_NS;
        Rate { full_at: AtomicU64::new(0), cost, depth: cost.saturating_mul(u64::from(limit.burst)) }
    }

    /// Takes one flow's worth out, if it is there; only looks when `acts` is false.
    pub(in crate::policy) fn take(&self, at: Moment, acts: bool) -> bool {
        take(&self.full_at, nanos(at), self.cost, self.depth, acts)
    }
}

/// Nanoseconds of a moment, from 1 on: 0 is the word of a bucket that was never used.
pub(super) fn nanos(at: Moment) -> u64 {
    at.micros.saturating_mul(1_000).saturating_add(1)
}

/// Takes `cost` out of a bucket of `depth`, if it is there.
pub(super) fn take(full_at: &AtomicU64, now: u64, cost: u64, depth: u64, acts: bool) -> bool {
    let mut seen = full_at.load(Ordering::Relaxed);
    for _ in 0..ATTEMPTS {
        let after = seen.max(now).saturating_add(cost);
        if after - now > depth {
            return false;
        }
        if !acts {
            return true;
        }
        match full_at.compare_exchange_weak(seen, after, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(other) => seen = other,
        }
    }
    false
}
