//! RACK (RFC 8985, 6): a segment is lost when one sent sufficiently later has arrived.
//!
//! It needs the times of sending, which the map of sent segments has, and nothing else: no duplicate counting, so it sees
//! lost retransmissions and bears reordering.

use std::time::Duration;

use crate::open::TimestampClock;
use crate::scoreboard::{Delivered, Scoreboard, Sent, Transmission};
use crate::seq::Position;
use crate::time::Instant;

/// 6.2, step 4: recoveries for which a widened window is kept.
const PERSIST: u8 = 16;
/// 6.2, step 4: "RACK.reo_wnd_mult" may not grow for ever; beyond SRTT it has no effect anyway.
const MULTIPLIER_MAX: u32 = 255;

#[derive(Clone, Debug)]
pub(crate) struct Rack {
    /// RACK.xmit_ts and RACK.end_seq: the latest transmission known to have arrived.
    latest: Option<Transmission>,
    /// RACK.rtt: its round-trip time.
    rtt: Duration,
    /// RACK.fack: the highest sequence known to have arrived.
    forward: Option<Position>,
    reordering_seen: bool,
    /// RACK.reo_wnd_mult, RACK.reo_wnd_persist, RACK.dsack_round.
    multiplier: u32,
    persist: u8,
    dsack_round: Option<Position>,
}

/// What the reordering window is computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    /// A repair is going on, or three segments are known to have arrived out of order.
    pub(crate) certain: bool,
    pub(crate) min_rtt: Duration,
    pub(crate) smoothed: Duration,
}

impl Rack {
    pub(crate) const fn new() -> Rack {
        Rack {
            latest: None,
            rtt: Duration::ZERO,
            forward: None,
            reordering_seen: false,
            multiplier: 1,
            persist: 0,
            dsack_round: None,
        }
    }

    /// Nothing about the path is worth remembering over a rest.
    pub(crate) fn is_ordinary(&self) -> bool {
        !self.reordering_seen && self.multiplier == 1
    }

    /// Steps 2 and 3: what arrived, and whether that was out of order. True if reordering was seen.
    pub(crate) fn on_delivered(
        &mut self,
        now: Instant,
        delivered: &Delivered,
        echo: Option<(u32, TimestampClock)>,
        min_rtt: Duration,
    ) -> bool {
        // "If the segment was retransmitted: ... if SEG.TSecr < the time stamp of the retransmission, or the rtt is below
        // min_RTT, it is likely that the original arrived": such a one says nothing.
        let genuine = |&(at, _): &Transmission| {
            let original = echo.is_some_and(|(echo, clock)| echo.wrapping_sub(clock.value(at)).cast_signed() < 0);
            !original && now - at >= min_rtt
        };
        let latest = delivered.latest_once.max(delivered.latest_again.filter(genuine));
        if let Some((at, _)) = latest
            && latest > self.latest
        {
            self.latest = latest;
            self.rtt = now - at;
        }
        let reordered = delivered.lowest_once.zip(self.forward).is_some_and(|(lowest, forward)| lowest < forward);
        self.reordering_seen |= reordered;
        self.forward = self.forward.max(delivered.highest);
        reordered
    }

    /// Step 4: a retransmission was needless, so the window was too small. Once per round trip.
    pub(crate) fn on_dsack(&mut self, una: Position, nxt: Position) {
        if self.dsack_round.is_none_or(|round| una >= round) {
            self.dsack_round = Some(nxt);
            self.multiplier = (self.multiplier + 1).min(MULTIPLIER_MAX);
            self.persist = PERSIST;
        }
    }

    /// Step 4: after 16 recoveries without a needless retransmission the window is small again.
    pub(crate) fn on_recovery_end(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.multiplier = 1;
        }
    }

    /// Step 4: RACK.reo_wnd.
    pub(crate) fn window(&self, measure: &Measure) -> Duration {
        if !self.reordering_seen && measure.certain {
            return Duration::ZERO;
        }
        (measure.min_rtt * self.multiplier / 4).min(measure.smoothed)
    }

    /// Step 5: marks what is lost; gives when to look again at what might only be reordered.
    pub(crate) fn detect(&self, now: Instant, window: Duration, board: &mut Scoreboard) -> Option<Instant> {
        let latest = self.latest?;
        let mut again_at: Option<Instant> = None;
        board.judge(|entry| {
            if (entry.at, entry.end) > latest {
                // What was sent once after the latest that arrived was sent before all that follows it in sequence.
                return if entry.again { Some(false) } else { None };
            }
            let lost_at = entry.at + self.rtt + window;
            if lost_at > now {
                again_at = Some(again_at.map_or(lost_at, |at| at.max(lost_at)));
            }
            Some(lost_at <= now)
        });
        again_at
    }

    /// 6.3: whether a timeout means that this one is lost. While nothing was out of order no round trip was noted here, and
    /// the smoothed one serves.
    pub(crate) fn lost_at_timeout(&self, entry: &Sent, now: Instant, window: Duration, smoothed: Duration) -> bool {
        let rtt = if self.latest.is_some() { self.rtt } else { smoothed };
        entry.at + rtt + window <= now
    }
}

#[cfg(test)]
mod tests;
