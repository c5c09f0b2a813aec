//! Initial sequence numbers (RFC 6528), for connections whose numbers are not mirrored from another end.
//!
//! "ISN = M + F(localip, localport, remoteip, remoteport, secretkey)", M a clock that ticks every 4 microseconds and F
//! a keyed hash: who does not know the key cannot guess the number of somebody else's connection, and numbers of one
//! tuple still grow, so that a new incarnation is told from the old one (RFC 6191, TIME-WAIT reuse).

use std::hash::Hasher;
use std::net::SocketAddr;

use siphasher::sip::SipHasher24;

use crate::seq::SeqNumber;
use crate::time::Instant;

/// Gives initial sequence numbers; one secret per process is enough.
#[derive(Clone)]
pub struct IsnGenerator {
    hasher: SipHasher24,
}

impl std::fmt::Debug for IsnGenerator {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IsnGenerator")
    }
}

impl IsnGenerator {
    /// `key` must come from a source nobody can guess.
    #[must_use]
    pub fn new(key: [u8; 16]) -> IsnGenerator {
        IsnGenerator { hasher: SipHasher24::new_with_key(&key) }
    }

    /// The number for a SYN from `src` to `dst` now.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "sequence numbers are modulo 2^32")]
    pub fn isn(&self, now: Instant, src: SocketAddr, dst: SocketAddr) -> SeqNumber {
        let clock = (now.as_micros() / 4) as u32;
        SeqNumber(clock.wrapping_add(self.hash(src, dst, b'i') as u32))
    }

    /// The offset of a timestamp clock for this pair. RFC 7323, 5.4: "it is therefore RECOMMENDED to add a random
    /// offset to the timestamp clock on a per-connection basis"; the same for one tuple, so that PAWS holds across
    /// incarnations.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "timestamps are modulo 2^32")]
    pub fn timestamp_offset(&self, src: SocketAddr, dst: SocketAddr) -> u32 {
        self.hash(src, dst, b't') as u32
    }

    fn hash(&self, src: SocketAddr, dst: SocketAddr, purpose: u8) -> u64 {
        let mut hasher = self.hasher;
        hasher.write_u8(purpose);
        for address in [src, dst] {
            match address {
                SocketAddr::V4(v4) => hasher.write(&v4.ip().octets()),
                SocketAddr::V6(v6) => hasher.write(&v6.ip().octets()),
            }
            hasher.write_u16(address.port());
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests;
