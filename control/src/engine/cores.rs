//! The engine's side of the cores' boxes: what must arrive does, in order, without ever waiting.

use std::collections::VecDeque;

use crossbeam_channel::TrySendError;
use tracing::error;

use crate::limits::OUTBOX_MESSAGES_MAX;
use crate::mailbox::{CoreLink, ToCore};

pub(super) struct Cores {
    cores: Vec<Core>,
}

struct Core {
    link: CoreLink,
    /// What found the box full.
    outbox: VecDeque<ToCore>,
    lost: u64,
    gone: bool,
}

impl Cores {
    pub(super) fn new(links: Vec<CoreLink>) -> Cores {
        let core = |link| Core { link, outbox: VecDeque::new(), lost: 0, gone: false };
        Cores { cores: links.into_iter().map(core).collect() }
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.cores.iter().map(|core| core.link.core)
    }

    /// Cores whose worker has ended.
    pub(super) fn all_gone(&self) -> bool {
        self.cores.iter().all(|core| core.gone)
    }

    /// Messages that were never delivered.
    pub(super) fn lost(&self) -> u64 {
        self.cores.iter().map(|core| core.lost).sum()
    }

    /// Sends a message that the core must get.
    pub(super) fn post(&mut self, core: usize, message: ToCore) {
        match self.cores.iter_mut().find(|known| known.link.core == core) {
            Some(known) => known.post(message),
            None => error!(core, "a message for a core that there is not"),
        }
    }

    /// Sends every core a message that it must get.
    pub(super) fn post_all(&mut self, message: impl Fn() -> ToCore) {
        self.cores.iter_mut().for_each(|core| core.post(message()));
    }

    /// Sends every core a question that may go unanswered. Gives the number of cores that have it.
    pub(super) fn ask_all(&mut self, question: impl Fn() -> ToCore) -> usize {
        self.cores.iter_mut().filter_map(|core| core.ask(question()).then_some(())).count()
    }

    /// Tries again what found a box full.
    pub(super) fn flush(&mut self) {
        self.cores.iter_mut().for_each(Core::flush);
    }
}

impl Core {
    fn post(&mut self, message: ToCore) {
        self.flush();
        if self.gone {
            self.lost += 1;
        } else if self.outbox.len() < OUTBOX_MESSAGES_MAX {
            self.outbox.push_back(message);
            self.flush();
        } else {
            if self.lost == 0 {
                error!(core = self.link.core, "the core takes no messages: further ones are lost and counted");
            }
            self.lost += 1;
        }
    }

    fn ask(&mut self, question: ToCore) -> bool {
        self.flush();
        !self.gone && self.outbox.is_empty() && self.deliver(question).is_ok()
    }

    fn flush(&mut self) {
        while let Some(message) = self.outbox.pop_front() {
            if let Err(message) = self.deliver(message) {
                if self.gone {
                    self.lost += 1 + self.outbox.len() as u64;
                    self.outbox.clear();
                } else {
                    self.outbox.push_front(message);
                }
                return;
            }
        }
    }

    fn deliver(&mut self, message: ToCore) -> Result<(), ToCore> {
        self.link.to.try_send(message).map_err(|failed| match failed {
            TrySendError::Full(message) => message,
            TrySendError::Disconnected(message) => {
                self.gone = true;
                message
            }
        })
    }
}
