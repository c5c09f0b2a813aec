//! The Internet checksum (RFC 1071), shared by IP, TCP, UDP and ICMP.
//!
//! The running sum is kept in the machine's own byte order (RFC 1071, 2.B: "the sum of 16-bit integers can be computed
//! in either byte order") and turned around once, in [`finish`]. A plain loop over 4-byte words: the compiler makes
//! vector code of it.

use std::net::IpAddr;

/// Adds `bytes` to a running sum. Every piece but the last must have even length; for others use [`Pieces`].
#[must_use]
pub fn sum(bytes: &[u8], mut acc: u64) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        acc += u64::from(u32::from_ne_bytes(*word));
    }
    match *rest {
        [] => acc,
        [a] => acc + u64::from(u16::from_ne_bytes([a, 0])),
        [a, b] => acc + u64::from(u16::from_ne_bytes([a, b])),
        [a, b, c, ..] => acc + u64::from(u16::from_ne_bytes([a, b])) + u64::from(u16::from_ne_bytes([c, 0])),
    }
}

/// The checksum of what was summed: write it with `to_be_bytes`. Zero for a packet whose checksum is right and was
/// summed too.
#[must_use]
pub fn finish(acc: u64) -> u16 {
    u16::from_be(!fold(acc))
}

/// The sum over the pseudo header of RFC 9293, 3.1 (IPv4) or RFC 8200, 8.1 (IPv6), for a payload of `len` bytes.
/// The families of the two addresses must be the same.
#[must_use]
pub fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, len: u32) -> u64 {
    let acc = match src {
        IpAddr::V4(address) => sum(&address.octets(), 0),
        IpAddr::V6(address) => sum(&address.octets(), 0),
    };
    let acc = match dst {
        IpAddr::V4(address) => sum(&address.octets(), acc),
        IpAddr::V6(address) => sum(&address.octets(), acc),
    };
    sum(&[0, 0, 0, protocol], sum(&len.to_be_bytes(), acc))
}

/// A sum over pieces of any length, as a scattered payload has them.
#[derive(Clone, Copy, Debug)]
pub struct Pieces {
    acc: u64,
    odd: bool,
}

impl Pieces {
    /// Goes on from a sum over an even number of bytes.
    #[must_use]
    pub fn new(acc: u64) -> Pieces {
        Pieces { acc, odd: false }
    }

    /// Adds the next piece.
    pub fn add(&mut self, bytes: &[u8]) {
        let piece = fold(sum(bytes, 0));
        // A piece that starts at an odd place has its bytes the other way round in every word (RFC 1071, 2.B).
        self.acc += u64::from(if self.odd { piece.swap_bytes() } else { piece });
        self.odd ^= bytes.len() % 2 == 1;
    }

    /// The running sum, for [`finish`].
    #[must_use]
    pub fn acc(self) -> u64 {
        self.acc
    }
}

#[expect(clippy::cast_possible_truncation, reason = "folded below 2^16")]
fn fold(mut acc: u64) -> u16 {
    acc = (acc & 0xffff_ffff) + (acc >> 32);
    acc = (acc & 0xffff_ffff) + (acc >> 32);
    acc = (acc & 0xffff) + (acc >> 16);
    acc = (acc & 0xffff) + (acc >> 16);
    acc = (acc & 0xffff) + (acc >> 16);
    acc as u16
}

#[cfg(test)]
mod tests;
