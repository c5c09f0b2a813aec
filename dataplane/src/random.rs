//! A core's random choices: one seeded generator, so that the same seed gives the same run.
//!
//! SipHash of a counter: what it has given (a source port, say) tells nothing about what it will give or has given
//! before (the key of the sequence numbers, say).

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// A generator.
#[derive(Clone, Debug)]
pub struct Random {
    key: (u64, u64),
    drawn: u64,
}

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self { key: (seed, seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15), drawn: 0 }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.drawn += 1;
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write_u64(self.drawn);
        hasher.finish()
    }

    /// A number below `bound` (> 0); the bias of the multiplication is below 2⁻³² for the bounds used here.
    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.next_u64() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// A key for a keyed hash.
    pub fn key(&mut self) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.next_u64().to_le_bytes());
        key[8..].copy_from_slice(&self.next_u64().to_le_bytes());
        key
    }
}
