//! One neighbour, in the states of RFC 4861 7.3.2.
//!
//! ```text
//!               used                     answered (solicited)
//!     (none) ─────────→ INCOMPLETE ─────────────────────────→ REACHABLE ←──────────────┐
//!        ↑ │ asked us      │ │ answered (not solicited)          │ 15–45 s              │ answered or
//!        │ └───────────────│─│──────────────────────→ STALE ←────┘                      │ confirmed
//!        │                 │ 3 × 1 s                    │ used                          │
//!        │ 1 s             ↓                            ↓            5 s                │
//!        └───────────── FAILED              DELAY ───────────────→ PROBE ───────────────┤
//!        └────────────────────────────────────────────────── 3 × 1 s ┘                  │
//!                                             └───────────────────────────────────────┘
//! ```
//!
//! FAILED is ours: it answers "unreachable" at once for a moment, so that a flood to a dead host costs little.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use control::InterfaceId;
use tcp::Instant;

use super::Resolution;
use crate::limits;
use crate::packet::MacAddress;

/// What is known of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It is being looked for.
    Incomplete,
    /// It was there a moment ago.
    Reachable,
    /// It was there once.
    Stale,
    /// It was there once and is being used: perhaps an upper layer will confirm it.
    Delay,
    /// It is being asked whether it is still there.
    Probe,
    /// It did not answer.
    Failed,
}

impl State {
    /// Who is forgotten first when room is needed; `None`: nobody who is being asked.
    pub(super) fn eviction_rank(self) -> Option<u8> {
        match self {
            Self::Failed => Some(0),
            Self::Stale => Some(1),
            Self::Reachable => Some(2),
            Self::Incomplete | Self::Delay | Self::Probe => None,
        }
    }
}

/// What a neighbour says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It asks for us and says where it is: an ARP request, a neighbour solicitation.
    Asks {
        /// There.
        mac: MacAddress,
    },
    /// It says where it is: an ARP reply, a neighbour advertisement, somebody else's ARP request.
    Answers {
        /// There; an advertisement may leave that out.
        mac: Option<MacAddress>,
        /// We had asked it, so it hears us.
        solicited: bool,
        /// It replaces what is known.
        overrides: bool,
    },
}

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// A neighbour that was not known, or not where.
    New,
    /// It is where it was.
    Same,
    /// It is elsewhere now.
    Moved,
    /// Nothing.
    Ignored,
    /// The table is full of better ones.
    NoRoom,
}

/// What follows from a deadline.
pub(super) enum Expiry {
    /// It is only stale now.
    Stale,
    /// Ask (again).
    Solicit(Option<MacAddress>),
    /// It was not found.
    Failed,
    /// Forget it.
    Gone,
}

pub(super) struct Entry<F> {
    pub(super) interface: InterfaceId,
    pub(super) address: IpAddr,
    pub(super) state: State,
    /// Always there in REACHABLE, STALE, DELAY and PROBE.
    pub(super) mac: Option<MacAddress>,
    /// Solicitations sent in this state.
    pub(super) attempts: u8,
    /// When the state ends.
    pub(super) deadline: Option<Instant>,
    /// When the table's timer for it goes off: not after `deadline`.
    pub(super) armed: Option<Instant>,
    /// When a packet was last sent to it.
    pub(super) used: Instant,
    pub(super) held: VecDeque<F>,
}

impl<F> Entry<F> {
    pub(super) fn new(now: Instant, interface: InterfaceId, address: IpAddr, state: State) -> Self {
        let held = VecDeque::new();
        Self { interface, address, state, mac: None, attempts: 0, deadline: None, armed: None, used: now, held }
    }

