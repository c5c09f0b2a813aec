//! UDP flows that came by a tproxy entry end with it: UNASSIGN and FLAGS, and whatever else takes an entry out, kill
//! them, so that the next datagram is decided anew.
//!
//! The table says how many changes there were ([`control::tproxy::Link`]); when the count has moved, the core looks
//! its linked flows through, some in each turn. Until it is through, a datagram of a linked flow asks for its own first:
//! none passes by an entry that is gone.

use control::tproxy::{Entry, Flags, Link};
use proxy::Reason;

use crate::counters::Counter;
use crate::forward::{Forward, ForwardKey};
use crate::limits;
use crate::nic::Nic;
use crate::worker::Worker;

/// The linked flows of a core.
#[derive(Debug, Default)]
pub(crate) struct Linked {
    flows: Vec<ForwardKey>,
    /// Changes that the walk under way, or the last one, was for.
    seen: u64,
    /// Flows before this place are still to be looked at.
    next: usize,
    /// The entry by which the flow was decided that was decided last.
    decided: Option<(Flags, Link)>,
}

impl Linked {
    /// A flow was decided with this entry, or without any; `seen`: changes before it was looked up.
    pub(crate) fn decided(&mut self, entry: Option<&Entry>, seen: u64) {
        self.decided = entry.map(|entry| (entry.flags, entry.link(seen)));
    }

    /// The entry of the flow that was decided last.
    pub(crate) fn take_decided(&mut self) -> Option<(Flags, Link)> {
        self.decided.take()
    }

    /// Takes up a flow; its place, for [`Linked::remove`].
    pub(crate) fn insert(&mut self, key: ForwardKey) -> usize {
        self.flows.push(key);
        self.flows.len() - 1
    }

    /// Forgets the flow at a place; which one is there now.
    pub(crate) fn remove(&mut self, place: usize) -> Option<ForwardKey> {
        self.flows.swap_remove(place);
        self.flows.get(place).copied()
    }

    /// Is there a walk under way?
    pub(crate) fn is_walking(&self) -> bool {
        self.next > 0
    }
}

impl<N: Nic> Worker<N> {
    /// Ends flows whose entry has changed. Gives how many it looked at.
    pub(crate) fn end_unlinked(&mut self) -> usize {
        if !self.linked.is_walking() {
            let changes = self.table.changes();
            if changes == self.linked.seen {
                return 0;
            }
            // From the end: what comes to a removed one's place, or is new, needs no look.
            (self.linked.seen, self.linked.next) = (changes, self.linked.flows.len());
        }
        for looked in 0..limits::LINKED_PER_TURN {
            self.linked.next = self.linked.next.min(self.linked.flows.len());
            let Some(place) = self.linked.next.checked_sub(1) else { return looked };
            self.linked.next = place;
            let key = self.linked.flows[place];
            if self.forwards.get(key).is_some_and(|forward| self.has_lost_its_entry(forward)) {
                self.end_by_entry(key);
            }
        }
        limits::LINKED_PER_TURN
    }

    /// A datagram of a flow, while the walk is under way or has yet to begin: does the flow still stand?
    pub(crate) fn has_lost_its_entry(&self, forward: &Forward) -> bool {
        let Some(served) = &forward.served else { return false };
        served.links.iter().flatten().any(|link| !self.table.stands(*link))
    }

    /// Does anything have to be asked about the links of flows?
    pub(crate) fn may_be_unlinked(&self) -> bool {
        self.linked.is_walking() || self.table.changes() != self.linked.seen
    }

    /// Ends one.
    pub(crate) fn end_by_entry(&mut self, key: ForwardKey) {
        self.counters.count(Counter::DatagramsUnassigned);
        self.datagrams_end(key, Some(Reason::Cut));
        self.remove_forward(key);
    }
}
