//! An answer that needs the cores: ask all, collect what comes, be done when all have answered or time is up.

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::api::{ApiReply, Format};
use super::cores::Cores;
use crate::limits::{FLOWS_MAX, GATHER_US};
use crate::mailbox::{CoreReport, FlowRecord, RuleCounts, ToCore};

/// What [`super::Engine::handle`] gives.
#[derive(Debug)]
pub enum Outcome {
    /// The answer.
    Done(ApiReply),
    /// The beginning of one: [`super::Engine::poll`] it.
    Gather(Gather),
}

/// An answer under way.
#[derive(Debug)]
pub struct Gather {
    wanted: Wanted,
    awaiting: usize,
    deadline_us: u64,
    inbox: Inbox,
}

/// What the answer is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Status,
    Metrics,
    Health,
    Drained,
    Flows { limit: usize },
    Rules { format: Format },
}

/// What the cores have said.
#[derive(Debug)]
pub(super) enum Answers {
    Reports { wanted: Wanted, reports: Vec<CoreReport>, silent: Vec<usize> },
    Flows { flows: Vec<FlowRecord>, limit: usize, silent: usize },
    Rules { counts: Vec<RuleCounts>, format: Format, silent: usize },
}

#[derive(Debug)]
enum Inbox {
    Reports { from: Receiver<CoreReport>, reports: Vec<CoreReport> },
    Flows { from: Receiver<Vec<FlowRecord>>, flows: Vec<FlowRecord> },
    Rules { from: Receiver<RuleCounts>, counts: Vec<RuleCounts> },
}

impl Gather {
    pub(super) fn begin(now_us: u64, wanted: Wanted, cores: &mut Cores) -> Gather {
        let room = cores.numbers().count().max(1);
        let (awaiting, inbox) = match wanted {
            Wanted::Flows { limit } => {
                let (reply, from) = bounded(room);
                let limit = limit.min(FLOWS_MAX);
                let asked = cores.ask_all(|| ToCore::Flows { limit, reply: reply.clone() });
                (asked, Inbox::Flows { from, flows: Vec::new() })
            }
            Wanted::Rules { .. } => {
                let (reply, from) = bounded(room);
                let asked = cores.ask_all(|| ToCore::RuleCounts(reply.clone()));
                (asked, Inbox::Rules { from, counts: Vec::new() })
            }
            Wanted::Status | Wanted::Metrics | Wanted::Health | Wanted::Drained => {
                let (reply, from) = bounded(room);
                let asked = cores.ask_all(|| ToCore::Report(reply.clone()));
                (asked, Inbox::Reports { from, reports: Vec::new() })
            }
        };
        Gather { wanted, awaiting, deadline_us: now_us.saturating_add(GATHER_US), inbox }
    }

    /// When it ends even if cores keep silent.
    pub fn deadline_us(&self) -> u64 {
        self.deadline_us
    }

    pub(super) fn poll(&mut self, now_us: u64, cores: &Cores) -> Option<Answers> {
        let mut gone = false;
        while self.awaiting > 0 && !gone {
            match self.inbox.take() {
                Ok(()) => self.awaiting -= 1,
                Err(TryRecvError::Empty) => break,
                // Every core that was asked has dropped the question or ended.
                Err(TryRecvError::Disconnected) => gone = true,
            }
        }
        if self.awaiting > 0 && !gone && now_us < self.deadline_us {
            return None;
        }
        Some(match &mut self.inbox {
            Inbox::Reports { reports, .. } => {
                let mut reports = std::mem::take(reports);
                reports.sort_by_key(|report| report.core);
                let answered = |core: &usize| reports.iter().any(|report| report.core == *core);
                let silent = cores.numbers().filter(|core| !answered(core)).collect();
                Answers::Reports { wanted: self.wanted, reports, silent }
            }
            Inbox::Flows { flows, .. } => {
                let Wanted::Flows { limit } = self.wanted else { unreachable!("flows were asked for") };
                Answers::Flows { flows: std::mem::take(flows), limit, silent: self.awaiting }
            }
            Inbox::Rules { counts, .. } => {
                let Wanted::Rules { format } = self.wanted else { unreachable!("rules were asked for") };
                Answers::Rules { counts: std::mem::take(counts), format, silent: self.awaiting }
            }
        })
    }
}

impl Inbox {
    fn take(&mut self) -> Result<(), TryRecvError> {
        match self {
            Inbox::Reports { from, reports } => reports.push(from.try_recv()?),
            Inbox::Flows { from, flows } => flows.extend(from.try_recv()?),
            Inbox::Rules { from, counts } => counts.push(from.try_recv()?),
        }
        Ok(())
    }
}
