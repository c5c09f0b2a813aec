//! Connection tracking of flows that are forwarded and not terminated: which packets belong, and how long a flow lives.
//!
//! Pure: a packet's view in, a lifetime or a reason out. TCP is followed as Linux's connection tracking follows it
//! ([`tcp`]), because that is what operators know their gateways by; UDP and the rest know only whether there was a
//! reply. Packets in the middle of a TCP connection never begin a flow (`nf_conntrack_tcp_loose=0`): they would pass
//! on the word of whoever sent them. Related flows (ICMP errors, data connections) are found by their keys, not here.

pub mod tcp;

use std::time::Duration;

use self::tcp::TcpTracking;
use crate::limits;
use crate::packet::{Ip, Transport};

/// Which way a packet of a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From who began it.
    Original,
    /// To who began it.
    Reply,
}

impl Direction {
    /// The other one.
    #[must_use]
    pub fn reversed(self) -> Direction {
        match self {
            Direction::Original => Direction::Reply,
            Direction::Reply => Direction::Original,
        }
    }
}

/// What tracking looks at in a packet.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    /// A TCP segment.
    Tcp {
        /// Its header.
        header: &'a ::tcp::Header,
        /// Length of its payload.
        payload: usize,
    },
    /// A UDP datagram.
    Udp,
    /// An ICMP query or its answer.
    Icmp,
    /// Any other protocol.
    Other,
}

impl<'a> From<&'a Ip> for View<'a> {
    fn from(ip: &'a Ip) -> Self {
        match &ip.kind {
            Transport::Tcp { header, payload } => View::Tcp { header, payload: payload.len() },
            Transport::Udp { .. } => View::Udp,
            Transport::Icmp(_) => View::Icmp,
            _ => View::Other,
        }
    }
}

/// What became of a packet that belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// The flow lives for so long from now.
    Live(Duration),
    /// The packet passes, but says nothing about the flow: its end stays where it is.
    Keep,
    /// The flow is over, and this packet may begin another with the same key: forget the flow, decide anew.
    Over,
}

/// Why a packet does not belong; it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invalid {
    /// It would begin a flow and is no plain SYN.
    NotOpening,
    /// Flags that no TCP sends.
    Flags,
    /// It does not fit the state of the connection.
    State,
    /// A reset whose sequence number is not in the window.
    ResetOutside,
}

impl Invalid {
    /// Every reason, in the order of [`Invalid::index`].
    pub const ALL: &[Invalid] = &[Invalid::NotOpening, Invalid::Flags, Invalid::State, Invalid::ResetOutside];

    /// Place in [`Invalid::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Name for counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Invalid::NotOpening => "not_opening",
            Invalid::Flags => "flags",
            Invalid::State => "state",
            Invalid::ResetOutside => "reset_outside",
        }
    }

    /// A sentence for the operator.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Invalid::NotOpening => "A TCP segment to be forwarded belonged to no known connection and was no SYN.",
            Invalid::Flags => "A TCP segment to be forwarded had a combination of flags that no TCP sends.",
            Invalid::State => "A TCP segment to be forwarded did not fit the state of its connection.",
            Invalid::ResetOutside => "A TCP reset to be forwarded was outside of the window: possibly forged.",
        }
    }
}

/// What is known of a forwarded flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// A TCP connection.
    Tcp(TcpTracking),
    /// UDP datagrams.
    Udp {
        /// Was there any in the other direction?
        replied: bool,
    },
    /// An ICMP query.
    Icmp,
    /// Any other protocol.
    Other,
}

impl Tracking {
    /// Of the first packet; with the flow's lifetime.
    ///
    /// # Errors
    /// [`Invalid`]: this packet begins no flow.
    pub fn new<'a>(packet: impl Into<View<'a>>) -> Result<(Tracking, Duration), Invalid> {
        Ok(match packet.into() {
            View::Tcp { header, payload } => {
                let (tcp, lifetime) = TcpTracking::new(header, payload)?;
                (Tracking::Tcp(tcp), lifetime)
            }
            View::Udp => (Tracking::Udp { replied: false }, limits::TRACK_UDP),
            View::Icmp => (Tracking::Icmp, limits::TRACK_ICMP),
            View::Other => (Tracking::Other, limits::TRACK_OTHER),
        })
    }

    /// One more packet of the flow.
    ///
    /// # Errors
    /// [`Invalid`]: it does not belong and is to be dropped; the flow goes on as if it had not come.
    pub fn update<'a>(&mut self, direction: Direction, packet: impl Into<View<'a>>) -> Result<Update, Invalid> {
        Ok(match (self, packet.into()) {
            (Tracking::Tcp(tcp), View::Tcp { header, payload }) => return tcp.update(direction, header, payload),
            (Tracking::Udp { replied }, _) => {
                *replied |= direction == Direction::Reply;
                Update::Live(if *replied { limits::TRACK_UDP_REPLIED } else { limits::TRACK_UDP })
            }
            (Tracking::Icmp, _) => Update::Live(limits::TRACK_ICMP),
            (Tracking::Other, _) => Update::Live(limits::TRACK_OTHER),
            // The protocol is part of the key; a view of another kind is the caller's confusion and changes nothing.
            (Tracking::Tcp(_), _) => return Err(Invalid::State),
        })
    }

    /// One word for listings.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Tracking::Tcp(tcp) => tcp.state().name(),
            Tracking::Udp { replied: true } => "REPLIED",
            Tracking::Udp { replied: false } => "UNREPLIED",
            Tracking::Icmp => "QUERY",
            Tracking::Other => "TRACKED",
        }
    }
}

#[cfg(test)]
mod tests;
