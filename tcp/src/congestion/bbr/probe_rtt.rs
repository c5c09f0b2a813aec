//! ProbeRTT (5.3.4): when no round trip was as short for five seconds, in flight goes down to half of what the path holds, so
//! that the queue empties, for all flows at about the same time.

use std::time::Duration;

use crate::congestion::bbr::probe_bw::AckPhase;
use crate::congestion::bbr::{Bbr, Progress, State};
use crate::time::Instant;

/// 2.16: BBR.MinRTTFilterLen, BBR.ProbeRTTInterval, BBR.ProbeRTTDuration.
const FILTER: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(5);
const DURATION: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MinRtt {
    /// BBR.min_rtt and BBR.min_rtt_stamp.
    lowest: Option<Duration>,
    at: Instant,
    /// BBR.probe_rtt_min_delay, BBR.probe_rtt_min_stamp, BBR.probe_rtt_expired.
    recent: Option<Duration>,
    recent_at: Instant,
    expired: bool,
    /// BBR.probe_rtt_done_stamp, BBR.probe_rtt_round_done.
    done: Option<Instant>,
    round_done: bool,
}

impl MinRtt {
    pub(super) fn get(&self) -> Option<Duration> {
        self.lowest
    }
}

impl Bbr {
    /// 5.3.4.3: UpdateMinRTT.
    pub(super) fn update_min_rtt(&mut self, progress: &Progress) {
        let (now, min) = (progress.now, &mut self.min_rtt);
        min.expired = min.recent.is_some() && now > min.recent_at + INTERVAL;
        if let Some(rtt) = progress.rtt
            && (min.expired || min.recent.is_none_or(|recent| rtt < recent))
        {
            (min.recent, min.recent_at) = (Some(rtt), now);
        }
        let outlived = now > min.at + FILTER;
        if let Some(recent) = min.recent
            && (outlived || min.lowest.is_none_or(|lowest| recent < lowest))
        {
            (min.lowest, min.at) = (Some(recent), min.recent_at);
        }
    }

    /// CheckProbeRTT.
    pub(super) fn check_probe_rtt(&mut self, progress: &Progress) {
        if self.state != State::ProbeRtt && self.min_rtt.expired && !self.idle_restart {
            self.save_window();
            self.state = State::ProbeRtt;
            self.min_rtt.done = None;
            self.cycle.ack_phase = AckPhase::Stopping;
            self.start_round();
        }
        if self.state == State::ProbeRtt {
            self.handle_probe_rtt(progress);
        }
        self.idle_restart = false;
    }

    fn handle_probe_rtt(&mut self, progress: &Progress) {
        if self.min_rtt.done.is_some() {
            self.min_rtt.round_done |= self.round_start;
            if self.min_rtt.round_done {
                self.check_probe_rtt_done(progress.now);
            }
        } else if progress.in_flight <= self.probe_rtt_window() {
            self.min_rtt.done = Some(progress.now + DURATION);
            self.min_rtt.round_done = false;
            self.start_round();
        }
    }

    /// CheckProbeRTTDone, ExitProbeRTT.
    pub(super) fn check_probe_rtt_done(&mut self, now: Instant) {
        if self.min_rtt.done.is_none_or(|done| now <= done) {
            return;
        }
        self.min_rtt.recent_at = now;
        self.restore_window();
        self.reset_short();
        if self.filled {
            self.start_down(now);
            self.state = State::Cruise;
        } else {
            self.state = State::Startup;
        }
    }

    /// 5.6.4.5: ProbeRTTCwnd.
    pub(super) fn probe_rtt_window(&self) -> u64 {
        self.product(50).max(self.min_pipe())
    }
}
