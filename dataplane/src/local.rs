//! What the gateway answers for itself: who has its addresses, is it there.
//!
//! ARP requests and neighbour solicitations for own addresses are answered, echo requests too; what neighbours say of
//! themselves on the way is learned. `handle_*` takes a packet and returns an [`Answer`]; a [`Reply`] is then written
//! into a frame and sent on the interface that the packet came from, to the station it came from: an answer needs no
//! route and never waits for a neighbour.
//!
//! What must hold: a claim counts only for an address on the link it was heard on, never for one of ours. Left out:
//! router and prefix messages (the operator's configuration says all that), multicast listener reports (ports hear all
//! groups), duplicate address detection for ourselves (conflicts are counted when they are heard of).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use control::InterfaceId;
use tcp::Instant;

use crate::limits::{self, Rate, TokenBucket};
use crate::neighbour::{Claim, Learned, Neighbours};
use crate::nic::{Frame, Full, Offloads};
use crate::packet::emit::{self, Advertisement, IpOut, LinkOut};
use crate::packet::{Arp, Ip, Link, MacAddress, arp, icmp, ndp};
use crate::route::Routes;

mod ending;

pub use ending::Ending;

/// RFC 4861 10: the group of all nodes.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Who the gateway is on one interface.
#[derive(Clone, Copy, Debug)]
pub struct Station<'a> {
    /// The interface.
    pub interface: InterfaceId,
    /// Its station address.
    pub mac: MacAddress,
    /// Its VLAN.
    pub vlan: Option<u16>,
    /// Its IP addresses are in here.
    pub routes: &'a Routes,
    /// What its port does on transmit.
    pub offloads: &'a Offloads,
}

/// What comes of a packet for the gateway itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This is to be sent.
    Reply(Reply),
    /// Nothing is to be sent.
    Silent(Ending),
}

/// Something to be sent to the station that asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// We have the address.
    Arp {
        /// Who asked.
        to: MacAddress,
        /// The message.
        message: Arp,
    },
    /// We have the address.
    Advertisement {
        /// Who asked.
        to: MacAddress,
        /// Its IP address, or all nodes.
        destination: Ipv6Addr,
        /// The address, and in which words.
        message: Advertisement,
    },
    /// We are there.
    Echo {
        /// Who asked.
        to: MacAddress,
        /// Addresses and marks.
        ip: IpOut,
        /// As in the request.
        identifier: u16,
        /// As in the request.
        sequence: u16,
        /// What to send back, in the received frame.
        data: Range<usize>,
    },
}

/// What the gateway itself answers, and how often.
#[derive(Debug)]
pub struct Local {
    echo: TokenBucket,
}

impl Default for Local {
    fn default() -> Self {
        Self::new()
    }
}

impl Local {
    /// Nothing was answered yet.
    pub fn new() -> Self {
        let rate = Rate::new(limits::ECHO_REPLIES_PER_SECOND, limits::ECHO_REPLIES_BURST);
        Self { echo: TokenBucket::new(rate) }
    }

    /// An ARP message.
    pub fn handle_arp<F: Frame>(
        &mut self,
        now: Instant,
        station: &Station<'_>,
        arp: &Arp,
        neighbours: &mut Neighbours<F>,
    ) -> Answer {
        let sender = IpAddr::V4(arp.sender);
        let ours = station.routes.is_own_on(station.interface, arp.target.into());
        let probe = arp.sender.is_unspecified();
        let mut learned = Learned::Ignored;
        if !probe {
            if let Some(ending) = station.refuse_claim(sender, arp.sender_mac) {
                return Answer::Silent(ending);
            }
            learned = neighbours.handle_claim(now, station.interface, sender, station.arp_claim(arp, ours));
        }
        // RFC 5227 2.1.1: a probe has no sender address, "to avoid polluting ARP caches"; it is answered because the
        // address is taken.
        if arp.operation == arp::Operation::Request && ours {
            return Answer::Reply(Reply::Arp { to: arp.sender_mac, message: station.arp_reply(arp) });
        }
        Answer::Silent(Ending::of(learned))
    }

