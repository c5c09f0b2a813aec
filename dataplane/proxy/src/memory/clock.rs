//! Virtual time: moves only when told to, and wakes whoever sleeps until then, in the order they asked.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A shared handle to the time of a world.
#[derive(Clone, Default)]
pub(super) struct Clock(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    now: Duration,
    /// Who sleeps, by the time they wake; the number tells equal times apart, in order of asking.
    sleepers: BTreeMap<(Duration, u64), Waker>,
    next: u64,
}

impl Clock {
    pub(super) fn now(&self) -> Duration {
        self.0.borrow().now
    }

    pub(super) fn sleep(&self, duration: Duration) -> Sleep {
        let mut state = self.0.borrow_mut();
        let key = (state.now.saturating_add(duration), state.next);
        state.next += 1;
        Sleep { clock: self.clone(), key }
    }

    /// Goes to the next time somebody waits for; `false` when that is not before `until`, and `until` is now.
    ///
    /// Where nobody waits and `until` is the end of time, time stays.
    pub(super) fn advance(&self, until: Duration) -> bool {
        let mut state = self.0.borrow_mut();
        let next = state.sleepers.first_key_value().map(|(&(at, _), _)| at);
        let Some(at) = next.filter(|&at| at <= until) else {
            if until < Duration::MAX {
                state.now = state.now.max(until);
            }
            return false;
        };
        state.now = state.now.max(at);
        while let Some(entry) = state.sleepers.first_entry()
            && entry.key().0 <= at
        {
            entry.remove().wake();
        }
        true
    }
}

/// Ready at its time.
pub struct Sleep {
    clock: Clock,
    key: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.0.borrow_mut();
        if state.now >= self.key.0 {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.0.borrow_mut().sleepers.remove(&self.key);
    }
}