    /// A packet is to be sent to it; `true`: there is a new deadline.
    pub(super) fn handle_use(&mut self, now: Instant) -> (Resolution, bool) {
        self.used = now;
        match (self.state, self.mac) {
            (State::Stale, Some(mac)) => {
                // RFC 4861 7.3.3: "The first time a node sends a packet to a neighbor whose entry is STALE, the sender
                // changes the state to DELAY and sets a timer to expire in DELAY_FIRST_PROBE_TIME seconds."
                self.enter(State::Delay, Some(now + limits::NEIGHBOUR_DELAY));
                (Resolution::Known(mac), true)
            }
            (State::Reachable | State::Delay | State::Probe, Some(mac)) => (Resolution::Known(mac), false),
            (State::Failed, _) => (Resolution::Unreachable, false),
            (State::Incomplete, _) => (Resolution::Pending, false),
            (state, None) => unreachable!("{state:?} without a station address"),
        }
    }

    pub(super) fn handle_claim(&mut self, now: Instant, claim: Claim, reachable: Duration) -> Learned {
        let (mac, solicited, overrides) = match claim {
            Claim::Asks { mac } => (Some(mac), false, true),
            Claim::Answers { mac, solicited, overrides } => (mac, solicited, overrides),
        };
        let known = self.mac.filter(|_| self.state != State::Failed);
        match (known, mac) {
            // RFC 4861 7.2.5: "If the link layer has addresses and no Target Link-Layer Address option is included, the
            // receiving node SHOULD silently discard the received advertisement."
            (None, None) => Learned::Ignored,
            (None, Some(_)) => {
                self.mac = mac;
                self.settle(now, solicited, reachable);
                Learned::New
            }
            (Some(known), Some(mac)) if known != mac => {
                if overrides {
                    self.mac = Some(mac);
                    self.settle(now, solicited, reachable);
                    return Learned::Moved;
                }
                // "If the Override flag is clear and the supplied link-layer address differs ...: If the state of the
                // entry is REACHABLE, set it to STALE, but do not update the entry in any other way."
                if self.state == State::Reachable {
                    self.enter(State::Stale, None);
                }
                Learned::Ignored
            }
            (Some(_), _) => {
                if solicited {
                    self.settle(now, true, reachable);
                }
                Learned::Same
            }
        }
    }

    /// "If the Solicited flag is set, the state of the entry MUST be set to REACHABLE ... otherwise STALE."
    fn settle(&mut self, now: Instant, solicited: bool, reachable: Duration) {
        if solicited { self.enter(State::Reachable, Some(now + reachable)) } else { self.enter(State::Stale, None) }
    }

    /// `true`: there is a new state.
    pub(super) fn handle_confirmation(&mut self, now: Instant, reachable: Duration) -> bool {
        match self.state {
            State::Incomplete | State::Failed => false,
            State::Reachable => {
                self.deadline = Some(now + reachable);
                false
            }
            State::Stale | State::Delay | State::Probe => {
                self.enter(State::Reachable, Some(now + reachable));
                true
            }
        }
    }

    /// The deadline has come.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Expiry {
        match self.state {
            State::Incomplete | State::Probe if self.attempts < limits::NEIGHBOUR_SOLICITATIONS => {
                self.attempts += 1;
                self.deadline = Some(now + limits::NEIGHBOUR_RETRANSMIT);
                Expiry::Solicit(self.mac.filter(|_| self.state == State::Probe))
            }
            State::Incomplete => {
                self.enter(State::Failed, Some(now + limits::NEIGHBOUR_FAILED));
                Expiry::Failed
            }
            State::Reachable => {
                self.enter(State::Stale, None);
                Expiry::Stale
            }
            State::Delay => {
                self.enter(State::Probe, Some(now + limits::NEIGHBOUR_RETRANSMIT));
                self.attempts = 1;
                Expiry::Solicit(self.mac)
            }
            // RFC 4861 7.3.3: "If no response is received after waiting RetransTimer milliseconds after sending the
            // MAX_UNICAST_SOLICIT solicitations, retransmissions cease and the entry SHOULD be deleted."
            State::Probe | State::Failed => Expiry::Gone,
            State::Stale => Expiry::Stale,
        }
    }

    fn enter(&mut self, state: State, deadline: Option<Instant>) {
        self.state = state;
        self.deadline = deadline;
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests;
