//! What a flow must fit for a rule to match: values only, negation included. How they are written is the parser's matter.

use std::fmt;

use super::address::Network;

/// A thing or anything but it (`!`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Not<T> {
    /// Inverted.
    pub not: bool,
    /// The thing.
    pub value: T,
}

impl<T> Not<T> {
    /// Whether the thing's own answer, inverted or not, lets the rule match.
    pub fn holds(&self, answer: bool) -> bool {
        answer != self.not
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Everything before `-j`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Criteria {
    /// Only this family: said by `-4`, `-6` or the family of an address.
    pub family: Option<Family>,
    /// `-s`.
    pub source: Option<Not<Network>>,
    /// `-d`.
    pub destination: Option<Not<Network>>,
    /// `-i`; a name ending in `+` stands for all that begin so.
    pub input: Option<Not<String>>,
    /// `-o`.
    pub output: Option<Not<String>>,
    /// `-p`.
    pub protocol: Option<Not<u8>>,
    /// `-m …` and its options, in the order of the rule.
    pub matches: Vec<Match>,
}

/// An inclusive range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// First.
    pub first: u16,
    /// Last.
    pub last: u16,
}

impl Ports {
    /// Whether the port is in it.
    pub fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// Whether every port is.
    pub fn is_all(self) -> bool {
        self.first == 0 && self.last == u16::MAX
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}:{}", self.first, self.last) }
    }
}

/// Which ports of a flow `-m multiport` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortSet {
    /// `--sports`.
    Source,
    /// `--dports`.
    Destination,
    /// `--ports`: one of both.
    Either,
}

/// States of `-m state` and `-m conntrack --ctstate`.
///
/// Rules see only the first packet of a flow, whose state is NEW; what belongs to a flow never comes to the rules,
/// and what belongs to none is dropped before them. So NEW is true, the others are false; they are kept for printing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct States {
    /// NEW.
    pub new: bool,
    /// ESTABLISHED.
    pub established: bool,
    /// RELATED.
    pub related: bool,
    /// INVALID.
    pub invalid: bool,
    /// UNTRACKED.
    pub untracked: bool,
}

/// One `-m` with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// `-m tcp`.
    Tcp {
        /// `--sport`.
        source: Option<Not<Ports>>,
        /// `--dport`.
        destination: Option<Not<Ports>>,
        /// `--syn`. A flow's first segment is a SYN, or it is no flow: true, inverted false.
        syn: Option<Not<()>>,
    },
    /// `-m udp`.
    Udp {
        /// `--sport`.
        source: Option<Not<Ports>>,
        /// `--dport`.
        destination: Option<Not<Ports>>,
    },
    /// `-m multiport`.
    Multiport {
        /// Which ports.
        which: PortSet,
        /// One of these.
        ports: Not<Vec<Ports>>,
    },
    /// `-m state --state`.
    State(Not<States>),
    /// `-m conntrack --ctstate`.
    Conntrack(Not<States>),
    /// `-m tproxy`: one of the three tproxy features took the flow.
    Tproxy(Not<()>),
    /// `-m comment --comment`.
    Comment(String),
}
