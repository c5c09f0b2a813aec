//! What losses and marks do to the model (5.5.10), and what is taken back when they were none (5.5.11).

use crate::congestion::bbr::model::Plateau;
use crate::congestion::bbr::{BETA, Bbr, Progress, State};
use crate::congestion::rate::{Excess, is_too_much};
use crate::time::Instant;

/// 5.3.1.3: BBRStartupFullLossCnt.
const STARTUP_LOSS_EVENTS: u8 = 6;

/// What is given back after losses that were none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Undo {
    /// BBR.undo_state.
    state: Option<State>,
    short: (u64, u64),
    long: u64,
}

impl Bbr {
    /// 5.2.4: HandleLostPacket, for all that were lost since the last acknowledgment.
    pub(super) fn take_losses(&mut self, progress: &Progress) {
        let losses = &progress.losses;
        if losses.bytes == 0 {
            return;
        }
        // Linux, whose count the draft names: an acknowledgment that shows losses is one event.
        self.loss_events = self.loss_events.saturating_add(1);
        self.note_loss(progress.sample.delivered);
        // "RS.lost > 0 && !C.has_selective_acks": who cannot tell how much was lost takes any loss for too much.
        let excess = if progress.sack { losses.over } else { losses.last };
        if let Some(excess) = excess.filter(|_| self.cycle.sampling) {
            self.handle_too_high(progress.now, &excess);
        }
    }

    /// 3.7: "the congestion controller response MUST treat any CE marks as congestion".
    pub(in crate::congestion) fn on_mark(&mut self, now: Instant, window: u64) -> u64 {
        self.window = window;
        self.note_loss(self.delivered);
        if self.state == State::Startup {
            self.leave_startup();
        } else if self.cycle.sampling {
            let (in_flight, limited) = self.seen;
            self.handle_too_high(now, &Excess { in_flight, limited });
        }
        self.window
    }

    fn note_loss(&mut self, delivered: u64) {
        if !self.loss_in_round {
            self.loss_round = delivered;
            self.save_state();
        }
        self.loss_in_round = true;
    }

    /// HandleInflightTooHigh: once per probe.
    fn handle_too_high(&mut self, now: Instant, excess: &Excess) {
        self.cycle.too_high = true;
        self.cycle.sampling = false;
        if !excess.limited {
            self.long = excess.in_flight.max(self.target() * BETA / 100);
        }
        if self.state == State::Up {
            self.undo.state = Some(State::Up);
            self.start_down(now);
        }
    }

    /// 5.3.1.3: CheckStartupHighLoss: a whole round of repair, more than 2 % of it lost, in six places.
    pub(super) fn check_startup_losses(&mut self, progress: &Progress) {
        if self.state != State::Startup || self.filled || !progress.repairing {
            return;
        }
        let sample = &progress.sample;
        let high = if progress.sack {
            self.loss_round_start
                && self.loss_events >= STARTUP_LOSS_EVENTS
                && is_too_much(sample.lost, sample.in_flight)
        } else {
            progress.losses.bytes > 0
        };
        if high {
            self.leave_startup();
        }
    }

    fn leave_startup(&mut self) {
        self.undo.state = Some(State::Startup);
        self.filled = true;
        self.long = self.product(100).max(self.latest.1);
    }

    /// 5.6.4.4: a repair begins.
    pub(in crate::congestion) fn on_loss(&mut self, window: u64) {
        self.window = window;
        self.save_window();
        self.save_state();
    }

    /// It is over: RestoreCwnd. The next acknowledgment bounds it by the model.
    pub(in crate::congestion) fn on_repaired(&mut self, window: u64) -> u64 {
        self.window = window;
        self.repairing = false;
        self.restore_window();
        self.window
    }

    /// 5.5.11.2: HandleSpuriousLossDetection.
    pub(in crate::congestion) fn on_spurious(&mut self, window: u64) -> u64 {
        self.window = window;
        self.repairing = false;
        self.restore_window();
        self.loss_in_round = false;
        self.plateau = Plateau::default();
        self.short = (self.short.0.max(self.undo.short.0), self.short.1.max(self.undo.short.1));
        self.long = self.long.max(self.undo.long);
        match self.undo.state.take() {
            Some(State::Startup) if self.state != State::Startup => {
                self.filled = false;
                if self.state != State::ProbeRtt {
                    self.state = State::Startup;
                }
            }
            Some(State::Up) if !matches!(self.state, State::Up | State::ProbeRtt) => self.start_refill(),
            _ => {}
        }
        self.window
    }

    /// 5.5.11.1: SaveStateUponLoss.
    fn save_state(&mut self) {
        self.save_window();
        self.undo = Undo { state: None, short: self.short, long: self.long };
    }

    /// SaveCwnd.
    pub(super) fn save_window(&mut self) {
        let keep = self.repairing || self.state == State::ProbeRtt;
        self.prior_window = if keep { self.prior_window.max(self.window) } else { self.window };
    }

    /// RestoreCwnd.
    pub(super) fn restore_window(&mut self) {
        self.window = self.window.max(self.prior_window);
    }
}
