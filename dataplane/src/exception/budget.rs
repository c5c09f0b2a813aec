//! How much may go each way between the worker and the kernel: so many packets and so many bytes a second.
//!
//! Two token buckets filled by the microsecond, without a division; what is over the rate is the caller's to drop or to
//! leave where it is. A bucket holds ten milliseconds' worth, and never less than a burst of full frames, so that what
//! comes in bursts is not cut up by a rate that would let it through.

use tcp::Instant;

/// Tokens are counted in millionths: a rate is millionths a microsecond.
const WHOLE: i64 = 1_000_000;
/// What a bucket holds: this share of a second's worth.
const SHARE: u64 = 100;
/// Packets that a bucket holds at least: two bursts.
const PACKETS_MIN: u64 = 64;
/// Bytes that a bucket holds at least: as many full frames.
const BYTES_MIN: u64 = 64 * 1_514;

/// What may still go one way.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    packets: Bucket,
    bytes: Bucket,
    filled: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Less than none: what has gone already is to be made up for.
    tokens: i64,
    rate: i64,
    most: i64,
}

impl Budget {
    /// So many packets and bytes a second.
    pub fn new(packets_per_second: u32, bytes_per_second: u64) -> Self {
        let packets = Bucket::new(u64::from(packets_per_second), PACKETS_MIN);
        Self { packets, bytes: Bucket::new(bytes_per_second, BYTES_MIN), filled: Instant::ZERO }
    }

    /// Takes a packet of `len` bytes out; false: there is not enough left, and nothing was taken.
    pub fn take(&mut self, now: Instant, len: usize) -> bool {
        self.fill(now);
        let (packet, bytes) = (WHOLE, len as i64 * WHOLE);
        let enough = self.packets.tokens >= packet && self.bytes.tokens >= bytes;
        if enough {
            self.packets.tokens -= packet;
            self.bytes.tokens -= bytes;
        }
        enough
    }

    /// Is there anything left?
    pub fn has_some(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.packets.tokens >= WHOLE && self.bytes.tokens >= WHOLE
    }

    /// Accounts for a packet that has gone already. Whoever asks [`Budget::has_some`] before a burst owes a burst at most,
    /// and is not heard again before that is made up for.
    pub fn charge(&mut self, now: Instant, len: usize) {
        self.fill(now);
        self.packets.tokens -= WHOLE;
        self.bytes.tokens -= len as i64 * WHOLE;
    }

    fn fill(&mut self, now: Instant) {
        // A second fills any bucket; longer pauses must not overflow.
        let micros = (now - self.filled).as_micros().min(1_000_000) as i64;
        self.filled = self.filled.max(now);
        self.packets.fill(micros);
        self.bytes.fill(micros);
    }
}

impl Bucket {
    fn new(rate: u64, least: u64) -> Self {
        let most = (rate / SHARE).max(least) as i64 * WHOLE;
        Self { tokens: most, rate: rate as i64, most }
    }

    fn fill(&mut self, micros: i64) {
        self.tokens = self.most.min(self.tokens + micros * self.rate);
    }
}

#[cfg(test)]
mod tests;
