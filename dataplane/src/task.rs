//! The per-core executor: proxy tasks, polled from the worker's turn under a budget.
//!
//! A task is a future that lives and dies on its core (`async-task`, local): waking it is a push onto the core's run
//! queue, never a system call. A task that panics ends its own session and nothing else. What a task waits for that
//! is not a stream (time, a connection, the control thread) is a [`Reply`] that the worker fills in.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use async_task::{Runnable, Task};
use crossbeam_channel::{Receiver, Sender, unbounded};

/// The run queue of one core.
///
/// Bounded by construction: a task is in it at most once, and tasks are bounded by the sessions.
#[derive(Debug)]
pub struct Executor {
    ready: Receiver<Runnable>,
    wake: Sender<Runnable>,
}

/// What one call of [`Executor::run`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Tasks polled.
    pub polled: usize,
    /// Tasks that panicked; their futures are dropped, and with them their streams.
    pub panicked: usize,
}

impl Executor {
    /// An empty queue.
    pub fn new() -> Self {
        let (wake, ready) = unbounded();
        Self { ready, wake }
    }

    /// Starts a task; it is polled first by the next [`Executor::run`]. Dropping the handle cancels it.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Task<()> {
        let wake = self.wake.clone();
        let (runnable, task) = async_task::spawn_local(future, move |runnable| {
            // The queue lives as long as its core; a wake-up after that is one nobody waits for.
            let _ = wake.send(runnable);
        });
        runnable.schedule();
        task
    }

    /// Polls tasks that may go on, `budget` at most, so that a busy proxy cannot keep packets waiting.
    pub fn run(&self, budget: usize) -> Ran {
        let mut ran = Ran::default();
        while ran.polled < budget {
            let Ok(runnable) = self.ready.try_recv() else { break };
            ran.polled += 1;
            // A proxy's bug is its own session's end: the future is dropped while unwinding and with it the streams.
            if catch_unwind(AssertUnwindSafe(|| runnable.run())).is_err() {
                ran.panicked += 1;
            }
        }
        ran
    }

    /// Is there a task that may go on now?
    pub fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }
}

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}

/// A value that the worker will hand to a task: one writer, one reader, same core.
#[derive(Debug)]
pub struct Reply<T>(Rc<RefCell<Slot<T>>>);

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

impl<T> Clone for Reply<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Reply<T> {
    /// An empty one.
    pub fn new() -> Self {
        Self(Rc::new(RefCell::new(Slot { value: None, waker: None })))
    }

    /// Fills it in and wakes who waits; a second value replaces one that nobody took yet.
    pub fn fill(&self, value: T) {
        let waker = {
            let mut slot = self.0.borrow_mut();
            slot.value = Some(value);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Does anybody still wait for it?
    pub fn is_wanted(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }
}

impl<T> Default for Reply<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Future for Reply<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.0.borrow_mut();
        match slot.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests;
