//! How large a segment the path carries, found out where nobody says so (RFC 4821, RFC 8899).
//!
//! ```text
//!            full segments lost three times in a row              "packet too big"
//!   largest ────────────────────────────────────────→ base      ────────────────────→ what it said
//!      ↑                                                │                                  │ ten minutes
//!      └──── search: one larger segment at a time ──────┴──────────────────────────────────┘
//! ```
//!
//! A connection begins with the largest segment that its two ends and the way out allow, as everybody does, so nothing is
//! searched for and nothing is kept (no allocation) until that proves too large. Routers that say so are believed
//! (`connection/close.rs` checks them, RFC 5927); where they do not, or a middle drops what they say, only silence is left:
//! then segments fall to a base that every path carries, and the way up is searched by segments of data that are larger than
//! the others. The loss of one is no sign of congestion: it goes again in pieces, and the window stays.
//!
//! What must hold: no probe is larger than the largest segment agreed on (min(peer's MSS, our way out)), so who sees the
//! flow sees no size that the ends speaking directly could not have used; no probe while anything is being repaired; one at a
//! time. Left out: probing without SACK, whose duplicate ACKs cannot tell the probe's loss from another; such connections keep
//! the base. That datagrams are not fragmented on the way ("don't fragment") is the owner's business.

use std::time::Duration;

use crate::limits;
use crate::seq::Position;
use crate::time::Instant;

/// The state; a word until something was too large.
#[derive(Clone, Debug)]
pub(crate) struct PathMtu {
    /// Payload of the largest segment the ends agreed on.
    largest: u16,
    /// RFC 8899: searching and falling are allowed; otherwise only routers are listened to.
    active: bool,
    search: Option<Box<Search>>,
}

/// Sizes are payloads.
#[derive(Clone, Debug)]
struct Search {
    /// RFC 4821, 7.1: search_low (what segments have now) and search_high.
    low: u64,
    high: u64,
    /// What is tried now, and how often it was lost.
    size: u64,
    failures: u8,
    /// The probe on its way.
    probe: Option<(Position, Position)>,
    /// Not before.
    next: Instant,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Segments may be that large from now on.
    Carried(u64),
    /// Not known yet.
    Waiting,
}

impl PathMtu {
    pub(crate) fn new(largest: u64, active: bool) -> PathMtu {
        PathMtu { largest: u16::try_from(largest).unwrap_or(u16::MAX), active, search: None }
    }

    /// Anything but the largest size is in use, or tried.
    pub(crate) fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// Payload of the largest segment there will ever be.
    pub(crate) fn largest(&self) -> u64 {
        u64::from(self.largest)
    }

    /// A router says that segments of more than `segment` do not pass. RFC 1191, 6.3 and RFC 8201, 5.3: "an attempt to detect an
    /// increase ... MUST NOT be done less than 5 minutes after a Packet Too Big message has been received", "10 minutes".
    pub(crate) fn on_too_big(&mut self, now: Instant, segment: u64) {
        if self.active {
            let next = now + limits::PATH_MTU_RAISE;
            let search = Search { low: segment, high: segment, size: segment, failures: 0, probe: None, next };
            self.search = Some(Box::new(search));
        }
    }

    /// A router says that of the probe, not of the others: RFC 8899, 4.6.2: it lies between PLPMTU and
    /// PROBED_SIZE. True if it did.
    pub(crate) fn on_probe_too_big(&mut self, now: Instant, segment: u64) -> bool {
        let Some(search) = self.search.as_mut().filter(|search| search.probe.is_some()) else { return false };
        if segment < search.low || segment >= search.size {
            return false;
        }
        search.high = segment;
        search.choose(segment);
        search.settle(now);
        true
    }

    /// RFC 4821, 7.7: "full-stop timeout": the same segment timed out `timeouts` times in a row, `length` long. Gives the size
    /// to fall to (RFC 8899, 4.3: black hole detection).
    pub(crate) fn on_timeout(&mut self, now: Instant, timeouts: u8, length: u64, segment: u64) -> Option<u64> {
        if let Some(search) = &mut self.search {
            // RFC 4821, 7.6.4: inconclusive.
            search.probe = None;
        }
        if !self.active
            || timeouts < limits::BLACK_HOLE_TIMEOUTS
            || !timeouts.is_multiple_of(limits::BLACK_HOLE_TIMEOUTS)
        {
            return None;
        }
        let base = [limits::PATH_MTU_BASE, u64::from(limits::MSS_DEFAULT)].into_iter().find(|base| *base < segment)?;
        // What is not larger than that is lost for another reason.
        if length <= base {
            return None;
        }
        let mut search = Search { low: base, high: self.largest(), size: base, failures: 0, probe: None, next: now };
        search.choose(self.largest());
        self.search = Some(Box::new(search));
        Some(base)
    }

    /// The size of a probe, if one is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<u64> {
        let largest = self.largest();
        let search = self.search.as_mut()?;
        if search.probe.is_some() || now < search.next {
            return None;
        }
        if search.is_over() {
            // RFC 8899, 5.1.1: PMTU_RAISE_TIMER ran out.
            if search.low >= largest {
                self.search = None;
                return None;
            }
            search.high = largest;
            search.choose(largest);
        }
        Some(search.size)
    }

    /// It was sent.
    pub(crate) fn on_sent(&mut self, start: Position, end: Position) {
        if let Some(search) = &mut self.search {
            search.probe = Some((start, end));
        }
    }

    /// Everything before `una` has arrived.
    pub(crate) fn on_acknowledged(&mut self, now: Instant, una: Position) -> Outcome {
        let Some(search) = &mut self.search else { return Outcome::Waiting };
        if search.probe.is_none_or(|(_, end)| una < end) {
            return Outcome::Waiting;
        }
        let size = search.size;
        (search.probe, search.low) = (None, size);
        search.choose(size.midpoint(search.high));
        search.settle(now);
        Outcome::Carried(size)
    }

    /// `lost` bytes are held for lost, the first at `first`. True if they are the probe and nothing else, which is no sign of
    /// congestion (RFC 4821, 3: the isolated loss of a probe says something of the MTU only).
    pub(crate) fn is_probe_lost(
        &mut self,
        now: Instant,
        first: (Position, Position),
        lost: u64,
        wait: Duration,
    ) -> bool {
        let Some(search) = &mut self.search else { return false };
        let Some((start, end)) = search.probe.filter(|(start, _)| *start >= first.0) else { return false };
        if start != first.0 && end > first.1 {
            return false;
        }
        let alone = start == first.0 && lost == end - start;
        search.probe = None;
        if alone {
            // RFC 8899, 5.1.2: MAX_PROBES: one loss may have any reason.
            search.failures += 1;
            search.next = now + wait;
            if search.failures >= limits::PATH_MTU_PROBES {
                search.high = search.size - 1;
                search.choose(search.low.midpoint(search.high));
                search.settle(now);
            }
        }
        alone
    }
}

impl Search {
    fn choose(&mut self, size: u64) {
        (self.size, self.failures) = (size, 0);
    }

    /// Closer than is worth a probe.
    fn is_over(&self) -> bool {
        self.high.saturating_sub(self.low) < limits::PATH_MTU_CLOSE
    }

    /// RFC 8899, 5.2: Search Complete, until the raise timer runs out.
    fn settle(&mut self, now: Instant) {
        self.probe = None;
        if self.is_over() {
            self.next = now + limits::PATH_MTU_RAISE;
        }
    }
}

#[cfg(test)]
mod tests;
