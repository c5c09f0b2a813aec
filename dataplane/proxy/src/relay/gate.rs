//! What one direction of a relay may pass: so many bytes in all, and so many a second.
//!
//! The rate is a token bucket on the host's time: it fills with `rate` bytes a second up to `burst`, every byte passed
//! takes one. Nothing is dropped: what may not pass yet is put back into its stream, so that its sender's window closes.
//! An empty bucket opens again when it has enough for a segment, not for each byte.

use std::time::Duration;

use crate::limits::{GATE_QUANTUM, GATE_WAIT_MIN};

/// Bytes a second, and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes a second, at least one.
    pub bytes_per_s: u64,
    /// Bytes that may pass at once after a pause, at least one.
    pub burst: u64,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    bytes_left: Option<u64>,
    bucket: Option<Bucket>,
    /// Closed until then.
    closed_until: Option<Duration>,
    waited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    rate: Rate,
    tokens: u64,
    /// Up to when the tokens are counted.
    at: Duration,
}

impl Gate {
    /// A gate with a full bucket; none where nothing is limited.
    #[must_use]
    pub fn new(bytes_max: Option<u64>, rate: Option<Rate>, now: Duration) -> Option<Gate> {
        if bytes_max.is_none() && rate.is_none() {
            return None;
        }
        let bucket = rate.map(|rate| Bucket { rate, tokens: rate.burst, at: now });
        Some(Gate { bytes_left: bytes_max, bucket, closed_until: None, waited: false })
    }

    /// Is there something to pass at this time? If not, [`Gate::closed_until`] says when there will be.
    pub(super) fn is_open(&mut self, now: Duration) -> bool {
        let Some(bucket) = &mut self.bucket else { return true };
        bucket.fill(now);
        let wait = bucket.wait();
        if let Some(wait) = wait {
            self.waited = true;
            self.closed_until = Some(now.saturating_add(wait.max(GATE_WAIT_MIN)));
        }
        wait.is_none()
    }

    /// Before it is asked again: whether it is closed is not known.
    pub(super) fn look_anew(&mut self) {
        self.closed_until = None;
    }

    /// Until when it is closed, as [`Gate::is_open`] found.
    pub(super) fn closed_until(&self) -> Option<Duration> {
        self.closed_until
    }

    /// How many of so many bytes may pass now; they are taken as passed.
    pub(super) fn pass(&mut self, bytes: usize) -> usize {
        let mut pass = bytes as u64;
        if let Some(left) = &mut self.bytes_left {
            pass = pass.min(*left);
        }
        if let Some(bucket) = &mut self.bucket {
            pass = pass.min(bucket.tokens);
            bucket.tokens -= pass;
        }
        if let Some(left) = &mut self.bytes_left {
            *left -= pass;
        }
        pass as usize
    }

    /// Has all passed that may in all?
    pub(super) fn is_used_up(&self) -> bool {
        self.bytes_left == Some(0)
    }

    /// Lets the last bytes of a side that is gone pass at once; how many in all stays.
    pub(super) fn hurry(&mut self) {
        (self.bucket, self.closed_until) = (None, None);
    }

    /// Was it ever closed?
    pub(super) fn has_waited(&self) -> bool {
        self.waited
    }
}

impl Bucket {
    fn fill(&mut self, now: Duration) {
        let Rate { bytes_per_s, burst } = self.rate;
        let elapsed = now.saturating_sub(self.at).as_nanos();
        let new = elapsed * u128::from(bytes_per_s) / 1_000_000_000;
        if u128::from(self.tokens) + new >= u128::from(burst) {
            (self.tokens, self.at) = (burst, now);
        } else {
            // Only the time of whole bytes is used up: slow buckets fill too, however often one looks.
            self.tokens += new as u64;
            self.at += time(new, bytes_per_s);
        }
    }

    /// How long until there is enough; none: there is.
    fn wait(&self) -> Option<Duration> {
        let enough = self.rate.burst.min(GATE_QUANTUM);
        let missing = enough.checked_sub(self.tokens).filter(|missing| *missing > 0)?;
        // What is counted lies up to one byte's time back: waking a moment too late is cheaper than twice.
        Some(time(u128::from(missing), self.rate.bytes_per_s) + Duration::from_nanos(1))
    }
}

/// How long so many bytes take.
fn time(bytes: u128, bytes_per_s: u64) -> Duration {
    let nanos = bytes * 1_000_000_000 / u128::from(bytes_per_s.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
