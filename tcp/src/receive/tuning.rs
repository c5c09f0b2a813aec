//! How much buffer a receiver needs: what the application reads in a round trip, doubled (dynamic right-sizing).
//!
//! A connection may begin with a small buffer and be given more while its application keeps up with the sender: who reads
//! slowly needs no more, and who reads fast gets what lets the sender double its rate. A round trip is the sending half's
//! measurement, which the handshake gives even to a side that never sends; where it has none, the time that one offered
//! window takes to arrive, at its shortest, which needs no timestamps.
//!
//! What must hold: the buffer only grows (an offered window is never taken back); it grows at most to what the owner allows
//! at the moment. How the owner divides its memory is left out: it passes a connection's share.

use std::time::Duration;

use crate::limits;
use crate::seq::Position;
use crate::time::Instant;

/// What is measured while the buffer may grow.
#[derive(Clone, Debug)]
pub(crate) struct Tuning {
    /// Since when, and from which position on, it is counted what the application reads.
    at: Instant,
    read: Position,
    /// What it read in the best round trip so far.
    space: u64,
    /// When the window that ends at `edge` was offered; how long the fastest took to arrive.
    offered_at: Instant,
    edge: Position,
    window_time: Option<Duration>,
}

/// Where the receiving half is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) now: Instant,
    /// The first byte that was not read, RCV.NXT, and the end of the offered window.
    pub(crate) read: Position,
    pub(crate) next: Position,
    pub(crate) right: Position,
    /// The sending half's smoothed round-trip time.
    pub(crate) smoothed: Option<Duration>,
    /// Payload of a full segment.
    pub(crate) segment: u64,
}

impl Tuning {
    pub(crate) fn begin(progress: &Progress) -> Tuning {
        Tuning {
            at: progress.now,
            read: progress.read,
            // What a sender begins with: less than that says nothing.
            space: limits::INITIAL_WINDOW_SEGMENTS * progress.segment,
            offered_at: progress.now,
            edge: progress.right,
            window_time: None,
        }
    }

    /// Once per round trip: the buffer that the last one asks for, if it was the best so far.
    pub(crate) fn on_progress(&mut self, progress: &Progress) -> Option<u64> {
        let now = progress.now;
        if progress.next >= self.edge {
            let took = now - self.offered_at;
            self.window_time = Some(self.window_time.map_or(took, |least| least.min(took)));
            (self.offered_at, self.edge) = (now, progress.right);
        }
        let round_trip = progress.smoothed.or(self.window_time)?.max(limits::CLOCK_GRANULARITY);
        if now - self.at < round_trip {
            return None;
        }
        // A call that comes late has seen more than one round trip go by.
        let elapsed = u64::try_from((now - self.at).as_micros()).unwrap_or(u64::MAX).max(1);
        let span = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
        let read = progress.read.saturating_since(self.read);
        let read = if elapsed > 2 * span { read / (elapsed / span) } else { read };
        (self.at, self.read) = (now, progress.read);
        // More waits to be read than was read: the application is what is slow.
        if read <= self.space || progress.next.saturating_since(progress.read) > read {
            return None;
        }
        // Twice, because the sender may be doubling its window; and room for what comes while this is measured. What grew faster
        // than that is on its way to more.
        let needed = 2 * read + 16 * progress.segment;
        let growing = 2 * (needed.saturating_mul(read - self.space) / self.space.max(1)).min(needed);
        self.space = read;
        Some(needed + growing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::SeqNumber;

    const RTT: Duration = Duration::from_millis(50);

    /// The round trip is what the peer's timestamps say, so that "in one round trip" may be any number of bytes.
    #[test]
    fn no_round_trip_is_too_long_to_reckon_with() {
        let long = Duration::from_secs(4_000);
        let mut tuning = Tuning::begin(&progress(0, 0, Some(long)));
        let wanted = tuning.on_progress(&progress(5_000_000, 8 << 30, Some(long)));
        assert!(wanted.is_none_or(|wanted| wanted >= 8 << 30), "{wanted:?}");
    }

    fn progress(ms: u64, read: u64, smoothed: Option<Duration>) -> Progress {
        let at = |bytes| Position::of_syn(SeqNumber(0xffff_ff00)) + bytes;
        let now = Instant::from_micros(1_000_000 + ms * 1_000);
        Progress { now, read: at(read), next: at(read), right: at(read + 60_000), smoothed, segment: 1_000 }
    }

    #[test]
    fn what_is_read_in_a_round_trip_is_doubled_and_more_while_it_grows() {
        let mut tuning = Tuning::begin(&progress(0, 0, Some(RTT)));
        assert_eq!(tuning.on_progress(&progress(20, 60_000, Some(RTT))), None, "not a round trip yet");
        assert_eq!(tuning.on_progress(&progress(50, 60_000, Some(RTT))), Some(3 * 136_000));
        assert_eq!(tuning.on_progress(&progress(100, 120_000, Some(RTT))), None, "as before");
        assert_eq!(tuning.on_progress(&progress(150, 186_000, Some(RTT))), Some(148_000 + 2 * 14_800));
    }

    #[test]
    fn who_reads_slowly_needs_no_more() {
        let mut tuning = Tuning::begin(&progress(0, 0, Some(RTT)));
        for i in 1..100 {
            assert_eq!(tuning.on_progress(&progress(50 * i, 9_000 * i, Some(RTT))), None);
        }
        // A call that comes after ten round trips does not take them for one.
        assert_eq!(tuning.on_progress(&progress(5_450, 9_000 * 109, Some(RTT))), None);
        // And who reads much, but leaves more, has enough already.
        let behind = progress(5_500, 9_000 * 109 + 50_000, Some(RTT));
        assert_eq!(tuning.on_progress(&Progress { next: behind.next + 60_000, ..behind }), None);
    }

    #[test]
    fn without_a_measurement_the_time_of_a_window_serves() {
        let mut tuning = Tuning::begin(&progress(0, 0, None));
        assert_eq!(tuning.on_progress(&progress(30, 30_000, None)), None);
        assert!(tuning.on_progress(&progress(60, 60_000, None)).is_some(), "a window in 60 ms");
    }
}
