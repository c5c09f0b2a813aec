//! Verification of Internet checksums (RFC 1071), with a pseudo header and without.
//!
//! The arithmetic is `tcp::checksum`; a message is right when the sum over all of it, its own field included, is zero.

use std::net::IpAddr;

use tcp::checksum;

/// Is the checksum of a message over IP right (its own field included in the sum)?
pub(super) fn is_good(message: &[u8], source: IpAddr, destination: IpAddr, protocol: u8) -> bool {
    checksum::finish(checksum::sum(message, pseudo_header(source, destination, protocol, message.len()))) == 0
}

/// Is the checksum of a message without pseudo header right?
pub(super) fn is_good_alone(message: &[u8]) -> bool {
    checksum::finish(checksum::sum(message, 0)) == 0
}

/// The pseudo header's share of the sum; no message is longer than IP can carry.
pub(super) fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, len: usize) -> u64 {
    checksum::pseudo_header(source, destination, protocol, u32::try_from(len).unwrap_or(u32::MAX))
}
