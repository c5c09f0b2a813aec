//! The host of a test: answers to `connect` and `tproxy` are laid out beforehand, what was asked can be looked at.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use super::clock::Clock;
use super::duplex::MemoryStream;
use crate::host::{ConnectError, Host, Level, Target, TproxyError, TproxyReply, TproxyRequest};
use crate::session::SessionId;

/// What happens to one call of `connect`.
pub enum ConnectAnswer {
    /// It takes so long and then comes to this.
    After(Duration, Result<MemoryStream, ConnectError>),
    /// It is never answered.
    Never,
}

/// A handle to the host of a [`super::World`].
#[derive(Clone)]
pub struct MemoryHost {
    clock: Clock,
    script: Rc<RefCell<Script>>,
}

#[derive(Default)]
struct Script {
    connects: VecDeque<ConnectAnswer>,
    connected: Vec<(SessionId, Target)>,
    tproxy: VecDeque<Result<TproxyReply, TproxyError>>,
    requested: Vec<TproxyRequest>,
    lines: Vec<(SessionId, Level, String)>,
}

impl MemoryHost {
    pub(super) fn new(clock: Clock) -> Self {
        MemoryHost { clock, script: Rc::default() }
    }

    /// Lays out the answer to the next unanswered `connect`.
    pub fn answer_connect(&self, answer: ConnectAnswer) {
        self.script.borrow_mut().connects.push_back(answer);
    }

    /// Lays out the answer to the next unanswered `tproxy`.
    pub fn answer_tproxy(&self, answer: Result<TproxyReply, TproxyError>) {
        self.script.borrow_mut().tproxy.push_back(answer);
    }

    /// Whom proxies wanted to connect to so far.
    #[must_use]
    pub fn connected(&self) -> Vec<(SessionId, Target)> {
        self.script.borrow().connected.clone()
    }

    /// What proxies asked of the tproxy table so far.
    #[must_use]
    pub fn requested(&self) -> Vec<TproxyRequest> {
        self.script.borrow().requested.clone()
    }

    /// What proxies logged so far.
    #[must_use]
    pub fn lines(&self) -> Vec<(SessionId, Level, String)> {
        self.script.borrow().lines.clone()
    }
}

impl Host for MemoryHost {
    type Stream = MemoryStream;

    /// Without an answer laid out, the server is unreachable: a test that forgot one sees it at once.
    async fn connect(&self, session: SessionId, target: Target) -> Result<MemoryStream, ConnectError> {
        let answer = {
            let mut script = self.script.borrow_mut();
            script.connected.push((session, target));
            script.connects.pop_front()
        };
        match answer {
            Some(ConnectAnswer::After(delay, result)) => {
                self.clock.sleep(delay).await;
                result
            }
            Some(ConnectAnswer::Never) => pending().await,
            None => Err(ConnectError::Unreachable),
        }
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Without an answer laid out, the control thread does not answer.
    async fn tproxy(&self, request: TproxyRequest) -> Result<TproxyReply, TproxyError> {
        let mut script = self.script.borrow_mut();
        script.requested.push(request);
        script.tproxy.pop_front().unwrap_or(Err(TproxyError::Eagain))
    }

    fn log(&self, session: SessionId, level: Level, text: fmt::Arguments<'_>) {
        self.script.borrow_mut().lines.push((session, level, text.to_string()));
    }
}
