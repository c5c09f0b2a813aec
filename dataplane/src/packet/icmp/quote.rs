//! The packet that an ICMP error is about, as far as the error quotes it.
//!
//! Routers may have changed what they quote (TTL, checksums, even lengths), and quote little: what identifies a flow
//! must be there (RFC 792: "the internet header plus the first 64 bits of the original datagram's data"), the rest is
//! taken as it comes and no checksum is looked at. Whether a quote is honest only the flow can tell (RFC 5927 4).

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use tcp::SeqNumber;
use zerocopy::FromBytes;

use crate::packet::{
    Fragment, Malformed, PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP, icmp, ipv4, ipv6,
};

/// Bytes of the upper layer that are quoted at least.
const UPPER_MIN: usize = 8;

/// The quoted packet, from its sender's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Who sent it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// The upper layer's protocol.
    pub protocol: u8,
    /// Its port, or an echo's identifier; 0 where there is none.
    pub source_port: u16,
    /// Its port, or an echo's identifier; 0 where there is none.
    pub destination_port: u16,
    /// Its sequence number, if it is TCP.
    pub seq: Option<SeqNumber>,
    /// What is quoted, in the frame, from the IP header on.
    pub bytes: Range<usize>,
}

impl Quote {
    /// Who sent it.
    pub fn source_socket(&self) -> SocketAddr {
        SocketAddr::new(self.source, self.source_port)
    }

    /// To whom.
    pub fn destination_socket(&self) -> SocketAddr {
        SocketAddr::new(self.destination, self.destination_port)
    }

    pub(super) fn parse_v4(bytes: &[u8], body: Range<usize>) -> Result<Self, Malformed> {
        let quoted = &bytes[body.clone()];
        let (header, _) = ipv4::Header::ref_from_prefix(quoted).map_err(|_| Malformed::IcmpQuoteTruncated)?;
        if header.version_ihl >> 4 != 4 || header.len() < ipv4::HEADER_LEN {
            return Err(Malformed::IcmpQuoteTruncated);
        }
        let upper = quoted.get(header.len()..).ok_or(Malformed::IcmpQuoteTruncated)?;
        let first = header.fragment().is_none_or(Fragment::is_first);
        Self {
            source: header.source().into(),
            destination: header.destination().into(),
            protocol: header.protocol,
            source_port: 0,
            destination_port: 0,
            seq: None,
            bytes: body,
        }
        .with_upper(upper, first)
    }

    pub(super) fn parse_v6(bytes: &[u8], body: Range<usize>) -> Result<Self, Malformed> {
        let quoted = &bytes[body.clone()];
        let (header, rest) = ipv6::Header::ref_from_prefix(quoted).map_err(|_| Malformed::IcmpQuoteTruncated)?;
        if header.version_class_label.get() >> 28 != 6 {
            return Err(Malformed::IcmpQuoteTruncated);
        }
        // Whatever is wrong with the quoted extension headers, the flow cannot be found behind them.
        let found = ipv6::walk(header.next_header, rest).map_err(|_| Malformed::IcmpQuoteTruncated)?;
        Self {
            source: header.source().into(),
            destination: header.destination().into(),
            protocol: found.protocol,
            source_port: 0,
            destination_port: 0,
            seq: None,
            bytes: body,
        }
        .with_upper(&rest[found.at..], found.fragment.is_none_or(Fragment::is_first))
    }

    /// Adds what the quoted upper layer's first bytes say; they are only there in a first fragment.
    fn with_upper(mut self, upper: &[u8], first: bool) -> Result<Self, Malformed> {
        let Some(upper) = upper.first_chunk::<UPPER_MIN>() else { return Err(Malformed::IcmpQuoteTruncated) };
        if !first {
            return Ok(self);
        }
        let [a, b, c, d, e, f, g, h] = *upper;
        match self.protocol {
            PROTOCOL_TCP | PROTOCOL_UDP => {
                self.source_port = u16::from_be_bytes([a, b]);
                self.destination_port = u16::from_be_bytes([c, d]);
                self.seq = (self.protocol == PROTOCOL_TCP).then(|| SeqNumber(u32::from_be_bytes([e, f, g, h])));
            }
            PROTOCOL_ICMP if matches!(a, icmp::ECHO_REQUEST | icmp::ECHO_REPLY) => self.set_echo([e, f]),
            PROTOCOL_ICMPV6 if matches!(a, icmp::V6_ECHO_REQUEST | icmp::V6_ECHO_REPLY) => self.set_echo([e, f]),
            _ => {}
        }
        Ok(self)
    }

    fn set_echo(&mut self, identifier: [u8; 2]) {
        self.source_port = u16::from_be_bytes(identifier);
        self.destination_port = self.source_port;
    }
}
