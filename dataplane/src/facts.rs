//! What rules may look at in a flow's first packet beyond its addresses, read from the packet that was parsed already.
//!
//! Asked once per new flow, so nothing here is kept with a packet. The kinds of TCP options are read again from the
//! header's bytes: the parser keeps only those that TCP itself uses.

use control::policy::{Cast, FlowState, Moment, PacketFacts};
use tcp::Instant;

use crate::packet::{Ip, Link, MacAddress, Transport, icmp};

/// Bytes of a TCP header before its options.
const TCP_FIXED: usize = 20;
/// RFC 9293 3.1: "End of Option List" and "No-Operation", the two kinds without a length.
const END: u8 = 0;
/// See [`END`].
const NOP: u8 = 1;

/// The facts of one packet; `unix_seconds` is the wall's time now.
pub(crate) fn of(now: Instant, unix_seconds: i64, link: &Link, ip: &Ip, frame: &[u8]) -> PacketFacts {
    PacketFacts {
        tcp_flags: match &ip.kind {
            Transport::Tcp { header, .. } => header.flags.bits() as u8,
            _ => 0,
        },
        tcp_options: match &ip.kind {
            Transport::Tcp { payload, .. } => {
                let options = ip.transport.start + TCP_FIXED..payload.start;
                option_kinds(frame.get(options).unwrap_or_default())
            }
            _ => 0,
        },
        icmp: icmp_type(ip, frame),
        length: u16::try_from(ip.datagram().len()).unwrap_or(u16::MAX),
        ttl: ip.ttl,
        source_mac: Some(link.source.0),
        cast: match link.destination {
            MacAddress::BROADCAST => Cast::Broadcast,
            group if group.is_group() => Cast::Multicast,
            _ => Cast::Unicast,
        },
        fragment: ip.fragment.is_some_and(|fragment| !fragment.is_first()),
        state: FlowState::New,
        at: Moment { micros: now.as_micros(), unix_seconds },
    }
}

/// Type and code: the first two bytes of every ICMP message.
fn icmp_type(ip: &Ip, frame: &[u8]) -> Option<(u8, u8)> {
    match &ip.kind {
        Transport::Icmp(icmp::Message::Other { kind, code }) => Some((*kind, *code)),
        Transport::Icmp(_) => {
            frame.get(ip.transport.clone()).and_then(|b| b.first_chunk()).map(|[kind, code]| (*kind, *code))
        }
        _ => None,
    }
}

/// Which kinds of options there are; what cannot be read ends the list.
fn option_kinds(mut options: &[u8]) -> u64 {
    let mut kinds = 0;
    while let [kind, rest @ ..] = options {
        kinds |= 1u64.checked_shl(u32::from(*kind)).unwrap_or(0);
        options = match (*kind, rest) {
            (END, _) => break,
            (NOP, rest) => rest,
            // The length counts kind and length themselves.
            (_, [length, ..]) if *length >= 2 => options.get(usize::from(*length)..).unwrap_or_default(),
            _ => break,
        };
    }
    kinds
}

#[cfg(test)]
mod tests;
