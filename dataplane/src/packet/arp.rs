//! ARP for IPv4 on Ethernet (RFC 826).
//!
//! Only requests and replies exist here: reverse ARP and the rest are refused by name. A probe (RFC 5227: sender
//! address 0.0.0.0) is a valid request; it claims nothing.

use std::net::Ipv4Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{MacAddress, Malformed, ethernet};

/// Which of the two messages it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender's address.
    Reply,
}

/// An ARP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Request or reply.
    pub operation: Operation,
    /// Where the sender says it is.
    pub sender_mac: MacAddress,
    /// Whom the sender says it is; unspecified in a probe.
    pub sender: Ipv4Addr,
    /// The station asked, where known.
    pub target_mac: MacAddress,
    /// The address asked for, or answered to.
    pub target: Ipv4Addr,
}

/// The message as it is on the wire.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Wire {
    hardware: U16,
    protocol: U16,
    hardware_len: u8,
    protocol_len: u8,
    operation: U16,
    sender_mac: MacAddress,
    sender: [u8; 4],
    target_mac: MacAddress,
    target: [u8; 4],
}

const HARDWARE_ETHERNET: u16 = 1;
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

impl Arp {
    /// Length on the wire.
    pub const LEN: usize = size_of::<Wire>();

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (wire, _) = Wire::ref_from_prefix(bytes).map_err(|_| Malformed::ArpTruncated)?;
        let kind = (wire.hardware.get(), wire.protocol.get(), wire.hardware_len, wire.protocol_len);
        if kind != (HARDWARE_ETHERNET, ethernet::IPV4, 6, 4) {
            return Err(Malformed::ArpUnsupported);
        }
        let operation = match wire.operation.get() {
            REQUEST => Operation::Request,
            REPLY => Operation::Reply,
            _ => return Err(Malformed::ArpUnsupported),
        };
        let sender = Ipv4Addr::from(wire.sender);
        let probe = sender.is_unspecified() && operation == Operation::Request;
        if !wire.sender_mac.is_station() || (!probe && !is_host(sender)) {
            return Err(Malformed::ArpSender);
        }
        let target = Ipv4Addr::from(wire.target);
        Ok(Self { operation, sender_mac: wire.sender_mac, sender, target_mac: wire.target_mac, target })
    }

    /// The message's bytes.
    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        zerocopy::transmute!(Wire {
            hardware: U16::new(HARDWARE_ETHERNET),
            protocol: U16::new(ethernet::IPV4),
            hardware_len: 6,
            protocol_len: 4,
            operation: U16::new(if self.operation == Operation::Request { REQUEST } else { REPLY }),
            sender_mac: self.sender_mac,
            sender: self.sender.octets(),
            target_mac: self.target_mac,
            target: self.target.octets(),
        })
    }
}

/// Can it be one host's address on a link?
fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_multicast() || address.is_broadcast() || address.is_loopback() || address.octets()[0] == 0)
}
