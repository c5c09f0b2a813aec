//! Which flows of a capture have been met, in a bounded memory: two generations of a set, of which the older one is
//! forgotten when the younger one is full. A flow that goes on is carried over each time it is met, so what is
//! forgotten has been silent for at least as many other flows as a generation holds.

use std::net::SocketAddr;

use foldhash::fast::FixedState;
use hashbrown::HashSet;

/// Flows of one generation: about 64 bytes each, 128 MiB for both with the table's slack.
const GENERATION: usize = 1 << 20;

type Ends = (u8, SocketAddr, SocketAddr);

/// Flows that were met.
#[derive(Default)]
pub(super) struct Known {
    young: HashSet<Ends, FixedState>,
    old: HashSet<Ends, FixedState>,
    forgotten: u64,
}

/// What a packet is to the flows that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The first of its flow.
    New,
    /// One of a flow that was met.
    Before,
    /// The first that the capture has of a flow, and not the first of the flow.
    UnderWay,
}

impl Known {
    /// A packet; `opens`: it may begin a flow.
    pub(super) fn see(&mut self, ends: Ends, opens: bool) -> Seen {
        self.see_of(ends, opens, GENERATION)
    }

    fn see_of(&mut self, ends: Ends, opens: bool, room: usize) -> Seen {
        // Both directions are one flow, under the name of the lesser end.
        let (protocol, a, b) = ends;
        let name = if a <= b { (protocol, a, b) } else { (protocol, b, a) };
        if self.young.contains(&name) {
            return Seen::Before;
        }
        let was_old = self.old.remove(&name);
        if self.young.len() == room {
            self.forgotten += self.old.len() as u64;
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name);
        match (was_old, opens) {
            (true, _) => Seen::Before,
            (false, true) => Seen::New,
            (false, false) => Seen::UnderWay,
        }
    }

    /// Flows that had to make room.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(port: u16) -> Ends {
        let at = |host: u8, port: u16| SocketAddr::from(([10, 0, 0, host], port));
        (6, at(2, port), at(9, 80))
    }

    #[test]
    fn both_directions_are_one_flow() {
        let mut known = Known::default();
        let (protocol, client, server) = ends(1);
        assert_eq!(known.see((protocol, client, server), true), Seen::New);
        assert_eq!(known.see((protocol, server, client), false), Seen::Before);
        assert_eq!(known.see(ends(2), false), Seen::UnderWay);
        assert_eq!(known.see(ends(2), false), Seen::Before, "said once");
    }

    #[test]
    fn the_memory_is_bounded_and_what_goes_on_stays() {
        let mut known = Known::default();
        for port in 1..=100 {
            assert_eq!(known.see_of(ends(port), true, 10), Seen::New);
            assert!(known.young.len() + known.old.len() <= 20);
            if port > 1 {
                assert_eq!(known.see_of(ends(1), false, 10), Seen::Before, "{port}");
            }
        }
        assert!(known.forgotten() > 70, "{}", known.forgotten());
        assert_eq!(known.see_of(ends(2), true, 10), Seen::New, "forgotten, and counted twice");
    }
}
