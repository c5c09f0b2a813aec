//! How a packet for the gateway itself ends when nothing is answered: each end with its name and a sentence.

use crate::neighbour::Learned;

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant's documentation is its sentence, below")]
pub enum Ending {
    NeighbourLearned,
    NeighbourMoved,
    NeighbourNoRoom,
    ClaimIgnored,
    NotForUs,
    NotOnLink,
    AddressConflict,
    OwnEcho,
    RouterMessage,
    EchoRateLimited,
    EchoFromNobody,
}

impl Ending {
    /// All, in the order of [`Ending::index`].
    pub const ALL: &'static [Self] = &[
        Self::NeighbourLearned,
        Self::NeighbourMoved,
        Self::NeighbourNoRoom,
        Self::ClaimIgnored,
        Self::NotForUs,
        Self::NotOnLink,
        Self::AddressConflict,
        Self::OwnEcho,
        Self::RouterMessage,
        Self::EchoRateLimited,
        Self::EchoFromNobody,
    ];

    pub(super) fn of(learned: Learned) -> Self {
        match learned {
            Learned::New | Learned::Same => Self::NeighbourLearned,
            Learned::Moved => Self::NeighbourMoved,
            Learned::NoRoom => Self::NeighbourNoRoom,
            Learned::Ignored => Self::ClaimIgnored,
        }
    }

    /// Its place in [`Ending::ALL`].
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
            Self::NeighbourLearned => ("neighbour_learned", "a neighbour said where it is"),
            Self::NeighbourMoved => {
                ("neighbour_moved", "a neighbour said that it is at another station address than before")
            }
            Self::NeighbourNoRoom => {
                ("neighbour_no_room", "a neighbour said where it is and the table is full of others in use")
            }
            Self::ClaimIgnored => ("neighbour_claim_ignored", "a neighbour that nobody asked for said where it is"),
            Self::NotForUs => ("local_not_for_us", "the question was about an address that is not the gateway's"),
            Self::NotOnLink => (
                "neighbour_not_on_link",
                "somebody said to be where an address is that does not belong on that interface",
            ),
            Self::AddressConflict => ("address_conflict", "somebody else says to have an address of the gateway"),
            Self::OwnEcho => (
                "neighbour_own_echo",
                "a message of the gateway came back to it: two ports are on one wire, or something loops",
            ),
            Self::RouterMessage => (
                "router_message",
                "a router solicitation, router advertisement or redirect, which the gateway takes no part in",
            ),
            Self::EchoRateLimited => ("echo_rate_limited", "more echo requests came than are answered"),
            Self::EchoFromNobody => {
                ("echo_from_nobody", "the echo request came from an address that cannot be answered")
            }
        }
    }
}
