//! Leaving a session to its two ends: what a proxy and its host say to each other about it.
//!
//! A proxy that has nothing more to read or to change asks for it and goes on relaying. The host lets the ends' packets
//! pass by as soon as nothing waits between the two connections; from then on nothing comes to the streams any more, and
//! the host's own clocks hold. When the session is over, the proxy hears how, and writes its record as if it had relayed
//! all of it.
//!
//! ```text
//! proxy:  Wanted (relays on) ──────────────→ Begun (waits) ────────────→ Over (ends as a relay would)
//! host:   waits for a moment of quiet ─────→ packets pass by ──────────→ FINs, a reset, silence
//! ```

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Waker};

use crate::outcome::Reason;

/// A connection by its host's own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(pub u64);

/// How far a release is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The streams are still the proxy's.
    Wanted,
    /// Packets pass by: the streams have nothing to say.
    Begun,
    /// The session is over.
    Over(Passed),
}

/// How a released session ended, and what passed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Why it ended.
    pub reason: Reason,
    /// Bytes of the client's.
    pub to_server: u64,
    /// Bytes of the server's.
    pub to_client: u64,
}

/// One release; both sides hold it.
#[derive(Clone, Debug)]
pub struct Release(Rc<RefCell<Inner>>);

#[derive(Debug)]
struct Inner {
    stage: Stage,
    waker: Option<Waker>,
}

impl Release {
    /// One that is wanted.
    #[must_use]
    pub fn wanted() -> Release {
        Release(Rc::new(RefCell::new(Inner { stage: Stage::Wanted, waker: None })))
    }

    /// How far it is; the task is woken when it is further.
    pub fn poll(&self, cx: &Context<'_>) -> Stage {
        let mut inner = self.0.borrow_mut();
        if !matches!(inner.stage, Stage::Over(_)) {
            inner.waker = Some(cx.waker().clone());
        }
        inner.stage
    }

    /// The host's word: it has begun, or is over.
    pub fn advance(&self, stage: Stage) {
        let waker = {
            let mut inner = self.0.borrow_mut();
            inner.stage = stage;
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Does the proxy still wait for it?
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }
}