    /// A neighbour discovery message.
    pub fn handle_neighbour<F: Frame>(
        &mut self,
        now: Instant,
        station: &Station<'_>,
        link: &Link,
        ip: &Ip,
        message: &ndp::Message,
        neighbours: &mut Neighbours<F>,
    ) -> Answer {
        match *message {
            ndp::Message::Solicitation { target, source_link } => {
                self.handle_solicitation(now, station, link, ip, target, source_link, neighbours)
            }
            ndp::Message::Advertisement { target, target_link, solicited, overrides, .. } => {
                let target = IpAddr::V6(target);
                if let Some(ending) = station.refuse_claim(target, target_link.unwrap_or(link.source)) {
                    return Answer::Silent(ending);
                }
                let claim = Claim::Answers { mac: target_link, solicited, overrides };
                Answer::Silent(Ending::of(neighbours.handle_claim(now, station.interface, target, claim)))
            }
            ndp::Message::Router { .. } => Answer::Silent(Ending::RouterMessage),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one message")]
    fn handle_solicitation<F: Frame>(
        &mut self,
        now: Instant,
        station: &Station<'_>,
        link: &Link,
        ip: &Ip,
        target: Ipv6Addr,
        source_link: Option<MacAddress>,
        neighbours: &mut Neighbours<F>,
    ) -> Answer {
        if !station.routes.is_own_on(station.interface, target.into()) {
            return Answer::Silent(Ending::NotForUs);
        }
        let to = source_link.unwrap_or(link.source);
        let IpAddr::V6(source) = ip.source else { return Answer::Silent(Ending::NotForUs) };
        if source.is_unspecified() {
            // RFC 4861 7.2.4: "If the source of the solicitation is the unspecified address, the node MUST set the
            // Solicited flag to zero and multicast the advertisement to the all-nodes address."
            let message = Advertisement { target, solicited: false, overrides: true };
            let to = MacAddress::for_group(ALL_NODES.into()).unwrap_or(MacAddress::BROADCAST);
            return Answer::Reply(Reply::Advertisement { to, destination: ALL_NODES, message });
        }
        if let Some(ending) = station.refuse_claim(ip.source, to) {
            return Answer::Silent(ending);
        }
        if let Some(mac) = source_link {
            neighbours.handle_claim(now, station.interface, ip.source, Claim::Asks { mac });
        }
        let message = Advertisement { target, solicited: true, overrides: true };
        Answer::Reply(Reply::Advertisement { to, destination: source, message })
    }

    /// An echo request to an own address, `meant`; where that is a translation it is answered in the name of whom it was
    /// sent to.
    pub fn handle_echo(
        &mut self,
        now: Instant,
        station: &Station<'_>,
        link: &Link,
        ip: &Ip,
        echo: &icmp::Echo,
        meant: IpAddr,
    ) -> Answer {
        // Those to groups are not answered: RFC 1122 3.2.2.6 leaves that open, and a smurf attack lives on it.
        let routes = station.routes;
        if !(routes.is_own(meant) || routes.is_own_on(station.interface, meant)) {
            return Answer::Silent(Ending::NotForUs);
        }
        if ip.source.is_unspecified() || routes.is_own(ip.source) || routes.is_subnet_broadcast(ip.source) {
            return Answer::Silent(Ending::EchoFromNobody);
        }
        if !self.echo.take(now) {
            return Answer::Silent(Ending::EchoRateLimited);
        }
        let ip = IpOut { tos: ip.tos, flow_label: ip.flow_label, ..IpOut::new(ip.destination, ip.source) };
        Answer::Reply(Reply::Echo {
            to: link.source,
            ip,
            identifier: echo.identifier,
            sequence: echo.sequence,
            data: echo.data.clone(),
        })
    }
}

impl Reply {
    /// Writes it; `received` is the frame that is answered.
    ///
    /// # Errors
    /// [`Full`] when the frame cannot hold it.
    pub fn write<F: Frame>(&self, station: &Station<'_>, received: &[u8], frame: &mut F) -> Result<(), Full> {
        match self {
            Self::Arp { to, message } => emit::arp(frame, &station.link_to(*to), message),
            Self::Advertisement { to, destination, message } => {
                emit::neighbour_advertisement(frame, &station.link_to(*to), message.target, *destination, message)
            }
            Self::Echo { to, ip, identifier, sequence, data } => {
                let data = &received[data.clone()];
                emit::echo_reply(frame, &station.link_to(*to), ip, *identifier, *sequence, data, station.offloads)
            }
        }
    }
}

impl Station<'_> {
    /// The link layer of a frame to that station.
    pub fn link_to(&self, destination: MacAddress) -> LinkOut {
        LinkOut { source: self.mac, destination, vlan: self.vlan }
    }

    /// Why nobody with the station address `mac` may say that it has `address` on this link.
    fn refuse_claim(&self, address: IpAddr, mac: MacAddress) -> Option<Ending> {
        if mac == self.mac {
            return Some(Ending::OwnEcho);
        }
        if self.routes.is_own_on(self.interface, address) || self.routes.is_own(address) {
            return Some(Ending::AddressConflict);
        }
        (!self.routes.is_on_link(self.interface, address)).then_some(Ending::NotOnLink)
    }

    fn arp_claim(&self, arp: &Arp, ours: bool) -> Claim {
        // RFC 826: a sender that is known is brought up to date by any message; one that is not is added only when the
        // message is for us.
        match arp.operation {
            arp::Operation::Request if ours => Claim::Asks { mac: arp.sender_mac },
            arp::Operation::Request => Claim::Answers { mac: Some(arp.sender_mac), solicited: false, overrides: true },
            arp::Operation::Reply => {
                let solicited = ours && arp.target_mac == self.mac;
                Claim::Answers { mac: Some(arp.sender_mac), solicited, overrides: true }
            }
        }
    }

    fn arp_reply(&self, request: &Arp) -> Arp {
        Arp {
            operation: arp::Operation::Reply,
            sender_mac: self.mac,
            sender: request.target,
            target_mac: request.sender_mac,
            target: request.sender,
        }
    }
}

/// Writes the question who has `target`, to all or to the one station that had it.
///
/// # Errors
/// [`Full`] when the frame cannot hold it.
pub fn solicit<F: Frame>(
    frame: &mut F,
    station: &Station<'_>,
    target: IpAddr,
    unicast: Option<MacAddress>,
) -> Result<(), Full> {
    let source = station.routes.source_for(station.interface, target);
    match (target, source) {
        (IpAddr::V4(target), source) => {
            let sender = if let Some(IpAddr::V4(own)) = source { own } else { Ipv4Addr::UNSPECIFIED };
            let target_mac = unicast.unwrap_or(MacAddress::ZERO);
            let operation = arp::Operation::Request;
            let message = Arp { operation, sender_mac: station.mac, sender, target_mac, target };
            emit::arp(frame, &station.link_to(unicast.unwrap_or(MacAddress::BROADCAST)), &message)
        }
        (IpAddr::V6(target), source) => {
            let source = if let Some(IpAddr::V6(own)) = source { own } else { Ipv6Addr::UNSPECIFIED };
            // RFC 4861 7.2.2: to "the solicited-node multicast address corresponding to the target address"; a probe
            // goes to the target itself.
            let destination = if unicast.is_some() { target } else { ndp::solicited_node(target) };
            let group = || MacAddress::for_group(destination.into()).unwrap_or(MacAddress::BROADCAST);
            let link = station.link_to(unicast.unwrap_or_else(group));
            emit::neighbour_solicitation(frame, &link, source, destination, target)
        }
    }
}

/// Writes the news that `address` is ours now: a gratuitous ARP request (RFC 5227 2.3), an unsolicited advertisement
/// (RFC 4861 7.2.6).
///
/// # Errors
/// [`Full`] when the frame cannot hold it.
pub fn announce<F: Frame>(frame: &mut F, station: &Station<'_>, address: IpAddr) -> Result<(), Full> {
    match address {
        IpAddr::V4(own) => {
            let operation = arp::Operation::Request;
            let target_mac = MacAddress::ZERO;
            let message = Arp { operation, sender_mac: station.mac, sender: own, target_mac, target: own };
            emit::arp(frame, &station.link_to(MacAddress::BROADCAST), &message)
        }
        IpAddr::V6(own) => {
            let group = MacAddress::for_group(ALL_NODES.into()).unwrap_or(MacAddress::BROADCAST);
            let message = Advertisement { target: own, solicited: false, overrides: true };
            emit::neighbour_advertisement(frame, &station.link_to(group), own, ALL_NODES, &message)
        }
    }
}

#[cfg(test)]
mod tests;
