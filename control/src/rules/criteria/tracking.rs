//! Matches that look at flows rather than packets: states, tracked tuples, sets, counts and lists of addresses.
//! Values only.

use std::net::IpAddr;

use bitflags::bitflags;

use super::{Not, Ports, Touched};
use crate::rules::Network;

bitflags! {
    /// States of `-m state --state` and `-m conntrack --ctstate`.
    ///
    /// Rules see only the first packet of a flow, whose state is NEW or RELATED (or UNTRACKED, after `-j CT --notrack`);
    /// what belongs to a flow never comes to the rules, and what belongs to none is dropped before them.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct States: u8 {
        /// Belongs to no flow and cannot begin one.
        const INVALID = 1;
        /// Begins a flow.
        const NEW = 1 << 1;
        /// Begins a flow that another one asked for.
        const RELATED = 1 << 2;
        /// Belongs to a flow.
        const ESTABLISHED = 1 << 3;
        /// Not tracked (`-j CT --notrack`).
        const UNTRACKED = 1 << 4;
        /// Its source is translated. `--ctstate` only.
        const SNAT = 1 << 5;
        /// Its destination is translated. `--ctstate` only.
        const DNAT = 1 << 6;
    }
}

bitflags! {
    /// `--ctstatus`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Status: u8 {
        /// Nothing of the others.
        const NONE = 1;
        /// Another flow asked for it.
        const EXPECTED = 1 << 1;
        /// Packets were seen in both directions.
        const SEEN_REPLY = 1 << 2;
        /// More than an opening was seen.
        const ASSURED = 1 << 3;
        /// Its first packet has left.
        const CONFIRMED = 1 << 4;
    }
}

/// Directions of a tracked flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From who began it.
    Original,
    /// To who began it.
    Reply,
}

/// Addresses and ports of one direction, `--ctorigsrc` and its like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackedAddresses {
    /// `--ctorigsrc`, `--ctreplsrc`.
    pub source: Option<Not<Network>>,
    /// `--ctorigdst`, `--ctrepldst`.
    pub destination: Option<Not<Network>>,
    /// `--ctorigsrcport`, `--ctreplsrcport`.
    pub source_port: Option<Not<Ports>>,
    /// `--ctorigdstport`, `--ctrepldstport`.
    pub destination_port: Option<Not<Ports>>,
}

/// `-m conntrack`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    /// `--ctstate`.
    pub states: Option<Not<States>>,
    /// `--ctproto`.
    pub protocol: Option<Not<u8>>,
    /// The direction the flow began in.
    pub original: TrackedAddresses,
    /// The other direction, after translation.
    pub reply: TrackedAddresses,
    /// `--ctstatus`.
    pub status: Option<Not<Status>>,
    /// `--ctexpire`: seconds until the flow is forgotten, first and last.
    pub expire_s: Option<Not<(u32, u32)>>,
    /// `--ctdir`. A first packet goes in the original direction.
    pub direction: Option<Direction>,
}

/// `-m connlimit`: flows that a group of addresses has at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnLimit {
    /// The number.
    pub limit: u32,
    /// `--connlimit-above`: matches beyond it. Otherwise `--connlimit-upto`.
    pub above: bool,
    /// `--connlimit-mask`: addresses with so many bits in common are counted together; 128 is the whole address in
    /// both families.
    pub length: u8,
    /// `--connlimit-saddr` or `--connlimit-daddr`.
    pub which: Touched,
}

/// What of a flow is looked up in one dimension of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetDirection {
    /// `src`.
    Source,
    /// `dst`.
    Destination,
}

/// `--match-set NAME src,dst`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMatch {
    /// The set's name.
    pub name: String,
    /// One for each dimension, 1 to 6.
    pub directions: Vec<SetDirection>,
}

/// `-m recent`: a list of addresses with the times they were seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Name of the list; rules that use the same name share it.
    pub name: String,
    /// What is done.
    pub operation: RecentOperation,
    /// `--seconds`: only what was seen so recently.
    pub seconds: Option<u32>,
    /// `--reap`: forget what is older than `--seconds`.
    pub reap: bool,
    /// `--hitcount`: only what was seen so often.
    pub hits: Option<u16>,
    /// `--rttl`: only with the TTL it had before.
    pub same_ttl: bool,
    /// `--mask`; none: the whole address.
    pub mask: Option<IpAddr>,
    /// `--rsource` or `--rdest`.
    pub which: Touched,
}

/// What `-m recent` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecentOperation {
    /// `--set`: adds the address, or marks it as just seen; true.
    Set,
    /// `--rcheck`: whether it is in the list.
    Check,
    /// `--update`: the same, and marks it as just seen.
    Update,
    /// `--remove`: whether it was in the list, from which it is taken.
    Remove,
}
