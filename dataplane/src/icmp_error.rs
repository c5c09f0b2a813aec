//! Telling a sender why its packet will not arrive.
//!
//! [`IcmpErrors::permit`] says whether a packet may be answered at all (the rules of RFC 1812 4.3.2.7 and RFC 4443 2.4)
//! and whether the rate allows it; then [`write()`] writes the error. Two rates hold at once: one for all errors of a
//! core, and one for each destination (hashed into a fixed number of buckets), so that a scanner does not use up what
//! an honest sender is owed.
//!
//! Left out: the exceptions of RFC 4443 2.4 (e.3) for multicast, for the gateway forwards none.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use tcp::Instant;

use crate::limits::{self, Rate, TokenBucket};
use crate::nic::{Frame, Full, Offloads};
use crate::packet::emit::{self, IpOut, LinkOut};
use crate::packet::icmp::{ErrorKind, Message};
use crate::packet::{Ip, Link, MacAddress, Network, Packet, Transport};
use crate::route::Routes;

/// Why no error is sent about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant's documentation is its sentence, below")]
pub enum Withheld {
    NotIp,
    AboutError,
    AboutFragment,
    AboutGroup,
    ToNobody,
    RateTotal,
    RateEach,
}

impl Withheld {
    /// All, in the order of [`Withheld::index`].
    pub const ALL: &'static [Self] = &[
        Self::NotIp,
        Self::AboutError,
        Self::AboutFragment,
        Self::AboutGroup,
        Self::ToNobody,
        Self::RateTotal,
        Self::RateEach,
    ];

    /// Its place in [`Withheld::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The counter's name.
    pub const fn name(self) -> &'static str {
        self.words().0
    }

    /// What it means, for an operator.
    pub const fn sentence(self) -> &'static str {
        self.words().1
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NotIp => ("icmp_error_not_ip", "no ICMP error was sent because the frame was not IP"),
            Self::AboutError => {
                ("icmp_error_about_error", "no ICMP error was sent because the packet was one, or a redirect")
            }
            Self::AboutFragment => {
                ("icmp_error_about_fragment", "no ICMP error was sent because the packet was not the first fragment")
            }
            Self::AboutGroup => (
                "icmp_error_about_group",
                "no ICMP error was sent because the packet was for a group of hosts or stations",
            ),
            Self::ToNobody => {
                ("icmp_error_to_nobody", "no ICMP error was sent because the packet's source is not one other host")
            }
            Self::RateTotal => {
                ("icmp_error_rate_total", "no ICMP error was sent because the gateway has sent too many")
            }
            Self::RateEach => ("icmp_error_rate_each", "no ICMP error was sent because its receiver has got too many"),
        }
    }
}

/// The rates of a core's ICMP errors.
pub struct IcmpErrors {
    total: TokenBucket,
    each: Rate,
    buckets: Box<[Instant; limits::ICMP_ERROR_BUCKETS]>,
    hasher: FixedState,
}

impl IcmpErrors {
    /// `seed` makes it unknowable who shares a bucket with whom.
    pub fn new(seed: u64) -> Self {
        Self {
            total: TokenBucket::new(Rate::new(limits::ICMP_ERRORS_PER_SECOND, limits::ICMP_ERRORS_BURST)),
            each: Rate::new(limits::ICMP_ERRORS_PER_SECOND_EACH, limits::ICMP_ERRORS_BURST_EACH),
            buckets: Box::new([Instant::ZERO; limits::ICMP_ERROR_BUCKETS]),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// May an error be sent about this packet?
    ///
    /// # Errors
    /// Why not.
    pub fn permit(&mut self, now: Instant, offending: &Packet, routes: &Routes) -> Result<(), Withheld> {
        let Network::Ip(ip) = &offending.network else { return Err(Withheld::NotIp) };
        may_answer(&offending.link, ip, routes)?;
        self.permit_relay(now, ip.source)
    }

    /// May an error that came from one leg be passed on to this host on the other?
    ///
    /// # Errors
    /// Why not.
    pub fn permit_relay(&mut self, now: Instant, to: IpAddr) -> Result<(), Withheld> {
        let bucket = self.hasher.hash_one(to) as usize % limits::ICMP_ERROR_BUCKETS;
        // The receiver's own bucket first: what it may not have must not cost the others.
        if !self.each.take(&mut self.buckets[bucket], now) {
            return Err(Withheld::RateEach);
        }
        if self.total.take(now) { Ok(()) } else { Err(Withheld::RateTotal) }
    }
}

/// RFC 1812 4.3.2.7: "An ICMP error message MUST NOT be sent as the result of receiving: An ICMP error message, or a
/// packet which fails the IP header validation tests, or a packet destined to an IP broadcast or IP multicast address,
/// or a packet sent as a Link Layer broadcast or multicast, or a packet whose source address has a network prefix of
/// zero or is an invalid source address, or any fragment of a datagram other than the first fragment". RFC 4443 2.4(e)
/// says the same for IPv6, redirects added. Packets that fail validation never get here.
fn may_answer(link: &Link, ip: &Ip, routes: &Routes) -> Result<(), Withheld> {
    /// ICMPv4's and ICMPv6's type for redirects; ICMPv4's for source quench.
    const REDIRECT: u8 = 5;
    const SOURCE_QUENCH: u8 = 4;
    if ip.fragment.is_some_and(|fragment| !fragment.is_first()) {
        return Err(Withheld::AboutFragment);
    }
    match &ip.kind {
        Transport::Icmp(Message::Error(_) | Message::Neighbour(_)) => return Err(Withheld::AboutError),
        // RFC 4443 2.4(e.1) means errors that we cannot read too: those are types below 128.
        Transport::Icmp(Message::Other { kind, .. }) if ip.source.is_ipv6() && *kind < 128 => {
            return Err(Withheld::AboutError);
        }
        Transport::Icmp(Message::Other { kind: REDIRECT | SOURCE_QUENCH, .. }) if ip.source.is_ipv4() => {
            return Err(Withheld::AboutError);
        }
        _ => {}
    }
    let group = MacAddress::for_group(ip.destination).is_some();
    if group || link.destination.is_group() || routes.is_subnet_broadcast(ip.destination) {
        return Err(Withheld::AboutGroup);
    }
    if ip.source.is_unspecified() || routes.is_own(ip.source) || routes.is_subnet_broadcast(ip.source) {
        return Err(Withheld::ToNobody);
    }
    Ok(())
}

/// Writes an error from `source`, an address of ours, about the packet `offending` in the frame `bytes`.
///
/// # Errors
/// [`Full`] when the frame cannot hold it. Panics when `offending` is not IP or `source` is of another family: that
/// was for [`IcmpErrors::permit`] and the routes to see to.
pub fn write<F: Frame>(
    frame: &mut F,
    link: &LinkOut,
    source: IpAddr,
    kind: ErrorKind,
    offending: &Packet,
    bytes: &[u8],
    offloads: &Offloads,
) -> Result<(), Full> {
    let Network::Ip(ip) = &offending.network else { panic!("an ICMP error about a frame that is not IP") };
    let out = IpOut { tos: error_tos(source), ..IpOut::new(source, ip.source) };
    emit::icmp_error(frame, link, &out, kind.wire(source.is_ipv6()), &bytes[ip.datagram()], offloads)
}

/// RFC 1812 4.3.2.5: errors of routers "SHOULD have their IP Precedence field set to" 6 (INTERNETWORK CONTROL) or 7; in IPv6
/// nothing is asked for.
fn error_tos(source: IpAddr) -> u8 {
    if source.is_ipv4() { 0xc0 } else { 0 }
}

#[cfg(test)]
mod tests;
