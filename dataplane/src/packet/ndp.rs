//! Neighbour discovery messages (RFC 4861 4), validated as its sections 6.1, 7.1 and 8.1 demand.
//!
//! Solicitations and advertisements of neighbours are read; those of routers and redirects are validated as far as all
//! messages are and then only named, for the gateway has its routes from its operator.

use std::net::{IpAddr, Ipv6Addr};

use super::{MacAddress, Malformed};
use crate::limits;

pub(super) const NEIGHBOUR_SOLICITATION: u8 = 135;
pub(super) const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const REDIRECT: u8 = 137;

pub(super) const OPTION_SOURCE_LINK: u8 = 1;
pub(super) const OPTION_TARGET_LINK: u8 = 2;

pub(super) const FLAG_ROUTER: u8 = 0x80;
pub(super) const FLAG_SOLICITED: u8 = 0x40;
pub(super) const FLAG_OVERRIDE: u8 = 0x20;

/// Bytes of a neighbour solicitation or advertisement without options.
pub(super) const MESSAGE_LEN: usize = 24;
/// Bytes of a link-layer address option on Ethernet.
pub(super) const LINK_OPTION_LEN: usize = 8;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Who has the target?
    Solicitation {
        /// The address asked for.
        target: Ipv6Addr,
        /// Where the asker is; absent in a duplicate address probe.
        source_link: Option<MacAddress>,
    },
    /// The target is here.
    Advertisement {
        /// The address.
        target: Ipv6Addr,
        /// Where it is.
        target_link: Option<MacAddress>,
        /// Is it a router?
        router: bool,
        /// Does this answer a solicitation of ours?
        solicited: bool,
        /// Does it replace what we know?
        overrides: bool,
    },
    /// From or about routers: 133, 134 or 137.
    Router {
        /// Its type.
        kind: u8,
    },
}

pub(super) fn is_neighbour_discovery(kind: u8) -> bool {
    matches!(kind, ROUTER_SOLICITATION..=REDIRECT)
}

/// Reads a message whose checksum is good and whose type [`is_neighbour_discovery`].
pub(super) fn parse(message: &[u8], source: IpAddr, destination: IpAddr, hop_limit: u8) -> Result<Message, Malformed> {
    // RFC 4861 7.1.1: "The IP Hop Limit field has a value of 255, i.e., the packet could not possibly have been
    // forwarded by a router."
    if hop_limit != 255 {
        return Err(Malformed::NdHopLimit);
    }
    // "ICMP Code is 0."
    if message[1] != 0 {
        return Err(Malformed::NdCode);
    }
    let fixed = match message[0] {
        ROUTER_SOLICITATION => 8,
        ROUTER_ADVERTISEMENT => 16,
        REDIRECT => 40,
        _ => MESSAGE_LEN,
    };
    // "ICMP length (derived from the IP length) is 24 or more octets."
    let (head, options) = message.split_at_checked(fixed).ok_or(Malformed::NdTruncated)?;
    let links = link_options(options)?;
    if !matches!(head[0], NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT) {
        return Ok(Message::Router { kind: head[0] });
    }
    let target = head.last_chunk::<16>().map(|octets| Ipv6Addr::from(*octets)).ok_or(Malformed::NdTruncated)?;
    // "Target Address is not a multicast address."
    if target.is_multicast() {
        return Err(Malformed::NdTarget);
    }
    if head[0] == NEIGHBOUR_SOLICITATION {
        solicitation(target, links.source, source, destination)
    } else {
        advertisement(target, links.target, head[4], destination)
    }
}

fn solicitation(
    target: Ipv6Addr,
    source_link: Option<MacAddress>,
    source: IpAddr,
    destination: IpAddr,
) -> Result<Message, Malformed> {
    // "If the IP source address is the unspecified address, the IP destination address is a solicited-node multicast
    // address [and] there is no source link-layer address option in the message."
    if source.is_unspecified() && (source_link.is_some() || !is_solicited_node(destination)) {
        return Err(Malformed::NdSource);
    }
    Ok(Message::Solicitation { target, source_link })
}

fn advertisement(
    target: Ipv6Addr,
    target_link: Option<MacAddress>,
    flags: u8,
    destination: IpAddr,
) -> Result<Message, Malformed> {
    let solicited = flags & FLAG_SOLICITED != 0;
    // RFC 4861 7.1.2: "If the IP Destination Address is a multicast address the Solicited flag is zero."
    if solicited && destination.is_multicast() {
        return Err(Malformed::NdSolicited);
    }
    let (router, overrides) = (flags & FLAG_ROUTER != 0, flags & FLAG_OVERRIDE != 0);
    Ok(Message::Advertisement { target, target_link, router, solicited, overrides })
}

/// The group in which the owner of `address` listens for solicitations (RFC 4291 2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

fn is_solicited_node(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if solicited_node(v6) == v6)
}

#[derive(Default)]
struct Links {
    source: Option<MacAddress>,
    target: Option<MacAddress>,
}

/// Walks the options. "All included options have a length that is greater than zero."
fn link_options(mut options: &[u8]) -> Result<Links, Malformed> {
    let mut links = Links::default();
    for _ in 0..limits::ND_OPTIONS_MAX {
        let [kind, words, ..] = *options else { break };
        let length = usize::from(words) * 8;
        let (option, rest) = options.split_at_checked(length).filter(|_| length > 0).ok_or(Malformed::NdOption)?;
        let link = option[2..].first_chunk::<6>().copied().map(MacAddress).filter(|_| length == LINK_OPTION_LEN);
        match kind {
            // An address that no station can have would make us send a neighbour's packets to a group.
            OPTION_SOURCE_LINK | OPTION_TARGET_LINK if !link.is_some_and(MacAddress::is_station) => {
                return Err(Malformed::NdOption);
            }
            OPTION_SOURCE_LINK => links.source = link,
            OPTION_TARGET_LINK => links.target = link,
            _ => {}
        }
        options = rest;
    }
    // Too many options, or a single byte that is none.
    if options.is_empty() { Ok(links) } else { Err(Malformed::NdOption) }
}
