//! Ending well: no new sessions, time for those there are, then stop.
//!
//! ```text
//! running ─ begin → draining ─ no core has sessions, or time is up → stopped
//!                      └─ begin again ─────────────────────────────────↑
//! ```

use super::cores::Cores;
use super::gather::{Answers, Gather, Wanted};
use crate::limits::{DRAIN_ASK_US, DRAIN_US};
use crate::mailbox::ToCore;

/// How the gateway ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every session had ended.
    Drained,
    /// Sessions were cut because time was up, or because somebody asked twice.
    Cut {
        /// How many, as far as the cores have said.
        sessions: u64,
    },
    /// Every core's worker has ended on its own.
    CoresGone,
}

#[derive(Debug, Default)]
pub(super) struct Drain {
    state: State,
    sessions: u64,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Running,
    Draining {
        until_us: u64,
        ask_us: u64,
        asked: Option<Gather>,
    },
    Stopped(Exit),
}

impl Drain {
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }

    pub(super) fn begin(&mut self, now_us: u64, cores: &mut Cores) {
        match self.state {
            State::Running => {
                cores.post_all(|| ToCore::Drain);
                let until_us = now_us.saturating_add(DRAIN_US);
                self.state = State::Draining { until_us, ask_us: now_us, asked: None };
            }
            State::Draining { .. } => self.stop(Exit::Cut { sessions: self.sessions }, cores),
            State::Stopped(_) => {}
        }
    }

    pub(super) fn tick(&mut self, now_us: u64, cores: &mut Cores) {
        let State::Draining { until_us, ask_us, asked } = &mut self.state else { return };
        if asked.is_none() && now_us >= *ask_us {
            *asked = Some(Gather::begin(now_us, Wanted::Drained, cores));
        }
        let answers = asked.as_mut().and_then(|gather| gather.poll(now_us, cores));
        if answers.is_some() {
            (*asked, *ask_us) = (None, now_us.saturating_add(DRAIN_ASK_US));
        }
        let until_us = *until_us;
        if let Some(Answers::Reports { reports, silent, .. }) = answers {
            self.sessions = reports.iter().map(|report| report.sessions).sum();
            if self.sessions == 0 && silent.is_empty() {
                return self.stop(Exit::Drained, cores);
            }
        }
        if cores.all_gone() {
            self.stop(Exit::CoresGone, cores);
        } else if now_us >= until_us {
            self.stop(Exit::Cut { sessions: self.sessions }, cores);
        }
    }

    pub(super) fn deadline_us(&self) -> Option<u64> {
        match &self.state {
            State::Draining { asked: Some(gather), until_us, .. } => Some(gather.deadline_us().min(*until_us)),
            State::Draining { asked: None, ask_us, until_us } => Some((*ask_us).min(*until_us)),
            State::Running | State::Stopped(_) => None,
        }
    }

    pub(super) fn finished(&self) -> Option<Exit> {
        match self.state {
            State::Stopped(exit) => Some(exit),
            State::Running | State::Draining { .. } => None,
        }
    }

    fn stop(&mut self, exit: Exit, cores: &mut Cores) {
        cores.post_all(|| ToCore::Stop);
        self.state = State::Stopped(exit);
    }
}
