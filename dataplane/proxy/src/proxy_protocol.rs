//! The PROXY protocol: what is said to a server ahead of the client's bytes, so that it knows client and destination.
//!
//! By the specification that HAProxy's authors publish (`proxy-protocol.txt`): version 1 is a line, version 2 is binary.
//! A session's client and destination are of one family and TCP, so that neither UNKNOWN nor AF_UNSPEC nor LOCAL is ever said; version 2
//! comes without TLVs.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `PROXY TCP4 …`.
    V1,
    /// Binary.
    V2,
}

/// "The block starts with a constant 12 bytes block containing the protocol signature" (§2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// "the highest four bits contain the version … must be 2", and in the lowest "\x1: PROXY".
const VERSION_AND_COMMAND: u8 = 0x21;

/// "TCP over IPv4": AF_INET and STREAM.
const TCP_OVER_IPV4: u8 = 0x11;

/// "TCP over IPv6": AF_INET6 and STREAM.
const TCP_OVER_IPV6: u8 = 0x21;

/// The header of a connection from `client` to `destination`; both of one family, as they are in a session.
#[must_use]
pub fn header(version: Version, client: SocketAddr, destination: SocketAddr) -> Bytes {
    debug_assert_eq!(client.is_ipv4(), destination.is_ipv4(), "a packet has one family");
    match version {
        Version::V1 => line(client, destination),
        Version::V2 => block(client, destination),
    }
}

fn line(client: SocketAddr, destination: SocketAddr) -> Bytes {
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (client.ip(), destination.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", client.port(), destination.port()).into()
}

fn block(client: SocketAddr, destination: SocketAddr) -> Bytes {
    let mut block = SIGNATURE.to_vec();
    let (family, length): (u8, u16) = if client.is_ipv4() { (TCP_OVER_IPV4, 12) } else { (TCP_OVER_IPV6, 36) };
    block.extend([VERSION_AND_COMMAND, family]);
    block.extend(length.to_be_bytes());
    for address in [client.ip(), destination.ip()] {
        match address {
            IpAddr::V4(address) => block.extend(address.octets()),
            IpAddr::V6(address) => block.extend(address.octets()),
        }
    }
    block.extend(client.port().to_be_bytes());
    block.extend(destination.port().to_be_bytes());
    block.into()
}

#[cfg(test)]
mod tests;
